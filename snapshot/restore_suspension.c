#include "snapshot/restore_steps.h"

int pb_restoring_plan_suspension(pb_restoring *self, pb_error *error)
{
    const pb_workload *writer = NULL;
    if (!self->has_pachyderm || (!pb_restoring_takes_objects(self) && !self->uses_databases &&
                                 self->bucket_relation != PB_BUCKETS_OVERLAP))
        return 0;
    for (size_t i = 0; i < self->there.writers.count && !writer; i++)
        if (self->there.writers.items[i].replicas)
            writer = &self->there.writers.items[i];
    self->suspends = true;
    if (!writer || self->wanted->allow_existing)
        return 0;
    /* Only a restore of its databases or of its bucket alone comes here. */
    pb_error_set(error, PB_ERROR_BUSY,
                 "the restore would %s of the Pachyderm in namespace %s, which runs: "
                 "%s/%s has %llu replicas",
                 self->uses_databases ? "drop databases" : "write to the bucket",
                 self->cluster->name_space, writer->kind, writer->name,
                 (unsigned long long)writer->replicas);
    return pb_error_hint(error, "say --allow-existing: the restore then suspends it first, and "
                                "resumes it at its end");
}

/* ---- while it is suspended ---- */

/* Whatever waits, waits on the session: a run that lost the lease ends, and changes nothing more.
 */
static void on_look(uv_timer_t *timer)
{
    pb_restoring *self = timer->data;
    if (pb_suspension_is_lost(&self->suspension, NULL))
        pb_session_cancel(self->session);
}

static void start_looking(pb_restoring *self)
{
    enum { LOOK_MS = 500 };
    uv_timer_init(&self->session->loop, &self->timer);
    self->timer.data = self;
    self->looks = true;
    uv_timer_start(&self->timer, on_look, LOOK_MS, LOOK_MS);
}

static void on_closed(uv_handle_t *handle)
{
    ((pb_restoring *)handle->data)->looks = false;
}

void pb_restoring_let_go(pb_restoring *self)
{
    if (self->looks)
        uv_close((uv_handle_t *)&self->timer, on_closed);
    while (self->looks)
        uv_run(&self->session->loop, UV_RUN_ONCE);
    pb_suspension_free(&self->suspension);
}

/* ---- the suspension ---- */

/* One that a dead run or `pbcopy suspend` left becomes this run's. */
static int take_over(pb_restoring *self, const pb_suspend_options *options, pb_error *error)
{
    pb_suspension *suspension = &self->suspension;
    self->was_suspended = pb_suspension_stands(suspension) || pb_suspension_restores(suspension);
    pb_session_note(self->session,
                    "namespace %s is suspended already (%s): the restore goes on from there",
                    self->cluster->name_space, suspension->holder);
    return pb_suspend_further(&self->kubectl, options, suspension, error);
}

int pb_restoring_suspend(pb_restoring *self, pb_error *error)
{
    const pb_suspend_options options = {
        .holder = PB_SUSPENSION_RESTORE,
        .wait_ms = self->cluster->wait_ms,
        .grace_s = self->cluster->grace_s,
        .waiting = pb_restoring_tell_waiting,
        .context = self->session,
    };
    if (!self->suspends || self->suspension.holder)
        return 0;
    pb_session_phase(self->session, "suspending");
    int found = pb_cluster_find_suspension(self->session, self->cluster, &self->suspension, error);
    if (found < 0)
        return -1;
    int failed = found ? take_over(self, &options, error)
                       : pb_suspend(&self->kubectl, &options, &self->suspension, error);
    pb_cluster_note_suspended(self->session, self->cluster, &self->suspension);
    if (!failed) {
        start_looking(self);
    } else if (error->kind == PB_ERROR_BUSY && self->suspension.holder) {
        self->session->cluster.stand = PB_CLUSTER_TAKEN_OVER;
        pb_suspension_free(&self->suspension);
    }
    return failed;
}

int pb_restoring_confirm(void *context, pb_error *error)
{
    pb_restoring *self = context;
    return self->suspension.holder
               ? pb_cluster_confirm(self->session, self->cluster, &self->suspension, error)
               : 0;
}

int pb_restoring_record(pb_restoring *self, const pb_workloads *workloads, pb_error *error)
{
    pb_workloads counts = {0};
    const pb_workloads *before = &self->suspension.workloads;
    if (!self->suspension.holder)
        return 0;
    for (size_t i = 0; i < workloads->count; i++) {
        const pb_workload *workload = &workloads->items[i];
        if (pb_workloads_find(&self->record->workloads, workload->kind, workload->name))
            pb_workloads_add(&counts, workload->kind, workload->name, workload->replicas);
    }
    for (size_t i = 0; i < before->count; i++) {
        const pb_workload *workload = &before->items[i];
        if (!pb_workloads_find(&counts, workload->kind, workload->name))
            pb_workloads_add(&counts, workload->kind, workload->name, workload->replicas);
    }
    int failed = pb_suspension_store(&self->kubectl, &self->suspension, &counts, NULL, NULL, error);
    pb_workloads_free(&counts);
    return failed;
}

int pb_restoring_end_suspension(pb_restoring *self, bool resumes, pb_error *error)
{
    pb_suspension *suspension = &self->suspension;
    if (!suspension->holder)
        return 0;
    int failed = resumes ? pb_cluster_resume(self->session, self->cluster, suspension, error)
                         : pb_cluster_end(self->session, self->cluster, suspension, error);
    if (!failed)
        pb_restoring_let_go(self);
    return failed;
}

void pb_restoring_give_up(pb_restoring *self, pb_error *error)
{
    pb_error wrong = {0};
    if (!self->suspension.holder || self->is_up)
        return;
    if (self->session->cluster.stand == PB_CLUSTER_TAKEN_OVER)
        return; /* *error says so */
    if (pb_suspension_is_lost(&self->suspension, &wrong)) {
        self->session->cluster.stand = PB_CLUSTER_TAKEN_OVER;
        *error = wrong;
        return;
    }
    if (!self->has_changed && !self->was_suspended) {
        if (pb_restoring_end_suspension(self, true, &wrong)) {
            pb_session_note(self->session, "the restore failed: %s", error->message);
            *error = wrong;
        }
        return;
    }
    pb_session_note(self->session,
                    "namespace %s stays suspended%s: run the restore again, or bring up what is "
                    "there with `pbcopy resume`",
                    self->cluster->name_space,
                    self->has_changed ? ", as it is restored in part" : "");
}
