#include "snapshot/cluster_side.h"

#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/velero.h"
#include <stdlib.h>

static int capture(pb_cluster_side *side, pb_error *error)
{
    pb_kubectl velero = side->kubectl;
    switch (side->kubernetes) {
    case PB_KUBERNETES_NATIVE:
        return pb_capture(&side->kubectl, side->workloads, &side->objects, &side->object_count,
                          error);
    case PB_KUBERNETES_VELERO:
        velero.name_space = side->velero_namespace;
        return pb_velero_backup(&velero, side->velero_name, side->kubectl.name_space, side->wait_ms,
                                NULL, NULL, error);
    case PB_KUBERNETES_NONE:
        break;
    }
    return 0;
}

static void *work(void *context)
{
    pb_cluster_side *side = context;
    uv_loop_t loop;
    uv_loop_init(&loop);
    side->kubectl.loop = &loop;
    side->kubectl.cancelled = &side->give_up;
    side->kubectl.changed = NULL; /* the session is the main thread's */
    capture(side, &side->error);
    side->captured = true;
    uv_run(&loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop))
        abort(); /* a handle was left open: a bug */
    return NULL;
}

void pb_cluster_side_start(pb_cluster_side *side)
{
    if (pthread_create(&side->thread, NULL, work, side))
        abort();
}

void pb_cluster_side_end(pb_cluster_side *side)
{
    pthread_join(side->thread, NULL);
}
