/* snapshot/restore.h - `pbcopy restore`: a snapshot becomes a bucket again. */
#ifndef PB_SNAPSHOT_RESTORE_H
#define PB_SNAPSHOT_RESTORE_H

#include "snapshot/choice.h"
#include "snapshot/session.h"

typedef struct pb_restore_options {
    const char *repository;
    const char *destination;
    pb_choice_options which; /* snapshot */
    const char *prefix;      /* only keys that begin with this; NULL or "" for all */
    bool overwrite;          /* replace objects of the destination that differ */
} pb_restore_options;

typedef struct pb_restore_result {
    pb_choice choice;
    pb_snapshot_file snapshot;
    uint64_t objects; /* of the snapshot, looked at */
    uint64_t written_objects;
    uint64_t written_bytes;
    uint64_t present_objects;   /* there already, the same: left alone */
    uint64_t extra_objects;     /* in the destination and not in the snapshot: left alone */
    uint64_t differing_objects; /* in the destination with other bytes, or older than the source's
                                   last change, and not overwritten */
    uint64_t failed_objects;
    uint64_t databases; /* of a cluster: restored, and Kubernetes objects that were applied */
    uint64_t kubernetes_objects;
    /* Of a cluster: objects that stored helm's release, or said that they belong to one, and do not
     * any more. */
    uint64_t helm_objects;
    bool server_side;
    int64_t elapsed_ms;
} pb_restore_result;

/* 0 only where every object of the snapshot is in the destination, the same. An object that differs
 * stays as it is (FAILED) unless `overwrite`; run again, it goes on where it ended. DAMAGED where
 * the repository's bytes are not what the manifest says. */
int pb_restore(pb_session *session, const pb_restore_options *options,
               pb_restore_result *ret_result, pb_error *error);
void pb_restore_result_free(pb_restore_result *result);

#endif
