#include "bench/origin/gcs_metadata.h"
#include "base/base64.h"
#include "base/codec.h"
#include "base/json.h"
#include "bench/origin/gcs_resource.h"
#include <stdio.h>
#include <stdlib.h>

/* Members that are kept, and the header that keeps each. */
static const struct {
    const char *member;
    const char *header;
} kept[] = {
    {"contentType", "content-type"},
    {"cacheControl", "cache-control"},
    {"contentDisposition", "content-disposition"},
    {"contentEncoding", "content-encoding"},
    {"contentLanguage", "content-language"},
    {"storageClass", "x-goog-storage-class"},
};

enum { KEPT_COUNT = sizeof(kept) / sizeof(kept[0]) };

static const char *const unserved[] = {
    "acl",        "contexts",  "customTime",    "customerEncryption", "eventBasedHold",
    "kmsKeyName", "retention", "temporaryHold",
};

static const char *const storage_classes[] = {
    "STANDARD",
    "NEARLINE",
    "COLDLINE",
    "ARCHIVE",
    "MULTI_REGIONAL",
    "REGIONAL",
    "DURABLE_REDUCED_AVAILABILITY",
};

static bool refuse(pb_origin_gcs_refusal *refusal, int status, const char *reason,
                   const char *message, const char *name)
{
    *refusal = (pb_origin_gcs_refusal){.status = status, .reason = reason};
    snprintf(refusal->message, sizeof(refusal->message), "%s%s%.60s%s", message, name ? ": \"" : "",
             name ? name : "", name ? "\"" : "");
    pb_text_make_line(refusal->message);
    return false;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

#define IS_ONE_OF(name, names) is_one_of((name), (names), sizeof(names) / sizeof((names)[0]))

static bool is_plain(pb_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static pb_slice text_of(const json_t *value)
{
    return (pb_slice){json_string_value(value), json_string_length(value)};
}

static bool check_custom(json_t *custom, bool patches, pb_origin_gcs_refusal *refusal)
{
    const char *name;
    json_t *value;
    if (json_is_null(custom)) {
        return true;
    }
    if (!json_is_object(custom)) {
        return refuse(refusal, 400, "invalid", "Invalid value for", "metadata");
    }
    json_object_foreach(custom, name, value)
    {
        if (!json_is_string(value) && !(patches && json_is_null(value))) {
            return refuse(refusal, 400, "invalid", "Invalid value for metadata", name);
        }
    }
    return true;
}

static bool check_member(const char *name, json_t *value, bool patches,
                         pb_origin_gcs_refusal *refusal)
{
    if (!pb_origin_gcs_is_member(pb_slice_of(name))) {
        return refuse(refusal, 400, "invalid", "Unknown name", name);
    }
    if (IS_ONE_OF(name, unserved)) {
        return json_is_null(value) ||
               refuse(refusal, 501, "notImplemented", "origin does not serve", name);
    }
    if (strcmp(name, "metadata") == 0) {
        return check_custom(value, patches, refusal);
    }
    bool is_text =
        strcmp(name, "name") == 0 || strcmp(name, "md5Hash") == 0 || strcmp(name, "crc32c") == 0;
    for (int i = 0; i < KEPT_COUNT; i++) {
        is_text = is_text || strcmp(name, kept[i].member) == 0;
    }
    if (!is_text || json_is_null(value)) {
        return true;
    }
    if (!json_is_string(value) || (strcmp(name, "name") != 0 && !is_plain(text_of(value)))) {
        return refuse(refusal, 400, "invalid", "Invalid value for", name);
    }
    if (strcmp(name, "storageClass") == 0) {
        if (patches) {
            return refuse(refusal, 400, "invalid",
                          "A storage class is changed by rewriting the object", NULL);
        }
        if (!IS_ONE_OF(json_string_value(value), storage_classes)) {
            return refuse(refusal, 400, "invalid", "The storage class is none",
                          json_string_value(value));
        }
    }
    return true;
}

static uint64_t custom_bytes(const json_t *custom)
{
    uint64_t bytes = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)custom, name, value)
    {
        bytes += strlen(name) + json_string_length(value);
    }
    return bytes;
}

