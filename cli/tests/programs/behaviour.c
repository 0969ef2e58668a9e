/* What a program may expect of its ring, by plain system calls. Each case prints nothing and
 * exits 0, or says what was wrong and exits 1. A number behind it: so many rings come and go. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "ring.h"

static long resident(void)
{
	long size, pages;
	FILE *f = fopen("/proc/self/statm", "r");
	CHECK(f && fscanf(f, "%ld %ld", &size, &pages) == 2);
	fclose(f);
	return pages * 4096;
}

/* A hundred rounds of a receive, a poll and a timer, and of a read of `file` if there is one: no thread
 * but this one. */
static void alone(int file)
{
	struct ring r;
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	struct __kernel_timespec time = { 0, 1000000 };
	int pair[2], requests = file < 0 ? 3 : 4;
	char here[64], there[4096];
	open_ring(&r, 8);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	for (int round = 0; round < 100; round++) {
		sqe = push(&r, IORING_OP_RECV, pair[0], 1);
		sqe->addr = (unsigned long)here;
		sqe->len = 64;
		sqe = push(&r, IORING_OP_POLL_ADD, pair[0], 2);
		sqe->poll_events = POLLIN;
		sqe = push(&r, IORING_OP_TIMEOUT, -1, 3);
		sqe->addr = (unsigned long)&time;
		sqe->len = 1;
		if (file >= 0) {
			sqe = push(&r, IORING_OP_READ, file, 4);
			sqe->addr = (unsigned long)there;
			sqe->len = 4096;
		}
		CHECK(enter(&r, requests, requests - 2) == requests);
		CHECK(write(pair[1], "x", 1) == 1);
		for (int seen = 0; seen < requests;) {
			if (next(&r, &cqe))
				seen++;
			else
				CHECK(enter(&r, 0, 1) == 0);
		}
		CHECK(count("/proc/self/task") == 1);
	}
	close_ring(&r);
}

/* Sockets, timers and polls from one thread start no other. */
static void one_thread(void)
{
	alone(-1);
}

/* Nor do cached reads. */
static void one_thread_reads(void)
{
	char there[4096];
	int file = open("/proc/self/exe", O_RDONLY);
	CHECK(file >= 0 && pread(file, there, 4096, 0) > 0);
	alone(file);
}

/* The ring descriptor polls, nests, refuses to be read, and can be duplicated. */
static void descriptor(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	struct epoll_event event = { .events = EPOLLIN };
	char byte;
	open_ring(&r, 8);
	struct pollfd p = { .fd = r.fd, .events = POLLIN };
	CHECK(poll(&p, 1, 0) == 0);
	push(&r, IORING_OP_NOP, -1, 1);
	CHECK(enter(&r, 1, 0) == 1);
	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLIN);
	CHECK(read(r.fd, &byte, 1) == -1 && errno == EINVAL);
	int inner = epoll_create1(0), outer = epoll_create1(0);
	CHECK(!epoll_ctl(inner, EPOLL_CTL_ADD, r.fd, &event));
	CHECK(!epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event));
	CHECK(epoll_wait(outer, &event, 1, 1000) == 1);
	CHECK(next(&r, &cqe) && cqe.user_data == 1);
	/* Consumed without a call: a level-triggered poller must not spin for ever. */
	for (int i = 0; epoll_wait(outer, &event, 1, 0) == 1; i++) {
		CHECK(i < 1000);
		usleep(1000);
	}
	int copy = dup(r.fd), original = r.fd;
	CHECK(copy >= 0);
	CHECK(!close(original));
	r.fd = copy;
	push(&r, IORING_OP_NOP, -1, 2);
	CHECK(enter(&r, 1, 1) == 1 && next(&r, &cqe) && cqe.user_data == 2);
	CHECK(syscall(__NR_io_uring_enter, original, 0, 0, 0, 0, 8) == -1 && errno == EBADF);
	close_ring(&r);
	CHECK(syscall(__NR_io_uring_enter, copy, 0, 0, 0, 0, 8) == -1 && errno == EBADF);
}

