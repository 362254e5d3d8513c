#include "cli/result_json.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/failure.h"
#include <stdlib.h>

/* ---- values ---- */

json_t *pb_json_of_time(int64_t utc_ms)
{
    char text[PB_TIME_TEXT_MAX];
    if (!utc_ms)
        return json_null();
    pb_time_format_rfc3339(utc_ms, text);
    return json_string(text);
}

json_t *pb_json_of_text(const char *text)
{
    if (!text)
        return json_null();
    if (pb_utf8_valid(pb_slice_of(text)))
        return json_string(text);
    char *line = pb_duplicate(pb_slice_of(text));
    pb_text_make_line(line);
    json_t *value = json_string(line);
    free(line);
    return value;
}

static void add(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value))
        abort(); /* out of memory */
}

static void add_text(json_t *object, const char *name, const char *text)
{
    add(object, name, pb_json_of_text(text));
}

/* null where it is empty. */
static void add_text_if(json_t *object, const char *name, const char *text)
{
    add_text(object, name, text && text[0] ? text : NULL);
}

/* ---- which snapshot ---- */

void pb_json_add_choice(json_t *object, const pb_choice *choice)
{
    json_t *attempts = json_array(), *sources = json_array();
    for (size_t i = 0; i < choice->newer_attempt_count; i++)
        json_array_append_new(attempts, pb_json_of_text(choice->newer_attempts[i]));
    add(object, "newer_attempts", attempts);
    for (size_t i = 0; i < choice->source_count; i++) {
        json_t *source = json_object();
        add_text(source, "source", choice->sources[i].name);
        add_text(source, "prefix", choice->sources[i].prefix);
        add_text_if(source, "namespace", choice->sources[i].name_space);
        add_text(source, "newest", choice->sources[i].newest);
        json_array_append_new(sources, source);
    }
    if (choice->source_count)
        json_object_set(object, "sources", sources);
    json_decref(sources);
}

/* ---- results ---- */

static json_t *list_value(const pb_field *field, const pb_field_value *value,
                          const pb_options *options)
{
    json_t *array = json_array();
    for (size_t i = 0; i < value->number; i++) {
        json_t *item = json_object();
        pb_result_json(item, field->fields, (const char *)value->at + i * field->item_size,
                       options);
        json_array_append_new(array, item);
    }
    return array;
}

static json_t *sentence_value(const pb_field *field, const void *result, const pb_options *options)
{
    pb_buffer text = {0};
    field->append(&text, result, options);
    json_t *value = pb_json_of_text(text.data);
    pb_buffer_free(&text);
    return value;
}

static json_t *value_of(const pb_field *field, const pb_field_value *value, const void *result,
                        const pb_options *options)
{
    switch (field->kind) {
    case PB_FIELD_COUNT:
    case PB_FIELD_BYTES:
        return json_integer((json_int_t)value->number);
    case PB_FIELD_DURATION:
        return (int64_t)value->number < 0 ? json_null() : json_integer((json_int_t)value->number);
    case PB_FIELD_TIME:
        return pb_json_of_time((int64_t)value->number);
    case PB_FIELD_TEXT:
    case PB_FIELD_NAME:
        return field->flags & PB_FIELD_EMPTY_IS_NULL && !value->is_set
                   ? json_null()
                   : pb_json_of_text(value->text);
    case PB_FIELD_FLAG:
        return json_boolean(value->number);
    case PB_FIELD_SENTENCE:
        return value->is_set ? sentence_value(field, result, options) : json_null();
    case PB_FIELD_LIST:
    case PB_FIELD_LINES:
        return list_value(field, value, options);
    case PB_FIELD_WORKLOADS:
        return pb_workloads_json(value->at);
    case PB_FIELD_PROOFS:
    case PB_FIELD_GROUP_AT:
    case PB_FIELD_SNAPSHOT:
    case PB_FIELD_CHOICE:
        break;
    }
    return json_null(); /* a group that there is none of */
}

static bool is_group(pb_field_kind kind)
{
    return kind == PB_FIELD_PROOFS || kind == PB_FIELD_GROUP_AT || kind == PB_FIELD_SNAPSHOT;
}

/* The object that a group's members go into: several groups of one name share it. */
static json_t *object_of(json_t *around, const char *name)
{
    if (name && !json_object_get(around, name))
        add(around, name, json_object());
    return name ? json_object_get(around, name) : around;
}

void pb_result_json(json_t *object, const pb_fields *fields, const void *result,
                    const pb_options *options)
{
    for (size_t i = 0; i < fields->count; i++) {
        const pb_field *field = &fields->items[i];
        pb_field_value value = pb_field_value_of(field, result, options);
        if ((field->flags & PB_FIELD_JSON_IF_SET && !value.is_set) ||
            (field->flags & PB_FIELD_OF_CLUSTER_RUN && !options->is_cluster))
            continue;
        if (field->kind == PB_FIELD_CHOICE)
            pb_json_add_choice(object, value.at);
        else if (is_group(field->kind) && value.at)
            pb_result_json(object_of(object, field->name), field->fields, value.at, options);
        else if (field->name)
            add(object, field->name, value_of(field, &value, result, options));
    }
}

/* ---- errors ---- */

json_t *pb_json_of_error(const pb_error *error)
{
    if (error->kind == PB_ERROR_NONE)
        return json_null();
    json_t *object = json_object();
    add_text(object, "kind", pb_failure_name(error->kind));
    add_text(object, "message", error->message);
    add_text_if(object, "hint", error->hint);
    add_text_if(object, "code", error->code);
    add(object, "status", error->status ? json_integer(error->status) : json_null());
    add_text_if(object, "request_id", error->request_id);
    return object;
}
