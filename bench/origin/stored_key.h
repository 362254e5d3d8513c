/* bench/origin/stored_key.h - keys of a store that keeps objects as files. */
#ifndef PB_BENCH_ORIGIN_STORED_KEY_H
#define PB_BENCH_ORIGIN_STORED_KEY_H

#include "bench/origin/bucket.h"

enum {
    PB_ORIGIN_SEGMENT_BYTES_MAX = 255,
    /* A bucket's name (as long as may be asked for), '/', and a key. */
    PB_ORIGIN_PLACE_BYTES_MAX = PB_ORIGIN_KEY_BYTES_MAX + 1024,
};

/* Resolves bucket and key as one path, as a gateway in front of a directory does: empty and "."
 * segments go, ".." takes the segment before it away, the bucket's name as well, and ends at the
 * root. A slash at the key's end stays. *bucket and *key then point into `memory`. Returns NULL, or
 * the S3 error code where no object can have that path. The key is not empty. Pure. */
const char *pb_origin_resolve_key(pb_slice *bucket, pb_slice *key,
                                  char memory[PB_ORIGIN_PLACE_BYTES_MAX]);

/* Where the bucket holds an object of this name but for the case of its letters (of ASCII), gives
 * the key that case. Looks at every object. */
void pb_origin_fold_key(const pb_origin_bucket *bucket, char *key, size_t key_size);

#endif
