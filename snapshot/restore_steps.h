/* snapshot/restore_steps.h - the steps of a restore of a cluster, which cluster_restore.c puts in
 * order. Main thread. For this room. */
#ifndef PB_SNAPSHOT_RESTORE_STEPS_H
#define PB_SNAPSHOT_RESTORE_STEPS_H

#include "snapshot/artifact.h"
#include "snapshot/bucket_overlap.h"
#include "snapshot/cluster_restore.h"
#include "snapshot/repository.h"

/* One restore. */
typedef struct pb_restoring {
    pb_session *session;
    const pb_restore_options *options;
    const pb_cluster_options *cluster;
    const pb_cluster_restore_options *wanted;
    pb_edits edits;
    pb_kubectl kubectl;
    pb_repository repository;
    pb_snapshot_file file;
    const pb_cluster_record *record; /* the file's */
    pb_buffer bucket;                /* its URL, for the edits */
    pb_restore_result *result;

    /* ---- what is in the namespace already ---- */
    bool has_pachyderm;
    pb_pachyderm there;                 /* {0} where it has none */
    bool uses_databases;                /* it uses those that are dropped */
    pb_bucket_relation bucket_relation; /* of its bucket and the one that objects go into */
    bool suspends;                      /* it is suspended for the restore */
    bool is_up;                         /* by the restore: its writers have their counts */
    bool has_changed;         /* something of it was changed, and a resume does not undo that */
    bool was_suspended;       /* by somebody else before */
    pb_suspension suspension; /* {0} while it is not */
    uv_timer_t timer;         /* while `looks`: whether the lease is lost */
    bool looks;

    /* ---- Kubernetes objects; NULL without a capture ---- */
    json_t *objects;       /* edited, with their counts */
    json_t *first;         /* of these, the PostgreSQL server's, where the dumps go into that */
    json_t *rights;        /* ClusterRoles and ClusterRoleBindings, edited */
    json_t *kinds;         /* that the cluster has in namespaces */
    json_t *left_out;      /* of the capture */
    uint64_t helm_objects; /* that the edits took from helm */

    /* ---- the server of the dumps ---- */
    pb_database_server server;
    pb_pachyderm restored; /* as `objects` say; {0} without a capture */
    char *password;        /* of a captured secret, where the server's is there */
} pb_restoring;

/* Are Kubernetes objects restored, and by Velero? */
bool pb_restoring_takes_objects(const pb_restoring *self);
bool pb_restoring_is_by_velero(const pb_restoring *self);
/* Calls end when the session is cancelled; what is waited for becomes an event. */
void pb_restoring_tell_waiting(void *session, const char *text);

/* ---- restore_targets.c: what must not be overwritten ---- */

/* USAGE where the bucket that objects go into, or the one that the restored Pachyderm will use, is
 * that of a cluster that lives. */
int pb_restoring_check_buckets(pb_restoring *self, pb_error *error);
/* Reads what is in the namespace. USAGE where it holds a Pachyderm and --allow-existing is not
 * given. */
int pb_restoring_check_namespace(pb_restoring *self, pb_error *error);

/* ---- restore_suspension.c: a Pachyderm that is in the namespace already ---- */

/* Is it to be suspended? BUSY where that takes --allow-existing, and it is not given. */
int pb_restoring_plan_suspension(pb_restoring *self, pb_error *error);
/* Suspends it, where that is planned and not done yet. BUSY where another run has it. From then on
 * the session is cancelled where the lease is lost, and pb_restoring_give_up says so. */
int pb_restoring_suspend(pb_restoring *self, pb_error *error);
/* Before what cannot be undone: writes the record once more. BUSY where the lease is lost.
 * `context`: the restore. Not suspended: nothing to do. */
int pb_restoring_confirm(void *context, pb_error *error);
/* The same with the counts that the snapshot has of writers: what `pbcopy resume` brings up, if the
 * restore ends before it does that itself. */
int pb_restoring_record(pb_restoring *self, const pb_workloads *workloads, pb_error *error);
/* All writers have the counts of the snapshot by now: the record goes. Or, where `resumes`, they
 * get back those that they had. */
int pb_restoring_end_suspension(pb_restoring *self, bool resumes, pb_error *error);
/* Ends to look after the lease, and to renew it. */
void pb_restoring_let_go(pb_restoring *self);
/* After a failure, which is *error: resumes it where nothing of it was changed, else says that it
 * stays as it is. *error may become worse. */
void pb_restoring_give_up(pb_restoring *self, pb_error *error);

/* ---- restore_databases.c ---- */

/* What can be known of the server before anything is done: the programs that restore are there, the
 * server is not older than the dumps, its databases are there, and empty or to be overwritten, and
 * whether the Pachyderm in the namespace uses them. Of a server that the restore itself makes only
 * the first. */
int pb_restoring_check_databases(pb_restoring *self, pb_error *error);
/* Waits until the server in the namespace answers; looks at one that the restore has made as above.
 */
int pb_restoring_await_server(pb_restoring *self, pb_error *error);
int pb_restoring_restore_databases(pb_restoring *self, pb_error *error);

/* ---- restore_objects.c, restore_velero.c: Kubernetes ---- */

/* Reads the capture, judges and edits it. Nothing to do where Velero has it. */
int pb_restoring_read_objects(pb_restoring *self, pb_error *error);
/* Edits objects, and shows the edits in a dry run. */
int pb_restoring_edit(pb_restoring *self, json_t *objects, pb_error *error);
/* Makes the namespace and the PostgreSQL server in it, and waits until that is ready. */
int pb_restoring_make_server(pb_restoring *self, pb_error *error);
/* Makes what the accounts may do in the whole cluster, where that is allowed. What this account may
 * not make is a note. */
int pb_restoring_make_rights(pb_restoring *self, pb_error *error);
/* Makes all others, writers with no replica, then scales these up. */
int pb_restoring_restore_objects(pb_restoring *self, pb_error *error);
int pb_restoring_restore_by_velero(pb_restoring *self, pb_error *error);

/* For those two. Takes the counts out of objects; of others than `only` (NULL: of none) they stay
 * in them as well. */
void pb_restoring_take_counts(json_t *objects, const pb_workloads *only,
                              pb_workloads *ret_workloads);
int pb_restoring_apply(pb_restoring *self, json_t *objects, pb_error *error);
/* Scales writers up, ends the suspension, and waits until pods of all are ready. */
int pb_restoring_scale_up(pb_restoring *self, const pb_workloads *workloads, pb_error *error);
/* Deletes Pachyderm's workers: they name the bucket and database of before, and pachd makes new
 * ones. */
int pb_restoring_delete_workers(pb_restoring *self, pb_error *error);
json_t *pb_restoring_list_of(json_t *objects);

#endif
