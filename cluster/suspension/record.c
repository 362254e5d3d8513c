#include "cluster/suspension/record.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/random.h"
#include "cluster/kubernetes/object.h"
#include <stdlib.h>

static const char what[] = "the record of the suspension";
#define MEMBER "suspension"

static void add_time(json_t *object, const char *name, int64_t utc_ms)
{
    char text[PB_TIME_TEXT_MAX];
    pb_time_format_rfc3339(utc_ms, text);
    json_object_set_new(object, name, json_string(text));
}

json_t *pb_suspension_json(const pb_suspension *suspension)
{
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "holder", suspension->holder, "token",
                  suspension->token, "host", suspension->process.host, "boot_id",
                  suspension->process.boot_id, "pid", (json_int_t)suspension->process.pid,
                  "pid_start", (json_int_t)suspension->process.pid_start, "workloads",
                  pb_workloads_json(&suspension->workloads));
    if (!object)
        abort();
    add_time(object, "started", suspension->started_ms);
    add_time(object, "heartbeat", suspension->process.heartbeat_ms);
    return object;
}

static int read_text(const json_t *object, const char *name, char **ret_text, pb_error *error)
{
    const char *text;
    if (pb_json_string(object, name, what, &text, error))
        return -1;
    *ret_text = pb_duplicate(pb_slice_of(text));
    return 0;
}

static int read_time(const json_t *object, const char *name, int64_t *ret_utc_ms, pb_error *error)
{
    const char *text;
    if (pb_json_string(object, name, what, &text, error))
        return -1;
    if (!pb_time_parse_rfc3339(pb_slice_of(text), ret_utc_ms))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is not a time", what, name);
    return 0;
}

int pb_suspension_parse(const json_t *object, pb_suspension *ret_suspension, pb_error *error)
{
    pb_suspension read = {0};
    const char *token = "";
    json_t *workloads;
    if (!json_is_object(object))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s is not a JSON object", what);
    if (read_text(object, "holder", &read.holder, error) ||
        read_text(object, "host", &read.process.host, error) ||
        read_text(object, "boot_id", &read.process.boot_id, error) ||
        pb_json_unsigned(object, "pid", what, &read.process.pid, error) ||
        pb_json_unsigned(object, "pid_start", what, &read.process.pid_start, error) ||
        read_time(object, "started", &read.started_ms, error) ||
        read_time(object, "heartbeat", &read.process.heartbeat_ms, error) ||
        pb_json_array(object, "workloads", what, &workloads, error) ||
        pb_workloads_parse(workloads, what, &read.workloads, error) ||
        pb_json_string_if(object, "token", what, &token, error)) {
        pb_suspension_record_free(&read);
        return -1;
    }
    if (strlen(token) >= sizeof read.token) {
        pb_suspension_record_free(&read);
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"token\" is too long", what);
    }
    memcpy(read.token, token, strlen(token) + 1);
    if (read.workloads
            .count) /* they were written before the first scaling, which no record times */
        read.scaled_ms = read.started_ms;
    *ret_suspension = read;
    return 0;
}

void pb_suspension_record_free(pb_suspension *suspension)
{
    free(suspension->holder);
    pb_process_free(&suspension->process);
    pb_workloads_free(&suspension->workloads);
    free(suspension->uid);
    free(suspension->resource_version);
    json_decref(suspension->generations);
    json_decref(suspension->listed);
    *suspension = (pb_suspension){0};
}

void pb_suspension_own(pb_suspension *suspension)
{
    uint8_t random[(PB_SUSPENSION_TOKEN_SIZE - 1) / 2];
    int64_t heartbeat_ms = suspension->process.heartbeat_ms;
    pb_random_bytes(random, sizeof random);
    pb_hex_encode(random, sizeof random, suspension->token);
    pb_process_free(&suspension->process);
    pb_process_this(&suspension->process);
    suspension->process.heartbeat_ms = heartbeat_ms;
}

bool pb_suspension_is_same(const pb_suspension *a, const pb_suspension *b)
{
    if (a->token[0] || b->token[0])
        return strcmp(a->token, b->token) == 0;
    return strcmp(a->holder, b->holder) == 0 && a->started_ms == b->started_ms &&
           a->process.pid == b->process.pid;
}

static void set(char **text, const char *value)
{
    free(*text);
    *text = value[0] ? pb_duplicate(pb_slice_of(value)) : NULL;
}

void pb_suspension_seen(pb_suspension *suspension, const json_t *object)
{
    set(&suspension->uid, pb_object_text(object, "metadata.uid"));
    set(&suspension->resource_version, pb_object_text(object, "metadata.resourceVersion"));
}

json_t *pb_suspension_config_map(const pb_suspension *suspension)
{
    pb_buffer text = {0};
    json_t *record = pb_suspension_json(suspension);
    pb_json_append(&text, record);
    json_decref(record);
    json_t *object = json_pack("{s:s, s:s, s:{s:s, s:{s:s, s:s}}, s:{s:s}}", "apiVersion", "v1",
                               "kind", "ConfigMap", "metadata", "name", PB_SUSPENSION_CONFIG_MAP,
                               "labels", "app.kubernetes.io/managed-by", "pbcopy",
                               "velero.io/exclude-from-backup", "true", "data", MEMBER, text.data);
    if (!object)
        abort();
    pb_buffer_free(&text);
    json_t *metadata = json_object_get(object, "metadata");
    if (suspension->uid)
        json_object_set_new(metadata, "uid", json_string(suspension->uid));
    if (suspension->resource_version)
        json_object_set_new(metadata, "resourceVersion", json_string(suspension->resource_version));
    return object;
}

int pb_suspension_of_config_map(const json_t *object, pb_suspension *ret_suspension,
                                pb_error *error)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, "data"), MEMBER));
    json_t *record;
    int failed = text ? pb_json_parse(pb_slice_of(text), what, &record, error)
                      : pb_error_set(error, PB_ERROR_DAMAGED, "%s is empty", what);
    if (!failed) {
        failed = pb_suspension_parse(record, ret_suspension, error);
        json_decref(record);
    }
    if (!failed)
        pb_suspension_seen(ret_suspension, object);
    if (failed)
        pb_error_hint(error, "scale pachd up by hand, then delete ConfigMap %s",
                      PB_SUSPENSION_CONFIG_MAP);
    return failed;
}

bool pb_suspension_stands(const pb_suspension *suspension)
{
    return strcmp(suspension->holder, PB_SUSPENSION_STANDING) == 0;
}

bool pb_suspension_restores(const pb_suspension *suspension)
{
    return strcmp(suspension->holder, PB_SUSPENSION_RESTORE) == 0;
}
