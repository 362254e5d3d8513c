#include "copier/store/gcs/list_reader.h"

#include "base/json_cursor.h"
#include "copier/store/gcs/request.h"
#include "copier/store/gcs/response.h"

#define LIST_KIND "storage#objects"

/* What reads a page; `broken` is what it says that the protocol does not allow. */
typedef struct list_reader {
    pb_json_cursor cursor;
    const pb_gcs_list_asked *asked;
    pb_page *page;
    const char *broken;
    pb_slice kind, token;
} list_reader;

static bool refuse(list_reader *reader, const char *why)
{
    reader->broken = why;
    return false;
}

/* What comes next is of another type; where nothing comes, the answer is cut off. */
static bool refuse_type(list_reader *reader, const char *why)
{
    if (reader->cursor.at == reader->cursor.end)
        return pb_json_fail(&reader->cursor, "cut off");
    return refuse(reader, why);
}

/* A member's name and the colon, from `{` or `,` on. */
static bool take_name(pb_json_cursor *cursor, pb_slice *ret_name)
{
    pb_json_skip_blanks(cursor);
    if (!pb_json_take_string(cursor, ret_name))
        return false;
    return pb_json_take_mark(cursor, ':') || pb_json_fail(cursor, "no colon after a member's name");
}

/* A string that may be there once; null is none. */
static bool take_once(list_reader *reader, pb_slice *ret_text)
{
    if (ret_text->data)
        return pb_json_fail(&reader->cursor, "a member that is given twice");
    if (PB_JSON_TAKE(&reader->cursor, "null"))
        return true;
    if (!PB_JSON_TAKE(&reader->cursor, "\""))
        return refuse_type(reader, "a name, time, size or digest that is no string");
    return pb_json_take_text(&reader->cursor, ret_text);
}

/* Takes the store's prefix off. */
static bool relative(list_reader *reader, pb_slice *key)
{
    const pb_gcs_list_asked *asked = reader->asked;
    if (key->size > PB_GCS_NAME_BYTES_MAX || !pb_slice_starts_with(*key, asked->store_prefix))
        return refuse(reader,
                      "a key that is too long, or outside of the prefix that was asked for");
    *key = pb_slice_from(*key, asked->store_prefix.size);
    return pb_slice_starts_with(*key, asked->prefix) ||
           refuse(reader, "a key outside of the prefix that was asked for");
}

/* "generation/metageneration"; empty where the store does not say both. */
static pb_slice version_of(pb_arena *arena, const pb_gcs_members *members)
{
    pb_slice generation = members->generation, metageneration = members->metageneration;
    if (!generation.size || !metageneration.size || generation.size + metageneration.size >= 64)
        return (pb_slice){NULL, 0};
    size_t size = generation.size + 1 + metageneration.size;
    char *text = pb_arena_allocate(arena, size);
    memcpy(text, generation.data, generation.size);
    text[generation.size] = '/';
    memcpy(text + generation.size + 1, metageneration.data, metageneration.size);
    return (pb_slice){text, size};
}

static bool add_entry(list_reader *reader, const pb_gcs_members *members)
{
    pb_gcs_object object;
    pb_slice key = members->name;
    if (!key.size)
        return refuse(reader, "an object without its name");
    const char *flaw = pb_gcs_read_members(members, &object);
    if (flaw)
        return refuse(reader, flaw);
    if (!relative(reader, &key))
        return false;
    pb_page *page = reader->page;
    if (!key.size) {
        page->has_own |= object.size > 0;
        return true;
    }
    if (pb_slice_equal(key, reader->asked->after))
        return true;
    pb_entry *entry = pb_page_add(page);
    entry->key = pb_arena_copy(&page->arena, key);
    entry->etag = pb_arena_copy(&page->arena, pb_slice_of(object.etag));
    entry->size = object.size;
    entry->mtime_ms = object.mtime_ms;
    entry->version = version_of(&page->arena, members);
    return true;
}

