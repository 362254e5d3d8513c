#include "cluster/suspension/lease.h"

#include "base/clock.h"
#include "cluster/kubernetes/object.h"
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RENEW_MS = 30 * 1000,
    LOST_MS = 150 * 1000, /* without a renewal the holder stops, before others take it for dead */
    DEAD_MS = 180 * 1000,
    LOOK_US = 50 * 1000,
    STOPPED_MS = 2 * 1000, /* between two looks: the process was stopped, and others may act */
    PAUSE_MS = 500,
};

/* kubectl would first get the API server's description of all kinds, and read it: as long again as
 * the call takes. What a ConfigMap is, is known. */
#define NO_VALIDATION "--validate=false"

typedef struct pb_suspension_lease {
    pb_suspension *suspension; /* what the record says is written under the lock */
    pb_kubectl kubectl;        /* the thread's, with a loop of its own */
    pthread_t thread;
    pthread_mutex_t lock;
    atomic_bool stop, lost;
    pb_error why;               /* it was lost; written before `lost` */
    _Atomic int64_t renewed_ms; /* by CLOCK_BOOTTIME */
} pb_suspension_lease;

/* ---- time ---- */

/* The API server's: that of an object which it would make. */
static int server_time(const pb_kubectl *kubectl, int64_t *ret_utc_ms, pb_error *error)
{
    const char *const arguments[] = {"create", "--filename=-", "--dry-run=server", NO_VALIDATION,
                                     NULL};
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "ConfigMap",
                               "metadata", "name", "pbcopy-clock");
    json_t *made;
    int failed = pb_kubectl_send(kubectl, arguments, object, &made, error);
    json_decref(object);
    if (failed)
        return pb_error_context(error, "asking the API server for the time");
    const char *time = pb_object_text(made, "metadata.creationTimestamp");
    if (!pb_time_parse_rfc3339(pb_slice_of(time), ret_utc_ms))
        failed =
            pb_error_set(error, PB_ERROR_FAILED, "the API server does not say what time it is");
    json_decref(made);
    return failed;
}

/* ---- the record in the namespace ---- */

int pb_suspension_find(const pb_kubectl *kubectl, pb_suspension *ret_suspension, pb_error *error)
{
    const char *const arguments[] = {"get", "configmap", PB_SUSPENSION_CONFIG_MAP, NULL};
    json_t *object;
    if (pb_kubectl_json(kubectl, arguments, (pb_slice){NULL, 0}, &object, error))
        return -1;
    int failed = pb_suspension_of_config_map(object, ret_suspension, error);
    json_decref(object);
    return failed;
}

int pb_suspension_is_alive(const pb_kubectl *kubectl, const pb_suspension *suspension,
                           bool *ret_alive, pb_error *error)
{
    int64_t now_ms;
    *ret_alive = false;
    if (pb_process_is_gone(&suspension->process))
        return 0;
    if (server_time(kubectl, &now_ms, error))
        return -1;
    *ret_alive = now_ms - suspension->process.heartbeat_ms < DEAD_MS;
    return 0;
}

static int refuse(const pb_kubectl *kubectl, const pb_suspension *found, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_BUSY,
                        "namespace %s is suspended for another by now: %s, on %s",
                        kubectl->name_space, found->holder, found->process.host);
}

/* Sees what is there now: 1 where it is this suspension's record, 0 where there is none or it is
 * another's (*error says so, as BUSY); -1. */
static int see_again(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error)
{
    pb_suspension found;
    pb_error wrong = {0};
    if (pb_suspension_find(kubectl, &found, &wrong)) {
        if (wrong.kind != PB_ERROR_NOT_FOUND) {
            *error = wrong;
            return -1;
        }
        pb_error_set(error, PB_ERROR_BUSY, "the record of the suspension of namespace %s is gone",
                     kubectl->name_space);
        return 0;
    }
    bool same = pb_suspension_is_same(&found, suspension) ||
                (suspension->claims && strcmp(found.token, suspension->former_token) == 0 &&
                 strcmp(found.holder, suspension->holder) == 0 &&
                 found.started_ms == suspension->started_ms);
    if (same) {
        free(suspension->uid);
        free(suspension->resource_version);
        suspension->uid = found.uid;
        suspension->resource_version = found.resource_version;
        found.uid = found.resource_version = NULL;
    } else {
        refuse(kubectl, &found, error);
    }
    pb_suspension_record_free(&found);
    return same;
}

