// Starts a program in every way there is. Children that share this process's memory must leave it
// as it was.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *program;

static void wait_for(pid_t child, const char *how) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "%s: child %d, status %#x\n", how, (int)child, status);
        exit(1);
    }
}

static void with_fork(void) {
    pid_t child = fork();
    if (child == 0) {
        execl(program, program, (char *)NULL);
        _exit(1);
    }
    wait_for(child, "fork");
}

static void with_vfork(void) {
    pid_t child = vfork();
    if (child == 0) {
        execl("/nonexistent", "x", (char *)NULL);
        execl(program, program, (char *)NULL);
        _exit(1);
    }
    wait_for(child, "vfork");
}

static void with_empty_environment(void) {
    pid_t child = vfork();
    if (child == 0) {
        char *argv[] = {program, NULL}, *envp[] = {NULL};
        execve(program, argv, envp);
        _exit(1);
    }
    wait_for(child, "vfork, empty environment");
}

static void with_posix_spawn(void) {
    pid_t child;
    char *argv[] = {program, NULL};
    posix_spawnattr_t attributes;
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (posix_spawn(&child, program, NULL, &attributes, argv, environ) != 0)
        exit(2);
    wait_for(child, "posix_spawn");
}

static void with_fexecve(void) {
    int fd = open(program, O_RDONLY | O_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
        char *argv[] = {program, NULL};
        fexecve(fd, argv, environ);
        _exit(1);
    }
    wait_for(child, "fexecve");
    close(fd);
}

static void *in_thread(void *unused) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    with_vfork();
    return unused;
}

static void on_sigsys(int signal) {
    (void)signal;
}

static long mappings(void) {
    char line[512];
    long count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        count++;
    fclose(maps);
    return count;
}

int main(int argc, char **argv) {
    program = argv[argc - 1];
    struct sigaction action = {.sa_handler = on_sigsys}, after;
    sigaction(SIGSYS, &action, NULL);

    with_fork();
    with_vfork();
    with_empty_environment();
    with_posix_spawn();
    with_fexecve();
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, NULL);
    if (system(program) != 0)
        return 3;

    sigaction(SIGSYS, NULL, &after);
    if (after.sa_handler != on_sigsys) {
        fprintf(stderr, "a child changed this process's handler\n");
        return 4;
    }

    // Nothing may be left behind by a child that executed another program.
    freopen("/dev/null", "w", stdout);
    fflush(stdout);
    dup2(open("/dev/null", O_WRONLY), 1);
    with_empty_environment();
    long before = mappings();
    for (int i = 0; i < 40; i++)
        with_empty_environment();
    if (mappings() > before + 2) {
        fprintf(stderr, "mappings grew from %ld to %ld\n", before, mappings());
        return 5;
    }
    return 0;
}