static pb_slice *member_of(pb_gcs_members *members, pb_slice name)
{
    const struct {
        pb_slice name, *member;
    } known[] = {
        {PB_SLICE_LITERAL("name"), &members->name},
        {PB_SLICE_LITERAL("generation"), &members->generation},
        {PB_SLICE_LITERAL("metageneration"), &members->metageneration},
        {PB_SLICE_LITERAL("size"), &members->size},
        {PB_SLICE_LITERAL("md5Hash"), &members->md5},
        {PB_SLICE_LITERAL("crc32c"), &members->crc32c},
        {PB_SLICE_LITERAL("updated"), &members->updated},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (pb_slice_equal(name, known[i].name))
            return known[i].member;
    return NULL;
}

static bool take_item(list_reader *reader)
{
    pb_json_cursor *cursor = &reader->cursor;
    pb_gcs_members members = {0};
    if (!pb_json_take_mark(cursor, '{'))
        return refuse_type(reader, "an object of the listing that is no JSON object");
    if (pb_json_take_mark(cursor, '}'))
        return add_entry(reader, &members);
    do {
        pb_slice name;
        if (!take_name(cursor, &name))
            return false;
        pb_slice *member = member_of(&members, name);
        if (member ? !take_once(reader, member) : !pb_json_skip_value(cursor))
            return false;
    } while (pb_json_take_mark(cursor, ','));
    if (!pb_json_take_mark(cursor, '}'))
        return pb_json_fail(cursor, "an object without end");
    return add_entry(reader, &members);
}

static bool take_prefix(list_reader *reader)
{
    pb_slice prefix = {NULL, 0};
    if (!take_once(reader, &prefix) || !relative(reader, &prefix))
        return false;
    if (!prefix.size)
        return refuse(reader, "an empty prefix");
    pb_page_add_prefix(reader->page, pb_arena_copy(&reader->page->arena, prefix));
    return true;
}

static bool take_array(list_reader *reader, bool (*take_element)(list_reader *reader))
{
    pb_json_cursor *cursor = &reader->cursor;
    if (PB_JSON_TAKE(cursor, "null"))
        return true;
    if (!pb_json_take_mark(cursor, '['))
        return refuse_type(reader, "a listing whose objects or prefixes are no array");
    if (pb_json_take_mark(cursor, ']'))
        return true;
    do {
        if (!take_element(reader))
            return false;
    } while (pb_json_take_mark(cursor, ','));
    return pb_json_take_mark(cursor, ']') || pb_json_fail(cursor, "an array without end");
}

static bool take_page(list_reader *reader)
{
    pb_json_cursor *cursor = &reader->cursor;
    bool has_items = false, has_prefixes = false;
    if (!pb_json_take_mark(cursor, '{'))
        return pb_json_fail(cursor, "not a JSON object");
    if (pb_json_take_mark(cursor, '}'))
        return cursor->at == cursor->end || pb_json_fail(cursor, "text after the end");
    do {
        pb_slice name;
        bool good;
        if (!take_name(cursor, &name))
            return false;
        bool items = pb_slice_equal(name, PB_SLICE_LITERAL("items"));
        bool prefixes = pb_slice_equal(name, PB_SLICE_LITERAL("prefixes"));
        if ((items && has_items) || (prefixes && has_prefixes))
            return pb_json_fail(cursor, "a member that is given twice");
        has_items |= items;
        has_prefixes |= prefixes;
        if (items || prefixes)
            good = take_array(reader, items ? take_item : take_prefix);
        else if (pb_slice_equal(name, PB_SLICE_LITERAL("kind")))
            good = take_once(reader, &reader->kind);
        else if (pb_slice_equal(name, PB_SLICE_LITERAL("nextPageToken")))
            good = take_once(reader, &reader->token);
        else
            good = pb_json_skip_value(cursor);
        if (!good)
            return false;
    } while (pb_json_take_mark(cursor, ','));
    return (pb_json_take_mark(cursor, '}') && cursor->at == cursor->end) ||
           pb_json_fail(cursor, "neither a comma nor the end after a value");
}

/* Of the store's token and where the listing began: pb_gcs_split_token. */
static pb_slice page_token(const list_reader *reader)
{
    pb_arena *arena = &reader->page->arena;
    pb_slice token = reader->token, start = reader->asked->after;
    if (reader->asked->token.size)
        pb_gcs_split_token(reader->asked->token, &start);
    if (!token.size || !start.size)
        return pb_arena_copy(arena, token);
    char *text = pb_arena_allocate(arena, token.size + 1 + start.size);
    memcpy(text, token.data, token.size);
    text[token.size] = '\n';
    memcpy(text + token.size + 1, start.data, start.size);
    return (pb_slice){text, token.size + 1 + start.size};
}

static bool finish_page(list_reader *reader)
{
    /* Of a bucket without objects nothing but the kind comes: other JSON is not taken for one. */
    if (!pb_slice_equal(reader->kind, PB_SLICE_LITERAL(LIST_KIND)))
        return refuse(reader, "the answer is no listing");
    if (reader->token.size && memchr(reader->token.data, '\n', reader->token.size))
        return refuse(reader, "a page token with a line end");
    reader->page->more = reader->token.size > 0;
    reader->page->token = page_token(reader);
    return true;
}

int pb_gcs_parse_list(pb_slice body, const pb_gcs_list_asked *asked, pb_page **ret_page,
                      pb_error *error)
{
    const char *begin = body.data ? body.data : "";
    list_reader reader = {.asked = asked, .page = pb_page_new()};
    reader.cursor =
        (pb_json_cursor){.at = begin, .end = begin + body.size, .arena = &reader.page->arena};
    if (take_page(&reader) && finish_page(&reader)) {
        *ret_page = reader.page;
        return 0;
    }
    pb_page_release(reader.page);
    if (reader.broken)
        return pb_error_set(error, PB_ERROR_FAILED, "%s", reader.broken);
    return pb_error_set(error, PB_ERROR_SERVER, "the answer: byte %zu: %s",
                        (size_t)(reader.cursor.at - begin), reader.cursor.flaw);
}