bool pb_origin_gcs_metadata_check(json_t *document, bool patches,
                                  pb_origin_gcs_metadata *ret_metadata,
                                  pb_origin_gcs_refusal *ret_refusal)
{
    const char *name;
    json_t *value;
    json_object_foreach(document, name, value)
    {
        if (!check_member(name, value, patches, ret_refusal)) {
            return false;
        }
    }
    if (custom_bytes(json_object_get(document, "metadata")) >
        PB_ORIGIN_GCS_CUSTOM_METADATA_BYTES_MAX) {
        return refuse(ret_refusal, 400, "invalid", "Custom metadata of more than 8 KiB", NULL);
    }
    ret_metadata->document = json_incref(document);
    return true;
}

bool pb_origin_gcs_metadata_read(pb_slice text, bool patches, pb_origin_gcs_metadata *ret_metadata,
                                 pb_origin_gcs_refusal *ret_refusal)
{
    *ret_metadata = (pb_origin_gcs_metadata){0};
    if (text.size == 0) {
        return true;
    }
    json_t *document = NULL;
    pb_error error = {0};
    if (pb_json_parse(text, "the resource", &document, &error) != 0) {
        return refuse(ret_refusal, 400, "parseError", "Parse Error", NULL);
    }
    bool is_sound = pb_origin_gcs_metadata_check(document, patches, ret_metadata, ret_refusal);
    json_decref(document);
    return is_sound;
}

void pb_origin_gcs_metadata_free(pb_origin_gcs_metadata *metadata)
{
    json_decref(metadata->document);
    *metadata = (pb_origin_gcs_metadata){0};
}

pb_slice pb_origin_gcs_metadata_text(const pb_origin_gcs_metadata *metadata, const char *name)
{
    const json_t *value = json_object_get(metadata->document, name);
    return json_is_string(value) ? text_of(value) : (pb_slice){NULL, 0};
}

bool pb_origin_gcs_metadata_says_something(const pb_origin_gcs_metadata *metadata)
{
    for (int i = 0; i < KEPT_COUNT; i++) {
        if (json_is_string(json_object_get(metadata->document, kept[i].member))) {
            return true;
        }
    }
    return json_is_object(json_object_get(metadata->document, "metadata"));
}

/* ---- what is kept ---- */

static bool is_token(pb_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_letter = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!is_letter && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return text.size > 0;
}

static void append_header(pb_buffer *headers, const char *name, pb_slice value)
{
    pb_buffer_append_text(headers, name);
    pb_buffer_append(headers, ": ", 2);
    pb_buffer_append_slice(headers, value);
    pb_buffer_append(headers, "\r\n", 2);
}

/* Where a name or a value cannot stand in a header, all of them are percent-encoded: S3 shows them
 * so. Returns whether they are. */
static bool append_custom(pb_buffer *headers, json_t *custom)
{
    const char *name;
    json_t *value;
    bool escapes = false;
    json_object_foreach(custom, name, value)
    {
        escapes = escapes || !is_token(pb_slice_of(name)) || !is_plain(text_of(value));
    }
    json_object_foreach(custom, name, value)
    {
        pb_buffer_append_text(headers, "x-amz-meta-");
        if (escapes) {
            pb_percent_encode(headers, pb_slice_of(name), false);
            pb_buffer_append(headers, ": ", 2);
            pb_percent_encode(headers, text_of(value), false);
            pb_buffer_append(headers, "\r\n", 2);
        } else {
            append_header(headers, name, text_of(value));
        }
    }
    return escapes;
}

static pb_origin_attributes *attributes_of(const pb_slice values[KEPT_COUNT], json_t *custom,
                                           pb_slice expires)
{
    pb_buffer headers = {0};
    for (int i = 0; i < KEPT_COUNT; i++) {
        if (values[i].data) {
            append_header(&headers, kept[i].header, values[i]);
        }
    }
    if (expires.data) {
        append_header(&headers, "expires", expires);
    }
    bool escapes = append_custom(&headers, custom);
    pb_origin_attributes *made = pb_origin_attributes_new(pb_buffer_slice(&headers), NULL, 0);
    made->escapes_metadata = escapes;
    pb_buffer_free(&headers);
    return made;
}

