/* base/spelling.h - "did you mean": the known word nearest to a mistyped one. Pure, any thread. */
#ifndef PB_BASE_SPELLING_H
#define PB_BASE_SPELLING_H

#include "base/bytes.h"

/* How many letters must be added, dropped, changed or swapped with their neighbour to make `b` of
 * `a`; words over 31 bytes are never near (SIZE_MAX). */
size_t pb_spelling_distance(pb_slice a, pb_slice b);

/* True where `known` may have been meant by `typed`, and *ret_distance (how far off) is less than
 * it was: called for one known word after the other, with *ret_distance beginning at SIZE_MAX. A
 * typed word of two letters or more that `known` begins with is near as well. */
bool pb_spelling_is_nearer(pb_slice typed, const char *known, size_t *ret_distance);

#endif
