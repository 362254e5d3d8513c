/* Buckets, and objects without their bytes. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include "bench/origin/gcs_operations.h"
#include "bench/origin/s3_answer.h"
#include <stdlib.h>

enum { COMPOSED_MAX = 32 };

/* ---- buckets ---- */

static void answer_bucket(const pb_origin *origin, pb_origin_exchange *exchange,
                          const pb_origin_call *call, const pb_origin_bucket *bucket)
{
    pb_origin_gcs_bucket_view view = {.location = origin->options.gcs_location};
    for (size_t i = 0; i < origin->options.gcs_requester_pays_count; i++) {
        view.requester_pays =
            view.requester_pays || strcmp(bucket->name, origin->options.gcs_requester_pays[i]) == 0;
    }
    pb_buffer endpoint = {0};
    pb_origin_gcs_append_endpoint(&endpoint, origin, exchange);
    pb_origin_gcs_append_bucket(pb_origin_gcs_answer_json(exchange), pb_buffer_slice(&endpoint),
                                bucket, &view, call->gcs.fields.outer);
    pb_buffer_free(&endpoint);
}

void pb_origin_gcs_get_bucket(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    const pb_origin_bucket *bucket = pb_origin_gcs_need_bucket(origin, exchange, call->s3.bucket);
    const pb_origin_gcs_conditions *conditions = &call->gcs.conditions;
    if (!bucket) {
        return;
    }
    if (conditions->metageneration_match.asked && conditions->metageneration_match.value != 1) {
        pb_origin_gcs_condition_failed(exchange, "If-Match");
    } else if (conditions->metageneration_not_match.asked &&
               conditions->metageneration_not_match.value == 1) {
        exchange->response.status = 304;
    } else {
        answer_bucket(origin, exchange, call, bucket);
    }
}

static bool is_bucket_name(pb_slice name)
{
    if (name.size < 3 || name.size > 63) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_letter && ((c != '-' && c != '.' && c != '_') || i == 0 || i == name.size - 1)) {
            return false;
        }
    }
    return true;
}

void pb_origin_gcs_insert_bucket(pb_origin *origin, pb_origin_exchange *exchange,
                                 pb_origin_call *call)
{
    json_t *document = NULL;
    pb_error error = {0};
    if (pb_origin_gcs_value(&call->s3, "project").size == 0) {
        pb_origin_gcs_refuse(exchange, 400, "required", "Required parameter: project", "project");
        return;
    }
    if (pb_json_parse(pb_origin_gcs_body(exchange), "the bucket", &document, &error) != 0) {
        pb_origin_gcs_refuse(exchange, 400, "parseError", "Parse Error", NULL);
        return;
    }
    const json_t *text = json_object_get(document, "name");
    pb_slice name = {json_string_value(text), json_string_length(text)};
    if (!json_is_string(text) || !is_bucket_name(name)) {
        pb_origin_gcs_invalid(exchange, "Invalid bucket name.");
    } else if (pb_origin_find_bucket(origin, name)) {
        pb_origin_gcs_refuse(exchange, 409, "conflict",
                             "Your previous request to create the named bucket succeeded and you "
                             "already own it.",
                             NULL);
    } else {
        answer_bucket(origin, exchange, call, pb_origin_add_bucket(origin, name));
    }
    json_decref(document);
}

/* ---- objects ---- */

void pb_origin_gcs_get_object(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    const pb_origin_object *object = pb_origin_gcs_need_object(origin, exchange, call->s3.bucket,
                                                               call->s3.key, &call->gcs.conditions);
    if (object && pb_origin_gcs_check_conditions(exchange, &call->gcs.conditions, object, true)) {
        pb_origin_gcs_answer_object(origin, exchange, call->s3.bucket, object,
                                    call->gcs.fields.object);
    }
}

