/* ListObjects and ListObjectsV2. */
#include "base/clock.h"
#include "base/codec.h"
#include "bench/origin/s3_answer.h"
#include "bench/origin/s3_operations.h"
#include "bench/origin/xml.h"

typedef struct listing {
    bool is_v2;
    bool encodes; /* encoding-type=url */
    bool shows_owner;
    pb_slice prefix;
    pb_slice delimiter;
    pb_slice start_after; /* or marker */
    pb_slice token;       /* continuation-token as sent */
    pb_slice left_out;    /* keys up to this, bytewise; else start_after is a place */
    uint64_t max_keys;
    int64_t day_ms;    /* of day_text */
    char day_text[12]; /* "2026-11-23T" */
} listing;

static pb_slice value_of(const pb_origin_call *call, const char *name)
{
    const pb_origin_parameter *parameter = pb_origin_s3_parameter(&call->s3, name);
    return parameter ? parameter->value : (pb_slice){NULL, 0};
}

static bool read_listing(const pb_origin_call *call, listing *ret_listing,
                         const char **ret_complaint)
{
    bool is_v2 = call->s3.operation == PB_ORIGIN_LIST_OBJECTS_V2;
    pb_slice encoding = value_of(call, "encoding-type");
    pb_slice max_keys = value_of(call, "max-keys");
    *ret_listing = (listing){
        .is_v2 = is_v2,
        .encodes = encoding.size > 0,
        .shows_owner =
            !is_v2 || pb_slice_equal(value_of(call, "fetch-owner"), PB_SLICE_LITERAL("true")),
        .prefix = value_of(call, "prefix"),
        .delimiter = value_of(call, "delimiter"),
        .start_after = value_of(call, is_v2 ? "start-after" : "marker"),
        .token = value_of(call, "continuation-token"),
        .max_keys = PB_ORIGIN_PAGE_MAX,
        .day_ms = INT64_MIN,
    };
    if (is_v2 && !pb_slice_equal(value_of(call, "list-type"), PB_SLICE_LITERAL("2"))) {
        *ret_complaint = "Invalid List Type selected";
        return false;
    }
    if (encoding.size > 0 && !pb_slice_equal(encoding, PB_SLICE_LITERAL("url"))) {
        *ret_complaint = "Invalid Encoding Method specified in Request";
        return false;
    }
    if (max_keys.size > 0 && !pb_parse_unsigned(max_keys, &ret_listing->max_keys)) {
        *ret_complaint = "Provided max-keys not an integer or within integer range";
        return false;
    }
    if (ret_listing->max_keys > PB_ORIGIN_PAGE_MAX) {
        ret_listing->max_keys = PB_ORIGIN_PAGE_MAX;
    }
    return true;
}

static void append_key(pb_buffer *text, const listing *list, pb_slice key)
{
    if (list->encodes) {
        pb_percent_encode(text, key, true);
    } else {
        pb_origin_xml_escape(text, key);
    }
}

static void key_element(pb_buffer *text, const listing *list, const char *name, pb_slice key)
{
    pb_buffer_append_char(text, '<');
    pb_buffer_append_text(text, name);
    pb_buffer_append_char(text, '>');
    append_key(text, list, key);
    pb_buffer_append_text(text, "</");
    pb_buffer_append_text(text, name);
    pb_buffer_append_char(text, '>');
}

#define APPEND_LITERAL(buffer, text) pb_buffer_append((buffer), (text), sizeof(text) - 1)
#define WRITE_LITERAL(out, text) (memcpy((out), (text), sizeof(text) - 1), (out) + sizeof(text) - 1)

/* RFC 3339 with the day kept from one object to the next: dates are a good part of a listing's
 * cost. Returns where it ends. */
