/* sysring: any system call, asynchronous. Written by cargo xtask header; do not edit.

   Functions answer as the kernel does: a value, or a negated error number. `errno` is not touched. */

#ifndef SYSRING_H
#define SYSRING_H

#include <stddef.h>
#include <stdint.h>

/* In sysring's liburing: which engine serves a ring, and why: "kernel: ..." or "user: ...", a static
   string. NULL asks what a new ring would get. */
struct io_uring;

#ifdef __cplusplus
extern "C" {
#endif

const char *sysring_ring_engine(const struct io_uring *ring);

#ifdef __cplusplus
}
#endif

/* The ring of events is shared with other processes: see sysring_calls_attach(). */
#define SYSRING_OPTION_SHARED 1

/* The call is made by another thread, whatever it is. */
#define SYSRING_CALL_BY_WORKER 1

/* Bytes of the longest event there can be: enough for sysring_next_long(). */
#define SYSRING_EVENT_LONGEST 4096

/* When the call was queued, issued and completed: struct sysring_timing. */
#define SYSRING_ATTR_TIMING 0

/* Which way it was served: uint64_t, SYSRING_PATH_*. */
#define SYSRING_ATTR_PATH 1

/* What came from the cache: struct sysring_cache. Of reads from files and disks, and of opens that
   create nothing, where they are attempted without blocking. */
#define SYSRING_ATTR_CACHE 2

/* It is cancelled at a time: uint64_t, 1 if it was. What may wait where it is issued goes to another
   thread for that. */
#define SYSRING_ATTR_DEADLINE 3

/* A short transfer is continued: uint64_t, how many system calls it took. */
#define SYSRING_ATTR_FULL 4

/* With an I/O priority of its own; no value. Not with credentials of others. */
#define SYSRING_ATTR_IOPRIO 5

/* With RWF_* flags; no value. */
#define SYSRING_ATTR_RW_FLAGS 6

/* With the credentials of sysring_credentials_register(); no value. */
#define SYSRING_ATTR_CREDENTIALS 7

/* Who made it, where: struct sysring_place. */
#define SYSRING_ATTR_PLACE 8

/* EINTR and EAGAIN are tried again: uint64_t, how often they were. EAGAIN after a pause: 1 ms, twice as
   long each time, up to 128 ms. */
#define SYSRING_ATTR_RETRY 9

/* A number of the caller's: uint64_t. */
#define SYSRING_ATTR_TRACE 10

/* CRC-32C of the data that moved: struct sysring_checksum. */
#define SYSRING_ATTR_CHECKSUM 11

/* Attributes of the program's own: see struct sysring_extension and sysring_extension_answer(). */
#define SYSRING_ATTR_EXTENSIONS 63

/* Without blocking, where it was issued. */
#define SYSRING_PATH_INLINE 1

/* When its descriptor was ready. */
#define SYSRING_PATH_READINESS 2

/* By the kernel's AIO. */
#define SYSRING_PATH_AIO 3

/* By another thread. */
#define SYSRING_PATH_WORKER 4

/* By sysring_issue_sync(), in place: if it blocked, the caller waited in it. */
#define SYSRING_PATH_IN_PLACE 5

/* By the kernel's io_uring. */
#define SYSRING_PATH_IO_URING 6

/* By a thread that another took over from when it blocked: a call of a scope (Rust). */
#define SYSRING_PATH_TAKEN_OVER 7

/* A context: calls that are pending, and the ring that their answers come to. */
struct sysring_calls;

/* An answer: what docs/events.md says of a record. */
struct sysring_event {
  /* Bytes that are used. */
  uint32_t length;
  /* 0 for an answer. */
  uint16_t kind;
  /* 0 */
  uint16_t flags;
  /* Which call: what sysring_issue() gave. 0 in `done`. */
  uint64_t id;
  /* The value, or the negated error number. */
  int64_t result;
  /* Which attributes were honoured: 1 << SYSRING_ATTR_TIMING, ... */
  uint64_t handled;
  /* Their values; see sysring_attribute(). */
  uint64_t values[60];
};

