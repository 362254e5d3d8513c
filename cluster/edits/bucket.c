#include "cluster/edits/bucket.h"

#include "base/base64.h"
#include "base/codec.h"
#include "cluster/kubernetes/object.h"
#include "cluster/pachyderm/layout.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* A STORAGE_URL; slices are borrowed. */
typedef struct storage_url {
    pb_storage_provider provider;
    pb_slice bucket;
    pb_slice account; /* Azure's "ACCOUNT.blob.core.windows.net", where named */
    pb_slice query;   /* without '?' */
} storage_url;

/* False where it is none. */
static bool parse_url(const char *text, storage_url *ret_url)
{
    storage_url url = {0};
    const char *rest = pb_layout_after_scheme(text, &url.provider);
    if (rest == NULL)
        return false;
    size_t end = strcspn(rest, "?#");
    if (rest[end] == '#')
        return false;
    if (rest[end] == '?')
        url.query = pb_slice_of(rest + end + 1);
    url.bucket = (pb_slice){rest, end};
    if (url.provider != PB_STORAGE_FILE) {
        if (end > 0 && rest[end - 1] == '/')
            url.bucket.size--;
        const char *at = memchr(rest, '@', url.bucket.size);
        if (at && url.provider == PB_STORAGE_AZURE) {
            url.account = (pb_slice){at + 1, url.bucket.size - (size_t)(at + 1 - rest)};
            url.bucket.size = (size_t)(at - rest);
            if (!pb_layout_is_bucket_name(url.account))
                return false;
        }
        if (!pb_layout_is_bucket_name(url.bucket))
            return false;
    } else if (url.bucket.size == 0)
        return false;
    *ret_url = url;
    return true;
}

/* The value of a parameter, decoded; false where the URL does not name it. */
static bool parameter(const storage_url *url, const char *name, pb_buffer *ret_value)
{
    size_t size = strlen(name);
    for (size_t at = 0; at < url->query.size;) {
        const char *start = url->query.data + at, *end = memchr(start, '&', url->query.size - at);
        size_t length = end ? (size_t)(end - start) : url->query.size - at;
        if (length > size && strncmp(start, name, size) == 0 && start[size] == '=') {
            pb_buffer_clear(ret_value);
            return pb_percent_decode(ret_value, (pb_slice){start + size + 1, length - size - 1},
                                     true) &&
                   ret_value->size > 0 && strlen(ret_value->data) == ret_value->size &&
                   pb_utf8_valid(pb_buffer_slice(ret_value));
        }
        at += length + 1;
    }
    return false;
}

/* ---- which bucket it is ---- */

/* The same for each way of writing an endpoint and its scheme. */
static void append_place(pb_buffer *place, pb_slice bucket, const char *endpoint, bool plain)
{
    const char *host = strstr(endpoint, "://");
    plain = plain || strncmp(endpoint, "http://", 7) == 0;
    host = host ? host + 3 : endpoint;
    pb_buffer_append_slice(place, bucket);
    if (*host)
        pb_buffer_append_format(place, " %s %s", plain ? "http" : "https", host);
    pb_buffer_append_char(place, '\n');
}

static void append_url_place(pb_buffer *place, const storage_url *url,
                             const storage_url *parameters)
{
    pb_buffer endpoint = {0}, plain = {0};
    bool has_endpoint = parameter(parameters, "endpoint", &endpoint);
    bool is_plain = parameter(parameters, "disableSSL", &plain) && strcmp(plain.data, "true") == 0;
    append_place(place, url->bucket, has_endpoint ? endpoint.data : "", is_plain);
    pb_buffer_free(&endpoint);
    pb_buffer_free(&plain);
}

/* "" where there is none or it is no text. */
static void read_secret(const json_t *data, const char *key, pb_buffer *ret_value)
{
    const char *text = json_string_value(json_object_get(data, key));
    pb_buffer_clear(ret_value);
    if (!text || !pb_base64_decode(ret_value, pb_slice_of(text)))
        pb_buffer_clear(ret_value);
    pb_buffer_append_text(ret_value, "");
}

static void append_secret_place(pb_buffer *place, const json_t *data)
{
    pb_buffer bucket = {0}, value = {0}, tls = {0};
    for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++) {
        const pb_storage_backend *backend = &pb_storage_backends[i];
        read_secret(data, backend->bucket, &bucket);
        read_secret(data, backend->endpoint, &value);
        read_secret(data, backend->tls, &tls);
        append_place(place, pb_buffer_slice(&bucket), value.data,
                     pb_layout_is_plain(backend, tls.data));
        for (size_t k = 0; k < COUNT(backend->accounts); k++) {
            read_secret(data, backend->accounts[k], &value);
            append_place(place, pb_buffer_slice(&bucket), value.data, false);
        }
    }
    pb_buffer_free(&bucket);
    pb_buffer_free(&value);
    pb_buffer_free(&tls);
}

