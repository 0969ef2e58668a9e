/* A process that has run out of something, by the limits that the system sets. Each case prints
 * nothing and exits 0, says what was wrong and exits 1, or why it cannot be tried and exits 77. */
#define _GNU_SOURCE
#include <grp.h>
#include <linux/aio_abi.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "ring.h"
#include "mix.h"

static void skip(const char *reason)
{
	fprintf(stderr, "%s\n", reason);
	exit(77);
}

/* Submits what is queued and takes a completion for each; which of them failed is not asked. */
static int all_completed(struct ring *r, unsigned submissions)
{
	struct io_uring_cqe cqe;
	unsigned char *seen = calloc(1, submissions);
	unsigned left = submissions, submitted = 0;
	int failed = 0;
	double end = seconds() + 5;
	CHECK(seen);
	while (left) {
		int n = enter(r, submissions - submitted, 1);
		CHECK(n >= 0 && seconds() < end);
		submitted += n;
		while (next(r, &cqe)) {
			CHECK(cqe.user_data < submissions && !seen[cqe.user_data]);
			seen[cqe.user_data] = 1;
			failed += cqe.res < 0;
			left--;
		}
	}
	free(seen);
	return failed;
}

/* Takes every AIO context there is; the kernel gives them back when the process ends. */
static void no_aio_contexts(void)
{
	enum { BLOCKS = 64 };
	static char data[BLOCKS][4096] __attribute__((aligned(4096)));
	struct ring r;
	int contexts = 0;
	for (unsigned events = 1 << 16; events && contexts < 1000;) {
		aio_context_t context = 0;
		if (!syscall(__NR_io_setup, events, &context))
			contexts++;
		else if (errno == EAGAIN)
			events /= 2;
		else
			skip(strerror(errno));
	}
	if (contexts == 1000)
		skip("fs.aio-max-nr is too large to be used up");
	int file = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0600);
	if (file < 0)
		skip("no O_DIRECT in the temporary directory");
	open_ring(&r, BLOCKS);
	for (int way = IORING_OP_WRITE; way; way = way == IORING_OP_WRITE ? IORING_OP_READ : 0) {
		for (int i = 0; i < BLOCKS; i++) {
			struct io_uring_sqe *sqe = push(&r, way, file, i);
			memset(data[i], way == IORING_OP_WRITE ? i : -1, 4096);
			sqe->addr = (unsigned long)data[i];
			sqe->len = 4096;
			sqe->off = i * 4096;
		}
		CHECK(all_completed(&r, BLOCKS) == 0);
	}
	for (int i = 0; i < BLOCKS; i++)
		CHECK(data[i][0] == i && !memcmp(data[i], data[i] + 1, 4095));
	close_ring(&r);
}

