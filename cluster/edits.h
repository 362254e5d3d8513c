/* cluster/edits.h - changes to captured Kubernetes objects on their way into another cluster: pure
 * functions over JSON. */
#ifndef PB_CLUSTER_EDITS_H
#define PB_CLUSTER_EDITS_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

/* "NAME=IDENTITY" for one service account, "IDENTITY" for all of Pachyderm's three. */
typedef struct pb_edit_list {
    const char **items;
    size_t count;
} pb_edit_list;

/* What is asked for; strings are borrowed, NULL: not asked for. */
typedef struct pb_edits {
    const char *name_space;
    const char *bucket; /* as a URL: the secret's bucket and/or STORAGE_URL, by version */
    const char *cloudsql_instance;
    const char *database_host; /* HOST[:PORT] for pachd's POSTGRES_HOST and the bouncer's */
    const char *image_registry;
    pb_edit_list gcp_service_account;
    pb_edit_list aws_role;
    pb_edit_list azure_client;
    bool drop_service_account_secrets;
    bool keep_paused; /* else MODE=paused is taken out */
} pb_edits;

/* Reads a file of edits (YAML: names as the options of `pbcopy restore` have them, without dashes
 * in front) into what *edits does not say yet. Text lives in the arena. USAGE for unknown names,
 * with the nearest one as a hint. */
int pb_edits_read(pb_slice text, const char *what, pb_arena *arena, pb_edits *edits,
                  pb_error *error);

/* Applies them to an array of objects. `version` is Pachyderm's ("2.11.4"). FAILED where an edit
 * found nothing to change, saying what it looked for. */
int pb_edits_apply(const pb_edits *edits, const char *version, json_t *objects, pb_error *error);

/* What differs between two arrays of the same objects: lines "KIND/NAME path: old -> new", with
 * values of secrets left out. Appends. */
void pb_edits_diff(const json_t *before, const json_t *after, pb_buffer *buffer);

#endif
