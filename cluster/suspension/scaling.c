#include "cluster/suspension/scaling.h"

#include "base/clock.h"
#include "cluster/kubernetes/object.h"
#include "cluster/pachyderm/writers.h"
#include <stdio.h>
#include <stdlib.h>

enum { HEARTBEAT_MS = 30 * 1000, POLL_MS = 500, PODS_NAMED_MAX = 5 };

#define WORKLOADS "deployments.apps,replicationcontrollers"

/* ---- waiting ---- */

typedef void (*teller)(void *context, const char *text);

/* Says once a second what is waited for, and since when. */
typedef struct patience {
    int64_t started_ms, told_ms, wait_ms;
    teller tell;
    void *context;
} patience;

static patience patience_of(int64_t wait_ms, teller tell, void *context)
{
    return (patience){.started_ms = pb_clock_monotonic_ms(),
                      .wait_ms = wait_ms,
                      .tell = tell,
                      .context = context};
}

static void tell(patience *self, const char *what)
{
    int64_t now_ms = pb_clock_monotonic_ms();
    if (!self->tell || now_ms - self->told_ms < 1000)
        return;
    char text[512];
    self->told_ms = now_ms;
    snprintf(text, sizeof text, "waiting for %s: %lld s", what,
             (long long)(now_ms - self->started_ms) / 1000);
    self->tell(self->context, text);
}

static bool is_over(const patience *self)
{
    return pb_clock_monotonic_ms() - self->started_ms >= self->wait_ms;
}

/* ---- writers that rise again ---- */

static int refuse_writer(pb_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse_writer(pb_error *error, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pb_error_set(error, PB_ERROR_FAILED,
                 "%s while the namespace was suspended: what was stored "
                 "meanwhile is not of one moment",
                 text);
    return pb_error_hint(error,
                         "something scales it up again (a GitOps controller, an operator, an "
                         "autoscaler): hold that back, and run again");
}

/* ---- pods ---- */

/* Whose a pod is: by its own labels, else by the selectors of the writers in the same list. */
static pb_writer writer_of_pod(const json_t *items, const json_t *pod)
{
    pb_writer writer = pb_writer_of_pod(pod);
    for (size_t i = 0; i < json_array_size(items) && writer == PB_WRITER_NONE; i++) {
        const json_t *object = json_array_get(items, i);
        pb_writer kind = pb_writer_of(object);
        if (kind != PB_WRITER_NONE && pb_writer_selects(object, pod))
            writer = kind;
    }
    return writer;
}

static bool is_of(pb_writer writer, pb_writer kind)
{
    return writer != PB_WRITER_NONE && (kind == PB_WRITER_NONE || writer == kind);
}

static bool is_pod_of(const json_t *items, const json_t *object, pb_writer kind)
{
    return strcmp(pb_object_kind(object), "Pod") == 0 && pb_pod_is_there(object) &&
           is_of(writer_of_pod(items, object), kind);
}

static bool is_unsettled(const json_t *object, pb_writer kind)
{
    return is_of(pb_writer_of(object), kind) && !pb_writer_is_settled(object);
}

/* Names the pods of a kind (or all writers', for NONE) that are there, and where none is the
 * workloads whose controller may still make some: their number. `items` has both. */
static size_t name_pods(const json_t *items, pb_writer kind, pb_buffer *names)
{
    size_t count = 0;
    pb_buffer_clear(names);
    for (int unsettled = 0; unsettled < 2 && !count; unsettled++)
        for (size_t i = 0; i < json_array_size(items); i++) {
            const json_t *object = json_array_get(items, i);
            if (unsettled ? !is_unsettled(object, kind) : !is_pod_of(items, object, kind))
                continue;
            if (count < PODS_NAMED_MAX)
                pb_buffer_append_format(names, "%s%s%s", count ? ", " : "",
                                        unsettled ? "those of " : "", pb_object_name(object));
            count++;
        }
    if (count > PODS_NAMED_MAX)
        pb_buffer_append_format(names, " and %zu more", count - PODS_NAMED_MAX);
    return count;
}

/* A writer of a kind (NONE: of any) that is not at 0, though it was scaled down; NULL: none. */
static const json_t *find_scaled_up(const json_t *items, pb_writer kind)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *object = json_array_get(items, i);
        if (is_of(pb_writer_of(object), kind) && pb_object_replicas(object))
            return object;
    }
    return NULL;
}

/* Waits until no pod of a kind is there; NONE: of no writer. *ret_items is the list that shows it,
 * the caller's. */