/* No thread can be made: another user's, whose limit is used up by this process. */
static void no_threads_left(void)
{
	enum { MANY = 500 };
	static const unsigned links[] = { 0, IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_ASYNC };
	struct ring r;
	struct rlimit one = { 1, 1 };
	CHECK(!chmod(".", 0777));
	if (!getuid())
		CHECK(!setgroups(0, 0) && !setresgid(65534, 65534, 65534) &&
		      !setresuid(65534, 65534, 65534));
	CHECK(!setrlimit(RLIMIT_NPROC, &one));
	pid_t child = fork();
	if (!child)
		_exit(0);
	if (child > 0)
		skip("RLIMIT_NPROC is not kept here");
	CHECK(errno == EAGAIN);
	open_ring(&r, MANY);
	descriptor_tells(0);
	descriptor_tells(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	mix(&r, 0, 0);
	mix(&r, IOSQE_ASYNC, 0);
	int file = open("file", O_RDWR | O_CREAT, 0600);
	CHECK(file >= 0);
	for (unsigned kind = 0; kind < sizeof(links) / sizeof(*links); kind++) {
		for (int i = 0; i < MANY; i++)
			push(&r, IORING_OP_FSYNC, file, i)->flags = i < MANY - 1 ? links[kind] : 0;
		all_completed(&r, MANY);
	}
	close_ring(&r);
}

static void limit_memory(long more)
{
	struct rlimit limit;
	long pages;
	FILE *f = fopen("/proc/self/statm", "r");
	CHECK(f && fscanf(f, "%ld", &pages) == 1);
	fclose(f);
	CHECK(!getrlimit(RLIMIT_AS, &limit));
	limit.rlim_cur = more < 0 ? limit.rlim_max : pages * 4096 + more;
	CHECK(!setrlimit(RLIMIT_AS, &limit));
}

/* No address space: rings are not made, requests not taken, until there is memory again. */
static void no_memory(void)
{
	enum { POLLS = 600 };
	struct ring r, other = { 0 };
	struct io_uring_cqe cqe;
	int ends[2];
	CHECK(!pipe(ends));
	limit_memory(0);
	CHECK(try_ring(&other, 8) == -ENOMEM);
	limit_memory(-1);
	open_ring(&r, 1024);
	limit_memory(0);
	CHECK(try_ring(&other, 8) == -ENOMEM);
	limit_memory(-1);
	mix(&r, 0, 1);
	limit_memory(0);
	mix(&r, 0, 0);
	mix(&r, IOSQE_ASYNC, 0);
	for (int i = 0; i < POLLS; i++)
		push(&r, IORING_OP_POLL_ADD, ends[0], i)->poll32_events = POLLIN;
	int taken = enter(&r, POLLS, 0);
	CHECK(taken > 0 && taken < POLLS);
	CHECK(enter(&r, POLLS - taken, 0) == -1 && errno == EAGAIN);
	CHECK(!next(&r, &cqe));
	limit_memory(-1);
	CHECK(enter(&r, POLLS - taken, 0) == POLLS - taken);
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(all_completed(&r, POLLS) == 0);
	memset(&other, 0, sizeof(other));
	CHECK(try_ring(&other, 8) == 0);
	close_ring(&other);
	close_ring(&r);
}

static void limit_files(unsigned most)
{
	struct rlimit limit = { most, most };
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
}

static struct io_uring_sqe *push_buffer(struct ring *r, int op, int fd, unsigned long data, void *at,
					unsigned len)
{
	struct io_uring_sqe *sqe = push(r, op, fd, data);
	sqe->addr = (unsigned long)at;
	sqe->len = len;
	return sqe;
}

/* Every number is taken: what waits goes on waiting, what needs a new one is told so. */
static void no_descriptors(unsigned most)
{
	struct ring r, other = { 0 };
	struct io_uring_cqe cqe;
	struct sockaddr_in at;
	char got[4][8];
	int pairs[3][2], ends[2], listens, fillers = 0, last, first = -1;
	open_ring(&r, 16);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[0]) && !pipe(ends));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[1]));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[2]));
	listener(&listens, &at);
	int connects = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connects >= 0 && !connect(connects, (void *)&at, sizeof(at)));
	limit_files(most);
	for (; (last = open("/dev/null", O_RDONLY)) >= 0; fillers++)
		first = first < 0 ? last : first;
	CHECK(errno == EMFILE && fillers > 0);
	CHECK(try_ring(&other, 4) == -EMFILE);

	push_buffer(&r, IORING_OP_RECV, pairs[0][0], 0, got[0], 5);
	push_buffer(&r, IORING_OP_RECV, pairs[0][0], 1, got[1], 5);
	push_buffer(&r, IORING_OP_RECV, pairs[1][0], 2, got[2], 5);
	push_buffer(&r, IORING_OP_READ, ends[0], 3, got[3], 5);
	push(&r, IORING_OP_POLL_ADD, pairs[2][0], 4)->poll32_events = POLLIN;
	push(&r, IORING_OP_POLL_ADD, pairs[2][0], 5)->poll32_events = POLLIN;
	push(&r, IORING_OP_ACCEPT, listens, 6);
	push_buffer(&r, IORING_OP_OPENAT, AT_FDCWD, 7, "/dev/null", 0);
	CHECK(enter(&r, 8, 2) == 8);
	for (int refused = 0; refused < 2; refused++) {
		while (!next(&r, &cqe))
			CHECK(enter(&r, 0, 1) == 0);
		CHECK(cqe.user_data >= 6 && cqe.res == -EMFILE);
	}
	CHECK(!next(&r, &cqe));
	CHECK(send(pairs[0][1], "hellohello", 10, 0) == 10 && write(ends[1], "hello", 5) == 5);
	CHECK(send(pairs[1][1], "hello", 5, 0) == 5 && send(pairs[2][1], "hello", 5, 0) == 5);
	for (unsigned seen = 0; seen != 0x3f;) {
		while (!next(&r, &cqe))
			CHECK(enter(&r, 0, 1) == 0);
		CHECK(cqe.user_data < 6 && !(seen & 1u << cqe.user_data));
		CHECK(cqe.res == (cqe.user_data < 4 ? 5 : POLLIN));
		seen |= 1u << cqe.user_data;
	}
	for (; fillers; fillers--)
		close(first++);
	memset(&other, 0, sizeof(other));
	int again = try_ring(&other, 4);
	/* The engine's rings need numbers from 960 up. */
	CHECK(again == 0 || (again == -EMFILE && most <= 960));
	if (again == 0)
		close_ring(&other);
	close_ring(&r);
}

