/* A ring by plain system calls, and what the programs here share besides. */
#include <dirent.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                             \
	do {                                                                         \
		if (!(condition)) {                                                  \
			fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__,        \
				#condition, errno);                                  \
			exit(1);                                                     \
		}                                                                    \
	} while (0)

/* Waits for a child, which must end without complaint. */
static inline void ends_well(pid_t child)
{
	int status;
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	if (status)
		fprintf(stderr, "child ended with %#x\n", status);
	CHECK(status == 0);
}

struct ring {
	int fd;
	struct io_uring_params p;
	char *rings;
	size_t rings_len;
	struct io_uring_sqe *sqes;
};

static inline _Atomic unsigned *word(struct ring *r, unsigned offset)
{
	return (_Atomic unsigned *)(r->rings + offset);
}

/* Opens a ring as `r->p` asks for it; 0, or the negative errno of setup. */
static inline int try_ring(struct ring *r, unsigned entries)
{
	r->fd = syscall(__NR_io_uring_setup, entries, &r->p);
	if (r->fd < 0)
		return -errno;
	r->rings_len = r->p.sq_off.array + r->p.sq_entries * 4;
	if (r->rings_len < r->p.cq_off.cqes + r->p.cq_entries * 16)
		r->rings_len = r->p.cq_off.cqes + r->p.cq_entries * 16;
	r->rings = mmap(0, r->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
			IORING_OFF_SQ_RING);
	CHECK(r->rings != MAP_FAILED);
	r->sqes = mmap(0, r->p.sq_entries * 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       r->fd, IORING_OFF_SQES);
	CHECK(r->sqes != MAP_FAILED);
	return 0;
}

static inline void open_ring(struct ring *r, unsigned entries)
{
	memset(r, 0, sizeof(*r));
	CHECK(try_ring(r, entries) == 0);
}

static inline void close_ring(struct ring *r)
{
	munmap(r->rings, r->rings_len);
	munmap(r->sqes, r->p.sq_entries * 64);
	close(r->fd);
}

/* Fills the SQE of a tail; it is published by storing the next one. */
static inline struct io_uring_sqe *fill(struct ring *r, unsigned at, int op, int fd,
					unsigned long data)
{
	unsigned index = at & (r->p.sq_entries - 1);
	struct io_uring_sqe *sqe = &r->sqes[index];
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->user_data = data;
	*word(r, r->p.sq_off.array + 4 * index) = index;
	return sqe;
}

static inline struct io_uring_sqe *push(struct ring *r, int op, int fd, unsigned long data)
{
	_Atomic unsigned *tail = word(r, r->p.sq_off.tail);
	struct io_uring_sqe *sqe = fill(r, *tail, op, fd, data);
	*tail = *tail + 1;
	return sqe;
}

static inline int enter(struct ring *r, unsigned submit, unsigned wait)
{
	return syscall(__NR_io_uring_enter, r->fd, submit, wait, wait ? IORING_ENTER_GETEVENTS : 0, 0, 8);
}

static inline int next(struct ring *r, struct io_uring_cqe *out)
{
	_Atomic unsigned *head = word(r, r->p.cq_off.head);
	unsigned at = *head;
	if (at == *word(r, r->p.cq_off.tail))
		return 0;
	*out = ((struct io_uring_cqe *)(r->rings + r->p.cq_off.cqes))[at & (r->p.cq_entries - 1)];
	*head = at + 1;
	return 1;
}

static inline int count(const char *folder)
{
	DIR *dir = opendir(folder);
	int n = 0;
	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* The descriptor of a ring made with these flags tells by `poll` when to come for a completion,
 * and that there is none. */
static inline void descriptor_tells(unsigned flags)
{
	struct ring r = { .p.flags = flags };
	struct __kernel_timespec soon = { 0, 20000000 };
	struct io_uring_cqe cqe;
	char byte;
	int pair[2];
	CHECK(!try_ring(&r, 8) && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	struct pollfd p = { .fd = r.fd, .events = POLLIN };
	for (int i = 0; i < 6; i++) {
		struct io_uring_sqe *sqe;
		if (i % 2) {
			sqe = push(&r, IORING_OP_RECV, pair[0], i);
			sqe->addr = (unsigned long)&byte;
		} else {
			sqe = push(&r, IORING_OP_TIMEOUT, -1, i);
			sqe->addr = (unsigned long)&soon;
		}
		sqe->len = 1;
		CHECK(enter(&r, 1, 0) == 1);
		CHECK(poll(&p, 1, 0) == 0);
		CHECK(i % 2 == 0 || write(pair[1], "x", 1) == 1);
		CHECK(poll(&p, 1, 2000) == 1 && p.revents == POLLIN);
		CHECK(syscall(__NR_io_uring_enter, r.fd, 0, 0, IORING_ENTER_GETEVENTS, 0, 8) == 0);
		CHECK(next(&r, &cqe) && cqe.user_data == (unsigned)i);
		CHECK(cqe.res == (i % 2 ? 1 : -ETIME));
		/* That it was taken the engine may learn only now. */
		CHECK(syscall(__NR_io_uring_enter, r.fd, 0, 0, IORING_ENTER_GETEVENTS, 0, 8) == 0);
		CHECK(poll(&p, 1, 0) == 0);
	}
	close(pair[0]);
	close(pair[1]);
	close_ring(&r);
}