/* The descriptor tells, also of rings whose completions wait for the application to come. */
static void polled(void)
{
	descriptor_tells(0);
	descriptor_tells(IORING_SETUP_COOP_TASKRUN);
	descriptor_tells(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
}

/* A parked request holds its socket; closing the ring lets go of it. */
static void close_lets_go(void)
{
	struct ring r;
	int pair[2];
	char buf[8];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	open_ring(&r, 8);
	struct io_uring_sqe *sqe = push(&r, IORING_OP_RECV, pair[0], 1);
	sqe->addr = (unsigned long)buf;
	sqe->len = 8;
	CHECK(enter(&r, 1, 0) == 1);
	close(pair[0]);
	struct pollfd p = { .fd = pair[1], .events = POLLIN };
	CHECK(poll(&p, 1, 50) == 0);
	close_ring(&r);
	CHECK(poll(&p, 1, 2000) == 1 && read(pair[1], buf, 8) == 0);
}

/* An operation that is done at once, by whatever number the ring has. */
static int works(struct ring *r, int number)
{
	struct io_uring_cqe cqe;
	push(r, IORING_OP_NOP, -1, 7);
	return syscall(__NR_io_uring_enter, number, 1, 0, 0, 0, 0) == 1 && next(r, &cqe) &&
	       cqe.user_data == 7;
}

/* A copy that cannot be made leaves what it was to replace as it is. */
static void copies_that_fail(void)
{
	struct ring r;
	open_ring(&r, 8);
	int closed = dup(0);
	close(closed);
	CHECK(dup2(closed, r.fd) == -1 && errno == EBADF && works(&r, r.fd));
	CHECK(dup3(closed, r.fd, 0) == -1 && errno == EBADF && works(&r, r.fd));
	CHECK(dup3(0, r.fd, 0x1234) == -1 && errno == EINVAL && works(&r, r.fd));
	CHECK(dup3(r.fd, r.fd, 0) == -1 && errno == EINVAL && works(&r, r.fd));
	CHECK(dup2(r.fd, r.fd) == r.fd && works(&r, r.fd));
	close_ring(&r);
}

/* A ring's number that becomes another ring's, and then something else's. */
static void replaced(void)
{
	struct ring r, other;
	open_ring(&r, 8);
	open_ring(&other, 8);
	CHECK(dup2(r.fd, other.fd) == other.fd && works(&r, other.fd) && works(&r, r.fd));
	CHECK(dup2(0, r.fd) == r.fd && works(&r, other.fd));
	CHECK(enter(&r, 0, 0) == -1 && errno == EOPNOTSUPP);
	close(r.fd);
	close_ring(&other);
	CHECK(enter(&other, 0, 0) == -1 && errno == EBADF);
}

/* A copy at a number that the program chooses is the ring, until it is closed and another file's. */
static void chosen_number(void)
{
	enum { NUMBER = 20 };
	struct ring r;
	struct io_uring_cqe cqe;
	int pair[2];
	char full[4096] = { 0 };
	open_ring(&r, 8);
	CHECK(dup2(r.fd, NUMBER) == NUMBER && works(&r, NUMBER) && works(&r, r.fd));
	CHECK(!close(NUMBER) && works(&r, r.fd) && fcntl(NUMBER, F_GETFD) == -1);
	CHECK(syscall(__NR_io_uring_enter, NUMBER, 0, 0, 0, 0, 0) == -1 && errno == EBADF);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	while (write(pair[0], full, sizeof(full)) > 0)
		;
	CHECK(dup2(pair[0], NUMBER) == NUMBER);
	CHECK(syscall(__NR_io_uring_enter, NUMBER, 0, 0, 0, 0, 0) == -1 && errno == EOPNOTSUPP);
	push(&r, IORING_OP_POLL_ADD, NUMBER, 1)->poll32_events = POLLOUT;
	CHECK(enter(&r, 1, 0) == 1 && !next(&r, &cqe));
	push(&r, IORING_OP_CLOSE, NUMBER, 2);
	CHECK(enter(&r, 1, 1) == 1 && next(&r, &cqe) && cqe.user_data == 2 && cqe.res == 0);
	CHECK(fcntl(NUMBER, F_GETFD) == -1);
	/* Once more, and it is the last that is left. */
	CHECK(dup2(r.fd, NUMBER) == NUMBER && !close(r.fd));
	r.fd = NUMBER;
	CHECK(works(&r, r.fd) && works(&r, r.fd));
	push(&r, IORING_OP_CLOSE, NUMBER, 3);
	CHECK(enter(&r, 1, 1) == 1 && next(&r, &cqe) && cqe.user_data == 3 && cqe.res == -EBADF);
	close_ring(&r);
	CHECK(enter(&r, 0, 0) == -1 && errno == EBADF);
}

static void *closes_soon(void *number)
{
	usleep(50000);
	CHECK(!close(*(int *)number));
	return 0;
}

/* Who waits has the ring for as long: closing its descriptor meanwhile takes nothing from it. */
static void closed_under_a_waiter(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	struct __kernel_timespec later = { 0, 200000000 };
	pthread_t thread;
	open_ring(&r, 8);
	struct io_uring_sqe *sqe = push(&r, IORING_OP_TIMEOUT, -1, 5);
	sqe->addr = (unsigned long)&later;
	sqe->len = 1;
	CHECK(enter(&r, 1, 0) == 1 && !pthread_create(&thread, 0, closes_soon, &r.fd));
	CHECK(enter(&r, 0, 1) == 0);
	CHECK(next(&r, &cqe) && cqe.user_data == 5 && cqe.res == -ETIME);
	CHECK(!pthread_join(thread, 0) && enter(&r, 0, 0) == -1 && errno == EBADF);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
	(void)signal;
	alarms++;
}

/* A signal ends a wait, with EINTR. */
static void interrupted(void)
{
	struct ring r;
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { .it_value = { 0, 50000 } };
	open_ring(&r, 8);
	CHECK(!sigaction(SIGALRM, &action, 0));
	CHECK(!setitimer(ITIMER_REAL, &timer, 0));
	CHECK(enter(&r, 0, 1) == -1 && errno == EINTR);
	close_ring(&r);
}

/* Who waits for room in a queue that nobody empties is interrupted, and then finds that there is room. */
static void no_room(void)
{
	struct ring r = { .p = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1 } };
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { .it_value = { 0, 50000 } };
	unsigned wait = IORING_ENTER_SQ_WAIT;
	CHECK(!try_ring(&r, 4));
	while (!(*word(&r, r.p.sq_off.flags) & IORING_SQ_NEED_WAKEUP))
		usleep(1000);
	for (int i = 0; i < 4; i++)
		push(&r, IORING_OP_NOP, -1, i);
	CHECK(!sigaction(SIGALRM, &action, 0));
	CHECK(!setitimer(ITIMER_REAL, &timer, 0));
	CHECK(syscall(__NR_io_uring_enter, r.fd, 0, 0, wait, 0, 8) == 0 && alarms == 1);
	CHECK(*word(&r, r.p.sq_off.head) == 0);
	wait |= IORING_ENTER_SQ_WAKEUP;
	CHECK(syscall(__NR_io_uring_enter, r.fd, 0, 0, wait, 0, 8) == 0);
	CHECK(*word(&r, r.p.sq_off.head) != 0);
	close_ring(&r);
}

