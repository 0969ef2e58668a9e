/* Every function with arguments that are wrong, on rings that are: the answers are written down,
 * and must be those of liburing's own library. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <liburing/io_uring/bpf_filter.h>
#include <liburing/io_uring/query.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "say.h"

typedef struct io_uring ring_t;

#define NOWHERE ((void *)8)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static char zeroes[1 << 16] __attribute__((aligned(4096)));
static char ones[1 << 16] __attribute__((aligned(4096)));
static char page[4096] __attribute__((aligned(4096)));

/* Some calls write into what they are given. */
static void refresh(void)
{
    memset(zeroes, 0, sizeof zeroes);
    memset(ones, 0xff, sizeof ones);
}

/* Functions of one shape. */
#define BARE(name) { #name, name }
static const struct { const char *name; int (*call)(ring_t *); } bare[] = {
    BARE(io_uring_unregister_buffers),
    BARE(io_uring_unregister_files),
    BARE(io_uring_unregister_eventfd),
    BARE(io_uring_unregister_iowq_aff),
    BARE(io_uring_enable_rings),
    BARE(io_uring_get_events),
    BARE(io_uring_submit),
    BARE(io_uring_submit_and_get_events),
    BARE(__io_uring_sqring_wait),
    BARE(io_uring_register_personality),
    BARE(io_uring_ring_dontfork),
};

typedef int (*handing_t)(ring_t *, void *);
#define HANDING(name) { #name, (handing_t)name }
static const struct { const char *name; handing_t call; } handing[] = {
    HANDING(io_uring_register_sync_cancel),
    HANDING(io_uring_register_napi),
    HANDING(io_uring_unregister_napi),
    HANDING(io_uring_register_clock),
    HANDING(io_uring_register_ifq),
    HANDING(io_uring_register_zcrx_ctrl),
    HANDING(io_uring_register_region),
    HANDING(io_uring_register_bpf_filter),
    HANDING(io_uring_register_iowq_max_workers),
};

typedef int (*counting_t)(ring_t *, void *, unsigned);
#define COUNTING(name) { #name, (counting_t)name }
static const struct { const char *name; counting_t call; } counting[] = {
    COUNTING(io_uring_register_buffers),
    COUNTING(io_uring_register_files),
    COUNTING(io_uring_register_probe),
    COUNTING(io_uring_register_restrictions),
    COUNTING(io_uring_register_wait_reg),
};

static void *const places[] = { NULL, NOWHERE, zeroes, ones };
static const char *const place_names[] = { "null", "nowhere", "zeroes", "ones" };
static const unsigned counts[] = { 0, 1, 2, 200, 257, 5000, INT_MAX, UINT_MAX };

/* All functions of those shapes, with all arguments. */
static void shapes(ring_t *ring)
{
    for (size_t i = 0; i < COUNT(bare); i++)
        printf("%s: %s: %d\n", about, bare[i].name, bare[i].call(ring));
    for (size_t i = 0; i < COUNT(handing); i++)
        for (size_t place = 0; place < COUNT(places); place++) {
            refresh();
            printf("%s: %s(%s): %d\n", about, handing[i].name, place_names[place],
                   handing[i].call(ring, places[place]));
        }
    for (size_t i = 0; i < COUNT(counting); i++)
        for (size_t place = 0; place < COUNT(places); place++)
            for (size_t count = 0; count < COUNT(counts); count++) {
                refresh();
                printf("%s: %s(%s, %u): %d\n", about, counting[i].name, place_names[place],
                       counts[count], counting[i].call(ring, places[place], counts[count]));
            }
}

