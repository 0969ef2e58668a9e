/* One round of everything: files, pipes, sockets, timers, polls, links and cancellation. Every
 * submission must get exactly one last completion, which is the right one or an error. */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/stat.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

/* Newer than many headers. */
enum { OP_WAITID = 50, OP_FUTEX_WAIT = 51 };

/* What a completion may say besides an error. */
enum { ANY_RESULT = -100000, AN_FD = -100001 };

struct expected {
	const char *what;
	int res;
	int seen;
};

struct mix {
	struct ring *r;
	unsigned char sqe_flags;
	/* Requests must go well. */
	int strict;
	struct expected expected[64];
	unsigned submissions;
	unsigned tail;
};

/* Queues an operation; its user_data is its number. */
static struct io_uring_sqe *add(struct mix *m, const char *what, int op, int fd, int res)
{
	unsigned n = m->submissions++;
	CHECK(n < 64);
	m->expected[n] = (struct expected){ what, res, 0 };
	/* Published all at once: a thread that submits must not see half a link. */
	struct io_uring_sqe *sqe = fill(m->r, m->tail++, op, fd, n);
	sqe->flags = m->sqe_flags;
	return sqe;
}

static struct io_uring_sqe *add_buffer(struct mix *m, const char *what, int op, int fd, void *at,
				       unsigned len, int res)
{
	struct io_uring_sqe *sqe = add(m, what, op, fd, res);
	sqe->addr = (unsigned long)at;
	sqe->len = len;
	return sqe;
}

static int unseen(struct mix *m)
{
	int n = 0;
	for (unsigned i = 0; i < m->submissions; i++)
		n += !m->expected[i].seen;
	return n;
}

