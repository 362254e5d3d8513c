#include "copier/store/location.h"

#include "base/codec.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BUCKET_BYTES_MAX = 255,
    PREFIX_BYTES_MAX = 512, /* leaves room for keys in S3's 1,024 bytes */
    HOST_BYTES_MAX = 253,
    NAME_BYTES_MAX = 128, /* region, profile */
    PATH_BYTES_MAX = 128, /* of an endpoint: base URLs stay short */
};

#define FORMS                                                                                      \
    "s3://BUCKET[/PREFIX][?endpoint=HOST:PORT&region=R], gs://BUCKET[/PREFIX] or "                 \
    "file:///DIRECTORY"
/* No part of the URL is repeated here: it may be a secret. */
#define SECRET_HINT                                                                                \
    "credentials come from the environment or an AWS profile (profile=NAME), never from a URL"

static bool take(pb_slice *text, const char *start)
{
    pb_slice wanted = pb_slice_of(start);
    if (!pb_slice_starts_with(*text, wanted))
        return false;
    *text = (pb_slice){text->data + wanted.size, text->size - wanted.size};
    return true;
}

/* Cuts `text` at the first `separator`; what follows it, or nothing, goes to *ret_rest. True where
 * there was one. */
static bool cut(pb_slice *text, char separator, pb_slice *ret_rest)
{
    const char *at = text->size ? memchr(text->data, separator, text->size) : NULL;
    if (!at) {
        *ret_rest = (pb_slice){NULL, 0};
        return false;
    }
    *ret_rest = (pb_slice){at + 1, text->size - (size_t)(at + 1 - text->data)};
    text->size = (size_t)(at - text->data);
    return true;
}

static bool consists_of(pb_slice text, const char *punctuation)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x80 || !(isalnum(c) || (c && strchr(punctuation, c))))
            return false;
    }
    return true;
}

/* The decoded text; NULL where an escape is broken or the bytes are no text. */
static char *decode(pb_slice text, bool plus_is_space)
{
    pb_buffer buffer = {0};
    pb_buffer_reserve(&buffer, text.size);
    if (pb_percent_decode(&buffer, text, plus_is_space) &&
        pb_utf8_valid(pb_buffer_slice(&buffer)) && !memchr(buffer.data, '\0', buffer.size))
        return buffer.data;
    pb_buffer_free(&buffer);
    return NULL;
}

static int parse_bool(pb_slice name, const char *value, bool *ret_value, pb_error *error)
{
    /* What Go's strconv.ParseBool takes, since gocloud reads these with it. */
    static const char *const truths[] = {"true", "True", "TRUE", "t", "T", "1"};
    static const char *const lies[] = {"false", "False", "FALSE", "f", "F", "0"};
    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) {
        bool truth = strcmp(value, truths[i]) == 0;
        if (truth || strcmp(value, lies[i]) == 0) {
            *ret_value = truth;
            return 0;
        }
    }
    return pb_error_set(error, PB_ERROR_USAGE, "%.*s=%s: neither true nor false",
                        PB_SLICE_FORMAT(name), value);
}

static int refuse_endpoint(const char *why, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE, "endpoint: %s", why);
    return pb_error_hint(error, "endpoint=[http[s]://]HOST[:PORT][/PATH]");
}

/* Appends "/a/b" to the endpoint. What needs an escape, or what a server on the way may resolve, is
 * refused: the signature covers the path as it is sent. */
static bool append_endpoint_path(pb_buffer *endpoint, pb_slice path)
{
    if (path.size > PATH_BYTES_MAX || !consists_of(path, "/.-_~"))
        return false;
    while (path.size) {
        pb_slice segment = path, rest;
        bool more = cut(&segment, '/', &rest);
        if (!segment.size || pb_slice_equal(segment, PB_SLICE_LITERAL(".")) ||
            pb_slice_equal(segment, PB_SLICE_LITERAL("..")) || (more && !rest.size))
            return false;
        pb_buffer_append_char(endpoint, '/');
        pb_buffer_append_slice(endpoint, segment);
        path = rest;
    }
    return true;
}

