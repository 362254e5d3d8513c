#include "bench/origin/mime_parts.h"
#include <strings.h>

static pb_slice trim(pb_slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = pb_slice_from(text, 1);
    }
    while (text.size > 0 && memchr(" \t\r", text.data[text.size - 1], 3)) {
        text.size--;
    }
    return text;
}

static bool begins(pb_slice text, const char *lower)
{
    size_t size = strlen(lower);
    return text.size >= size && strncasecmp(text.data, lower, size) == 0;
}

bool pb_origin_mime_boundary(pb_slice content_type, const char *type, pb_slice *ret_boundary)
{
    if (!begins(content_type, type)) {
        return false;
    }
    pb_slice rest = {content_type.data + strlen(type), content_type.size - strlen(type)};
    while (rest.size > 0 && rest.data[0] == ';') {
        rest = trim(pb_slice_from(rest, 1));
        const char *end = memchr(rest.data, ';', rest.size);
        pb_slice setting = {rest.data, end ? (size_t)(end - rest.data) : rest.size};
        rest = pb_slice_from(rest, setting.size);
        setting = trim(setting);
        if (begins(setting, "boundary=")) {
            pb_slice value = {setting.data + 9, setting.size - 9};
            if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"') {
                value = (pb_slice){value.data + 1, value.size - 2};
            }
            *ret_boundary = value;
            return value.size > 0 && value.size <= 70;
        }
    }
    return false;
}

/* Whether a delimiter that was found is one: its line ends there, but for blanks, or is the last.
 */
static bool ends_line(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    return at == end || *at == '\r' || *at == '\n' || (end - at >= 2 && memcmp(at, "--", 2) == 0);
}

/* Where a line begins that is "--BOUNDARY"; NULL where none does. */
static const char *find_delimiter(pb_slice text, pb_slice boundary)
{
    char mark[80] = "--";
    size_t size = boundary.size + 2;
    memcpy(mark + 2, boundary.data, boundary.size);
    pb_slice rest = text;
    for (;;) {
        const char *found = rest.size > 0 ? memmem(rest.data, rest.size, mark, size) : NULL;
        if (!found || ((found == text.data || found[-1] == '\n') &&
                       ends_line(found + size, text.data + text.size))) {
            return found;
        }
        rest = (pb_slice){found + 1, rest.size - (size_t)(found + 1 - rest.data)};
    }
}

void pb_origin_mime_split(pb_slice text, pb_slice *ret_headers, pb_slice *ret_body)
{
    size_t line = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\n') {
            continue;
        }
        if (i == line || (i == line + 1 && text.data[line] == '\r')) {
            *ret_headers = (pb_slice){text.data, line};
            *ret_body = (pb_slice){text.data + i + 1, text.size - i - 1};
            return;
        }
        line = i + 1;
    }
    *ret_headers = text;
    *ret_body = (pb_slice){NULL, 0};
}

int pb_origin_mime_next(pb_slice *rest, pb_slice boundary, pb_slice *ret_headers,
                        pb_slice *ret_body)
{
    const char *start = find_delimiter(*rest, boundary);
    if (!start) {
        return -1;
    }
    const char *end = rest->data + rest->size;
    start += boundary.size + 2;
    if (end - start >= 2 && start[0] == '-' && start[1] == '-') {
        return 0;
    }
    const char *line = memchr(start, '\n', (size_t)(end - start));
    if (!line) {
        return -1;
    }
    pb_slice behind = {line + 1, (size_t)(end - line - 1)};
    const char *next = find_delimiter(behind, boundary);
    if (!next) {
        return -1;
    }
    /* The line break before a delimiter belongs to it. */
    const char *last = next;
    if (last > behind.data) {
        last--;
        if (last > behind.data && last[-1] == '\r') {
            last--;
        }
    }
    pb_origin_mime_split((pb_slice){behind.data, (size_t)(last - behind.data)}, ret_headers,
                         ret_body);
    *rest = (pb_slice){next, (size_t)(end - next)};
    return 1;
}

pb_slice pb_origin_mime_header(pb_slice headers, const char *name)
{
    size_t size = strlen(name);
    while (headers.size > 0) {
        const char *end = memchr(headers.data, '\n', headers.size);
        pb_slice line = {headers.data, end ? (size_t)(end - headers.data) : headers.size};
        size_t used = line.size + (end ? 1 : 0);
        headers = pb_slice_from(headers, used);
        if (line.size > size && line.data[size] == ':' && begins(line, name)) {
            return trim((pb_slice){line.data + size + 1, line.size - size - 1});
        }
    }
    return (pb_slice){NULL, 0};
}
