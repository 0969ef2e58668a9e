/* What programs do with processes, threads and privileges while they have rings. Each case prints
 * nothing and exits 0, or says what was wrong and exits 1; 77 if it cannot be tried. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ring.h"

#define CANNOT 77

extern char **environ;

/* One operation, to its end. */
static int one(struct ring *r, int op, int fd, const void *at, unsigned len)
{
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe = push(r, op, fd, 7);
	sqe->addr = (unsigned long)at;
	sqe->len = len;
	CHECK(enter(r, 1, 1) == 1 && next(r, &cqe) && cqe.user_data == 7);
	return cqe.res;
}

/* Some that are done at once, some that wait, and one for which a worker may be needed. */
static void works(struct ring *r)
{
	struct io_uring_cqe cqe;
	char name[] = "/tmp/sysring-processes-XXXXXX", got[8];
	int pair[2], file = mkstemp(name);
	CHECK(file >= 0 && !unlink(name) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(one(r, IORING_OP_NOP, -1, 0, 0) == 0);
	CHECK(one(r, IORING_OP_WRITE, file, "hello", 5) == 5);
	CHECK(one(r, IORING_OP_FSYNC, file, 0, 0) == 0);
	struct io_uring_sqe *sqe = push(r, IORING_OP_RECV, pair[0], 8);
	sqe->addr = (unsigned long)got;
	sqe->len = 8;
	CHECK(enter(r, 1, 0) == 1);
	CHECK(write(pair[1], "there", 5) == 5);
	CHECK(enter(r, 0, 1) == 0 && next(r, &cqe) && cqe.user_data == 8 && cqe.res == 5);
	close(file);
	close(pair[0]);
	close(pair[1]);
}

static void ends_well(pid_t child)
{
	int status;
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	if (status)
		fprintf(stderr, "child ended with %#x\n", status);
	CHECK(status == 0);
}

/* Privileges given up after the ring was made: what follows is done without them. */
static void setuid_later(void)
{
	struct ring r;
	if (geteuid())
		exit(CANNOT);
	char name[] = "/tmp/sysring-processes-XXXXXX";
	int file = mkstemp(name);
	CHECK(file >= 0 && !fchmod(file, 0600));
	open_ring(&r, 8);
	works(&r);
	CHECK(!setgid(65534) && !setuid(65534));
	works(&r);
	for (int forced = 0; forced < 2; forced++) {
		struct io_uring_cqe cqe;
		struct io_uring_sqe *sqe = push(&r, IORING_OP_OPENAT, AT_FDCWD, 9);
		sqe->addr = (unsigned long)name;
		sqe->open_flags = O_RDONLY;
		sqe->flags = forced ? IOSQE_ASYNC : 0;
		CHECK(enter(&r, 1, 1) == 1 && next(&r, &cqe));
		CHECK(cqe.res == -EACCES);
	}
	close_ring(&r);
	/* And what was made without them works as well. */
	open_ring(&r, 8);
	works(&r);
	close_ring(&r);
}

/* Everything is closed, as daemons do: the ring is gone, and the next one works. */
static void all_closed(void)
{
	struct ring r;
	open_ring(&r, 8);
	works(&r);
	push(&r, IORING_OP_POLL_ADD, r.fd, 1)->poll32_events = POLLIN;
	CHECK(enter(&r, 1, 0) == 1);
	CHECK(!syscall(__NR_close_range, 3, ~0u, 0));
	CHECK(enter(&r, 0, 0) == -1 && errno == EBADF);
	for (int i = 0; i < 3; i++) {
		open_ring(&r, 8);
		works(&r);
		CHECK(!syscall(__NR_close_range, 3, ~0u, 0));
	}
	open_ring(&r, 8);
	for (int fd = 3; fd < 1024; fd++)
		if (fd != r.fd)
			close(fd);
	works(&r);
	close_ring(&r);
}

/* A file system, and other things that can be a thread's own. */
static void *unshares(void *arg)
{
	struct ring *r = arg, mine;
	CHECK(!unshare(CLONE_FS | CLONE_SYSVSEM));
	works(r);
	open_ring(&mine, 8);
	works(&mine);
	close_ring(&mine);
	return 0;
}

static void unshared(void)
{
	struct ring r;
	pthread_t thread;
	open_ring(&r, 8);
	works(&r);
	CHECK(!pthread_create(&thread, 0, unshares, &r) && !pthread_join(thread, 0));
	CHECK(!unshare(CLONE_FS | CLONE_SYSVSEM));
	works(&r);
	close_ring(&r);
}

/* A filter of the program's own, made while it has a ring: calls it refuses the ring refuses. */
static void own_filter(void)
{
	struct ring r;
	struct sock_filter refuse_mkdirat[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mkdirat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, refuse_mkdirat };
	open_ring(&r, 8);
	works(&r);
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program));
	works(&r);
	CHECK(mkdirat(AT_FDCWD, "/tmp/sysring-never", 0700) == -1 && errno == EXDEV);
	close_ring(&r);
	open_ring(&r, 8);
	works(&r);
	close_ring(&r);
}

