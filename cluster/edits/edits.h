/* cluster/edits/edits.h - changes to captured Kubernetes objects on their way into another cluster:
 * pure functions over JSON. */
#ifndef PB_CLUSTER_EDITS_EDITS_H
#define PB_CLUSTER_EDITS_EDITS_H

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
    const char *old_name_space; /* with name_space: where they were captured, whatever they say */
    const char *bucket;         /* as a URL: the secret's bucket and/or STORAGE_URL, by version */
    const json_t *credentials;  /* of that bucket: cluster/edits/credentials.h */
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
 * in front; lists as text, a list of texts or a mapping NAME: IDENTITY) into what *edits does not
 * say yet. Text lives in the arena. USAGE for unknown names, with the nearest one as a hint. Pure.
 */
int pb_edits_read(pb_slice text, const char *what, pb_arena *arena, pb_edits *edits,
                  pb_error *error);

/* Applies them to an array of objects, as pb_capture_parse gives it. `version` is Pachyderm's
 * ("2.11.4", "" where unknown). FAILED where an edit found nothing to change, saying what it looked
 * for; USAGE where its value cannot be one. On -1 the objects are of no use any more. Pure.
 *
 * bucket: cluster/edits/bucket.h says what is changed where; credentials likewise.
 * cloudsql: argument -instances=CONNECTION=... or variable CSQL_PROXY_INSTANCE_CONNECTION_NAME of
 * Deployment cloudsql-auth-proxy, whichever is there.
 * database_host: POSTGRES_HOST (and _PORT, where a port is named) of pachd, pachw and
 * pach-enterprise unless it is pg-bouncer, and POSTGRESQL_HOST of pg-bouncer.
 * name_space: where they name old_name_space: metadata, pod templates, subjects of RoleBindings,
 * selectors by name, variables *NAMESPACE, and hosts "X.OLD.svc..." and "SERVICE.OLD" in all text,
 * secrets' included. Node ports go, as a cluster has each once. Within one namespace all stays.
 * image_registry: of each image of a workload and in variables *_IMAGE, what is before the first
 * '/' is replaced where it has a '.' or ':' or is "localhost"; else the registry is put before it:
 * "nginx" becomes "REGISTRY/nginx".
 * Paused: MODE=paused goes out of ConfigMap pachd-config, and becomes UNPAUSED_MODE (else "full")
 * where it is a variable of pachd; that there is none is no failure.
 * Labels velero.io/backup-name and velero.io/restore-name go.
 * helm: where namespace, bucket or database are others than before, releases are taken out of the
 * array, and what ties objects to them is taken off (cluster/edits/helm.h). */
int pb_edits_apply(const pb_edits *edits, const char *version, json_t *objects, pb_error *error);

/* What differs between two arrays of the same objects: lines "KIND/NAME path: old -> new". Values
 * of secrets, of variables and ConfigMaps' members that are named like one, and of URLs with a
 * password in them are told by their lengths; where the store is, of pachyderm-storage-secret, is
 * shown. Appends. Pure. */
void pb_edits_diff(const json_t *before, const json_t *after, pb_buffer *buffer);

#endif