/* The other functions that register something. */
static void resources(ring_t *ring)
{
    static const int none[] = { -1, 12345, -2 };
    static const struct iovec wrong[] = { { page, 0 }, { NULL, 1 }, { NOWHERE, 4096 } };
    __u64 tags[4] = { 1, 2, 3, 4 };

    refresh();
    for (unsigned i = 0; i < 3; i++) {
        SAY(io_uring_register_files(ring, none + i, 1));
        SAY(io_uring_unregister_files(ring));
        SAY(io_uring_register_buffers(ring, wrong + i, 1));
        SAY(io_uring_unregister_buffers(ring));
        SAY(io_uring_register_buffers_tags(ring, wrong + i, tags, 1));
        SAY(io_uring_unregister_buffers(ring));
    }
    for (size_t i = 0; i < COUNT(counts); i++) {
        unsigned n = counts[i];
        printf("%u\n", n);
        SAY(io_uring_register_buffers_sparse(ring, n));
        SAY(io_uring_register_buffers_update_tag(ring, 0, NULL, NULL, n));
        SAY(io_uring_register_buffers_update_tag(ring, 1, (void *)zeroes, NULL, n));
        SAY(io_uring_register_buffers_update_tag(ring, UINT_MAX, (void *)zeroes, tags, 1));
        SAY(io_uring_register_buffers_update_tag(ring, n, (void *)zeroes, NOWHERE, 1));
        SAY(io_uring_register_buffers_update_tag(ring, n, NOWHERE, NULL, 1));
        SAY(io_uring_register_buffers_update_tag(ring, 0, (void *)zeroes, tags, 1));
        SAY(io_uring_unregister_buffers(ring));
        SAY(io_uring_register_buffers_tags(ring, NULL, NULL, n));
        SAY(io_uring_register_buffers_tags(ring, NULL, tags, n));
        SAY(io_uring_unregister_buffers(ring));
        SAY(io_uring_register_buffers_tags(ring, NOWHERE, tags, n));
        SAY(io_uring_unregister_buffers(ring));
        SAY(io_uring_register_files_tags(ring, NULL, NULL, n));
        SAY(io_uring_register_files_tags(ring, NOWHERE, tags, n));
        SAY(io_uring_unregister_files(ring));
        if (n > 5000)
            continue;
        SAY(io_uring_register_files_sparse(ring, n));
        SAY(io_uring_register_files_update(ring, 0, NULL, n));
        SAY(io_uring_register_files_update(ring, 0, NOWHERE, 1));
        SAY(io_uring_register_files_update(ring, UINT_MAX, none, 1));
        SAY(io_uring_register_files_update(ring, n, none, 1));
        SAY(io_uring_register_files_update(ring, 0, none, 3));
        SAY(io_uring_register_files_update_tag(ring, 0, NULL, NULL, n));
        SAY(io_uring_register_files_update_tag(ring, 0, none, NOWHERE, 1));
        SAY(io_uring_register_files_update_tag(ring, 0, none, tags, 1));
        SAY(io_uring_register_files_update_tag(ring, UINT_MAX, none, NULL, 1));
        SAY(io_uring_register_files_update_tag(ring, 0, none + 1, NULL, 1));
        SAY(io_uring_register_file_alloc_range(ring, 0, n));
        SAY(io_uring_register_file_alloc_range(ring, n, 1));
        SAY(io_uring_register_file_alloc_range(ring, UINT_MAX, 1));
        SAY(io_uring_register_file_alloc_range(ring, 1, UINT_MAX));
        SAY(io_uring_unregister_files(ring));
    }
    SAY(io_uring_register_file_alloc_range(ring, 0, 1));

    int file = open("/dev/null", O_RDONLY), told = eventfd(0, 0);
    SAY(io_uring_register_eventfd(ring, -1));
    SAY(io_uring_register_eventfd(ring, file));
    SAY(io_uring_register_eventfd_async(ring, 12345));
    SAY(io_uring_register_eventfd_async(ring, file));
    SAY(io_uring_register_eventfd(ring, told));
    SAY(io_uring_register_eventfd(ring, told));
    SAY(io_uring_register_eventfd_async(ring, told));
    SAY(io_uring_unregister_eventfd(ring));
    SAY(io_uring_unregister_eventfd(ring));
    close(file);
    close(told);

    int id = io_uring_register_personality(ring);
    SAY(id);
    SAY(io_uring_unregister_personality(ring, 0));
    SAY(io_uring_unregister_personality(ring, -1));
    SAY(io_uring_unregister_personality(ring, 70000));
    SAY(io_uring_unregister_personality(ring, id));
    SAY(io_uring_unregister_personality(ring, id));

    SAY(io_uring_register_iowq_aff(ring, 0, NULL));
    SAY(io_uring_register_iowq_aff(ring, 8, NULL));
    SAY(io_uring_register_iowq_aff(ring, 8, NOWHERE));
    SAY(io_uring_register_iowq_aff(ring, 0, (void *)ones));
    SAY(io_uring_register_iowq_aff(ring, (1ul << 31) - 1, NOWHERE));
    SAY(io_uring_register_iowq_aff(ring, 1ul << 31, (void *)ones));
    SAY(io_uring_register_iowq_aff(ring, ULONG_MAX, (void *)ones));
    SAY(io_uring_register_iowq_aff(ring, 8, (void *)ones));
    SAY(io_uring_unregister_iowq_aff(ring));
    SAY(io_uring_set_iowait(ring, false));
    SAY(io_uring_set_iowait(ring, true));
    SAY(io_uring_register_wait_reg(ring, NULL, 0));
    SAY(io_uring_register_wait_reg(ring, (void *)zeroes, 1));
}

