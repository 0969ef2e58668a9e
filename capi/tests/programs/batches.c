/* Several calls at once. Exit status 0, or the line that failed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sysring.h>

#include "check.h"

enum { FILES = 100 };

static struct sysring_step step(long number, uint64_t a, uint64_t b, uint64_t c)
{
	struct sysring_call call = { .number = number, .arguments = { a, b, c } };
	struct sysring_step step;
	if (sysring_step_init(&step, &call))
		memset(&step, 0, sizeof step);
	return step;
}

static int issued(struct sysring_calls *calls)
{
	int ends[2];
	char bytes[2];
	int64_t result;
	struct sysring_event event;
	CHECK(pipe(ends) == 0);
	struct sysring_step steps[] = {
		step(SYS_getppid, 0, 0, 0),
		step(SYS_read, ends[0], (uintptr_t)&bytes[0], 1),
		step(SYS_exit, 0, 0, 0),
		step(SYS_read, ends[0], (uintptr_t)&bytes[1], 1),
	};
	CHECK(sysring_step_result(&steps[0], &result) == -ENODATA);
	sysring_issue_all(calls, steps, 4);
	CHECK(sysring_step_result(&steps[0], &result) == 0 && result == getppid());
	CHECK(sysring_step_result(&steps[2], &result) == -EOPNOTSUPP);
	CHECK(sysring_pending(calls) == 2);
	/* Issued once. */
	sysring_issue_all(calls, steps, 4);
	CHECK(sysring_pending(calls) == 2);
	CHECK(write(ends[1], "xy", 2) == 2);
	CHECK(sysring_wait(calls, 2, -1) == 0);
	for (int i = 0; i < 2; i++) {
		int64_t first, second;
		CHECK(sysring_next(calls, &event) == 1 && event.result == 1);
		CHECK(sysring_step_result(&steps[1], &first) == 1);
		CHECK(sysring_step_result(&steps[3], &second) == 1 && first != second);
		CHECK((int64_t)event.id == first || (int64_t)event.id == second);
	}
	CHECK(bytes[0] + bytes[1] == 'x' + 'y');
	CHECK(!close(ends[0]) && !close(ends[1]));

	struct sysring_wanted wanted = { .size = sizeof wanted };
	struct sysring_call call = { .number = SYS_getppid, .wanted = &wanted };
	CHECK(sysring_step_init(steps, &call) == -EINVAL);
	call = (struct sysring_call){ .number = SYS_getppid, .done = &event };
	CHECK(sysring_step_init(steps, &call) == -EINVAL);
	call = (struct sysring_call){ .number = SYS_getppid, .flags = 1u << 31 };
	CHECK(sysring_step_init(steps, &call) == -EINVAL);
	return 0;
}

static int chains(struct sysring_calls *calls)
{
	static struct sysring_step steps[FILES][3];
	static char bytes[FILES][64];
	int64_t result;
	for (int i = 0; i < FILES; i++) {
		const char *name = i % 10 ? "/proc/self/comm" : "/no/such/file";
		steps[i][0] = step(SYS_openat, AT_FDCWD, (uintptr_t)name, O_RDONLY);
		steps[i][1] = step(SYS_read, -1, (uintptr_t)bytes[i], sizeof bytes[i]);
		steps[i][2] = step(SYS_close, -1, 0, 0);
		sysring_step_on(&steps[i][1], 0);
		sysring_step_on(&steps[i][2], 0);
	}
	CHECK(sysring_run_all(calls, steps[0], 3 * FILES, 7) == -EINVAL);
	CHECK(sysring_run_all(calls, steps[0], 3 * FILES, 0) == -EINVAL);
	CHECK(sysring_run_all(calls, NULL, 0, 1) == 0);
	CHECK(sysring_run_all(calls, steps[0], 3 * FILES, 3) == 0);
	for (int i = 0; i < FILES; i++) {
		CHECK(sysring_step_result(&steps[i][0], &result) == 0);
		CHECK(i % 10 ? result >= 0 : result == -ENOENT);
		CHECK(sysring_step_result(&steps[i][1], &result) == 0);
		if (i % 10)
			CHECK(result > 0 && bytes[i][result - 1] == '\n');
		else
			CHECK(result == -ECANCELED);
		CHECK(sysring_step_result(&steps[i][2], &result) == 0);
		CHECK(result == (i % 10 ? 0 : -ECANCELED));
	}
	/* Each was closed. */
	int next = open("/dev/null", O_RDONLY);
	CHECK(next >= 0 && next < 20 && !close(next));
	return 0;
}

int main(void)
{
	struct sysring_calls *calls;
	CHECK(sysring_calls_create(&calls, NULL) == 0);
	if (issued(calls) || chains(calls))
		return 1;
	sysring_calls_destroy(calls);
	return 0;
}
