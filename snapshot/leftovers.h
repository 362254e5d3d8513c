/* snapshot/leftovers.h - multipart uploads of runs that are over: stores keep their parts, and bill
 * them, until somebody aborts them. For this room. */
#ifndef PB_SNAPSHOT_LEFTOVERS_H
#define PB_SNAPSHOT_LEFTOVERS_H

#include "snapshot/repository.h"

/* Aborts the uploads under the keys of the attempt `id`, which is closed: if its run lives after
 * all, it cannot commit. Stores that list no uploads end them by themselves, or have none. What
 * cannot be aborted stays, and the log says why. Main thread. */
void pb_leftovers_abort(pb_repository *repository, const char *id);

#endif
