/* copier/shard/plan.h - cutting a bucket's keys into ranges before a run begins. */
#ifndef PB_COPIER_SHARD_PLAN_H
#define PB_COPIER_SHARD_PLAN_H

#include "copier/store/store.h"

/* Finds keys that cut the keys beginning with `prefix` into up to about `wanted` ranges, in order:
 * the keys' common beginning is walked character by character with listings of one key each (at
 * most `wanted` times three), and where keys differ there is a cut. Any bucket is cut correctly;
 * how evenly depends on its names. Cuts are in the arena, in *ret_cuts (*ret_count of them, none
 * for a small bucket). For the main thread, like pb_store_call. */
int pb_plan_cuts(pb_store *store, pb_slice prefix, unsigned wanted, pb_arena *arena,
                 pb_slice **ret_cuts, size_t *ret_count, pb_error *error);

#endif
