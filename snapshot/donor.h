/* snapshot/donor.h - an attempt that ended without a commit, whose copies another run uses: the
 * manifest parts that it stored, and its data/. Main thread. For this room.
 *
 * A donor is only read. Nobody writes under its id any more that could matter: it is closed. */
#ifndef PB_SNAPSHOT_DONOR_H
#define PB_SNAPSHOT_DONOR_H

#include "snapshot/repository.h"

typedef struct pb_donor {
    char id[PB_SNAPSHOT_ID_SIZE];
    pb_snapshot_file file; /* its parts alone, in key order, maybe with gaps between them */
    bool lists;            /* its data/ may hold objects that no record speaks of */
    bool own;              /* an earlier pass of the same run */
} pb_donor;

/* Reads the parts of attempt `id` and checks every record: one that is damaged, or overlaps with
 * another, is left out, and a note says so once. */
int pb_donor_open(pb_repository *repository, const char *id, pb_donor *ret_donor, pb_error *error);
void pb_donor_free(pb_donor *donor); /* back to {0} */

#endif
