/* snapshot/cluster_recover.h - `pbcopy resume`: a namespace that was suspended runs again, whoever
 * suspended it. Main thread. */
#ifndef PB_SNAPSHOT_CLUSTER_RECOVER_H
#define PB_SNAPSHOT_CLUSTER_RECOVER_H

#include "snapshot/cluster.h"

/* Undoes the suspension that the namespace's own record tells of; where there is none, and
 * `repository` is not NULL, one that an unfinished run's intent tells of. *ret_undone is false
 * where nothing is suspended. BUSY where the run that suspended it is alive, unless
 * options->take_over. */
int pb_cluster_recover(pb_session *session, const pb_cluster_options *options,
                       const char *repository, bool *ret_undone, pb_error *error);

#endif
