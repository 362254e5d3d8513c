/* snapshot/commit.h - the moment at which a snapshot is there. Main thread. For this room. */
#ifndef PB_SNAPSHOT_COMMIT_H
#define PB_SNAPSHOT_COMMIT_H

#include "snapshot/repository.h"

/* Writes snapshot.json, create-only, after its text was read back through the parser and all its
 * parts were found in the repository, each of its size. BUSY where the attempt was closed. */
int pb_commit(pb_repository *repository, const pb_snapshot_file *file, pb_error *error);

#endif
