/* copier/shard/listing.h - the keys of a store that begin with a prefix, as streams over ranges
 * that check each other.
 *
 * All ranges of a run share one pb_listing; each opens a stream on it. A page must strictly
 * increase and lie behind the key it was asked after; where ranges meet, both must see the same
 * (seams.h). A store that fails one of these lists in an order of its own: the stream, or
 * pb_listing_settle, fails with the code PB_LISTING_DISORDER, and nothing may be built on what came
 * before. Such a listing can be sorted: it is read in one sequence, by the store's own continuation
 * tokens, and put in order on disk (spool.h); its streams read that from then on, and all is well
 * by construction. */
#ifndef PB_COPIER_SHARD_LISTING_H
#define PB_COPIER_SHARD_LISTING_H

#include "copier/shard/engine.h"
#include "copier/shard/spool.h"
#include "copier/shard/stream.h"

typedef struct pb_listing pb_listing;

#define PB_LISTING_DISORDER "listing-order" /* the code of an error */

/* A listing of the worker's store of this number. Its keys are given without `strip` bytes at their
 * front (a data/<id>/ prefix), and ranges are in keys so stripped. */
pb_listing *pb_listing_new(unsigned store, pb_slice prefix, size_t strip);
void pb_listing_free(pb_listing *listing); /* no stream may be open; NULL allowed */
unsigned pb_listing_store(const pb_listing *listing);

/* A stream over a range. On the worker's thread; several workers at once. */
pb_stream *pb_listing_open(pb_listing *listing, pb_worker *worker, pb_slice after, pb_slice through,
                           void (*wake)(void *context), void *context);

/* Main thread, when all ranges have ended well: looks again at the seams that did not fit, as
 * somebody may write to the store meanwhile. `store` is the main thread's own. */
int pb_listing_settle(pb_listing *listing, pb_store *store, pb_error *error);
/* Main thread, likewise: whether there is anything to look at again. */
bool pb_listing_has_seams(const pb_listing *listing);
/* Main thread: forgets the seams, for another run over the ranges. */
void pb_listing_restart(pb_listing *listing);

/* Main thread, likewise: forgets what was sorted, too, as the store has changed since. */
void pb_listing_renew(pb_listing *listing);

/* True where some stream, or pb_listing_settle, has found disorder. */
bool pb_listing_is_in_disorder(const pb_listing *listing);
/* Fills *error for a disorder that somebody else has found. -1. */
int pb_listing_disorder(pb_listing *listing, pb_slice key, const char *what, pb_error *error);

/* Main thread, while no range is open: lists in one sequence and sorts; runs the loop, which is the
 * store's. *keys counts keys as they come. */
int pb_listing_sort(pb_listing *listing, pb_store *store, uv_loop_t *loop,
                    const pb_spool_options *options, _Atomic uint64_t *keys, pb_error *error);
bool pb_listing_is_sorted(const pb_listing *listing);

#endif