/* The host in lower case, no default port. */
int pb_location_endpoint_parse(const char *value, bool plain, char **ret_endpoint, pb_error *error)
{
    pb_slice rest = pb_slice_of(value), path, host, port = {NULL, 0};
    bool https = !plain;
    if (memchr(rest.data, '@', rest.size)) {
        refuse_endpoint("looks like it holds credentials", error);
        return pb_error_hint(error, SECRET_HINT);
    }
    if (take(&rest, "https://")) {
        if (plain)
            return refuse_endpoint("https:// and disableSSL=true contradict each other", error);
    } else if (take(&rest, "http://")) {
        https = false;
    }
    if (rest.size && rest.data[rest.size - 1] == '/')
        rest.size--;
    bool has_path = cut(&rest, '/', &path);
    host = rest;
    if (rest.size && rest.data[0] == '[') {
        const char *end = memchr(rest.data, ']', rest.size);
        if (!end)
            return refuse_endpoint("a '[' without ']'", error);
        host.size = (size_t)(end + 1 - rest.data);
        port = (pb_slice){end + 1, rest.size - host.size};
        if (!consists_of((pb_slice){host.data + 1, host.size - 2}, ":.") || host.size < 4)
            return refuse_endpoint("no IPv6 address", error);
        if (port.size && !take(&port, ":"))
            return refuse_endpoint("no HOST:PORT", error);
        if (!port.size && rest.size > host.size)
            return refuse_endpoint("no port after ':'", error);
    } else {
        if (cut(&host, ':', &port) && !port.size)
            return refuse_endpoint("no port after ':'", error);
        if (!host.size || host.size > HOST_BYTES_MAX || !consists_of(host, ".-_"))
            return refuse_endpoint("no HOST:PORT", error);
    }
    uint64_t number = 0;
    if (port.size && (!pb_parse_unsigned(port, &number) || number < 1 || number > 65535))
        return refuse_endpoint("a port is 1 to 65535", error);
    pb_buffer endpoint = {0};
    pb_buffer_append_text(&endpoint, https ? "https://" : "http://");
    for (size_t i = 0; i < host.size; i++)
        pb_buffer_append_char(&endpoint, (char)tolower((unsigned char)host.data[i]));
    if (number && number != (https ? 443 : 80))
        pb_buffer_append_format(&endpoint, ":%u", (unsigned)number);
    if (has_path && (!path.size || !append_endpoint_path(&endpoint, path))) {
        pb_buffer_free(&endpoint);
        return refuse_endpoint("its path is no /NAME/NAME of letters, digits, '.', '-', '_', '~'",
                               error);
    }
    *ret_endpoint = endpoint.data;
    return 0;
}

static int take_name(pb_slice name, const char *value, const char *punctuation, char **ret_name,
                     pb_error *error)
{
    size_t size = strlen(value);
    if (!size || size > NAME_BYTES_MAX || !consists_of(pb_slice_of(value), punctuation))
        return pb_error_set(error, PB_ERROR_USAGE, "%.*s=: not a name", PB_SLICE_FORMAT(name));
    *ret_name = pb_duplicate(pb_slice_of(value));
    return 0;
}

/* The parameters as they were said; what they mean together is told once all are known. */
typedef struct url_query {
    char *endpoint;
    bool plain;
    unsigned seen;
} url_query;

