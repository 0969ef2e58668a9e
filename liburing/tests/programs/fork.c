/* Rings and processes: a child has rings of its own, and what it does with its parent's. */
#define _GNU_SOURCE
#include <liburing.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "newer.h"

static int result_of(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    IS(io_uring_wait_cqe(ring, &cqe), 0);
    int result = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return result;
}

static void use(struct io_uring *ring)
{
    io_uring_prep_nop(io_uring_get_sqe(ring));
    IS(io_uring_submit(ring), 1);
    IS(result_of(ring), 0);
}

/* How a child ends that does this with the ring. */
static int child(void (*work)(struct io_uring *), struct io_uring *ring)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        work(ring);
        _exit(0);
    }
    IS(waitpid(pid, &status, 0), pid);
    return status;
}

static void has_its_own(struct io_uring *parents)
{
    struct io_uring ring;
    struct io_uring_probe *probe = io_uring_get_probe();

    CHECK(probe);
    io_uring_free_probe(probe);
    for (int i = 0; i < 3; i++) {
        IS(io_uring_queue_init(4, &ring, 0), 0);
        use(&ring);
        io_uring_queue_exit(&ring);
    }
    (void)parents;
}

static void has_children(struct io_uring *parents)
{
    IS(child(has_its_own, parents), 0);
    has_its_own(parents);
}

static void lets_go(struct io_uring *parents)
{
    io_uring_queue_exit(parents);
}

static void reads(struct io_uring *parents)
{
    signal(SIGSEGV, SIG_DFL);
    printf("%u", *parents->sq.khead);
}

int main(void)
{
    struct io_uring ring, hidden;
    char byte = 0;
    int pipes[2];

    /* Before this process has any, and after. */
    IS(child(has_its_own, NULL), 0);
    IS(io_uring_queue_init(4, &ring, 0), 0);
    use(&ring);
    IS(child(has_its_own, &ring), 0);
    IS(child(has_children, &ring), 0);
    use(&ring);

    /* What is prepared stays prepared, what is pending stays pending. */
    IS(pipe(pipes), 0);
    io_uring_prep_read(io_uring_get_sqe(&ring), pipes[0], &byte, 1, 0);
    IS(io_uring_submit(&ring), 1);
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    IS(child(has_its_own, &ring), 0);
    IS(child(lets_go, &ring), 0);
    IS(io_uring_sq_ready(&ring), 1);
    IS(io_uring_submit(&ring), 1);
    IS(result_of(&ring), 0);
    IS(write(pipes[1], "x", 1), 1);
    IS(result_of(&ring), 1);
    IS(byte, 'x');

    IS(io_uring_queue_init(4, &hidden, 0), 0);
    IS(io_uring_ring_dontfork(&hidden), 0);
    int status = child(reads, &hidden);
    CHECK(WIFSIGNALED(status));
    IS(WTERMSIG(status), SIGSEGV);
    use(&hidden);
    io_uring_queue_exit(&hidden);
    use(&ring);
    io_uring_queue_exit(&ring);
    return 0;
}
