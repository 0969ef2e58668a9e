/* What a trap must not change: each case prints nothing and exits 0, or says what was wrong and exits 1;
 * 77 if it cannot be tried. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/time.h>

#include "ring.h"

#define CANNOT 77

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

extern char **environ;

static volatile sig_atomic_t handled;

static void handle(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	CHECK(!sigaction(signal, &action, 0));
}

static void counts(int signal)
{
	sigset_t mask;
	CHECK(!sigprocmask(SIG_BLOCK, 0, &mask) && sigismember(&mask, signal));
	handled++;
}

/* Calls that answer where their caller is: on the alternate stack. */
static void answers_there(int signal)
{
	char *arguments[] = { "true", 0 };
	struct timespec soon = { 0, 20000000 };
	struct io_uring_params p = { 0 };
	sigset_t mask;
	pid_t child;
	int pair[2];
	(void)signal;
	CHECK(!pipe(pair) && write(pair[1], "x", 1) == 1);
	struct pollfd polled = { .fd = pair[0], .events = POLLIN };
	sigemptyset(&mask);
	CHECK(ppoll(&polled, 1, &soon, &mask) == 1 && polled.revents == POLLIN);
	int ring = syscall(__NR_io_uring_setup, 8, &p);
	CHECK(ring >= 0 && p.cq_entries == 16 && !close(ring));
	/* A signal that comes meanwhile goes on from here, and leaves what is here alone. */
	struct itimerval alarm = { .it_value.tv_usec = 10000 };
	struct timespec later = { 10, 0 };
	polled = (struct pollfd){ .fd = pair[1], .events = 0 };
	CHECK(!setitimer(ITIMER_REAL, &alarm, 0));
	CHECK(ppoll(&polled, 1, &later, &mask) == -1 && errno == EINTR);
	CHECK(polled.fd == pair[1]);
	CHECK(!posix_spawnp(&child, "true", 0, 0, arguments, environ));
	ends_well(child);
	CHECK(soon.tv_nsec <= 20000000 && arguments[1] == 0 && polled.events == 0);
	handled++;
}

static void on_the_alternate_stack(void)
{
	stack_t stack = { .ss_sp = malloc(65536), .ss_size = 65536 }, now;
	CHECK(!sigaltstack(&stack, 0));
	handle(SIGUSR1, answers_there, SA_ONSTACK);
	handle(SIGALRM, counts, SA_ONSTACK);
	for (int i = 0; i < 3; i++) {
		CHECK(!raise(SIGUSR1) && handled == 2 * (i + 1));
		CHECK(!sigaltstack(0, &now) && now.ss_sp == stack.ss_sp && now.ss_size == 65536);
	}
}

static void resets(int signal)
{
	sigset_t mask;
	handle(SIGUSR2, SIG_IGN, 0);
	CHECK(!sigprocmask(SIG_BLOCK, 0, &mask) && sigismember(&mask, signal));
	CHECK(!raise(SIGUSR2));
	handled++;
}

/* What handlers of crashes do needs little more than another signal's frame. */
static void on_a_small_alternate_stack(void)
{
	size_t frame = getauxval(AT_MINSIGSTKSZ);
	if (!frame)
		exit(CANNOT);
	stack_t stack = { .ss_size = 2 * frame + 1536 };
	stack.ss_sp = malloc(stack.ss_size);
	CHECK(!sigaltstack(&stack, 0));
	handle(SIGUSR1, resets, SA_ONSTACK);
	CHECK(!raise(SIGUSR1) && handled == 1);
}

