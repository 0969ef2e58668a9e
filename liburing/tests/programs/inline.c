/* liburing-ffi's other functions leave rings, completions and buffers as the inline functions of the
 * headers do: two of each, one for either. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <liburing.h>
#include <unistd.h>

#include "check.h"

#define CALLED(function)                                                        \
    ({                                                                          \
        __typeof__(&function) symbol = dlsym(RTLD_DEFAULT, #function);          \
        CHECK(symbol && symbol != &function);                                   \
        symbol;                                                                 \
    })

/* Answers without effects. */
#define SAME(function, ...) IS(CALLED(function)(__VA_ARGS__), (long)(function)(__VA_ARGS__))

/* The same done to `a` inline and to `b` by the library. */
#define TWICE(function, ...)                                                    \
    do {                                                                        \
        ring = &a, buffers = a_buffers;                                         \
        long inlined = (long)(function)(__VA_ARGS__);                           \
        ring = &b, buffers = b_buffers;                                         \
        IS(CALLED(function)(__VA_ARGS__), inlined);                             \
        compare();                                                              \
    } while (0)

/* The same without a value. */
#define DONE_TWICE(function, ...)                                               \
    do {                                                                        \
        ring = &a, buffers = a_buffers;                                         \
        function(__VA_ARGS__);                                                  \
        ring = &b, buffers = b_buffers;                                         \
        CALLED(function)(__VA_ARGS__);                                          \
        compare();                                                              \
    } while (0)

static struct io_uring a, b, *ring;
static struct io_uring_buf_ring *a_buffers, *b_buffers, *buffers;
static struct io_uring_cqe *cqe;

enum { BUFFERS = 8 };

/* What there is to be seen of two rings is alike. */
static void compare(void)
{
    IS(a.sq.sqe_tail, b.sq.sqe_tail);
    IS(a.sq.sqe_head, b.sq.sqe_head);
    IS(*a.sq.ktail, *b.sq.ktail);
    IS(*a.cq.khead, *b.cq.khead);
    IS(*a.cq.ktail, *b.cq.ktail);
    IS(*a.cq.kflags, *b.cq.kflags);
    CHECK(!memcmp(a.sq.sqes, b.sq.sqes, a.sq.ring_entries * sizeof *a.sq.sqes));
    if (a_buffers)
        CHECK(!memcmp(a_buffers, b_buffers, BUFFERS * sizeof(struct io_uring_buf)));
}

/* Where an entry lies in its ring. */
static long place_of(struct io_uring *of, struct io_uring_sqe *entry)
{
    return entry ? entry - of->sq.sqes : -1;
}

static void entries(void)
{
    for (int i = 0; i < 9; i++) {
        struct io_uring_sqe *inlined = (io_uring_get_sqe)(&a);
        struct io_uring_sqe *called = CALLED(io_uring_get_sqe)(&b);
        IS(place_of(&a, inlined), place_of(&b, called));
        CHECK(!inlined == (i == 8));
        SAME(io_uring_sq_ready, &a);
        SAME(io_uring_sq_space_left, &a);
        if (inlined) {
            io_uring_prep_rw(IORING_OP_NOP, inlined, -1, NULL, 0, 0);
            CALLED(io_uring_prep_rw)(IORING_OP_NOP, called, -1, NULL, 0, 0);
            inlined->user_data = called->user_data = i;
        }
        compare();
    }
    SAME(io_uring_get_sqe128, &a);
    SAME(io_uring_sqring_wait, &a);
    IS(io_uring_submit(&a), 8);
    IS(io_uring_submit(&b), 8);
}

static void completions(void)
{
    struct io_uring_cqe_iter inlined = io_uring_cqe_iter_init(&a);
    struct io_uring_cqe_iter called = CALLED(io_uring_cqe_iter_init)(&b);
    struct io_uring_cqe *ours, *theirs, made = { .user_data = 0x123456789 };
    unsigned available = 99, others = 98;

    for (bool more = true; more;) {
        more = io_uring_cqe_iter_next(&inlined, &theirs);
        IS(CALLED(io_uring_cqe_iter_next)(&called, &ours), more);
        IS(theirs - a.cq.cqes, ours - b.cq.cqes);
        IS(inlined.head, called.head);
    }
    SAME(io_uring_cqe_get_data, &made);
    SAME(io_uring_cqe_get_data64, &made);
    SAME(io_uring_cqe_nr, &made);
    made.flags = IORING_CQE_F_32;
    SAME(io_uring_cqe_nr, &made);
    SAME(io_uring_cq_ready, &a);
    SAME(io_uring_cq_has_overflow, &a);
    IS(__io_uring_peek_cqe(&a, &theirs, &available), 0);
    IS(CALLED(__io_uring_peek_cqe)(&a, &ours, &others), 0);
    CHECK(ours == theirs);
    IS(available, others);
    TWICE(io_uring_peek_cqe, ring, &cqe);
    TWICE(io_uring_wait_cqe, ring, &cqe);
    TWICE(io_uring_wait_cqe_nr, ring, &cqe, 3);
    DONE_TWICE(io_uring_cqe_seen, ring, cqe);
    DONE_TWICE(io_uring_cqe_seen, ring, NULL);
    DONE_TWICE(io_uring_cq_advance, ring, 0);
    DONE_TWICE(io_uring_cq_advance, ring, 3);
    TWICE(io_uring_cq_eventfd_enabled, ring);
    TWICE(io_uring_cq_eventfd_toggle, ring, true);
    TWICE(io_uring_cq_eventfd_toggle, ring, false);
    TWICE(io_uring_cq_eventfd_enabled, ring);
    TWICE(io_uring_cq_eventfd_toggle, ring, false);
    TWICE(io_uring_cq_eventfd_toggle, ring, true);
    struct io_uring_probe *probe = io_uring_get_probe();
    for (int op = 0; op < 256; op += 15)
        SAME(io_uring_opcode_supported, probe, op);
    io_uring_free_probe(probe);
}

