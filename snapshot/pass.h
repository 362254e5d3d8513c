/* snapshot/pass.h - one pass over a source: what is new is copied into the repository, and a record
 * of every object goes into manifest parts. A backup of a bucket is one pass; one of a cluster is a
 * pass or more while it lives, and one while it is suspended. Main thread. For this room. */
#ifndef PB_SNAPSHOT_PASS_H
#define PB_SNAPSHOT_PASS_H

#include "manifest/intent.h"
#include "manifest/snapshot_file.h"
#include "snapshot/job.h"

typedef struct pb_pass {
    pb_session *session;
    const pb_intent *intent; /* of the snapshot that is being made */
    pb_store_config *source, *repository;
    bool server_side; /* the repository's store copies from the source's by itself */
    pb_hash_kind checksum;
    pb_slice left_out;  /* keys that begin with this are passed over; empty: none */
    const char *folder; /* of its parts, below snapshots/<id>/: PB_MANIFEST_FOLDER */
    const char *phase;  /* as events tell it */
    /* Records of unchanged objects are taken from here; NULL for none. */
    const pb_snapshot_file *base;
    bool merges_found; /* data/<id>/ holds objects that no record speaks of: a dead run's */
    /* The source is in use: an object that vanishes or changes while it is looked at is left out.
     */
    bool live;
    bool (*tick)(void *context); /* some times a second; true ends the pass with CANCELLED */
    void *context;
} pb_pass;

/* Parts of a pass that a dead run has stored: checked, in key order, not overlapping. */
typedef struct pb_pass_parts {
    pb_part *items;
    size_t count;
    pb_snapshot_file tally; /* counters of the records in them */
    unsigned next;          /* the first number that no part has */
} pb_pass_parts;
void pb_pass_parts_free(pb_pass_parts *parts);

typedef struct pb_pass_result {
    uint64_t gone_objects; /* in the base and not in the source any more, as far as was looked */
    uint64_t replaced_objects; /* copied, where the base has a record that another snapshot made */
    uint64_t vanished_objects; /* `live`: left out */
    uint64_t failed_objects;
} pb_pass_result;

/* Runs the pass over all keys that `found` (its parts are taken over) does not cover. *ret_file is
 * filled in any case, as far as it came: names, counters, parts in order; it is whole, without a
 * gap between its parts, only with 0. A dry run stores nothing and has no parts. */
int pb_pass_run(const pb_pass *pass, pb_pass_parts *found, pb_snapshot_file *ret_file,
                pb_pass_result *ret_result, pb_error *error);

#endif
