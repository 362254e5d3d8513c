/* snapshot/cluster_side.h - what is done with Kubernetes while objects and dumps move: a thread
 * with a loop of its own, since kubectl takes its time and the window is to be short. For this
 * room. */
#ifndef PB_SNAPSHOT_CLUSTER_SIDE_H
#define PB_SNAPSHOT_CLUSTER_SIDE_H

#include "snapshot/cluster.h"
#include <pthread.h>
#include <stdatomic.h>

typedef struct pb_cluster_side {
    /* Set before the start, and left alone until the end. */
    pb_kubectl kubectl; /* its loop and `cancelled` are set here */
    pb_kubernetes_kind kubernetes;
    const pb_workloads *workloads; /* as they were before the suspend */
    const char *velero_namespace;
    const char *velero_name; /* of the Backup to be made */
    int64_t wait_ms;
    /* Written before the thread says that it has captured. */
    pb_buffer objects; /* NATIVE: a line each */
    size_t object_count;
    pb_error error;
    atomic_bool captured; /* well or not */
    atomic_bool give_up;  /* a capture under way is of no use any more */
    pthread_t thread;
} pb_cluster_side;

/* Begins to capture. */
void pb_cluster_side_start(pb_cluster_side *side);
/* Waits for the thread; a capture under way is finished first, unless `give_up` was set. */
void pb_cluster_side_end(pb_cluster_side *side);

#endif
