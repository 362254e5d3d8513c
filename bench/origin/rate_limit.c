#include "bench/origin/rate_limit.h"
#include <stdlib.h>

enum { SLOTS = 65536, PROBES = 8 };

typedef struct slot {
    uint64_t hash; /* 0: free */
    int64_t at_ms;
    double tokens;
} slot;

struct pb_origin_rate_limit {
    double per_ms;
    double burst;
    slot slots[SLOTS];
};

pb_origin_rate_limit *pb_origin_rate_limit_new(uint64_t per_s)
{
    pb_origin_rate_limit *limit = pb_allocate_zeroed(1, sizeof(*limit));
    limit->per_ms = (double)per_s / 1000;
    limit->burst = per_s > 10 ? (double)per_s / 10 : 1;
    return limit;
}

void pb_origin_rate_limit_free(pb_origin_rate_limit *limit)
{
    free(limit);
}

static uint64_t hash_bytes(uint64_t hash, pb_slice bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        hash = (hash ^ (unsigned char)bytes.data[i]) * 0x100000001b3u;
    }
    return (hash ^ '/') * 0x100000001b3u;
}

bool pb_origin_rate_limit_allows(pb_origin_rate_limit *limit, pb_slice bucket, pb_slice key,
                                 int64_t now_ms)
{
    while (key.size > 0 && key.data[key.size - 1] != '/') {
        key.size--;
    }
    uint64_t hash = hash_bytes(hash_bytes(0xcbf29ce484222325u, bucket), key) | 1;
    slot *found = NULL;
    slot *oldest = NULL;
    for (size_t i = 0; i < PROBES && !found; i++) {
        slot *candidate = &limit->slots[((hash >> 16 ^ hash) + i) & (SLOTS - 1)];
        if (candidate->hash == hash) {
            found = candidate;
        } else if (!oldest || candidate->at_ms < oldest->at_ms) {
            oldest = candidate;
        }
    }
    if (!found) {
        found = oldest;
        *found = (slot){.hash = hash, .at_ms = now_ms, .tokens = limit->burst};
    }
    found->tokens += (double)(now_ms - found->at_ms) * limit->per_ms;
    if (found->tokens > limit->burst) {
        found->tokens = limit->burst;
    }
    found->at_ms = now_ms;
    if (found->tokens < 1) {
        return false;
    }
    found->tokens -= 1;
    return true;
}