static void buffer_rings(ring_t *ring)
{
    static const unsigned sizes[] = { 0, 1, 2, 3, 16, 32767, 32768, 65536, 1u << 31, UINT_MAX };
    static const int groups[] = { -1, 0, 65535, 65536 };
    static const unsigned flags[] = { 0, 1, 2, 3, 4, 0x8000, 0x10000, ~0u };
    uint16_t head = 7;

    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t j = 0; j < COUNT(groups); j++)
            for (size_t k = 0; k < COUNT(flags); k++) {
                struct io_uring_buf_reg reg = {
                    .ring_addr = (__u64)(size_t)page, .ring_entries = sizes[i], .bgid = groups[j],
                };
                int error = 99;
                struct io_uring_buf_ring *made =
                    io_uring_setup_buf_ring(ring, sizes[i], groups[j], flags[k], &error);
                printf("%s: setup_buf_ring(%u, %d, %u): %d %d\n", about, sizes[i], groups[j],
                       flags[k], !!made, error);
                if (made)
                    SAY(io_uring_free_buf_ring(ring, made, sizes[i], groups[j]));
                /* The page that is there has room for 256 of them. */
                if (sizes[i] <= 256 || flags[k])
                    SAY(io_uring_register_buf_ring(ring, &reg, flags[k]));
                SAY(io_uring_buf_ring_head(ring, groups[j], &head));
                SAY(io_uring_unregister_buf_ring(ring, groups[j]));
            }
    struct io_uring_buf_reg reg = { .ring_entries = 16 };
    SAY(io_uring_register_buf_ring(ring, &reg, 0));
    reg.ring_addr = 8;
    SAY(io_uring_register_buf_ring(ring, &reg, 0));
    reg.ring_addr = 1ull << 63;
    SAY(io_uring_register_buf_ring(ring, &reg, 0));
    reg.ring_addr = (__u64)(size_t)page;
    reg.resv[2] = 1;
    SAY(io_uring_register_buf_ring(ring, &reg, 0));
    SAY(io_uring_unregister_buf_ring(ring, 3));
    SAY(io_uring_buf_ring_head(ring, 3, &head));
    SAY(io_uring_free_buf_ring(ring, (void *)page, 16, 3));
    SAY(head);
}

static void cloning(ring_t *ring, ring_t *wrong)
{
    static const struct iovec both[2] = { { page, 100 }, { page + 100, 100 } };
    ring_t other;

    IS(io_uring_queue_init(4, &other, 0), 0);
    SAY(io_uring_clone_buffers(ring, &other));
    SAY(io_uring_clone_buffers(ring, wrong));
    SAY(io_uring_clone_buffers(wrong, &other));
    IS(io_uring_register_buffers(&other, both, 2), 0);
    for (unsigned flags = 0; flags < 8; flags++)
        for (unsigned at = 0; at < 4; at++)
            for (unsigned count = 0; count < 4; count++) {
                printf("%u %u %u\n", flags, at, count);
                SAY(io_uring_clone_buffers_offset(ring, &other, at, 0, count, flags));
                SAY(io_uring_clone_buffers_offset(ring, &other, 0, at, count, flags));
                SAY(__io_uring_clone_buffers_offset(ring, &other, at, at, count, flags));
                SAY(__io_uring_clone_buffers(ring, &other, flags));
                SAY(io_uring_unregister_buffers(ring));
            }
    SAY(io_uring_clone_buffers(&other, &other));
    SAY(io_uring_clone_buffers_offset(ring, &other, UINT_MAX, 0, 1, 0));
    SAY(io_uring_clone_buffers_offset(ring, &other, 0, UINT_MAX, 2, 0));
    SAY(io_uring_clone_buffers_offset(ring, &other, 0, 0, UINT_MAX, 0));
    SAY(io_uring_clone_buffers(ring, &other));
    SAY(io_uring_clone_buffers(ring, &other));
    SAY(io_uring_unregister_buffers(ring));
    IS(io_uring_register_ring_fd(&other), 1);
    SAY(__io_uring_clone_buffers(ring, &other, 0));
    SAY(io_uring_unregister_buffers(ring));
    SAY(io_uring_clone_buffers(ring, &other));
    SAY(io_uring_unregister_buffers(ring));
    io_uring_queue_exit(&other);
}

