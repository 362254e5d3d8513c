/* snapshot/backup.h - `pbcopy backup`: a source becomes a committed snapshot of a repository. */
#ifndef PB_SNAPSHOT_BACKUP_H
#define PB_SNAPSHOT_BACKUP_H

#include "base/hash.h"
#include "manifest/snapshot_file.h"
#include "snapshot/session.h"

typedef struct pb_backup_options {
    const char *source; /* URLs */
    const char *repository;
    const char *prefix;    /* only keys that begin with this; NULL or "" for all */
    pb_hash_kind checksum; /* SHA256 or CRC32C: what relayed bytes are hashed with */
    bool full;             /* take nothing over from earlier snapshots: every object is copied */
    bool take_over;   /* of a run that holds the lease of the source, without watching whether it
                         lives */
    bool no_wait;     /* for such a run: BUSY at once */
    bool exclusive;   /* on a store that does not honour create-only writes: no other backup runs */
    bool allow_empty; /* a first snapshot of nothing is committed, too */
    bool allow_gone;  /* and one that lacks more than half of the objects of the one before */
    bool strict;      /* an object that changes or goes while it is copied has failed */
} pb_backup_options;

typedef struct pb_backup_result {
    pb_snapshot_file snapshot; /* as committed (dry run: as it would be, without id and parts) */
    bool resumed;              /* attempts that had ended without a snapshot were of use */
    uint64_t resumed_objects;  /* that they had copied */
    bool server_side;          /* copied inside the store, not through this machine */
    uint64_t
        gone_objects; /* in the base and not in the source any more, as far as this run looked */
    uint64_t failed_objects;
    uint64_t vanished_objects;    /* deleted after they were listed: left out */
    uint64_t changed_objects;     /* changed after they were listed: copied as they were then */
    int64_t downtime_expected_ms; /* dry run of a cluster; 0 else */
    int64_t elapsed_ms;
} pb_backup_result;

/* Runs to the commit. -1 leaves no snapshot: what was copied stays, and the next run of the same
 * source goes on from there. BUSY where another run of this source is under way. The result is
 * filled as far as known in any case; freed with pb_backup_result_free. */
int pb_backup(pb_session *session, const pb_backup_options *options, pb_backup_result *ret_result,
              pb_error *error);
void pb_backup_result_free(pb_backup_result *result);

#endif
