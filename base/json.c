#include "base/json.h"

#include <stdlib.h>

static int parse(pb_slice text, const char *what, bool secret, json_t **ret_object, pb_error *error)
{
    json_error_t cause;
    json_t *value =
        json_loadb(text.data ? text.data : "", text.size, JSON_REJECT_DUPLICATES, &cause);
    if (value == NULL) /* the cause quotes the text */
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: not valid JSON: line %d, column %d%s%s",
                            what, cause.line, cause.column, secret ? "" : ": ",
                            secret ? "" : cause.text);
    if (!json_is_object(value)) {
        json_decref(value);
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: not a JSON object", what);
    }
    *ret_object = value;
    return 0;
}

int pb_json_parse(pb_slice text, const char *what, json_t **ret_object, pb_error *error)
{
    return parse(text, what, false, ret_object, error);
}

int pb_json_parse_secret(pb_slice text, const char *what, json_t **ret_object, pb_error *error)
{
    return parse(text, what, true, ret_object, error);
}

/* As deep as the parser allows, 2048. */
static void overwrite(json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    if (json_is_string(value))
        explicit_bzero((char *)json_string_value(value), json_string_length(value));
    json_object_foreach(value, name, member) overwrite(member);
    json_array_foreach(value, i, member) overwrite(member);
}

void pb_json_wipe(json_t *object)
{
    overwrite(object);
    json_decref(object);
}

static int refuse(pb_error *error, const char *what, const char *name, const json_t *value,
                  const char *wanted)
{
    if (value == NULL)
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is missing", what, name);
    return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is not %s", what, name, wanted);
}

int pb_json_string(const json_t *object, const char *name, const char *what, const char **ret_text,
                   pb_error *error)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return refuse(error, what, name, value, "a string");
    *ret_text = json_string_value(value);
    return 0;
}

int pb_json_unsigned(const json_t *object, const char *name, const char *what, uint64_t *ret_value,
                     pb_error *error)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return refuse(error, what, name, value, "a whole number from 0");
    *ret_value = (uint64_t)json_integer_value(value);
    return 0;
}

int pb_json_array(const json_t *object, const char *name, const char *what, json_t **ret_array,
                  pb_error *error)
{
    json_t *value = json_object_get(object, name);
    if (!json_is_array(value))
        return refuse(error, what, name, value, "an array");
    *ret_array = value;
    return 0;
}

int pb_json_string_if(const json_t *object, const char *name, const char *what,
                      const char **ret_text, pb_error *error)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL || json_is_null(value))
        return 0;
    return pb_json_string(object, name, what, ret_text, error);
}

static int append_chunk(const char *data, size_t size, void *context)
{
    pb_buffer_append(context, data, size);
    return 0;
}

void pb_json_append(pb_buffer *buffer, const json_t *value)
{
    if (json_dump_callback(value, append_chunk, buffer, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        abort(); /* only a value that could not be built in the first place */
    pb_buffer_append_char(buffer, '\n');
}
