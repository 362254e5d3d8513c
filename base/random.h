/* base/random.h - random bytes of the operating system, and a fast seeded generator. */
#ifndef PB_BASE_RANDOM_H
#define PB_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills memory from getrandom(2); aborts where the system has none. Any thread. */
void pb_random_bytes(void *memory, size_t size);

/* splitmix64: for jitter, fault plans and test data; never for secrets. One thread at a time. */
typedef struct pb_random {
    uint64_t state;
} pb_random;
uint64_t pb_random_next(pb_random *random);
/* Uniform in [0, bound); 0 for bound 0. */
uint64_t pb_random_below(pb_random *random, uint64_t bound);

#endif
