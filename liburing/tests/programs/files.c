/* A file, written and read back through a ring in several ways; says which engine served. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include "check.h"
#include "newer.h"

const char *sysring_ring_engine(const struct io_uring *ring);

enum { BLOCKS = 16, SIZE = 4096 };

static char written[BLOCKS][SIZE], found[BLOCKS][SIZE];

static void submit_and_reap(struct io_uring *ring, int count, int expected)
{
    IS(io_uring_submit(ring), count);
    for (int i = 0; i < count; i++) {
        struct io_uring_cqe *cqe;
        IS(io_uring_wait_cqe(ring, &cqe), 0);
        IS(cqe->res, expected);
        io_uring_cqe_seen(ring, cqe);
    }
}

static void plain(struct io_uring *ring, int file)
{
    for (int i = 0; i < BLOCKS; i++) {
        memset(written[i], 'a' + i, SIZE);
        io_uring_prep_write(io_uring_get_sqe(ring), file, written[i], SIZE, i * SIZE);
    }
    CHECK(!io_uring_get_sqe(ring));
    submit_and_reap(ring, BLOCKS, SIZE);
    for (int i = 0; i < BLOCKS; i++)
        io_uring_prep_read(io_uring_get_sqe(ring), file, found[i], SIZE, i * SIZE);
    submit_and_reap(ring, BLOCKS, SIZE);
    CHECK(!memcmp(written, found, sizeof found));
}

static void registered(struct io_uring *ring, int file)
{
    struct iovec buffers = { found, sizeof found };
    memset(found, 0, sizeof found);
    IS(io_uring_register_files(ring, &file, 1), 0);
    IS(io_uring_register_buffers(ring, &buffers, 1), 0);
    for (int i = 0; i < BLOCKS; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
        io_uring_prep_read_fixed(sqe, 0, found[i], SIZE, i * SIZE, 0);
        io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    }
    submit_and_reap(ring, BLOCKS, SIZE);
    CHECK(!memcmp(written, found, sizeof found));
    IS(io_uring_unregister_buffers(ring), 0);
    IS(io_uring_unregister_files(ring), 0);
}

static void linked(struct io_uring *ring, int file)
{
    struct __kernel_timespec soon = { .tv_nsec = 1000000 };
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    struct io_uring_cqe *cqe, *all[4];
    int ends[2];

    IS(pipe(ends), 0);
    io_uring_prep_read(sqe, ends[0], found[0], SIZE, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
    io_uring_sqe_set_data64(sqe, 1);
    sqe = io_uring_get_sqe(ring);
    io_uring_prep_link_timeout(sqe, &soon, 0);
    io_uring_sqe_set_data64(sqe, 2);
    IS(io_uring_submit_and_wait(ring, 2), 2);
    IS(io_uring_peek_batch_cqe(ring, all, 4), 2);
    for (int i = 0; i < 2; i++)
        IS(all[i]->res, all[i]->user_data == 1 ? -ECANCELED : -ETIME);
    io_uring_cq_advance(ring, 2);
    IS(io_uring_wait_cqe_timeout(ring, &cqe, &soon), -ETIME);
    close(ends[0]);
    close(ends[1]);
    (void)file;
}

static void polled(int file)
{
    struct io_uring ring;
    IS(io_uring_queue_init(BLOCKS, &ring, IORING_SETUP_SQPOLL), 0);
    plain(&ring, file);
    io_uring_queue_exit(&ring);
}

int main(void)
{
    struct io_uring ring;
    int file = fileno(tmpfile());

    memset(&ring, 0x5a, sizeof ring);
    IS(io_uring_queue_init(BLOCKS, &ring, 0), 0);
    puts(sysring_ring_engine(&ring));
    plain(&ring, file);
    registered(&ring, file);
    linked(&ring, file);
    IS(io_uring_register_ring_fd(&ring), 1);
    plain(&ring, file);
    IS(io_uring_close_ring_fd(&ring), 1);
    plain(&ring, file);
    io_uring_queue_exit(&ring);
    polled(file);
    return 0;
}
