#include "manifest/intent.h"

#include "base/codec.h"
#include "manifest/document.h"
#include <stdlib.h>

static const char what[] = "intent.json";

void pb_intent_append(pb_buffer *buffer, const pb_intent *intent)
{
    pb_document_begin(buffer, "intent", PB_INTENT_VERSION);
    pb_document_add_text(buffer, "id", intent->id);
    pb_document_add_text(buffer, "source", intent->source);
    pb_document_add_text(buffer, "prefix", intent->prefix);
    pb_document_add_text_or_null(buffer, "base", intent->base);
    pb_document_add_text_or_null(buffer, "base_sha256", intent->base_sha256);
    pb_document_add_text(buffer, "host", intent->process.host);
    pb_document_add_text(buffer, "boot_id", intent->process.boot_id);
    pb_document_add_number(buffer, "pid", intent->process.pid);
    pb_document_add_number(buffer, "pid_start", intent->process.pid_start);
    pb_document_add_time(buffer, "started", intent->started_ms);
    pb_document_add_time(buffer, "heartbeat", intent->process.heartbeat_ms);
    pb_document_add_text(buffer, "program", intent->program);
    if (intent->lease[0])
        pb_document_add_text(buffer, "lease", intent->lease);
    pb_document_add_text_or_null(buffer, "namespace", intent->name_space);
    if (intent->suspension) {
        pb_buffer_append_text(buffer, ",\"suspension\":");
        pb_json_append(buffer, intent->suspension);
    }
    pb_buffer_append_text(buffer, "}\n");
}

/* What the run of a cluster has beside the others. */
static int read_cluster(const json_t *object, pb_intent *intent, pb_error *error)
{
    const char *name_space = "";
    json_t *suspension = json_object_get(object, "suspension");
    if (pb_json_string_if(object, "namespace", what, &name_space, error) != 0)
        return -1;
    intent->name_space = pb_duplicate(pb_slice_of(name_space));
    if (!suspension || json_is_null(suspension))
        return 0;
    if (!json_is_object(suspension))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"suspension\" is not an object", what);
    intent->suspension = json_incref(suspension);
    return 0;
}

static int read_lease(const json_t *object, pb_intent *intent, pb_error *error)
{
    const char *lease = "";
    uint8_t id[(PB_SOURCE_ID_SIZE - 1) / 2];
    if (pb_json_string_if(object, "lease", what, &lease, error) != 0)
        return -1;
    if (lease[0] && !pb_hex_decode(pb_slice_of(lease), id, sizeof id))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"lease\" is not 32 hex digits", what);
    if (lease[0])
        pb_hex_encode(id, sizeof id, intent->lease);
    return 0;
}

static int read_members(const json_t *object, pb_intent *intent, pb_error *error)
{
    bool whole =
        pb_document_snapshot_id(object, "id", what, intent->id, error) == 0 &&
        pb_document_text(object, "source", what, &intent->source, error) == 0 &&
        pb_document_text(object, "prefix", what, &intent->prefix, error) == 0 &&
        pb_document_base(object, what, intent->base, intent->base_sha256, error) == 0 &&
        pb_document_text(object, "host", what, &intent->process.host, error) == 0 &&
        pb_document_text(object, "boot_id", what, &intent->process.boot_id, error) == 0 &&
        pb_json_unsigned(object, "pid", what, &intent->process.pid, error) == 0 &&
        pb_json_unsigned(object, "pid_start", what, &intent->process.pid_start, error) == 0 &&
        pb_document_time(object, "started", what, &intent->started_ms, error) == 0 &&
        pb_document_time(object, "heartbeat", what, &intent->process.heartbeat_ms, error) == 0 &&
        pb_document_text(object, "program", what, &intent->program, error) == 0;
    return whole && read_lease(object, intent, error) == 0 ? read_cluster(object, intent, error)
                                                           : -1;
}

int pb_intent_parse(pb_slice text, pb_intent *ret_intent, pb_error *error)
{
    json_t *object;
    pb_intent intent = {0};
    if (pb_document_parse(text, "intent", PB_INTENT_VERSION, what, &object, error) != 0)
        return -1;
    int result = read_members(object, &intent, error);
    json_decref(object);
    if (result == 0)
        *ret_intent = intent;
    else
        pb_intent_free(&intent);
    return result;
}

void pb_intent_free(pb_intent *intent)
{
    free(intent->source);
    free(intent->prefix);
    pb_process_free(&intent->process);
    free(intent->program);
    free(intent->name_space);
    json_decref(intent->suspension);
    *intent = (pb_intent){0};
}