static int await_no_pods(const pb_kubectl *kubectl, pb_writer kind,
                         const pb_suspend_options *options, pb_suspension *suspension,
                         json_t **ret_items, pb_error *error)
{
    patience wait = patience_of(options->wait_ms, options->waiting, options->context);
    pb_buffer names = {0}, text = {0};
    int failed = 0;
    for (;;) {
        json_t *items;
        failed = pb_kubectl_list(kubectl, WORKLOADS ",pods", NULL, &items, error);
        if (failed)
            break;
        const json_t *risen = find_scaled_up(items, kind);
        if (risen) {
            failed =
                refuse_writer(error, "%s %s was scaled to %llu", pb_object_kind(risen),
                              pb_object_name(risen), (unsigned long long)pb_object_replicas(risen));
            json_decref(items);
            break;
        }
        size_t count = name_pods(items, kind, &names);
        if (!count) {
            *ret_items = items;
            break;
        }
        json_decref(items);
        pb_buffer_clear(&text);
        pb_buffer_append_format(&text, "%zu pod%s to go (%s)", count, count == 1 ? "" : "s",
                                names.data);
        tell(&wait, text.data);
        if (is_over(&wait)) {
            pb_error_set(error, PB_ERROR_FAILED, "pods did not go within %lld s: %s",
                         (long long)options->wait_ms / 1000, names.data);
            failed = pb_error_hint(error, "`kubectl describe pod` says what holds them: a "
                                          "finalizer, a node that is gone; --wait SECONDS gives "
                                          "them longer");
            break;
        }
        failed = pb_kubectl_rest(kubectl, POLL_MS, error);
        if (failed)
            break;
        if (pb_clock_utc_ms() - suspension->process.heartbeat_ms >= HEARTBEAT_MS) {
            pb_error lost = {0}; /* the next one comes soon */
            pb_suspension_beat(kubectl, suspension, &lost);
        }
    }
    pb_buffer_free(&names);
    pb_buffer_free(&text);
    return failed;
}

/* ---- scaling ---- */

static int scale(const pb_kubectl *kubectl, const char *kind, const char *name, uint64_t replicas,
                 pb_error *error)
{
    json_t *patch = json_pack("{s:{s:I}}", "spec", "replicas", (json_int_t)replicas);
    int failed = pb_kubectl_patch(kubectl, kind, name, patch, error);
    json_decref(patch);
    if (failed)
        pb_error_context(error, "scaling %s %s to %llu", kind, name, (unsigned long long)replicas);
    return failed;
}

static const json_t *find_object(const json_t *items, const char *kind, const char *name)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *object = json_array_get(items, i);
        if (strcmp(pb_object_kind(object), kind) == 0 && strcmp(pb_object_name(object), name) == 0)
            return object;
    }
    return NULL;
}

/* All of a kind that are not at 0 yet. One that is gone meanwhile is no loss. */
static int scale_down(const pb_kubectl *kubectl, const json_t *items, pb_writer kind,
                      pb_error *error)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *object = json_array_get(items, i);
        pb_error wrong = {0};
        if (pb_writer_of(object) != kind || pb_object_replicas(object) == 0)
            continue;
        if (scale(kubectl, pb_object_kind(object), pb_object_name(object), 0, &wrong) &&
            wrong.kind != PB_ERROR_NOT_FOUND) {
            *error = wrong;
            return -1;
        }
    }
    return 0;
}

/* ---- suspend ---- */

static int begin_record(const pb_kubectl *kubectl, const pb_suspend_options *options,
                        pb_suspension *suspension, pb_error *error)
{
    json_t *items;
    if (pb_kubectl_list(kubectl, WORKLOADS, NULL, &items, error))
        return -1;
    pb_writers_collect(items, PB_WRITER_PACHD, &suspension->workloads);
    if (!suspension->workloads.count) {
        json_decref(items);
        pb_error_set(error, PB_ERROR_NOT_FOUND,
                     "namespace %s has no Pachyderm: expected a Deployment with label app=pachd",
                     kubectl->name_space);
        return pb_error_hint(error, "name the namespace with --namespace");
    }
    pb_writers_collect(items, PB_WRITER_PACHW, &suspension->workloads);
    pb_writers_collect(items, PB_WRITER_WORKER, &suspension->workloads);
    json_decref(items);
    suspension->holder = pb_duplicate(pb_slice_of(options->holder));
    suspension->started_ms = pb_clock_utc_ms();
    pb_process_this(&suspension->process);
    if (options->recorded && options->recorded(options->context, suspension, error))
        return -1;
    json_t *object = pb_suspension_config_map(suspension);
    int failed = pb_kubectl_create(kubectl, object, error);
    json_decref(object);
    if (failed && error->kind == PB_ERROR_EXISTS) {
        pb_error_set(error, PB_ERROR_BUSY, "namespace %s is suspended already by pbcopy",
                     kubectl->name_space);
        pb_error_hint(error, "another backup may be under way; `pbcopy resume` undoes what one "
                             "that died has left");
    }
    return failed;
}

