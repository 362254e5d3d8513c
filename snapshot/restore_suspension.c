#include "snapshot/restore_steps.h"
#include <stdlib.h>

int pb_restoring_plan_suspension(pb_restoring *self, pb_error *error)
{
    const pb_workload *writer = NULL;
    if (!self->has_pachyderm || (!pb_restoring_takes_objects(self) && !self->uses_databases))
        return 0;
    for (size_t i = 0; i < self->there.writers.count && !writer; i++)
        if (self->there.writers.items[i].replicas)
            writer = &self->there.writers.items[i];
    self->suspends = true;
    if (!writer || self->wanted->allow_existing)
        return 0;
    /* Only a restore of its databases alone comes here. */
    pb_error_set(error, PB_ERROR_BUSY,
                 "the restore would drop databases of the Pachyderm in namespace %s, which runs: "
                 "%s/%s has %llu replicas",
                 self->cluster->name_space, writer->kind, writer->name,
                 (unsigned long long)writer->replicas);
    return pb_error_hint(error, "say --allow-existing: the restore then suspends it first, and "
                                "resumes it when the databases are back");
}

/* One that was left by a run that died, or made by `pbcopy suspend`: it becomes this run's. */
static int take_over(pb_restoring *self, const pb_suspend_options *options, pb_error *error)
{
    const char *name_space = self->cluster->name_space;
    pb_suspension *suspension = &self->suspension;
    bool alive = false;
    if (!self->cluster->take_over &&
        pb_suspension_is_alive(&self->kubectl, suspension, &alive, error))
        return -1;
    alive = alive && strcmp(suspension->holder, PB_SUSPENSION_STANDING) != 0;
    if (alive) {
        pb_error_set(error, PB_ERROR_BUSY,
                     "namespace %s is suspended by another run: %s, on %s, process %llu",
                     name_space, suspension->holder, suspension->process.host,
                     (unsigned long long)suspension->process.pid);
        return pb_error_hint(error, "wait for it; a run that died on another machine is known to "
                                    "be dead after three minutes");
    }
    self->was_suspended = strcmp(suspension->holder, PB_SUSPENSION_STANDING) == 0 ||
                          strcmp(suspension->holder, PB_SUSPENSION_RESTORE) == 0;
    pb_session_note(self->session,
                    "namespace %s is suspended already (%s): the restore goes on "
                    "from there",
                    name_space, suspension->holder);
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
    pb_error wrong = {0};
    if (!self->suspends || self->suspension.holder)
        return 0;
    pb_session_phase(self->session, "suspending");
    int failed = 0;
    if (!pb_suspension_find(&self->kubectl, &self->suspension, &wrong)) {
        failed = take_over(self, &options, error);
        if (failed && error->kind == PB_ERROR_BUSY)
            pb_suspension_free(&self->suspension); /* another's */
    } else if (wrong.kind == PB_ERROR_NOT_FOUND) {
        failed = pb_suspend(&self->kubectl, &options, &self->suspension, error);
    } else {
        *error = wrong;
        failed = -1;
    }
    pb_cluster_note_suspended(self->session, self->cluster, &self->suspension);
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
        pb_suspension_free(suspension);
    return failed;
}

void pb_restoring_give_up(pb_restoring *self, pb_error *error)
{
    pb_error wrong = {0};
    if (!self->suspension.holder)
        return;
    if (pb_suspension_is_lost(&self->suspension, &wrong)) {
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
