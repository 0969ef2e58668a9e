/* What sysring's liburing has beyond liburing's own functions. */
#ifndef SYSRING_H
#define SYSRING_H

#ifdef __cplusplus
extern "C" {
#endif

struct io_uring;

/*
 * Which engine serves a ring, and why: "kernel: ..." or "user: ...", a static string. NULL asks
 * what a new ring would get.
 */
const char *sysring_ring_engine(const struct io_uring *ring);

#ifdef __cplusplus
}
#endif

#endif
