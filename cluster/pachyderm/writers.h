/* cluster/pachyderm/writers.h - which workloads of a namespace write to Pachyderm's state. Pure,
 * any thread.
 */
#ifndef PB_CLUSTER_PACHYDERM_WRITERS_H
#define PB_CLUSTER_PACHYDERM_WRITERS_H

#include "base/json.h"
#include "manifest/cluster_record.h"

/* In the order in which they are to be suspended: while pachd lives it scales the others. */
typedef enum pb_writer {
    PB_WRITER_PACHD,
    PB_WRITER_PACHW,
    PB_WRITER_WORKER, /* the ReplicationController of a pipeline */
    PB_WRITER_NONE,
} pb_writer;

/* What an object of Kubernetes is in this: Deployments pachd and pachw, ReplicationControllers of
 * workers, as layout.h tells them. */
pb_writer pb_writer_of(const json_t *object);
/* The same of a pod, by its labels: they are those of its workload's template. */
pb_writer pb_writer_of_pod(const json_t *pod);
/* Whether the selector of a Deployment or ReplicationController picks a pod: a chart may have given
 * its pods other labels than its workloads. */
bool pb_writer_selects(const json_t *workload, const json_t *pod);
/* False where a pod has ended for good (Succeeded, Failed): it stays to be looked at. */
bool pb_pod_is_there(const json_t *pod);
/* Adds those of `items` that are of this kind, with their counts, to *workloads. One that is there
 * already gets the count that it has by now, unless that is 0. True where something was changed. */
bool pb_writers_collect(const json_t *items, pb_writer kind, pb_workloads *workloads);

/* Whether its controller has seen the spec of a workload as it is now. */
bool pb_writer_is_seen(const json_t *workload);
/* Whether its controller has seen that a workload is to have no pods, and makes none any more. */
bool pb_writer_is_settled(const json_t *workload);

/* spec.replicas: 1 where it does not say, as Kubernetes has it. */
uint64_t pb_object_replicas(const json_t *object);

#endif
