#include "base/yaml.h"

#include "base/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <yaml.h>

enum { LEVELS_MAX = 64, INDENT = 2 };

/* A mapping or sequence that is open, owned by the one around it. */
typedef struct yaml_level {
    json_t *value;
    char *key; /* of a mapping: the one whose value comes next, else NULL */
} yaml_level;

typedef struct yaml_reader {
    const char *what;
    yaml_parser_t parser;
    yaml_level levels[LEVELS_MAX];
    size_t depth;
    json_t *root; /* of the first document */
    pb_error *error;
} yaml_reader;

static int refuse(const yaml_reader *reader, yaml_mark_t mark, const char *problem)
{
    return pb_error_set(reader->error, PB_ERROR_USAGE, "%s: line %zu, column %zu: %s", reader->what,
                        mark.line + 1, mark.column + 1, problem);
}

static bool is_one_of(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

/* Numbers as JSON writes them. One with a leading zero is text: an account's number keeps it. */
static bool is_whole_number(const char *text, json_int_t *ret_value)
{
    const char *digits = text + (*text == '-');
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || digits[count] != '\0' || (*digits == '0' && (count > 1 || digits != text)))
        return false;
    errno = 0;
    *ret_value = strtoll(text, NULL, 10);
    return errno == 0;
}

static json_t *plain_scalar(const char *text)
{
    json_int_t number;
    if (is_one_of(text, "true", "True", "TRUE"))
        return json_true();
    if (is_one_of(text, "false", "False", "FALSE"))
        return json_false();
    if (*text == '\0' || strcmp(text, "~") == 0 || is_one_of(text, "null", "Null", "NULL"))
        return json_null();
    return is_whole_number(text, &number) ? json_integer(number) : json_string(text);
}

/* Puts a value (taken over) where it belongs: into the open level, or as the document itself. */
static int place(yaml_reader *reader, json_t *value)
{
    if (value == NULL)
        abort(); /* out of memory, or text that libyaml did not check */
    if (reader->depth == 0) {
        reader->root = value;
        return 0;
    }
    yaml_level *around = &reader->levels[reader->depth - 1];
    int done = json_is_array(around->value)
                   ? json_array_append_new(around->value, value)
                   : json_object_set_new(around->value, around->key, value);
    if (done != 0)
        abort();
    free(around->key);
    around->key = NULL;
    return 0;
}

static bool wants_key(const yaml_reader *reader)
{
    const yaml_level *around = reader->depth ? &reader->levels[reader->depth - 1] : NULL;
    return around && json_is_object(around->value) && around->key == NULL;
}

static int take_scalar(yaml_reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    yaml_mark_t mark = event->start_mark;
    if (event->data.scalar.anchor)
        return refuse(reader, mark, "anchors are not taken");
    if (event->data.scalar.tag)
        return refuse(reader, mark, "tags are not taken");
    /* "\0" and "\ud800" can be written as escapes. */
    if (strlen(text) != size || !pb_utf8_valid((pb_slice){text, size}))
        return refuse(reader, mark, "text with a NUL, or that is not UTF-8");
    if (wants_key(reader)) {
        yaml_level *around = &reader->levels[reader->depth - 1];
        if (json_object_get(around->value, text)) {
            pb_error_set(reader->error, PB_ERROR_USAGE,
                         "%s: line %zu, column %zu: \"%s\" is given twice", reader->what,
                         mark.line + 1, mark.column + 1, text);
            return -1;
        }
        around->key = pb_duplicate((pb_slice){text, size});
        return 0;
    }
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return place(reader, plain ? plain_scalar(text) : json_string(text));
}

static int open_level(yaml_reader *reader, json_t *value, bool has_anchor, bool has_tag,
                      yaml_mark_t mark)
{
    const char *problem = has_anchor                    ? "anchors are not taken"
                          : has_tag                     ? "tags are not taken"
                          : wants_key(reader)           ? "a key that is not text"
                          : reader->depth == LEVELS_MAX ? "nested too deeply"
                                                        : NULL;
    if (problem) {
        json_decref(value);
        return refuse(reader, mark, problem);
    }
    place(reader, value);
    reader->levels[reader->depth++] = (yaml_level){.value = value};
    return 0;
}

static int take(yaml_reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return reader->root ? refuse(reader, event->start_mark, "a second document") : 0;
    case YAML_ALIAS_EVENT:
        return refuse(reader, event->start_mark, "aliases are not taken");
    case YAML_SCALAR_EVENT:
        return take_scalar(reader, event);
    case YAML_MAPPING_START_EVENT:
        return open_level(reader, json_object(), event->data.mapping_start.anchor,
                          event->data.mapping_start.tag, event->start_mark);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(reader, json_array(), event->data.sequence_start.anchor,
                          event->data.sequence_start.tag, event->start_mark);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        reader->depth--;
        return 0;
    default:
        return 0;
    }
}

static int read_events(yaml_reader *reader)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event)) {
            const yaml_parser_t *parser = &reader->parser;
            if (parser->error == YAML_MEMORY_ERROR)
                abort();
            if (parser->error == YAML_READER_ERROR)
                return pb_error_set(reader->error, PB_ERROR_USAGE, "%s: byte %zu: %s", reader->what,
                                    parser->problem_offset + 1,
                                    parser->problem ? parser->problem : "not YAML");
            return refuse(reader, parser->problem_mark,
                          parser->problem ? parser->problem : "not YAML");
        }
        more = event.type != YAML_STREAM_END_EVENT;
        int done = take(reader, &event);
        yaml_event_delete(&event);
        if (done != 0)
            return -1;
    }
    return 0;
}

