/* copier/shard/seams.h - where the ranges of one listing meet, and whether they fit. Pure; any
 * thread, several at once.
 *
 * A range (after, through] is listed from `after` on until the first key behind `through`. At a key
 * where two ranges meet, what the left one saw first behind it must be what the right one sees
 * first: then both are pieces of one listing. A store that lists in an order of its own can show
 * the left range a key that lies far behind its end, long before all of its own keys have come; the
 * right range sees another one first, and the seam does not fit. So does a seam where somebody
 * writes meanwhile: who keeps the seams looks again at those.
 *
 * A seam is dropped as soon as both sides agree: memory is that of the ranges under way. */
#ifndef PB_COPIER_SHARD_SEAMS_H
#define PB_COPIER_SHARD_SEAMS_H

#include "base/bytes.h"

typedef struct pb_seams pb_seams;

typedef enum pb_sight_kind {
    PB_SIGHT_NONE,    /* this side was not looked at */
    PB_SIGHT_UNKNOWN, /* it was, by a run that is not asked any more */
    PB_SIGHT_KEY,
    PB_SIGHT_END,   /* that nothing follows */
    PB_SIGHT_EXACT, /* left side: what follows is the right side's own listing, so it fits */
} pb_sight_kind;

/* What one side saw first behind the seam. */
typedef struct pb_sight {
    pb_sight_kind kind;
    pb_slice key;
} pb_sight;

pb_seams *pb_seams_new(void);
void pb_seams_free(pb_seams *seams); /* NULL allowed */

enum { PB_SEAMS_APART_MAX = 1000 };

/* What the range that ends at `at` saw; `last` is the last of its keys, or where it begins. Slices
 * are copied. Each side reports once. False where more than PB_SEAMS_APART_MAX seams do not fit:
 * that is no store that is written to. */
bool pb_seams_left(pb_seams *seams, pb_slice at, pb_slice last, pb_sight sight);
/* What the range that begins behind `at` saw. */
bool pb_seams_right(pb_seams *seams, pb_slice at, pb_sight sight);

/* True where pb_seams_take would find one. */
bool pb_seams_are_open(pb_seams *seams);
/* When all ranges are over, the seams to look at again, one after another, in no order. A seam
 * without a right side borders on what was listed before. One without a left side does too, and is
 * not among them: whoever knows the left side reports it as UNKNOWN. False: no more. */
typedef struct pb_seam {
    pb_buffer at, last;
    pb_buffer seen[2]; /* the key that the left and the right side saw first; empty where none */
} pb_seam;

bool pb_seams_take(pb_seams *seams, pb_seam *ret_seam); /* memory of *ret_seam is used again */
void pb_seam_free(pb_seam *seam);

#endif
