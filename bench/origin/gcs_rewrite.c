/* objects.rewrite: copies that may take several calls.
 *
 * https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite */
#include "base/codec.h"
#include "bench/origin/gcs_operations.h"
#include <stdlib.h>

enum { MEBIBYTE = 1 << 20 };

void pb_origin_gcs_rewrite_free(pb_origin_gcs_rewrite *rewrite)
{
    free(rewrite->source_bucket);
    free(rewrite->source_key);
    free(rewrite->bucket);
    free(rewrite->key);
    pb_origin_attributes_release(rewrite->attributes);
    free(rewrite);
}

static void drop(pb_origin_gcs *gcs, pb_origin_gcs_rewrite *rewrite)
{
    for (size_t i = 0; i < gcs->rewrite_count; i++) {
        if (gcs->rewrites[i] == rewrite) {
            gcs->rewrites[i] = gcs->rewrites[--gcs->rewrite_count];
            pb_origin_gcs_rewrite_free(rewrite);
            return;
        }
    }
}

static pb_origin_gcs_rewrite *find(const pb_origin_gcs *gcs, pb_slice token)
{
    for (size_t i = 0; i < gcs->rewrite_count; i++) {
        if (pb_slice_equal(token, pb_slice_of(gcs->rewrites[i]->token))) {
            return gcs->rewrites[i];
        }
    }
    return NULL;
}

/* The rewrite that a token belongs to. NULL: refused already. */
static pb_origin_gcs_rewrite *resume(pb_origin *origin, pb_origin_exchange *exchange,
                                     const pb_origin_call *call, pb_slice token,
                                     const pb_origin_object *source)
{
    pb_origin_gcs_rewrite *rewrite = find(origin->gcs, token);
    if (!rewrite || !pb_slice_equal(call->s3.bucket, pb_slice_of(rewrite->source_bucket)) ||
        !pb_slice_equal(call->s3.key, pb_slice_of(rewrite->source_key)) ||
        !pb_slice_equal(call->gcs.target_bucket, pb_slice_of(rewrite->bucket)) ||
        !pb_slice_equal(call->gcs.target_key, pb_slice_of(rewrite->key))) {
        pb_origin_gcs_refuse(exchange, 400, "invalidParameter",
                             "The rewrite token is none of this source and destination.",
                             "rewriteToken");
        return NULL;
    }
    if (rewrite->source_generation != pb_origin_object_generation(source)) {
        pb_origin_gcs_refuse(exchange, 412, "conditionNotMet",
                             "The source has changed since the rewrite began.", "rewriteToken");
        drop(origin->gcs, rewrite);
        return NULL;
    }
    return rewrite;
}

/* Attributes of the destination: of the body, where it says anything, or else of the source. NULL:
 * refused already. */
static pb_origin_attributes *read_attributes(pb_origin_exchange *exchange,
                                             const pb_origin_object *source)
{
    pb_origin_gcs_metadata metadata = {0};
    pb_origin_gcs_refusal refusal = {0};
    pb_origin_attributes *made = NULL;
    if (!pb_origin_gcs_metadata_read(pb_origin_gcs_body(exchange), false, &metadata, &refusal)) {
        pb_origin_gcs_refuse(exchange, refusal.status, refusal.reason, refusal.message, NULL);
    } else if (!pb_origin_gcs_metadata_says_something(&metadata)) {
        made = pb_origin_attributes_of_copy(source->attributes);
        if (!made) {
            made = pb_origin_attributes_new((pb_slice){NULL, 0}, NULL, 0);
        }
    } else if (!pb_origin_gcs_metadata_text(&metadata, "contentType").data) {
        pb_origin_gcs_refuse(exchange, 400, "required", "Required", "contentType");
    } else {
        made = pb_origin_gcs_metadata_attributes(&metadata, (pb_slice){NULL, 0});
        made->component_count = source->attributes ? source->attributes->component_count : 0;
    }
    pb_origin_gcs_metadata_free(&metadata);
    return made;
}

static pb_origin_gcs_rewrite *begin(pb_origin_gcs *gcs, const pb_origin_call *call,
                                    const pb_origin_object *source,
                                    pb_origin_attributes *attributes)
{
    pb_origin_gcs_rewrite *rewrite = pb_allocate_zeroed(1, sizeof(*rewrite));
    pb_origin_gcs_make_id(rewrite->token);
    rewrite->source_bucket = pb_duplicate(call->s3.bucket);
    rewrite->source_key = pb_duplicate(call->s3.key);
    rewrite->source_generation = pb_origin_object_generation(source);
    rewrite->bucket = pb_duplicate(call->gcs.target_bucket);
    rewrite->key = pb_duplicate(call->gcs.target_key);
    rewrite->attributes = attributes;
    gcs->rewrites =
        pb_reallocate(gcs->rewrites, (gcs->rewrite_count + 1) * sizeof(gcs->rewrites[0]));
    gcs->rewrites[gcs->rewrite_count++] = rewrite;
    return rewrite;
}

static pb_origin_object *copy_of(const pb_origin *origin, const pb_origin_object *source,
                                 pb_slice key, pb_origin_attributes *attributes)
{
    pb_origin_object *object = pb_origin_object_new(key);
    object->size = source->size;
    object->modified_ms = pb_origin_now_ms(origin);
    object->is_synthetic = source->is_synthetic;
    if (source->is_synthetic) {
        object->synthetic_index = source->synthetic_index;
    } else {
        object->content = pb_origin_content_hold(source->content);
    }
    memcpy(object->md5, source->md5, PB_MD5_BYTES);
    object->etag_parts = source->etag_parts;
    object->crc32c = pb_origin_gcs_crc32c(source);
    object->is_crc32c_known = true;
    object->attributes = attributes;
    return object;
}