#define CROWD 32
#define EACH 500

static struct ring shared;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned completed;

static void *submits_and_reaps(void *arg)
{
	struct io_uring_cqe cqe;
	for (int i = 0; i < EACH; i++) {
		CHECK(!pthread_mutex_lock(&turn));
		push(&shared, IORING_OP_NOP, -1, (unsigned long)arg);
		CHECK(enter(&shared, 1, 0) == 1);
		while (next(&shared, &cqe)) {
			CHECK(cqe.user_data < CROWD && cqe.res == 0);
			completed++;
		}
		CHECK(!pthread_mutex_unlock(&turn));
	}
	return 0;
}

static void *has_its_own(void *arg)
{
	struct ring r;
	(void)arg;
	open_ring(&r, 8);
	for (int i = 0; i < 20; i++)
		works(&r);
	close_ring(&r);
	return 0;
}

static void crowd(void *(*does)(void *))
{
	pthread_t threads[CROWD];
	for (unsigned long i = 0; i < CROWD; i++)
		CHECK(!pthread_create(&threads[i], 0, does, (void *)i));
	for (int i = 0; i < CROWD; i++)
		CHECK(!pthread_join(threads[i], 0));
}

/* Thirty-two threads on one ring, and with a ring each. */
static void many_threads(void)
{
	struct io_uring_cqe cqe;
	open_ring(&shared, 64);
	crowd(submits_and_reaps);
	while (next(&shared, &cqe))
		completed++;
	CHECK(completed == CROWD * EACH);
	close_ring(&shared);
	crowd(has_its_own);
}

static void *opens(void *arg)
{
	struct ring *r = arg;
	static char got[8];
	open_ring(r, 8);
	works(r);
	/* Under way when its thread ends: the other end is the ring's first descriptor of that kind. */
	int *pair = (int *)got;
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	push(r, IORING_OP_POLL_ADD, pair[0], 5)->poll32_events = POLLIN;
	CHECK(enter(r, 1, 0) == 1);
	return (void *)(long)pair[1];
}

/* A ring made by a thread that ends, with a request under way. */
static void passed_on(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	pthread_t thread;
	void *end;
	CHECK(!pthread_create(&thread, 0, opens, &r) && !pthread_join(thread, &end));
	works(&r);
	CHECK(write((long)end, "x", 1) == 1);
	CHECK(enter(&r, 0, 1) == 0 && next(&r, &cqe) && cqe.user_data == 5);
	/* Linux cancels what a thread leaves behind. */
	CHECK(cqe.res == POLLIN || cqe.res == -ECANCELED);
	close_ring(&r);
}

/* A ring tells another that it has something. */
static void polled_by_a_ring(void)
{
	struct ring a, b;
	struct io_uring_cqe cqe;
	open_ring(&a, 8);
	open_ring(&b, 8);
	for (int i = 0; i < 10; i++) {
		push(&a, IORING_OP_POLL_ADD, b.fd, i)->poll32_events = POLLIN;
		CHECK(enter(&a, 1, 0) == 1 && !next(&a, &cqe));
		push(&b, IORING_OP_NOP, -1, 100);
		CHECK(enter(&b, 1, 1) == 1);
		CHECK(enter(&a, 0, 1) == 0 && next(&a, &cqe));
		CHECK(cqe.user_data == (unsigned)i && cqe.res & POLLIN);
		CHECK(next(&b, &cqe) && cqe.user_data == 100);
		CHECK(enter(&b, 0, 0) == 0);
	}
	close_ring(&a);
	close_ring(&b);
}

