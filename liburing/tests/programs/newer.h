/* Functions that the headers of some distributions do not have yet. */
#ifndef NEWER_H
#define NEWER_H

#include <dlfcn.h>
#include <liburing.h>
#include <string.h>

int io_uring_close_ring_fd(struct io_uring *ring);
ssize_t io_uring_memory_size(unsigned entries, unsigned flags);
bool io_uring_check_version(int major, int minor);
struct io_uring_buf_ring *io_uring_setup_buf_ring(struct io_uring *ring, unsigned int nentries,
                                                  int bgid, unsigned int flags, int *err);
int io_uring_free_buf_ring(struct io_uring *ring, struct io_uring_buf_ring *br,
                           unsigned int nentries, int bgid);
int io_uring_buf_ring_head(struct io_uring *ring, int buf_group, uint16_t *head);
int io_uring_resize_rings(struct io_uring *ring, struct io_uring_params *p);
int io_uring_queue_init_mem(unsigned entries, struct io_uring *ring, struct io_uring_params *p,
                            void *buf, size_t buf_size);

/* What this library alone has; liburing is in its place where it is compared with it. */
static inline const char *engine_of(const struct io_uring *ring)
{
    const char *(*ask)(const struct io_uring *) = dlsym(RTLD_DEFAULT, "sysring_ring_engine");
    return ask ? ask(ring) : "";
}

static inline bool is_ours(void)
{
    return *engine_of(NULL) != 0;
}

static inline bool in_user_mode(void)
{
    return !strncmp(engine_of(NULL), "user", 4);
}

#endif
