#include "copier/http/bucket.h"

enum { MOST_MS = 100 }; /* of inflow are saved up */

void pb_bucket_open(pb_bucket *bucket, double per_s, int64_t now_ms)
{
    *bucket = (pb_bucket){.per_s = per_s, .level = per_s * MOST_MS / 1000, .filled_ms = now_ms};
}

int64_t pb_bucket_wait_ms(pb_bucket *bucket, int64_t now_ms)
{
    if (bucket->per_s <= 0)
        return 0;
    if (now_ms > bucket->filled_ms) {
        double most = bucket->per_s * MOST_MS / 1000;
        bucket->level += bucket->per_s * (double)(now_ms - bucket->filled_ms) / 1000;
        if (bucket->level > most)
            bucket->level = most;
        bucket->filled_ms = now_ms;
    }
    int64_t later_ms = bucket->filled_ms - now_ms; /* it may begin to fill later */
    if (bucket->level > 0 && later_ms == 0)
        return 0;
    double debt_ms = -bucket->level / bucket->per_s * 1000;
    return later_ms + (debt_ms < 1e12 ? (int64_t)debt_ms : (int64_t)1e12) + 1;
}