/* Writes the record over the one that was last seen. A conflict, or an answer that was lost, may
 * be of an earlier write of this very process: then it is seen again, and written again. */
static int replace(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error)
{
    const char *const arguments[] = {"replace", "--filename=-", NO_VALIDATION, NULL};
    pb_kubectl once = *kubectl;
    int64_t until_ms = pb_clock_monotonic_ms() + kubectl->patience_ms;
    once.patience_ms = 0;
    for (;;) {
        json_t *object = pb_suspension_config_map(suspension), *written;
        pb_error wrong = {0};
        int failed = pb_kubectl_send(&once, arguments, object, &written, &wrong);
        json_decref(object);
        if (!failed) {
            pb_suspension_seen(suspension, written);
            json_decref(written);
            return 0;
        }
        int again = 0;
        if (wrong.kind == PB_ERROR_UNREACHABLE || wrong.kind == PB_ERROR_NOT_FOUND)
            again = see_again(&once, suspension, &wrong);
        if ((again < 0 && wrong.kind != PB_ERROR_UNREACHABLE) || again == 0 ||
            pb_clock_monotonic_ms() > until_ms) {
            *error = wrong;
            return -1;
        }
        if (pb_kubectl_rest(kubectl, PAUSE_MS, error))
            return -1;
        int64_t now_ms; /* a record must not be written that is old already */
        pb_error ignored = {0};
        if (!server_time(&once, &now_ms, &ignored))
            suspension->process.heartbeat_ms = now_ms;
    }
}

/* ---- renewing ---- */

static void lose(pb_suspension_lease *lease, const pb_error *why)
{
    lease->why = *why;
    lease->lost = true;
}

static void renew(pb_suspension_lease *lease)
{
    int64_t begun_ms = pb_clock_boottime_ms(), now_ms;
    pb_error wrong = {0};
    if (server_time(&lease->kubectl, &now_ms, &wrong) == 0) {
        pthread_mutex_lock(&lease->lock);
        lease->suspension->process.heartbeat_ms = now_ms;
        int failed = replace(&lease->kubectl, lease->suspension, &wrong);
        pthread_mutex_unlock(&lease->lock);
        if (!failed)
            lease->renewed_ms = begun_ms;
    }
    if (wrong.kind == PB_ERROR_BUSY)
        lose(lease, &wrong);
}

static bool is_old(const pb_suspension_lease *lease)
{
    return pb_clock_boottime_ms() - lease->renewed_ms >= LOST_MS;
}

static void *work(void *context)
{
    pb_suspension_lease *lease = context;
    uv_loop_t loop;
    uv_loop_init(&loop);
    lease->kubectl.loop = &loop;
    int64_t tried_ms = lease->renewed_ms, looked_ms = pb_clock_boottime_ms();
    while (!lease->stop && !lease->lost) {
        int64_t now_ms = pb_clock_boottime_ms();
        bool was_stopped = now_ms - looked_ms >= STOPPED_MS;
        looked_ms = now_ms;
        if (was_stopped || now_ms - tried_ms >= RENEW_MS) {
            tried_ms = now_ms;
            renew(lease);
            looked_ms = pb_clock_boottime_ms();
        }
        usleep(LOOK_US);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop))
        abort(); /* a handle was left open: a bug */
    return NULL;
}