static void take(struct mix *m, struct io_uring_cqe *cqe)
{
	CHECK(cqe->user_data < m->submissions);
	struct expected *e = &m->expected[cqe->user_data];
	if (!(cqe->flags & IORING_CQE_F_MORE))
		e->seen++;
	int right = cqe->res == e->res || (cqe->res < 0 && !m->strict) || e->res == ANY_RESULT ||
		    (e->res == AN_FD && cqe->res >= 0);
	if (!right || e->seen > 1) {
		fprintf(stderr, "%s: res %d, completion %d\n", e->what, cqe->res, e->seen);
		exit(1);
	}
	if (e->res == AN_FD && cqe->res >= 0)
		close(cqe->res);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Takes completions until all but `left` submissions have theirs, or three seconds are over. */
static void collect(struct mix *m, int left)
{
	struct __kernel_timespec step = { 0, 50000000 };
	struct io_uring_getevents_arg arg = { .ts = (unsigned long)&step };
	struct io_uring_cqe cqe;
	double end = seconds() + 10;
	for (;;) {
		while (next(m->r, &cqe))
			take(m, &cqe);
		if (unseen(m) <= left)
			return;
		if (seconds() > end)
			break;
		int n = syscall(__NR_io_uring_enter, m->r->fd, 0, 1,
				IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG |
					(m->r->p.flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0),
				&arg, sizeof(arg));
		CHECK(n == 0 || errno == ETIME || errno == EINTR);
	}
	for (unsigned i = 0; i < m->submissions; i++)
		if (!m->expected[i].seen)
			fprintf(stderr, "%s: no completion\n", m->expected[i].what);
	exit(1);
}

/* Gives everything queued to the ring, however often that takes. */
static void submit_all(struct mix *m)
{
	_Atomic unsigned *head = word(m->r, m->r->p.sq_off.head);
	_Atomic unsigned *tail = word(m->r, m->r->p.sq_off.tail);
	double end = seconds() + 10;
	*tail = m->tail;
	while (*head != *tail) {
		CHECK(seconds() < end);
		int n = syscall(__NR_io_uring_enter, m->r->fd, *tail - *head, 0, IORING_ENTER_SQ_WAKEUP,
				0, 8);
		CHECK(n >= 0 || errno == EAGAIN);
	}
}

static void listener(int *fd, struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	memset(at, 0, sizeof(*at));
	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(*fd >= 0 && !bind(*fd, (void *)at, len) && !listen(*fd, 8));
	CHECK(!getsockname(*fd, (void *)at, &len));
}

/* A file and a buffer; whether both could be registered. */
static int register_all(struct ring *r, int file, void *buffer, unsigned len)
{
	struct iovec vector = { buffer, len };
	int files = syscall(__NR_io_uring_register, r->fd, IORING_REGISTER_FILES, &file, 1);
	int buffers = syscall(__NR_io_uring_register, r->fd, IORING_REGISTER_BUFFERS, &vector, 1);
	return files == 0 && buffers == 0;
}

/* STRICT: 0, requests may fail; 1, they may not; 2, nor may registering. */
static void mix(struct ring *r, unsigned char sqe_flags, int strict)
{
	static char from_file[4096], read_vector[2][100], to_file[512], to_pipe[4];
	static char direct[4096] __attribute__((aligned(4096)));
	static char got[12][16], fixed[4096], provided[4][16];
	static struct statx stx;
	struct mix m = { .r = r, .sqe_flags = sqe_flags, .strict = strict };
	struct __kernel_timespec soon = { 0, 20000000 }, late = { 1000, 0 };
	int pipes[6][2], pairs[7][2], listens, word_slept_on = 7;
	struct sockaddr_in at;
	struct io_uring_sqe *sqe;
	m.tail = *word(r, r->p.sq_off.tail);

	int file = open("mix-file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(file >= 0);
	memset(from_file, 'f', sizeof(from_file));
	for (int i = 0; i < 4; i++)
		CHECK(write(file, from_file, 4096) == 4096);
	CHECK(!fsync(file));
	int odirect = open("mix-file", O_RDONLY | O_DIRECT);
	memset(from_file, 0, sizeof(from_file));
	memset(direct, 0, sizeof(direct));
	for (int i = 0; i < 7; i++)
		CHECK((i == 6 || !pipe(pipes[i])) &&
		      !socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]));
	listener(&listens, &at);
	int connects = socket(AF_INET, SOCK_STREAM, 0), spare = dup(file);
	CHECK(connects >= 0 && spare >= 0);
	CHECK(write(pipes[2][1], "fives", 5) == 5);
	int registered = register_all(r, file, fixed, sizeof(fixed));
	CHECK(registered || strict < 2);
	pid_t child = fork();
	if (!child) {
		usleep(20000);
		_exit(0);
	}

	add(&m, "nop", IORING_OP_NOP, -1, 0);
	add_buffer(&m, "read", IORING_OP_READ, file, from_file, 4096, 4096);
	if (odirect >= 0)
		add_buffer(&m, "direct read", IORING_OP_READ, odirect, direct, 4096, 4096);
	add_buffer(&m, "write", IORING_OP_WRITE, file, to_file, 512, 512)->off = 8192;
	struct iovec vector[2] = { { read_vector[0], 100 }, { read_vector[1], 100 } };
	add_buffer(&m, "readv", IORING_OP_READV, file, vector, 2, 200);
	if (registered) {
		sqe = add_buffer(&m, "fixed read", IORING_OP_READ_FIXED, 0, fixed, 4096, 4096);
		sqe->flags |= IOSQE_FIXED_FILE;
	}
	add(&m, "fsync", IORING_OP_FSYNC, file, 0);
	sqe = add(&m, "fallocate", IORING_OP_FALLOCATE, file, 0);
	sqe->addr = 4096;
	sqe->off = 16384;
	sqe = add_buffer(&m, "open", IORING_OP_OPENAT, AT_FDCWD, "mix-file", 0, AN_FD);
	sqe->open_flags = O_RDONLY;
	add_buffer(&m, "open nothing", IORING_OP_OPENAT, AT_FDCWD, "mix-nothing", 0, -ENOENT);
	sqe = add_buffer(&m, "statx", IORING_OP_STATX, AT_FDCWD, "mix-file", STATX_SIZE, 0);
	sqe->off = (unsigned long)&stx;
	sqe = add_buffer(&m, "mkdir", IORING_OP_MKDIRAT, AT_FDCWD, "mix-dir", 0700, 0);
	sqe->flags |= IOSQE_IO_LINK;
	sqe = add_buffer(&m, "rmdir", IORING_OP_UNLINKAT, AT_FDCWD, "mix-dir", 0, 0);
	sqe->unlink_flags = AT_REMOVEDIR;
	add(&m, "close", IORING_OP_CLOSE, spare, 0);

	add_buffer(&m, "read pipe", IORING_OP_READ, pipes[0][0], got[0], 16, 5);
	add_buffer(&m, "write pipe", IORING_OP_WRITE, pipes[1][1], to_pipe, 4, 4);
	sqe = add(&m, "splice", IORING_OP_SPLICE, pipes[3][1], 5);
	sqe->splice_fd_in = pipes[2][0];
	sqe->splice_off_in = sqe->off = -1;
	sqe->len = 5;
	sqe = add(&m, "splice later", IORING_OP_SPLICE, pipes[5][1], 5);
	sqe->splice_fd_in = pipes[4][0];
	sqe->splice_off_in = sqe->off = -1;
	sqe->len = 5;

	add_buffer(&m, "recv", IORING_OP_RECV, pairs[0][0], got[1], 5, 5);
	add_buffer(&m, "recv too", IORING_OP_RECV, pairs[0][0], got[2], 5, 5);
	add_buffer(&m, "send", IORING_OP_SEND, pairs[1][0], to_pipe, 4, 4);
	struct iovec one = { got[3], 16 };
	struct msghdr message = { .msg_iov = &one, .msg_iovlen = 1 };
	add_buffer(&m, "recvmsg", IORING_OP_RECVMSG, pairs[2][0], &message, 1, 5);
	add_buffer(&m, "recv in time", IORING_OP_RECV, pairs[3][0], got[4], 5, ANY_RESULT)->flags |=
		IOSQE_IO_LINK;
	add_buffer(&m, "link timeout", IORING_OP_LINK_TIMEOUT, -1, &soon, 1, ANY_RESULT);
	add(&m, "shutdown", IORING_OP_SHUTDOWN, pairs[4][0], 0)->len = SHUT_RDWR;
	add(&m, "accept", IORING_OP_ACCEPT, listens, AN_FD);
	sqe = add_buffer(&m, "connect", IORING_OP_CONNECT, connects, &at, 0, 0);
	sqe->off = sizeof(at);

	add(&m, "poll", IORING_OP_POLL_ADD, pairs[5][0], POLLIN)->poll32_events = POLLIN;
	unsigned never = m.submissions;
	add(&m, "poll for ever", IORING_OP_POLL_ADD, pipes[3][1], ANY_RESULT)->poll32_events = POLLPRI;
	add(&m, "cancel", IORING_OP_ASYNC_CANCEL, -1, 0)->addr = never;
	unsigned several = m.submissions;
	sqe = add(&m, "multishot poll", IORING_OP_POLL_ADD, pairs[5][0], ANY_RESULT);
	sqe->poll32_events = POLLIN;
	sqe->len = IORING_POLL_ADD_MULTI;
	add_buffer(&m, "provide", IORING_OP_PROVIDE_BUFFERS, 4, provided, 16, ANY_RESULT)->buf_group = 1;
	unsigned shots = m.submissions;
	sqe = add(&m, "multishot recv", IORING_OP_RECV, pairs[6][0], ANY_RESULT);
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 1;
	/* FUTEX2_SIZE_U32 | FUTEX2_PRIVATE */
	sqe = add_buffer(&m, "futex wait", OP_FUTEX_WAIT, 0x82, &word_slept_on, 0, ANY_RESULT);
	sqe->off = word_slept_on;
	sqe->addr3 = 1;
	if (child > 0) {
		sqe = add(&m, "waitid", OP_WAITID, child, ANY_RESULT);
		sqe->len = P_PID;
		sqe->file_index = WEXITED;
	}
	add_buffer(&m, "timeout", IORING_OP_TIMEOUT, -1, &soon, 1, -ETIME);
	unsigned timer = m.submissions;
	add_buffer(&m, "late timeout", IORING_OP_TIMEOUT, -1, &late, 1, -ECANCELED);
	add(&m, "remove timeout", IORING_OP_TIMEOUT_REMOVE, -1, 0)->addr = timer;
	submit_all(&m);

	CHECK(write(pipes[0][1], "hello", 5) == 5);
	CHECK(write(pipes[4][1], "hello", 5) == 5);
	CHECK(send(pairs[0][1], "hellohello", 10, 0) == 10);
	CHECK(send(pairs[2][1], "hello", 5, 0) == 5);
	CHECK(send(pairs[5][1], "hello", 5, 0) == 5);
	/* The accept must have its connection, whatever became of ours. */
	int other = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(other >= 0 && !connect(other, (void *)&at, sizeof(at)));
	CHECK(send(pairs[6][1], "hello", 5, 0) == 5);
	word_slept_on = 8;
	syscall(__NR_futex, &word_slept_on, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, 0, 0);
	collect(&m, 2);
	/* What is left are those of several shots, if that. */
	add(&m, "cancel poll", IORING_OP_ASYNC_CANCEL, -1, ANY_RESULT)->addr = several;
	add(&m, "cancel recv", IORING_OP_ASYNC_CANCEL, -1, ANY_RESULT)->addr = shots;
	sqe = add(&m, "remove buffers", IORING_OP_REMOVE_BUFFERS, 4, ANY_RESULT);
	sqe->buf_group = 1;
	submit_all(&m);
	collect(&m, 0);
	int whole = 1;
	for (int i = 0; odirect >= 0 && i < 4096; i++)
		whole &= direct[i] == direct[0];
	CHECK(whole);
	if (child > 0)
		waitpid(child, 0, 0);
	syscall(__NR_io_uring_register, r->fd, IORING_UNREGISTER_FILES, 0, 0);
	syscall(__NR_io_uring_register, r->fd, IORING_UNREGISTER_BUFFERS, 0, 0);

	for (int i = 0; i < 7; i++) {
		if (i < 6) {
			close(pipes[i][0]);
			close(pipes[i][1]);
		}
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	close(listens);
	close(connects);
	close(other);
	close(odirect);
	close(file);
	rmdir("mix-dir");
	unlink("mix-file");
}
