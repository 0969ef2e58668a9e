/* A process that may not unlink, connect or open, and asks its ring to.
 *
 * confined EXPECTED WHO
 * EXPECTED: refused or performed, by a ring of a process with the filter; or free, without it.
 * WHO: inline, async_worker, linked, sqpoll, or child (of a fork, with a ring of its own). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ring.h"

enum { UNLINK, CONNECT, OPEN, OPERATIONS };

static void confine(void)
{
#define REFUSE(number)                                                                             \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),                                         \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		REFUSE(__NR_unlinkat),
		REFUSE(__NR_connect),
		REFUSE(__NR_openat),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };
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

/* Makes what the three operations are about. */
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

static void ask(unsigned setup, unsigned char flags, int refused, int filter)
{
	struct ring r = { .p.flags = setup };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	struct sockaddr_in at, from;
	socklen_t len = sizeof(from);
	int listens, connects, res[2 * OPERATIONS], seen = 0;
	prepare(&listens, &connects, &at);
	if (filter)
		confine();
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
	/* One that has to make its file, too. */
	sqe = push(&r, IORING_OP_OPENAT, AT_FDCWD, OPERATIONS);
	sqe->addr = (unsigned long)"made";
	sqe->open_flags = O_WRONLY | O_CREAT;
	sqe->len = 0600;
	sqe->flags = flags & ~IOSQE_IO_HARDLINK;
	for (int n = 0; n < 4; n++)
		res[n] = 1;
	CHECK(syscall(__NR_io_uring_enter, r.fd, 4, 0, IORING_ENTER_SQ_WAKEUP, 0, 8) == 4);
	while (seen < 4) {
		while (next(&r, &cqe)) {
			CHECK(cqe.user_data < 4 && res[cqe.user_data] == 1);
			res[cqe.user_data] = cqe.res;
			seen++;
		}
		CHECK(seen == 4 || enter(&r, 0, 1) == 0);
	}
	fprintf(stderr, "unlinkat %d, connect %d, openat %d and %d\n", res[UNLINK], res[CONNECT],
		res[OPEN], res[OPERATIONS]);
	if (refused) {
		for (int n = 0; n < 4; n++)
			CHECK(res[n] == -EPERM);
		CHECK(is_there("doomed") && !is_there("made"));
		CHECK(lowest_free() == next_fd);
		CHECK(accept(listens, 0, 0) == -1 && errno == EAGAIN);
		CHECK(getpeername(connects, (void *)&from, &len) == -1 && errno == ENOTCONN);
	} else {
		char byte;
		CHECK(res[UNLINK] == 0 && !is_there("doomed"));
		CHECK(res[CONNECT] == 0 && accept(listens, 0, 0) >= 0);
		CHECK(res[OPEN] >= 0 && read(res[OPEN], &byte, 1) == 1 && byte == 'x');
		CHECK(res[OPERATIONS] >= 0 && is_there("made"));
	}
	if (filter) {
		/* And this is what the filter says to a plain call. */
		CHECK(syscall(__NR_unlinkat, AT_FDCWD, "secret", 0) == -1 && errno == EPERM);
		CHECK(syscall(__NR_connect, connects, &at, sizeof(at)) == -1 && errno == EPERM);
		CHECK(syscall(__NR_openat, AT_FDCWD, "secret", O_RDONLY) == -1 && errno == EPERM);
	}
	close_ring(&r);
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	const char *who = argv[2];
	int refused = !strcmp(argv[1], "refused"), filter = strcmp(argv[1], "free");
	if (!strcmp(who, "child")) {
		int status;
		pid_t child = fork();
		CHECK(child >= 0);
		if (child) {
			CHECK(waitpid(child, &status, 0) == child && status == 0);
			return 0;
		}
	}
	ask(strcmp(who, "sqpoll") ? 0 : IORING_SETUP_SQPOLL,
	    !strcmp(who, "async_worker") ? IOSQE_ASYNC : !strcmp(who, "linked") ? IOSQE_IO_HARDLINK : 0,
	    refused, filter);
	return 0;
}
