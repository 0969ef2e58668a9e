/* Rings and threads: each its own, one for two, and rings that are one thread's alone. */
#define _GNU_SOURCE
#include <liburing.h>
#include <pthread.h>
#include <unistd.h>

#include "check.h"
#include "newer.h"

#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1u << 13)
#endif

enum { THREADS = 4, TURNS = 300, HANDED = 20000 };

static struct io_uring shared;

static void *own(void *unused)
{
    static const char content[16] = "a file's content";
    char block[sizeof content];
    struct io_uring_cqe *cqe;
    struct io_uring ring;
    FILE *file = tmpfile();

    CHECK(file);
    IS(io_uring_queue_init(8, &ring, 0), 0);
    IS(io_uring_register_ring_fd(&ring), 1);
    IS(write(fileno(file), content, sizeof content), sizeof content);
    for (int i = 0; i < TURNS; i++) {
        io_uring_prep_nop(io_uring_get_sqe(&ring));
        memset(block, 0, sizeof block);
        io_uring_prep_read(io_uring_get_sqe(&ring), fileno(file), block, sizeof block, 0);
        IS(io_uring_submit_and_wait(&ring, 2), 2);
        int sum = 0;
        for (int j = 0; j < 2; j++) {
            IS(io_uring_peek_cqe(&ring, &cqe), 0);
            sum += cqe->res;
            io_uring_cqe_seen(&ring, cqe);
        }
        IS(sum, sizeof content);
        CHECK(!memcmp(block, content, sizeof content));
    }
    IS(io_uring_unregister_ring_fd(&ring), 1);
    io_uring_queue_exit(&ring);
    fclose(file);
    return unused;
}

/* Submits to the ring that another thread takes the completions of. */
static void *hands_in(void *unused)
{
    for (unsigned long i = 0; i < HANDED;) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&shared);
        if (sqe) {
            io_uring_prep_nop(sqe);
            io_uring_sqe_set_data64(sqe, i++);
        }
        if (!sqe || i == HANDED || i % 3 == 0)
            CHECK(io_uring_submit(&shared) >= 0);
    }
    return unused;
}

static void takes_out(void)
{
    unsigned char seen[HANDED] = { 0 };
    struct io_uring_cqe *cqe;

    for (int i = 0; i < HANDED; i++) {
        IS(io_uring_wait_cqe(&shared, &cqe), 0);
        CHECK(cqe->user_data < HANDED);
        IS(seen[cqe->user_data]++, 0);
        IS(cqe->res, 0);
        io_uring_cqe_seen(&shared, cqe);
    }
    IS(io_uring_peek_cqe(&shared, &cqe), -EAGAIN);
}

/* A ring that is another thread's. */
static void *intrudes(void *unused)
{
    io_uring_prep_nop(io_uring_get_sqe(&shared));
    IS(io_uring_submit(&shared), -EEXIST);
    IS(io_uring_get_events(&shared), shared.flags & IORING_SETUP_DEFER_TASKRUN ? -EEXIST : 0);
    return unused;
}

/* Another thread's index of the ring is nobody's here; the engine's are the process's. */
static void *asks_by_index(void *unused)
{
    IS(io_uring_get_events(&shared), in_user_mode() ? 0 : -EINVAL);
    struct io_uring ring;
    IS(io_uring_queue_init(4, &ring, 0), 0);
    IS(io_uring_register_ring_fd(&ring), 1);
    IS(io_uring_get_events(&ring), 0);
    io_uring_queue_exit(&ring);
    IS(io_uring_get_events(&shared), in_user_mode() ? 0 : -EBADF);
    return unused;
}

static void *wakes(void *unused)
{
    usleep(20000);
    io_uring_prep_nop(io_uring_get_sqe(&shared));
    IS(io_uring_submit(&shared), 1);
    return unused;
}

static pthread_t start(void *(*work)(void *))
{
    pthread_t thread;
    IS(pthread_create(&thread, NULL, work, NULL), 0);
    return thread;
}

int main(void)
{
    static const unsigned alone[] = {
        IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    struct io_uring_cqe *cqe;
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        threads[i] = start(own);
    for (int i = 0; i < THREADS; i++)
        IS(pthread_join(threads[i], NULL), 0);

    IS(io_uring_queue_init(64, &shared, 0), 0);
    threads[0] = start(hands_in);
    takes_out();
    IS(pthread_join(threads[0], NULL), 0);
    threads[0] = start(wakes);
    IS(io_uring_wait_cqe(&shared, &cqe), 0);
    io_uring_cqe_seen(&shared, cqe);
    IS(pthread_join(threads[0], NULL), 0);
    IS(io_uring_register_ring_fd(&shared), 1);
    IS(pthread_join(start(asks_by_index), NULL), 0);
    IS(io_uring_get_events(&shared), 0);
    io_uring_queue_exit(&shared);

    for (int i = 0; i < 2; i++) {
        IS(io_uring_queue_init(4, &shared, alone[i]), 0);
        IS(pthread_join(start(intrudes), NULL), 0);
        IS(io_uring_submit_and_wait(&shared, 1), 1);
        IS(io_uring_peek_cqe(&shared, &cqe), 0);
        io_uring_queue_exit(&shared);
    }
    return 0;
}
