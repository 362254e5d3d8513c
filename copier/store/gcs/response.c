#include "copier/store/gcs/response.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include "copier/store/etag.h"
#include "copier/store/gcs/answer.h"
#include "copier/store/gcs/object_headers.h"
#include "copier/store/gcs/request.h"

#define LIST_KIND "storage#objects"

static int refuse(const char *why, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_FAILED, "%s", why);
}

static int parse(pb_slice body, json_t **ret_object, pb_error *error)
{
    if (!pb_json_parse(body, "the answer", ret_object, error))
        return 0;
    if (error)
        error->kind = PB_ERROR_SERVER; /* cut off, or not from the store: worth another try */
    return -1;
}

static bool hash_of(const json_t *object, const char *name, void *ret_digest, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    pb_buffer bytes = {0};
    bool good = text && pb_base64_decode(&bytes, pb_slice_of(text)) && bytes.size == size;
    if (good)
        memcpy(ret_digest, bytes.data, size);
    pb_buffer_free(&bytes);
    return good;
}

static int read_object(const json_t *object, pb_gcs_object *ret_object, pb_error *error)
{
    const char *size = json_string_value(json_object_get(object, "size"));
    const char *updated = json_string_value(json_object_get(object, "updated"));
    const char *generation = json_string_value(json_object_get(object, "generation"));
    uint8_t md5[PB_MD5_BYTES];
    bool has_md5 = hash_of(object, "md5Hash", md5, sizeof md5);
    ret_object->has_crc32c =
        hash_of(object, "crc32c", ret_object->crc32c, sizeof ret_object->crc32c);
    pb_gcs_content_etag(has_md5 ? md5 : NULL, ret_object->has_crc32c ? ret_object->crc32c : NULL,
                        ret_object->etag);
    if (!size || !pb_parse_unsigned(pb_slice_of(size), &ret_object->size))
        return refuse("an object without its size", error);
    if (!updated || !pb_time_parse_rfc3339(pb_slice_of(updated), &ret_object->mtime_ms))
        return refuse("an object without the time of its last change", error);
    ret_object->generation = 0;
    if (generation)
        pb_parse_unsigned(pb_slice_of(generation), &ret_object->generation);
    return 0;
}

bool pb_gcs_object_may_be(const pb_gcs_object *object, pb_slice etag)
{
    uint8_t crc32c[PB_CRC32C_BYTES];
    pb_slice own = pb_slice_of(object->etag);
    if (pb_etag_is_crc32c(etag, crc32c))
        return !object->has_crc32c || memcmp(crc32c, object->crc32c, sizeof crc32c) == 0;
    return pb_etag_parts(etag) != 0 || pb_etag_parts(own) != 0 || pb_slice_equal(etag, own);
}

int pb_gcs_parse_object(pb_slice body, pb_gcs_object *ret_object, pb_buffer *headers,
                        pb_error *error)
{
    json_t *object;
    if (parse(body, &object, error))
        return -1;
    int failed = read_object(object, ret_object, error);
    if (!failed && headers)
        failed = pb_gcs_headers_of_resource(object, headers, error);
    json_decref(object);
    return failed;
}

/* ---- listings ---- */

static pb_slice text_of(const json_t *value)
{
    return json_is_string(value) ? (pb_slice){json_string_value(value), json_string_length(value)}
                                 : (pb_slice){NULL, 0};
}

/* Takes the store's prefix off. */
static int relative(pb_slice *key, const pb_gcs_list_asked *asked, pb_error *error)
{
    if (key->size > PB_GCS_NAME_BYTES_MAX || !pb_slice_starts_with(*key, asked->store_prefix))
        return refuse("a key that is too long, or outside of the prefix that was asked for", error);
    *key = (pb_slice){key->data + asked->store_prefix.size, key->size - asked->store_prefix.size};
    if (!pb_slice_starts_with(*key, asked->prefix))
        return refuse("a key outside of the prefix that was asked for", error);
    return 0;
}

static int add_item(const json_t *item, const pb_gcs_list_asked *asked, pb_page *page,
                    pb_error *error)
{
    pb_gcs_object object;
    pb_slice key = text_of(json_object_get(item, "name"));
    pb_slice generation = text_of(json_object_get(item, "generation"));
    pb_slice metageneration = text_of(json_object_get(item, "metageneration"));
    if (!key.size)
        return refuse("an object without its name", error);
    if (relative(&key, asked, error) || read_object(item, &object, error))
        return -1;
    if (!key.size)
        return object.size ? refuse("an object that has the prefix itself for its name", error) : 0;
    if (pb_slice_equal(key, asked->after))
        return 0;
    pb_entry *entry = pb_page_add(page);
    entry->key = pb_arena_copy(&page->arena, key);
    entry->etag = pb_arena_copy(&page->arena, pb_slice_of(object.etag));
    entry->size = object.size;
    entry->mtime_ms = object.mtime_ms;
    if (generation.size && metageneration.size && generation.size + metageneration.size < 64) {
        char version[66];
        memcpy(version, generation.data, generation.size);
        version[generation.size] = '/';
        memcpy(version + generation.size + 1, metageneration.data, metageneration.size);
        entry->version = pb_arena_copy(
            &page->arena, (pb_slice){version, generation.size + 1 + metageneration.size});
    }
    return 0;
}