/* An attribute of the program's own, by number. */
struct sysring_extension {
  /* Any but 0, and no two the same. */
  uint32_t number;
  /* 0 */
  uint32_t reserved;
  /* Called when a call is issued that is asked for it, by the thread that issues it, before the call
     is made: with `data`, the call's number and its six arguments, and the argument of struct
     sysring_asked_extension. What it returns comes with the call's answer: see
     sysring_extension_answer(). It must not use the context. */
  uint64_t (*handler)(void *data, uint32_t number, const uint64_t *arguments, uint64_t argument);
  /* For the handler. */
  void *data;
};

/* What a context is to be like. A field that is 0 has its default. */
struct sysring_options {
  /* sizeof(struct sysring_options). It only grows: of a shorter one (a multiple of 8) the rest has its
     defaults; what an older library does not know must be 0. */
  uint32_t size;
  /* SYSRING_OPTION_SHARED */
  uint32_t flags;
  /* Calls that may be pending at a time: one more is refused with -EAGAIN. 0: no limit. */
  uint32_t limit;
  /* Bytes of the ring of events, a power of two from 65536 to 2^30. 0: 65536. */
  uint32_t ring_size;
  /* Bytes of the overflow area behind it, likewise. 0: 16 MiB. */
  uint32_t overflow_size;
  /* How many attributes of the program's own calls may be asked for: 4 at most. */
  uint32_t extension_count;
  /* They: read by sysring_calls_create() and sysring_calls_attach(), and not later. Or NULL. */
  const struct sysring_extension *extensions;
};

/* A call is asked for an attribute of the program's own. */
struct sysring_asked_extension {
  /* Its number. */
  uint32_t number;
  /* 1: the call fails with -EOPNOTSUPP, and is not made, if the context has no such attribute. */
  uint32_t required;
  /* For the handler. */
  uint64_t argument;
};

/* Attributes that a call is asked for. Those in `required` that cannot be honoured fail the call
   with -EOPNOTSUPP before it is made; those in `best_effort` are then left out. */
struct sysring_wanted {
  /* sizeof(struct sysring_wanted). It only grows; what an older library does not know must be 0. */
  uint32_t size;
  /* SYSRING_ATTR_RW_FLAGS: RWF_* */
  uint32_t rw_flags;
  /* Masks: 1 << SYSRING_ATTR_TIMING, ... */
  uint64_t required;
  /* The same. */
  uint64_t best_effort;
  /* SYSRING_ATTR_DEADLINE: nanoseconds of CLOCK_MONOTONIC */
  uint64_t deadline;
  /* SYSRING_ATTR_TRACE: any number */
  uint64_t trace;
  /* SYSRING_ATTR_RETRY: how often EINTR and EAGAIN are tried again */
  uint32_t retries;
  /* SYSRING_ATTR_IOPRIO: as for ioprio_set(2) */
  uint16_t ioprio;
  /* 0 */
  uint16_t reserved;
  /* SYSRING_ATTR_CREDENTIALS: a number of sysring_credentials_register() */
  uint32_t credentials;
  /* SYSRING_ATTR_EXTENSIONS: how many, 4 at most */
  uint32_t extension_count;
  /* SYSRING_ATTR_EXTENSIONS: they */
  const struct sysring_asked_extension *extensions;
};

/* A system call. */
struct sysring_call {
  /* Its number: SYS_read, ... */
  uint32_t number;
  /* SYSRING_CALL_BY_WORKER */
  uint32_t flags;
  /* Its arguments. Memory stays as the call needs it until the answer is there; paths,
     addresses, times and vectors (not what they point to) are free once the call is issued. */
  uint64_t arguments[6];
  /* Comes back with the answer, as SYSRING_ATTR_TRACE. */
  uint64_t user_data;
  /* Attributes, or NULL. */
  const struct sysring_wanted *wanted;
  /* Filled if the call does not block, with its result and attributes; or NULL. */
  struct sysring_event *done;
  /* Where the result goes instead of the ring: eight bytes, aligned to eight, that hold
     INT64_MIN until then. Or NULL. Not together with attributes. */
  int64_t *slot;
};

/* A call of a batch or a chain, and what became of it: see sysring_step_init(). */
struct sysring_step {
  /* The library's. */
  uint64_t opaque[11];
};

