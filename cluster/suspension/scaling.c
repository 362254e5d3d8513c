#include "cluster/suspension/scaling.h"

#include "base/clock.h"
#include "cluster/kubernetes/at_once.h"
#include "cluster/kubernetes/object.h"
#include "cluster/kubernetes/watch.h"
#include "cluster/pachyderm/layout.h"
#include "cluster/pachyderm/writers.h"
#include "cluster/suspension/grace.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    PAUSE_FIRST_MS = 500,
    PAUSE_MOST_MS = 4 * 1000,
    PODS_NAMED_MAX = 5,
    /* A request that was under way when its kubectl was killed arrives by then. */
    LATE_MS = 2 * 1000,
    SETTLE_MS = 2 * 60 * 1000, /* for controllers to see the counts */
};

#define WORKLOADS "deployments.apps,replicationcontrollers"

typedef void (*teller)(void *context, const char *text);

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

typedef struct leaving {
    const pb_kubectl *kubectl;
    pb_writer kind;
    const pb_suspend_options *options;
    const pb_suspension *suspension;
    pb_buffer names; /* of pods that are there */
    json_t *hurried; /* by uid */
} leaving;

static int shorten_grace(leaving *self, const json_t *items, pb_error *error)
{
    json_t *pods = json_array();
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *object = json_array_get(items, i);
        if (is_pod_of(items, object, self->kind))
            json_array_append(pods, object);
    }
    int failed =
        pb_grace_shorten(self->kubectl, pods, self->options->grace_s, self->hurried, error);
    json_decref(pods);
    return failed;
}

static int judge_pods(void *context, const json_t *items, pb_buffer *what, pb_error *error)
{
    leaving *self = context;
    const json_t *risen = find_scaled_up(items, self->kind);
    if (pb_suspension_is_lost(self->suspension, error))
        return -1;
    if (risen)
        return refuse_writer(error, "%s %s was scaled to %llu", pb_object_kind(risen),
                             pb_object_name(risen), (unsigned long long)pb_object_replicas(risen));
    if (self->options->grace_s && shorten_grace(self, items, error))
        return -1;
    size_t count = name_pods(items, self->kind, &self->names);
    if (!count)
        return 1;
    pb_buffer_append_format(what, "%zu pod%s to go (%s)", count, count == 1 ? "" : "s",
                            self->names.data);
    return 0;
}

/* Waits until no pod of a kind is there; NONE: of no writer. The watch's list shows it. */
static int await_no_pods(pb_watch *watch, const pb_kubectl *kubectl, pb_writer kind,
                         const pb_suspend_options *options, const pb_suspension *suspension,
                         pb_error *error)
{
    leaving self = {.kubectl = kubectl,
                    .kind = kind,
                    .options = options,
                    .suspension = suspension,
                    .hurried = json_object()};
    const pb_awaited awaited = {.wait_ms = options->wait_ms,
                                .judge = judge_pods,
                                .waiting = options->waiting,
                                .caller = options->context,
                                .context = &self};
    pb_buffer what = {0};
    int ended = pb_watch_until(watch, &awaited, &what, error);
    if (!ended) {
        pb_error_set(error, PB_ERROR_FAILED, "pods did not go within %lld s: %s",
                     (long long)options->wait_ms / 1000, self.names.data);
        pb_error_hint(error, "`kubectl describe pod` says what holds them: a finalizer, a node "
                             "that is gone; --wait SECONDS gives them longer");
    }
    pb_buffer_free(&what);
    pb_buffer_free(&self.names);
    json_decref(self.hurried);
    return ended == 1 ? 0 : -1;
}

/* ---- scaling ---- */

/* What is to be scaled at once. */
typedef struct scalings {
    pb_scaling *items;
    size_t count;
} scalings;

static void add_scaling(scalings *all, const json_t *seen, uint64_t replicas)
{
    all->items = pb_reallocate(all->items, (all->count + 1) * sizeof *all->items);
    all->items[all->count++] = (pb_scaling){.kind = pb_object_kind(seen),
                                            .name = pb_object_name(seen),
                                            .replicas = replicas,
                                            .seen = seen};
}