/* After fork both go on: the parent's request is the parent's, the child has rings of its own. */
static void forked(void)
{
	struct ring r, mine;
	struct io_uring_cqe cqe;
	int pair[2];
	char buf[8];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	open_ring(&r, 8);
	struct io_uring_sqe *sqe = push(&r, IORING_OP_RECV, pair[0], 1);
	sqe->addr = (unsigned long)buf;
	sqe->len = 8;
	CHECK(enter(&r, 1, 0) == 1);
	pid_t child = fork();
	if (!child) {
		open_ring(&mine, 8);
		for (int i = 0; i < 100; i++) {
			push(&mine, IORING_OP_NOP, -1, i);
			CHECK(enter(&mine, 1, 1) == 1 && next(&mine, &cqe));
		}
		close_ring(&mine);
		close_ring(&r);
		_exit(0);
	}
	ends_well(child);
	CHECK(write(pair[1], "hello", 5) == 5);
	CHECK(enter(&r, 0, 1) == 0 && next(&r, &cqe) && cqe.res == 5);
	close_ring(&r);
}

/* What accepts from a listener is never kept by it, though another process makes it block again and again. */
static void shared_listener(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	struct sockaddr_un here = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa_family_t);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(listener, (void *)&here, len) && !listen(listener, 8));
	len = sizeof(here);
	CHECK(!getsockname(listener, (void *)&here, &len));
	pid_t other = fork();
	while (!other)
		fcntl(listener, F_SETFL, 0);
	open_ring(&r, 8);
	for (time_t end = time(0) + 3; time(0) < end;) {
		push(&r, IORING_OP_ACCEPT, listener, 1);
		CHECK(enter(&r, 1, 0) == 1 && !next(&r, &cqe));
		sqe = push(&r, IORING_OP_ASYNC_CANCEL, -1, 2);
		sqe->addr = 1;
		CHECK(enter(&r, 1, 2) == 1);
		CHECK(next(&r, &cqe) && next(&r, &cqe));
	}
	push(&r, IORING_OP_ACCEPT, listener, 3);
	CHECK(enter(&r, 1, 0) == 1 && !next(&r, &cqe));
	int peer = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!connect(peer, (void *)&here, len));
	CHECK(enter(&r, 0, 1) == 0 && next(&r, &cqe) && cqe.user_data == 3 && cqe.res >= 0);
	kill(other, SIGKILL);
	CHECK(waitpid(other, 0, 0) == other);
	close_ring(&r);
}

