/* What edits changed, in words that hold no secret. */
#include "base/base64.h"
#include "base/codec.h"
#include "cluster/edits/edits.h"
#include "cluster/kubernetes/object.h"
#include "cluster/pachyderm/layout.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { SHOWN_BYTES_MAX = 200 };

typedef struct diff_walk {
    pb_buffer *buffer;
    const char *kind, *name;
    pb_buffer path;
    const char
        *owner; /* "name" of the innermost element of a list that has one, as of a variable */
} diff_walk;

/* Where the store is, is no secret. */
static bool is_open(const diff_walk *walk)
{
    return strcmp(walk->name, PB_STORAGE_SECRET) == 0 &&
           strncmp(walk->path.data, "data.", 5) == 0 && pb_layout_is_place_key(walk->path.data + 5);
}

/* Of a Secret all is but its metadata; annotations may hold a copy of all. */
static bool is_secret(const diff_walk *walk)
{
    static const char *const words[] = {"PASSWORD", "SECRET", "TOKEN", "CRED", "LICENSE", "KEY"};
    if (strcmp(walk->kind, "Secret") == 0)
        return strncmp(walk->path.data, "metadata.", 9) != 0 ||
               strncmp(walk->path.data, "metadata.annotations", 20) == 0;
    const char *name = strcmp(walk->kind, "ConfigMap") == 0 ? walk->path.data : walk->owner;
    for (size_t i = 0; name && i < COUNT(words); i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}

/* "postgres://user:password@host" */
static bool holds_password(const char *text)
{
    for (const char *at = strstr(text, "://"); at; at = strstr(at + 3, "://")) {
        size_t authority = strcspn(at + 3, "/?# \t\r\n\"'");
        const char *end = memchr(at + 3, '@', authority);
        if (end && memchr(at + 3, ':', (size_t)(end - at - 3)))
            return true;
    }
    return false;
}

static void append_value(const diff_walk *walk, const json_t *value, pb_buffer *line)
{
    const char *text = json_string_value(value);
    pb_buffer bytes = {0};
    if (value == NULL)
        pb_buffer_append_text(line, "(none)");
    else if (strcmp(walk->kind, "Secret") == 0 && text && is_secret(walk)) {
        bool decoded = pb_base64_decode(&bytes, pb_slice_of(text));
        if (decoded && is_open(walk) && pb_utf8_valid(pb_buffer_slice(&bytes)))
            pb_json_append_string(line, pb_buffer_slice(&bytes));
        else
            pb_buffer_append_format(line, "(secret, %zu bytes)",
                                    decoded ? bytes.size : strlen(text));
    } else if (is_secret(walk) || (text && holds_password(text))) {
        if (text)
            pb_buffer_append_format(line, "(secret, %zu bytes)", strlen(text));
        else
            pb_buffer_append_text(line, "(secret)");
    } else {
        char *json = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        size_t size = json ? strlen(json) : 0, shown = size;
        if (size > SHOWN_BYTES_MAX)
            for (shown = SHOWN_BYTES_MAX; (json[shown] & 0xc0) == 0x80;)
                shown--; /* no character cut in two */
        pb_buffer_append(line, json, shown);
        if (shown < size)
            pb_buffer_append_format(line, "... (%zu bytes)", size);
        free(json);
    }
    pb_buffer_free(&bytes);
}

static void compare(diff_walk *walk, const json_t *before, const json_t *after);

/* One line; what is added or removed as a whole is told by its values, so that secrets inside are
 * known by their names. */
static void tell(diff_walk *walk, const json_t *before, const json_t *after)
{
    const json_t *value = before ? before : after;
    if ((before == NULL || after == NULL) && ((json_is_object(value) && json_object_size(value)) ||
                                              (json_is_array(value) && json_array_size(value)))) {
        json_t *empty = json_is_object(value) ? json_object() : json_array();
        compare(walk, before ? before : empty, after ? after : empty);
        json_decref(empty);
        return;
    }
    pb_buffer line = {0};
    pb_buffer_append_format(&line, "%s/%s %s: ", walk->kind, walk->name, walk->path.data);
    append_value(walk, before, &line);
    pb_buffer_append_text(&line, " -> ");
    append_value(walk, after, &line);
    pb_text_make_line(line.data);
    pb_buffer_append_text(walk->buffer, line.data);
    pb_buffer_append_char(walk->buffer, '\n');
    pb_buffer_free(&line);
}

static void cut_path(diff_walk *walk, size_t size)
{
    walk->path.size = size;
    walk->path.data[size] = '\0';
}

static void compare_member(diff_walk *walk, const char *name, const json_t *before,
                           const json_t *after)
{
    size_t size = walk->path.size;
    bool quoted = strpbrk(name, ".[] ") != NULL;
    if (quoted)
        pb_buffer_append_format(&walk->path, "[\"%s\"]", name);
    else
        pb_buffer_append_format(&walk->path, "%s%s", size ? "." : "", name);
    compare(walk, before, after);
    cut_path(walk, size);
}

static void compare_objects(diff_walk *walk, const json_t *before, const json_t *after)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)before, name, value)
    {
        compare_member(walk, name, value, json_object_get(after, name));
    }
    json_object_foreach((json_t *)(uintptr_t)after, name, value)
    {
        if (json_object_get(before, name) == NULL)
            compare_member(walk, name, NULL, value);
    }
}

