/* What the functions answer when something runs out: descriptors, memory, memory to lock, entries,
 * completions, buffers, places for files. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <liburing.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "newer.h"

/* In a process of its own, which the limits die with. */
static void apart(void (*work)(void))
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        work();
        _exit(0);
    }
    IS(waitpid(child, &status, 0), child);
    IS(status, 0);
}

static void limit(int which, rlim_t to)
{
    struct rlimit both = { to, to };
    IS(setrlimit(which, &both), 0);
}

static int lowest_free(void)
{
    int file = dup(0);
    CHECK(file >= 0);
    IS(close(file), 0);
    return file;
}

static int result_of(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    IS(io_uring_submit_and_wait(ring, 1), 1);
    IS(io_uring_wait_cqe(ring, &cqe), 0);
    int result = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return result;
}

static void no_descriptors(void)
{
    static int files[2000];
    struct io_uring_params params = { 0 };
    struct io_uring ring, second;

    IS(io_uring_queue_init(8, &ring, 0), 0);
    memset(files, -1, sizeof files);
    limit(RLIMIT_NOFILE, lowest_free());

    IS(io_uring_queue_init(8, &second, 0), -EMFILE);
    IS(io_uring_queue_init_params(8, &second, &params), -EMFILE);
    IS(io_uring_setup(8, &params), -EMFILE);
    CHECK(!io_uring_get_probe());
    /* How far the attempt came decides whether it is known that nothing is counted. */
    ssize_t locked = io_uring_mlock_size(8, 0);
    CHECK(locked == 0 || locked == io_uring_memory_size(8, 0));

    /* The ring that there is goes on; files of its own it may have as many as the limit allows. */
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    CHECK(probe);
    io_uring_free_probe(probe);
    io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, "/dev/null", O_RDONLY, 0);
    IS(result_of(&ring), -EMFILE);
    IS(io_uring_register_files(&ring, files, 2000), -EMFILE);
    IS(io_uring_register_files_sparse(&ring, 2000), -EMFILE);
    IS(io_uring_register_files_tags(&ring, files, NULL, 2000), -EMFILE);
    IS(io_uring_register_files(&ring, files, 3), 0);
    io_uring_queue_exit(&ring);
    /* The engine had its descriptors above the limit, where it finds no others. */
    IS(io_uring_queue_init(8, &ring, 0), in_user_mode() ? -EMFILE : 0);
}

static void no_memory(void)
{
    static char memory[16384] __attribute__((aligned(4096)));
    struct io_uring_params params = { 0 };
    struct io_uring ring, second;
    long pages;
    int error = 0;

    IS(io_uring_queue_init(8, &ring, 0), 0);
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    IS(result_of(&ring), 0);
    FILE *sizes = fopen("/proc/self/statm", "r");
    CHECK(sizes && fscanf(sizes, "%ld", &pages) == 1);
    fclose(sizes);
    int free = lowest_free();
    limit(RLIMIT_AS, (pages - 8) * 4096);

    IS(io_uring_queue_init(8, &second, 0), -ENOMEM);
    IS(io_uring_queue_init(4096, &second, 0), -ENOMEM);
    IS(io_uring_queue_init_mem(8, &second, &params, NULL, 0), -ENOMEM);
    CHECK(!io_uring_get_probe());
    CHECK(!io_uring_get_probe_ring(&ring));
    CHECK(!io_uring_setup_buf_ring(&ring, 16, 0, 0, &error));
    IS(error, -ENOMEM);
    memset(&params, 0, sizeof params);
    int made = io_uring_queue_init_mem(8, &second, &params, memory, sizeof memory);
    /* The engine in the process needs memory of its own, the kernel does not. */
    if (in_user_mode())
        CHECK(made == 8192 || made == -ENOMEM);
    else
        IS(made, 8192);
    if (made >= 0)
        io_uring_queue_exit(&second);
    /* What failed has left nothing open. */
    IS(lowest_free(), free);
    io_uring_prep_nop(io_uring_get_sqe(&ring));
    IS(result_of(&ring), 0);
    io_uring_queue_exit(&ring);
}

static void no_locked_memory(void)
{
    static char block[65536] __attribute__((aligned(4096)));
    struct iovec buffer = { block, sizeof block };
    struct io_uring ring;

    limit(RLIMIT_MEMLOCK, 0);
    /* Who may do anything may lock what it likes. */
    if (geteuid() == 0) {
        IS(setgroups(0, NULL), 0);
        IS(setresgid(65534, 65534, 65534), 0);
        IS(setresuid(65534, 65534, 65534), 0);
    }
    int made = io_uring_queue_init(8, &ring, 0);
    /* The engine locks nothing, and so is not in the limit's way. */
    if (in_user_mode()) {
        IS(made, 0);
        IS(io_uring_mlock_size(8, 0), 0);
        io_uring_queue_exit(&ring);
    } else {
        /* Some kernels count the queues, others only buffers. */
        CHECK(made == 0 || made == -ENOMEM);
        IS(io_uring_mlock_size(8, 0), made ? io_uring_memory_size(8, 0) : 0);
        if (!made) {
            IS(io_uring_register_buffers(&ring, &buffer, 1), -ENOMEM);
            io_uring_queue_exit(&ring);
        }
    }
}

static void no_room(void)
{
    struct io_uring_cqe *cqe, *all[16];
    struct io_uring ring;
    unsigned long next = 0;

    IS(io_uring_queue_init(8, &ring, 0), 0);
    for (int batch = 0; batch < 4; batch++) {
        for (int i = 0; i < 8; i++) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
            CHECK(sqe);
            io_uring_prep_nop(sqe);
            io_uring_sqe_set_data64(sqe, batch * 8 + i);
        }
        CHECK(!io_uring_get_sqe(&ring));
        IS(io_uring_sq_space_left(&ring), 0);
        IS(io_uring_sq_ready(&ring), 8);
        IS(io_uring_submit(&ring), 8);
    }
    /* Twice as many as there is room for: kept, and in order. */
    IS(io_uring_cq_ready(&ring), 16);
    CHECK(io_uring_cq_has_overflow(&ring));
    IS(*ring.cq.koverflow, 0);
    while (next < 32) {
        unsigned count = io_uring_peek_batch_cqe(&ring, all, 16);
        CHECK(count);
        for (unsigned i = 0; i < count; i++)
            IS(all[i]->user_data, next++);
        io_uring_cq_advance(&ring, count);
    }
    IS(io_uring_peek_cqe(&ring, &cqe), -EAGAIN);
    CHECK(!io_uring_cq_has_overflow(&ring));

    int pair[2];
    IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    IS(write(pair[1], "x", 1), 1);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_recv(sqe, pair[0], NULL, 8, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 3;
    IS(result_of(&ring), -ENOBUFS);

    IS(io_uring_register_files_sparse(&ring, 1), 0);
    for (int i = 0; i < 2; i++) {
        sqe = io_uring_get_sqe(&ring);
        io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null", O_RDONLY, 0);
        sqe->file_index = ~0u;
        IS(result_of(&ring), i ? -ENFILE : 0);
    }
    io_uring_queue_exit(&ring);
}

int main(void)
{
    apart(no_descriptors);
    apart(no_memory);
    apart(no_locked_memory);
    no_room();
    return 0;
}