int pb_yaml_parse(pb_slice text, const char *what, json_t **ret_object, pb_error *error)
{
    if (text.size > PB_YAML_BYTES_MAX)
        return pb_error_set(error, PB_ERROR_USAGE, "%s: larger than %d bytes", what,
                            PB_YAML_BYTES_MAX);
    yaml_reader reader = {.what = what, .error = error};
    if (!yaml_parser_initialize(&reader.parser))
        abort();
    /* Else a document could choose UTF-16. */
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser,
                                 (const unsigned char *)(text.data ? text.data : ""), text.size);
    int done = read_events(&reader);
    yaml_parser_delete(&reader.parser);
    while (reader.depth > 0)
        free(reader.levels[--reader.depth].key);
    if (done == 0 && (reader.root == NULL || json_is_null(reader.root))) {
        json_decref(reader.root);
        reader.root = json_object();
    }
    if (done == 0 && !json_is_object(reader.root))
        done = pb_error_set(error, PB_ERROR_USAGE, "%s: not a mapping of names to values", what);
    if (done != 0) {
        json_decref(reader.root);
        return -1;
    }
    *ret_object = reader.root;
    return 0;
}

/* ---- writing ---- */

static bool is_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '/' || c == '.';
}

/* Text that reads back as the same text without quotes, in any reader: "no" is false to some, and
 * what begins as a number is one to others. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"y",   "n",    "yes",  "no",   "on",
                                        "off", "null", "true", "false"};
    if (!is_word((unsigned char)*text) || strchr("0123456789.", *text))
        return false;
    for (const char *at = text; *at; at++)
        if (!is_word((unsigned char)*at) && !strchr("-+=@?&%", *at) &&
            !(*at == ':' && at[1] != '\0'))
            return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    return true;
}

/* The character at `text`, which is valid UTF-8, and how many bytes it has. */
static uint32_t character(const unsigned char *text, size_t *ret_bytes)
{
    size_t more = *text < 0x80 ? 0 : *text < 0xe0 ? 1 : *text < 0xf0 ? 2 : 3;
    uint32_t value = more ? *text & (0x3fU >> more) : *text;
    for (size_t i = 1; i <= more; i++)
        value = value << 6 | (text[i] & 0x3fU);
    *ret_bytes = more + 1;
    return value;
}

static bool is_printable(uint32_t value)
{
    return (value >= 0x20 && value <= 0x7e) ||
           (value >= 0xa0 && value <= 0xd7ff && value != 0x2028 && value != 0x2029) ||
           (value >= 0xe000 && value <= 0xfffd && value != 0xfeff) || value >= 0x10000;
}

static void append_text(pb_buffer *buffer, const char *text)
{
    if (is_plain(text)) {
        pb_buffer_append_text(buffer, text);
        return;
    }
    pb_buffer_append_char(buffer, '"');
    size_t bytes;
    for (const char *at = text; *at; at += bytes) {
        uint32_t value = character((const unsigned char *)at, &bytes);
        if (value == '"' || value == '\\')
            pb_buffer_append_format(buffer, "\\%c", (int)value);
        else if (value == '\n')
            pb_buffer_append_text(buffer, "\\n");
        else if (is_printable(value))
            pb_buffer_append(buffer, at, bytes);
        else
            pb_buffer_append_format(buffer, "\\u%04" PRIX32, value);
    }
    pb_buffer_append_char(buffer, '"');
}

static void append_scalar(pb_buffer *buffer, const json_t *value)
{
    if (json_is_string(value))
        append_text(buffer, json_string_value(value));
    else if (json_is_integer(value))
        pb_buffer_append_format(buffer, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        pb_buffer_append_text(buffer, json_is_true(value) ? "true" : "false");
    else if (json_is_null(value))
        pb_buffer_append_text(buffer, "null");
    else
        abort(); /* not what the header promises to write */
}

static void append_object(pb_buffer *buffer, const json_t *object, int indent)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        pb_buffer_append_format(buffer, "%*s", indent, "");
        append_text(buffer, key);
        pb_buffer_append_char(buffer, ':');
        if (json_is_object(value) && json_object_size(value) > 0) {
            pb_buffer_append_char(buffer, '\n');
            append_object(buffer, value, indent + INDENT);
        } else if (json_is_array(value) && json_array_size(value) > 0) {
            pb_buffer_append_char(buffer, '\n');
            for (size_t i = 0; i < json_array_size(value); i++) {
                pb_buffer_append_format(buffer, "%*s- ", indent + INDENT, "");
                append_scalar(buffer, json_array_get(value, i));
                pb_buffer_append_char(buffer, '\n');
            }
        } else {
            pb_buffer_append_char(buffer, ' ');
            if (json_is_object(value) || json_is_array(value))
                pb_buffer_append_text(buffer, json_is_object(value) ? "{}" : "[]");
            else
                append_scalar(buffer, value);
            pb_buffer_append_char(buffer, '\n');
        }
    }
}

void pb_yaml_append(pb_buffer *buffer, const json_t *object)
{
    append_object(buffer, object, 0);
}