/* Another program in the same process: rings do not go with it, and it may have its own. */
static void executed(void)
{
	struct ring r;
	char number[16];
	open_ring(&r, 8);
	works(&r);
	push(&r, IORING_OP_POLL_ADD, r.fd, 1)->poll32_events = POLLIN;
	CHECK(enter(&r, 1, 0) == 1);
	snprintf(number, sizeof(number), "%d", r.fd);
	execl("/proc/self/exe", "processes", "after_exec", number, (char *)0);
	CHECK(!"exec");
}

static void after_exec(int fd)
{
	struct ring r = { .fd = fd };
	CHECK(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
	CHECK(enter(&r, 0, 0) == -1 && errno == EBADF);
	open_ring(&r, 8);
	works(&r);
	close_ring(&r);
}

/* Children by every road, while there is a ring. */
static void started(void)
{
	struct ring r;
	char *arguments[] = { "processes", "after_exec", "900", 0 };
	posix_spawn_file_actions_t actions;
	pid_t child;
	open_ring(&r, 8);
	CHECK(!posix_spawn(&child, "/proc/self/exe", 0, 0, arguments, environ));
	ends_well(child);
	CHECK(!posix_spawn_file_actions_init(&actions));
	CHECK(!posix_spawn_file_actions_addopen(&actions, 20, "/dev/null", O_RDONLY, 0));
	CHECK(!posix_spawn_file_actions_addclose(&actions, r.fd));
	CHECK(!posix_spawn(&child, "/proc/self/exe", &actions, 0, arguments, environ));
	ends_well(child);
	child = vfork();
	if (!child) {
		execv("/proc/self/exe", arguments);
		_exit(1);
	}
	ends_well(child);
	child = fork();
	if (!child) {
		struct ring mine;
		open_ring(&mine, 8);
		works(&mine);
		_exit(0);
	}
	ends_well(child);
	works(&r);
	close_ring(&r);
}

/* As PostgreSQL 18 does: the rings are made before there are children; a child submits to its own,
 * and others wait for its completions and take them. */
#define CHILDREN 4
#define ROUNDS 200

static void shared_by_processes(void)
{
	static struct ring rings[CHILDREN];
	_Atomic unsigned *seen = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t children[CHILDREN], reaper;
	char name[] = "/tmp/sysring-processes-XXXXXX";
	int file = mkstemp(name);
	CHECK(seen != MAP_FAILED && file >= 0 && !unlink(name) && !ftruncate(file, 1 << 16));
	for (int i = 0; i < CHILDREN; i++)
		open_ring(&rings[i], 16);
	reaper = fork();
	if (!reaper) {
		struct io_uring_cqe cqe;
		for (int i = 0; i < CHILDREN; i++)
			for (int round = 0; round < ROUNDS; round++) {
				while (!next(&rings[i], &cqe))
					CHECK(enter(&rings[i], 0, 1) == 0);
				CHECK(cqe.user_data == (unsigned)round && cqe.res == 4096);
				seen[i] = round + 1;
			}
		_exit(0);
	}
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		static char block[4096];
		for (unsigned round = 0; round < ROUNDS; round++) {
			struct io_uring_sqe *sqe = push(&rings[i], IORING_OP_READ, file, round);
			sqe->addr = (unsigned long)block;
			sqe->len = 4096;
			sqe->flags = round % 8 ? 0 : IOSQE_ASYNC;
			CHECK(enter(&rings[i], 1, 0) == 1);
			/* No more than the ring holds, and order where a worker is in between. */
			while (seen[i] < round + 1 - (round % 8 && round % 8 < 7))
				usleep(50);
		}
		while (seen[i] < ROUNDS)
			usleep(50);
		_exit(0);
	}
	for (int i = 0; i < CHILDREN; i++)
		ends_well(children[i]);
	ends_well(reaper);
	for (int i = 0; i < CHILDREN; i++)
		close_ring(&rings[i]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "setuid_later", setuid_later },
		{ "all_closed", all_closed },
		{ "unshared", unshared },
		{ "own_filter", own_filter },
		{ "many_threads", many_threads },
		{ "passed_on", passed_on },
		{ "polled_by_a_ring", polled_by_a_ring },
		{ "executed", executed },
		{ "started", started },
		{ "shared_by_processes", shared_by_processes },
	};
	if (argc == 3 && !strcmp(argv[1], "after_exec")) {
		after_exec(atoi(argv[2]));
		return 0;
	}
	for (unsigned i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (!strcmp(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	return 2;
}