/* `renewed_ms`: by CLOCK_BOOTTIME, no later than the heartbeat in the record. */
static void start(const pb_kubectl *kubectl, pb_suspension *suspension, int64_t renewed_ms)
{
    pb_suspension_lease *lease = pb_allocate_zeroed(1, sizeof *lease);
    lease->suspension = suspension;
    lease->kubectl = *kubectl;
    lease->kubectl.patience_ms = 0; /* the next one comes soon */
    lease->kubectl.cancelled = &lease->stop;
    lease->kubectl.changed = NULL;
    lease->renewed_ms = renewed_ms;
    pthread_mutex_init(&lease->lock, NULL);
    suspension->lease = lease;
    if (pthread_create(&lease->thread, NULL, work, lease))
        abort();
}

static void stop(pb_suspension *suspension)
{
    pb_suspension_lease *lease = suspension->lease;
    if (!lease)
        return;
    suspension->lease = NULL;
    lease->stop = true;
    pthread_join(lease->thread, NULL);
    pthread_mutex_destroy(&lease->lock);
    free(lease);
}

bool pb_suspension_is_lost(const pb_suspension *suspension, pb_error *error)
{
    const pb_suspension_lease *lease = suspension->lease;
    if (!lease || (!lease->lost && !is_old(lease)))
        return false;
    if (error && lease->lost)
        *error = lease->why;
    else if (error)
        pb_error_set(error, PB_ERROR_BUSY,
                     "the record of the suspension could not be renewed for %d s: another run may "
                     "have taken the namespace over",
                     LOST_MS / 1000);
    return true;
}

void pb_suspension_free(pb_suspension *suspension)
{
    stop(suspension);
    pb_suspension_record_free(suspension);
}

/* ---- the life of a record ---- */

int pb_suspension_take(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error)
{
    int64_t begun_ms = pb_clock_boottime_ms();
    pb_error wrong = {0}, gone = {0};
    if (server_time(kubectl, &suspension->process.heartbeat_ms, error))
        return -1;
    pb_suspension_own(suspension);
    json_t *object = pb_suspension_config_map(suspension);
    int failed = pb_kubectl_create(kubectl, object, &wrong);
    json_decref(object);
    if (failed && wrong.kind != PB_ERROR_EXISTS) {
        *error = wrong;
        return -1;
    }
    /* Also where it exists: an answer that was lost may have been that of this very call. */
    int seen = see_again(kubectl, suspension, &gone);
    if (seen > 0) {
        if (!pb_suspension_stands(suspension))
            start(kubectl, suspension, begun_ms);
        return 0;
    }
    *error = gone;
    if (seen || !failed)
        return -1;
    pb_error_set(error, PB_ERROR_BUSY, "namespace %s is suspended already by pbcopy",
                 kubectl->name_space);
    return pb_error_hint(error, "another backup may be under way; `pbcopy resume` undoes what one "
                                "that died has left");
}

/* Makes the record that was found this process's own. */
static int claim_found(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error)
{
    int64_t begun_ms = pb_clock_boottime_ms();
    if (server_time(kubectl, &suspension->process.heartbeat_ms, error))
        return -1;
    memcpy(suspension->former_token, suspension->token, sizeof suspension->token);
    suspension->claims = true;
    pb_suspension_own(suspension);
    int failed = replace(kubectl, suspension, error);
    suspension->claims = false;
    if (failed) { /* so that it can be claimed again */
        memcpy(suspension->token, suspension->former_token, sizeof suspension->token);
        return -1;
    }
    pb_kubectl_tell(kubectl, "claimed ConfigMap " PB_SUSPENSION_CONFIG_MAP);
    start(kubectl, suspension, begun_ms);
    return 0;
}

