/* snapshot/catalogue.h - `pbcopy snapshots` and `pbcopy show`: what a repository holds. */
#ifndef PB_SNAPSHOT_CATALOGUE_H
#define PB_SNAPSHOT_CATALOGUE_H

#include "manifest/record.h"
#include "manifest/snapshot_file.h"
#include "snapshot/session.h"

/* One snapshot of a listing: committed (file filled), or unfinished (only id, and source, prefix,
 * times where its intent could be read). Valid inside the callback. */
typedef struct pb_catalogue_entry {
    const pb_snapshot_file *file;
    bool committed;
    const char *flaw; /* why its description cannot be read; NULL where it can */
} pb_catalogue_entry;

/* Calls `each` for every snapshot, oldest first. DAMAGED at the end where some description could
 * not be read; the others are told all the same. */
int pb_catalogue_snapshots(pb_session *session, const char *repository,
                           void (*each)(void *context, const pb_catalogue_entry *entry),
                           void *context, pb_error *error);

/* Describes one snapshot (NULL for the newest committed): filled, to be freed with
 * pb_snapshot_file_free. Then, where `each` is not NULL, all of its records in key order; a record
 * is valid inside the callback. */
int pb_catalogue_show(pb_session *session, const char *repository, const char *snapshot,
                      pb_snapshot_file *ret_file,
                      void (*each)(void *context, const pb_record *record), void *context,
                      pb_error *error);

#endif
