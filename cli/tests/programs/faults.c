/* The engine's system calls fail, by a seccomp filter on the one instruction that makes them.
 *
 * faults WHEN ERRORS [NUMBER ERRNO [ARGUMENT VALUE]]
 * WHEN: before the rings are made, after it, or later: after a round without.
 * ERRORS: whether requests may fail (1), or must go well all the same (0).
 * The call fails, where a VALUE is given only if that is its ARGUMENT. */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "ring.h"
#include "mix.h"

/* The page that holds the gate: executable, no file's, and it begins with the instruction. */
static unsigned long gate(void)
{
#if defined(__x86_64__)
	static const unsigned char call[] = { 0x0f, 0x05 };
#else
	static const unsigned char call[] = { 0x01, 0x00, 0x00, 0xd4 };
#endif
	char line[512], flags[8];
	unsigned long start, end, found = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		CHECK(sscanf(line, "%lx-%lx %7s", &start, &end, flags) == 3);
		if (!strcmp(flags, "r-xp") && end - start == 4096 && !strchr(line, '/') &&
		    !strchr(line, '[') && memmem((void *)start, 64, call, sizeof(call)))
			found = start;
	}
	fclose(maps);
	CHECK(found);
	return found;
}

struct fault {
	unsigned number, error, argument, value;
	int always;
};

static void install(const struct fault *f)
{
	unsigned long page = gate();
#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
	struct sock_filter code[] = {
		LOAD(nr),
		UNLESS(f->number, 9),
		LOAD(instruction_pointer),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfffff000),
		UNLESS((unsigned)page, 6),
		LOAD(instruction_pointer),
		UNLESS(page >> 32, 4),
		LOAD(args[f->argument]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, f->always ? 0 : ~0),
		UNLESS(f->value, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | f->error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	code[5].k += 4; /* The upper half. */
	if (f->number == __NR_clone)
		/* Made where the new thread starts, not there; and nobody else makes threads. */
		code[2] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 4, 0, 0);
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };
	CHECK(!syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program));
}

/* Rings of all kinds: a program that only submits and waits, one whose every request a worker
 * begins, one that promises to come back, and one with a thread that submits. */
static const struct kind {
	unsigned setup;
	unsigned char sqe;
} kinds[] = {
	{ 0, 0 },
	{ 0, IOSQE_ASYNC },
	{ IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, 0 },
	{ IORING_SETUP_SQPOLL, 0 },
};
#define KINDS (sizeof(kinds) / sizeof(*kinds))

static void round_of_all(struct ring *rings, int strict)
{
	for (unsigned i = 0; i < KINDS; i++)
		if (rings[i].fd >= 0)
			mix(&rings[i], kinds[i].sqe, strict);
}

int main(int argc, char **argv)
{
	CHECK(argc == 3 || argc == 5 || argc == 7);
	int before = !strcmp(argv[1], "before"), faulty = argc > 3;
	int strict = !faulty ? 2 : !atoi(argv[2]);
	struct fault fault = { .always = argc < 7 };
	struct ring rings[KINDS] = { 0 };
	if (faulty) {
		fault.number = strtoul(argv[3], 0, 0);
		fault.error = strtoul(argv[4], 0, 0);
	}
	if (argc == 7) {
		fault.argument = strtoul(argv[5], 0, 0);
		fault.value = strtoul(argv[6], 0, 0);
	}
	if (before && faulty)
		install(&fault);
	for (unsigned i = 0; i < KINDS; i++) {
		rings[i].p.flags = kinds[i].setup;
		/* An error is an answer, where something is to fail. */
		CHECK(try_ring(&rings[i], 64) == 0 || (before && faulty));
	}
	if (!strcmp(argv[1], "later"))
		round_of_all(rings, 2);
	if (!before && faulty)
		install(&fault);
	round_of_all(rings, strict);
	int open_files = count("/proc/self/fd");
	round_of_all(rings, strict);
	CHECK(count("/proc/self/fd") <= open_files);
	for (unsigned i = 0; i < KINDS; i++)
		if (rings[i].fd >= 0)
			close_ring(&rings[i]);
	return 0;
}
