// Everything a program can ask about SIGSYS and its masks, printed: the output must be the same
// with and without the object.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t seen, seen_code;
static sigset_t seen_mask;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)context;
    seen = signal;
    seen_code = info->si_code;
    pthread_sigmask(SIG_SETMASK, NULL, &seen_mask);
}

static void print_set(const char *what, const sigset_t *set) {
    printf("%s:", what);
    for (int i = 1; i < 32; i++)
        if (sigismember(set, i))
            printf(" %d", i);
    puts("");
}

static void print_mask(const char *what) {
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    print_set(what, &set);
}

static void print_seen(const char *what) {
    printf("%s: signal %d code %d\n", what, (int)seen, (int)seen_code);
    seen = seen_code = 0;
}

static void catch(int signal, int flags, const sigset_t *mask) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | flags;
    if (mask)
        action.sa_mask = *mask;
    printf("sigaction(%d) %d\n", signal, sigaction(signal, &action, NULL));
}

static void print_action(int signal) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    printf("sigaction(%d, NULL) %d", signal, sigaction(signal, NULL, &action));
    printf(" handler %s flags %#x\n",
           action.sa_handler == SIG_DFL   ? "default"
           : action.sa_handler == SIG_IGN ? "ignore"
                                          : "own",
           action.sa_flags & ~0x04000000);
    print_set("  mask", &action.sa_mask);
}

static void masks(void) {
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    sigaddset(&set, SIGUSR1);
    print_mask("at first");
    sigprocmask(SIG_BLOCK, &set, &old);
    print_set("old", &old);
    print_mask("SIGSYS and SIGUSR1 blocked");
    sigdelset(&set, SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &set, &old);
    print_set("old", &old);
    print_mask("SIGSYS unblocked");
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, &old);
    print_set("old", &old);
    print_mask("all blocked");
    sigdelset(&set, SIGSYS);
    sigprocmask(SIG_SETMASK, &set, NULL);
    print_mask("all but SIGSYS");
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, &old);
    print_set("old", &old);
    print_mask("none");

    printf("bad how %d", sigprocmask(77, &set, NULL));
    printf(" %d\n", errno);
    printf("bad how, no set %d\n", sigprocmask(77, NULL, &old));
    long bad = syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8);
    printf("bad set %ld %d\n", bad, errno);
    bad = syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, (void *)8, 8);
    printf("bad old %ld %d\n", bad, errno);
    bad = syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16);
    printf("bad size %ld %d\n", bad, errno);
}

static void actions(void) {
    sigset_t all;
    sigfillset(&all);
    print_action(SIGSYS);
    catch(SIGSYS, SA_RESTART, &all);
    print_action(SIGSYS);
    catch(SIGUSR1, 0, &all);
    print_action(SIGUSR1);
    raise(SIGUSR1);
    print_seen("SIGUSR1 raised");
    print_set("  mask in handler", &seen_mask);
    raise(SIGSYS);
    print_seen("SIGSYS raised");
    kill(getpid(), SIGSYS);
    print_seen("SIGSYS sent");

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGSYS);
    print_seen("SIGSYS raised while blocked");
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    printf("unblocked: signal %d\n", (int)seen);
    seen = seen_code = 0;

    catch(SIGSYS, SA_RESETHAND, NULL);
    raise(SIGSYS);
    print_seen("SIGSYS, once");
    print_action(SIGSYS);
    signal(SIGSYS, SIG_IGN);
    print_action(SIGSYS);
    raise(SIGSYS);
    print_seen("SIGSYS ignored");
    signal(SIGSYS, SIG_DFL);

    printf("SIGKILL %d", sigaction(SIGKILL, &(struct sigaction){.sa_handler = SIG_IGN}, NULL));
    printf(" %d\n", errno);
    long bad = syscall(SYS_rt_sigaction, SIGSYS, (void *)8, NULL, 8);
    printf("bad action %ld %d\n", bad, errno);
    bad = syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8);
    printf("bad action %ld %d\n", bad, errno);
    bad = syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, 8);
    printf("bad old action %ld %d\n", bad, errno);
    bad = syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4);
    printf("bad size %ld %d\n", bad, errno);
    bad = syscall(SYS_rt_sigaction, 65, NULL, NULL, 8);
    printf("bad signal %ld %d\n", bad, errno);
}

