/* snapshot/tally.h - counting records for a snapshot's description. Pure. For this room. */
#ifndef PB_SNAPSHOT_TALLY_H
#define PB_SNAPSHOT_TALLY_H

#include "manifest/snapshot_file.h"

/* Adds a record to the counters of *tally; `id` is the snapshot that is being made. */
void pb_tally_record(pb_snapshot_file *tally, const pb_record *record, pb_slice id);
/* Adds the counters of one to another, and zeroes them in `from`. */
void pb_tally_move(pb_snapshot_file *to, pb_snapshot_file *from);

#endif
