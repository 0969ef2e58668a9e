/* What the functions answer: to the letter what liburing does, most of all when something is
 * wrong. */
#define _GNU_SOURCE
#include <liburing.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "newer.h"

#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1u << 14)
#endif

static char memory[16384] __attribute__((aligned(4096)));
static struct __kernel_timespec soon = { .tv_nsec = 1000000 };

static void making(void)
{
    struct io_uring ring;
    struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .cq_entries = 100 };

    IS(io_uring_queue_init(0, &ring, 0), -EINVAL);
    IS(io_uring_queue_init(100000, &ring, 0), -EINVAL);
    IS(io_uring_queue_init(8, &ring, 1u << 31), -EINVAL);
    IS(io_uring_queue_init(8, &ring, 1u << 15), -EINVAL);
    IS(io_uring_queue_mmap(-1, &params, &ring), -EBADF);
    memset(&ring, 0, sizeof ring);
    IS(io_uring_ring_dontfork(&ring), -EINVAL);

    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = 100;
    IS(io_uring_queue_init_params(5, &ring, &params), 0);
    IS(params.sq_entries, 8);
    IS(params.cq_entries, 128);
    IS(ring.features, params.features);
    IS(ring.flags, params.flags);
    IS(*ring.sq.kring_entries, 8);
    IS(*ring.cq.kring_mask, 127);
    IS(io_uring_ring_dontfork(&ring), 0);
    io_uring_queue_exit(&ring);

    /* A ring made by hand has its array of indexes; with liburing since 2.3 the program fills it. */
    memset(&params, 0, sizeof params);
    int fd = io_uring_setup(4, &params);
    CHECK(fd >= 0);
    IS(io_uring_queue_mmap(fd, &params, &ring), 0);
    IS(ring.ring_fd, fd);
    IS(ring.sq.array[3], is_ours() ? 3 : 0);
    io_uring_queue_exit(&ring);

    /* No memory given: the library finds it, and says how much the ring takes. */
    memset(&params, 0, sizeof params);
    IS(io_uring_queue_init_mem(8, &ring, &params, NULL, 0), 8192);
    IS(params.flags & IORING_SETUP_NO_MMAP, IORING_SETUP_NO_MMAP);
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    IS(io_uring_submit_and_wait(&ring, 1), 1);
    io_uring_queue_exit(&ring);
    memset(&params, 0, sizeof params);
    IS(io_uring_queue_init_mem(8, &ring, &params, memory, 8191), -ENOMEM);
    memset(&params, 0, sizeof params);
    IS(io_uring_queue_init_mem(8, &ring, &params, memory, sizeof memory), 8192);
    CHECK((char *)ring.sq.sqes == memory);
    io_uring_queue_exit(&ring);

    IS(io_uring_setup(8, NULL), -EFAULT);
    IS(io_uring_enter(-1, 0, 0, 0, NULL), -EBADF);
    IS(io_uring_enter2(-1, 0, 0, 0, NULL, 0), -EBADF);
}

static void waiting(void)
{
    struct io_uring ring;
    struct io_uring_cqe *cqe = (void *)&ring, *all[8];

    IS(io_uring_queue_init(8, &ring, 0), 0);
    IS(io_uring_submit(&ring), 0);
    IS(io_uring_submit_and_wait(&ring, 0), 0);
    IS(io_uring_submit_and_get_events(&ring), 0);
    IS(io_uring_get_events(&ring), 0);
    IS(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
    IS(io_uring_peek_batch_cqe(&ring, all, 8), 0);
    IS(io_uring_wait_cqes(&ring, &cqe, 0, NULL, NULL), -EAGAIN);
    IS(io_uring_wait_cqe_timeout(&ring, &cqe, &soon), -ETIME);
    CHECK(!cqe);
    IS(io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &soon, NULL), -ETIME);
    IS(io_uring_submit_and_wait_timeout(&ring, &cqe, 0, NULL, NULL), -EAGAIN);

    /* The number taken; none where a completion was there before the call. */
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    IS(io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &soon, NULL), 1);
    CHECK(cqe);
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    IS(io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &soon, NULL), 0);
    IS(io_uring_cq_ready(&ring), 2);
    IS(io_uring_peek_batch_cqe(&ring, all, 1), 1);
    IS(io_uring_peek_batch_cqe(&ring, all, 8), 2);
    CHECK(all[1] == all[0] + 1);
    io_uring_cq_advance(&ring, 2);

    /* Waiting alone submits nothing. */
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    IS(io_uring_wait_cqes(&ring, &cqe, 1, &soon, NULL), -ETIME);
    IS(io_uring_sq_ready(&ring), 1);
    IS(io_uring_submit(&ring), 1);
    IS(io_uring_wait_cqe(&ring, &cqe), 0);
    io_uring_queue_exit(&ring);
}

