/* libsysring as a C program uses it. Exit status 0, or the line that failed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sysring.h>

#include "check.h"

static struct sysring_call call(long number, uint64_t a, uint64_t b, uint64_t c)
{
	struct sysring_call call = { .number = number, .arguments = { a, b, c } };
	return call;
}

static struct sysring_wanted asking(uint64_t required)
{
	struct sysring_wanted wanted = { .size = sizeof wanted, .required = required };
	return wanted;
}

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int at_once(struct sysring_calls *calls)
{
	struct sysring_call parent = call(SYS_getppid, 0, 0, 0);
	struct sysring_call bad = call(SYS_close, -1, 0, 0);
	struct sysring_call leave = call(SYS_exit, 0, 0, 0);
	struct sysring_event done;
	int64_t result = -1;

	CHECK(sysring_issue(calls, &parent, &result) == 0 && result == getppid());
	errno = 77;
	CHECK(sysring_issue(calls, &bad, &result) == 0 && result == -EBADF && errno == 77);
	CHECK(sysring_issue(calls, &leave, &result) == -EOPNOTSUPP);
	result = -1;
	CHECK(sysring_issue_sync(&parent, &result) == 0 && result == getppid());
	/* A call's answer is not a refusal. */
	CHECK(sysring_issue_sync(&bad, &result) == 0 && result == -EBADF);
	parent.flags = 1u << 31;
	CHECK(sysring_issue(calls, &parent, &result) == -EINVAL);

	struct sysring_wanted wanted =
		asking(MASK(SYSRING_ATTR_TIMING) | MASK(SYSRING_ATTR_PATH) | MASK(SYSRING_ATTR_PLACE));
	parent = call(SYS_getppid, 0, 0, 0);
	parent.wanted = &wanted;
	parent.done = &done;
	int64_t before = now();
	CHECK(sysring_issue(calls, &parent, &result) == 0);
	struct sysring_timing timing;
	struct sysring_place place;
	uint64_t path;
	CHECK(done.result == getppid() && done.handled == wanted.required);
	CHECK(done.length == 32 + 24 + 8 + 8);
	CHECK(sysring_attribute(&done, SYSRING_ATTR_TIMING, &timing, sizeof timing) == sizeof timing);
	CHECK(before <= (int64_t)timing.queued && timing.issued <= timing.completed &&
	      (int64_t)timing.completed <= now());
	CHECK(sysring_attribute(&done, SYSRING_ATTR_PATH, &path, sizeof path) == sizeof path);
	CHECK(path == SYSRING_PATH_INLINE);
	CHECK(sysring_attribute(&done, SYSRING_ATTR_PLACE, &place, sizeof place) == sizeof place);
	CHECK(place.thread == (uint32_t)gettid());
	CHECK(sysring_attribute(&done, SYSRING_ATTR_TRACE, &path, sizeof path) == -ENODATA);
	CHECK(sysring_attribute(&done, 40, &path, sizeof path) == -ENODATA);

	wanted = asking(MASK(SYSRING_ATTR_CREDENTIALS));
	CHECK(sysring_issue(calls, &parent, &result) == -EINVAL);
	CHECK(sysring_issue_sync(&parent, &result) == -EOPNOTSUPP);
	wanted.best_effort = wanted.required;
	wanted.required = 0;
	CHECK(sysring_issue_sync(&parent, &result) == 0 && result == getppid());
	CHECK(done.result == getppid() && done.handled == 0);
	wanted = asking(MASK(SYSRING_ATTR_PATH));
	CHECK(sysring_issue_sync(&parent, &result) == 0);
	CHECK(sysring_attribute(&done, SYSRING_ATTR_PATH, &path, sizeof path) == sizeof path);
	CHECK(path == SYSRING_PATH_IN_PLACE);
	wanted.size = 8;
	CHECK(sysring_issue(calls, &parent, &result) == -EINVAL);

	/* A program of a later version, whose structure has grown. */
	struct { struct sysring_wanted known; uint64_t more; } later =
		{ .known = asking(MASK(SYSRING_ATTR_PATH)) };
	later.known.size = sizeof later;
	parent.wanted = &later.known;
	CHECK(sysring_issue(calls, &parent, &result) == 0);
	later.more = 1;
	CHECK(sysring_issue(calls, &parent, &result) == -E2BIG);
	return 0;
}

