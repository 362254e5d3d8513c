/* snapshot/catalogue.h - `pbcopy snapshots` and `pbcopy show`: what a repository holds. */
#ifndef PB_SNAPSHOT_CATALOGUE_H
#define PB_SNAPSHOT_CATALOGUE_H

#include "manifest/record.h"
#include "snapshot/choice.h"
#include "snapshot/session.h"

/* One snapshot of a listing: committed (file filled), or unfinished or unreadable (only id, and
 * source, prefix, time of its start where its intent could be read). Valid inside the callback. */
typedef struct pb_catalogue_entry {
    const pb_snapshot_file *file;
    const char *name_space; /* of a cluster; NULL for a bucket alone, or where it is not known */
    bool committed;
    bool abandoned;   /* closed by another run */
    const char *flaw; /* why its description cannot be read; NULL where it can */
} pb_catalogue_entry;

/* Calls `each` for every snapshot and every attempt without one, oldest first. DAMAGED at the end
 * where some description could not be read; the others are listed all the same. *ret_choice gets
 * the unfinished ones that are newer than the newest snapshot of their source; pb_choice_free. */
int pb_catalogue_snapshots(pb_session *session, const char *repository,
                           void (*each)(void *context, const pb_catalogue_entry *entry),
                           void *context, pb_choice *ret_choice, pb_error *error);

/* Describes one snapshot: filled, to be freed with pb_snapshot_file_free, as *ret_choice with
 * pb_choice_free. Then, where `each` is not NULL, all of its records in key order whose key begins
 * with `which->prefix`; a record is valid inside the callback. */
int pb_catalogue_show(pb_session *session, const char *repository, const pb_choice_options *which,
                      pb_snapshot_file *ret_file, pb_choice *ret_choice,
                      void (*each)(void *context, const pb_record *record), void *context,
                      pb_error *error);

#endif
