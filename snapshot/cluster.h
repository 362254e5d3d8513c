/* snapshot/cluster.h - a Pachyderm cluster as the workflows see it: how to reach it, and what its
 * parts are to become. Main thread. */
#ifndef PB_SNAPSHOT_CLUSTER_H
#define PB_SNAPSHOT_CLUSTER_H

#include "cluster/database/database.h"
#include "cluster/kubernetes/kubectl.h"
#include "cluster/pachyderm/pachyderm.h"
#include "cluster/suspension/scaling.h"
#include "copier/store/store.h"
#include "snapshot/session.h"

typedef enum pb_kubernetes_kind {
    PB_KUBERNETES_NATIVE,
    PB_KUBERNETES_VELERO,
    PB_KUBERNETES_NONE,
} pb_kubernetes_kind;

typedef enum pb_dump_kind {
    PB_DUMP_DATABASES, /* each by itself, with pg_dump */
    PB_DUMP_ALL,       /* the whole server, with pg_dumpall */
    PB_DUMP_NONE,
} pb_dump_kind;

/* Strings are borrowed. */
typedef struct pb_cluster_options {
    const char *name_space;
    const char *kubeconfig, *context; /* NULL: kubectl's own choice */
    pb_kubernetes_kind kubernetes;
    const char *velero_namespace;
    pb_dump_kind dump;
    pb_database_server database; /* what is NULL or 0 is read from the cluster */
    /* The database of logins; NULL: as pachd names it, "none": the cluster has none. */
    const char *identity_database;
    pb_sealing sealing; /* for dumps and captures */
    bool plaintext;     /* they may be stored unencrypted, or read so though an identity is given */
    const char *identity;    /* age's key file, to read them */
    int64_t wait_ms;         /* for pods to go, and to be ready */
    unsigned grace_s;        /* for pods to end; 0: as long as their specs give them */
    int64_t max_downtime_ms; /* of a backup; 0: no end */
    bool take_over;          /* a suspension whose run seems to be alive is undone */
} pb_cluster_options;

/* kubectl for the cluster: calls end when the session is cancelled. */
pb_kubectl pb_cluster_kubectl(pb_session *session, const pb_cluster_options *options);

/* Can what is stored be opened? USAGE where it is encrypted and `identity`, age's key file, is NULL
 * or cannot be read. */
int pb_cluster_identity_check(const pb_artifact *artifact, const char *identity, pb_error *error);

/* The databases of the cluster, and how they are reached: what the options say, else what the
 * cluster says. The password is that of PGPASSWORD where it is set, else of the cluster's secret,
 * else libpq's own business (pgpass). */
typedef struct pb_cluster_database {
    pb_database_server server;
    pb_database_version version; /* of the server */
    char *password;
    const char *identity; /* the database of logins (borrowed); "" where the cluster has none */
} pb_cluster_database;

/* Also sees to it that the server answers and has both databases (NOT_FOUND), and that pg_dump and
 * pg_restore are there and not older than the server: USAGE. On -1 too, *ret_database can be
 * closed. */
int pb_cluster_database_open(pb_session *session, const pb_cluster_options *options,
                             const pb_pachyderm *pachyderm, pb_cluster_database *ret_database,
                             pb_error *error);
void pb_cluster_database_close(pb_cluster_database *database);

/* The bucket of a cluster, with the keys that its secret holds for it. */
typedef struct pb_cluster_store {
    const char *url; /* borrowed */
    bool is_own;     /* `url` is what the cluster itself says */
    bool has_keys;
    pb_store_keys keys;
} pb_cluster_store;

/* `url` says otherwise than the cluster where it is not NULL: then the cluster's keys are for it
 * only where the bucket is the cluster's own. USAGE where neither says where it is, or where that
 * is Azure. */
int pb_cluster_store_open(pb_session *session, const pb_cluster_options *options,
                          const pb_pachyderm *pachyderm, const char *url,
                          pb_cluster_store *ret_store, pb_error *error);
/* Adds to the error of opening or reading it what a secret without keys (workload identity, a role)
 * means to pbcopy, and what to do. Returns -1. */
int pb_cluster_store_explain(const pb_cluster_store *store, pb_error *error);
void pb_cluster_store_free(pb_cluster_store *store);

/* The suspension of the namespace: 1, *ret_suspension has it, and its holder is gone (or, with
 * take_over, taken for that) or needs it no more; 0, there is none; -1, BUSY where its run is
 * alive. Only with 1 it is the caller's, to claim or to free. */
int pb_cluster_find_suspension(pb_session *session, const pb_cluster_options *options,
                               pb_suspension *ret_suspension, pb_error *error);
/* Undoes the suspension that a dead run left in the namespace, if there is one: *ret_undone says
 * so. BUSY where its run is alive (unless take_over), or where it was made by `pbcopy suspend` or a
 * restore and `standing` is not set. */
int pb_cluster_undo(pb_session *session, const pb_cluster_options *options, bool standing,
                    bool *ret_undone, pb_error *error);
/* Notes in the session that a suspension has begun, if it has. */
void pb_cluster_note_suspended(pb_session *session, const pb_cluster_options *options,
                               const pb_suspension *suspension);
/* Resumes, telling the session what it does: the end of each suspension. */
int pb_cluster_resume(pb_session *session, const pb_cluster_options *options,
                      pb_suspension *suspension, pb_error *error);

/* Writes the record once more: BUSY, and the session notes it, where it is another's by now or
 * gone.
 */
int pb_cluster_confirm(pb_session *session, const pb_cluster_options *options,
                       pb_suspension *suspension, pb_error *error);
/* Ends a suspension whose workloads this run has scaled up: forgets its record. BUSY as above. */
int pb_cluster_end(pb_session *session, const pb_cluster_options *options,
                   pb_suspension *suspension, pb_error *error);

/* `pbcopy suspend`: suspends the namespace and leaves it so. */
int pb_cluster_suspend(pb_session *session, const pb_cluster_options *options,
                       pb_suspension *ret_suspension, pb_error *error);

#endif
