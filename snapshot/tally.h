/* snapshot/tally.h - counting records for a snapshot's description. Pure. For this room. */
#ifndef PB_SNAPSHOT_TALLY_H
#define PB_SNAPSHOT_TALLY_H

#include "manifest/snapshot_file.h"

/* Adds a record to the counters of *tally; `copied` where the base does not have it. */
void pb_tally_record(pb_snapshot_file *tally, const pb_record *record, bool copied);
/* Adds the counters of one to another, and zeroes them in `from`. */
void pb_tally_move(pb_snapshot_file *to, pb_snapshot_file *from);

#endif
