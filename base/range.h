/* base/range.h - a range of keys: (after, through], open below and closed above, as `start-after`
 * of S3's listing has it, so that neighbours meet without a made-up key. Any thread, one at a time.
 */
#ifndef PB_BASE_RANGE_H
#define PB_BASE_RANGE_H

#include "base/bytes.h"

/* Owns its keys. {0} is all keys. */
typedef struct pb_range {
    char *after;   /* exclusive; NULL for the beginning. Keys hold no NUL; NUL-terminated */
    char *through; /* inclusive; NULL for open above */
} pb_range;

/* An empty `after` is the beginning; `through` is not looked at where open_above is set. */
pb_range pb_range_copy(pb_slice after, pb_slice through, bool open_above);
void pb_range_free(pb_range *range); /* back to {0} */
bool pb_range_equal(const pb_range *a, const pb_range *b);
bool pb_range_holds(const pb_range *range, pb_slice key);
/* True where both begin at the same key and `range` ends no earlier than `other`. */
bool pb_range_extends(const pb_range *range, const pb_range *other);

#endif
