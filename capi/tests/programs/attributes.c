/* Attributes of a program's own, and other credentials. Exit status 0, or the line that failed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sysring.h>

#include "check.h"

enum { BUDGET = 7, TENANT = 1000 };

/* How much is left of what calls may read; asked before each. */
static uint64_t charge(void *data, uint32_t number, const uint64_t *arguments, uint64_t factor)
{
	uint64_t *budget = data;
	if (number == SYS_read)
		*budget -= arguments[2] * factor;
	return *budget;
}

static uint64_t tenant(void *data, uint32_t number, const uint64_t *arguments, uint64_t argument)
{
	(void)data, (void)number, (void)arguments;
	return argument + 1;
}

static int extensions(void)
{
	uint64_t budget = 100, left = 0;
	struct sysring_extension own[] = {
		{ .number = BUDGET, .handler = charge, .data = &budget },
		{ .number = TENANT, .handler = tenant },
	};
	struct sysring_options options = {
		.size = sizeof options, .extension_count = 2, .extensions = own,
	};
	struct sysring_calls *calls;
	CHECK(sysring_calls_create(&calls, &options) == 0);
	/* They were copied. */
	own[0].handler = own[1].handler = NULL;

	struct sysring_asked_extension asked[] = {
		{ .number = BUDGET, .required = 1, .argument = 2 },
		{ .number = 5, .argument = 3 },
		{ .number = TENANT, .argument = 41 },
	};
	struct sysring_wanted wanted = {
		.size = sizeof wanted,
		.required = MASK(SYSRING_ATTR_EXTENSIONS) | MASK(SYSRING_ATTR_PATH),
		.extension_count = 3,
		.extensions = asked,
	};
	int ends[2];
	char byte;
	CHECK(pipe(ends) == 0);
	struct sysring_event done;
	struct sysring_call read1 = {
		.number = SYS_read,
		.arguments = { ends[0], (uintptr_t)&byte, 1 },
		.wanted = &wanted,
		.done = &done,
	};
	int64_t result;
	/* Done at once, and pending. */
	for (int pending = 0; pending < 2; pending++) {
		CHECK(pending || write(ends[1], "x", 1) == 1);
		CHECK(sysring_issue(calls, &read1, &result) == pending);
		if (pending) {
			CHECK(write(ends[1], "y", 1) == 1);
			CHECK(sysring_wait(calls, 1, -1) == 0 && sysring_next(calls, &done) == 1);
		}
		CHECK(done.result == 1 && done.handled == wanted.required);
		CHECK(sysring_extension_answer(&done, BUDGET, &left) == 0);
		CHECK(left == 98 - 2 * (uint64_t)pending && left == budget);
		CHECK(sysring_extension_answer(&done, TENANT, &left) == 0 && left == 42);
		CHECK(sysring_extension_answer(&done, 5, &left) == -ENODATA);
	}
	asked[1].required = 1;
	CHECK(sysring_issue(calls, &read1, &result) == -EOPNOTSUPP && budget == 96);
	wanted.extension_count = 5;
	CHECK(sysring_issue(calls, &read1, &result) == -E2BIG);
	wanted.extension_count = 1;
	wanted.extensions = (void *)8;
	CHECK(sysring_issue(calls, &read1, &result) == -EFAULT);
	sysring_calls_destroy(calls);

	struct sysring_extension wrong[5] = { { .number = 1, .handler = tenant } };
	options.extensions = wrong;
	CHECK(sysring_calls_create(&calls, &options) == -EINVAL);
	wrong[1] = wrong[0];
	CHECK(sysring_calls_create(&calls, &options) == -EEXIST);
	for (int i = 0; i < 5; i++)
		wrong[i] = (struct sysring_extension){ .number = i + 1, .handler = tenant };
	options.extension_count = 5;
	CHECK(sysring_calls_create(&calls, &options) == -ENOSPC);
	return 0;
}

static int credentials(void)
{
	struct sysring_calls *calls;
	CHECK(sysring_calls_create(&calls, NULL) == 0);
	uid_t before = geteuid();
	int number = sysring_credentials_register(calls);
	CHECK(number > 0);
	/* Who is not root stays who he is, and is served all the same. */
	if (before == 0)
		CHECK(syscall(SYS_setresuid, 1000, 1000, -1) == 0);
	struct sysring_wanted wanted = {
		.size = sizeof wanted,
		.required = MASK(SYSRING_ATTR_CREDENTIALS) | MASK(SYSRING_ATTR_PATH),
		.credentials = number,
	};
	struct sysring_event event;
	struct sysring_call who = { .number = SYS_geteuid, .wanted = &wanted, .done = &event };
	int64_t result;
	uint64_t path;
	int issued = sysring_issue(calls, &who, &result);
	CHECK(issued == (before == 0));
	if (issued)
		CHECK(sysring_wait(calls, 1, -1) == 0 && sysring_next(calls, &event) == 1);
	CHECK(event.result == before && event.handled == wanted.required);
	CHECK(sysring_attribute(&event, SYSRING_ATTR_PATH, &path, 8) == 8);
	CHECK(path == (issued ? SYSRING_PATH_WORKER : SYSRING_PATH_INLINE));
	CHECK(sysring_attribute(&event, SYSRING_ATTR_CREDENTIALS, &path, 8) == 0);
	CHECK(sysring_credentials_unregister(calls, number) == 0);
	CHECK(sysring_credentials_unregister(calls, number) == -EINVAL);
	CHECK(sysring_issue(calls, &who, &result) == -EINVAL);
	sysring_calls_destroy(calls);
	return 0;
}

int main(void)
{
	return extensions() || credentials();
}
