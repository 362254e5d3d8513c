/* snapshot/pass.h - one pass over a source: what is new is copied into the repository, and a record
 * of every object goes into manifest parts. A backup of a bucket is one pass; one of a cluster is a
 * pass or more while it lives, each an attempt of its own, and one while it is suspended. Main
 * thread. For this room. */
#ifndef PB_SNAPSHOT_PASS_H
#define PB_SNAPSHOT_PASS_H

#include "snapshot/run.h"

typedef struct pb_pass {
    pb_session *session;
    /* Its intent names the attempt, records of unchanged objects are taken from its base, and what
     * its donors copied is not copied again. */
    pb_run *run;
    pb_store_config *source;
    const pb_repository *repository;
    bool server_side; /* the repository's store copies from the source's by itself */
    bool create_only; /* it honours create-only writes */
    pb_hash_kind checksum;
    pb_slice left_out; /* keys that begin with this are passed over; empty: none */
    const char *phase; /* as events tell it */
    /* Another pass follows: an object that vanishes or changes while it is looked at is left out.
     */
    bool live;
    bool strict;                 /* the source is not in use: such an object has failed */
    bool (*tick)(void *context); /* some times a second; true ends the pass with CANCELLED */
    void *context;
} pb_pass;

typedef struct pb_pass_result {
    uint64_t gone_objects;     /* in the base and not in the source any more */
    uint64_t vanished_objects; /* left out: deleted since they were listed */
    uint64_t changed_objects;  /* taken as they were some time after they were listed */
    uint64_t failed_objects;
    uint64_t resumed_objects; /* that donors, other than earlier passes of this run, had copied */
} pb_pass_result;

/* Runs the pass over all keys. *ret_file is filled in any case, as far as it came: names, counters,
 * parts in order; it is whole, without a gap between its parts, only with 0. A dry run stores
 * nothing and has no parts. */
int pb_pass_run(const pb_pass *pass, pb_snapshot_file *ret_file, pb_pass_result *ret_result,
                pb_error *error);

#endif
