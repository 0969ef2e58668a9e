/* NOPs, or reads of a cached file, through liburing: what the Rust clients in client.rs do. */

#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 4096
#define BLOCKS 256
/* Of reads that are scattered: no two of them are neighbours. */
#define STEP 97
#define ENTRIES 64

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static void nops(struct io_uring *ring, unsigned depth, unsigned long rounds)
{
	while (rounds--) {
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;

		for (unsigned i = 0; i < depth; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

			if (!sqe)
				fail("full");
			io_uring_prep_nop(sqe);
			io_uring_sqe_set_data64(sqe, i);
		}
		if (io_uring_submit_and_wait(ring, depth) != (int)depth)
			fail("submit");
		io_uring_for_each_cqe(ring, head, cqe) {
			if (cqe->res)
				fail("result");
			seen++;
		}
		io_uring_cq_advance(ring, seen);
		if (seen != depth)
			fail("completions");
	}
}

static void reads(struct io_uring *ring, const char *path, unsigned step, unsigned depth,
		  unsigned long rounds)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *buffers = aligned_alloc(BLOCK, BLOCK * (size_t)depth);
	unsigned block = 0;

	if (fd < 0 || !buffers)
		fail("open");
	while (rounds--) {
		struct io_uring_cqe *cqe;
		unsigned head, seen = 0;

		for (unsigned i = 0; i < depth; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

			if (!sqe)
				fail("full");
			io_uring_prep_read(sqe, fd, buffers + (size_t)i * BLOCK, BLOCK,
					   (unsigned long)block * BLOCK);
			io_uring_sqe_set_data64(sqe, i);
			block = (block + step) % BLOCKS;
		}
		if (io_uring_submit_and_wait(ring, depth) != (int)depth)
			fail("submit");
		io_uring_for_each_cqe(ring, head, cqe) {
			if (cqe->res != BLOCK)
				fail("result");
			seen++;
		}
		io_uring_cq_advance(ring, seen);
		if (seen != depth)
			fail("completions");
	}
}

/* nop|read|scattered DEPTH ROUNDS [FILE] */
int main(int argc, char **argv)
{
	struct io_uring ring;
	unsigned depth;
	unsigned long rounds;
	double start;

	if (argc < 4)
		fail("arguments");
	depth = strtoul(argv[2], NULL, 10);
	rounds = strtoul(argv[3], NULL, 10);
	if (io_uring_queue_init(ENTRIES, &ring, 0) < 0)
		fail("io_uring_queue_init");
	start = now();
	if (!strcmp(argv[1], "nop"))
		nops(&ring, depth, rounds);
	else
		reads(&ring, argv[4], strcmp(argv[1], "read") ? STEP : 1, depth, rounds);
	printf("%f\n", (now() - start) / depth / rounds);
	return 0;
}
