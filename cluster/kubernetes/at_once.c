#include "cluster/kubernetes/at_once.h"

#include "base/clock.h"
#include "cluster/kubernetes/object.h"
#include <stdio.h>
#include <stdlib.h>

enum { LOOK_MS = 1000, PAUSE_FIRST_MS = 500, PAUSE_MOST_MS = 8 * 1000 };

/* ---- calls ---- */

typedef struct batch {
    const pb_kubectl *kubectl;
    struct place {
        struct batch *batch;
        pb_kubectl_call *call; /* NULL: free */
        pb_child *child;
    } places[PB_AT_ONCE_MAX];
    size_t running;
    bool ended; /* a child has, since this was last looked at */
} batch;

static void on_done(void *context, pb_child *child, const pb_error *error)
{
    struct place *place = context;
    place->call->error = *error;
    if (error->kind) {
        pb_kubectl_judge(child, &place->call->error);
        pb_kubectl_hint(place->batch->kubectl, &place->call->error);
    }
    place->call = NULL;
    place->batch->running--;
    place->batch->ended = true;
}

static void begin(batch *self, pb_kubectl_call *call)
{
    struct place *place = self->places;
    while (place->call)
        place++;
    const pb_child_options options = {
        .has_input = call->input.size > 0,
        .deadline_ms = PB_KUBECTL_DEADLINE_MS,
        .done = on_done,
        .context = place,
    };
    *place = (struct place){.batch = self};
    if (pb_kubectl_start(self->kubectl, call->arguments, &options, &place->child, &call->error))
        return;
    place->call = call;
    self->running++;
    if (call->input.size) {
        pb_child_write(place->child, call->input.data, call->input.size);
        pb_child_end_input(place->child);
    }
}

static void cancel(batch *self, pb_kubectl_call *not_begun, size_t count)
{
    pb_error why = {0};
    pb_error_set(&why, PB_ERROR_CANCELLED, "cancelled");
    for (size_t i = 0; i < PB_AT_ONCE_MAX; i++)
        if (self->places[i].call)
            pb_child_kill(self->places[i].child, &why);
    for (size_t i = 0; i < count; i++)
        not_begun[i].error = why;
}

void pb_kubectl_run_at_once(const pb_kubectl *kubectl, pb_kubectl_call *calls, size_t count)
{
    batch self = {.kubectl = kubectl};
    pb_kubectl waiting = *kubectl;
    size_t begun = 0;
    for (size_t i = 0; i < count; i++)
        calls[i].error = (pb_error){0};
    while (begun < count || self.running) {
        pb_error ignored = {0};
        if (waiting.cancelled && *waiting.cancelled) {
            cancel(&self, calls + begun, count - begun);
            begun = count;
            waiting.cancelled = NULL; /* what was killed is reaped */
        }
        while (begun < count && self.running < PB_AT_ONCE_MAX)
            begin(&self, &calls[begun++]);
        self.ended = false;
        if (self.running)
            pb_kubectl_rest_until(&waiting, LOOK_MS, &self.ended, &ignored);
    }
}

/* ---- scaling ---- */

typedef struct scale_call {
    pb_buffer patch;
    const char *arguments[8];
} scale_call;

static void make_call(const pb_scaling *scaling, bool is_old, scale_call *made)
{
    json_t *patch = json_pack("{s:{s:I}}", "spec", "replicas", (json_int_t)scaling->replicas);
    if (scaling->seen)
        json_object_set_new(
            patch, "metadata",
            json_pack("{s:O?, s:O?}", "uid", pb_object_at(scaling->seen, "metadata.uid"),
                      "resourceVersion", pb_object_at(scaling->seen, "metadata.resourceVersion")));
    *made = (scale_call){0};
    pb_json_append(&made->patch, patch);
    json_decref(patch);
    made->patch.data[made->patch.size - 1] = '\0'; /* its newline */
    const char *const arguments[] = {"patch",
                                     scaling->kind,
                                     scaling->name,
                                     "--type=merge",
                                     "--patch",
                                     made->patch.data,
                                     is_old ? NULL : "--subresource=scale",
                                     NULL};
    memcpy(made->arguments, arguments, sizeof arguments);
}

/* Those of the scalings that `again` names, once. */
static void scale_once(const pb_kubectl *kubectl, pb_scaling *scalings, const bool *again,
                       size_t count, bool is_old)
{
    scale_call *made = pb_allocate_zeroed(count, sizeof *made);
    pb_kubectl_call *calls = pb_allocate_zeroed(count, sizeof *calls);
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        if (!again[i])
            continue;
        make_call(&scalings[i], is_old, &made[wanted]);
        calls[wanted] = (pb_kubectl_call){.arguments = made[wanted].arguments};
        wanted++;
    }
    pb_kubectl_run_at_once(kubectl, calls, wanted);
    wanted = 0;
    for (size_t i = 0; i < count; i++) {
        pb_scaling *scaling = &scalings[i];
        if (!again[i])
            continue;
        scaling->error = calls[wanted].error;
        pb_buffer_free(&made[wanted++].patch);
        if (scaling->error.kind)
            pb_error_context(&scaling->error, "scaling %s %s to %llu", scaling->kind, scaling->name,
                             (unsigned long long)scaling->replicas);
        else
            pb_kubectl_tell(kubectl, "scaled %s %s to %llu", scaling->kind, scaling->name,
                            (unsigned long long)scaling->replicas);
    }
    free(calls);
    free(made);
}

static size_t find(const pb_scaling *scalings, size_t count, bool unknown_flag, bool *again)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const pb_error *error = &scalings[i].error;
        again[i] = unknown_flag ? strstr(error->message, "unknown flag: --subresource") != NULL
                                : error->kind == PB_ERROR_UNREACHABLE;
        found += again[i];
    }
    return found;
}

void pb_kubectl_scale(const pb_kubectl *kubectl, pb_scaling *scalings, size_t count)
{
    int64_t until_ms = pb_clock_monotonic_ms() + kubectl->patience_ms, pause_ms = PAUSE_FIRST_MS;
    bool is_old = kubectl->is_old && *kubectl->is_old;
    bool *again = pb_allocate_zeroed(count + 1, sizeof *again);
    pb_error cancelled = {0};
    for (size_t i = 0; i < count; i++) {
        scalings[i].error = (pb_error){0};
        again[i] = true;
    }
    scale_once(kubectl, scalings, again, count, is_old);
    if (!is_old && find(scalings, count, true, again)) {
        pb_log_line(kubectl->log, PB_LOG_WARNING,
                    "kubectl is older than 1.24: whole objects are patched to scale them, and not "
                    "their subresource scale");
        is_old = true;
        if (kubectl->is_old)
            *kubectl->is_old = true;
        scale_once(kubectl, scalings, again, count, is_old);
    }
    while (find(scalings, count, false, again) && pb_clock_monotonic_ms() + pause_ms <= until_ms) {
        if (pb_kubectl_rest(kubectl, pause_ms, &cancelled))
            break;
        pause_ms = pause_ms * 2 < PAUSE_MOST_MS ? pause_ms * 2 : PAUSE_MOST_MS;
        scale_once(kubectl, scalings, again, count, is_old);
    }
    free(again);
}

int pb_scalings_judge(const pb_scaling *scalings, size_t count, bool gone, pb_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const pb_error *wrong = &scalings[i].error;
        if (!wrong->kind || (gone && wrong->kind == PB_ERROR_NOT_FOUND))
            continue;
        *error = *wrong;
        return -1;
    }
    return 0;
}