static void waiting(ring_t *ring)
{
    struct __kernel_timespec none = { 0 }, negative = { .tv_sec = -1 };
    struct __kernel_timespec many = { .tv_nsec = 1000000000 }, soon = { .tv_nsec = 100000 };
    struct __kernel_timespec *times[] = { NOWHERE, &negative, &many, &none, &soon };
    struct io_uring_cqe *cqe, *all[2];
    sigset_t signals;

    sigemptyset(&signals);
    for (size_t i = 0; i < COUNT(times); i++) {
        printf("time %zu\n", i);
        SAY(io_uring_wait_cqe_timeout(ring, &cqe, times[i]));
        SAY(io_uring_wait_cqes(ring, &cqe, 0, times[i], NULL));
        SAY(io_uring_wait_cqes(ring, &cqe, 1, times[i], NOWHERE));
        SAY(io_uring_wait_cqes(ring, &cqe, UINT_MAX, times[i], &signals));
        SAY(io_uring_wait_cqes_min_timeout(ring, &cqe, 1, times[i], 10, NULL));
        SAY(io_uring_wait_cqes_min_timeout(ring, &cqe, 0, times[i], 10, NULL));
        SAY(io_uring_submit_and_wait_timeout(ring, &cqe, 1, times[i], NULL));
        SAY(io_uring_submit_and_wait_timeout(ring, &cqe, 0, times[i], NULL));
        SAY(io_uring_submit_and_wait_timeout(ring, &cqe, 1, times[i], NOWHERE));
        SAY(io_uring_submit_and_wait_min_timeout(ring, &cqe, 1, times[i], 10, NULL));
        SAY(io_uring_submit_and_wait_min_timeout(ring, &cqe, 0, times[i], UINT_MAX, NULL));
        SAY(!cqe);
    }
    SAY(io_uring_wait_cqes(ring, &cqe, 0, NULL, NULL));
    SAY(io_uring_wait_cqes(ring, &cqe, 1, NULL, NOWHERE));
    SAY(io_uring_wait_cqes_min_timeout(ring, &cqe, 0, NULL, 10, NULL));
    SAY(io_uring_submit_and_wait_timeout(ring, &cqe, 0, NULL, NOWHERE));
    SAY(io_uring_submit_and_wait_min_timeout(ring, &cqe, 0, NULL, 10, NULL));
    SAY(io_uring_submit_and_wait_min_timeout(ring, &cqe, 1, NULL, 10, NOWHERE));
    SAY(io_uring_submit_and_wait_reg(ring, &cqe, 0, 0));
    SAY(io_uring_submit_and_wait_reg(ring, &cqe, 1, 0));
    SAY(io_uring_submit_and_wait_reg(ring, &cqe, 1, -1));
    SAY(io_uring_submit_and_wait_reg(ring, &cqe, 1, INT_MAX));
    SAY(__io_uring_get_cqe(ring, &cqe, 0, 0, NULL));
    SAY(__io_uring_get_cqe(ring, &cqe, 0, 1, NOWHERE));
    SAY(io_uring_peek_batch_cqe(ring, all, 0));
    SAY(io_uring_peek_batch_cqe(ring, all, 2));

    /* With a completion there, nothing is waited for; and less of it than is asked for. */
    io_uring_prep_nop(io_uring_get_sqe(ring));
    SAY(io_uring_submit(ring));
    SAY(io_uring_wait_cqe_timeout(ring, &cqe, NOWHERE));
    SAY(io_uring_wait_cqes(ring, &cqe, 2, &soon, NULL));
    SAY(io_uring_wait_cqes(ring, &cqe, 2, NOWHERE, NULL));
    SAY(io_uring_submit_and_wait_timeout(ring, &cqe, 2, &soon, NULL));
    SAY(io_uring_submit_and_wait_reg(ring, &cqe, 1, 0));
    SAY(io_uring_submit_and_wait_reg(ring, &cqe, 2, 0));
    SAY(!!cqe);
    io_uring_cq_advance(ring, io_uring_cq_ready(ring));
}

