/* cluster/suspension/scaling.h - suspending what writes to Pachyderm's state, and resuming it.
 * Order and reasons: docs/pachyderm.md. What holds the suspension: lease.h. */
#ifndef PB_CLUSTER_SUSPENSION_SCALING_H
#define PB_CLUSTER_SUSPENSION_SCALING_H

#include "cluster/suspension/lease.h"

typedef struct pb_suspend_options {
    const char *holder;
    int64_t wait_ms; /* for pods to be gone */
    /* Pods that are ending get no longer than this for it (grace.h); 0: as long as they are to. */
    unsigned grace_s;
    /* Before counts are written into the record and acted upon: a caller writes them elsewhere too.
     * -1: nothing was scaled by them. May be NULL. */
    int (*recorded)(void *context, const pb_suspension *suspension, pb_error *error);
    /* About once a second while pods are waited for: "waiting for 3 pods of pachd". May be NULL. */
    void (*waiting)(void *context, const char *text);
    void *context;
} pb_suspend_options;

/* Takes the lease, then reads the counts, writes them into the record, and only then scales pachd
 * to 0 by the list that it read them from (a workload that was changed since is read again), waits
 * for its pods (watch.h), then does the same with pachw and the workers, at once. BUSY where the
 * namespace is suspended already (the caller looks first). On -1 what was done is for pb_resume to
 * undo, where *ret_suspension has a holder. It must not be moved. */
int pb_suspend(const pb_kubectl *kubectl, const pb_suspend_options *options,
               pb_suspension *ret_suspension, pb_error *error);
/* The same where the namespace is suspended already, by a record that was found and whose holder is
 * gone or needs it no more: claims it for options->holder, keeps its counts, and scales down what
 * is not at 0. Where the record is gone meanwhile, as pb_suspend. */
int pb_suspend_further(const pb_kubectl *kubectl, const pb_suspend_options *options,
                       pb_suspension *suspension, pb_error *error);
/* The lease is held, nothing was scaled, no writer's pod is there, no new writer appeared since
 * pb_suspend: else FAILED, naming it. */
int pb_suspension_check(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error);

/* Claims the record, brings the recorded counts back (a workload that is gone, or not at 0 any
 * more, is left alone), pachd first and then the others at once, waits until the controllers have
 * seen them, looks once more after two seconds, for a scaling that was under way may arrive late,
 * and deletes the record. May be called again after any failure. BUSY, and nothing is done, where
 * the namespace's record is another's. `told` (may be NULL) hears what was left alone. */
int pb_resume(const pb_kubectl *kubectl, pb_suspension *suspension,
              void (*told)(void *context, const char *text), void *context, pb_error *error);

/* Waits until as many pods of the workloads are ready as their counts say. FAILED after wait_ms,
 * naming those that are not. */
int pb_wait_ready(const pb_kubectl *kubectl, const pb_workloads *workloads, int64_t wait_ms,
                  void (*waiting)(void *context, const char *text), void *context, pb_error *error);

#endif