/* Scales what a list has shown, unless it was changed since: UNREACHABLE, and the caller lists
 * again. One that is gone meanwhile is no loss. */
static int scale(const pb_kubectl *kubectl, scalings *all, pb_error *error)
{
    pb_kubectl once = *kubectl;
    once.patience_ms = 0;
    pb_kubectl_scale(&once, all->items, all->count);
    int failed = pb_scalings_judge(all->items, all->count, true, error);
    free(all->items);
    *all = (scalings){0};
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

/* pachd, or all that it scales, where they are not at 0 yet. */
static int scale_down_listed(const pb_kubectl *kubectl, const json_t *items, bool pachd,
                             pb_suspension *suspension, pb_error *error)
{
    scalings all = {0};
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *object = json_array_get(items, i);
        pb_writer writer = pb_writer_of(object);
        if (writer != PB_WRITER_NONE && (writer == PB_WRITER_PACHD) == pachd &&
            pb_object_replicas(object))
            add_scaling(&all, object, 0);
    }
    int64_t before_ms = suspension->scaled_ms;
    bool is_one = all.count == 1;
    if (!before_ms) /* also where all are at 0 */
        suspension->scaled_ms = pb_clock_utc_ms();
    int failed = scale(kubectl, &all, error);
    if (failed && is_one && error->kind == PB_ERROR_REFUSED) /* any other may have arrived */
        suspension->scaled_ms = before_ms;
    return failed;
}

static int refuse_no_pachyderm(const pb_kubectl *kubectl, pb_error *error)
{
    pb_error_set(
        error, PB_ERROR_NOT_FOUND,
        "namespace %s has no Pachyderm: expected a Deployment with label " PB_PACHD_SELECTOR,
        kubectl->name_space);
    return pb_error_hint(error, "name the namespace with --namespace");
}

/* The counts by a list, into the record. A workload that appeared since belongs to it as well. */
static int record_counts(const pb_kubectl *kubectl, const json_t *items,
                         const pb_suspend_options *options, pb_suspension *suspension,
                         pb_error *error)
{
    pb_workloads counts = {0};
    pb_workloads_append(&counts, &suspension->workloads);
    bool changed = pb_writers_collect(items, PB_WRITER_PACHD, &counts);
    int failed = counts.count ? 0 : refuse_no_pachyderm(kubectl, error);
    changed |= pb_writers_collect(items, PB_WRITER_PACHW, &counts);
    changed |= pb_writers_collect(items, PB_WRITER_WORKER, &counts);
    /* Written though nothing changed: whoever scales must hold the record. */
    if (!failed)
        failed = pb_suspension_store(kubectl, suspension, &counts,
                                     changed ? options->recorded : NULL, options->context, error);
    pb_workloads_free(&counts);
    return failed;
}

/* Records and scales what is listed, and lists again until what was scaled is what was listed. */
static int scale_down(pb_watch *watch, const pb_kubectl *kubectl, bool pachd,
                      const pb_suspend_options *options, pb_suspension *suspension, pb_error *error)
{
    int64_t until_ms = pb_clock_monotonic_ms() + kubectl->patience_ms;
    for (;;) {
        pb_error wrong = {0};
        if (record_counts(kubectl, pb_watch_items(watch), options, suspension, error))
            return -1;
        if (!scale_down_listed(kubectl, pb_watch_items(watch), pachd, suspension, &wrong))
            return 0;
        if (wrong.kind != PB_ERROR_UNREACHABLE || pb_clock_monotonic_ms() > until_ms) {
            *error = wrong;
            return -1;
        }
        if (pb_kubectl_rest(kubectl, PAUSE_FIRST_MS, error) || pb_watch_list(watch, error))
            return -1;
    }
}

/* ---- suspend ---- */

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

