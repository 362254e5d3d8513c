#include "manifest/part.h"

#include <stdlib.h>

void pb_part_free(pb_part *part)
{
    pb_range_free(&part->range);
    *part = (pb_part){0};
}

int pb_part_compare(const void *a, const void *b)
{
    const pb_part *left = a, *right = b;
    return pb_slice_compare(pb_slice_of(left->range.after), pb_slice_of(right->range.after));
}