static void naming(void)
{
    struct io_uring ring;
    struct io_uring_params params = { 0 };

    IS(io_uring_queue_init(8, &ring, 0), 0);
    IS(io_uring_unregister_ring_fd(&ring), -EINVAL);
    IS(io_uring_close_ring_fd(&ring), -EINVAL);
    IS(io_uring_register_ring_fd(&ring), 1);
    IS(io_uring_register_ring_fd(&ring), -EEXIST);
    IS(io_uring_unregister_ring_fd(&ring), 1);
    IS(ring.enter_ring_fd, ring.ring_fd);
    IS(io_uring_register_ring_fd(&ring), 1);
    IS(io_uring_close_ring_fd(&ring), 1);
    IS(ring.ring_fd, -1);
    IS(io_uring_close_ring_fd(&ring), -EBADF);
    IS(io_uring_submit(&ring), 0);
    params.flags = IORING_SETUP_CQSIZE;
    IS(io_uring_resize_rings(&ring, &params), -EINVAL);
    IS(params.flags, 0);
    io_uring_queue_exit(&ring);
}

static void resources(void)
{
    struct io_uring ring;
    struct rlimit limit = { 1024, 4096 };
    static int files[2000];
    int error = 7;
    uint16_t head = 7;

    IS(io_uring_queue_init(8, &ring, 0), 0);
    IS(io_uring_register_buffers(&ring, NULL, 0), -EFAULT);
    IS(io_uring_register_buffers_tags(&ring, NULL, NULL, 0), -EINVAL);
    IS(io_uring_unregister_buffers(&ring), -ENXIO);
    IS(io_uring_unregister_files(&ring), -ENXIO);
    IS(io_uring_register_files_sparse(&ring, 0), -EINVAL);
    IS(io_uring_register_files_update(&ring, 0, NULL, 0), -EINVAL);
    IS(io_uring_register_eventfd(&ring, -1), -EBADF);
    IS(io_uring_unregister_eventfd(&ring), -ENXIO);
    IS(io_uring_register_iowq_aff(&ring, 1ul << 32, NULL), -EINVAL);
    IS(io_uring_register_file_alloc_range(&ring, 0, 1), -EINVAL);
    IS(io_uring_register_sync_cancel(&ring, NULL), -EINVAL);

    /* Where the limit on open files is in the way, it is raised by as many as are wanted. */
    memset(files, -1, sizeof files);
    IS(setrlimit(RLIMIT_NOFILE, &limit), 0);
    IS(io_uring_register_files(&ring, files, 2000), 0);
    IS(getrlimit(RLIMIT_NOFILE, &limit), 0);
    IS(limit.rlim_cur, 3024);
    IS(io_uring_unregister_files(&ring), 0);

    CHECK(!io_uring_setup_buf_ring(&ring, 3, 0, 0, &error));
    IS(error, -EINVAL);
    CHECK(!io_uring_setup_buf_ring(&ring, 0, 0, 0, &error));
    IS(error, -EINVAL);
    struct io_uring_buf_ring *buffers = io_uring_setup_buf_ring(&ring, 16, 5, 0, &error);
    CHECK(buffers);
    IS(error, 0);
    IS(io_uring_buf_ring_head(&ring, 5, &head), 0);
    IS(head, 0);
    IS(io_uring_buf_ring_head(&ring, 6, &head), -ENOENT);
    IS(io_uring_free_buf_ring(&ring, buffers, 16, 5), 0);
    IS(io_uring_unregister_buf_ring(&ring, 5), -ENOENT);
    io_uring_queue_exit(&ring);
}

static void telling(void)
{
    struct io_uring_probe *probe = io_uring_get_probe();

    CHECK(probe);
    CHECK(io_uring_opcode_supported(probe, IORING_OP_NOP));
    CHECK(!io_uring_opcode_supported(probe, 255));
    io_uring_free_probe(probe);
    IS(io_uring_check_version(2, 15), 0);
    IS(io_uring_check_version(2, 16), 1);
    IS(io_uring_check_version(1, 99), 0);
    IS(io_uring_memory_size(0, 0), -EINVAL);
    IS(io_uring_memory_size(80, 0), 16384);
    IS(io_uring_memory_size(2560, 0), 413696);
    IS(io_uring_memory_size(2560, IORING_SETUP_CQE32), 544768);
    IS(io_uring_memory_size(40960, 0), -EINVAL);
    IS(io_uring_memory_size(40960, IORING_SETUP_CLAMP), 3280896);
    IS(io_uring_mlock_size(8, 0), 0);
    IS(io_uring_mlock_size(0, 0), -EINVAL);
    IS(io_uring_mlock_size(40000, 0), -EINVAL);
    IS(io_uring_mlock_size(40000, IORING_SETUP_CLAMP), 3280896);
}

int main(void)
{
    making();
    waiting();
    naming();
    resources();
    telling();
    return 0;
}
