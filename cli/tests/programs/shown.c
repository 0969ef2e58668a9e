/* Operations of every family, each for itself, and on standard output what strace must show of each:
 * parts of one line, separated by tabs. The program makes none of these calls.
 *
 * shown WHO: inline, async_worker, linked, sqpoll, or child (of a fork, with a ring of its own). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "ring.h"

/* Newer than the headers of some systems. */
enum { OP_FUTEX_WAKE = 52, OP_FTRUNCATE = 55, OP_BIND = 56, OP_LISTEN = 57, OP_PIPE = 62 };

static struct ring r;
static unsigned char flags;
static int link_first;

/* The next operation; a link has something before it. */
static struct io_uring_sqe *begin(int op, int fd, const void *addr, unsigned len)
{
	struct io_uring_sqe *sqe;
	if (link_first)
		push(&r, IORING_OP_NOP, -1, 1)->flags = IOSQE_IO_LINK;
	sqe = push(&r, op, fd, 2);
	sqe->addr = (unsigned long)addr;
	sqe->len = len;
	sqe->flags = flags;
	return sqe;
}

/* Runs it, and tells what must be seen. */
static int end(const char *seen)
{
	struct io_uring_cqe cqe = { 0 };
	int count = 1 + link_first;
	CHECK(syscall(__NR_io_uring_enter, r.fd, count, 0, IORING_ENTER_SQ_WAKEUP, 0, 8) == count);
	while (cqe.user_data != 2)
		CHECK(next(&r, &cqe) || enter(&r, 0, 1) == 0);
	if (cqe.res < 0)
		fprintf(stderr, "%s: %d\n", seen, cqe.res);
	puts(seen);
	return cqe.res;
}

static void make(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && !close(fd));
}

static void files(void)
{
	static char text[5000], pages[8192] __attribute__((aligned(4096)));
	char got[8], stat[256];
	struct iovec two[] = { { got, 4 }, { got + 4, 4 } };
	struct open_how how = { .flags = O_RDONLY };
	int file = open("file", O_RDWR | O_CREAT, 0600), high = dup2(file, 77);
	CHECK(file >= 0 && high == 77 && write(file, text, sizeof(text)) == sizeof(text));
	begin(IORING_OP_READ, file, got, 8)->off = 1000;
	CHECK(end("preadv2(\t, 1, 1000, ") == 8);
	begin(IORING_OP_WRITE, file, "hello", 5)->off = 2000;
	CHECK(end("pwritev2(\t, 1, 2000, ") == 5);
	begin(IORING_OP_READV, file, two, 2)->off = 1004;
	CHECK(end("preadv2(\t, 2, 1004, ") == 8);
	begin(IORING_OP_WRITEV, file, two, 2)->off = 2004;
	CHECK(end("pwritev2(\t, 2, 2004, ") == 8);
	begin(IORING_OP_FSYNC, file, 0, 0);
	CHECK(end("fsync(") == 0);
	begin(IORING_OP_FSYNC, file, 0, 0)->fsync_flags = IORING_FSYNC_DATASYNC;
	CHECK(end("fdatasync(") == 0);
	begin(IORING_OP_SYNC_FILE_RANGE, file, 0, 8192);
	CHECK(end("sync_file_range(\t, 0, 8192, ") == 0);
	begin(IORING_OP_FALLOCATE, file, (void *)12288, 0);
	CHECK(end("fallocate(\t, 0, 12288)") == 0);
	begin(OP_FTRUNCATE, file, 0, 0)->off = 16384;
	CHECK(end("ftruncate(\t, 16384)") == 0);
	begin(IORING_OP_FADVISE, file, 0, 0)->fadvise_advice = POSIX_FADV_RANDOM;
	CHECK(end("fadvise64(\tPOSIX_FADV_RANDOM") == 0);
	begin(IORING_OP_MADVISE, -1, pages, 4096)->fadvise_advice = MADV_RANDOM;
	CHECK(end("madvise(\tMADV_RANDOM") == 0);
	begin(IORING_OP_STATX, AT_FDCWD, "file", 0x7ff)->off = (unsigned long)stat;
	CHECK(end("statx(AT_FDCWD, \"file\"") == 0);
	begin(IORING_OP_OPENAT, AT_FDCWD, "file", 0)->open_flags = O_RDONLY;
	CHECK(end("openat(AT_FDCWD, \"file\", O_RDONLY") >= 0);
	begin(IORING_OP_OPENAT2, AT_FDCWD, "file", sizeof(how))->off = (unsigned long)&how;
	CHECK(end("openat2(AT_FDCWD, \"file\", {flags=O_RDONLY") >= 0);
	begin(IORING_OP_CLOSE, 77, 0, 0);
	CHECK(end("close(77)") == 0);
}