pb_origin_attributes *pb_origin_gcs_metadata_attributes(const pb_origin_gcs_metadata *metadata,
                                                        pb_slice content_type)
{
    pb_slice values[KEPT_COUNT];
    for (int i = 0; i < KEPT_COUNT; i++) {
        values[i] = pb_origin_gcs_metadata_text(metadata, kept[i].member);
    }
    if (!values[0].data) {
        values[0] =
            content_type.size > 0 ? content_type : PB_SLICE_LITERAL("application/octet-stream");
    }
    return attributes_of(values, json_object_get(metadata->document, "metadata"),
                         (pb_slice){NULL, 0});
}

/* The custom metadata that is kept, as JSON; the caller owns it. */
static json_t *custom_of(const pb_origin_attributes *attributes)
{
    json_t *custom = json_object();
    pb_slice rest = attributes ? attributes->headers : (pb_slice){NULL, 0};
    pb_slice name;
    pb_slice value;
    while (pb_origin_gcs_next_metadata(&rest, &name, &value)) {
        pb_buffer text = {0};
        if (attributes->escapes_metadata) {
            pb_percent_decode(&text, name, false);
            pb_buffer_append_char(&text, 0);
            size_t at = text.size;
            pb_percent_decode(&text, value, false);
            json_object_set_new(custom, text.data, json_string(text.data + at));
        } else {
            pb_buffer_append_slice(&text, name);
            pb_buffer_append_char(&text, 0);
            size_t at = text.size;
            pb_buffer_append_slice(&text, value);
            if (!pb_utf8_valid(value)) {
                pb_text_make_line(text.data + at);
            }
            json_object_set_new(custom, text.data, json_string(text.data + at));
        }
        pb_buffer_free(&text);
    }
    return custom;
}

static void merge_custom(json_t *custom, const json_t *patch)
{
    const char *name;
    json_t *value;
    if (json_is_null(patch)) {
        json_object_clear(custom);
    }
    json_object_foreach((json_t *)(uintptr_t)patch, name, value)
    {
        if (json_is_null(value)) {
            json_object_del(custom, name);
        } else {
            json_object_set(custom, name, value);
        }
    }
}

pb_origin_attributes *pb_origin_gcs_metadata_patch(const pb_origin_gcs_metadata *metadata,
                                                   const pb_origin_attributes *attributes,
                                                   pb_origin_gcs_refusal *ret_refusal)
{
    pb_slice values[KEPT_COUNT];
    for (int i = 0; i < KEPT_COUNT; i++) {
        const json_t *value = json_object_get(metadata->document, kept[i].member);
        values[i] = json_is_string(value) ? text_of(value)
                    : value               ? (pb_slice){NULL, 0}
                                          : pb_origin_gcs_attribute(attributes, kept[i].header);
    }
    json_t *custom = custom_of(attributes);
    merge_custom(custom, json_object_get(metadata->document, "metadata"));
    pb_origin_attributes *made = NULL;
    if (custom_bytes(custom) > PB_ORIGIN_GCS_CUSTOM_METADATA_BYTES_MAX) {
        refuse(ret_refusal, 400, "invalid", "Custom metadata of more than 8 KiB", NULL);
    } else {
        made = attributes_of(values, custom, pb_origin_gcs_attribute(attributes, "expires"));
        if (attributes) {
            made->component_count = attributes->component_count;
            if (attributes->part_count > 0) {
                size_t bytes = attributes->part_count * sizeof(made->part_sizes[0]);
                made->part_count = attributes->part_count;
                made->part_sizes = pb_allocate(bytes);
                memcpy(made->part_sizes, attributes->part_sizes, bytes);
            }
        }
    }
    json_decref(custom);
    return made;
}

bool pb_origin_gcs_read_digest(pb_slice text, size_t size, uint8_t *ret_digest)
{
    pb_buffer bytes = {0};
    bool is_sound = pb_base64_decode(&bytes, text) && bytes.size == size;
    if (is_sound) {
        memcpy(ret_digest, bytes.data, size);
    }
    pb_buffer_free(&bytes);
    return is_sound;
}