/* SYSRING_ATTR_TIMING, in nanoseconds of CLOCK_MONOTONIC. */
struct sysring_timing {
  /* Given to the context. */
  uint64_t queued;
  /* The system call was begun, for the last time. */
  uint64_t issued;
  /* Its result was there. */
  uint64_t completed;
};

/* SYSRING_ATTR_CACHE */
struct sysring_cache {
  /* 0: a miss, 1: a hit, 2: part of it. */
  uint64_t outcome;
  /* Bytes that came from the cache. */
  uint64_t bytes;
};

/* SYSRING_ATTR_PLACE */
struct sysring_place {
  /* The processor. */
  uint32_t cpu;
  /* The thread's id. */
  uint32_t thread;
};

/* SYSRING_ATTR_CHECKSUM */
struct sysring_checksum {
  /* As of iSCSI, ext4 and Btrfs. */
  uint64_t crc32c;
  /* Of so many bytes. */
  uint64_t bytes;
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* Copies an attribute's value out of an event, as much as `size` bytes hold. Its length in bytes,
   0 for one without a value; -ENODATA: it was not handled. */
int sysring_attribute(const struct sysring_event *event,
                      uint32_t attribute,
                      void *value,
                      size_t size);

/* What the handler of an attribute of the program's own has returned, out of an event into
   `*answer`. 0; -ENODATA: it was not asked. */
int sysring_extension_answer(const struct sysring_event *event, uint32_t number, uint64_t *answer);

/* Makes a context; `options` may be NULL. 0, or -EINVAL: sizes or flags that cannot be, an extension
   without number or handler; -E2BIG: options of a later version; -EEXIST: two extensions of one number;
   -ENOSPC: more than four; -ENOMEM, -EMFILE, -ENFILE. */
int sysring_calls_create(struct sysring_calls **out,
                         const struct sysring_options *options);

/* Makes a context whose answers come to the ring of events of another one, here or in another
   process: `fd` is that of sysring_events_fd(). 0, or -EINVAL: no such ring; -EPROTONOSUPPORT,
   -EOPNOTSUPP: one of another version; -EXDEV: made in another pid namespace; -EBADF, -ENOMEM, -EMFILE;
   of the options as sysring_calls_create(). */
int sysring_calls_attach(struct sysring_calls **out,
                         int fd,
                         const struct sysring_options *options);

/* Cancels what is pending, waits until nothing is, and frees the context. */
void sysring_calls_destroy(struct sysring_calls *calls);

/* Issues a call. 0: it did not block, `*result` is what it answered: a value, or a negated error
   number. 1: it is pending, `*result` is its id. Or -EOPNOTSUPP: it makes no sense on another thread
   or later, or an attribute is required that cannot be honoured; -EAGAIN: as many as the limit
   allows are pending; -EINVAL: unknown flags, attributes together with a slot, or credentials are
   required that are not registered; -E2BIG: attributes of a later version, or more than four
   extensions; -EPERM: an I/O priority that may not be had; -EFAULT: extensions that are not there;
   -ENOMEM. */
int sysring_issue(const struct sysring_calls *calls,
                  const struct sysring_call *call,
                  int64_t *result);

/* Makes a call here and now, whether it blocks or not, with its attributes. 0: `*result` is what it
   answered: a value, or a negated error number. Or it was not made, as of sysring_issue(). A deadline,
   the cache, credentials and extensions are not supported here. */
int sysring_issue_sync(const struct sysring_call *call,
                       int64_t *result);

/* Has a number for the credentials that the calling thread has now, to be asked for as
   SYSRING_ATTR_CREDENTIALS: who issues such a call may have others by then. From 1 on; or -EAGAIN or
   -ENOMEM: no thread to be had, which would keep them; -ENOMEM: this process has registered 64
   different ones; -EBUSY: all 65535 numbers are in use. */
int sysring_credentials_register(const struct sysring_calls *calls);

/* Takes such a number back. Calls that are pending keep what they have. 0, or -EINVAL: it is
   nobody's. */
int sysring_credentials_unregister(const struct sysring_calls *calls, uint32_t number);

/* Waits until `count` answers are there, no longer than `timeout` nanoseconds (-1: for ever). 0, or,
   where there is none, -ETIME; -EINTR: a signal was handled. */
int sysring_wait(const struct sysring_calls *calls, uint32_t count, int64_t timeout);

/* As sysring_wait(), with another signal mask while it sleeps: a sigset_t, or NULL for the thread's own.
   Also -EINVAL: a mask, and a ring that is SYSRING_OPTION_SHARED. */
int sysring_wait_masked(const struct sysring_calls *calls,
                        uint32_t count,
                        int64_t timeout,
                        const void *mask);

/* Takes the oldest answer. 1; 0: there is none; -EBADMSG: who shares the ring has overwritten it;
   -EMSGSIZE: who shares it has pushed an event that is longer than this: it is there still, for
   sysring_next_long(). */
int sysring_next(const struct sysring_calls *calls, struct sysring_event *event);

/* The same of an event of any length: `event` has room for `size` bytes, a multiple of 8, of which
   SYSRING_EVENT_LONGEST are always enough. Those of answers are never longer than the structure. */
int sysring_next_long(const struct sysring_calls *calls, struct sysring_event *event, size_t size);

/* Cancels a pending call. Its answer still comes: -ECANCELED, if this was in time. 0, or -ENOENT: no
   such call is pending; -EALREADY: a thread is making it and was told to stop, or a device has it;
   it may yet succeed. */
int sysring_cancel(const struct sysring_calls *calls, uint64_t id);

/* Cancels all that is pending. 0, or the first error. */
int sysring_cancel_all(const struct sysring_calls *calls);

/* How many calls are pending that this process has issued. */
uint32_t sysring_pending(const struct sysring_calls *calls);

/* Adds one to this eventfd whenever answers have come, from now on; -1: no longer. It is duplicated.
   0, or -EBADF: not open; -EINVAL: no eventfd; -EMFILE. What was set before stays then. */
int sysring_set_eventfd(const struct sysring_calls *calls, int fd);

/* A new descriptor that is readable while answers are there: for poll(2) and its kin, not to be
   read. It is the caller's to close. Or -EMFILE. */
int sysring_descriptor(const struct sysring_calls *calls);

/* The memory file of the ring of events, to be passed to other processes; it stays the context's.
   -ENODATA: it is not SYSRING_OPTION_SHARED. */
int sysring_events_fd(const struct sysring_calls *calls);

/* Makes a step of a call, of which it keeps all. 0, or -EINVAL: unknown flags, or attributes or `done`,
   which steps have not. */
int sysring_step_init(struct sysring_step *step,
                      const struct sysring_call *call);

/* In a chain: has the call work on the descriptor that an earlier step opens (0: the first), in place of
   its own. If there is none it is not made, and its result is -ECANCELED; -EBADF if a step between the two
   closes it; -EINVAL if that step opens nothing, or this call has no descriptor that docs/calls.md lists
   as kept (close has none there, and may be used). */
void sysring_step_on(struct sysring_step *step,
                     uint32_t earlier);

/* What became of a step. 0: `*result` is what the call answered: a value, or a negated error number. 1:
   it is pending, `*result` is its id. -ENODATA: it has not been issued. Or why it was not made, as of
   sysring_issue(). */
int sysring_step_result(const struct sysring_step *step,
                        int64_t *result);

/* Issues calls as sysring_issue() does, one after the other: those that block become pending together,
   and wake workers once. Steps that were issued before are left alone. What became of each,
   sysring_step_result() tells. */
void sysring_issue_all(const struct sysring_calls *calls,
                       struct sysring_step *steps,
                       size_t count);

/* Makes all calls, and returns when all are answered: by this thread, and by workers where that pays.
   The steps are chains of `length` (1: no chains): those of one are made one after the other, whatever
   the earlier ones answer, and several chains are under way at a time. 0, or, and none was made,
   -EINVAL: more than 2^31 steps, or `length` does not divide them; -ENOMEM. */
int sysring_run_all(const struct sysring_calls *calls,
                    struct sysring_step *steps,
                    size_t count,
                    uint32_t length);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SYSRING_H */
