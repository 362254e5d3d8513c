/* cluster/kubernetes/at_once.h - several calls of kubectl at once: what a call takes is mostly the
 * start of kubectl and the way to the API server. Runs the loop: never inside a callback. */
#ifndef PB_CLUSTER_KUBERNETES_AT_ONCE_H
#define PB_CLUSTER_KUBERNETES_AT_ONCE_H

#include "cluster/kubernetes/kubectl.h"

enum { PB_AT_ONCE_MAX = 8 }; /* a kubectl takes about 50 MiB */

typedef struct pb_kubectl_call {
    const char *const *arguments; /* as pb_kubectl_run has them */
    pb_slice input;
    pb_error error; /* how it ended */
} pb_kubectl_call;

/* Begins the calls in their order, PB_AT_ONCE_MAX at a time, each tried once, and returns when all
 * are over: one that fails ends no other. Output is dropped. */
void pb_kubectl_run_at_once(const pb_kubectl *kubectl, pb_kubectl_call *calls, size_t count);

/* A count of replicas that a workload is to get. */
typedef struct pb_scaling {
    const char *kind, *name;
    uint64_t replicas;
    const json_t *seen; /* not NULL: only if the workload is still as it was there (uid,
                           resourceVersion); else UNREACHABLE */
    pb_error error;     /* how it ended */
} pb_scaling;

/* Sets counts, at once, by the workloads' subresource `scale`: a right of its own, with which
 * nobody can change what runs. A kubectl older than 1.24 cannot: then whole objects are patched,
 * and a warning says so once. What the API server does not answer is tried again for patience_ms.
 */
void pb_kubectl_scale(const pb_kubectl *kubectl, pb_scaling *scalings, size_t count);
/* The first that failed, but for a workload that is gone (NOT_FOUND) where `gone` allows that: -1,
 * with its error. */
int pb_scalings_judge(const pb_scaling *scalings, size_t count, bool gone, pb_error *error);

#endif