static char *write_time(char *out, listing *list, int64_t utc_ms)
{
    enum { DAY_MS = 86400000 };
    int64_t day_ms = utc_ms - utc_ms % DAY_MS;
    if (day_ms != list->day_ms) {
        char whole[PB_TIME_TEXT_MAX];
        pb_time_format_rfc3339(day_ms, whole);
        memcpy(list->day_text, whole, 11);
        list->day_ms = day_ms;
    }
    unsigned ms = (unsigned)(utc_ms - day_ms);
    unsigned second = ms / 1000;
    unsigned minute = second / 60;
    const char clock[13] = {
        (char)('0' + minute / 600),
        (char)('0' + minute / 60 % 10),
        ':',
        (char)('0' + minute % 60 / 10),
        (char)('0' + minute % 10),
        ':',
        (char)('0' + second % 60 / 10),
        (char)('0' + second % 10),
        '.',
        (char)('0' + ms % 1000 / 100),
        (char)('0' + ms % 100 / 10),
        (char)('0' + ms % 10),
        'Z',
    };
    memcpy(out, list->day_text, 11);
    memcpy(out + 11, clock, sizeof(clock));
    return out + 11 + sizeof(clock);
}

static char *write_unsigned(char *out, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) {
        *out++ = digits[--count];
    }
    return out;
}

/* What stands behind the key, written into room that was made once: listings of millions of keys
 * are what this server must be quick at. */
static void append_object_tail(pb_buffer *text, listing *list, const pb_origin_object *object)
{
    enum { TAIL_BYTES_MAX = 512 };
    pb_buffer_reserve(text, TAIL_BYTES_MAX);
    char *out = text->data + text->size;
    out = WRITE_LITERAL(out, "</Key><LastModified>");
    out = write_time(out, list, object->modified_ms);
    out = WRITE_LITERAL(out, "</LastModified><ETag>&quot;");
    out += pb_origin_etag_text(object->md5, object->etag_parts, out);
    out = WRITE_LITERAL(out, "&quot;</ETag><Size>");
    out = write_unsigned(out, object->size);
    out = WRITE_LITERAL(out, "</Size>");
    if (list->shows_owner) {
        out = WRITE_LITERAL(out, "<Owner><ID>origin</ID><DisplayName>origin</DisplayName></Owner>");
    }
    out = WRITE_LITERAL(out, "<StorageClass>STANDARD</StorageClass></Contents>");
    *out = 0;
    text->size = (size_t)(out - text->data);
}

static void append_object(pb_buffer *text, listing *list, const pb_origin_object *object)
{
    APPEND_LITERAL(text, "<Contents><Key>");
    append_key(text, list, pb_origin_object_key(object));
    append_object_tail(text, list, object);
}

enum { PAST_BYTES_MAX = PB_ORIGIN_KEY_BYTES_MAX + 1 };

/* The first key that is above all keys with this prefix, in `memory` of PAST_BYTES_MAX. False where
 * there is none. */
static bool past_prefix(const pb_origin_bucket *bucket, pb_slice prefix, char *memory,
                        pb_slice *ret_key)
{
    memcpy(memory, prefix.data, prefix.size);
    if (bucket->order == PB_ORIGIN_ORDER_FOLDERS) {
        memory[prefix.size] = (char)0xff; /* in no key of UTF-8; what follows "a/" is "a-" */
        *ret_key = (pb_slice){memory, prefix.size + 1};
        return true;
    }
    while (prefix.size > 0 && (unsigned char)memory[prefix.size - 1] == 0xff) {
        prefix.size--;
    }
    if (prefix.size == 0) {
        return false;
    }
    memory[prefix.size - 1]++;
    *ret_key = (pb_slice){memory, prefix.size};
    return true;
}

/* A token is a letter ('k': after this key, 'p': past this prefix) and hex. */
static void append_token(pb_buffer *buffer, bool is_prefix, pb_slice last)
{
    pb_buffer_append_char(buffer, is_prefix ? 'p' : 'k');
    pb_buffer_reserve(buffer, 2 * last.size + 1);
    pb_hex_encode(last.data, last.size, buffer->data + buffer->size);
    buffer->size += 2 * last.size;
}

