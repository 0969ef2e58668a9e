/* What libsysring refuses, and what it says then. Exit status 0, or the line that failed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sysring.h>

#include "check.h"

/* docs/events.md */
enum { VERSION = 8, FLAGS = 12, TAIL = 128, DATA = 65536 };

static struct sysring_call reading(int fd, char *byte)
{
	struct sysring_call call = { .number = SYS_read, .arguments = { fd, (uintptr_t)byte, 1 } };
	return call;
}

/* EAGAIN: the limit. ENOENT, EALREADY: what cannot be cancelled, or may yet succeed. */
static int pending(void)
{
	struct sysring_options options = { .size = sizeof options, .limit = 1 };
	struct sysring_calls *calls;
	struct sysring_event event;
	int ends[2];
	int64_t id, other;
	char byte;
	CHECK(pipe(ends) == 0 && sysring_calls_create(&calls, &options) == 0);
	struct sysring_call call = reading(ends[0], &byte);
	CHECK(sysring_issue(calls, &call, &id) == 1);
	CHECK(sysring_issue(calls, &call, &other) == -EAGAIN);
	CHECK(sysring_cancel(calls, id + 1) == -ENOENT);
	CHECK(sysring_cancel(calls, id) == 0);
	CHECK(sysring_wait(calls, 1, -1) == 0 && sysring_next(calls, &event) == 1);
	CHECK(event.result == -ECANCELED);

	/* A worker is in the call, and is told to stop. */
	char name[64];
	snprintf(name, sizeof name, "/tmp/sysring-errors-%d", getpid());
	CHECK(mkfifo(name, 0600) == 0);
	struct sysring_call open1 = {
		.number = SYS_openat,
		.flags = SYSRING_CALL_BY_WORKER,
		.arguments = { AT_FDCWD, (uintptr_t)name, O_RDONLY },
	};
	CHECK(sysring_issue(calls, &open1, &id) == 1);
	usleep(50000);
	int cancelled = sysring_cancel(calls, id);
	CHECK(cancelled == -EALREADY || cancelled == 0);
	if (cancelled == 0)
		printf("skipped: the worker had not begun\n");
	CHECK(sysring_wait(calls, 1, -1) == 0 && sysring_next(calls, &event) == 1);
	CHECK(event.result == -ECANCELED);
	CHECK(unlink(name) == 0 && !close(ends[0]) && !close(ends[1]));
	sysring_calls_destroy(calls);
	return 0;
}

static void nothing(int signal)
{
	(void)signal;
}

/* EINTR, ETIME: with a mask of the thread's, or of the wait's. */
static int interrupted(void)
{
	struct sysring_calls *calls, *shared;
	struct sysring_options options = { .size = sizeof options, .flags = SYSRING_OPTION_SHARED };
	sigset_t blocked, open;
	CHECK(sysring_calls_create(&calls, NULL) == 0);
	CHECK(sysring_calls_create(&shared, &options) == 0);
	CHECK(signal(SIGUSR2, nothing) != SIG_ERR);
	sigemptyset(&open);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
	CHECK(raise(SIGUSR2) == 0);
	CHECK(sysring_wait(calls, 1, 5000000) == -ETIME);
	CHECK(sysring_wait_masked(calls, 1, 5000000, NULL) == -ETIME);
	CHECK(sysring_wait_masked(calls, 1, 5000000, &blocked) == -ETIME);
	CHECK(sysring_wait_masked(calls, 1, 60000000000, &open) == -EINTR);
	CHECK(sysring_wait_masked(calls, 1, 5000000, &open) == -ETIME);
	CHECK(sysring_wait_masked(shared, 1, 5000000, &open) == -EINVAL);
	CHECK(sigprocmask(SIG_UNBLOCK, &blocked, NULL) == 0);
	sysring_calls_destroy(calls);
	sysring_calls_destroy(shared);
	return 0;
}

/* EMFILE, EBADF, EINVAL: descriptors. */
static int descriptors(void)
{
	struct sysring_calls *calls, *other;
	struct rlimit limit, none;
	char name[64];
	struct stat status;
	CHECK(sysring_calls_create(&calls, NULL) == 0);
	int counter = eventfd(0, 0), ends[2];
	snprintf(name, sizeof name, "/tmp/sysring-errors-%d", getpid());
	int file = open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK(counter >= 0 && file >= 0 && unlink(name) == 0 && pipe(ends) == 0);
	CHECK(sysring_set_eventfd(calls, file) == -EINVAL);
	CHECK(sysring_set_eventfd(calls, ends[1]) == -EINVAL);
	CHECK(sysring_set_eventfd(calls, -2) == -EBADF);
	CHECK(sysring_set_eventfd(calls, AT_FDCWD) == -EBADF);
	CHECK(sysring_set_eventfd(calls, 12345) == -EBADF);
	struct sysring_call parent = { .number = SYS_getppid, .flags = SYSRING_CALL_BY_WORKER };
	int64_t id;
	struct sysring_event event;
	CHECK(sysring_issue(calls, &parent, &id) == 1);
	CHECK(sysring_wait(calls, 1, -1) == 0 && sysring_next(calls, &event) == 1);
	CHECK(fstat(file, &status) == 0 && status.st_size == 0);

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){ .rlim_cur = 1, .rlim_max = limit.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	int readable = sysring_descriptor(calls), told = sysring_set_eventfd(calls, counter);
	int made = sysring_calls_create(&other, NULL);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	/* What the caller gets counts towards its limit; what the library keeps does not. */
	CHECK(readable == -EMFILE && told == 0 && made == -EMFILE);
	CHECK(sysring_set_eventfd(calls, counter) == 0 && sysring_set_eventfd(calls, -1) == 0);
	sysring_calls_destroy(calls);
	CHECK(!close(counter) && !close(file) && !close(ends[0]) && !close(ends[1]));
	return 0;
}

