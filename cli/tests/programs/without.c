/* What operations answer where a call that they are made of is missing: one line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>

#include "ring.h"

#ifndef FUTEX2_SIZE_U32
#define FUTEX2_SIZE_U32 2
#endif
#define RWF_OF_DATA_SYNC 2
#define OP_FUTEX_WAITV 53

static void answer(struct ring *r, const char *what)
{
	struct io_uring_cqe cqe;
	CHECK(enter(r, 1, 1) == 1 && next(r, &cqe));
	printf("%s %d", what, cqe.res);
}

static void opened(struct ring *r, const char *what)
{
	struct io_uring_cqe cqe;
	CHECK(enter(r, 1, 1) == 1 && next(r, &cqe));
	printf("%s %d", what, cqe.res < 0 ? cqe.res : close(cqe.res));
}

int main(void)
{
	struct ring r;
	struct io_uring_sqe *sqe;
	struct open_how how = { .flags = O_RDONLY };
	unsigned word = 1;
	struct futex_waitv one = { .val = 2, .uaddr = (unsigned long)&word, .flags = FUTEX2_SIZE_U32 };
	struct futex_waitv wait[2] = { one, one };
	char buf[8];
	int file = memfd_create("read", 0);
	CHECK(file >= 0 && pwrite(file, "hello", 5, 0) == 5);
	open_ring(&r, 8);

	for (int flags = 0; flags < 2; flags++) {
		sqe = push(&r, IORING_OP_READ, file, 1);
		sqe->addr = (unsigned long)buf;
		sqe->len = sizeof(buf);
		sqe->rw_flags = flags ? RWF_OF_DATA_SYNC : 0;
		answer(&r, flags ? ", with a flag" : "read");
	}
	sqe = push(&r, IORING_OP_OPENAT, AT_FDCWD, 2);
	sqe->addr = (unsigned long)"/";
	sqe->open_flags = O_RDONLY | O_DIRECTORY;
	opened(&r, ", openat");
	for (int beneath = 0; beneath < 2; beneath++) {
		how.resolve = beneath ? RESOLVE_IN_ROOT : 0;
		sqe = push(&r, IORING_OP_OPENAT2, AT_FDCWD, 3);
		sqe->addr = (unsigned long)".";
		sqe->off = (unsigned long)&how;
		sqe->len = sizeof(how);
		opened(&r, beneath ? ", openat2 beneath" : ", openat2");
	}
	for (int words = 1; words <= 2; words++) {
		sqe = push(&r, OP_FUTEX_WAITV, 0, 4);
		sqe->addr = (unsigned long)wait;
		sqe->len = words;
		answer(&r, words == 1 ? ", futex_waitv of one" : ", futex_waitv");
	}
	puts("");
	close_ring(&r);
	return 0;
}