int pb_suspension_claim(const pb_kubectl *kubectl, pb_suspension *suspension, bool *ret_there,
                        pb_error *error)
{
    pb_suspension found = {0};
    pb_error wrong = {0};
    *ret_there = false;
    if (suspension->lease) { /* it was this process's at the last renewal; is it still? */
        *ret_there = true;
        if (!pb_suspension_store(kubectl, suspension, NULL, NULL, NULL, &wrong))
            return 0;
        if (wrong.kind != PB_ERROR_BUSY) {
            *error = wrong;
            return -1;
        }
        *ret_there = false;
        stop(suspension);
    }
    wrong = (pb_error){0};
    if (pb_suspension_find(kubectl, &found, &wrong)) {
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return 0;
        *error = wrong;
        return -1;
    }
    int failed = 0;
    if (!pb_suspension_is_same(&found, suspension)) {
        failed = refuse(kubectl, &found, error);
    } else {
        found.scaled_ms = suspension->scaled_ms;
        found.resumed_ms = suspension->resumed_ms;
        pb_suspension_record_free(suspension); /* it may be an older one, of an intent */
        *suspension = found;
        found = (pb_suspension){0};
        failed = claim_found(kubectl, suspension, error);
        *ret_there = !failed;
    }
    pb_suspension_record_free(&found);
    return failed;
}

int pb_suspension_store(const pb_kubectl *kubectl, pb_suspension *suspension,
                        pb_workloads *workloads,
                        int (*recorded)(void *context, const pb_suspension *suspension,
                                        pb_error *error),
                        void *context, pb_error *error)
{
    pb_suspension_lease *lease = suspension->lease;
    if (pb_suspension_is_lost(suspension, error))
        return -1;
    if (lease)
        pthread_mutex_lock(&lease->lock);
    if (workloads) {
        pb_workloads_free(&suspension->workloads);
        suspension->workloads = *workloads;
        *workloads = (pb_workloads){0};
    }
    int failed = recorded ? recorded(context, suspension, error) : 0;
    if (!failed)
        failed = replace(kubectl, suspension, error);
    if (lease)
        pthread_mutex_unlock(&lease->lock);
    return failed;
}

int pb_suspension_rename(const pb_kubectl *kubectl, pb_suspension *suspension, const char *holder,
                         pb_error *error)
{
    pb_suspension_lease *lease = suspension->lease;
    if (pb_suspension_is_lost(suspension, error))
        return -1;
    if (lease)
        pthread_mutex_lock(&lease->lock);
    free(suspension->holder);
    suspension->holder = pb_duplicate(pb_slice_of(holder));
    int failed = replace(kubectl, suspension, error);
    if (lease)
        pthread_mutex_unlock(&lease->lock);
    return failed;
}

int pb_suspension_forget(const pb_kubectl *kubectl, pb_suspension *suspension, pb_error *error)
{
    stop(suspension);
    pb_kubectl once = *kubectl;
    int64_t until_ms = pb_clock_monotonic_ms() + kubectl->patience_ms;
    once.patience_ms = 0;
    pb_buffer path = {0};
    pb_buffer_append_format(&path, "/api/v1/namespaces/%s/configmaps/" PB_SUSPENSION_CONFIG_MAP,
                            kubectl->name_space);
    const char *const arguments[] = {"delete", "--raw", path.data, "--filename=-", NULL};
    int failed;
    for (;;) {
        pb_error wrong = {0};
        int seen = see_again(&once, suspension, &wrong);
        failed = seen < 0;
        if (!seen)
            break; /* gone, or another's by now */
        if (!failed) {
            json_t *options = json_pack("{s:s, s:s, s:{s:s?, s:s?}}", "kind", "DeleteOptions",
                                        "apiVersion", "v1", "preconditions", "uid", suspension->uid,
                                        "resourceVersion", suspension->resource_version);
            failed = pb_kubectl_send(&once, arguments, options, NULL, &wrong);
            json_decref(options);
        }
        if (!failed || wrong.kind == PB_ERROR_NOT_FOUND) {
            pb_kubectl_tell(kubectl, "deleted ConfigMap " PB_SUSPENSION_CONFIG_MAP);
            failed = 0;
            break;
        }
        if (wrong.kind != PB_ERROR_UNREACHABLE || pb_clock_monotonic_ms() > until_ms) {
            *error = wrong;
            break;
        }
        if (pb_kubectl_rest(kubectl, PAUSE_MS, error))
            break;
    }
    pb_buffer_free(&path);
    return failed ? -1 : 0;
}