static void names(void)
{
	int res;
	make("doomed");
	make("old");
	make("first");
	begin(IORING_OP_UNLINKAT, AT_FDCWD, "doomed", 0);
	CHECK(end("unlinkat(AT_FDCWD, \"doomed\", 0)") == 0);
	begin(IORING_OP_RENAMEAT, AT_FDCWD, "old", AT_FDCWD)->off = (unsigned long)"new";
	CHECK(end("renameat2(AT_FDCWD, \"old\", AT_FDCWD, \"new\"") == 0);
	begin(IORING_OP_MKDIRAT, AT_FDCWD, "folder", 0700);
	CHECK(end("mkdirat(AT_FDCWD, \"folder\", 0700)") == 0);
	begin(IORING_OP_SYMLINKAT, AT_FDCWD, "first", 0)->off = (unsigned long)"symlink";
	CHECK(end("symlinkat(\"first\", AT_FDCWD, \"symlink\")") == 0);
	begin(IORING_OP_LINKAT, AT_FDCWD, "first", AT_FDCWD)->off = (unsigned long)"second";
	CHECK(end("linkat(AT_FDCWD, \"first\", AT_FDCWD, \"second\", 0)") == 0);
	struct io_uring_sqe *sqe = begin(IORING_OP_SETXATTR, 0, "user.shown", 1);
	sqe->off = (unsigned long)"v";
	sqe->addr3 = (unsigned long)"first";
	/* Not every file system has them. */
	res = end("setxattr(\t\"user.shown\"");
	CHECK(res == 0 || res == -EOPNOTSUPP);
}

static void sockets(void)
{
	struct sockaddr_un at = { AF_UNIX, "socket" };
	struct iovec vector = { "in a message", 12 };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	char got[16];
	struct iovec into = { got, 16 };
	struct msghdr taken = { .msg_iov = &into, .msg_iovlen = 1 };
	int near, far, listens = socket(AF_UNIX, SOCK_STREAM, 0);
	begin(IORING_OP_SOCKET, AF_UNIX, 0, 0)->off = SOCK_SEQPACKET;
	CHECK(end("socket(AF_UNIX, SOCK_SEQPACKET") >= 0);
	begin(OP_BIND, listens, &at, 0)->off = sizeof(at);
	CHECK(end("bind(\t\"socket\"") == 0);
	begin(OP_LISTEN, listens, 0, 33);
	CHECK(end("listen(\t, 33)") == 0);
	near = socket(AF_UNIX, SOCK_STREAM, 0);
	begin(IORING_OP_CONNECT, near, &at, 0)->off = sizeof(at);
	CHECK(end("connect(\t\"socket\"") == 0);
	begin(IORING_OP_ACCEPT, listens, 0, 0)->accept_flags = SOCK_CLOEXEC;
	CHECK((far = end("accept4(\tSOCK_CLOEXEC")) >= 0);
	begin(IORING_OP_SEND, near, "alone", 5);
	CHECK(end("sendto(\t\"alone\"") == 5);
	begin(IORING_OP_RECV, far, got, 16);
	CHECK(end("recvfrom(\t\"alone\"") == 5);
	begin(IORING_OP_SENDMSG, near, &message, 1);
	CHECK(end("sendmsg(\t\"in a message\"") == 12);
	begin(IORING_OP_RECVMSG, far, &taken, 1);
	CHECK(end("recvmsg(\t\"in a message\"") == 12);
	begin(IORING_OP_SHUTDOWN, near, 0, SHUT_WR);
	CHECK(end("shutdown(\tSHUT_WR") == 0);
}

static void others(void)
{
	static unsigned word;
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 21337 };
	int from[2], to[2], ends[2], set = epoll_create1(0);
	struct io_uring_sqe *sqe;
	CHECK(!pipe(from) && !pipe(to) && write(from[1], "12345678", 8) == 8);
	sqe = begin(IORING_OP_TEE, to[1], 0, 3);
	sqe->splice_fd_in = from[0];
	CHECK(end("tee(\t, 3, ") == 3);
	sqe = begin(IORING_OP_SPLICE, to[1], 0, 4);
	sqe->splice_fd_in = from[0];
	sqe->off = sqe->splice_off_in = -1ull;
	CHECK(end("splice(\t, NULL, 4, ") == 4);
	begin(OP_PIPE, 0, ends, 0)->rw_flags = O_DIRECT;
	CHECK(end("pipe2(\tO_DIRECT") == 0);
	begin(IORING_OP_EPOLL_CTL, set, &event, EPOLL_CTL_ADD)->off = from[0];
	CHECK(end("epoll_ctl(\tEPOLL_CTL_ADD\t21337") == 0);
	/* FUTEX2_SIZE_U32 and FUTEX2_PRIVATE. */
	sqe = begin(OP_FUTEX_WAKE, 2 | 128, &word, 0);
	sqe->off = 41;
	sqe->addr3 = FUTEX_BITSET_MATCH_ANY;
	CHECK(end("futex(\tFUTEX_WAKE_BITSET_PRIVATE, 41") == 0);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	const char *who = argv[1];
	if (!strcmp(who, "child")) {
		pid_t child = fork();
		if (child) {
			ends_well(child);
			return 0;
		}
	}
	flags = strcmp(who, "async_worker") ? 0 : IOSQE_ASYNC;
	link_first = !strcmp(who, "linked");
	r.p.flags = strcmp(who, "sqpoll") ? 0 : IORING_SETUP_SQPOLL;
	CHECK(!try_ring(&r, 8));
	files();
	names();
	sockets();
	others();
	close_ring(&r);
	return 0;
}
