#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void pb_random_bytes(void *memory, size_t size)
{
    char *at = memory;
    while (size) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            perror("pbcopy: getrandom");
            abort();
        }
        at += got;
        size -= (size_t)got;
    }
}

uint64_t pb_random_next(pb_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t pb_random_below(pb_random *random, uint64_t bound)
{
    if (bound == 0)
        return 0;
    /* 2^64 mod bound: values below it would favour small results. */
    uint64_t skip = (0 - bound) % bound;
    uint64_t value;
    do {
        value = pb_random_next(random);
    } while (value < skip);
    return value % bound;
}