void pb_origin_gcs_delete_object(pb_origin *origin, pb_origin_exchange *exchange,
                                 pb_origin_call *call)
{
    const pb_origin_object *object = pb_origin_gcs_need_object(origin, exchange, call->s3.bucket,
                                                               call->s3.key, &call->gcs.conditions);
    if (object && pb_origin_gcs_check_conditions(exchange, &call->gcs.conditions, object, false)) {
        pb_origin_bucket_remove(pb_origin_find_bucket(origin, call->s3.bucket), call->s3.key);
        exchange->response.status = 204;
    }
}

void pb_origin_gcs_patch_object(pb_origin *origin, pb_origin_exchange *exchange,
                                pb_origin_call *call)
{
    pb_origin_object *object = pb_origin_gcs_need_object(origin, exchange, call->s3.bucket,
                                                         call->s3.key, &call->gcs.conditions);
    if (!object ||
        !pb_origin_gcs_check_conditions(exchange, &call->gcs.conditions, object, false)) {
        return;
    }
    pb_origin_gcs_metadata metadata = {0};
    pb_origin_gcs_refusal refusal = {0};
    pb_origin_attributes *made = NULL;
    if (pb_origin_gcs_metadata_read(pb_origin_gcs_body(exchange), true, &metadata, &refusal)) {
        made = pb_origin_gcs_metadata_patch(&metadata, object->attributes, &refusal);
    }
    pb_origin_gcs_metadata_free(&metadata);
    if (!made) {
        pb_origin_gcs_refuse(exchange, refusal.status, refusal.reason, refusal.message, NULL);
        return;
    }
    made->metageneration = pb_origin_gcs_metageneration(object) + 1;
    made->updated_ms = pb_origin_now_ms(origin);
    pb_origin_attributes_release(object->attributes);
    object->attributes = made;
    pb_origin_gcs_answer_object(origin, exchange, call->s3.bucket, object, call->gcs.fields.object);
}

/* ---- compose ---- */

static bool read_generation(const json_t *value, pb_origin_gcs_condition *ret_condition)
{
    *ret_condition = (pb_origin_gcs_condition){.asked = value != NULL};
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        ret_condition->value = (uint64_t)json_integer_value(value);
        return true;
    }
    return !value ||
           (json_is_string(value) &&
            pb_parse_unsigned(pb_slice_of(json_string_value(value)), &ret_condition->value));
}

/* One of sourceObjects; NULL: refused already. */
static const pb_origin_object *find_component(pb_origin *origin, pb_origin_exchange *exchange,
                                              const pb_origin_call *call, const json_t *source)
{
    static const char *const known[] = {"name", "generation", "objectPreconditions"};
    pb_origin_gcs_conditions conditions = {0};
    const char *member;
    json_t *value;
    bool is_sound = json_is_object(source) && json_is_string(json_object_get(source, "name"));
    json_object_foreach((json_t *)(uintptr_t)source, member, value)
    {
        is_sound = is_sound && (strcmp(member, known[0]) == 0 || strcmp(member, known[1]) == 0 ||
                                strcmp(member, known[2]) == 0);
    }
    const json_t *wanted = json_object_get(source, "objectPreconditions");
    if (!is_sound ||
        !read_generation(json_object_get(source, "generation"), &conditions.generation) ||
        !read_generation(json_object_get(wanted, "ifGenerationMatch"),
                         &conditions.generation_match)) {
        pb_origin_gcs_invalid(exchange, "Invalid value for sourceObjects.");
        return NULL;
    }
    const json_t *name = json_object_get(source, "name");
    pb_slice key = {json_string_value(name), json_string_length(name)};
    if (pb_origin_is_denied(origin, call->s3.bucket, key)) {
        pb_origin_gcs_forbid(exchange, PB_ORIGIN_GCS_OBJECTS_GET);
        return NULL;
    }
    const pb_origin_object *object =
        pb_origin_gcs_need_object(origin, exchange, call->s3.bucket, key, &conditions);
    return object && pb_origin_gcs_check_conditions(exchange, &conditions, object, false) ? object
                                                                                          : NULL;
}

