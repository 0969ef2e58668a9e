/* Signals: a handler may use a ring that it has interrupted a call on, and ends a wait. */
#define _GNU_SOURCE
#include <liburing.h>
#include <signal.h>
#include <sys/time.h>

#include "check.h"

static struct io_uring ring, other;
static volatile sig_atomic_t handled;

static void handler(int signal)
{
    struct io_uring_cqe *cqe;

    io_uring_prep_nop(io_uring_get_sqe(&other));
    IS(io_uring_submit(&other), 1);
    IS(io_uring_wait_cqe(&other, &cqe), 0);
    io_uring_cqe_seen(&other, cqe);
    io_uring_get_events(&ring);
    handled++;
    (void)signal;
}

static void tick(long microseconds)
{
    struct itimerval often = { { 0, microseconds }, { 0, microseconds } };
    IS(setitimer(ITIMER_REAL, &often, NULL), 0);
}

int main(void)
{
    struct sigaction action = { .sa_handler = handler };
    struct io_uring_cqe *cqe;
    long rounds = 0;

    IS(io_uring_queue_init(8, &ring, 0), 0);
    IS(io_uring_queue_init(8, &other, 0), 0);
    IS(sigaction(SIGALRM, &action, NULL), 0);

    tick(200);
    while (handled < 300) {
        for (int i = 0; i < 8; i++)
            io_uring_prep_nop(io_uring_get_sqe(&ring));
        IS(io_uring_submit(&ring), 8);
        for (int i = 0; i < 8; i++) {
            IS(io_uring_wait_cqe(&ring, &cqe), 0);
            io_uring_cqe_seen(&ring, cqe);
        }
        rounds++;
    }

    tick(20000);
    IS(io_uring_wait_cqe(&ring, &cqe), -EINTR);
    tick(0);

    sigset_t mask;
    IS(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
    IS(sigisemptyset(&mask), 1);
    io_uring_queue_exit(&ring);
    io_uring_queue_exit(&other);
    return 0;
}