static void append_number(pb_buffer *text, const char *name, uint64_t value)
{
    pb_buffer_append_format(text, "\"%s\":\"%llu\",", name, (unsigned long long)value);
}

/* The document that stands round `resource`, which is NULL where the rewrite goes on. */
static void answer(pb_origin_exchange *exchange, uint64_t fields, uint64_t moved, uint64_t size,
                   const char *token, const char *resource)
{
    pb_buffer *text = pb_origin_gcs_answer_json(exchange);
    pb_buffer_append_char(text, '{');
    if (pb_origin_gcs_wants(fields, PB_ORIGIN_GCS_REWRITE_KIND)) {
        pb_buffer_append_text(text, "\"kind\":\"storage#rewriteResponse\",");
    }
    if (pb_origin_gcs_wants(fields, PB_ORIGIN_GCS_REWRITE_TOTAL_BYTES_REWRITTEN)) {
        append_number(text, "totalBytesRewritten", moved);
    }
    if (pb_origin_gcs_wants(fields, PB_ORIGIN_GCS_REWRITE_OBJECT_SIZE)) {
        append_number(text, "objectSize", size);
    }
    if (pb_origin_gcs_wants(fields, PB_ORIGIN_GCS_REWRITE_DONE)) {
        pb_buffer_append_format(text, "\"done\":%s,", resource ? "true" : "false");
    }
    if (token && pb_origin_gcs_wants(fields, PB_ORIGIN_GCS_REWRITE_REWRITE_TOKEN)) {
        pb_buffer_append_format(text, "\"rewriteToken\":\"%s\",", token);
    }
    if (resource && pb_origin_gcs_wants(fields, PB_ORIGIN_GCS_REWRITE_RESOURCE)) {
        pb_buffer_append_format(text, "\"resource\":%s,", resource);
    }
    if (text->data[text->size - 1] == ',') {
        text->size--;
    }
    pb_buffer_append_char(text, '}');
}

static void complete(pb_origin *origin, pb_origin_exchange *exchange, const pb_origin_call *call,
                     const pb_origin_object *source, pb_origin_attributes *attributes)
{
    uint64_t size = source->size;
    pb_origin_bucket *target = pb_origin_find_bucket(origin, call->gcs.target_bucket);
    if (!pb_origin_gcs_store_in(origin, exchange, call, target,
                                copy_of(origin, source, call->gcs.target_key, attributes),
                                call->gcs.fields.object)) {
        return;
    }
    char *resource = pb_duplicate(pb_buffer_slice(&exchange->response.text));
    exchange->response.text.size = 0;
    exchange->response.headers.size = 0;
    answer(exchange, call->gcs.fields.outer, size, size, NULL, resource);
    free(resource);
}

/* How many bytes this call may move at most; 0: all. False: refused already. */
static bool bytes_of_call(const pb_origin *origin, pb_origin_exchange *exchange,
                          const pb_origin_call *call, uint64_t *ret_bytes)
{
    const pb_origin_parameter *asked =
        pb_origin_s3_parameter(&call->s3, "maxBytesRewrittenPerCall");
    uint64_t most = 0;
    *ret_bytes = origin->options.gcs_rewrite_bytes;
    if (!asked) {
        return true;
    }
    pb_parse_unsigned(asked->value, &most);
    if (most == 0 || most % MEBIBYTE != 0) {
        pb_origin_gcs_refuse(exchange, 400, "invalidParameter",
                             "maxBytesRewrittenPerCall must be a multiple of 1 MiB.",
                             "maxBytesRewrittenPerCall");
        return false;
    }
    *ret_bytes = *ret_bytes && *ret_bytes < most ? *ret_bytes : most;
    return true;
}

void pb_origin_gcs_rewrite_object(pb_origin *origin, pb_origin_exchange *exchange,
                                  pb_origin_call *call)
{
    uint64_t most;
    const pb_origin_object *source = pb_origin_gcs_need_object(
        origin, exchange, call->s3.bucket, call->s3.key, &call->gcs.source_conditions);
    if (!source ||
        !pb_origin_gcs_check_conditions(exchange, &call->gcs.source_conditions, source, false)) {
        return;
    }
    pb_origin_bucket *target = pb_origin_gcs_need_bucket(origin, exchange, call->gcs.target_bucket);
    if (!target ||
        !pb_origin_gcs_check_conditions(exchange, &call->gcs.conditions,
                                        pb_origin_bucket_find(target, call->gcs.target_key),
                                        false) ||
        !bytes_of_call(origin, exchange, call, &most)) {
        return;
    }
    pb_slice token = pb_origin_gcs_value(&call->s3, "rewriteToken");
    pb_origin_gcs_rewrite *rewrite = NULL;
    pb_origin_attributes *attributes = NULL;
    uint64_t moved = 0;
    if (token.data) {
        rewrite = resume(origin, exchange, call, token, source);
        if (!rewrite) {
            return;
        }
        moved = rewrite->moved_bytes;
    } else {
        attributes = read_attributes(exchange, source);
        if (!attributes) {
            return;
        }
    }
    if (most == 0 || source->size - moved <= most) {
        if (rewrite) {
            attributes = pb_origin_attributes_hold(rewrite->attributes);
            drop(origin->gcs, rewrite);
        }
        complete(origin, exchange, call, source, attributes);
        return;
    }
    if (!rewrite) {
        rewrite = begin(origin->gcs, call, source, attributes);
    }
    rewrite->moved_bytes = moved + most;
    answer(exchange, call->gcs.fields.outer, rewrite->moved_bytes, source->size, rewrite->token,
           NULL);
}
