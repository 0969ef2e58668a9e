/* A wait that ends well has a completion to show, whenever it came. Here one comes, or goes, with
 * every look at the queue's tail: the word lies on a page whose every reading faults, and the
 * handlers change it, let the one instruction through and take the page away again. (There is no
 * engine: `enter` has no descriptor.) */
#define _GNU_SOURCE
#include <liburing.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "check.h"

enum { PAGE = 4096, SINGLE_STEP = 0x100 };

static unsigned sq_words[4], cq_head;
static volatile unsigned *tail;
static struct io_uring_cqe cqes[2];
static unsigned long looks;
/* What the tail is at each look: the lowest bit first, over and over. */
static unsigned long script, length;

static void look(int signal, siginfo_t *info, void *context)
{
    if (info->si_addr != tail)
        abort();
    mprotect((void *)tail, PAGE, PROT_READ | PROT_WRITE);
    *tail = script >> looks++ % length & 1;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= SINGLE_STEP;
    (void)signal;
}

static void looked(int signal, siginfo_t *info, void *context)
{
    mprotect((void *)tail, PAGE, PROT_NONE);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~SINGLE_STEP;
    (void)signal, (void)info;
}

int main(void)
{
    struct sigaction on_fault = { .sa_sigaction = look, .sa_flags = SA_SIGINFO };
    struct sigaction on_step = { .sa_sigaction = looked, .sa_flags = SA_SIGINFO };
    struct io_uring ring = { .ring_fd = -1, .enter_ring_fd = -1 };
    struct __kernel_timespec soon = { .tv_nsec = 1 };
    long found = 0, missed = 0;

    tail = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(tail != MAP_FAILED);
    ring.sq.khead = &sq_words[0];
    ring.sq.ktail = &sq_words[1];
    ring.sq.kflags = &sq_words[2];
    ring.cq.khead = &cq_head;
    ring.cq.ktail = (unsigned *)tail;
    ring.cq.cqes = cqes;
    ring.features = IORING_FEAT_EXT_ARG;
    IS(sigaction(SIGSEGV, &on_fault, NULL), 0);
    IS(sigaction(SIGTRAP, &on_step, NULL), 0);

    for (length = 1; length <= 6; length++) {
        for (script = 0; script < 1ul << length; script++) {
            for (int timed = 0; timed < 2; timed++) {
                struct io_uring_cqe *cqe = NULL;
                looks = 0;
                int result = timed ? io_uring_wait_cqes(&ring, &cqe, 1, &soon, NULL)
                                   : __io_uring_get_cqe(&ring, &cqe, 0, 1, NULL);
                if (result == 0) {
                    CHECK(cqe == cqes);
                    found++;
                } else {
                    IS(result, -EBADF);
                    missed++;
                }
            }
        }
    }
    CHECK(found && missed);
    return 0;
}
