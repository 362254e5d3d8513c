#include "snapshot/cluster_side.h"

#include "base/clock.h"
#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/velero.h"
#include <stdlib.h>
#include <unistd.h>

enum { BEAT_MS = 30 * 1000, LOOK_US = 50 * 1000 };

static void beat_if_due(pb_cluster_side *side)
{
    if (pb_clock_utc_ms() - side->suspension->process.heartbeat_ms < BEAT_MS)
        return;
    pb_error lost = {0}; /* one that is lost is no failure: the next one comes soon */
    pb_suspension_beat(&side->kubectl, side->suspension, &lost);
}

static void on_waiting(void *context, const char *text)
{
    (void)text;
    beat_if_due(context);
}

static int capture(pb_cluster_side *side, pb_error *error)
{
    pb_kubectl velero = side->kubectl;
    switch (side->kubernetes) {
    case PB_KUBERNETES_NATIVE:
        return pb_capture(&side->kubectl, &side->suspension->workloads, &side->objects,
                          &side->object_count, error);
    case PB_KUBERNETES_VELERO:
        velero.name_space = side->velero_namespace;
        return pb_velero_backup(&velero, side->velero_name, side->kubectl.name_space, side->wait_ms,
                                on_waiting, side, error);
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
    capture(side, &side->error);
    side->captured = true;
    while (!side->stop) {
        usleep(LOOK_US);
        beat_if_due(side);
    }
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
    side->stop = true;
    pthread_join(side->thread, NULL);
}
