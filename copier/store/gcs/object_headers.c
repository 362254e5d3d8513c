#include "copier/store/gcs/object_headers.h"

#include "base/codec.h"
#include "base/json.h"
#include "copier/store/answer.h"
#include "copier/store/header_line.h"
#include <ctype.h>

#define METADATA "x-amz-meta-"

/* Headers that a resource has as members. */
static const struct named_member {
    const char *header, *member;
} members[] = {
    {"content-type", "contentType"},
    {"cache-control", "cacheControl"},
    {"content-disposition", "contentDisposition"},
    {"content-encoding", "contentEncoding"},
    {"content-language", "contentLanguage"},
};
enum { MEMBER_COUNT = sizeof members / sizeof *members };

static bool takes_start(pb_slice *text, const char *start)
{
    size_t size = strlen(start);
    if (text->size <= size || memcmp(text->data, start, size) != 0)
        return false;
    *text = (pb_slice){text->data + size, text->size - size};
    return true;
}

static bool is_token(pb_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (!c || (!isalnum((unsigned char)c) && !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return text.size > 0;
}

static const char *member_of(pb_slice name)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++)
        if (pb_slice_equal(name, pb_slice_of(members[i].header)))
            return members[i].member;
    return NULL;
}

bool pb_gcs_headers_are_a_type(pb_slice headers, pb_slice *ret_type)
{
    pb_slice rest = headers, name, value;
    *ret_type = (pb_slice){NULL, 0};
    while (pb_header_line_next(&rest, &name, &value)) {
        if (ret_type->size || !pb_slice_equal(name, PB_SLICE_LITERAL("content-type")))
            return false;
        *ret_type = value;
    }
    return true;
}

static void append_pair(pb_buffer *buffer, pb_slice name, pb_slice value)
{
    char last = buffer->data[buffer->size - 1];
    if (last != '{')
        pb_buffer_append_char(buffer, ',');
    pb_json_append_string(buffer, name);
    pb_buffer_append_char(buffer, ':');
    pb_json_append_string(buffer, value);
}

int pb_gcs_headers_to_resource(pb_slice headers, pb_buffer *buffer, pb_error *error)
{
    pb_slice rest = headers, name, value;
    pb_buffer metadata = {0};
    pb_buffer_append_char(buffer, '{');
    pb_buffer_append_char(&metadata, '{');
    int failed = 0;
    while (!failed && pb_header_line_next(&rest, &name, &value)) {
        const char *member = member_of(name);
        if (!pb_utf8_valid(name) || !pb_utf8_valid(value))
            failed = pb_error_set(error, PB_ERROR_FAILED, "a header of the object is not UTF-8");
        else if (member)
            append_pair(buffer, pb_slice_of(member), value);
        else if (takes_start(&name, METADATA) && is_token(name))
            append_pair(&metadata, name, value);
        else if (!pb_slice_equal(name, PB_SLICE_LITERAL("expires")))
            failed = pb_error_set(error, PB_ERROR_USAGE, "not a header of an object: %.*s",
                                  PB_SLICE_FORMAT(name));
    }
    if (metadata.size > 1) {
        pb_buffer_append_text(buffer, buffer->data[buffer->size - 1] == '{' ? "\"metadata\":"
                                                                            : ",\"metadata\":");
        pb_buffer_append_slice(buffer, pb_buffer_slice(&metadata));
        pb_buffer_append_char(buffer, '}');
    }
    pb_buffer_append_char(buffer, '}');
    pb_buffer_free(&metadata);
    return failed;
}

static int append_header(pb_buffer *headers, const char *start, const char *name,
                         const json_t *value, pb_error *error)
{
    const char *text = json_string_value(value);
    if (!text || json_string_length(value) != strlen(text) ||
        !pb_header_value_valid(pb_slice_of(text)) || strchr(text, '\t')) /* lost at an end */
        return pb_error_set(error, PB_ERROR_FAILED,
                            "metadata that is no line of text, which another store cannot keep: %s",
                            name);
    pb_buffer_append_format(headers, "%s%s: %s\n", start, name, text);
    return 0;
}

int pb_gcs_headers_of_resource(const json_t *resource, pb_buffer *headers, pb_error *error)
{
    for (size_t i = 0; i < MEMBER_COUNT; i++) {
        const json_t *value = json_object_get(resource, members[i].member);
        if (value && append_header(headers, "", members[i].header, value, error))
            return -1;
    }
    json_t *metadata = json_object_get(resource, "metadata");
    const char *name;
    json_t *value;
    json_object_foreach(metadata, name, value)
    {
        if (!is_token(pb_slice_of(name)))
            return pb_error_set(error, PB_ERROR_FAILED,
                                "metadata whose name is no header's, which another store cannot "
                                "keep: %s",
                                name);
        if (append_header(headers, METADATA, name, value, error))
            return -1;
    }
    return headers->size <= PB_OBJECT_HEADERS_MAX
               ? 0
               : pb_error_set(error, PB_ERROR_FAILED, "object headers of more than 16 KiB");
}