/* Workers that pachd has made since the record was begun belong to it as well. */
static int add_to_record(const pb_kubectl *kubectl, const json_t *items,
                         const pb_suspend_options *options, pb_suspension *suspension,
                         pb_error *error)
{
    size_t before = suspension->workloads.count;
    pb_writers_collect(items, PB_WRITER_PACHW, &suspension->workloads);
    pb_writers_collect(items, PB_WRITER_WORKER, &suspension->workloads);
    if (suspension->workloads.count == before)
        return 0;
    if (options->recorded && options->recorded(options->context, suspension, error))
        return -1;
    return pb_suspension_store(kubectl, suspension, error);
}

static json_t *generation_of(const json_t *object)
{
    return json_pack("[O?, O?]", pb_object_at(object, "metadata.uid"),
                     pb_object_at(object, "metadata.generation"));
}

static void generation_key(const json_t *object, char *ret_key, size_t size)
{
    snprintf(ret_key, size, "%s/%s", pb_object_kind(object), pb_object_name(object));
}

/* By what it is seen later that nothing was scaled: each change of a spec makes a new generation.
 */
static json_t *generations_of(const json_t *items)
{
    json_t *generations = json_object();
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *object = json_array_get(items, i);
        char key[600];
        if (pb_writer_of(object) == PB_WRITER_NONE)
            continue;
        generation_key(object, key, sizeof key);
        json_object_set_new(generations, key, generation_of(object));
    }
    return generations;
}

static int scale_all_down(const pb_kubectl *kubectl, const pb_suspend_options *options,
                          pb_suspension *suspension, pb_error *error)
{
    json_t *items;
    if (pb_kubectl_list(kubectl, WORKLOADS, NULL, &items, error))
        return -1;
    int failed = scale_down(kubectl, items, PB_WRITER_PACHD, error);
    json_decref(items);
    if (failed || await_no_pods(kubectl, PB_WRITER_PACHD, options, suspension, &items, error))
        return -1;
    failed = add_to_record(kubectl, items, options, suspension, error) ||
             scale_down(kubectl, items, PB_WRITER_PACHW, error) ||
             scale_down(kubectl, items, PB_WRITER_WORKER, error);
    json_decref(items);
    if (failed || await_no_pods(kubectl, PB_WRITER_NONE, options, suspension, &items, error))
        return -1;
    suspension->generations = generations_of(items);
    json_decref(items);
    return 0;
}

int pb_suspend(const pb_kubectl *kubectl, const pb_suspend_options *options,
               pb_suspension *ret_suspension, pb_error *error)
{
    pb_suspension suspension = {0};
    *ret_suspension = suspension;
    if (begin_record(kubectl, options, &suspension, error)) {
        pb_suspension_free(&suspension);
        return -1;
    }
    int failed = scale_all_down(kubectl, options, &suspension, error);
    *ret_suspension = suspension;
    return failed;
}

/* ---- looking again ---- */

int pb_suspension_check(const pb_kubectl *kubectl, const pb_suspension *suspension, pb_error *error)
{
    json_t *items;
    int failed = 0;
    if (pb_kubectl_list(kubectl, WORKLOADS ",pods", NULL, &items, error))
        return -1;
    for (size_t i = 0; i < json_array_size(items) && !failed; i++) {
        const json_t *object = json_array_get(items, i);
        char key[600];
        if (pb_writer_of(object) == PB_WRITER_NONE)
            continue;
        generation_key(object, key, sizeof key);
        json_t *now = generation_of(object);
        const json_t *before = json_object_get(suspension->generations, key);
        if (!before)
            failed = refuse_writer(error, "%s appeared", key);
        else if (!json_equal(before, now) || pb_object_replicas(object))
            failed = refuse_writer(error, "%s was changed (it has %llu replicas)", key,
                                   (unsigned long long)pb_object_replicas(object));
        json_decref(now);
    }
    pb_buffer names = {0};
    if (!failed && name_pods(items, PB_WRITER_NONE, &names))
        failed = refuse_writer(error, "pods of writers appeared (%s)", names.data);
    json_decref(items);
    pb_buffer_free(&names);
    return failed;
}

/* ---- resume ---- */

