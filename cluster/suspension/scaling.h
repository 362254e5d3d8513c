/* cluster/suspension/scaling.h - suspending what writes to Pachyderm's state, and resuming it.
 * Order and reasons: docs/pachyderm.md.
 *
 * The record of a suspension is a ConfigMap of the namespace, `pbcopy-suspension`, made create-only
 * before the first change and deleted after the last: it is the lock as well. Whoever reaches the
 * cluster can undo the suspension of a run that died. */
#ifndef PB_CLUSTER_SUSPENSION_SCALING_H
#define PB_CLUSTER_SUSPENSION_SCALING_H

#include "base/process.h"
#include "cluster/kubernetes/kubectl.h"
#include "manifest/cluster_record.h"

#define PB_SUSPENSION_CONFIG_MAP "pbcopy-suspension"
#define PB_SUSPENSION_STANDING "pbcopy suspend"

typedef struct pb_suspension {
    char *holder; /* a snapshot's id, or PB_SUSPENSION_STANDING, which outlives its process */
    pb_process process;
    int64_t started_ms;
    pb_workloads workloads; /* as they were, in the order of the suspend */
    /* In memory only, of pb_suspend: by which pb_suspension_check sees what was scaled meanwhile.
     */
    json_t *generations;
} pb_suspension;

void pb_suspension_free(pb_suspension *suspension); /* back to {0} */
/* The ConfigMap's text and the member of intent.json: DAMAGED where it is not one. Pure. */
json_t *pb_suspension_json(const pb_suspension *suspension);
int pb_suspension_parse(const json_t *object, pb_suspension *ret_suspension, pb_error *error);

/* The same as an object of Kubernetes, and back. Pure. */
json_t *pb_suspension_config_map(const pb_suspension *suspension);
int pb_suspension_of_config_map(const json_t *object, pb_suspension *ret_suspension,
                                pb_error *error);

/* The record in the namespace; NOT_FOUND where nothing is suspended by pbcopy. */
int pb_suspension_find(const pb_kubectl *kubectl, pb_suspension *ret_suspension, pb_error *error);

typedef struct pb_suspend_options {
    const char *holder;
    int64_t wait_ms; /* for pods to be gone */
    /* The record is complete and not yet written: a caller writes it elsewhere too. -1: nothing was
     * changed. May be NULL. */
    int (*recorded)(void *context, const pb_suspension *suspension, pb_error *error);
    /* About once a second while pods are waited for: "waiting for 3 pods of pachd". May be NULL. */
    void (*waiting)(void *context, const char *text);
    void *context;
} pb_suspend_options;

/* Scales pachd to 0 and waits for its pods, then pachw and the workers. BUSY where the namespace is
 * suspended already (the caller looks first). On -1 what was done is for pb_resume to undo:
 * *ret_suspension is filled as soon as the record is written. */
int pb_suspend(const pb_kubectl *kubectl, const pb_suspend_options *options,
               pb_suspension *ret_suspension, pb_error *error);
/* Nothing was scaled, no writer's pod is there, no new writer appeared since pb_suspend: else
 * FAILED, naming it. */
int pb_suspension_check(const pb_kubectl *kubectl, const pb_suspension *suspension,
                        pb_error *error);
/* Writes the record, which is there, anew; beat with a new heartbeat. */
int pb_suspension_store(const pb_kubectl *kubectl, const pb_suspension *suspension,
                        pb_error *error);
int pb_suspension_beat(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error);

/* Brings the recorded counts back (a workload that is gone, or not at 0 any more, is left alone),
 * pachd first, and deletes the record. May be called again after any failure. BUSY, and nothing is
 * done, where the namespace's record is another's. `told` (may be NULL) hears what was left alone.
 */
int pb_resume(const pb_kubectl *kubectl, const pb_suspension *suspension,
              void (*told)(void *context, const char *text), void *context, pb_error *error);

/* Waits until as many pods of the workloads are ready as their counts say. FAILED after wait_ms,
 * naming those that are not. */
int pb_wait_ready(const pb_kubectl *kubectl, const pb_workloads *workloads, int64_t wait_ms,
                  void (*waiting)(void *context, const char *text), void *context, pb_error *error);

#endif
