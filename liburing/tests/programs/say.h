/* Calls whose answers are written down, for those of two libraries to be compared. */
#ifndef SAY_H
#define SAY_H

#include <stdio.h>

/* A call and its answer, one line. */
#define SAY(call) printf("%s: %s: %ld\n", about, #call, (long)(call))

/* What the calls have in common. */
static const char *about = "";

#endif