/* A registered eventfd tells of completions that nobody waits for. */
static void notified(void)
{
	struct ring r;
	int efd = eventfd(0, 0), pair[2];
	char buf[8];
	unsigned long value;
	struct io_uring_cqe cqe;
	open_ring(&r, 8);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(!syscall(__NR_io_uring_register, r.fd, IORING_REGISTER_EVENTFD, &efd, 1));
	struct io_uring_sqe *sqe = push(&r, IORING_OP_RECV, pair[0], 1);
	sqe->addr = (unsigned long)buf;
	sqe->len = 8;
	CHECK(enter(&r, 1, 0) == 1);
	CHECK(write(pair[1], "hello", 5) == 5);
	CHECK(read(efd, &value, 8) == 8 && value >= 1);
	CHECK(next(&r, &cqe) && cqe.res == 5);
	close_ring(&r);
}

static int how_many = 30000;

/* Rings come and go without a trace. */
static void many_rings(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	long before = 0;
	int fds = 0;
	for (int i = 0; i < how_many; i++) {
		open_ring(&r, 4);
		push(&r, IORING_OP_NOP, -1, i);
		CHECK(enter(&r, 1, 1) == 1 && next(&r, &cqe) && cqe.user_data == (unsigned)i);
		close_ring(&r);
		if (i == how_many / 4) {
			before = resident();
			fds = count("/proc/self/fd");
		}
	}
	CHECK(count("/proc/self/fd") == fds);
	CHECK(count("/proc/self/task") == 1);
	CHECK(resident() < before + (1 << 20));
}

/* Threads have carried out what was asked of rings, and are gone after them. */
static void threads_go_home(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	int before = count("/proc/self/task"), most = before;
	int file = open("/proc/self/exe", O_RDONLY);
	char there[4][64];
	CHECK(file >= 0);
	for (int i = 0; i < 100; i++) {
		memset(&r, 0, sizeof(r));
		r.p.flags = i % 2 ? IORING_SETUP_SQPOLL : 0;
		CHECK(try_ring(&r, 8) == 0);
		for (int n = 0; n < 4; n++) {
			struct io_uring_sqe *sqe = fill(&r, n, IORING_OP_READ, file, n);
			sqe->flags = IOSQE_ASYNC;
			sqe->addr = (unsigned long)there[n];
			sqe->len = 64;
		}
		*word(&r, r.p.sq_off.tail) = 4;
		/* A thread that found nothing for a second sleeps. */
		CHECK(syscall(__NR_io_uring_enter, r.fd, 4, 4,
			      IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, 0, 8) == 4);
		for (int seen = 0; seen < 4;) {
			if (next(&r, &cqe))
				seen++;
			else
				CHECK(enter(&r, 0, 1) == 0);
		}
		if (count("/proc/self/task") > most)
			most = count("/proc/self/task");
		close_ring(&r);
	}
	CHECK(most > before);
	/* The kernel keeps a worker for as long as the process lives. */
	for (int i = 0; count("/proc/self/task") > before + 1; i++) {
		CHECK(i < 3000);
		usleep(10000);
	}
}

