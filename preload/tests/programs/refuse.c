// refuse NUMBER PROGRAM ARGS…: runs the program where that system call fails with EPERM.
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

// musl's compiler does not find the kernel's headers.
struct instruction { unsigned short code; unsigned char jump_true, jump_false; unsigned k; };
struct program { unsigned short len; struct instruction *code; };

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    struct instruction code[] = {
        {0x20, 0, 0, 0},
        {0x15, 0, 1, atoi(argv[1])},
        {0x06, 0, 0, 0x00050000 | EPERM},
        {0x06, 0, 0, 0x7fff0000},
    };
    struct program program = {sizeof code / sizeof *code, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, 2, &program) != 0)
        return 1;
    execvp(argv[2], argv + 2);
    return 127;
}