/* ---- the secret ---- */

static void set_secret(json_t *data, const char *key, pb_slice value)
{
    pb_buffer text = {0};
    pb_base64_encode(&text, value);
    json_object_set_new(data, key, json_stringn(text.data ? text.data : "", text.size));
    pb_buffer_free(&text);
}

static void set_secret_if(json_t *data, const char *key, pb_slice value)
{
    if (json_object_get(data, key))
        set_secret(data, key, value);
}

/* Whether MinIO is spoken to by TLS is "1" and "0" or "true" and "false": as it was. */
static void set_secure(json_t *data, const char *key, bool secure)
{
    pb_buffer old = {0};
    const char *text = json_string_value(json_object_get(data, key));
    bool words = text && pb_base64_decode(&old, pb_slice_of(text)) && old.size > 1;
    pb_buffer_free(&old);
    set_secret(data, key, pb_slice_of(words ? (secure ? "true" : "false") : (secure ? "1" : "0")));
}

static void set_amazon(json_t *data, const pb_storage_backend *backend, const storage_url *url)
{
    pb_buffer value = {0};
    if (parameter(url, "endpoint", &value))
        set_secret(data, backend->endpoint, pb_buffer_slice(&value));
    if (parameter(url, "disableSSL", &value))
        set_secret(data, backend->tls, pb_buffer_slice(&value));
    if (parameter(url, "region", &value)) {
        set_secret(data, backend->region, pb_buffer_slice(&value));
        set_secret_if(data, pb_storage_library.region, pb_buffer_slice(&value));
    }
    pb_buffer_free(&value);
}

static void set_minio(json_t *data, const pb_storage_backend *backend, const storage_url *url)
{
    pb_buffer value = {0}, plain = {0};
    if (parameter(url, "endpoint", &value)) {
        const char *host = strstr(value.data, "://");
        bool http = strncmp(value.data, "http://", 7) == 0;
        set_secret(data, backend->endpoint, pb_slice_of(host ? host + 3 : value.data));
        if (parameter(url, "disableSSL", &plain))
            http = strcmp(plain.data, "true") == 0;
        set_secure(data, backend->tls, !http);
    }
    pb_buffer_free(&value);
    pb_buffer_free(&plain);
}

static void set_accounts(json_t *data, const pb_storage_backend *backend, const storage_url *url)
{
    if (url->account.size == 0)
        return;
    const char *dot = memchr(url->account.data, '.', url->account.size);
    pb_slice name = {url->account.data,
                     dot ? (size_t)(dot - url->account.data) : url->account.size};
    for (size_t i = 0; i < COUNT(backend->accounts); i++)
        set_secret_if(data, backend->accounts[i], name);
}

static void set_backend(json_t *data, const pb_storage_backend *backend, const storage_url *url)
{
    set_secret(data, backend->bucket, url->bucket);
    set_accounts(data, backend, url);
    if (pb_layout_is_minio(backend))
        set_minio(data, backend, url);
    else if (backend->provider == PB_STORAGE_S3)
        set_amazon(data, backend, url);
}

/* How many buckets' keys were set; *ret_other: a key there that is another provider's; *ret_moved:
 * the secret names another bucket now. */
static size_t edit_secret(const storage_url *url, json_t *objects, const char **ret_other,
                          bool *ret_moved)
{
    size_t count = 0, i;
    json_t *object;
    json_array_foreach(objects, i, object)
    {
        json_t *data = json_object_get(object, "data");
        if (!pb_object_is(object, "Secret", PB_STORAGE_SECRET))
            continue;
        pb_buffer before = {0}, after = {0};
        append_secret_place(&before, data);
        for (size_t k = 0; k < PB_STORAGE_BACKENDS; k++) {
            const pb_storage_backend *backend = &pb_storage_backends[k];
            if (!json_object_get(data, backend->bucket))
                continue;
            if (backend->provider != url->provider) {
                *ret_other = backend->bucket;
                continue;
            }
            count++;
            set_backend(data, backend, url);
        }
        append_secret_place(&after, data);
        *ret_moved |= !pb_slice_equal(pb_buffer_slice(&before), pb_buffer_slice(&after));
        pb_buffer_free(&before);
        pb_buffer_free(&after);
    }
    return count;
}

/* ---- STORAGE_URL ---- */

/* Is it the same bucket? A URL without parameters keeps the others'. */
static bool is_same_place(const storage_url *old, const storage_url *url)
{
    pb_buffer one = {0}, other = {0};
    append_url_place(&one, old, old);
    append_url_place(&other, url, url->query.size ? url : old);
    bool same = old->provider == url->provider && pb_slice_equal(old->account, url->account) &&
                pb_slice_equal(pb_buffer_slice(&one), pb_buffer_slice(&other));
    pb_buffer_free(&one);
    pb_buffer_free(&other);
    return same;
}