static int parse_s3_parameter(pb_slice name, const char *value, url_query *query,
                              pb_location *location, pb_error *error)
{
    static const char *const names[] = {"endpoint",    "region",           "profile",
                                        "disableSSL",  "s3ForcePathStyle", "requestPayer",
                                        "opaqueETags", "anonymous",        "awssdk"};
    enum {
        ENDPOINT,
        REGION,
        PROFILE,
        DISABLE_SSL,
        PATH_STYLE,
        REQUEST_PAYER,
        OPAQUE_ETAGS,
        ANONYMOUS,
        AWS_SDK,
        COUNT
    };
    unsigned which = 0;
    while (which < COUNT && !pb_slice_equal(name, pb_slice_of(names[which])))
        which++;
    if (which == COUNT) {
        pb_error_set(error, PB_ERROR_USAGE, "unknown parameter \"%.*s\"", PB_SLICE_FORMAT(name));
        return pb_error_hint(
            error,
            "known are endpoint, region, profile, disableSSL, s3ForcePathStyle, requestPayer, "
            "opaqueETags, anonymous; %s",
            SECRET_HINT);
    }
    if (query->seen & 1u << which)
        return pb_error_set(error, PB_ERROR_USAGE, "%s= is said twice", names[which]);
    query->seen |= 1u << which;
    bool truth = false;
    switch (which) {
    case ENDPOINT:
        query->endpoint = pb_duplicate(pb_slice_of(value));
        return 0;
    case REGION:
        return take_name(name, value, "-_", &location->region, error);
    case PROFILE:
        return take_name(name, value, "-_.@+/ ", &location->profile, error);
    case DISABLE_SSL:
        return parse_bool(name, value, &query->plain, error);
    case REQUEST_PAYER: /* "requester" is how S3's header and its clients say it */
        if (strcmp(value, "requester") != 0)
            return parse_bool(name, value, &location->requester_pays, error);
        location->requester_pays = true;
        return 0;
    case OPAQUE_ETAGS:
        return parse_bool(name, value, &location->opaque_etags, error);
    case ANONYMOUS:
        return parse_bool(name, value, &location->anonymous, error);
    case AWS_SDK: /* gocloud: which SDK it goes by */
        return strcmp(value, "v1") == 0 || strcmp(value, "v2") == 0
                   ? 0
                   : pb_error_set(error, PB_ERROR_USAGE, "awssdk=: neither v1 nor v2");
    default:
        if (parse_bool(name, value, &truth, error))
            return -1;
        location->path_style = truth;
        return 0;
    }
}

static int parse_gcs_parameter(pb_slice name, const char *value, url_query *query,
                               pb_location *location, pb_error *error)
{
    static const char *const names[] = {"endpoint", "anonymous", "userProject"};
    enum { ENDPOINT, ANONYMOUS, USER_PROJECT, COUNT };
    unsigned which = 0;
    while (which < COUNT && !pb_slice_equal(name, pb_slice_of(names[which])))
        which++;
    if (which == COUNT) {
        pb_error_set(error, PB_ERROR_USAGE, "unknown parameter \"%.*s\"", PB_SLICE_FORMAT(name));
        return pb_error_hint(error, "known are endpoint, anonymous, userProject; %s", SECRET_HINT);
    }
    if (query->seen & 1u << which)
        return pb_error_set(error, PB_ERROR_USAGE, "%s= is said twice", names[which]);
    query->seen |= 1u << which;
    switch (which) {
    case ENDPOINT:
        query->endpoint = pb_duplicate(pb_slice_of(value));
        return 0;
    case ANONYMOUS:
        return parse_bool(name, value, &location->anonymous, error);
    default:
        return take_name(name, value, "-.:", &location->user_project, error);
    }
}

/* Gives each parameter to `take_parameter`, decoded. */
static int parse_parameters(pb_slice rest,
                            int (*take_parameter)(pb_slice name, const char *value,
                                                  url_query *query, pb_location *location,
                                                  pb_error *error),
                            url_query *query, pb_location *location, pb_error *error)
{
    int failed = 0;
    while (rest.size && !failed) {
        pb_slice name = rest, after, value;
        cut(&name, '&', &after);
        rest = after;
        if (!name.size)
            continue;
        cut(&name, '=', &value);
        char *decoded = decode(value, true);
        failed = decoded ? take_parameter(name, decoded, query, location, error)
                         : pb_error_set(error, PB_ERROR_USAGE, "%.*s=: a broken %% escape",
                                        PB_SLICE_FORMAT(name));
        free(decoded);
    }
    return failed;
}