/* Out of descriptors: an error, and no ring half made. */
static void few_descriptors(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	struct io_uring_params p = { 0 };
	struct rlimit limit = { 8, 8 };
	int last = -1;
	open_ring(&r, 8);
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	while ((last = open("/dev/null", O_RDONLY)) >= 0)
		;
	CHECK(errno == EMFILE);
	CHECK(syscall(__NR_io_uring_setup, 4, &p) == -1 && errno == EMFILE);
	push(&r, IORING_OP_NOP, -1, 7);
	CHECK(enter(&r, 1, 1) == 1 && next(&r, &cqe) && cqe.user_data == 7);
	close_ring(&r);
}

/* The queues overwritten: nothing but this ring's results suffers. */
static void overwritten(void)
{
	struct ring r, other;
	struct io_uring_cqe cqe;
	int pair[2];
	char buf[8];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	open_ring(&r, 8);
	struct io_uring_sqe *sqe = push(&r, IORING_OP_RECV, pair[0], 1);
	sqe->addr = (unsigned long)buf;
	sqe->len = 8;
	CHECK(enter(&r, 1, 0) == 1);
	memset(r.sqes, 0xff, r.p.sq_entries * 64);
	memset(r.rings, 0xff, r.rings_len);
	CHECK(write(pair[1], "x", 1) == 1);
	for (int i = 0; i < 100; i++)
		enter(&r, 8, 0);
	open_ring(&other, 8);
	push(&other, IORING_OP_NOP, -1, 3);
	CHECK(enter(&other, 1, 1) == 1 && next(&other, &cqe) && cqe.user_data == 3);
	close_ring(&r);
	close_ring(&other);
}

/* A read that must wait holds up nothing that comes behind it. */
static void nothing_held_up(void)
{
	struct ring r;
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	char byte = 0;
	int ends[2];
	open_ring(&r, 8);
	CHECK(!pipe(ends));
	sqe = push(&r, IORING_OP_READ, ends[0], 1);
	sqe->addr = (unsigned long)&byte;
	sqe->len = 1;
	sqe->off = -1ull;
	push(&r, IORING_OP_NOP, -1, 2);
	CHECK(enter(&r, 2, 1) == 2);
	CHECK(next(&r, &cqe) && cqe.user_data == 2 && cqe.res == 0);
	CHECK(!next(&r, &cqe));
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(enter(&r, 0, 1) == 0);
	CHECK(next(&r, &cqe) && cqe.user_data == 1 && cqe.res == 1 && byte == 'x');
	close_ring(&r);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "one_thread", one_thread }, { "one_thread_reads", one_thread_reads },
		{ "descriptor", descriptor }, { "polled", polled },
		{ "close_lets_go", close_lets_go }, { "interrupted", interrupted },
		{ "no_room", no_room },
		{ "shared_listener", shared_listener }, { "forked", forked }, { "notified", notified }, { "many_rings", many_rings },
		{ "threads_go_home", threads_go_home },
		{ "few_descriptors", few_descriptors }, { "overwritten", overwritten },
		{ "nothing_held_up", nothing_held_up },
		{ "copies_that_fail", copies_that_fail }, { "replaced", replaced },
		{ "chosen_number", chosen_number },
		{ "closed_under_a_waiter", closed_under_a_waiter },
	};
	if (argc > 2)
		how_many = atoi(argv[2]);
	for (unsigned i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (!strcmp(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	return 2;
}
