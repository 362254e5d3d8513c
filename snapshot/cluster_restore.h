/* snapshot/cluster_restore.h - `pbcopy restore` of a whole Pachyderm cluster into another
 * namespace, bucket and database. Main thread. */
#ifndef PB_SNAPSHOT_CLUSTER_RESTORE_H
#define PB_SNAPSHOT_CLUSTER_RESTORE_H

#include "cluster/edits/edits.h"
#include "snapshot/cluster.h"
#include "snapshot/restore.h"

typedef struct pb_cluster_restore_options {
    pb_edits
        edits; /* bucket and namespace are filled in from the destination where they are NULL */
    bool allow_live_bucket;  /* the destination may be the bucket of a cluster that lives */
    bool allow_existing;     /* the namespace may have a Pachyderm already */
    bool overwrite_database; /* what is in the databases is dropped */
    bool allow_privileged;   /* captured objects may give rights, and reach their host */
    const char *address;     /* of the new cluster, for pachctl's context; NULL: none is written */
    const char *context;     /* its name; NULL: the namespace's */
} pb_cluster_restore_options;

/* Checks and edits first, so that nothing is done where something is wrong; then the objects, the
 * databases (each in one transaction), the Kubernetes objects with no replica, the recorded counts,
 * and waits until all are ready. A dry run tells what the edits change. Run again after a failure,
 * it goes on: objects that are there are left alone, applied objects are applied again; databases
 * that were restored are refused as not empty, unless overwrite_database. */
int pb_cluster_restore(pb_session *session, const pb_restore_options *options,
                       const pb_cluster_options *cluster, const pb_cluster_restore_options *wanted,
                       pb_restore_result *ret_result, pb_error *error);

#endif
