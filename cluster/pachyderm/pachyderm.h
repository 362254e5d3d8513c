/* cluster/pachyderm/pachyderm.h - what a namespace says of the Pachyderm in it. Facts and their
 * versions: docs/pachyderm.md. */
#ifndef PB_CLUSTER_PACHYDERM_PACHYDERM_H
#define PB_CLUSTER_PACHYDERM_PACHYDERM_H

#include "cluster/kubernetes/kubectl.h"
#include "cluster/pachyderm/layout.h"
#include "manifest/cluster_record.h"

/* Texts are "" where the namespace does not say. */
typedef struct pb_pachyderm {
    char *version;          /* "2.11.4": of pachd's image tag or its app.kubernetes.io/version */
    char *storage_backend;  /* STORAGE_BACKEND: "AMAZON", "LOCAL", ... */
    char *storage_url;      /* as pbcopy takes it: s3://BUCKET?endpoint=... */
    char *storage_path;     /* of backend LOCAL: STORAGE_HOST_PATH, a directory of pachd's node */
    bool storage_in_secret; /* it was put together from pachyderm-storage-secret, not STORAGE_URL */
    char *database_host; /* POSTGRES_HOST of pachd (in place of pg-bouncer what that connects to),
                            Service cloudsql-auth-proxy. A service of the namespace by its name in
                            all of the cluster: "postgres.prod.svc" */
    uint64_t database_port;  /* 5432 where it does not say */
    char *database_user;     /* POSTGRES_USER, "pachyderm" */
    char *database_name;     /* POSTGRES_DATABASE, "pachyderm" */
    char *identity_database; /* of logins: IDENTITY_SERVER_DATABASE, "dex"; "" where pachd has it
                                from a place that is not read (valueFrom) */
    char *password_secret;   /* secret and key of the password, as pachd's env names them */
    char *password_key;
    /* Keys of pachyderm-storage-secret that hold the store's credentials: "AMAZON_ID",
     * "AMAZON_SECRET", "AMAZON_TOKEN"; "GOOGLE_CRED". "" for those that have no value there (a
     * role, workload identity). */
    char *storage_id_key, *storage_secret_key, *storage_token_key;
    char *storage_credential_key;
    bool paused;          /* pb_layout_is_paused of its ConfigMap or of pachd */
    pb_workloads writers; /* pachd, pachw and worker RCs with their present counts, in the order in
                             which they are to be suspended */
} pb_pachyderm;

/* Reads the namespace of `kubectl`: NOT_FOUND, and a hint, where it holds no Pachyderm. No right to
 * read secrets is an error only where the bucket is named in one. Runs the loop. */
int pb_pachyderm_read(const pb_kubectl *kubectl, pb_pachyderm *ret_pachyderm, pb_error *error);
/* The same from the array of its deployments, replicationcontrollers, services, configmaps, and
 * pachyderm-storage-secret (without values of credentials being kept). Pure. */
int pb_pachyderm_parse(const json_t *items, pb_pachyderm *ret_pachyderm, pb_error *error);
void pb_pachyderm_free(pb_pachyderm *pachyderm);
/* Does this version of Pachyderm start with its backend (pb_layout_takes_backend)? Pure. */
bool pb_pachyderm_takes_backend(const pb_pachyderm *pachyderm);

/* A secret's value by its key, decoded; freed with pb_text_wipe. NOT_FOUND where there
 * is none, DAMAGED where it is no text. Runs the loop. */
int pb_pachyderm_secret(const pb_kubectl *kubectl, const char *secret, const char *key,
                        char **ret_value, pb_error *error);

#endif
