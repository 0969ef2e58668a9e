/* Random 4 KiB reads through libuv, whose pool has four threads: what event loops make of files where
 * there is no io_uring. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#define BLOCK 4096

struct read {
	uv_fs_t request; /* first: a request is the read that it is of */
	uv_buf_t buffer;
	struct read *next;
};

static struct read *idle;
static unsigned under_way;

static void fail(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, uv_strerror(error));
	exit(1);
}

static double nanoseconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

/* The offsets of the other contenders. */
static uint64_t next_block(uint64_t blocks)
{
	static uint64_t state = 0x9E3779B97F4A7C15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % blocks;
}

static void done(uv_fs_t *request)
{
	struct read *read = (struct read *)request;

	if (request->result != BLOCK)
		fail("read", (int)request->result);
	uv_fs_req_cleanup(request);
	read->next = idle;
	idle = read;
	under_way--;
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	unsigned depth, batch;
	double span, start, cpu, elapsed;
	unsigned long reads = 0;
	uint64_t blocks;
	off_t length;
	int fd;

	if (argc != 6) {
		fprintf(stderr, "usage: %s FILE cached|direct DEPTH BATCH MILLISECONDS\n", argv[0]);
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC | (strcmp(argv[2], "direct") ? 0 : O_DIRECT));
	if (fd < 0 || (length = lseek(fd, 0, SEEK_END)) < BLOCK)
		fail(argv[1], UV_ENOENT);
	blocks = (uint64_t)length / BLOCK;
	depth = (unsigned)atoi(argv[3]);
	batch = (unsigned)atoi(argv[4]);
	span = atof(argv[5]) * 1e6;
	for (unsigned i = 0; i < depth; i++) {
		struct read *read = calloc(1, sizeof(*read));
		char *memory = aligned_alloc(BLOCK, BLOCK);

		if (!read || !memory)
			fail("memory", UV_ENOMEM);
		read->buffer = uv_buf_init(memory, BLOCK);
		read->next = idle;
		idle = read;
	}
	start = nanoseconds(CLOCK_MONOTONIC);
	cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
	do {
		while (idle) {
			struct read *read = idle;
			int64_t offset = (int64_t)(next_block(blocks) * BLOCK);
			int error;

			idle = read->next;
			error = uv_fs_read(loop, &read->request, fd, &read->buffer, 1, offset, done);
			if (error)
				fail("uv_fs_read", error);
			under_way++;
		}
		while (under_way > depth - batch)
			uv_run(loop, UV_RUN_ONCE);
		reads += depth - under_way;
		elapsed = nanoseconds(CLOCK_MONOTONIC) - start;
	} while (elapsed < span);
	cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("%f %f\n", elapsed / reads, cpu / reads);
	uv_run(loop, UV_RUN_DEFAULT);
	return 0;
}
