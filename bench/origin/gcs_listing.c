/* objects.list */
#include "base/codec.h"
#include "bench/origin/gcs_operations.h"

typedef struct listing {
    pb_slice prefix;
    pb_slice delimiter;
    pb_slice start;
    pb_slice end;
    bool keeps_delimiters; /* objects that are a prefix's name come as items as well */
    uint64_t page_max;
} listing;

typedef struct page {
    uint64_t count;
    bool goes_on;
    char last[PB_ORIGIN_KEY_BYTES_MAX];
    size_t last_size;
    bool last_is_prefix;
    pb_buffer prefixes; /* "a/","b/", */
} page;

/* The first key above all with this prefix. False where there is none. */
static bool past_prefix(pb_slice prefix, char memory[PB_ORIGIN_KEY_BYTES_MAX], pb_slice *ret_key)
{
    memmove(memory, prefix.data, prefix.size);
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

/* A token is 'k' or 'p' (the page before ended with a prefix) and the hex of where it ended. */
static bool read_token(pb_slice token, char memory[PB_ORIGIN_KEY_BYTES_MAX], pb_slice *ret_key)
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

static void remember(page *made, pb_slice key, bool is_prefix)
{
    memcpy(made->last, key.data, key.size);
    made->last_size = key.size;
    made->last_is_prefix = is_prefix;
}

/* The common prefix that a key falls under; an empty one where it is an item. */
static pb_slice common_prefix(const listing *list, pb_slice key)
{
    const char *found = NULL;
    if (list->delimiter.size > 0 && key.size > list->prefix.size) {
        found = memmem(key.data + list->prefix.size, key.size - list->prefix.size,
                       list->delimiter.data, list->delimiter.size);
    }
    return found ? (pb_slice){key.data, (size_t)(found - key.data) + list->delimiter.size}
                 : (pb_slice){NULL, 0};
}

static void fill_page(const pb_origin_bucket *bucket, const listing *list, pb_origin_cursor cursor,
                      pb_slice endpoint, uint64_t set, pb_buffer *items, page *made)
{
    pb_slice name = pb_slice_of(bucket->name);
    const pb_origin_object *object;
    while ((object = pb_origin_cursor_next(&cursor)) != NULL) {
        pb_slice key = pb_origin_object_key(object);
        if (!pb_slice_starts_with(key, list->prefix) ||
            (list->end.data && pb_slice_compare(key, list->end) >= 0)) {
            break;
        }
        pb_slice prefix = common_prefix(list, key);
        if (made->count == list->page_max) {
            made->goes_on = true;
            break;
        }
        made->count++;
        if (prefix.size == 0 || (list->keeps_delimiters && prefix.size == key.size)) {
            if (set) {
                pb_origin_gcs_append_object(items, endpoint, name, object, set);
                pb_buffer_append_char(items, ',');
            }
        }
        if (prefix.size == 0) {
            remember(made, key, false);
            continue;
        }
        pb_origin_gcs_append_string(&made->prefixes, prefix);
        pb_buffer_append_char(&made->prefixes, ',');
        remember(made, prefix, true);
        char memory[PB_ORIGIN_KEY_BYTES_MAX];
        pb_slice from;
        if (!past_prefix(prefix, memory, &from)) {
            break;
        }
        cursor = pb_origin_bucket_seek(bucket, from, false);
    }
}

static void append_list(pb_buffer *text, const char *name, const pb_buffer *values)
{
    if (values->size > 0) {
        pb_buffer_append_format(text, "\"%s\":[", name);
        pb_buffer_append(text, values->data, values->size - 1); /* but for the last comma */
        pb_buffer_append_text(text, "],");
    }
}

void pb_origin_gcs_list_objects(pb_origin *origin, pb_origin_exchange *exchange,
                                pb_origin_call *call)
{
    const pb_origin_bucket *bucket = pb_origin_gcs_need_bucket(origin, exchange, call->s3.bucket);
    if (!bucket) {
        return;
    }
    const pb_origin_s3_request *s3 = &call->s3;
    listing list = {
        .prefix = pb_origin_gcs_value(s3, "prefix"),
        .delimiter = pb_origin_gcs_value(s3, "delimiter"),
        .start = pb_origin_gcs_value(s3, "startOffset"),
        .end = pb_origin_gcs_value(s3, "endOffset"),
        .keeps_delimiters = pb_slice_equal(pb_origin_gcs_value(s3, "includeTrailingDelimiter"),
                                           PB_SLICE_LITERAL("true")),
        .page_max = PB_ORIGIN_PAGE_MAX,
    };
    if (list.end.size == 0) {
        list.end.data = NULL; /* an empty one is none */
    }
    uint64_t most = origin->options.page_keys_max;
    pb_slice wanted = pb_origin_gcs_value(s3, "maxResults");
    if (wanted.data) {
        pb_parse_unsigned(wanted, &list.page_max);
    }
    most = most ? most : PB_ORIGIN_PAGE_MAX;
    list.page_max = list.page_max < most ? list.page_max : most;
    char memory[PB_ORIGIN_KEY_BYTES_MAX];
    pb_slice from = pb_slice_compare(list.start, list.prefix) > 0 ? list.start : list.prefix;
    pb_slice token = pb_origin_gcs_value(s3, "pageToken");
    bool is_after = false;
    bool is_over = false;
    if (token.size > 0) {
        pb_slice last;
        if (!read_token(token, memory, &last)) {
            pb_origin_gcs_refuse(exchange, 400, "invalidParameter", "Invalid page token.",
                                 "pageToken");
            return;
        }
        if (pb_slice_compare(last, from) >= 0) {
            is_after = token.data[0] == 'k';
            from = last;
            is_over = !is_after && !past_prefix(last, memory, &from);
        }
    }
    const pb_origin_gcs_fields *fields = &call->gcs.fields;
    bool has_items = pb_origin_gcs_wants(fields->outer, PB_ORIGIN_GCS_LIST_ITEMS);
    pb_buffer endpoint = {0};
    pb_buffer items = {0};
    page made = {0};
    pb_origin_gcs_append_endpoint(&endpoint, origin, exchange);
    if (!is_over) {
        fill_page(bucket, &list, pb_origin_bucket_seek(bucket, from, is_after),
                  pb_buffer_slice(&endpoint), has_items ? fields->object : 0, &items, &made);
    }
    pb_buffer *text = pb_origin_gcs_answer_json(exchange);
    pb_buffer_append_char(text, '{');
    if (pb_origin_gcs_wants(fields->outer, PB_ORIGIN_GCS_LIST_KIND)) {
        pb_buffer_append_text(text, "\"kind\":\"storage#objects\",");
    }
    if (made.goes_on && pb_origin_gcs_wants(fields->outer, PB_ORIGIN_GCS_LIST_NEXT_PAGE_TOKEN)) {
        char hex[2 * PB_ORIGIN_KEY_BYTES_MAX + 1];
        pb_hex_encode(made.last, made.last_size, hex);
        pb_buffer_append_format(text, "\"nextPageToken\":\"%c%s\",",
                                made.last_is_prefix ? 'p' : 'k', hex);
    }
    if (pb_origin_gcs_wants(fields->outer, PB_ORIGIN_GCS_LIST_PREFIXES)) {
        append_list(text, "prefixes", &made.prefixes);
    }
    append_list(&exchange->response.text_rest, "items", &items);
    pb_buffer *end = exchange->response.text_rest.size > 0 ? &exchange->response.text_rest : text;
    if (end->data[end->size - 1] == ',') {
        end->size--;
    }
    pb_buffer_append_char(end, '}');
    pb_buffer_free(&made.prefixes);
    pb_buffer_free(&items);
    pb_buffer_free(&endpoint);
}
