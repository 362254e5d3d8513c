/* bench/origin/rate_limit.h - so many requests a second a prefix: token buckets in a fixed table.
 */
#ifndef PB_BENCH_ORIGIN_RATE_LIMIT_H
#define PB_BENCH_ORIGIN_RATE_LIMIT_H

#include "base/bytes.h"

typedef struct pb_origin_rate_limit pb_origin_rate_limit;

/* A prefix is a bucket and its key up to and with the last '/'. A tenth of a second's requests (at
 * least 1) may come at once. */
pb_origin_rate_limit *pb_origin_rate_limit_new(uint64_t per_s);
void pb_origin_rate_limit_free(pb_origin_rate_limit *limit); /* NULL allowed */
/* False where a request at `now_ms` (monotonic) is one too many. */
bool pb_origin_rate_limit_allows(pb_origin_rate_limit *limit, pb_slice bucket, pb_slice key,
                                 int64_t now_ms);

#endif
