#include "copier/store/file/file_name.h"

#include "base/codec.h"

enum {
    NAME_BYTES_MAX = 255,
    PIECE_BYTES_MAX = 250, /* leaves room for %more and %leaf */
};

#define EMPTY_MARK PB_SLICE_LITERAL("%_")
#define MORE_MARK PB_SLICE_LITERAL("%more")
#define LEAF_MARK PB_SLICE_LITERAL("%leaf")
#define OWN_PREFIX PB_SLICE_LITERAL(PB_FILE_OWN_PREFIX)

static bool needs_escape(unsigned char c)
{
    return c == '%' || c < 0x20 || c == 0x7f;
}

static bool is_dots(pb_slice text)
{
    return text.size >= 1 && text.size <= 2 && text.data[0] == '.' &&
           text.data[text.size - 1] == '.';
}

static bool ends_with(pb_slice text, pb_slice end)
{
    return text.size >= end.size &&
           memcmp(text.data + text.size - end.size, end.data, end.size) == 0;
}

static void buffer_cut(pb_buffer *buffer, size_t size)
{
    buffer->size = size;
    if (buffer->data)
        buffer->data[size] = '\0';
}

/* True where the component is its own name. */
static bool stands_as_it_is(pb_slice component)
{
    if (component.size == 0 || component.size > NAME_BYTES_MAX || is_dots(component) ||
        pb_slice_starts_with(component, OWN_PREFIX))
        return false;
    for (size_t i = 0; i < component.size; i++)
        if (needs_escape((unsigned char)component.data[i]))
            return false;
    return true;
}

/* Appends one name from the beginning of `rest`, at most `bytes_max` long; returns how much it
 * took. */
static size_t append_piece(pb_buffer *path, pb_slice rest, size_t bytes_max)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t dots = is_dots(rest) ? rest.size : pb_slice_starts_with(rest, OWN_PREFIX) ? 1 : 0;
    size_t room = bytes_max;
    size_t taken = 0;
    for (; taken < rest.size; taken++) {
        unsigned char c = (unsigned char)rest.data[taken];
        bool escape = taken < dots || needs_escape(c);
        size_t size = escape ? 3 : 1;
        if (size > room)
            break;
        room -= size;
        if (escape)
            pb_buffer_append(path, (char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
        else
            pb_buffer_append_char(path, (char)c);
    }
    return taken;
}

void pb_file_component_append(pb_buffer *path, pb_slice component, bool aside)
{
    size_t start = path->size;
    size_t single_max = aside ? PIECE_BYTES_MAX : NAME_BYTES_MAX;
    if (component.size == 0) {
        pb_buffer_append_slice(path, EMPTY_MARK);
    } else if (component.size > single_max ||
               append_piece(path, component, single_max) < component.size) {
        buffer_cut(path, start);
        for (pb_slice rest = component;;) {
            size_t taken = append_piece(path, rest, PIECE_BYTES_MAX);
            rest = pb_slice_from(rest, taken);
            if (rest.size == 0)
                break;
            pb_buffer_append_slice(path, MORE_MARK);
            pb_buffer_append_char(path, '/');
        }
    }
    if (aside)
        pb_buffer_append_slice(path, LEAF_MARK);
}

bool pb_file_name_continues(pb_slice name)
{
    return ends_with(name, MORE_MARK);
}

/* Decodes whatever looks right; what is not canonical shows when it is encoded again. */
static bool decode(pb_slice path, pb_buffer *component, bool *ret_aside)
{
    *ret_aside = ends_with(path, LEAF_MARK);
    if (*ret_aside)
        path.size -= LEAF_MARK.size;
    if (pb_slice_equal(path, EMPTY_MARK))
        return true;
    while (path.size) {
        const char *slash = memchr(path.data, '/', path.size);
        pb_slice name = {path.data, slash ? (size_t)(slash - path.data) : path.size};
        size_t used = name.size + (slash != NULL);
        path = pb_slice_from(path, used);
        if (slash) {
            if (!ends_with(name, MORE_MARK))
                return false;
            name.size -= MORE_MARK.size;
        }
        if (!pb_percent_decode(component, name, false))
            return false;
    }
    return true;
}

bool pb_file_component_read(pb_slice path, pb_buffer *component, bool *ret_aside)
{
    if (stands_as_it_is(path)) {
        *ret_aside = false;
        pb_buffer_append_slice(component, path);
        return true;
    }
    size_t start = component->size;
    bool same = false;
    if (decode(path, component, ret_aside) && component->size - start <= PB_FILE_KEY_BYTES_MAX) {
        pb_slice decoded = {component->data ? component->data + start : NULL,
                            component->size - start};
        pb_buffer again = {0};
        pb_file_component_append(&again, decoded, *ret_aside);
        same = pb_slice_equal(pb_buffer_slice(&again), path);
        pb_buffer_free(&again);
    }
    if (!same)
        buffer_cut(component, start);
    return same;
}

bool pb_file_path_append(pb_buffer *path, pb_slice key, bool aside)
{
    if (key.size == 0 || key.size > PB_FILE_KEY_BYTES_MAX)
        return false;
    for (;;) {
        const char *slash = memchr(key.data, '/', key.size);
        if (slash == NULL)
            break;
        size_t size = (size_t)(slash - key.data);
        pb_file_component_append(path, (pb_slice){key.data, size}, false);
        pb_buffer_append_char(path, '/');
        key = (pb_slice){slash + 1, key.size - size - 1};
    }
    pb_file_component_append(path, key, aside);
    return true;
}