static void in_children(void) {
    for (int forced = 0; forced < 2; forced++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            if (!forced)
                signal(SIGSYS, SIG_DFL);
            raise(SIGSYS);
            _exit(3);
        }
        int status;
        waitpid(child, &status, 0);
        printf("child: signal %d status %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
               WIFEXITED(status) ? WEXITSTATUS(status) : 0);
        signal(SIGSYS, SIG_IGN);
    }
    signal(SIGSYS, SIG_DFL);
}

// A sleep whose mask lets SIGUSR1 in, or times out.
static void sleeps(void) {
    sigset_t usr1, open, all;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigfillset(&all);
    sigfillset(&open);
    sigdelset(&open, SIGUSR1);
    catch(SIGUSR1, 0, NULL);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    struct timespec moment = {0, 1000000};
    struct epoll_event event;
    int epoll = epoll_create1(0);

    for (int round = 0; round < 2; round++) {
        const sigset_t *mask = round ? &open : &all;
        for (int kind = 0; kind < 4; kind++) {
            if (round)
                raise(SIGUSR1);
            int result;
            errno = 0;
            switch (kind) {
            case 0: result = ppoll(NULL, 0, &moment, mask); break;
            case 1: result = pselect(0, NULL, NULL, NULL, &moment, mask); break;
            case 2: result = epoll_pwait(epoll, &event, 1, 1, mask); break;
            default:
                result = syscall(441, epoll, &event, 1, &moment, mask, 8);
                break;
            }
            printf("sleep %d/%d: %d errno %d", round, kind, result, errno);
            print_seen("");
            print_set("  mask in handler", &seen_mask);
        }
    }
    raise(SIGUSR1);
    printf("sigsuspend %d", sigsuspend(&open));
    printf(" %d", errno);
    print_seen("");
    print_mask("after");
    // Without a mask the thread's own counts, and that blocks SIGUSR1.
    raise(SIGUSR1);
    printf("pselect %d", pselect(0, NULL, NULL, NULL, &moment, NULL));
    print_seen("");
    sigprocmask(SIG_UNBLOCK, &usr1, NULL);
    print_seen("let in");
    long bad = syscall(SYS_ppoll, NULL, 0, &moment, (void *)8, 8);
    printf("bad mask %ld %d\n", bad, errno);
    bad = syscall(SYS_pselect6, 0, NULL, NULL, NULL, &moment, (void *)8);
    printf("bad mask %ld %d\n", bad, errno);
    bad = syscall(SYS_ppoll, NULL, 0, &moment, &open, 4);
    printf("bad size %ld %d\n", bad, errno);
    close(epoll);
}

static sigjmp_buf jump;

static void jump_out(int signal) {
    (void)signal;
    siglongjmp(jump, 1);
}

static void jumps(void) {
    sigset_t none;
    sigemptyset(&none);
    signal(SIGUSR1, jump_out);
    for (int i = 0; i < 100; i++) {
        sigset_t usr1;
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        if (sigsetjmp(jump, 1) == 0) {
            sigprocmask(SIG_BLOCK, &usr1, NULL);
            raise(SIGUSR1);
            ppoll(NULL, 0, NULL, &none);
        }
    }
    print_mask("after jumps");
}

static void *in_thread(void *unused) {
    sigset_t all;
    print_mask("thread");
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    print_mask("thread, all blocked");
    // Where the engine does not serve this, it fails; either way the thread lives.
    syscall(425, 0, NULL);
    return unused;
}

int main(void) {
    masks();
    actions();
    in_children();
    sleeps();
    jumps();
    char alternate[16384];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaltstack(&stack, NULL);
    syscall(425, 0, NULL);
    sleeps();
    jumps();
    catch(SIGUSR1, SA_ONSTACK, NULL);
    sleeps();
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        pthread_create(&thread, NULL, in_thread, NULL);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        pthread_join(thread, NULL);
    }
    print_mask("at last");
    return 0;
}