typedef struct page {
    pb_buffer *contents;
    pb_buffer prefixes;
    uint64_t count;
    bool is_truncated;
    bool last_is_prefix;
    pb_slice last; /* points into the bucket */
    pb_buffer token;
} page;

/* Where a listing starts; `resumed` is what the token says. False: nothing can follow. */
static bool first_place(const pb_origin_bucket *bucket, const listing *list, pb_slice resumed,
                        pb_origin_cursor *ret_cursor)
{
    char memory[PAST_BYTES_MAX];
    pb_slice after = resumed.size > 0 ? resumed : list->start_after;
    bool skips_prefix = resumed.size > 0 && list->token.data[0] == 'p';
    if (!list->is_v2 && list->delimiter.size > 0 && after.size >= list->delimiter.size &&
        after.size > list->prefix.size && after.size < sizeof(memory) &&
        pb_slice_starts_with(after, list->prefix)) {
        /* A marker that is a common prefix was answered as NextMarker: its keys are done. */
        pb_slice end = {after.data + after.size - list->delimiter.size, list->delimiter.size};
        skips_prefix = pb_slice_equal(end, list->delimiter);
    }
    if (skips_prefix) {
        pb_slice from;
        if (!past_prefix(bucket, after, memory, &from)) {
            return false;
        }
        *ret_cursor = pb_origin_bucket_seek(bucket, from, false);
        return true;
    }
    bool goes_on = after.size > 0 && list->left_out.size == 0 &&
                   pb_origin_bucket_compare(bucket, after, list->prefix) >= 0;
    *ret_cursor = pb_origin_bucket_seek(bucket, goes_on ? after : list->prefix, goes_on);
    return true;
}

/* Checks a token and decodes its key. */
static bool decode_token(pb_slice token, char memory[PB_ORIGIN_KEY_BYTES_MAX], pb_slice *ret_key)
{
    size_t size = token.size > 0 ? (token.size - 1) / 2 : 0;
    if (size == 0 || size > PB_ORIGIN_KEY_BYTES_MAX || token.size % 2 == 0 ||
        (token.data[0] != 'k' && token.data[0] != 'p') ||
        !pb_hex_decode(pb_slice_from(token, 1), memory, size)) {
        return false;
    }
    *ret_key = (pb_slice){memory, size};
    return true;
}

static void fill_page(const pb_origin_bucket *bucket, listing *list, pb_origin_cursor cursor,
                      page *ret_page)
{
    const pb_origin_object *object;
    while ((object = pb_origin_cursor_next(&cursor)) != NULL) {
        pb_slice key = pb_origin_object_key(object);
        if (!pb_slice_starts_with(key, list->prefix)) {
            break;
        }
        if (list->left_out.size > 0 && pb_slice_compare(key, list->left_out) <= 0) {
            continue;
        }
        if (ret_page->count == list->max_keys) {
            ret_page->is_truncated = list->max_keys > 0;
            break;
        }
        const char *found = NULL;
        if (list->delimiter.size > 0 && key.size > list->prefix.size) {
            found = memmem(key.data + list->prefix.size, key.size - list->prefix.size,
                           list->delimiter.data, list->delimiter.size);
        }
        ret_page->count++;
        ret_page->last_is_prefix = found != NULL;
        ret_page->last = key;
        if (!found) {
            append_object(ret_page->contents, list, object);
            continue;
        }
        ret_page->last.size = (size_t)(found - key.data) + list->delimiter.size;
        APPEND_LITERAL(&ret_page->prefixes, "<CommonPrefixes><Prefix>");
        append_key(&ret_page->prefixes, list, ret_page->last);
        APPEND_LITERAL(&ret_page->prefixes, "</Prefix></CommonPrefixes>");
        char memory[PAST_BYTES_MAX];
        pb_slice from;
        if (!past_prefix(bucket, ret_page->last, memory, &from)) {
            break;
        }
        cursor = pb_origin_bucket_seek(bucket, from, false);
    }
}

