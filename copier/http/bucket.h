/* copier/http/bucket.h - a token bucket that runs into debt. Pure; one thread at a time.
 *
 * It opens with what a tenth of a second brings, is open while it holds something, and whoever came
 * in takes what it really needed: bytes are known only afterwards. The debt is waited off, so that
 * the average holds whatever the sizes. Times are of one monotonic clock, in milliseconds. */
#ifndef PB_COPIER_HTTP_BUCKET_H
#define PB_COPIER_HTTP_BUCKET_H

#include <stdint.h>

typedef struct pb_bucket {
    double per_s; /* what flows in; 0: no bucket at all, always open */
    double level; /* negative: debt */
    int64_t filled_ms;
} pb_bucket;

void pb_bucket_open(pb_bucket *bucket, double per_s, int64_t now_ms);
/* How long until it is open: 0 now, else at least 1. */
int64_t pb_bucket_wait_ms(pb_bucket *bucket, int64_t now_ms);
/* Takes, or gives back where negative. */
static inline void pb_bucket_take(pb_bucket *bucket, double amount)
{
    bucket->level -= amount;
}

#endif
