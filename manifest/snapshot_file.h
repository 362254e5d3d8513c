/* manifest/snapshot_file.h - snapshots/<id>/snapshot.json: a snapshot's commit. Pure, any thread.
 * Format: docs/formats.md. */
#ifndef PB_MANIFEST_SNAPSHOT_FILE_H
#define PB_MANIFEST_SNAPSHOT_FILE_H

#include "manifest/cluster_record.h"
#include "manifest/part.h"

enum { PB_SNAPSHOT_FILE_VERSION = 1 };

/* Texts are UTF-8, numbers at most PB_RECORD_NUMBER_MAX. */
typedef struct pb_snapshot_file {
    char id[PB_SNAPSHOT_ID_SIZE];
    char *source;
    char *prefix;
    char base[PB_SNAPSHOT_ID_SIZE];
    char base_sha256[65];
    int64_t started_ms;
    int64_t committed_ms;
    char *program;
    uint64_t objects;        /* records in all */
    uint64_t bytes;          /* of the objects */
    uint64_t copied_objects; /* first seen by this snapshot */
    uint64_t copied_bytes;
    uint64_t proofs_size; /* assurance: records by their strongest proof */
    uint64_t proofs_etag;
    uint64_t proofs_checksum;
    uint64_t proofs_sha256;
    uint64_t proofs_key;
    bool sorted_listing; /* the source lists in an order of its own */
    /* The source was in use: each object is as it was at some time from the start until this. 0: of
     * one moment, as nobody could write meanwhile. */
    int64_t live_until_ms;
    uint64_t changed_objects;   /* of them: that changed after they were listed */
    uint64_t vanished_objects;  /* that were listed, and deleted before they were copied */
    pb_cluster_record *cluster; /* NULL for a bucket alone; freed with the file */
    pb_part *parts;             /* in key order, each range beginning where the one before ends */
    size_t part_count;
} pb_snapshot_file;

/* Appends the document. Text that is not UTF-8 is a bug of the caller, and aborts. Whether the
 * parts and sums agree is not checked here but by whoever reads it: parse it before it is put. */
void pb_snapshot_file_append(pb_buffer *buffer, const pb_snapshot_file *file);

/* Reads text from outside: everything is checked, also that the parts cover all keys without gap or
 * overlap and that their sums are the totals. Fails with DAMAGED, naming the member; with USAGE and
 * a hint for a newer version. Unknown members are ignored. *ret_file is set on success only. */
int pb_snapshot_file_parse(pb_slice text, pb_snapshot_file *ret_file, pb_error *error);
void pb_snapshot_file_free(pb_snapshot_file *file); /* back to {0} */

#endif