static uint32_t *at(char *memory, size_t offset)
{
	return (uint32_t *)(memory + offset);
}

/* Writes an event, as who shares the ring may: of so many bytes, or so it says. */
static void push(char *memory, uint32_t length, uint32_t says)
{
	uint32_t tail = *at(memory, TAIL);
	char *record = memory + DATA + tail;
	memset(record, 0, 32);
	memcpy(record, &says, 4);
	record[16] = 42;
	__atomic_store_n(at(memory, TAIL), tail + length, __ATOMIC_RELEASE);
}

/* EMSGSIZE, EBADMSG, EPROTONOSUPPORT, EOPNOTSUPP, EINVAL: what others share. */
static int shared(void)
{
	struct sysring_options options = { .size = sizeof options, .flags = SYSRING_OPTION_SHARED };
	struct sysring_calls *calls, *other;
	union {
		struct sysring_event event;
		char bytes[SYSRING_EVENT_LONGEST];
	} long_one;
	struct sysring_event event;
	CHECK(sysring_calls_create(&calls, &options) == 0);
	int file = sysring_events_fd(calls);
	char *memory = mmap(NULL, 2 * DATA, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(memory != MAP_FAILED);
	push(memory, SYSRING_EVENT_LONGEST, SYSRING_EVENT_LONGEST);
	push(memory, 32, 32);
	CHECK(sysring_wait(calls, 1, -1) == 0);
	CHECK(sysring_next(calls, &event) == -EMSGSIZE);
	CHECK(sysring_next(calls, &event) == -EMSGSIZE);
	CHECK(sysring_next_long(calls, &long_one.event, 8) == -EMSGSIZE);
	CHECK(sysring_next_long(calls, &long_one.event, sizeof long_one) == 1);
	CHECK(long_one.event.length == SYSRING_EVENT_LONGEST && long_one.event.result == 42);
	CHECK(sysring_next(calls, &event) == 1 && event.length == 32 && event.result == 42);
	CHECK(sysring_next_long(calls, &long_one.event, sizeof long_one) == 0);

	uint32_t was = *at(memory, VERSION);
	*at(memory, VERSION) = 99;
	CHECK(sysring_calls_attach(&other, file, NULL) == -EPROTONOSUPPORT);
	*at(memory, VERSION) = was;
	*at(memory, FLAGS) |= 1u << 31;
	CHECK(sysring_calls_attach(&other, file, NULL) == -EOPNOTSUPP);
	*at(memory, FLAGS) &= ~(1u << 31);
	memory[0] = 'X';
	CHECK(sysring_calls_attach(&other, file, NULL) == -EINVAL);
	memory[0] = 'S';
	CHECK(sysring_calls_attach(&other, -1, NULL) == -EBADF);

	/* Another world of process ids. */
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		if (unshare(CLONE_NEWPID)) {
			printf("skipped: no pid namespace to be had\n");
			fflush(stdout);
			_exit(0);
		}
		pid_t inside = fork();
		if (inside == 0)
			_exit(sysring_calls_attach(&other, file, NULL) != -EXDEV);
		int status = 1;
		_exit(inside < 0 || waitpid(inside, &status, 0) != inside || status != 0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);

	push(memory, 32, 12345);
	CHECK(sysring_next(calls, &event) == -EBADMSG);
	CHECK(sysring_next_long(calls, &long_one.event, sizeof long_one) == -EBADMSG);
	CHECK(munmap(memory, 2 * DATA) == 0);
	sysring_calls_destroy(calls);
	return 0;
}

/* EBUSY: all numbers are in use. */
static int numbers(void)
{
	struct sysring_calls *calls;
	int number, last = 0;
	CHECK(sysring_calls_create(&calls, NULL) == 0);
	while ((number = sysring_credentials_register(calls)) > 0)
		last = number;
	CHECK(number == -EBUSY && last == 65535);
	CHECK(sysring_credentials_unregister(calls, 7) == 0);
	CHECK(sysring_credentials_register(calls) == 7);
	sysring_calls_destroy(calls);
	return 0;
}

int main(void)
{
	return pending() || interrupted() || descriptors() || shared() || numbers();
}
