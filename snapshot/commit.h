/* snapshot/commit.h - the moment at which a snapshot is there. Main thread. For this room. */
#ifndef PB_SNAPSHOT_COMMIT_H
#define PB_SNAPSHOT_COMMIT_H

#include "snapshot/repository.h"

/* What a source held before, and what of it a snapshot may lack. */
typedef struct pb_commit_terms {
    const char *before; /* the newest snapshot of the source, its base or not; "" for none */
    uint64_t before_objects;
    uint64_t gone_objects; /* of its objects */
    bool allow_empty, allow_gone;
} pb_commit_terms;

/* A mount that is missing or a mistyped prefix must not become the newest snapshot: FAILED, with a
 * hint, for a first one of nothing, and where more than half of the objects are gone. */
int pb_commit_check(const pb_snapshot_file *file, const pb_commit_terms *terms, pb_error *error);

/* Writes snapshot.json, create-only, after its text was read back through the parser and all its
 * parts were found in the repository, each of its size; then reads it back from the store. BUSY
 * where the attempt was closed. */
int pb_commit(pb_repository *repository, const pb_snapshot_file *file, pb_error *error);

#endif
