/* A ring used on a thread made with clone alone: a stack of one page, and no thread-local storage
 * (its base is null, so that any use of it is a fault). */
#define _GNU_SOURCE
#include <liburing.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096 };

static struct io_uring ring;
static int failed_at, thread, file;
static char block[PAGE];

static int work(void *unused)
{
    struct __kernel_timespec soon = { .tv_nsec = 1000000 };
    struct io_uring_cqe *cqe;

    failed_at = __LINE__;
    if (io_uring_queue_init(4, &ring, 0))
        return 0;
    failed_at = __LINE__;
    io_uring_prep_read(io_uring_get_sqe(&ring), file, block, PAGE, 0);
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    if (io_uring_submit(&ring) != 2)
        return 0;
    for (int i = 0; i < 2; i++) {
        failed_at = __LINE__;
        if (io_uring_wait_cqe(&ring, &cqe) || cqe->res < 0)
            return 0;
        io_uring_cqe_seen(&ring, cqe);
    }
    failed_at = __LINE__;
    if (io_uring_wait_cqe_timeout(&ring, &cqe, &soon) != -ETIME)
        return 0;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    failed_at = __LINE__;
    if (!probe)
        return 0;
    io_uring_free_probe(probe);
    io_uring_queue_exit(&ring);
    failed_at = 0;
    return 0;
    (void)unused;
}

int main(void)
{
    char *stack = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    IS(mprotect(stack, PAGE, PROT_NONE), 0);
    file = fileno(tmpfile());
    IS(write(file, block, PAGE), PAGE);

    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    CHECK(clone(work, stack + 2 * PAGE, flags, NULL, &thread, NULL, &thread) > 0);
    for (int seen; (seen = __atomic_load_n(&thread, __ATOMIC_ACQUIRE));)
        syscall(SYS_futex, &thread, FUTEX_WAIT, seen, NULL, NULL, 0);
    IS(failed_at, 0);
    return 0;
}
