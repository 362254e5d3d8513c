/* snapshot/cluster_backup.h - `pbcopy backup` of a whole Pachyderm cluster: its bucket, its
 * databases and its Kubernetes objects, of one moment. Main thread. */
#ifndef PB_SNAPSHOT_CLUSTER_BACKUP_H
#define PB_SNAPSHOT_CLUSTER_BACKUP_H

#include "snapshot/backup.h"
#include "snapshot/cluster.h"

/* Rehearses all that can be tried (rehearsal.h); copies the bucket while the cluster lives
 * (`passes` times); suspends what writes; at once copies what is new since, dumps the databases and
 * captures Kubernetes objects; resumes, whatever came of that; holds the manifest against the dump,
 * and commits. -1: nothing is committed, and the cluster runs again unless the error says
 * otherwise. options->source may be NULL: it is read from the cluster; options->prefix is not
 * looked at. */
int pb_cluster_backup(pb_session *session, const pb_backup_options *options,
                      const pb_cluster_options *cluster, unsigned passes,
                      pb_backup_result *ret_result, pb_error *error);

#endif
