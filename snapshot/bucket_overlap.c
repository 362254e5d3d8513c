#include "snapshot/bucket_overlap.h"

#include "base/codec.h"
#include "cluster/pachyderm/layout.h"
#include "copier/store/location.h"
#include <stdlib.h>

#define UNKNOWN_HOST "?"

/* ---- reading a URL ---- */

/* BUCKET[/PREFIX] becomes "BUCKET/PREFIX/". False where it cannot be one. */
static bool append_path(pb_buffer *identity, pb_slice path)
{
    pb_buffer plain = {0};
    const char *slash = memchr(path.data, '/', path.size);
    size_t bucket_size = slash ? (size_t)(slash - path.data) : path.size;
    bool good = bucket_size > 0 && !memchr(path.data, '@', path.size);
    pb_buffer_append(identity, path.data, bucket_size);
    pb_buffer_append_char(identity, '/');
    if (good && slash) {
        pb_slice prefix = {slash + 1, path.size - bucket_size - 1};
        good = pb_percent_decode(&plain, prefix, false);
        pb_percent_encode(identity, pb_buffer_slice(&plain), true);
        if (identity->data[identity->size - 1] != '/')
            pb_buffer_append_char(identity, '/');
    }
    pb_buffer_free(&plain);
    return good;
}

static bool append_place(pb_buffer *identity, const char *scheme, pb_slice host, pb_slice path)
{
    pb_buffer_append_format(identity, "%s%.*s/", scheme, PB_SLICE_FORMAT(host));
    return append_path(identity, path);
}

/* azblob://CONTAINER[?storage_account=ACCOUNT], wasb[s]://CONTAINER@ACCOUNT.blob.core.windows.net
 */
static bool append_azure(pb_buffer *identity, pb_slice path, const char *query)
{
    static const char name[] = "storage_account=";
    pb_slice account = PB_SLICE_LITERAL(UNKNOWN_HOST);
    const char *at = memchr(path.data, '@', path.size);
    const char *found = query ? strstr(query, name) : NULL;
    if (at) {
        account.data = at + 1;
        account.size = strcspn(at + 1, "./?#");
        path.size = (size_t)(at - path.data);
    } else if (found) {
        account.data = found + sizeof name - 1;
        account.size = strcspn(account.data, "&#");
    }
    return append_place(identity, "azblob://", account, path);
}

char *pb_bucket_identity(const char *url)
{
    pb_location location = {0};
    pb_error ignored;
    if (!pb_location_parse(url, &location, &ignored)) {
        char *known = pb_location_identity(&location);
        pb_location_free(&location);
        return known;
    }
    pb_buffer identity = {0};
    pb_storage_provider provider;
    const char *start = pb_layout_after_scheme(url, &provider), *query = strchr(url, '?');
    bool good = false;
    if (start) {
        pb_slice path = {start, strcspn(start, "?#")};
        if (provider == PB_STORAGE_GOOGLE)
            good =
                append_place(&identity, "gs://", PB_SLICE_LITERAL("storage.googleapis.com"), path);
        else if (provider == PB_STORAGE_AZURE)
            good = append_azure(&identity, path, query);
        else if (provider == PB_STORAGE_S3) /* with what only pachd knows */
            good = append_place(&identity, "s3://", PB_SLICE_LITERAL(UNKNOWN_HOST), path);
    }
    if (good)
        return identity.data;
    pb_buffer_free(&identity);
    return NULL;
}

/* ---- comparing ---- */

/* They end in '/', so one place inside another begins with it. */
static bool begins_alike(const char *a, const char *b)
{
    size_t size = strlen(a), other_size = strlen(b);
    return memcmp(a, b, size < other_size ? size : other_size) == 0;
}

static pb_slice host_of(const char *identity)
{
    const char *host = strstr(identity, "://") + 3;
    return (pb_slice){host, strcspn(host, "/")};
}

/* Google's buckets have two dialects behind one host, and an emulator may: what is "gs://" counts
 * as "s3://". */
static pb_slice scheme_of(const char *identity)
{
    pb_slice scheme = {identity, (size_t)(host_of(identity).data - identity)};
    return pb_slice_equal(scheme, PB_SLICE_LITERAL("gs://")) ? PB_SLICE_LITERAL("s3://") : scheme;
}

/* Its buckets' names mean the same wherever they are said. */
static bool is_public(pb_slice host)
{
    return pb_slice_equal(host, PB_SLICE_LITERAL("s3.amazonaws.com")) ||
           pb_slice_equal(host, PB_SLICE_LITERAL("s3.amazonaws.com.cn")) ||
           pb_slice_equal(host, PB_SLICE_LITERAL("storage.googleapis.com"));
}

pb_bucket_relation pb_buckets_compare(const char *identity, const char *other)
{
    if (!identity || !other || !strstr(identity, "://") || !strstr(other, "://"))
        return PB_BUCKETS_UNKNOWN;
    pb_slice host = host_of(identity), other_host = host_of(other);
    pb_slice scheme = scheme_of(identity);
    bool alike = pb_slice_equal(scheme, scheme_of(other));
    if (alike && begins_alike(host.data, other_host.data))
        return PB_BUCKETS_OVERLAP;
    if (!alike || pb_slice_equal(scheme, PB_SLICE_LITERAL("file://")) ||
        pb_slice_equal(host, other_host) ||
        !begins_alike(host.data + host.size, other_host.data + other_host.size))
        return PB_BUCKETS_APART;
    /* The same name. Where nobody says at which endpoint, it is taken for the same. */
    if (pb_slice_equal(host, PB_SLICE_LITERAL(UNKNOWN_HOST)) ||
        pb_slice_equal(other_host, PB_SLICE_LITERAL(UNKNOWN_HOST)))
        return PB_BUCKETS_OVERLAP;
    bool is_azure = pb_slice_equal(scheme, PB_SLICE_LITERAL("azblob://"));
    return is_azure || (is_public(host) && is_public(other_host)) ? PB_BUCKETS_APART
                                                                  : PB_BUCKETS_UNKNOWN;
}
