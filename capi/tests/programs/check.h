/* What the programs have in common: a check that tells its line, and sets of attributes. */
#include <stdio.h>

#define CHECK(what)                                                               \
	do {                                                                      \
		if (!(what)) {                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			return 1;                                                 \
		}                                                                 \
	} while (0)

#define MASK(bit) (1ULL << (bit))
