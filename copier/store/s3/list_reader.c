#include "copier/store/s3/list_reader.h"

#include "base/byte_word.h"
#include "base/clock.h"
#include "base/codec.h"
#include <stdlib.h>

/* libxml2 bounds names too, further up. */
enum { NAME_BYTES_MAX = 64, NAMESPACE_BYTES_MAX = 256 };

void pb_s3_found_list_clear(pb_s3_found_list *list)
{
    pb_buffer_clear(&list->text);
    list->truncated = list->token = list->encoding = (pb_s3_span){0};
    list->entry_count = list->prefix_count = 0;
}

void pb_s3_found_list_free(pb_s3_found_list *list)
{
    pb_buffer_free(&list->text);
    free(list->entries);
    free(list->prefixes);
    *list = (pb_s3_found_list){0};
}

pb_s3_found_entry *pb_s3_found_list_add(pb_s3_found_list *list)
{
    if (list->entry_count == list->entry_capacity) {
        list->entry_capacity = list->entry_capacity ? list->entry_capacity * 2 : 1024;
        list->entries = pb_reallocate(list->entries, list->entry_capacity * sizeof *list->entries);
    }
    return &list->entries[list->entry_count++];
}

pb_s3_span *pb_s3_found_list_add_prefix(pb_s3_found_list *list)
{
    if (list->prefix_count == list->prefix_capacity) {
        list->prefix_capacity = list->prefix_capacity ? list->prefix_capacity * 2 : 64;
        list->prefixes =
            pb_reallocate(list->prefixes, list->prefix_capacity * sizeof *list->prefixes);
    }
    return &list->prefixes[list->prefix_count++];
}

/* ---- characters ---- */

typedef struct list_reader {
    const char *at;
    const char *end;
    char *out; /* in list->text, which has room for all of the body: no text grows by decoding */
    bool beyond_ascii; /* such a byte was met: what they make is looked at in the end */
    pb_s3_found_list *list;
} list_reader;

/* Inlined always, so that the comparison with a literal is a few instructions and no call. */
static inline __attribute__((always_inline)) bool take(list_reader *reader, const char *text,
                                                       size_t size)
{
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, text, size) != 0)
        return false;
    reader->at += size;
    return true;
}
#define TAKE(reader, literal) take((reader), (literal), sizeof(literal) - 1)

static inline void skip_blanks(list_reader *reader)
{
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t'))
        reader->at++;
}

static bool is_plain(unsigned char c)
{
    return c >= ' ' && c < 0x80 && c != '<' && c != '>' && c != '&';
}

/* Where the plain text ends: at the first byte that is_plain() denies, or `end`. */
static inline const char *plain_end(const char *at, const char *end)
{
    for (; end - at >= PB_WORD_BYTES; at += PB_WORD_BYTES) {
        uint64_t word = pb_word_load(at);
        uint64_t stops = pb_word_mark_equal(word | PB_EACH_BYTE('<' ^ '>'), '<' | '>') |
                         pb_word_mark_equal(word, '&') | pb_word_mark_below(word, ' ') |
                         (word & PB_WORD_MARKS);
        if (stops)
            return at + pb_word_before_mark(stops);
    }
    while (at < end && is_plain((unsigned char)*at))
        at++;
    return at;
}

/* True where all is UTF-8 and no character is U+FFFE or U+FFFF, which XML has not. Controls were
 * refused on the way. */
static bool characters_valid(pb_slice body)
{
    if (!pb_utf8_valid(body))
        return false;
    const char *end = body.data + body.size;
    for (const char *at = body.data; (at = memchr(at, 0xEF, (size_t)(end - at))) != NULL; at++)
        if ((unsigned char)at[1] == 0xBF && (unsigned char)at[2] >= 0xBE)
            return false;
    return true;
}

/* ---- texts ---- */

