/* What the test programs share: a condition that must hold, and how they end. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                        \
    do {                                                                        \
        if (!(condition)) {                                                     \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);     \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

/* An answer, with what it is when it is not the expected one. */
#define IS(call, expected)                                                      \
    do {                                                                        \
        long answer = (long)(call);                                             \
        if (answer != (long)(expected)) {                                       \
            fprintf(stderr, "%s:%d: %s = %ld, not %ld\n", __FILE__, __LINE__,   \
                    #call, answer, (long)(expected));                           \
            exit(1);                                                            \
        }                                                                       \
    } while (0)

#endif
