#include "cluster/database/role_filter.h"

#include <stdlib.h>

enum { LINE_BYTES_MAX = 64 * 1024 }; /* a longer one is not about roles */

struct pb_role_filter {
    void (*write)(void *context, const void *data, size_t size);
    void *context;
    pb_buffer line;
    char quote;     /* the line begins within '...' or "..."; else 0 */
    bool continues; /* it has a beginning that was too long */
    bool is_comment;
    bool passes; /* the first \connect came: no roles behind it */
};

pb_role_filter *pb_role_filter_new(void (*write)(void *context, const void *data, size_t size),
                                   void *context)
{
    pb_role_filter *filter = pb_allocate_zeroed(1, sizeof *filter);
    filter->write = write;
    filter->context = context;
    return filter;
}

void pb_role_filter_free(pb_role_filter *filter)
{
    if (!filter)
        return;
    pb_buffer_free(&filter->line);
    free(filter);
}

/* CREATE ROLE name; -> DO $role$ BEGIN IF NOT EXISTS (...) THEN CREATE ROLE name; END IF; END
 * $role$; psql takes no \gexec behind the script's \restrict. */
static bool rewrite(pb_slice line, pb_buffer *text)
{
    static const char create[] = "CREATE ROLE ";
    size_t start = sizeof create - 1;
    if (!pb_slice_starts_with(line, PB_SLICE_LITERAL(create)) || line.size < start + 3 ||
        memcmp(line.data + line.size - 2, ";\n", 2) != 0)
        return false;
    pb_slice name = {line.data + start, line.size - start - 2};
    bool quoted = name.size > 2 && name.data[0] == '"' && name.data[name.size - 1] == '"';
    if (memmem(name.data, name.size, "$role$", 6))
        return false; /* as it is: it may exist, and then psql says so */
    pb_buffer_append_text(text, "DO $role$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles "
                                "WHERE rolname = '");
    size_t end = quoted ? name.size - 1 : name.size;
    for (size_t i = quoted ? 1 : 0; i < end; i++) {
        if (quoted && name.data[i] == '"' && i + 1 < end && name.data[i + 1] == '"')
            i++; /* "" is one of them */
        pb_buffer_append_format(text, name.data[i] == '\'' ? "''" : "%c", name.data[i]);
    }
    pb_buffer_append_text(text, "') THEN CREATE ROLE ");
    pb_buffer_append_slice(text, name);
    pb_buffer_append_text(text, "; END IF; END $role$;\n");
    return true;
}

/* Whoever may comment on a role can write lines that look like others into a string. */
static void follow_quotes(pb_role_filter *filter, pb_slice line)
{
    for (size_t i = 0; i < line.size && !filter->is_comment; i++) {
        char c = line.data[i];
        if (filter->quote ? c == filter->quote : c == '\'' || c == '"')
            filter->quote = filter->quote ? 0 : c;
    }
}

static void flush(pb_role_filter *filter)
{
    pb_buffer text = {0};
    pb_slice line = pb_buffer_slice(&filter->line);
    bool begins = !filter->quote && !filter->continues;
    if (begins && rewrite(line, &text))
        filter->write(filter->context, text.data, text.size);
    else if (line.size)
        filter->write(filter->context, line.data, line.size);
    if (begins) {
        filter->is_comment = pb_slice_starts_with(line, PB_SLICE_LITERAL("--"));
        filter->passes |= pb_slice_starts_with(line, PB_SLICE_LITERAL("\\connect "));
    }
    follow_quotes(filter, line);
    filter->continues = line.size && line.data[line.size - 1] != '\n';
    filter->is_comment &= filter->continues;
    pb_buffer_free(&text);
    pb_buffer_clear(&filter->line);
}

void pb_role_filter_feed(pb_role_filter *filter, const void *data, size_t size)
{
    const char *at = data, *end = at + size;
    while (at < end && !filter->passes) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t taken = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);
        pb_buffer_append(&filter->line, at, taken);
        at += taken;
        if (newline || filter->line.size >= LINE_BYTES_MAX)
            flush(filter);
    }
    if (at < end)
        filter->write(filter->context, at, (size_t)(end - at));
}

void pb_role_filter_end(pb_role_filter *filter)
{
    flush(filter);
}
