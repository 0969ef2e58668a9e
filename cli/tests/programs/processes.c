/* What programs do with processes, threads and privileges while they have rings. Each case prints
 * nothing and exits 0, or says what was wrong and exits 1; 77 if it cannot be tried. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

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

static volatile int handled;

static void handles(int signal)
{
	handled = signal;
}

/* SIGSYS blocked, ignored, handled by the program, and blocked while its handlers run; and all of it
 * inherited by another program. */
static void sigsys_taken(void)
{
	struct ring r;
	sigset_t all, now;
	struct sigaction action = { .sa_handler = handles }, old;
	open_ring(&r, 8);
	sigfillset(&all);
	CHECK(!sigprocmask(SIG_SETMASK, &all, 0));
	works(&r);
	CHECK(!sigprocmask(SIG_SETMASK, 0, &now) && sigismember(&now, SIGSYS) == 1);
	CHECK(signal(SIGSYS, SIG_IGN) == SIG_DFL);
	works(&r);
	CHECK(!raise(SIGSYS));
	sigemptyset(&now);
	CHECK(!sigprocmask(SIG_SETMASK, &now, 0));
	works(&r);
	sigfillset(&action.sa_mask);
	CHECK(!sigaction(SIGSYS, &action, &old) && old.sa_handler == SIG_IGN);
	works(&r);
	CHECK(handled == 0 && !raise(SIGSYS) && handled == SIGSYS);
	works(&r);
	CHECK(!sigaction(SIGSYS, 0, &old) && old.sa_handler == handles);
	close_ring(&r);
	CHECK(signal(SIGSYS, SIG_IGN) == handles && !sigprocmask(SIG_SETMASK, &all, 0));
	execl("/proc/self/exe", "processes", "after_exec", "900", (char *)0);
	CHECK(!"exec");
}

static void refuse_mkdirat(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mkdirat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program));
	CHECK(mkdirat(AT_FDCWD, "/tmp/sysring-never", 0700) == -1 && errno == EXDEV);
}

/* A filter of the program's own, made while it has a ring, which goes on, and others can be made. */
static void own_filter(void)
{
	struct ring r;
	open_ring(&r, 8);
	works(&r);
	refuse_mkdirat();
	works(&r);
	close_ring(&r);
	open_ring(&r, 8);
	works(&r);
	close_ring(&r);
}

/* A write that a thread of the engine's, or of the kernel's, makes. */
static void works_elsewhere(struct ring *r)
{
	struct io_uring_cqe cqe;
	int file = memfd_create("elsewhere", 0);
	struct io_uring_sqe *sqe = push(r, IORING_OP_WRITE, file, 9);
	sqe->addr = (unsigned long)"hello";
	sqe->len = 5;
	sqe->flags = IOSQE_ASYNC;
	CHECK(file >= 0 && enter(r, 1, 1) == 1 && next(r, &cqe) && cqe.user_data == 9);
	CHECK(cqe.res == 5 && lseek(file, 0, SEEK_END) == 5);
	close(file);
}

/* Calls that the program's filter refuses its ring refuses, in whatever thread of the engine's: those
 * that were there before have the filter, too. */
static void own_filter_refuses(void)
{
	struct ring old, new;
	open_ring(&old, 8);
	works_elsewhere(&old);
	refuse_mkdirat();
	open_ring(&new, 8);
	for (int flags = 0; flags <= IOSQE_ASYNC; flags += IOSQE_ASYNC) {
		struct ring *rings[] = { &old, &new };
		for (int i = 0; i < 2; i++) {
			struct io_uring_cqe cqe;
			struct io_uring_sqe *sqe = push(rings[i], IORING_OP_MKDIRAT, AT_FDCWD, 9);
			sqe->addr = (unsigned long)"/tmp/sysring-never";
			sqe->len = 0700;
			sqe->flags = flags;
			CHECK(enter(rings[i], 1, 1) == 1 && next(rings[i], &cqe));
			CHECK(cqe.user_data == 9 && cqe.res == -EXDEV);
		}
	}
	CHECK(access("/tmp/sysring-never", F_OK) == -1);
	close_ring(&old);
	close_ring(&new);
}

