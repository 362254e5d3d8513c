#include "copier/store/gcs/list_reader.h"

#include "base/json_cursor.h"
#include "copier/store/gcs/request.h"
#include "copier/store/gcs/response.h"

#define LIST_KIND "storage#objects"

/* What reads a page. `broken` says what the protocol does not allow; the cursor's flaw, what JSON
 * does not. */
typedef struct list_reader {
    pb_json_cursor cursor;
    const pb_gcs_list_asked *asked;
    pb_page *page;
    const char *broken;
    pb_slice kind, token;
    bool has_items, has_prefixes;
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

static pb_slice join(pb_arena *arena, pb_slice before, char separator, pb_slice behind)
{
    size_t size = before.size + 1 + behind.size;
    char *text = pb_arena_allocate(arena, size);
    memcpy(text, before.data, before.size);
    text[before.size] = separator;
    memcpy(text + before.size + 1, behind.data, behind.size);
    return (pb_slice){text, size};
}

/* "generation/metageneration"; empty where the store does not say both. */
static pb_slice version_of(pb_arena *arena, const pb_gcs_members *members)
{
    pb_slice generation = members->generation, metageneration = members->metageneration;
    if (!generation.size || !metageneration.size || generation.size + metageneration.size >= 64)
        return (pb_slice){NULL, 0};
    return join(arena, generation, '/', metageneration);
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

typedef bool take_member(list_reader *reader, pb_slice name, void *context);

/* The members of an object, from behind its `{` to behind its `}`; each is taken by `take`. */
static bool take_members(list_reader *reader, take_member *take, void *context)
{
    pb_json_cursor *cursor = &reader->cursor;
    if (pb_json_take_mark(cursor, '}'))
        return true;
    do {
        pb_slice name;
        pb_json_skip_blanks(cursor);
        if (!pb_json_take_string(cursor, &name))
            return false;
        if (!pb_json_take_mark(cursor, ':'))
            return pb_json_fail(cursor, "no colon after a member's name");
        if (!take(reader, name, context))
            return false;
    } while (pb_json_take_mark(cursor, ','));
    return pb_json_take_mark(cursor, '}') ||
           pb_json_fail(cursor, "neither a comma nor the end after a value");
}

static bool take_item_member(list_reader *reader, pb_slice name, void *context)
{
    pb_slice *member = member_of(context, name);
    return member ? take_once(reader, member) : pb_json_skip_value(&reader->cursor);
}

static bool take_item(list_reader *reader)
{
    pb_gcs_members members = {0};
    if (!pb_json_take_mark(&reader->cursor, '{'))
        return refuse_type(reader, "an object of the listing that is no JSON object");
    return take_members(reader, take_item_member, &members) && add_entry(reader, &members);
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

/* The array of a member that may be there once; null is none. */
static bool take_array(list_reader *reader, bool *seen, bool (*take_element)(list_reader *reader))
{
    pb_json_cursor *cursor = &reader->cursor;
    if (*seen)
        return pb_json_fail(cursor, "a member that is given twice");
    *seen = true;
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

static bool take_page_member(list_reader *reader, pb_slice name, void *context)
{
    (void)context;
    if (pb_slice_is(name, "items"))
        return take_array(reader, &reader->has_items, take_item);
    if (pb_slice_is(name, "prefixes"))
        return take_array(reader, &reader->has_prefixes, take_prefix);
    if (pb_slice_is(name, "kind"))
        return take_once(reader, &reader->kind);
    if (pb_slice_is(name, "nextPageToken"))
        return take_once(reader, &reader->token);
    return pb_json_skip_value(&reader->cursor);
}

static bool take_page(list_reader *reader)
{
    pb_json_cursor *cursor = &reader->cursor;
    if (!pb_json_take_mark(cursor, '{'))
        return pb_json_fail(cursor, "not a JSON object");
    return take_members(reader, take_page_member, NULL) &&
           (cursor->at == cursor->end || pb_json_fail(cursor, "text after the end"));
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
    return join(arena, token, '\n', start);
}

static bool finish_page(list_reader *reader)
{
    /* Of a bucket without objects nothing but the kind comes: other JSON is not taken for one. */
    if (!pb_slice_is(reader->kind, LIST_KIND))
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