static void append_boolean(pb_buffer *text, const char *name, bool value)
{
    pb_origin_xml_element(text, name, value ? PB_SLICE_LITERAL("true") : PB_SLICE_LITERAL("false"));
}

static void append_number(pb_buffer *text, const char *name, uint64_t value)
{
    pb_buffer_append_format(text, "<%s>%llu</%s>", name, (unsigned long long)value, name);
}

/* What stands before the keys. */
static void append_start(pb_buffer *text, const pb_origin_call *call, const listing *list,
                         const page *made)
{
    pb_buffer_append_text(text, "<ListBucketResult" PB_ORIGIN_XML_NAMESPACE ">");
    pb_origin_xml_element(text, "Name", call->s3.bucket);
    key_element(text, list, "Prefix", list->prefix);
    if (list->is_v2) {
        if (list->start_after.size > 0) {
            key_element(text, list, "StartAfter", list->start_after);
        }
        if (list->token.size > 0) {
            pb_origin_xml_element(text, "ContinuationToken", list->token);
        }
        if (made->is_truncated) {
            pb_origin_xml_element(text, "NextContinuationToken", pb_buffer_slice(&made->token));
        }
        append_number(text, "KeyCount", made->count);
    } else {
        key_element(text, list, "Marker", list->start_after);
        if (made->is_truncated && list->delimiter.size > 0) {
            key_element(text, list, "NextMarker", made->last);
        }
    }
    append_number(text, "MaxKeys", list->max_keys);
    if (list->delimiter.size > 0) {
        key_element(text, list, "Delimiter", list->delimiter);
    }
    if (list->encodes) {
        pb_buffer_append_text(text, "<EncodingType>url</EncodingType>");
    }
    append_boolean(text, "IsTruncated", made->is_truncated);
}

void pb_origin_list_objects(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    pb_origin_bucket *bucket = pb_origin_find_bucket(origin, call->s3.bucket);
    if (!bucket) {
        pb_origin_refuse(exchange, "NoSuchBucket", NULL, NULL);
        return;
    }
    listing list;
    const char *complaint = NULL;
    char memory[PB_ORIGIN_KEY_BYTES_MAX];
    pb_slice resumed = {NULL, 0};
    if (!read_listing(call, &list, &complaint)) {
        pb_origin_refuse(exchange, "InvalidArgument", complaint, NULL);
        return;
    }
    uint64_t page_keys_max = origin->options.page_keys_max;
    if (page_keys_max && list.max_keys > page_keys_max) {
        list.max_keys = page_keys_max;
    }
    if (list.token.size > 0 && !decode_token(list.token, memory, &resumed)) {
        pb_origin_refuse(exchange, "InvalidArgument",
                         "The continuation token provided is incorrect", NULL);
        return;
    }
    if (origin->options.filters_after && list.is_v2 && list.token.size == 0) {
        list.left_out = list.start_after;
    }
    pb_buffer *text = pb_origin_answer_xml(exchange);
    page made = {.contents = &exchange->response.text_rest};
    pb_buffer_reserve(made.contents, (size_t)list.max_keys * 320);
    pb_origin_cursor cursor;
    if (first_place(bucket, &list, resumed, &cursor)) {
        fill_page(bucket, &list, cursor, &made);
    }
    if (made.is_truncated && list.is_v2) {
        append_token(&made.token, made.last_is_prefix, made.last);
    }
    append_start(text, call, &list, &made);
    pb_buffer_append(made.contents, made.prefixes.data, made.prefixes.size);
    pb_buffer_append_text(made.contents, "</ListBucketResult>");
    pb_buffer_free(&made.prefixes);
    pb_buffer_free(&made.token);
}