static int parse_gcs_query(pb_slice rest, pb_location *location, pb_error *error)
{
    url_query query = {0};
    int failed = parse_parameters(rest, parse_gcs_parameter, &query, location, error);
    if (!failed && query.endpoint)
        failed = pb_location_endpoint_parse(query.endpoint, false, &location->endpoint, error);
    free(query.endpoint);
    return failed;
}

static int parse_s3_query(pb_slice rest, pb_location *location, pb_error *error)
{
    url_query query = {0};
    int failed = parse_parameters(rest, parse_s3_parameter, &query, location, error);
    if (!failed && query.endpoint)
        failed =
            pb_location_endpoint_parse(query.endpoint, query.plain, &location->endpoint, error);
    else if (!failed && query.plain)
        failed = pb_error_set(error, PB_ERROR_USAGE,
                              "disableSSL=true needs an endpoint: AWS is spoken to with TLS only");
    if (!failed && location->endpoint && strchr(strstr(location->endpoint, "://") + 3, '/') &&
        location->path_style == 0)
        failed = pb_error_set(error, PB_ERROR_USAGE,
                              "s3ForcePathStyle=false: behind an endpoint with a path, buckets "
                              "stand in the path");
    free(query.endpoint);
    return failed;
}

/* BUCKET[/PREFIX] */
static int parse_bucket(pb_slice rest, pb_location *location, pb_error *error)
{
    pb_slice path;
    bool has_path = cut(&rest, '/', &path);
    pb_slice bucket = rest;
    if (!bucket.size)
        return pb_error_set(error, PB_ERROR_USAGE, "no bucket");
    if (memchr(bucket.data, ':', bucket.size)) {
        pb_error_set(error, PB_ERROR_USAGE, "a bucket's name holds no ':'");
        return pb_error_hint(error, "the endpoint is a parameter: ?endpoint=HOST:PORT");
    }
    if (bucket.size > BUCKET_BYTES_MAX || !consists_of(bucket, ".-_") || bucket.data[0] == '.')
        return pb_error_set(error, PB_ERROR_USAGE, "not a bucket's name: \"%.*s\"",
                            PB_SLICE_FORMAT(bucket));
    location->bucket = pb_duplicate(bucket);

    char *prefix = decode(has_path ? path : PB_SLICE_LITERAL(""), false);
    if (!prefix) {
        pb_error_set(error, PB_ERROR_USAGE, "the prefix has a broken %% escape or is not UTF-8");
        return pb_error_hint(error, "write '%%' as %%25");
    }
    size_t size = strlen(prefix);
    pb_buffer folder = {0};
    pb_buffer_append(&folder, prefix, size);
    if (size && prefix[size - 1] != '/')
        pb_buffer_append_char(&folder, '/');
    free(prefix);
    location->prefix = folder.data;
    if (folder.size > PREFIX_BYTES_MAX)
        return pb_error_set(error, PB_ERROR_USAGE, "the prefix is longer than %d bytes",
                            (int)PREFIX_BYTES_MAX);
    return 0;
}

static int parse_s3(pb_slice rest, pb_location *location, pb_error *error)
{
    pb_slice query;
    cut(&rest, '?', &query);
    return parse_bucket(rest, location, error) ? -1 : parse_s3_query(query, location, error);
}

static int parse_gcs(pb_slice rest, pb_location *location, pb_error *error)
{
    pb_slice query;
    cut(&rest, '?', &query);
    return parse_bucket(rest, location, error) ? -1 : parse_gcs_query(query, location, error);
}

/* Appends the segments of a path, without "//" and "."; ".." is refused, since what it means
 * depends on symbolic links. */
static int append_segments(pb_buffer *directory, pb_slice path, pb_error *error)
{
    while (path.size) {
        pb_slice segment = path, rest;
        cut(&segment, '/', &rest);
        path = rest;
        if (!segment.size || pb_slice_equal(segment, PB_SLICE_LITERAL(".")))
            continue;
        if (pb_slice_equal(segment, PB_SLICE_LITERAL(".."))) {
            pb_error_set(error, PB_ERROR_USAGE, "the directory holds \"..\"");
            return pb_error_hint(error, "write the directory in full: file:///DIRECTORY");
        }
        pb_buffer_append_char(directory, '/');
        pb_buffer_append_slice(directory, segment);
    }
    return 0;
}