/* Of the store's token and where the listing began: pb_gcs_split_token. */
static pb_slice page_token(pb_page *page, const pb_gcs_list_asked *asked, pb_slice token)
{
    pb_slice start = asked->after;
    if (asked->token.size)
        pb_gcs_split_token(asked->token, &start);
    if (!token.size || !start.size)
        return pb_arena_copy(&page->arena, token);
    char *text = pb_arena_allocate(&page->arena, token.size + 1 + start.size);
    memcpy(text, token.data, token.size);
    text[token.size] = '\n';
    memcpy(text + token.size + 1, start.data, start.size);
    return (pb_slice){text, token.size + 1 + start.size};
}

static int fill_page(const json_t *list, const pb_gcs_list_asked *asked, pb_page *page,
                     pb_error *error)
{
    const json_t *items = json_object_get(list, "items");
    const json_t *prefixes = json_object_get(list, "prefixes");
    pb_slice token = text_of(json_object_get(list, "nextPageToken"));
    size_t index;
    json_t *value;
    /* Of a bucket without objects nothing but the kind comes: other JSON is not taken for one. */
    if (!pb_slice_equal(text_of(json_object_get(list, "kind")), PB_SLICE_LITERAL(LIST_KIND)))
        return refuse("the answer is no listing", error);
    if ((items && !json_is_array(items)) || (prefixes && !json_is_array(prefixes)))
        return refuse("a listing whose objects or prefixes are no array", error);
    if (memchr(token.data ? token.data : "", '\n', token.size))
        return refuse("a page token with a line end", error);
    json_array_foreach(items, index, value)
    {
        if (add_item(value, asked, page, error))
            return -1;
    }
    json_array_foreach(prefixes, index, value)
    {
        pb_slice prefix = text_of(value);
        if (relative(&prefix, asked, error))
            return -1;
        if (!prefix.size)
            return refuse("an empty prefix", error);
        pb_page_add_prefix(page, pb_arena_copy(&page->arena, prefix));
    }
    page->more = token.size > 0;
    page->token = page_token(page, asked, token);
    return 0;
}

int pb_gcs_parse_list(pb_slice body, const pb_gcs_list_asked *asked, pb_page **ret_page,
                      pb_error *error)
{
    json_t *list;
    if (parse(body, &list, error))
        return -1;
    pb_page *page = pb_page_new();
    int failed = fill_page(list, asked, page, error);
    json_decref(list);
    if (failed)
        pb_page_release(page);
    else
        *ret_page = page;
    return failed;
}

/* ---- the others ---- */

int pb_gcs_parse_rewrite(pb_slice body, bool *ret_done, pb_gcs_object *ret_object,
                         uint64_t *ret_bytes, pb_buffer *rewrite_token, pb_error *error)
{
    json_t *rewrite;
    if (parse(body, &rewrite, error))
        return -1;
    pb_slice token = text_of(json_object_get(rewrite, "rewriteToken"));
    int failed = 0;
    *ret_bytes = 0;
    pb_parse_unsigned(text_of(json_object_get(rewrite, "totalBytesRewritten")), ret_bytes);
    *ret_done = json_is_true(json_object_get(rewrite, "done"));
    if (*ret_done)
        failed = read_object(json_object_get(rewrite, "resource"), ret_object, error);
    else if (!token.size)
        failed = refuse("a copy that is neither done nor to be continued", error);
    else
        pb_buffer_append_slice(rewrite_token, token);
    json_decref(rewrite);
    return failed;
}

void pb_gcs_parse_error(pb_slice body, pb_buffer *reason, pb_buffer *message)
{
    json_t *document;
    if (!body.size || pb_json_parse(body, "the answer", &document, NULL))
        return;
    const json_t *error = json_object_get(document, "error");
    const json_t *first = json_array_get(json_object_get(error, "errors"), 0);
    pb_buffer_append_slice(reason, text_of(json_object_get(first, "reason")));
    pb_buffer_append_slice(message, text_of(json_object_get(error, "message")));
    json_decref(document);
}
