/* A process that may not unlink, connect or open, and asks its ring to.
 *
 * confined EXPECTED WHO
 * EXPECTED: refused, by a ring of a process with a filter on unlinkat, connect and openat; openat2, with
 * a filter on that call alone; performed, whatever a filter on all of them says; or free, without one.
 * WHO: inline, async_worker, linked, sqpoll, or child (of a fork, with a ring of its own). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "ring.h"

enum { UNLINK, CONNECT, OPEN, MAKE, OPEN2, OPERATIONS };

/* The call that each operation is named for. */
static const int named_for[OPERATIONS] = { __NR_unlinkat, __NR_connect, __NR_openat, __NR_openat,
					   __NR_openat2 };

static void confine(unsigned refused)
{
	struct sock_filter code[2 * OPERATIONS + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = { 1, code };
	for (int n = 0; n < OPERATIONS; n++) {
		if (!(refused >> n & 1))
			continue;
		code[program.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
								   named_for[n], 0, 1);
		code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
								   SECCOMP_RET_ERRNO | EPERM);
	}
	code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static int lowest_free(void)
{
	int fd = dup(0);
	CHECK(fd >= 0 && !close(fd));
	return fd;
}

static int is_there(const char *name)
{
	return access(name, F_OK) == 0;
}

/* Makes what the operations are about. */
static void prepare(int *listens, int *connects, struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int file = open("doomed", O_WRONLY | O_CREAT, 0600);
	int secret = open("secret", O_WRONLY | O_CREAT, 0600);
	CHECK(file >= 0 && secret >= 0 && write(secret, "x", 1) == 1 && !close(file) && !close(secret));
	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	*listens = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	*connects = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(*listens >= 0 && *connects >= 0 && !bind(*listens, (void *)at, len));
	CHECK(!listen(*listens, 8) && !getsockname(*listens, (void *)at, &len));
}

/* Whether the file was opened for reading; it is closed then. */
static int has_secret(int fd)
{
	char byte;
	return fd >= 0 && read(fd, &byte, 1) == 1 && byte == 'x' && close(fd) == 0;
}

/* The operations of `filter` are refused by one; those of `refused` the ring is to refuse. */
static void ask(unsigned setup, unsigned char flags, unsigned filter, unsigned refused)
{
	struct ring r = { .p.flags = setup };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	struct open_how how = { .flags = O_RDONLY };
	struct sockaddr_in at, from;
	socklen_t len = sizeof(from);
	int listens, connects, res[OPERATIONS], seen = 0;
	prepare(&listens, &connects, &at);
	if (filter)
		confine(filter);
	CHECK(!try_ring(&r, 8));
	int next_fd = lowest_free();

	sqe = push(&r, IORING_OP_UNLINKAT, AT_FDCWD, UNLINK);
	sqe->addr = (unsigned long)"doomed";
	sqe->flags = flags;
	sqe = push(&r, IORING_OP_CONNECT, connects, CONNECT);
	sqe->addr = (unsigned long)&at;
	sqe->off = sizeof(at);
	sqe->flags = flags;
	sqe = push(&r, IORING_OP_OPENAT, AT_FDCWD, OPEN);
	sqe->addr = (unsigned long)"secret";
	sqe->open_flags = O_RDONLY;
	sqe->flags = flags;
	sqe = push(&r, IORING_OP_OPENAT2, AT_FDCWD, OPEN2);
	sqe->addr = (unsigned long)"secret";
	sqe->off = (unsigned long)&how;
	sqe->len = sizeof(how);
	sqe->flags = flags;
	/* One that has to make its file, too. */
	sqe = push(&r, IORING_OP_OPENAT, AT_FDCWD, MAKE);
	sqe->addr = (unsigned long)"made";
	sqe->open_flags = O_WRONLY | O_CREAT;
	sqe->len = 0600;
	sqe->flags = flags & ~IOSQE_IO_HARDLINK;
	for (int n = 0; n < OPERATIONS; n++)
		res[n] = 1;
	CHECK(syscall(__NR_io_uring_enter, r.fd, OPERATIONS, 0, IORING_ENTER_SQ_WAKEUP, 0, 8) ==
	      OPERATIONS);
	while (seen < OPERATIONS) {
		while (next(&r, &cqe)) {
			CHECK(cqe.user_data < OPERATIONS && res[cqe.user_data] == 1);
			res[cqe.user_data] = cqe.res;
			seen++;
		}
		CHECK(seen == OPERATIONS || enter(&r, 0, 1) == 0);
	}
	fprintf(stderr, "unlinkat %d, connect %d, openat %d and %d, openat2 %d\n", res[UNLINK],
		res[CONNECT], res[OPEN], res[MAKE], res[OPEN2]);
	for (int n = 0; n < OPERATIONS; n++)
		CHECK(refused >> n & 1 ? res[n] == -EPERM : res[n] >= 0);
	CHECK(is_there("doomed") == (refused >> UNLINK & 1));
	CHECK(is_there("made") == !(refused >> MAKE & 1));
	if (refused >> CONNECT & 1) {
		CHECK(accept(listens, 0, 0) == -1 && errno == EAGAIN);
		CHECK(getpeername(connects, (void *)&from, &len) == -1 && errno == ENOTCONN);
	} else {
		int accepted = accept(listens, 0, 0);
		CHECK(accepted >= 0 && !close(accepted));
	}
	if (res[MAKE] >= 0)
		CHECK(!close(res[MAKE]));
	CHECK(has_secret(res[OPEN]) == !(refused >> OPEN & 1));
	CHECK(has_secret(res[OPEN2]) == !(refused >> OPEN2 & 1));
	CHECK(lowest_free() == next_fd);
	/* And this is what the filter says to a plain call. */
	for (int n = 0; n < OPERATIONS; n++)
		if (filter >> n & 1)
			CHECK(syscall(named_for[n], -1, 0, 0, 0) == -1 && errno == EPERM);
	close_ring(&r);
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	const char *who = argv[2];
	const unsigned old = 1 << UNLINK | 1 << CONNECT | 1 << OPEN | 1 << MAKE, new = 1 << OPEN2;
	unsigned filter = 0, refused = 0;
	if (!strcmp(argv[1], "refused"))
		filter = refused = old;
	else if (!strcmp(argv[1], "openat2"))
		filter = refused = new;
	else if (!strcmp(argv[1], "performed"))
		filter = old | new;
	else
		CHECK(!strcmp(argv[1], "free"));
	if (!strcmp(who, "child")) {
		pid_t child = fork();
		if (child) {
			ends_well(child);
			return 0;
		}
	}
	ask(strcmp(who, "sqpoll") ? 0 : IORING_SETUP_SQPOLL,
	    !strcmp(who, "async_worker") ? IOSQE_ASYNC : !strcmp(who, "linked") ? IOSQE_IO_HARDLINK : 0,
	    filter, refused);
	return 0;
}