static void say(teller told, void *context, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(teller told, void *context, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (told)
        told(context, text);
}

static int scale_up(const pb_kubectl *kubectl, const json_t *items, const pb_workload *workload,
                    teller told, void *context, pb_error *error)
{
    const json_t *object = find_object(items, workload->kind, workload->name);
    pb_error wrong = {0};
    if (!object) {
        say(told, context, "%s %s is gone: left to pachd", workload->kind, workload->name);
        return 0;
    }
    uint64_t replicas = pb_object_replicas(object);
    if (replicas == workload->replicas)
        return 0;
    if (replicas) {
        say(told, context, "%s %s has %llu replicas by now, not %llu: left alone", workload->kind,
            workload->name, (unsigned long long)replicas, (unsigned long long)workload->replicas);
        return 0;
    }
    if (!scale(kubectl, workload->kind, workload->name, workload->replicas, &wrong) ||
        wrong.kind == PB_ERROR_NOT_FOUND) /* pachd, which lives again, has removed it */
        return 0;
    *error = wrong;
    return -1;
}

/* Another run's record holds what it will need: it is not taken from it. One that cannot be read
 * holds nothing. */
static int refuse_another(const pb_kubectl *kubectl, const json_t *items,
                          const pb_suspension *suspension, pb_error *error)
{
    const json_t *record = find_object(items, "ConfigMap", PB_SUSPENSION_CONFIG_MAP);
    pb_suspension found = {0};
    if (!record || pb_suspension_of_config_map(record, &found, NULL))
        return 0;
    bool same = strcmp(found.holder, suspension->holder) == 0 &&
                found.started_ms == suspension->started_ms &&
                found.process.pid == suspension->process.pid;
    int failed = 0;
    if (!same)
        failed = pb_error_set(error, PB_ERROR_BUSY,
                              "namespace %s is suspended for another by now: %s, on %s",
                              kubectl->name_space, found.holder, found.process.host);
    pb_suspension_free(&found);
    return failed;
}

int pb_resume(const pb_kubectl *kubectl, const pb_suspension *suspension,
              void (*told)(void *context, const char *text), void *context, pb_error *error)
{
    const char *const forget[] = {"delete", "configmap", PB_SUSPENSION_CONFIG_MAP,
                                  "--ignore-not-found", NULL};
    const pb_workloads *workloads = &suspension->workloads;
    json_t *items;
    if (pb_kubectl_list(kubectl, WORKLOADS ",configmaps", NULL, &items, error))
        return -1;
    int failed = refuse_another(kubectl, items, suspension, error);
    for (size_t i = 0; i < workloads->count && !failed; i++)
        failed = scale_up(kubectl, items, &workloads->items[i], told, context, error);
    json_decref(items);
    if (failed)
        return -1;
    return pb_kubectl_run(kubectl, forget, (pb_slice){NULL, 0}, NULL, error);
}

/* ---- readiness ---- */

static uint64_t ready_replicas(const json_t *object)
{
    json_int_t ready = json_integer_value(pb_object_at(object, "status.readyReplicas"));
    return ready > 0 ? (uint64_t)ready : 0;
}

/* Names the workloads that are not ready: their number. */
static size_t name_unready(const json_t *items, const pb_workloads *workloads, pb_buffer *names)
{
    size_t count = 0;
    pb_buffer_clear(names);
    for (size_t i = 0; i < workloads->count; i++) {
        const pb_workload *workload = &workloads->items[i];
        const json_t *object = find_object(items, workload->kind, workload->name);
        uint64_t ready = object ? ready_replicas(object) : 0;
        if (ready >= workload->replicas)
            continue;
        if (count < PODS_NAMED_MAX)
            pb_buffer_append_format(names, "%s%s %s (%llu of %llu ready)", count ? ", " : "",
                                    workload->kind, workload->name, (unsigned long long)ready,
                                    (unsigned long long)workload->replicas);
        count++;
    }
    return count;
}

int pb_wait_ready(const pb_kubectl *kubectl, const pb_workloads *workloads, int64_t wait_ms,
                  void (*waiting)(void *context, const char *text), void *context, pb_error *error)
{
    patience wait = patience_of(wait_ms, waiting, context);
    pb_buffer names = {0};
    int failed = 0;
    for (;;) {
        json_t *items;
        failed = pb_kubectl_list(kubectl, WORKLOADS ",statefulsets.apps", NULL, &items, error);
        if (failed)
            break;
        size_t unready = name_unready(items, workloads, &names);
        json_decref(items);
        if (!unready)
            break;
        tell(&wait, names.data);
        if (is_over(&wait)) {
            failed = pb_error_set(error, PB_ERROR_FAILED, "not ready after %lld s: %s",
                                  (long long)wait_ms / 1000, names.data);
            break;
        }
        failed = pb_kubectl_rest(kubectl, POLL_MS, error);
        if (failed)
            break;
    }
    pb_buffer_free(&names);
    return failed;
}