static int parse_file(pb_slice rest, pb_location *location, pb_error *error)
{
    if (rest.size && memchr(rest.data, '?', rest.size)) {
        pb_error_set(error, PB_ERROR_USAGE, "file:// has no parameters");
        return pb_error_hint(error, "write '?' in a directory's name as %%3F");
    }
    char *path = decode(rest, false);
    if (!path) {
        pb_error_set(error, PB_ERROR_USAGE, "the path has a broken %% escape or is not UTF-8");
        return pb_error_hint(error, "write '%%' as %%25");
    }
    pb_buffer directory = {0};
    int failed = 0;
    if (!*path)
        failed = pb_error_set(error, PB_ERROR_USAGE, "no directory");
    if (!failed && *path != '/') {
        char *current = getcwd(NULL, 0);
        failed = current ? append_segments(&directory, pb_slice_of(current), error)
                         : pb_error_errno(error, errno, "the current directory");
        free(current);
    }
    if (!failed)
        failed = append_segments(&directory, pb_slice_of(path), error);
    if (!failed && !directory.size)
        failed = pb_error_set(error, PB_ERROR_USAGE, "the root directory is no store");
    free(path);
    location->bucket = directory.data;
    location->prefix = pb_duplicate(PB_SLICE_LITERAL(""));
    return failed;
}

static int parse(pb_slice text, pb_location *location, pb_error *error)
{
    pb_slice rest = text;
    if (memchr(rest.data, '#', rest.size)) {
        pb_error_set(error, PB_ERROR_USAGE, "a '#' begins a fragment, which means nothing here");
        return pb_error_hint(error, "write '#' as %%23");
    }
    if (take(&rest, "file://")) {
        location->kind = PB_STORE_FILE;
        return parse_file(rest, location, error);
    }
    if (take(&rest, "s3://")) {
        location->kind = PB_STORE_S3;
        return parse_s3(rest, location, error);
    }
    if (take(&rest, "gs://") || take(&rest, "gcs://")) {
        location->kind = PB_STORE_GCS;
        return parse_gcs(rest, location, error);
    }
    if (take(&rest, "azblob://") || take(&rest, "wasb://") || take(&rest, "wasbs://"))
        return pb_error_set(error, PB_ERROR_USAGE, "Azure is not supported");
    pb_error_set(error, PB_ERROR_USAGE, "not a URL of a store");
    return pb_error_hint(error, "%s", FORMS);
}

/* True for "scheme://user:password@host" and the like: such text is not repeated in a message. */
static bool holds_userinfo(pb_slice text)
{
    const char *start = strstr(text.data, "://");
    if (!start)
        return false;
    start += 3;
    pb_slice authority = {start, strcspn(start, "/?#")};
    bool file = pb_slice_starts_with(text, PB_SLICE_LITERAL("file://"));
    return !file && authority.size && memchr(authority.data, '@', authority.size);
}

int pb_location_parse(const char *text, pb_location *ret_location, pb_error *error)
{
    pb_slice slice = pb_slice_of(text);
    if (holds_userinfo(slice)) {
        pb_error_set(error, PB_ERROR_USAGE, "a URL with '@' before the first '/' (not shown here)");
        return pb_error_hint(error, SECRET_HINT);
    }
    pb_location location = {.path_style = -1};
    if (parse(slice, &location, error)) {
        pb_location_free(&location);
        /* The query stays out: a parameter that is not ours may be a secret. */
        return pb_error_context(error, "%.*s", (int)strcspn(text, "?"), text);
    }
    location.text = pb_duplicate(slice);
    *ret_location = location;
    return 0;
}

void pb_location_free(pb_location *location)
{
    free(location->text);
    free(location->bucket);
    free(location->prefix);
    free(location->endpoint);
    free(location->region);
    free(location->profile);
    free(location->user_project);
    memset(location, 0, sizeof *location);
}