static bool take_entity(list_reader *reader, unsigned char *ret_character)
{
    /* MinIO, like all that is written in Go, has quotes as numbers. */
    if (TAKE(reader, "&quot;") || TAKE(reader, "&#34;"))
        *ret_character = '"';
    else if (TAKE(reader, "&amp;"))
        *ret_character = '&';
    else if (TAKE(reader, "&lt;"))
        *ret_character = '<';
    else if (TAKE(reader, "&gt;"))
        *ret_character = '>';
    else if (TAKE(reader, "&apos;") || TAKE(reader, "&#39;"))
        *ret_character = '\'';
    else
        return false;
    return true;
}

/* Goes to the next '<', what is before it being text; decoded into `out` where it is kept. */
static inline bool take_text(list_reader *reader, bool kept)
{
    for (;;) {
        const char *stop = plain_end(reader->at, reader->end);
        size_t size = (size_t)(stop - reader->at);
        if (kept) {
            memcpy(reader->out, reader->at, size);
            reader->out += size;
        }
        reader->at = stop;
        if (stop == reader->end)
            return false;
        unsigned char c = (unsigned char)*stop;
        if (c == '<')
            return true;
        if (c == '&') {
            if (!take_entity(reader, &c))
                return false;
        } else if (c >= 0x80 || c == '\n' || c == '\t') {
            reader->beyond_ascii |= c >= 0x80;
            reader->at++;
        } else {
            return false;
        }
        if (kept)
            *reader->out++ = (char)c;
    }
}

/* The text of an element that may be there once. */
static bool take_kept(list_reader *reader, pb_s3_span *ret_span)
{
    const char *start = reader->out;
    if (ret_span->seen || !take_text(reader, true))
        return false;
    *ret_span = (pb_s3_span){.start = (size_t)(start - reader->list->text.data),
                             .size = (size_t)(reader->out - start),
                             .seen = true};
    return true;
}

/* A text that is read where it stands. */
static pb_slice take_plain(list_reader *reader)
{
    const char *start = reader->at;
    reader->at = plain_end(start, reader->end);
    return (pb_slice){start, (size_t)(reader->at - start)};
}

/* ---- elements ---- */

static size_t name_size(const list_reader *reader)
{
    size_t left = (size_t)(reader->end - reader->at);
    size_t size = 0;
    while (size < left && size <= NAME_BYTES_MAX) {
        char c = reader->at[size];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(size && c >= '0' && c <= '9'))
            break;
        size++;
    }
    return size <= NAME_BYTES_MAX ? size : 0;
}

