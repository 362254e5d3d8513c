/* snapshot/cluster_plan.h - what a restore of a cluster is going to do, told as notes. Main thread.
 * For this room. */
#ifndef PB_SNAPSHOT_CLUSTER_PLAN_H
#define PB_SNAPSHOT_CLUSTER_PLAN_H

#include "snapshot/cluster.h"
#include "snapshot/repository.h"

/* Strings and values are borrowed. */
typedef struct pb_cluster_plan {
    const pb_snapshot_file *file; /* of a cluster */
    const pb_cluster_options *cluster;
    const pb_database_server *server; /* that the dumps go into */
    const char *destination;          /* where objects go */
    const char *bucket;               /* what the restored Pachyderm will use */
    const char *name_space;
    const char *address; /* for pachctl; NULL: none */
    bool overwrites_database;
    bool takes_kubernetes;
    const json_t *objects;  /* as they are applied, with their counts; NULL: by Velero, or none */
    const json_t *first;    /* of these, made before the databases; NULL: none */
    const json_t *left_out; /* as they were captured; NULL without objects */
    const json_t *kinds;    /* cluster/boundary/restore_policy.h */
    const json_t *rights;   /* in the whole cluster; NULL: none */
    bool applies_rights;
    const pb_workloads *suspended; /* the namespace's writers as they are; NULL: none is */
} pb_cluster_plan;

/* With `whole` all of it; else only what deserves a look: objects that are left out, or that give
 * rights or reach the host. */
void pb_cluster_plan_tell(pb_session *session, const pb_cluster_plan *plan, bool whole);

#endif