/* The list that shows that pachd is gone is the one that the others are scaled by. */
static int scale_all_down(const pb_kubectl *kubectl, const pb_suspend_options *options,
                          pb_suspension *suspension, pb_error *error)
{
    pb_watch *watch = pb_watch_open(kubectl, WORKLOADS ",pods", NULL);
    int failed = pb_watch_list(watch, error) ||
                 scale_down(watch, kubectl, true, options, suspension, error) ||
                 await_no_pods(watch, kubectl, PB_WRITER_PACHD, options, suspension, error) ||
                 scale_down(watch, kubectl, false, options, suspension, error) ||
                 await_no_pods(watch, kubectl, PB_WRITER_NONE, options, suspension, error);
    if (!failed)
        suspension->generations = generations_of(pb_watch_items(watch));
    pb_watch_close(watch);
    return failed ? -1 : 0;
}

int pb_suspend(const pb_kubectl *kubectl, const pb_suspend_options *options,
               pb_suspension *ret_suspension, pb_error *error)
{
    *ret_suspension = (pb_suspension){
        .holder = pb_duplicate(pb_slice_of(options->holder)),
        .started_ms = pb_clock_utc_ms(),
    };
    if (!pb_suspension_take(kubectl, ret_suspension, error))
        /* Nobody renews a record that stands, so nobody has seen meanwhile that it is gone. */
        return scale_all_down(kubectl, options, ret_suspension, error) ||
                       (!ret_suspension->lease &&
                        pb_suspension_store(kubectl, ret_suspension, NULL, NULL, NULL, error))
                   ? -1
                   : 0;
    if (error->kind == PB_ERROR_BUSY || !ret_suspension->token[0])
        pb_suspension_free(ret_suspension); /* another's, or not even asked for */
    return -1;
}

int pb_suspend_further(const pb_kubectl *kubectl, const pb_suspend_options *options,
                       pb_suspension *suspension, pb_error *error)
{
    bool there;
    if (pb_suspension_claim(kubectl, suspension, &there, error))
        return -1;
    if (!there) {
        pb_suspension_free(suspension);
        return pb_suspend(kubectl, options, suspension, error);
    }
    return pb_suspension_rename(kubectl, suspension, options->holder, error) ||
                   scale_all_down(kubectl, options, suspension, error)
               ? -1
               : 0;
}

/* ---- looking again ---- */