static void no_descriptors_at_all(void)
{
	no_descriptors(1024);
}

/* The limit lies below the numbers that the engine likes to use. */
static void low_numbers_only(void)
{
	no_descriptors(64);
}

/* Some of the numbers that the engine likes are left, or none, and enough of the others. */
static void few_high_numbers(void)
{
	struct ring rings[4];
	for (int i = 0; i < 4; i++)
		open_ring(&rings[i], 64);
	for (int i = 0; i < 4; i++) {
		limit_files(990 - 30 * i);
		mix(&rings[i], 0, 1);
		mix(&rings[i], IOSQE_ASYNC, 1);
		close_ring(&rings[i]);
	}
}

/* A million entries, of which there are fewer. */
static void a_million_entries(void)
{
	struct ring r = { 0 };
	CHECK(try_ring(&r, 1000000) == -EINVAL);
	r.p = (struct io_uring_params){ .flags = IORING_SETUP_CQSIZE, .cq_entries = 1000000 };
	CHECK(try_ring(&r, 8) == -EINVAL);
	r.p = (struct io_uring_params){ .flags = IORING_SETUP_CLAMP };
	CHECK(try_ring(&r, 1000000) == 0);
	CHECK(r.p.sq_entries == 32768 && r.p.cq_entries == 65536);
	for (unsigned i = 0; i < r.p.sq_entries; i++)
		push(&r, IORING_OP_NOP, -1, i);
	CHECK(all_completed(&r, r.p.sq_entries) == 0);
	close_ring(&r);
	r.p = (struct io_uring_params){ .flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE,
					.cq_entries = 1000000 };
	CHECK(try_ring(&r, 8) == 0);
	CHECK(r.p.sq_entries == 8 && r.p.cq_entries == 65536);
	close_ring(&r);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "no_aio_contexts", no_aio_contexts },
		{ "no_threads_left", no_threads_left },
		{ "no_memory", no_memory },
		{ "no_descriptors", no_descriptors_at_all },
		{ "low_numbers_only", low_numbers_only },
		{ "few_high_numbers", few_high_numbers },
		{ "a_million_entries", a_million_entries },
	};
	for (unsigned i = 0; argc > 1 && i < sizeof(cases) / sizeof(*cases); i++)
		if (!strcmp(argv[1], cases[i].name)) {
			cases[i].run();
			return 0;
		}
	return 2;
}