/* The mask of a sleep in kernel AIO is in force in the handler that ends it. */
static void asleep_in_aio(void)
{
	struct itimerval alarm = { .it_value.tv_usec = 10000 };
	aio_context_t context = 0;
	struct io_event event;
	sigset_t mask;
	struct { const sigset_t *set; size_t size; } given = { &mask, 8 };
	CHECK(!syscall(__NR_io_setup, 1, &context));
	handle(SIGALRM, counts, 0);
	sigfillset(&mask);
	sigdelset(&mask, SIGALRM);
	CHECK(!setitimer(ITIMER_REAL, &alarm, 0));
	CHECK(syscall(__NR_io_pgetevents, context, 1, 1, &event, 0, &given) == -1);
	CHECK(errno == EINTR && handled == 1);
	/* No mask is the thread's own. */
	given.set = 0;
	CHECK(!setitimer(ITIMER_REAL, &alarm, 0));
	CHECK(syscall(__NR_io_pgetevents, context, 1, 1, &event, 0, &given) == -1);
	CHECK(errno == EINTR && handled == 2);
}

/* A program that confines itself to the calls it makes is not killed for others. */
static void confined(void)
{
#define LET(call) BPF_JUMP(BPF_JMP | BPF_JEQ, (call), 0, 1), BPF_STMT(BPF_RET, SECCOMP_RET_ALLOW)
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		LET(__NR_rt_sigprocmask), LET(__NR_rt_sigaction), LET(__NR_rt_sigsuspend),
		LET(__NR_rt_sigreturn), LET(__NR_ppoll), LET(__NR_pselect6), LET(__NR_getpid),
		LET(__NR_gettid), LET(__NR_tgkill), LET(__NR_write), LET(__NR_exit_group),
		BPF_STMT(BPF_RET, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog filter = { sizeof(code) / sizeof(*code), code };
	struct timespec soon = { 0, 1000000 };
	struct sigaction before;
	sigset_t all, mask;
	sigfillset(&all);
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter));
	CHECK(!sigprocmask(SIG_BLOCK, &all, &mask) && !sigismember(&mask, SIGUSR1));
	handle(SIGUSR1, counts, 0);
	CHECK(!raise(SIGUSR1) && handled == 0);
	CHECK(ppoll(0, 0, &soon, &mask) == -1 && errno == EINTR && handled == 1);
	CHECK(pselect(0, 0, 0, 0, &soon, &all) == 0);
	CHECK(!raise(SIGUSR1) && sigsuspend(&mask) == -1 && handled == 2);
	CHECK(!sigprocmask(SIG_SETMASK, &mask, 0));
	CHECK(!sigaction(SIGUSR1, 0, &before) && before.sa_handler == counts);
	CHECK(syscall(__NR_rt_sigprocmask, SIG_BLOCK, 8L, 0, 8) == -1 && errno == EFAULT);
	CHECK(syscall(__NR_rt_sigaction, SIGUSR1, 0, 8L, 8) == -1 && errno == EFAULT);
}

/* Memory with a protection key is this thread's, by its rights, and so its ring's. */
static void protected_by_key(void)
{
#ifdef __x86_64__
	struct io_uring_cqe cqe;
	struct ring r;
	int pair[2], key = pkey_alloc(0, 0);
	if (key < 0)
		exit(CANNOT);
	char *memory = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED && !pipe(pair));
	CHECK(!pkey_mprotect(memory, 4096, PROT_READ | PROT_WRITE, key));
	open_ring(&r, 8);
	for (int i = 0; i < 6; i++) {
		int denied = i / 2 == 1;
		struct io_uring_sqe *sqe = push(&r, IORING_OP_WRITE, pair[1], i);
		CHECK(!pkey_set(key, denied ? PKEY_DISABLE_ACCESS : 0));
		sqe->addr = (unsigned long)memory;
		sqe->len = 10;
		CHECK(enter(&r, 1, 1) == 1 && next(&r, &cqe) && cqe.user_data == i);
		CHECK(cqe.res == (denied ? -EFAULT : 10));
	}
	/* What was opened for the engine is not left open here, nor closed. */
	CHECK(pkey_get(key) == 0);
	close_ring(&r);
#else
	exit(CANNOT);
#endif
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "on_the_alternate_stack", on_the_alternate_stack },
		{ "on_a_small_alternate_stack", on_a_small_alternate_stack },
		{ "asleep_in_aio", asleep_in_aio },
		{ "confined", confined },
		{ "protected_by_key", protected_by_key },
	};
	for (unsigned i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (!strcmp(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	return 2;
}