static const json_t *named(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(pb_object_text(json_array_get(list, i), "name"), name) == 0)
            return json_array_get(list, i);
    return NULL;
}

/* True where each element has a name of its own: containers, variables. */
static bool has_names(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = pb_object_text(item, "name");
        if (!*name || named(list, name) != item)
            return false;
    }
    return true;
}

static void compare_element(diff_walk *walk, const char *name, size_t i, const json_t *before,
                            const json_t *after)
{
    const char *owner = walk->owner;
    size_t size = walk->path.size;
    if (name) {
        walk->owner = name;
        pb_buffer_append_format(&walk->path, "[%s]", name);
    } else
        pb_buffer_append_format(&walk->path, "[%zu]", i);
    compare(walk, before, after);
    walk->owner = owner;
    cut_path(walk, size);
}

static void compare_lists(diff_walk *walk, const json_t *before, const json_t *after)
{
    size_t count = json_array_size(before), more = json_array_size(after);
    if (has_names(before) && has_names(after)) {
        for (size_t i = 0; i < count; i++) {
            const json_t *item = json_array_get(before, i);
            const char *name = pb_object_text(item, "name");
            compare_element(walk, name, i, item, named(after, name));
        }
        for (size_t i = 0; i < more; i++) {
            const json_t *item = json_array_get(after, i);
            const char *name = pb_object_text(item, "name");
            if (named(before, name) == NULL)
                compare_element(walk, name, i, NULL, item);
        }
        return;
    }
    for (size_t i = 0; i < count || i < more; i++)
        compare_element(walk, NULL, i, json_array_get(before, i), json_array_get(after, i));
}

static void compare(diff_walk *walk, const json_t *before, const json_t *after)
{
    if (before && after && json_equal(before, after))
        return;
    if (json_is_object(before) && json_is_object(after))
        compare_objects(walk, before, after);
    else if (json_is_array(before) && json_is_array(after))
        compare_lists(walk, before, after);
    else
        tell(walk, before, after);
}

static void compare_whole(pb_buffer *buffer, const json_t *before, const json_t *after)
{
    const json_t *object = before ? before : after;
    diff_walk walk = {
        .buffer = buffer, .kind = pb_object_kind(object), .name = pb_object_name(object)};
    pb_buffer_append_text(&walk.path, "");
    if (before && after)
        compare(&walk, before, after);
    else
        pb_buffer_append_format(buffer, "%s/%s: %s\n", walk.kind, walk.name,
                                before ? "left out" : "added");
    pb_buffer_free(&walk.path);
}

void pb_edits_diff(const json_t *before, const json_t *after, pb_buffer *buffer)
{
    json_t *old = pb_objects_by_name(before), *new = pb_objects_by_name(after), *object;
    const char *key;
    json_object_foreach(old, key, object)
    {
        compare_whole(buffer, object, json_object_get(new, key));
    }
    json_object_foreach(new, key, object)
    {
        if (json_object_get(old, key) == NULL)
            compare_whole(buffer, NULL, object);
    }
    json_decref(old);
    json_decref(new);
}
