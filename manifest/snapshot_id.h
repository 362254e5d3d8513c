/* manifest/snapshot_id.h - the name of a snapshot: its UTC start time and a short random tail, such
 * as "20261123T052049Z-3f9a". Bytewise order is the order of time. Pure, any thread. */
#ifndef PB_MANIFEST_SNAPSHOT_ID_H
#define PB_MANIFEST_SNAPSHOT_ID_H

#include "base/bytes.h"

enum { PB_SNAPSHOT_ID_SIZE = 22 }; /* with its NUL */

/* A new id from a wall-clock time and 16 random bits. */
void pb_snapshot_id_make(int64_t utc_ms, uint16_t random, char ret_id[PB_SNAPSHOT_ID_SIZE]);

/* The time in a valid id, to the second. False where there is no such day. */
bool pb_snapshot_id_time(pb_slice id, int64_t *ret_utc_ms);

/* True for 8 digits, T, 6 digits, Z, - and 4 lower-case hex digits: safe in any path. That such a
 * day exists is not checked. */
bool pb_snapshot_id_valid(pb_slice id);

#endif