/* True where it names another bucket now. */
static bool edit_container(const char *text, const storage_url *url, json_t *container)
{
    const char *old_text = pb_container_variable(container, PB_STORAGE_URL);
    storage_url old;
    bool is_url = parse_url(old_text, &old);
    bool moved = !is_url || !is_same_place(&old, url);
    pb_buffer value = {0};
    pb_buffer_append_text(&value, text);
    if (strchr(text, '?') == NULL && is_url && old.query.size > 0 &&
        old.provider == url->provider && url->provider != PB_STORAGE_FILE) {
        pb_buffer_append_char(&value, '?');
        pb_buffer_append_slice(&value, old.query);
    }
    pb_container_set_variable(container, PB_STORAGE_URL, value.data);
    pb_buffer_free(&value);
    if (is_url && old.provider != url->provider && *pb_layout_backend_of(url->provider))
        pb_container_set_variable(container, PB_STORAGE_BACKEND,
                                  pb_layout_backend_of(url->provider));
    return moved;
}

/* In how many of pachd's containers STORAGE_URL was set; pachw's are set as well. */
static size_t edit_storage_url(const char *text, const storage_url *url, json_t *objects,
                               bool *ret_moved)
{
    size_t count = 0, i, k;
    json_t *object, *container;
    json_array_foreach(objects, i, object)
    {
        bool pachd = pb_layout_is(object, "Deployment", PB_COMPONENT_PACHD);
        if (!pachd && !pb_layout_is(object, "Deployment", PB_COMPONENT_PACHW))
            continue;
        json_t *containers = pb_object_containers(object);
        json_array_foreach(containers, k, container)
        {
            if (pb_container_variable(container, PB_STORAGE_URL) == NULL)
                continue;
            *ret_moved |= edit_container(text, url, container);
            count += pachd;
        }
        json_decref(containers);
    }
    return count;
}

static int refuse_nothing_found(pb_storage_provider provider, pb_storage_place place,
                                const char *version, pb_error *error)
{
    pb_buffer keys = {0};
    for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++)
        if (pb_storage_backends[i].provider == provider)
            pb_buffer_append_format(&keys, "%s%s", keys.size ? " or " : "",
                                    pb_storage_backends[i].bucket);
    const char *unknown = *version ? "" : " (Pachyderm's version is unknown)";
    if (place == PB_STORAGE_BY_URL)
        pb_error_set(error, PB_ERROR_FAILED,
                     "bucket: found no value of " PB_STORAGE_URL " in Deployment pachd%s", unknown);
    else
        pb_error_set(
            error, PB_ERROR_FAILED, "bucket: found no key %s in secret " PB_STORAGE_SECRET "%s%s",
            keys.size ? keys.data : "of a bucket",
            place == PB_STORAGE_BY_EITHER ? " and no " PB_STORAGE_URL " in Deployment pachd" : "",
            unknown);
    pb_buffer_free(&keys);
    return -1;
}

int pb_edits_bucket(const char *url, const char *version, json_t *objects, bool *moved,
                    pb_error *error)
{
    storage_url parsed;
    if (!parse_url(url, &parsed)) {
        /* Not repeated: it may hold a password. */
        pb_error_set(error, PB_ERROR_USAGE, "bucket: not the URL of a bucket");
        return pb_error_hint(error, "as Pachyderm's STORAGE_URL: s3://BUCKET?endpoint=HOST:PORT, "
                                    "gs://BUCKET; without a path");
    }
    pb_storage_place place =
        pb_layout_storage_place(pb_layout_find(objects, "Deployment", PB_COMPONENT_PACHD), version);
    bool by_secret = place == PB_STORAGE_BY_SECRET, by_url = place == PB_STORAGE_BY_URL;
    const char *other = NULL;
    bool secret_moved = false, url_moved = false;
    size_t in_secret = edit_secret(&parsed, objects, &other, &secret_moved);
    size_t in_url = edit_storage_url(url, &parsed, objects, &url_moved);
    *moved |= (!by_url && secret_moved) || (!by_secret && url_moved);
    if (by_secret ? in_secret : by_url ? in_url : in_secret + in_url)
        return 0;
    if (other && !by_url) {
        pb_error_set(error, PB_ERROR_FAILED,
                     "bucket: secret " PB_STORAGE_SECRET " holds %s, which is another "
                     "provider's than the new bucket",
                     other);
        return pb_error_hint(error, "change the secret's credentials with its bucket");
    }
    return refuse_nothing_found(parsed.provider, place, version, error);
}