/* With a region of arguments for waits, which is registered before the ring is enabled. */
static void registered_waits(void)
{
    struct io_uring_region_desc region = {
        .user_addr = (__u64)(size_t)page, .size = sizeof page, .flags = IORING_MEM_REGION_TYPE_USER,
    };
    struct io_uring_mem_region_reg reg = {
        .region_uptr = (__u64)(size_t)&region, .flags = IORING_MEM_REGION_REG_WAIT_ARG,
    };
    struct io_uring_reg_wait *waits = (void *)page;
    struct io_uring_cqe *cqe;
    ring_t ring;

    about = "registered waits";
    IS(io_uring_queue_init(4, &ring, 0), 0);
    SAY(io_uring_register_region(&ring, &reg));
    io_uring_queue_exit(&ring);
    IS(io_uring_queue_init(4, &ring, IORING_SETUP_R_DISABLED), 0);
    SAY(io_uring_submit_and_wait_reg(&ring, &cqe, 1, 0));
    SAY(io_uring_register_region(&ring, &reg));
    SAY(io_uring_register_region(&ring, &reg));
    SAY(io_uring_enable_rings(&ring));
    SAY(io_uring_enable_rings(&ring));
    memset(page, 0, sizeof page);
    /* None waits for ever. */
    for (int i = 0; i < 5; i++) {
        waits[i].flags = IORING_REG_WAIT_TS;
        waits[i].ts.tv_nsec = 100000;
    }
    waits[1].flags = ~0u;
    waits[2].ts.tv_nsec = -1;
    waits[3].sigmask = 8;
    waits[3].sigmask_sz = 3;
    waits[4].pad[0] = 1;
    for (int i = 0; i < 5; i++)
        SAY(io_uring_submit_and_wait_reg(&ring, &cqe, 1, i));
    SAY(io_uring_submit_and_wait_reg(&ring, &cqe, 1, sizeof page / sizeof *waits));
    SAY(io_uring_submit_and_wait_reg(&ring, &cqe, 1, -1));
    io_uring_queue_exit(&ring);
    memset(page, 0, sizeof page);
}

static void say_size(const char *name, unsigned entries, const struct io_uring_params *p, long size)
{
    printf("%s(%u, %#x, %u): %ld\n", name, entries, p->flags, p->cq_entries, size);
}

static void sizes(void)
{
    static const unsigned entries[] = {
        0, 1, 2, 3, 8, 255, 256, 4096, 32768, 32769, 40000, 65536, 1u << 31, UINT_MAX,
    };
    static const unsigned flags[] = {
        IORING_SETUP_CLAMP, IORING_SETUP_CQSIZE, IORING_SETUP_CQE32, IORING_SETUP_SQE128,
        IORING_SETUP_NO_SQARRAY, IORING_SETUP_CQE_MIXED, IORING_SETUP_SQE_MIXED,
    };

    for (size_t i = 0; i < COUNT(entries); i++)
        for (unsigned set = 0; set < 1u << COUNT(flags); set++)
            for (size_t j = 0; j < COUNT(entries); j++) {
                struct io_uring_params p = { .cq_entries = entries[j] };
                for (size_t bit = 0; bit < COUNT(flags); bit++)
                    p.flags |= set >> bit & 1 ? flags[bit] : 0;
                /* Without the flag the number says nothing. */
                if (j && !(p.flags & IORING_SETUP_CQSIZE))
                    break;
                say_size("memory_size_params", entries[i], &p,
                         io_uring_memory_size_params(entries[i], &p));
                if (j)
                    continue;
                say_size("memory_size", entries[i], &p, io_uring_memory_size(entries[i], p.flags));
                if (p.flags & ~(IORING_SETUP_CLAMP | IORING_SETUP_CQE32))
                    continue;
                say_size("mlock_size", entries[i], &p, io_uring_mlock_size(entries[i], p.flags));
                say_size("mlock_size_params", entries[i], &p,
                         io_uring_mlock_size_params(entries[i], &p));
            }
}