static void buffer_rings(void)
{
    static char memory[4096];
    int error;

    a_buffers = io_uring_setup_buf_ring(&a, BUFFERS, 5, 0, &error);
    b_buffers = io_uring_setup_buf_ring(&b, BUFFERS, 5, 0, &error);
    CHECK(a_buffers && b_buffers);
    for (unsigned n = 1; n; n *= 2)
        SAME(io_uring_buf_ring_mask, n);
    DONE_TWICE(io_uring_buf_ring_init, buffers);
    for (int i = 0; i < 5; i++)
        DONE_TWICE(io_uring_buf_ring_add, buffers, memory + i, 7 + i, 100 + i,
                   io_uring_buf_ring_mask(BUFFERS), i);
    DONE_TWICE(io_uring_buf_ring_advance, buffers, 3);
    TWICE(io_uring_buf_ring_available, ring, buffers, 5);
    TWICE(io_uring_buf_ring_available, ring, buffers, 6);
    DONE_TWICE(io_uring_buf_ring_cq_advance, ring, buffers, 1);
    DONE_TWICE(__io_uring_buf_ring_cq_advance, ring, buffers, 2, 1);
    TWICE(io_uring_buf_ring_available, ring, buffers, 5);
}

/* Messages as a multishot receive leaves them, whole and cut short, and lengths that are wrong. */
static void messages(void)
{
    static union {
        struct io_uring_recvmsg_out out;
        char bytes[256];
    } at;
    static const int lengths[] = { -1, 0, 15, 16, 24, 40, 56, 57, 100, 256 };
    static const unsigned controls[] = { 0, 1, 15, 16, 20, 32, 40 };

    for (int i = 0; i < 10; i++)
        for (int name = 0; name <= 16; name += 8)
            for (int j = 0; j < 7; j++)
                for (size_t inner = 0; inner < 48; inner += 4) {
                    struct msghdr message = { .msg_namelen = name, .msg_controllen = 32 };
                    memset(&at, 0, sizeof at);
                    at.out.controllen = controls[j];
                    SAME(io_uring_recvmsg_validate, &at, lengths[i], &message);
                    SAME(io_uring_recvmsg_name, &at.out);
                    SAME(io_uring_recvmsg_payload, &at.out, &message);
                    SAME(io_uring_recvmsg_payload_length, &at.out, lengths[i], &message);
                    SAME(io_uring_recvmsg_cmsg_firsthdr, &at.out, &message);
                    struct cmsghdr *first = io_uring_recvmsg_cmsg_firsthdr(&at.out, &message);
                    if (first) {
                        first->cmsg_len = inner;
                        SAME(io_uring_recvmsg_cmsg_nexthdr, &at.out, &message, first);
                    }
                }
}

/* Entries of both sizes in one queue, which Linux has since 6.19. */
static void mixed(void)
{
    IS(io_uring_queue_init(8, &a, IORING_SETUP_SQE_MIXED), 0);
    IS(io_uring_queue_init(8, &b, IORING_SETUP_SQE_MIXED), 0);
    for (int i = 0; i < 12; i++) {
        bool large = i % 3 != 1;
        struct io_uring_sqe *inlined =
            large ? (io_uring_get_sqe128)(&a) : (io_uring_get_sqe)(&a);
        struct io_uring_sqe *called =
            large ? CALLED(io_uring_get_sqe128)(&b) : CALLED(io_uring_get_sqe)(&b);
        IS(place_of(&a, inlined), place_of(&b, called));
        compare();
        if (inlined) {
            large ? io_uring_prep_nop128(inlined) : io_uring_prep_nop(inlined);
            large ? io_uring_prep_nop128(called) : io_uring_prep_nop(called);
        } else {
            IS(io_uring_submit(&a), io_uring_submit(&b));
        }
    }
    io_uring_queue_exit(&a);
    io_uring_queue_exit(&b);
}

int main(void)
{
    IS(io_uring_queue_init(8, &a, 0), 0);
    IS(io_uring_queue_init(8, &b, 0), 0);
    entries();
    completions();
    buffer_rings();
    messages();
    io_uring_queue_exit(&a);
    io_uring_queue_exit(&b);
    a_buffers = b_buffers = NULL;
    mixed();
    return 0;
}
