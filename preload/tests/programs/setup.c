// Makes a ring, and says who answered: a ring of the engine's has a high descriptor.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    char params[120];
    memset(params, 0, sizeof params);
    long fd = syscall(425, 8, params);
    if (fd >= 960)
        puts("a ring");
    else if (fd >= 0)
        printf("a ring of somebody else's: %ld\n", fd);
    else
        printf("errno %d\n", errno);
    return 0;
}
