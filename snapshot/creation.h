/* snapshot/creation.h - how an empty place becomes a repository. Main thread. For this room.
 *
 * It needs no right to delete, and can be broken off at each of its requests: probe objects may
 * stay behind, under probe/, which the next run takes for its own. */
#ifndef PB_SNAPSHOT_CREATION_H
#define PB_SNAPSHOT_CREATION_H

#include "snapshot/repository.h"

/* USAGE, naming three of them, where the place holds objects other than such probes. */
int pb_creation_check(pb_repository *repository, pb_error *error);

/* Learns what the store does with create-only writes, with the order of keys and with their case,
 * what its ETags are and whether it copies, and writes pbcopy.json; where another run was faster,
 * that one's is taken. USAGE where the store takes different keys for one. */
int pb_creation_make(pb_repository *repository, pb_error *error);

/* Writes an object of a name of its own under probe/ into a repository, reads it back and deletes
 * it: whether it may be written to. Where it may not delete, the object stays, and a note says so.
 */
int pb_creation_probe(pb_repository *repository, pb_error *error);

#endif
