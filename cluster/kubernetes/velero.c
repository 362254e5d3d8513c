#include "cluster/kubernetes/velero.h"

#include "base/codec.h"
#include "cluster/kubernetes/object.h"
#include "cluster/kubernetes/watch.h"

#include <stdlib.h>

typedef struct velero_run {
    const pb_kubectl *kubectl;
    const char *kinds; /* "backups.velero.io" */
    const char *name;
    int64_t wait_ms;
    void (*waiting)(void *context, const char *text);
    void *context;
} velero_run;

static int judge(void *context, const json_t *items, pb_buffer *what, pb_error *error)
{
    const velero_run *run = context;
    const json_t *object = json_array_get(items, 0);
    if (!object) /* somebody deleted it; a list says so */
        return pb_error_set(error, PB_ERROR_NOT_FOUND, "%s is gone", run->name);
    pb_buffer_append_format(what, "Velero's %s %s: ", pb_object_kind(object), run->name);
    pb_velero_progress(object, what);
    pb_text_make_line(what->data);
    return pb_velero_judge(object, error);
}

static int await_end(velero_run *run, pb_error *error)
{
    const pb_awaited awaited = {.wait_ms = run->wait_ms,
                                .judge = judge,
                                .context = run,
                                .waiting = run->waiting,
                                .caller = run->context};
    pb_watch *watch = pb_watch_open(run->kubectl, run->kinds, run->name);
    pb_buffer what = {0};
    int ended = pb_watch_until(watch, &awaited, &what, error);
    if (!ended) {
        pb_error_set(error, PB_ERROR_FAILED, "not over after %lld s: %s",
                     (long long)(run->wait_ms / 1000), what.data);
        pb_error_hint(error, "is Velero's server running in namespace %s?",
                      run->kubectl->name_space);
    }
    pb_watch_close(watch);
    pb_buffer_free(&what);
    return ended == 1 ? 0 : -1;
}

/* Takes the object over. */
static int carry_out(velero_run *run, json_t *object, pb_error *error)
{
    int done = pb_kubectl_create(run->kubectl, object, error);
    json_decref(object);
    return done == 0 ? await_end(run, error) : -1;
}

int pb_velero_check(const pb_kubectl *kubectl, pb_error *error)
{
    bool has;
    if (pb_kubectl_has_group(kubectl, "velero.io/v1", &has, error))
        return -1;
    if (has)
        return 0;
    pb_error_set(error, PB_ERROR_USAGE, "the cluster has no Velero (API group velero.io/v1)");
    return pb_error_hint(error, "install it, or choose --kubernetes native");
}

int pb_velero_backup(const pb_kubectl *kubectl, const char *name, const char *included,
                     int64_t wait_ms, void (*waiting)(void *context, const char *text),
                     void *context, pb_error *error)
{
    velero_run run = {kubectl, "backups.velero.io", name, wait_ms, waiting, context};
    if (carry_out(&run, pb_velero_backup_object(kubectl->name_space, name, included), error) != 0)
        return pb_error_context(error, "backing up namespace %s through Velero", included);
    return 0;
}

int pb_velero_restore(const pb_kubectl *kubectl, const char *name, const char *backup,
                      const char *included, const char *target, int64_t wait_ms,
                      void (*waiting)(void *context, const char *text), void *context,
                      pb_error *error)
{
    velero_run run = {kubectl, "restores.velero.io", name, wait_ms, waiting, context};
    if (pb_velero_check(kubectl, error))
        return -1;
    json_t *object = pb_velero_restore_object(kubectl->name_space, name, backup, included, target);
    if (carry_out(&run, object, error) != 0)
        return pb_error_context(error, "restoring namespace %s through Velero", target);
    return 0;
}
