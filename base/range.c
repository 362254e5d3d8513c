#include "base/range.h"

#include <stdlib.h>

pb_range pb_range_copy(pb_slice after, pb_slice through, bool open_above)
{
    return (pb_range){
        .after = after.size ? pb_duplicate(after) : NULL,
        .through = open_above ? NULL : pb_duplicate(through),
    };
}

void pb_range_free(pb_range *range)
{
    free(range->after);
    free(range->through);
    *range = (pb_range){0};
}

bool pb_range_equal(const pb_range *a, const pb_range *b)
{
    /* Nothing lies before the empty key, but through "" holds nothing and through NULL holds all.
     */
    return pb_slice_equal(pb_slice_of(a->after), pb_slice_of(b->after)) &&
           (a->through == NULL) == (b->through == NULL) &&
           pb_slice_equal(pb_slice_of(a->through), pb_slice_of(b->through));
}

bool pb_range_holds(const pb_range *range, pb_slice key)
{
    return pb_slice_compare(key, pb_slice_of(range->after)) > 0 &&
           (range->through == NULL || pb_slice_compare(key, pb_slice_of(range->through)) <= 0);
}

bool pb_range_extends(const pb_range *range, const pb_range *other)
{
    return pb_slice_equal(pb_slice_of(range->after), pb_slice_of(other->after)) &&
           (!range->through ||
            (other->through &&
             pb_slice_compare(pb_slice_of(range->through), pb_slice_of(other->through)) >= 0));
}