void pb_location_copy(const pb_location *location, pb_location *ret_copy)
{
    *ret_copy = *location;
    ret_copy->text = pb_duplicate_text(location->text);
    ret_copy->bucket = pb_duplicate_text(location->bucket);
    ret_copy->prefix = pb_duplicate_text(location->prefix);
    ret_copy->endpoint = pb_duplicate_text(location->endpoint);
    ret_copy->region = pb_duplicate_text(location->region);
    ret_copy->profile = pb_duplicate_text(location->profile);
    ret_copy->user_project = pb_duplicate_text(location->user_project);
}

static bool ends_with(pb_slice text, const char *end)
{
    size_t size = strlen(end);
    return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

/* The host that stands for the endpoint. AWS has one name space of buckets behind many hosts,
 * China's apart, and Google one behind its (storage., www., those of regions and private ones); the
 * scheme tells no places apart. */
static pb_slice identity_host(const pb_location *location)
{
    pb_slice host = location->kind == PB_STORE_GCS ? PB_SLICE_LITERAL("storage.googleapis.com")
                                                   : PB_SLICE_LITERAL("s3.amazonaws.com");
    if (location->endpoint) {
        host = pb_slice_of(strstr(location->endpoint, "://") + 3);
        if (ends_with(host, ".amazonaws.com"))
            return PB_SLICE_LITERAL("s3.amazonaws.com");
        if (ends_with(host, ".amazonaws.com.cn"))
            return PB_SLICE_LITERAL("s3.amazonaws.com.cn");
        if (ends_with(host, ".googleapis.com"))
            return PB_SLICE_LITERAL("storage.googleapis.com");
    } else if (location->region && strncmp(location->region, "cn-", 3) == 0) {
        host = PB_SLICE_LITERAL("s3.amazonaws.com.cn");
    }
    return host;
}

/* A '/' of the endpoint's path would be read as the bucket's. */
static void append_identity_host(pb_buffer *identity, pb_slice host)
{
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] == '/')
            pb_buffer_append_text(identity, "%2F");
        else
            pb_buffer_append_char(identity, host.data[i]);
    }
}

char *pb_location_identity(const pb_location *location)
{
    pb_buffer identity = {0};
    if (location->kind == PB_STORE_FILE) {
        pb_buffer_append_text(&identity, "file://");
        pb_percent_encode(&identity, pb_slice_of(location->bucket), true);
    } else {
        pb_buffer_append_text(&identity, location->kind == PB_STORE_GCS ? "gs://" : "s3://");
        append_identity_host(&identity, identity_host(location));
        pb_buffer_append_char(&identity, '/');
        pb_buffer_append_text(&identity, location->bucket);
    }
    pb_buffer_append_char(&identity, '/');
    pb_percent_encode(&identity, pb_slice_of(location->prefix), true);
    return identity.data;
}

bool pb_location_overlaps(const pb_location *a, const pb_location *b)
{
    /* Identities end in '/' and encode byte by byte, so one place inside another begins with it. */
    char *first_identity = pb_location_identity(a), *second_identity = pb_location_identity(b);
    const char *first = first_identity, *second = second_identity;
    if (a->kind != PB_STORE_FILE && b->kind != PB_STORE_FILE) {
        /* Google's buckets have two dialects behind one host. */
        first = strstr(first, "://");
        second = strstr(second, "://");
    }
    size_t first_size = strlen(first), second_size = strlen(second);
    bool overlaps = memcmp(first, second, first_size < second_size ? first_size : second_size) == 0;
    free(first_identity);
    free(second_identity);
    return overlaps;
}

bool pb_location_may_overlap(const pb_location *a, const pb_location *b)
{
    if (a->kind == PB_STORE_FILE || b->kind == PB_STORE_FILE || strcmp(a->bucket, b->bucket) != 0)
        return false;
    size_t first_size = strlen(a->prefix), second_size = strlen(b->prefix);
    size_t size = first_size < second_size ? first_size : second_size;
    return memcmp(a->prefix, b->prefix, size) == 0 && !pb_location_overlaps(a, b);
}
