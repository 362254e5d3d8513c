/* manifest/intent.h - snapshots/<id>/intent.json: a run that has begun, and its sign of life. Pure,
 * any thread. Format: docs/formats.md. */
#ifndef PB_MANIFEST_INTENT_H
#define PB_MANIFEST_INTENT_H

#include "base/error.h"
#include "base/json.h"
#include "manifest/run_file.h"

enum { PB_INTENT_VERSION = 1 };

/* Texts are UTF-8. */
typedef struct pb_intent {
    char id[PB_SNAPSHOT_ID_SIZE];
    char *source;                   /* identity of the source (pb_location_identity) */
    char *prefix;                   /* --prefix, "" for none */
    char base[PB_SNAPSHOT_ID_SIZE]; /* "" for none */
    char base_sha256[65];           /* hex, of the base's snapshot.json; "" for none */
    pb_process process;             /* the run */
    int64_t started_ms;
    char *program;                 /* "pbcopy 0.1.0" */
    char lease[PB_SOURCE_ID_SIZE]; /* the id of the source, whose lease the run has; "" of one by a
                                      program that knew no leases */
    char *name_space;              /* of the cluster that is backed up; "" for a bucket alone */
    json_t *suspension;            /* what was scaled down, before it is; NULL: nothing (yet) */
} pb_intent;

/* Appends the document. Text that is not UTF-8 is a bug of the caller, and aborts. */
void pb_intent_append(pb_buffer *buffer, const pb_intent *intent);

/* Reads text from outside. Fails with DAMAGED, naming the member; with USAGE and a hint for a newer
 * version. Unknown members are ignored. *ret_intent is set on success only, freed with
 * pb_intent_free. */
int pb_intent_parse(pb_slice text, pb_intent *ret_intent, pb_error *error);
void pb_intent_free(pb_intent *intent); /* back to {0} */

#endif
