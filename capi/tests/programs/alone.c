/* With libsysring.a and nothing else: no libc, no start-up code. */
#include <sysring.h>

#if defined(__x86_64__)
#define GETPID 39
#define EXIT "mov $60, %%eax\n\tsyscall"
#define LEAVE(status) __asm__ volatile(EXIT : : "D"(status) : "rax", "rcx", "r11", "memory")
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall begin\n\thlt\n");
#elif defined(__aarch64__)
#define GETPID 172
#define LEAVE(status)                                                           \
	do {                                                                    \
		register long x0 __asm__("x0") = (status), x8 __asm__("x8") = 93; \
		__asm__ volatile("svc #0" : : "r"(x0), "r"(x8) : "memory");       \
	} while (0)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tbl begin\n");
#endif

static int run(void)
{
	struct sysring_calls *calls;
	struct sysring_event event;
	struct sysring_call call = { .number = GETPID };
	int64_t result, again;

	if (sysring_calls_create(&calls, 0))
		return 1;
	if (sysring_issue(calls, &call, &result) || result <= 0)
		return 2;
	call.flags = SYSRING_CALL_BY_WORKER;
	if (sysring_issue(calls, &call, &again) != 1)
		return 3;
	if (sysring_wait(calls, 1, -1) || sysring_next(calls, &event) != 1)
		return 4;
	if (event.result != result || event.id != (uint64_t)again)
		return 5;
	sysring_calls_destroy(calls);
	return 0;
}

void begin(void)
{
	int status = run();
	for (;;)
		LEAVE(status);
}
