#include "cluster/kubernetes/velero.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cluster/kubernetes/object.h"

#include <stdlib.h>

enum { LOOK_EVERY_MS = 2000 };

typedef struct velero_watch {
    const pb_kubectl *kubectl;
    const char *kinds; /* "backups.velero.io" */
    const char *name;
    int64_t wait_ms;
    void (*waiting)(void *context, const char *text);
    void *context;
} velero_watch;

/* With each look, so that who hears it can show that it lives. */
static void tell(const velero_watch *watch, const json_t *object, pb_buffer *told)
{
    pb_buffer text = {0};
    pb_buffer_append_format(&text, "Velero's %s %s: ", pb_object_kind(object), watch->name);
    pb_velero_progress(object, &text);
    pb_text_make_line(text.data);
    if (watch->waiting)
        watch->waiting(watch->context, text.data);
    pb_buffer_free(told);
    *told = text;
}

static int look(const velero_watch *watch, pb_buffer *told, pb_error *error)
{
    const char *const arguments[] = {"get", watch->kinds, watch->name, NULL};
    json_t *object;
    if (pb_kubectl_json(watch->kubectl, arguments, (pb_slice){0}, &object, error) != 0)
        return -1;
    tell(watch, object, told);
    int judged = pb_velero_judge(object, error);
    json_decref(object);
    return judged;
}

static int watch_to_end(const velero_watch *watch, pb_error *error)
{
    int64_t start_ms = pb_clock_monotonic_ms();
    pb_buffer told = {0};
    int judged = look(watch, &told, error);
    while (judged == 0) {
        if (pb_clock_monotonic_ms() - start_ms >= watch->wait_ms) {
            judged = pb_error_set(error, PB_ERROR_FAILED, "not over after %lld s: %s",
                                  (long long)(watch->wait_ms / 1000), told.data);
            pb_error_hint(error, "is Velero's server running in namespace %s?",
                          watch->kubectl->name_space);
        } else if (pb_kubectl_rest(watch->kubectl, LOOK_EVERY_MS, error) != 0)
            judged = -1;
        else
            judged = look(watch, &told, error);
    }
    pb_buffer_free(&told);
    return judged == 1 ? 0 : -1;
}

/* Takes the object over. */
static int carry_out(const velero_watch *watch, json_t *object, pb_error *error)
{
    int done = pb_kubectl_create(watch->kubectl, object, error);
    json_decref(object);
    return done == 0 ? watch_to_end(watch, error) : -1;
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
    velero_watch watch = {kubectl, "backups.velero.io", name, wait_ms, waiting, context};
    if (carry_out(&watch, pb_velero_backup_object(kubectl->name_space, name, included), error) != 0)
        return pb_error_context(error, "backing up namespace %s through Velero", included);
    return 0;
}

int pb_velero_restore(const pb_kubectl *kubectl, const char *name, const char *backup,
                      const char *included, const char *target, int64_t wait_ms,
                      void (*waiting)(void *context, const char *text), void *context,
                      pb_error *error)
{
    velero_watch watch = {kubectl, "restores.velero.io", name, wait_ms, waiting, context};
    if (pb_velero_check(kubectl, error))
        return -1;
    json_t *object = pb_velero_restore_object(kubectl->name_space, name, backup, included, target);
    if (carry_out(&watch, object, error) != 0)
        return pb_error_context(error, "restoring namespace %s through Velero", target);
    return 0;
}
