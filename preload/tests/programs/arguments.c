// Prints what it was started with.
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>

extern char **environ;

static __thread int thread_local_word = 42;
static char zeroes[100000];

int main(int argc, char **argv) {
    char name[16] = "";
    for (int i = 0; i < argc; i++)
        printf("argument %s\n", argv[i]);
    for (char **e = environ; *e; e++)
        printf("environment %s\n", *e);
    prctl(PR_GET_NAME, name);
    printf("name %s\n", name);
    printf("file %s\n", (char *)getauxval(AT_EXECFN));
    printf("thread-local %d\n", thread_local_word);
    for (size_t i = 0; i < sizeof zeroes; i++)
        if (zeroes[i])
            return 1;
    // The program headers must be the program's own: one of them, at least, is a PT_LOAD.
    const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
    int loads = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
        loads += headers[i].p_type == PT_LOAD;
    printf("segments %d\n", loads);
    // The heap, by the break and by mapping.
    for (size_t size = 16; size < 1 << 24; size *= 4) {
        char *memory = malloc(size);
        if (!memory)
            return 2;
        memset(memory, 1, size);
        free(memory);
    }
    return 0;
}