/* Names that mean something, somewhere. */
static bool is_known(pb_slice name)
{
    static const char *const known[] = {
        "Key",         "LastModified",          "ETag",        "Size", "Contents", "CommonPrefixes",
        "IsTruncated", "NextContinuationToken", "EncodingType"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (pb_slice_equal(name, pb_slice_of(known[i])))
            return true;
    return false;
}

/* An element that nobody reads: texts, and one level of such elements where it may have some. */
static bool skip_element(list_reader *reader, bool may_have_children)
{
    if (!TAKE(reader, "<"))
        return false;
    pb_slice name = {reader->at, name_size(reader)};
    reader->at += name.size;
    if (!name.size)
        return false;
    if (TAKE(reader, "/>"))
        return !is_known(name);
    if (!TAKE(reader, ">"))
        return false;
    for (;;) {
        if (!take_text(reader, false))
            return false;
        if (TAKE(reader, "</"))
            return take(reader, name.data, name.size) && TAKE(reader, ">");
        if (!may_have_children || !skip_element(reader, false))
            return false;
    }
}

/* After <Contents>. */
static bool take_contents(list_reader *reader)
{
    pb_s3_found_entry entry = {0};
    bool sized = false;
    bool dated = false;
    for (;;) {
        skip_blanks(reader);
        if (TAKE(reader, "<Key>")) {
            if (!take_kept(reader, &entry.key) || !TAKE(reader, "</Key>"))
                return false;
        } else if (TAKE(reader, "<LastModified>")) {
            if (dated || !pb_time_parse_rfc3339(take_plain(reader), &entry.mtime_ms) ||
                !TAKE(reader, "</LastModified>"))
                return false;
            dated = true;
        } else if (TAKE(reader, "<ETag>")) {
            if (!take_kept(reader, &entry.etag) || !TAKE(reader, "</ETag>"))
                return false;
        } else if (TAKE(reader, "<Size>")) {
            if (sized || !pb_parse_unsigned(take_plain(reader), &entry.size) ||
                !TAKE(reader, "</Size>"))
                return false;
            sized = true;
        } else if (TAKE(reader, "</Contents>")) {
            break;
        } else if (!skip_element(reader, true)) {
            return false;
        }
    }
    if (!entry.key.size || !sized || !dated)
        return false;
    *pb_s3_found_list_add(reader->list) = entry;
    return true;
}

/* After <CommonPrefixes>. */
static bool take_prefixes(list_reader *reader)
{
    pb_s3_span prefix = {0};
    skip_blanks(reader);
    if (!TAKE(reader, "<Prefix>") || !take_kept(reader, &prefix) || !TAKE(reader, "</Prefix>"))
        return false;
    skip_blanks(reader);
    if (!TAKE(reader, "</CommonPrefixes>"))
        return false;
    *pb_s3_found_list_add_prefix(reader->list) = prefix;
    return true;
}

/* The declaration where there is one; false where it is another. */
static bool take_declaration(list_reader *reader)
{
    if (TAKE(reader, "<?xml version=\"1.0\"")) {
        if (!TAKE(reader, " encoding=\"UTF-8\""))
            TAKE(reader, " encoding=\"utf-8\"");
        TAKE(reader, " standalone=\"yes\"");
    } else {
        return true;
    }
    return TAKE(reader, "?>");
}

static bool take_root(list_reader *reader)
{
    if (!TAKE(reader, "<ListBucketResult"))
        return false;
    if (TAKE(reader, ">"))
        return true;
    if (!TAKE(reader, " xmlns=\""))
        return false;
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at != '"' && is_plain((unsigned char)*reader->at))
        reader->at++;
    return reader->at - start <= NAMESPACE_BYTES_MAX && TAKE(reader, "\">");
}

bool pb_s3_list_read(pb_slice body, pb_s3_found_list *list)
{
    pb_s3_found_list_clear(list);
    if (!body.size)
        return false;
    pb_buffer_reserve(&list->text, body.size);
    list_reader reader = {
        .at = body.data, .end = body.data + body.size, .out = list->text.data, .list = list};
    if (!take_declaration(&reader))
        return false;
    skip_blanks(&reader);
    if (!take_root(&reader))
        return false;
    for (;;) {
        bool good;
        skip_blanks(&reader);
        if (TAKE(&reader, "<Contents>"))
            good = take_contents(&reader);
        else if (TAKE(&reader, "<CommonPrefixes>"))
            good = take_prefixes(&reader);
        else if (TAKE(&reader, "<IsTruncated>"))
            good = take_kept(&reader, &list->truncated) && TAKE(&reader, "</IsTruncated>");
        else if (TAKE(&reader, "<NextContinuationToken>"))
            good = take_kept(&reader, &list->token) && TAKE(&reader, "</NextContinuationToken>");
        else if (TAKE(&reader, "<EncodingType>"))
            good = take_kept(&reader, &list->encoding) && TAKE(&reader, "</EncodingType>");
        else if (TAKE(&reader, "</ListBucketResult>"))
            break;
        else
            good = skip_element(&reader, true);
        if (!good)
            return false;
    }
    skip_blanks(&reader);
    list->text.size = (size_t)(reader.out - list->text.data);
    *reader.out = 0;
    return reader.at == reader.end && (!reader.beyond_ascii || characters_valid(body));
}
