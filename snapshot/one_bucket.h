/* snapshot/one_bucket.h - do two endpoints lead into one bucket? A store may have many names
 * (localhost, an address, a load balancer's name), and a name says nothing of what is behind it:
 * only an object that shows on both sides does. Main thread. For this room. */
#ifndef PB_SNAPSHOT_ONE_BUCKET_H
#define PB_SNAPSHOT_ONE_BUCKET_H

#include "snapshot/job.h"

typedef struct pb_bucket_pair {
    pb_store *written; /* where this run may write: the repository, or the destination */
    pb_store *other;
    const pb_store *repository; /* which of the two has a pbcopy.json; NULL for neither */
} pb_bucket_pair;

/* True into *ret_one where their places overlap though their URLs do not say so. Asks nothing
 * unless their buckets have one name and their prefixes lie one inside the other. Then a
 * pbcopy.json that the other side does not show is enough; else one small object is written where
 * they overlap, looked for from the other side, and deleted again (a note says where that fails).
 * Needs no right but to read `other` and to write and delete in `written`; where the object cannot
 * be written, or in a dry run, the pbcopy.json alone tells. -1 for what a later run may be spared
 * (a store that cannot be reached). */
int pb_bucket_pair_is_one(pb_session *session, const pb_bucket_pair *pair, bool *ret_one,
                          pb_error *error);

#endif