/* A composed object has no MD5: for S3 it looks like one of a multipart upload. */
static pb_origin_object *join(const pb_origin *origin, pb_slice key,
                              const pb_origin_object *const *components, size_t count,
                              pb_origin_attributes *attributes)
{
    uint8_t md5s[COMPOSED_MAX][PB_MD5_BYTES];
    pb_origin_object *object = pb_origin_object_new(key);
    object->content = pb_origin_content_new_pieces();
    object->attributes = attributes;
    for (size_t i = 0; i < count; i++) {
        const pb_origin_object *component = components[i];
        pb_origin_content *content = pb_origin_object_content(component);
        pb_origin_content_append_piece(object->content, content, 0, component->size);
        pb_origin_content_release(content);
        object->crc32c = i == 0 ? pb_origin_gcs_crc32c(component)
                                : pb_crc32c_combine(object->crc32c, pb_origin_gcs_crc32c(component),
                                                    component->size);
        memcpy(md5s[i], component->md5, PB_MD5_BYTES);
        uint32_t parts = component->attributes ? component->attributes->component_count : 0;
        attributes->component_count += parts ? parts : 1;
    }
    pb_origin_multipart_md5((const uint8_t(*)[PB_MD5_BYTES])md5s, count, object->md5);
    object->etag_parts = (uint16_t)count;
    object->is_crc32c_known = true;
    object->size = object->content->size;
    object->modified_ms = pb_origin_now_ms(origin);
    return object;
}

static void compose(pb_origin *origin, pb_origin_exchange *exchange, const pb_origin_call *call,
                    const json_t *document)
{
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)document, member, value)
    {
        if (strcmp(member, "kind") != 0 && strcmp(member, "destination") != 0 &&
            strcmp(member, "sourceObjects") != 0) {
            pb_origin_gcs_invalid(exchange, "Unknown name in a compose request.");
            return;
        }
    }
    const json_t *sources = json_object_get(document, "sourceObjects");
    size_t count = json_array_size(sources);
    if (count < 1 || count > COMPOSED_MAX) {
        pb_origin_gcs_invalid(exchange,
                              "The number of source components is not in the range from 1 to 32.");
        return;
    }
    const pb_origin_object *components[COMPOSED_MAX];
    for (size_t i = 0; i < count; i++) {
        components[i] = find_component(origin, exchange, call, json_array_get(sources, i));
        if (!components[i]) {
            return;
        }
    }
    pb_origin_gcs_metadata metadata = {0};
    pb_origin_gcs_refusal refusal = {0};
    json_t *destination = json_object_get(document, "destination");
    if (destination && (!json_is_object(destination) ||
                        !pb_origin_gcs_metadata_check(destination, false, &metadata, &refusal))) {
        pb_origin_gcs_refuse(exchange, refusal.status ? refusal.status : 400,
                             refusal.reason ? refusal.reason : "invalid", refusal.message, NULL);
        return;
    }
    pb_origin_attributes *attributes =
        pb_origin_gcs_metadata_attributes(&metadata, (pb_slice){NULL, 0});
    pb_origin_gcs_metadata_free(&metadata);
    pb_origin_gcs_store(origin, exchange, call,
                        join(origin, call->s3.key, components, count, attributes),
                        call->gcs.fields.object);
}

void pb_origin_gcs_compose_object(pb_origin *origin, pb_origin_exchange *exchange,
                                  pb_origin_call *call)
{
    pb_origin_bucket *bucket = pb_origin_gcs_need_bucket(origin, exchange, call->s3.bucket);
    if (!bucket ||
        !pb_origin_gcs_check_conditions(exchange, &call->gcs.conditions,
                                        pb_origin_bucket_find(bucket, call->s3.key), false)) {
        return;
    }
    json_t *document = NULL;
    pb_error error = {0};
    if (pb_json_parse(pb_origin_gcs_body(exchange), "the request", &document, &error) != 0) {
        pb_origin_gcs_refuse(exchange, 400, "parseError", "Parse Error", NULL);
        return;
    }
    compose(origin, exchange, call, document);
    json_decref(document);
}
