/* copier/shard/split.h - where a range that is being listed can be cut. Pure.
 *
 * Nothing is known of the keys ahead but the last one listed and the range's end, and no store can
 * be asked for the middle of its keys. So cuts are guessed, and the first listing of each new range
 * tells what the guess was worth: one that holds nothing costs that one request, and the range that
 * was cut is shorter by it. Guesses follow from what is known:
 *
 * - Keys between the last one listed and the end agree in a stem. Where both differ in the
 *   character behind it, the characters between are cut evenly.
 * - Where the end tells nothing (the range is open above, or ends where the last key's own stem
 *   does), keys ahead leave the last one at some character. What is listed shows a depth at which
 *   keys spread: there the next characters of the same kind (digits, letters) are cut evenly. At
 *   each lesser depth one cut asks whether keys spread there too.
 * - Greater depths hold less than was listed already.
 *
 * So a flat bucket, a tree, names that are hashes and one huge prefix are all in many ranges after
 * three or four pages; any UTF-8 will do. */
#ifndef PB_COPIER_SHARD_SPLIT_H
#define PB_COPIER_SHARD_SPLIT_H

#include "base/range.h"

enum { PB_SPLIT_CUTS_MAX = 32 };

/* True where ranges may meet at a key. Stores that sort by UTF-16 units put what lies outside of
 * the basic plane before U+E000 to U+FFFF: such an order stays unseen where ranges meet in it
 * (listing.c), so none do. */
bool pb_split_allows(pb_slice cut);

/* Up to `wanted` (at most PB_SPLIT_CUTS_MAX) cuts of `range`, whose keys are listed up to `listed`;
 * `first` is where the last two pages of them began. listed < cut < range->through, strictly
 * increasing, valid UTF-8, no longer than those two; in the arena. Zero where nothing is left to
 * guess at before more is listed. `listed` is valid UTF-8 and not empty; all keys agree with it in
 * `stem_bytes` at its front (a listing's prefix). */
size_t pb_split_cuts(const pb_range *range, pb_slice first, pb_slice listed, size_t stem_bytes,
                     size_t wanted, pb_arena *arena, pb_slice ret_cuts[PB_SPLIT_CUTS_MAX]);

#endif