int pb_suspension_check(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error)
{
    json_t *items;
    int failed = 0;
    if (pb_suspension_is_lost(suspension, error) ||
        pb_kubectl_list(kubectl, WORKLOADS ",pods", NULL, &items, error))
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
    json_decref(suspension->listed);
    suspension->listed = items;
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

/* What is left of a resume, by one list. */
typedef struct progress {
    size_t scaled;    /* that were at 0 and are not any more */
    size_t unsettled; /* whose controllers have not seen their count */
} progress;

/* pachd, or the others, where they are at 0. */
static int scale_up(const pb_kubectl *kubectl, const json_t *items, const pb_workloads *workloads,
                    bool pachd, progress *made, pb_error *error)
{
    scalings all = {0};
    for (size_t i = 0; i < workloads->count; i++) {
        const pb_workload *workload = &workloads->items[i];
        const json_t *object = find_object(items, workload->kind, workload->name);
        if (!object || (pb_writer_of(object) == PB_WRITER_PACHD) != pachd)
            continue; /* pachd, which lives again, may have removed it */
        if (pb_object_replicas(object) || !workload->replicas)
            made->unsettled += !pb_writer_is_seen(object);
        else
            add_scaling(&all, object, workload->replicas);
    }
    made->scaled += all.count;
    return scale(kubectl, &all, error);
}

/* Once: what is left alone. */
static void say_left_alone(const json_t *items, const pb_workloads *workloads, teller told,
                           void *context)
{
    for (size_t i = 0; i < workloads->count; i++) {
        const pb_workload *workload = &workloads->items[i];
        const json_t *object = find_object(items, workload->kind, workload->name);
        uint64_t replicas = object ? pb_object_replicas(object) : 0;
        if (!object)
            say(told, context, "%s %s is gone: left to pachd", workload->kind, workload->name);
        else if (replicas && replicas != workload->replicas)
            say(told, context, "%s %s has %llu replicas by now, not %llu: left alone",
                workload->kind, workload->name, (unsigned long long)replicas,
                (unsigned long long)workload->replicas);
    }
}

/* One list, and what follows from it: the caller's, else (NULL) a new one. */
static int bring_back(const pb_kubectl *kubectl, const pb_workloads *workloads,
                      const json_t *listed, bool first, teller told, void *context,
                      progress *ret_made, pb_error *error)
{
    json_t *items = NULL;
    *ret_made = (progress){0};
    if (!listed && pb_kubectl_list(kubectl, WORKLOADS, NULL, &items, error))
        return -1;
    if (first)
        say_left_alone(items, workloads, told, context);
    int failed = scale_up(kubectl, items ? items : listed, workloads, true, ret_made, error) ||
                 scale_up(kubectl, items ? items : listed, workloads, false, ret_made, error);
    json_decref(items);
    return failed;
}

/* Until two lists, two seconds apart, show nothing left to do. What pb_suspension_check has listed
 * a moment ago is good to begin with, as each scaling is conditional on it, but is none of the two.
 */
static int bring_all_back(const pb_kubectl *kubectl, pb_suspension *suspension, teller told,
                          void *context, pb_error *error)
{
    int64_t begun_ms = pb_clock_monotonic_ms(), pause_ms = PAUSE_FIRST_MS;
    json_t *listed = suspension->listed;
    suspension->listed = NULL;
    for (bool first = true, quiet = false;;) {
        progress made;
        pb_error wrong = {0};
        if (pb_suspension_is_lost(suspension, error))
            break;
        int failed = bring_back(kubectl, &suspension->workloads, listed, first && !listed, told,
                                context, &made, &wrong);
        if (failed && (wrong.kind != PB_ERROR_UNREACHABLE ||
                       pb_clock_monotonic_ms() > begun_ms + kubectl->patience_ms)) {
            *error = wrong;
            break;
        }
        bool done = !failed && !listed && !made.scaled && !made.unsettled;
        if (!failed && !suspension->resumed_ms)
            suspension->resumed_ms = pb_clock_utc_ms();
        if (done && quiet)
            return 0;
        quiet = done;
        first = first && listed;
        json_decref(listed);
        listed = NULL;
        if (!failed && !done && pb_clock_monotonic_ms() > begun_ms + SETTLE_MS)
            return pb_error_set(error, PB_ERROR_FAILED,
                                "%zu workloads were scaled down again, and the controllers of %zu "
                                "have not seen their counts, within %d s",
                                made.scaled, made.unsettled, SETTLE_MS / 1000);
        if (pb_kubectl_rest(kubectl, done ? LATE_MS : pause_ms, error))
            return -1;
        pause_ms = pause_ms * 2 < PAUSE_MOST_MS ? pause_ms * 2 : PAUSE_MOST_MS;
    }
    json_decref(listed);
    return -1;
}

int pb_resume(const pb_kubectl *kubectl, pb_suspension *suspension,
              void (*told)(void *context, const char *text), void *context, pb_error *error)
{
    bool there;
    if (pb_suspension_claim(kubectl, suspension, &there, error) ||
        bring_all_back(kubectl, suspension, told, context, error))
        return -1;
    return there ? pb_suspension_forget(kubectl, suspension, error) : 0;
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

static int judge_ready(void *context, const json_t *items, pb_buffer *what, pb_error *error)
{
    (void)error;
    return name_unready(items, context, what) ? 0 : 1;
}

int pb_wait_ready(const pb_kubectl *kubectl, const pb_workloads *workloads, int64_t wait_ms,
                  void (*waiting)(void *context, const char *text), void *context, pb_error *error)
{
    const pb_awaited awaited = {.wait_ms = wait_ms,
                                .judge = judge_ready,
                                .context = (void *)(uintptr_t)workloads,
                                .waiting = waiting,
                                .caller = context};
    pb_watch *watch = pb_watch_open(kubectl, WORKLOADS ",statefulsets.apps", NULL);
    pb_buffer what = {0};
    int ended = pb_watch_until(watch, &awaited, &what, error);
    if (!ended)
        pb_error_set(error, PB_ERROR_FAILED, "not ready after %lld s: %s",
                     (long long)wait_ms / 1000, what.data);
    pb_watch_close(watch);
    pb_buffer_free(&what);
    return ended == 1 ? 0 : -1;
}