/* Every flag of a ring, and every two of them. */
static void making(void)
{
    struct io_uring_params p;
    ring_t ring;

    about = "making";
    for (int a = 0; a < 32; a++)
        for (int b = a; b < 32; b++) {
            unsigned flags = 1u << a | 1u << b;
            /* Kernels since 6.19 know these. */
            bool newer = flags & (IORING_SETUP_SQE_MIXED | IORING_SETUP_SQ_REWIND);
            int made = io_uring_queue_init(4, &ring, flags);
            printf("%squeue_init(4, %#x): %d", newer ? "newer: " : "", flags, made);
            if (!made) {
                printf(" %#x %d %d", ring.flags, ring.ring_fd == -1, !!ring.sq.array);
                io_uring_queue_exit(&ring);
            }
            printf("\n");
        }
    static const unsigned entries[] = { 0, 1, 3, 4097, 32768, 32769, UINT_MAX };
    for (size_t i = 0; i < COUNT(entries); i++)
        for (size_t j = 0; j < COUNT(entries); j++)
            for (unsigned flags = 0; flags < 4; flags++) {
                memset(&p, 0, sizeof p);
                p.flags = (flags & 1 ? IORING_SETUP_CLAMP : 0) | (flags & 2 ? IORING_SETUP_CQSIZE : 0);
                p.cq_entries = entries[j];
                int made = io_uring_queue_init_params(entries[i], &ring, &p);
                printf("queue_init_params(%u, %u, %u): %d %u %u\n", entries[i], entries[j], flags,
                       made, p.sq_entries, p.cq_entries);
                if (!made)
                    io_uring_queue_exit(&ring);
            }
    memset(&p, 0, sizeof p);
    p.resv[1] = 1;
    SAY(io_uring_queue_init_params(4, &ring, &p));

    static const size_t rooms[] = { 0, 1, 4095, 4096, 8191, 8192, sizeof zeroes };
    for (size_t i = 0; i < COUNT(entries); i++)
        for (size_t j = 0; j < COUNT(rooms); j++)
            for (unsigned skew = 0; skew < 2; skew++) {
                memset(&p, 0, sizeof p);
                refresh();
                int made = io_uring_queue_init_mem(entries[i], &ring, &p, zeroes + skew * 64,
                                                   rooms[j]);
                printf("queue_init_mem(%u, %u, %zu): %d\n", entries[i], skew, rooms[j], made);
                if (made >= 0)
                    io_uring_queue_exit(&ring);
            }
    for (unsigned i = 1; i < 64; i++) {
        memset(&p, 0, sizeof p);
        int made = io_uring_queue_init_mem(i, &ring, &p, NULL, i);
        printf("queue_init_mem(%u, null): %d\n", i, made);
        if (made >= 0) {
            printf("%d %zu\n", ring.sq.sqes_sz, ring.sq.ring_sz);
            io_uring_queue_exit(&ring);
        }
    }

    int file = open("/dev/null", O_RDWR);
    memset(&p, 0, sizeof p);
    SAY(io_uring_queue_mmap(-1, &p, &ring));
    SAY(io_uring_queue_mmap(12345, &p, &ring));
    SAY(io_uring_queue_mmap(file, &p, &ring));
    p.sq_entries = p.cq_entries = 8;
    SAY(io_uring_queue_mmap(-1, &p, &ring));
    SAY(io_uring_queue_mmap(12345, &p, &ring));
    SAY(io_uring_setup(0, &p));
    SAY(io_uring_setup(UINT_MAX, &p));
    SAY(io_uring_setup(4, NULL));
    SAY(io_uring_setup(4, NOWHERE));
    SAY(io_uring_enter(-1, 1, 1, 0, NULL));
    SAY(io_uring_enter(12345, 1, 1, 0, NULL));
    SAY(io_uring_enter(file, 1, 1, 0, NULL));
    SAY(io_uring_enter2(file, 1, 1, ~0u, NULL, 0));
    SAY(io_uring_enter2(12345, 1, 1, IORING_ENTER_REGISTERED_RING, NULL, 0));
    SAY(io_uring_register(-1, 0, NULL, 0));
    SAY(io_uring_register(12345, 0, NULL, 0));
    SAY(io_uring_register(file, 0, NULL, 0));
    SAY(io_uring_register(file, 12345, NULL, 0));
    SAY(io_uring_register(0, IORING_REGISTER_USE_REGISTERED_RING, NULL, 0));
    close(file);
}