#define CROWD 32
#define EACH 500

static struct ring shared;
static pthread_mutex_t submission = PTHREAD_MUTEX_INITIALIZER, completion = PTHREAD_MUTEX_INITIALIZER;
static unsigned completed[CROWD];
static _Atomic unsigned entered, at_once;

/* As applications share a ring: each queue has a lock, and the call is made without either. */
static void *submits_and_reaps(void *arg)
{
	struct io_uring_cqe cqe;
	for (int i = 0; i < EACH; i++) {
		CHECK(!pthread_mutex_lock(&submission));
		push(&shared, IORING_OP_NOP, -1, (unsigned long)arg);
		CHECK(!pthread_mutex_unlock(&submission));
		unsigned now = ++entered;
		if (now > at_once)
			at_once = now;
		/* Its own entry or another thread's: for each that was pushed there is one call. */
		CHECK(enter(&shared, 1, 0) == 1);
		entered--;
		CHECK(!pthread_mutex_lock(&completion));
		while (next(&shared, &cqe)) {
			CHECK(cqe.user_data < CROWD && cqe.res == 0);
			completed[cqe.user_data]++;
		}
		CHECK(!pthread_mutex_unlock(&completion));
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

/* Thirty-two threads on one ring, of which several are in the call at once, and with a ring each. */
static void many_threads(void)
{
	struct io_uring_cqe cqe;
	unsigned rounds = 0;
	open_ring(&shared, 64);
	do {
		crowd(submits_and_reaps);
		rounds++;
	} while (at_once < 2 && rounds < 50);
	CHECK(at_once >= 2);
	while (next(&shared, &cqe))
		completed[cqe.user_data]++;
	for (int i = 0; i < CROWD; i++)
		CHECK(completed[i] == rounds * EACH);
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

/* What the parent has under way a child cancels: a read that a worker is in, one that waits for its
 * file, a timer; and what is not there it does not find. */
static void cancelled_by_a_child(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	struct __kernel_timespec late = { 100, 0 };
	char got[8];
	int pair[2];
	open_ring(&r, 8);
	CHECK(!pipe(pair));
	for (int i = 0; i < 3; i++) {
		struct io_uring_sqe *sqe = push(&r, i == 2 ? IORING_OP_TIMEOUT : IORING_OP_READ,
						i == 2 ? -1 : pair[0], i);
		sqe->addr = (unsigned long)(i == 2 ? (void *)&late : got);
		sqe->len = 1;
		sqe->flags = i ? 0 : IOSQE_ASYNC;
	}
	CHECK(enter(&r, 3, 0) == 3);
	pid_t child = fork();
	if (!child) {
		unsigned ended = 0, answered = 0;
		for (int i = 0; i < 4; i++)
			push(&r, IORING_OP_ASYNC_CANCEL, -1, 10 + i)->addr = i;
		CHECK(enter(&r, 4, 0) == 4);
		while (ended != 7 || answered != 15) {
			while (!next(&r, &cqe))
				CHECK(enter(&r, 0, 1) == 0);
			if (cqe.user_data < 3) {
				CHECK(cqe.res == -ECANCELED || cqe.res == -EINTR);
				ended |= 1 << cqe.user_data;
			} else if (cqe.user_data == 13) {
				CHECK(cqe.res == -ENOENT);
				answered |= 8;
			} else {
				CHECK(cqe.res == 0 || cqe.res == -EALREADY);
				answered |= 1 << (cqe.user_data - 10);
			}
		}
		_exit(0);
	}
	ends_well(child);
	works(&r);
	close_ring(&r);
}

/* A child that ends takes its requests with it, but for a timeout, which goes off when it is due. */
static void left_by_a_child(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	struct __kernel_timespec soon = { 0, 300000000 };
	open_ring(&r, 8);
	pid_t child = fork();
	if (!child) {
		push(&r, IORING_OP_POLL_ADD, r.fd, 1)->poll32_events = POLLIN;
		struct io_uring_sqe *sqe = push(&r, IORING_OP_TIMEOUT, -1, 2);
		sqe->addr = (unsigned long)&soon;
		sqe->len = 1;
		CHECK(enter(&r, 2, 0) == 2);
		exit(0);
	}
	ends_well(child);
	for (unsigned i = 1; i <= 2; i++) {
		CHECK(enter(&r, 0, 1) == 0 && next(&r, &cqe) && cqe.user_data == i);
		CHECK(cqe.res == (i == 1 ? -ECANCELED : -ETIME));
	}
	works(&r);
	close_ring(&r);
}

/* A child that makes no ring of its own starts another one in its memory, which closes all it has. */
static void inherited_alone(void)
{
	struct ring r;
	pid_t child;
	open_ring(&r, 8);
	child = fork();
	if (!child) {
		works(&r);
		pid_t other = vfork();
		if (!other) {
			syscall(__NR_close_range, 3, ~0u, 0);
			_exit(0);
		}
		ends_well(other);
		works(&r);
		_exit(0);
	}
	ends_well(child);
	works(&r);
	close_ring(&r);
}

static int closes_in_a_borrower(void *arg)
{
	struct ring *r = arg;
	pid_t other = vfork();
	if (!other) {
		close(r->fd);
		_exit(0);
	}
	ends_well(other);
	works(r);
	_exit(0);
}

/* The same before the child has come with the ring, however it was made. */
static void inherited_unused(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	struct ring r;
	open_ring(&r, 8);
	works(&r);
	pid_t child = fork();
	if (!child)
		closes_in_a_borrower(&r);
	ends_well(child);
	child = syscall(__NR_clone, SIGCHLD, 0, 0, 0, 0);
	if (!child)
		closes_in_a_borrower(&r);
	ends_well(child);
#ifdef __NR_fork
	child = syscall(__NR_fork);
	if (!child)
		closes_in_a_borrower(&r);
	ends_well(child);
#endif
	/* On a stack that it is given, and with its parent asleep meanwhile. */
	for (int flags = 0; flags <= CLONE_VFORK; flags += CLONE_VFORK)
		ends_well(clone(closes_in_a_borrower, stack + sizeof(stack), flags | SIGCHLD, &r));
	works(&r);
	close_ring(&r);
}

/* A table of descriptors that threads of the engine's do not have. */
static void own_table(void)
{
	struct ring r;
	int first;
	open_ring(&r, 8);
	works_elsewhere(&r);
	CHECK(!unshare(CLONE_FILES));
	CHECK((first = open("/dev/null", O_RDONLY)) >= 0);
	works_elsewhere(&r);
	works(&r);
	/* And by closing: what is in the range, and not the ring. */
	CHECK(!syscall(__NR_close_range, first, first, 2 /* CLOSE_RANGE_UNSHARE */));
	CHECK(fcntl(first, F_GETFD) == -1 && errno == EBADF);
	works_elsewhere(&r);
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
		{ "sigsys_taken", sigsys_taken },
		{ "own_filter", own_filter },
		{ "own_filter_refuses", own_filter_refuses },
		{ "many_threads", many_threads },
		{ "passed_on", passed_on },
		{ "polled_by_a_ring", polled_by_a_ring },
		{ "executed", executed },
		{ "started", started },
		{ "cancelled_by_a_child", cancelled_by_a_child },
		{ "left_by_a_child", left_by_a_child },
		{ "shared_by_processes", shared_by_processes },
		{ "inherited_alone", inherited_alone },
		{ "inherited_unused", inherited_unused },
		{ "own_table", own_table },
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
