// A program with a seccomp filter and a SIGSYS handler of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static void emulate(int signal, siginfo_t *info, void *context) {
    (void)signal;
    ucontext_t *interrupted = context;
#ifdef __x86_64__
    interrupted->uc_mcontext.gregs[REG_RAX] = 4242 + info->si_errno;
#else
    interrupted->uc_mcontext.regs[0] = 4242 + info->si_errno;
#endif
    // Blocking SIGSYS for the code that follows must not be the end of it.
    sigaddset(&interrupted->uc_sigmask, SIGSYS);
}

// musl's compiler does not find the kernel's headers.
struct instruction { unsigned short code; unsigned char jump_true, jump_false; unsigned k; };
struct program { unsigned short len; struct instruction *code; };

int main(int argc, char **argv) {
    (void)argv;
    struct instruction code[] = {
        {0x20, 0, 0, 0},
        {0x15, 0, 1, SYS_getppid},
        {0x06, 0, 0, 0x00030001},
        {0x06, 0, 0, 0x7fff0000},
    };
    struct program program = {sizeof code / sizeof *code, code};
    if (argc == 1) {
        struct sigaction action = {.sa_sigaction = emulate, .sa_flags = SA_SIGINFO};
        sigaction(SIGSYS, &action, NULL);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, 2, &program) != 0)
        return 1;
    printf("getppid %ld\n", syscall(SYS_getppid));
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    printf("getppid %ld\n", syscall(SYS_getppid));
    return 0;
}