static int later(struct sysring_calls *calls)
{
	char data[64] = "";
	int ends[2], counter = eventfd(0, EFD_NONBLOCK), readable = sysring_descriptor(calls);
	CHECK(pipe(ends) == 0 && counter >= 0 && readable >= 0);
	CHECK(sysring_set_eventfd(calls, counter) == 0);

	struct sysring_wanted wanted =
		asking(MASK(SYSRING_ATTR_PATH) | MASK(SYSRING_ATTR_CHECKSUM) | MASK(SYSRING_ATTR_FULL));
	struct sysring_call read9 = call(SYS_read, ends[0], (uintptr_t)data, 9);
	read9.wanted = &wanted;
	read9.user_data = 42;
	int64_t id = 0;
	struct sysring_event event;
	CHECK(sysring_issue(calls, &read9, &id) == 1 && id != 0);
	CHECK(sysring_pending(calls) == 1);
	CHECK(sysring_next(calls, &event) == 0);
	CHECK(sysring_wait(calls, 1, 1000000) == -ETIME);
	CHECK(write(ends[1], "1234", 4) == 4);
	CHECK(write(ends[1], "56789", 5) == 5);
	struct pollfd poller = { .fd = readable, .events = POLLIN };
	CHECK(poll(&poller, 1, 10000) == 1);
	CHECK(sysring_wait(calls, 1, -1) == 0);
	CHECK(sysring_next(calls, &event) == 1);
	CHECK(event.id == (uint64_t)id && event.result == 9 && !memcmp(data, "123456789", 9));
	struct sysring_checksum sum;
	uint64_t number;
	CHECK(sysring_attribute(&event, SYSRING_ATTR_CHECKSUM, &sum, sizeof sum) == sizeof sum);
	CHECK(sum.crc32c == 0xe3069283 && sum.bytes == 9);
	CHECK(sysring_attribute(&event, SYSRING_ATTR_TRACE, &number, sizeof number) == 8 && number == 42);
	CHECK(sysring_attribute(&event, SYSRING_ATTR_PATH, &number, sizeof number) == 8);
	CHECK(number == SYSRING_PATH_READINESS || number == SYSRING_PATH_WORKER);
	CHECK(read(counter, &number, 8) == 8);

	/* Cancelled; a deadline; a slot. */
	read9.wanted = NULL;
	CHECK(sysring_issue(calls, &read9, &id) == 1);
	CHECK(sysring_cancel(calls, id) == 0);
	CHECK(sysring_wait(calls, 1, -1) == 0 && sysring_next(calls, &event) == 1);
	CHECK(event.result == -ECANCELED && sysring_cancel(calls, id) == -ENOENT);
	wanted = asking(MASK(SYSRING_ATTR_DEADLINE));
	wanted.deadline = now() + 20000000;
	read9.wanted = &wanted;
	CHECK(sysring_issue(calls, &read9, &id) == 1);
	CHECK(sysring_wait(calls, 1, -1) == 0 && sysring_next(calls, &event) == 1);
	CHECK(event.result == -ECANCELED);
	CHECK(sysring_attribute(&event, SYSRING_ATTR_DEADLINE, &number, 8) == 8 && number == 1);
	volatile int64_t slot = INT64_MIN;
	struct sysring_call parent = call(SYS_getppid, 0, 0, 0);
	parent.flags = SYSRING_CALL_BY_WORKER;
	parent.slot = (int64_t *)&slot;
	CHECK(sysring_issue(calls, &parent, &id) == 1);
	while (slot == INT64_MIN)
		usleep(100);
	CHECK(slot == getppid());
	CHECK(sysring_cancel_all(calls) == 0 && sysring_pending(calls) == 0);
	CHECK(sysring_set_eventfd(calls, -1) == 0);
	CHECK(!close(ends[0]) && !close(ends[1]) && !close(counter) && !close(readable));
	return 0;
}

static int processes(void)
{
	struct sysring_options options = { .size = sizeof options, .flags = SYSRING_OPTION_SHARED };
	struct sysring_calls *calls, *own;
	CHECK(sysring_calls_create(&calls, &options) == 0);
	int file = sysring_events_fd(calls);
	CHECK(file >= 0);
	pid_t child = fork();
	if (child == 0) {
		struct sysring_call parent = call(SYS_getppid, 0, 0, 0);
		parent.flags = SYSRING_CALL_BY_WORKER;
		parent.user_data = 7;
		int64_t id;
		if (sysring_calls_attach(&own, file, NULL) || sysring_issue(own, &parent, &id) != 1)
			_exit(1);
		while (sysring_pending(own))
			usleep(100);
		sysring_calls_destroy(own);
		_exit(0);
	}
	struct sysring_event event;
	uint64_t number;
	CHECK(sysring_wait(calls, 1, 10000000000) == 0 && sysring_next(calls, &event) == 1);
	CHECK(event.result == getpid());
	CHECK(sysring_attribute(&event, SYSRING_ATTR_TRACE, &number, 8) == 8 && number == 7);
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(sysring_calls_attach(&own, 0, NULL) < 0);
	sysring_calls_destroy(calls);
	return 0;
}

int main(void)
{
	struct sysring_calls *calls;
	struct sysring_options options = { .size = sizeof options, .limit = 1 };
	struct sysring_options wrong = { .size = sizeof wrong, .ring_size = 1000 };
	CHECK(sysring_calls_create(&calls, &wrong) == -EINVAL);
	wrong = (struct sysring_options){ .size = 4 };
	CHECK(sysring_calls_create(&calls, &wrong) == -EINVAL);
	wrong = (struct sysring_options){ .size = 12 };
	CHECK(sysring_calls_create(&calls, &wrong) == -EINVAL);
	wrong = (struct sysring_options){ .size = sizeof wrong, .flags = 1u << 31 };
	CHECK(sysring_calls_create(&calls, &wrong) == -EINVAL);
	/* A program of an earlier version, behind whose structure other things lie; and of a later one. */
	wrong = (struct sysring_options){ .size = 16, .overflow_size = 1000, .extension_count = 99 };
	CHECK(sysring_calls_create(&calls, &wrong) == 0);
	sysring_calls_destroy(calls);
	struct { struct sysring_options known; uint64_t more; } grown = { .known.size = sizeof grown };
	CHECK(sysring_calls_create(&calls, &grown.known) == 0);
	sysring_calls_destroy(calls);
	grown.more = 1;
	CHECK(sysring_calls_create(&calls, &grown.known) == -E2BIG);
	grown.known.size = 1u << 20;
	CHECK(sysring_calls_create(&calls, &grown.known) == -E2BIG);
	CHECK(sysring_calls_create(&calls, &options) == 0);
	CHECK(sysring_events_fd(calls) == -ENODATA);
	if (at_once(calls) || later(calls))
		return 1;
	sysring_calls_destroy(calls);
	sysring_calls_destroy(NULL);
	return processes();
}
