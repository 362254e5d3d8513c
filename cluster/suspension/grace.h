/* cluster/suspension/grace.h - pods that end sooner than they would by themselves. Runs the loop.
 */
#ifndef PB_CLUSTER_SUSPENSION_GRACE_H
#define PB_CLUSTER_SUSPENSION_GRACE_H

#include "cluster/kubernetes/kubectl.h"

/* Which of the pods are ending with a grace period of more than `grace_s` and are not in `asked`
 * (an object whose members are uids): an array, the caller's. Pure. */
json_t *pb_grace_choose(const json_t *pods, unsigned grace_s, const json_t *asked);
/* Deletes those again with this grace period (at least 1), each only if it still is the pod that
 * was seen (uid), and adds them to `asked`. One that is gone, or another by now, is left alone. */
int pb_grace_shorten(const pb_kubectl *kubectl, const json_t *pods, unsigned grace_s, json_t *asked,
                     pb_error *error);

#endif
