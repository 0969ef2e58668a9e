/* liburing-ffi's functions fill entries, byte for byte, as the inline functions of the headers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <liburing.h>

#include "check.h"

/* An entry is cleared when it is taken, and what is not prepared is left alone. */
#define FILL 0xa5

static void *library;
static struct io_uring_sqe inlined, called;

#define SAME(function, ...)                                                     \
    do {                                                                        \
        __typeof__(&function) symbol = dlsym(library, #function);               \
        CHECK(symbol);                                                          \
        memset(&inlined, FILL, sizeof inlined);                                 \
        memset(&called, FILL, sizeof called);                                   \
        function(&inlined, ##__VA_ARGS__);                                      \
        symbol(&called, ##__VA_ARGS__);                                         \
        if (memcmp(&inlined, &called, sizeof called)) {                         \
            fprintf(stderr, "%s differs\n", #function);                         \
            exit(1);                                                            \
        }                                                                       \
        count++;                                                                \
    } while (0)

#define P(n) ((void *)(0x7f1122330000 + (n)))
#define BIG 0x1122334455667788

static int count;

/* Newer than the headers of 2.15. */
#define io_uring_prep_cmd_zone_reset_all zone_reset_all

static void zone_reset_all(struct io_uring_sqe *sqe, int fd)
{
    io_uring_prep_uring_cmd(sqe, _IO(0x12, 1), fd);
}

static void files(void)
{
    SAME(io_uring_prep_read, 7, P(1), 4096, BIG);
    SAME(io_uring_prep_write, 7, P(1), 4096, BIG);
    SAME(io_uring_prep_readv, 7, P(1), 3, BIG);
    SAME(io_uring_prep_writev, 7, P(1), 3, BIG);
    SAME(io_uring_prep_readv2, 7, P(1), 3, BIG, -9);
    SAME(io_uring_prep_writev2, 7, P(1), 3, BIG, 9);
    SAME(io_uring_prep_read_fixed, 7, P(1), 4096, BIG, 70001);
    SAME(io_uring_prep_write_fixed, 7, P(1), 4096, BIG, 5);
    SAME(io_uring_prep_fsync, 7, 1);
    SAME(io_uring_prep_sync_file_range, 7, 99, BIG, 3);
    SAME(io_uring_prep_fallocate, 7, -1, BIG, 4096);
    SAME(io_uring_prep_fadvise, 7, BIG, 4096, 3);
    SAME(io_uring_prep_splice, 7, -1, 8, BIG, 4096, 3);
    SAME(io_uring_prep_tee, 7, 8, 4096, 3);
    SAME(io_uring_prep_openat, -100, P(1), 0x80000042, 0640);
    SAME(io_uring_prep_openat_direct, -100, P(1), 2, 0640, 5);
    SAME(io_uring_prep_openat2, -100, P(1), P(2));
    SAME(io_uring_prep_openat2_direct, -100, P(1), P(2), 5);
    SAME(io_uring_prep_close, 7);
    SAME(io_uring_prep_close_direct, 7);
    SAME(io_uring_prep_files_update, P(1), 3, -2);
}

static void names(void)
{
    SAME(io_uring_prep_statx, -100, P(1), 0x100, 0xfff, P(2));
    SAME(io_uring_prep_unlinkat, 7, P(1), 0x200);
    SAME(io_uring_prep_unlink, P(1), 0);
    SAME(io_uring_prep_renameat, 7, P(1), 8, P(2), 1);
    SAME(io_uring_prep_rename, P(1), P(2));
    SAME(io_uring_prep_mkdirat, 7, P(1), 0755);
    SAME(io_uring_prep_mkdir, P(1), 0755);
    SAME(io_uring_prep_symlinkat, P(1), 7, P(2));
    SAME(io_uring_prep_symlink, P(1), P(2));
    SAME(io_uring_prep_linkat, 7, P(1), 8, P(2), 0x400);
    SAME(io_uring_prep_link, P(1), P(2), 0);
    SAME(io_uring_prep_getxattr, P(1), P(2), P(3), 99);
    SAME(io_uring_prep_setxattr, P(1), P(2), P(3), 2, 99);
    SAME(io_uring_prep_fgetxattr, 7, P(1), P(2), 99);
    SAME(io_uring_prep_fsetxattr, 7, P(1), P(2), 2, 99);
}

static void sockets(void)
{
    SAME(io_uring_prep_accept, 7, P(1), P(2), 0x800);
    SAME(io_uring_prep_accept_direct, 7, P(1), P(2), 0x800, 9);
    SAME(io_uring_prep_multishot_accept, 7, P(1), P(2), 0x800);
    SAME(io_uring_prep_multishot_accept_direct, 7, P(1), P(2), 0x800);
    SAME(io_uring_prep_connect, 7, P(1), 16);
    SAME(io_uring_prep_shutdown, 7, 2);
    SAME(io_uring_prep_socket, 2, 1, -1, 3);
    SAME(io_uring_prep_socket_direct, 2, 1, 6, 4, 3);
    SAME(io_uring_prep_socket_direct_alloc, 2, 1, 6, 3);
    SAME(io_uring_prep_send, 7, P(1), 0x100000000 + 9, 0x4000);
    SAME(io_uring_prep_recv, 7, P(1), 9, 0x40);
    SAME(io_uring_prep_recv_multishot, 7, P(1), 0, 0x40);
    SAME(io_uring_prep_send_zc, 7, P(1), 9, 0x4000, 5);
    SAME(io_uring_prep_send_zc_fixed, 7, P(1), 9, 0x4000, 5, 6);
    SAME(io_uring_prep_send_set_addr, P(1), 28);
    SAME(io_uring_prep_sendmsg, 7, P(1), 0x4000);
    SAME(io_uring_prep_sendmsg_zc, 7, P(1), 0x4000);
    SAME(io_uring_prep_recvmsg, 7, P(1), 0x40);
    SAME(io_uring_prep_recvmsg_multishot, 7, P(1), 0x40);
}

static void notices(void)
{
    SAME(io_uring_prep_nop);
    SAME(io_uring_prep_poll_add, 7, 0x80000001);
    SAME(io_uring_prep_poll_multishot, 7, 0x2001);
    SAME(io_uring_prep_poll_remove, BIG);
    SAME(io_uring_prep_poll_update, BIG, BIG + 1, 4, 3);
    SAME(io_uring_prep_epoll_ctl, 7, 8, 1, P(1));
    SAME(io_uring_prep_timeout, P(1), 9, 1);
    SAME(io_uring_prep_timeout_remove, BIG, 1);
    SAME(io_uring_prep_timeout_update, P(1), BIG, 1);
    SAME(io_uring_prep_link_timeout, P(1), 1);
    SAME(io_uring_prep_cancel, P(1), 1);
    SAME(io_uring_prep_cancel64, BIG, 1);
    SAME(io_uring_prep_cancel_fd, 7, 1);
    SAME(io_uring_prep_madvise, P(1), 4096, 3);
    SAME(io_uring_prep_provide_buffers, P(1), 4096, 16, 70001, 3);
    SAME(io_uring_prep_remove_buffers, 16, 3);
    SAME(io_uring_prep_msg_ring, 7, 9, BIG, 1);
    SAME(io_uring_sqe_set_data, P(1));
    SAME(io_uring_sqe_set_data64, BIG);
    SAME(io_uring_sqe_set_flags, 0x1ff);
}

/* What came after 2.3. */
static void newer(void)
{
    SAME(io_uring_prep_readv_fixed, 7, P(1), 3, BIG, 9, 5);
    SAME(io_uring_prep_writev_fixed, 7, P(1), 3, BIG, 9, 5);
    SAME(io_uring_prep_read_multishot, 7, 99, BIG, 5);
    SAME(io_uring_prep_ftruncate, 7, BIG);
    SAME(io_uring_prep_fadvise64, 7, BIG, BIG, 3);
    SAME(io_uring_prep_madvise64, P(1), BIG, 3);
    SAME(io_uring_prep_open, P(1), 2, 0640);
    SAME(io_uring_prep_open_direct, P(1), 2, 0640, IORING_FILE_INDEX_ALLOC);
    SAME(io_uring_prep_fixed_fd_install, 7, 1);
    SAME(io_uring_prep_pipe, P(1), 0x80000);
    SAME(io_uring_prep_pipe_direct, P(1), 0, IORING_FILE_INDEX_ALLOC);
    SAME(io_uring_prep_bind, 7, P(1), 16);
    SAME(io_uring_prep_listen, 7, 128);
    SAME(io_uring_prep_send_bundle, 7, 9, 0x4000);
    SAME(io_uring_prep_sendto, 7, P(1), 9, 0x4000, P(2), 28);
    SAME(io_uring_prep_sendmsg_zc_fixed, 7, P(1), 0x4000, 6);
    SAME(io_uring_prep_cmd_sock, 2, 7, 1, -2, P(1), 4);
    SAME(io_uring_prep_cmd_getsockname, 7, P(1), P(2), 1);
    SAME(io_uring_prep_cmd_discard, 7, BIG, BIG + 1);
    SAME(io_uring_prep_cmd_zone_reset_all, 7);
    SAME(io_uring_prep_uring_cmd, -7, 8);
    SAME(io_uring_prep_uring_cmd128, -7, 8);
    SAME(io_uring_prep_nop128);
    SAME(io_uring_prep_epoll_wait, 7, P(1), 9, 1);
    SAME(io_uring_prep_waitid, 1, 99, P(1), 4, 1);
    SAME(io_uring_prep_futex_wake, P(1), BIG, BIG + 1, 2, 1);
    SAME(io_uring_prep_futex_wait, P(1), BIG, BIG + 1, 2, 1);
    SAME(io_uring_prep_futex_waitv, P(1), 9, 1);
    SAME(io_uring_prep_openat_direct, -100, P(1), 2, 0640, IORING_FILE_INDEX_ALLOC);
    SAME(io_uring_prep_socket_direct, 2, 1, 6, IORING_FILE_INDEX_ALLOC, 3);
    SAME(io_uring_sqe_set_buf_group, 70001);
    SAME(io_uring_prep_msg_ring_cqe_flags, 7, 9, BIG, 1, 33);
    SAME(io_uring_prep_msg_ring_fd, 7, 8, 9, BIG, 1);
    SAME(io_uring_prep_msg_ring_fd, 7, -8, IORING_FILE_INDEX_ALLOC, BIG, 1);
    SAME(io_uring_prep_msg_ring_fd_alloc, 7, 8, BIG, 1);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    library = dlopen(argv[1], RTLD_NOW);
    CHECK(library);
    files();
    names();
    sockets();
    notices();
    newer();
    printf("%d functions\n", count);
    return 0;
}
