/* snapshot/lease.h - the lease of a source: read, written, and renewed by a thread of its own. For
 * this room. protocol.h says what it is for. */
#ifndef PB_SNAPSHOT_LEASE_H
#define PB_SNAPSHOT_LEASE_H

#include "manifest/run_file.h"
#include "snapshot/protocol.h"
#include "snapshot/repository.h"

/* What is at the key of a lease. */
typedef struct pb_lease_seen {
    bool there;
    bool readable;      /* `file` is filled */
    pb_run_file file;   /* freed with pb_lease_seen_free */
    uint8_t digest[32]; /* of the bytes */
} pb_lease_seen;

/* Main thread, like pb_store_call. What cannot be read as a lease is no failure; one of a newer
 * version is USAGE. */
int pb_lease_read(pb_repository *repository, const char *source_id, pb_lease_seen *ret_seen,
                  pb_error *error);
void pb_lease_seen_free(pb_lease_seen *seen);
/* With create_only, EXISTS where there is one. */
int pb_lease_write(pb_repository *repository, const char *source_id, const pb_run_file *file,
                   bool create_only, pb_error *error);
typedef struct pb_lease pb_lease;

/* Begins to renew a lease that was just written with `file` (copied), every 10 s, whatever else
 * waits. */
int pb_lease_start(pb_repository *repository, const char *source_id, const pb_run_file *file,
                   pb_lease **ret_lease, pb_error *error);
/* From now on the lease names another run of this process. */
void pb_lease_rename(pb_lease *lease, const char *run);
/* True where it was found to be another's; then *error (NULL allowed) says so, as BUSY. One that
 * cannot be renewed, as the repository does not answer or the process was stopped, is not lost by
 * that: it is looked at again as soon as may be, and no commit rests on it. Any thread. */
bool pb_lease_is_lost(pb_lease *lease, pb_error *error);
/* Ends the thread and frees. `releases`: a lease that is this run's still is deleted, or, where
 * that is refused, says that it is over; it takes 5 s at most. True where the lease was lost, as
 * pb_lease_is_lost says, or turns out now to be another's. NULL allowed. */
bool pb_lease_stop(pb_lease *lease, bool releases, pb_error *error);

#endif
