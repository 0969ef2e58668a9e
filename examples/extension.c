/* An attribute of the program's own: what each call is charged to whom. With sysring installed:
   cc extension.c -lsysring && ./a.out */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sysring.h>

enum { CHARGE = 1 }; /* the attribute's number: any but 0 */

struct account {
	const char *name;
	uint64_t calls, bytes;
};

/* Runs before a call that is asked for CHARGE; what it returns comes with the call's answer. */
static uint64_t charge(void *accounts, uint32_t number, const uint64_t arguments[6], uint64_t who)
{
	struct account *account = (struct account *)accounts + who;
	if (number == SYS_pread64)
		account->bytes += arguments[2];
	return ++account->calls;
}

int main(void)
{
	struct account accounts[2] = { { .name = "ann" }, { .name = "bob" } };
	struct sysring_extension own = { .number = CHARGE, .handler = charge, .data = accounts };
	struct sysring_options options = {
		.size = sizeof options, .extension_count = 1, .extensions = &own,
	};
	struct sysring_calls *calls;
	int file = open("/proc/self/exe", O_RDONLY);
	if (file < 0 || sysring_calls_create(&calls, &options))
		return 1;

	static char memory[3][4096];
	for (int i = 0; i < 3; i++) {
		struct sysring_asked_extension asked = { CHARGE, .required = 1, .argument = i % 2 };
		struct sysring_wanted wanted = {
			.size = sizeof wanted,
			.required = 1ULL << SYSRING_ATTR_EXTENSIONS,
			.extension_count = 1,
			.extensions = &asked,
		};
		struct sysring_event event;
		struct sysring_call call = {
			.number = SYS_pread64,
			.arguments = { file, (uintptr_t)memory[i], sizeof memory[i], 4096 * i },
			.wanted = &wanted,
			.done = &event,
		};
		int64_t result;
		uint64_t nth;
		int pending = sysring_issue(calls, &call, &result);
		if (pending < 0)
			return 1;
		if (pending && (sysring_wait(calls, 1, -1) || sysring_next(calls, &event) != 1))
			return 1;
		if (sysring_extension_answer(&event, CHARGE, &nth))
			return 1;
		printf("%s's call %" PRIu64 " read %" PRId64 " bytes\n", accounts[i % 2].name, nth,
		       event.result);
	}
	sysring_calls_destroy(calls);
	return accounts[0].bytes != 8192 || accounts[1].bytes != 4096;
}
