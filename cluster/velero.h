/* cluster/velero.h - Velero's Backup and Restore objects (velero.io/v1), made with kubectl and
 * watched to their end. Runs the loop. */
#ifndef PB_CLUSTER_VELERO_H
#define PB_CLUSTER_VELERO_H

#include "cluster/kubectl.h"

/* Makes a Backup of the namespace `included` in Velero's own namespace (kubectl->name_space) and
 * waits for it. Only phase Completed is success; all other ends are FAILED with Velero's own words.
 */
int pb_velero_backup(const pb_kubectl *kubectl, const char *name, const char *included,
                     int64_t wait_ms, void (*waiting)(void *context, const char *text),
                     void *context, pb_error *error);
/* The same of a Restore from a Backup, into namespace `target` where that is another one. */
int pb_velero_restore(const pb_kubectl *kubectl, const char *name, const char *backup,
                      const char *included, const char *target, int64_t wait_ms,
                      void (*waiting)(void *context, const char *text), void *context,
                      pb_error *error);
/* What a phase means: 1 success, 0 still going on, -1 failed. Pure. */
int pb_velero_judge(const json_t *object, pb_error *error);

#endif
