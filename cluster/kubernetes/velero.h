/* cluster/kubernetes/velero.h - Velero's Backup and Restore objects (velero.io/v1), made with
 * kubectl and watched to their end. Runs the loop. */
#ifndef PB_CLUSTER_KUBERNETES_VELERO_H
#define PB_CLUSTER_KUBERNETES_VELERO_H

#include "cluster/kubernetes/kubectl.h"

/* Of everything that a Restore made; its value names the Backup. */
#define PB_VELERO_LABEL "velero.io/backup-name"

/* USAGE where the cluster has no Velero. */
int pb_velero_check(const pb_kubectl *kubectl, pb_error *error);
/* Makes a Backup of the namespace `included` in Velero's own namespace (kubectl->name_space) and
 * waits for it (watch.h). Only phase Completed is success; all other ends, and
 * wait_ms gone by, are FAILED with Velero's own words. `waiting` (may be NULL) hears of the
 * progress about once a second. The Backup stays whatever its end. EXISTS where there is one of
 * this name. */
int pb_velero_backup(const pb_kubectl *kubectl, const char *name, const char *included,
                     int64_t wait_ms, void (*waiting)(void *context, const char *text),
                     void *context, pb_error *error);
/* The same of a Restore from a Backup, into namespace `target` where that is another one. */
int pb_velero_restore(const pb_kubectl *kubectl, const char *name, const char *backup,
                      const char *included, const char *target, int64_t wait_ms,
                      void (*waiting)(void *context, const char *text), void *context,
                      pb_error *error);
/* What is to be done with a namespace that Velero has restored, as an edit of its objects wants it:
 * pods run there already, and what an object has is not taken off by applying one without it. */
typedef struct pb_velero_plan {
    json_t *removed;  /* by kind and name: helm's releases, and what is made anew */
    json_t *orphaned; /* the same, but what they own stays: claims that would go with them */
    json_t *replaced; /* whole */
    json_t *patches;  /* [{"name", "patch"}] of claims, which cannot be replaced */
    json_t *made;     /* anew: workloads, so that no pod and no old revision of them stays, and
                         Services, which keep their addresses and node ports when replaced */
} pb_velero_plan;

/* `before` and `after` are the objects before the edit and after it. Unchanged ones are left alone.
 * Pure. */
void pb_velero_plan_edit(const json_t *before, const json_t *after, pb_velero_plan *ret_plan);
void pb_velero_plan_free(pb_velero_plan *plan);
/* What the phase of a Backup or Restore means: 1 success, 0 still going on (a phase that is not
 * known, too), -1 failed: FAILED with Velero's words. Pure. */
int pb_velero_judge(const json_t *object, pb_error *error);
/* Appends "InProgress, 12 of 40 items". Pure. */
void pb_velero_progress(const json_t *object, pb_buffer *buffer);
/* The objects as they are made; the caller owns them. A Backup is kept for ten years. A Restore
 * leaves out Pachyderm's workers (label component=worker), which would write to the old bucket.
 * Pure. */
json_t *pb_velero_backup_object(const char *velero_namespace, const char *name,
                                const char *included);
json_t *pb_velero_restore_object(const char *velero_namespace, const char *name, const char *backup,
                                 const char *included, const char *target);

#endif