static void resizing(void)
{
    static const unsigned entries[] = { 0, 1, 3, 16, 32769, UINT_MAX };
    ring_t ring;

    about = "resizing";
    for (int defer = 0; defer < 2; defer++) {
        unsigned flags = defer ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN : 0;
        IS(io_uring_queue_init(4, &ring, flags), 0);
        for (int bit = -1; bit < 32; bit++)
            for (size_t i = 0; i < COUNT(entries); i++)
                for (size_t j = 0; j < COUNT(entries); j++) {
                    struct io_uring_params p = {
                        .sq_entries = entries[i], .cq_entries = entries[j],
                        .flags = bit < 0 ? 0 : 1u << bit,
                    };
                    int done = io_uring_resize_rings(&ring, &p);
                    printf("resize_rings(%d, %u, %u): %d %u %u %u\n", bit, entries[i], entries[j],
                           done, p.flags, ring.sq.ring_entries, ring.cq.ring_entries);
                }
        io_uring_queue_exit(&ring);
    }
}

static void without_a_ring(void)
{
    about = "no ring";
    for (size_t place = 0; place < COUNT(places); place++) {
        void *at = places[place];
        refresh();
        printf("%s\n", place_names[place]);
        SAY(io_uring_register_query(at));
        refresh();
        SAY(io_uring_register_sync_msg(at));
        /* Zeroes would be a filter for this task, if there are any. */
        if (at != zeroes)
            SAY(io_uring_register_bpf_filter_task(at));
    }
    struct io_uring_sqe sqe = { .opcode = IORING_OP_MSG_RING, .fd = -1 };
    SAY(io_uring_register_sync_msg(&sqe));
    sqe.fd = 0;
    SAY(io_uring_register_sync_msg(&sqe));
    sqe.flags = IOSQE_IO_LINK;
    SAY(io_uring_register_sync_msg(&sqe));
    struct io_uring_query_hdr query = { .query_op = 12345 };
    SAY(io_uring_register_query(&query));
    SAY(query.result);
    query.result = 1;
    SAY(io_uring_register_query(&query));

    for (int major = -1; major < 4; major++)
        for (int minor = 14; minor < 17; minor++)
            SAY(io_uring_check_version(major, minor));
    SAY(io_uring_major_version());
    SAY(io_uring_minor_version());
    io_uring_free_probe(NULL);
}

int main(void)
{
    ring_t ring, wrong;

    IS(io_uring_queue_init(8, &ring, 0), 0);
    about = "a ring";
    SAY(io_uring_unregister_ring_fd(&ring));
    SAY(io_uring_close_ring_fd(&ring));
    shapes(&ring);
    resources(&ring);
    buffer_rings(&ring);
    waiting(&ring);

    /* The same ring, by a number that nothing has, or a file that is none. */
    wrong = ring;
    wrong.ring_fd = wrong.enter_ring_fd = 12345;
    cloning(&ring, &wrong);
    about = "no such number";
    shapes(&wrong);
    resources(&wrong);
    buffer_rings(&wrong);
    waiting(&wrong);
    about = "no ring's number";
    int file = open("/dev/null", O_RDWR);
    wrong.ring_fd = wrong.enter_ring_fd = file;
    shapes(&wrong);
    resources(&wrong);
    buffer_rings(&wrong);
    close(file);

    about = "an index";
    SAY(io_uring_register_ring_fd(&wrong));
    SAY(io_uring_register_ring_fd(&ring));
    SAY(io_uring_register_ring_fd(&ring));
    SAY(io_uring_close_ring_fd(&ring));
    SAY(io_uring_close_ring_fd(&ring));
    shapes(&ring);
    resources(&ring);
    buffer_rings(&ring);
    SAY(io_uring_unregister_ring_fd(&ring));
    SAY(io_uring_unregister_ring_fd(&ring));
    SAY(io_uring_submit_and_get_events(&ring));
    io_uring_queue_exit(&ring);

    about = "disabled";
    IS(io_uring_queue_init(8, &ring, IORING_SETUP_R_DISABLED), 0);
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    SAY(io_uring_submit(&ring));
    resources(&ring);
    buffer_rings(&ring);
    shapes(&ring);
    io_uring_queue_exit(&ring);

    registered_waits();
    making();
    resizing();
    sizes();
    without_a_ring();
    return 0;
}
