/* bench/origin/fill.h - buckets full of synthetic objects at start. */
#ifndef PB_BENCH_ORIGIN_FILL_H
#define PB_BENCH_ORIGIN_FILL_H

#include "bench/origin/origin.h"

/* Carries out BUCKET:COUNT:SIZE:PATTERN (sizes as in "4K"; patterns chunk, flat and tree), making
 * the bucket where it does not exist. Fails with USAGE. */
int pb_origin_fill(pb_origin *origin, pb_slice specification, pb_error *error);

#endif
