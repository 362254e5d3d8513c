/* cluster/suspension/lease.h - the suspension of a namespace as a lease: its record is made
 * create-only, renewed every 30 s by a thread of its own, whatever else waits, and written and
 * deleted only as the one that was last seen (uid and resourceVersion).
 *
 * Whether a holder lives is judged by the API server's clock alone: its renewals bear that time,
 * and whoever asks gets the time from the same server. A process of this machine that is provably
 * gone is dead at once. */
#ifndef PB_CLUSTER_SUSPENSION_LEASE_H
#define PB_CLUSTER_SUSPENSION_LEASE_H

#include "cluster/kubernetes/kubectl.h"
#include "cluster/suspension/record.h"

/* The record in the namespace; NOT_FOUND where nothing is suspended by pbcopy. */
int pb_suspension_find(const pb_kubectl *kubectl, pb_suspension *ret_suspension, pb_error *error);

/* Whether the holder of a record that was found may live. One that stands (PB_SUSPENSION_STANDING)
 * does not need to. */
int pb_suspension_is_alive(const pb_kubectl *kubectl, const pb_suspension *suspension,
                           bool *ret_alive, pb_error *error);

/* Makes the record, owned by this process, create-only: BUSY where there is one. Any other failure
 * may have made it: pb_suspension_claim finds out. From here on it is renewed, unless it stands. */
int pb_suspension_take(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error);
/* Makes a record that was found (or that an intent tells of) this process's own, and renews it: a
 * holder that was stopped and wakes finds that it lost it. *ret_there: whether there is one. BUSY
 * where the namespace's record is another's. */
int pb_suspension_claim(const pb_kubectl *kubectl, pb_suspension *suspension, bool *ret_there,
                        pb_error *error);
/* Gives the record, which is this process's, other counts (taken over; NULL: as they are) and
 * writes it: BUSY where it is not this process's any more. `recorded` (may be NULL) is called
 * before that, with the record as it will be; its -1 ends the call. */
int pb_suspension_store(const pb_kubectl *kubectl, pb_suspension *suspension,
                        pb_workloads *workloads,
                        int (*recorded)(void *context, const pb_suspension *suspension,
                                        pb_error *error),
                        void *context, pb_error *error);
/* Gives the record, which is this process's, another holder. BUSY as above. */
int pb_suspension_rename(const pb_kubectl *kubectl, pb_suspension *suspension, const char *holder,
                         pb_error *error);
/* Deletes it, if it is this process's; one that is not is left alone. Ends the renewal. */
int pb_suspension_forget(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error);

/* True where the record is another's by now or gone, or could not be renewed for 150 s; then *error
 * (NULL allowed) says so, as BUSY. Any thread. */
bool pb_suspension_is_lost(const pb_suspension *suspension, pb_error *error);

/* Ends the renewal and frees; the record in the namespace stays. Back to {0}. */
void pb_suspension_free(pb_suspension *suspension);

#endif
