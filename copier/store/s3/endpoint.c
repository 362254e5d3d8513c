#include "copier/store/s3/endpoint.h"

#include "base/codec.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { REGION_BYTES_MAX = 64, HOST_BYTES_MAX = 253, LABEL_BYTES_MAX = 63 };

static bool ends_with(pb_slice text, pb_slice end)
{
    return text.size >= end.size &&
           memcmp(text.data + text.size - end.size, end.data, end.size) == 0;
}

bool pb_s3_endpoint_is_aws(const char *endpoint)
{
    return !endpoint || ends_with(pb_slice_of(endpoint), PB_SLICE_LITERAL(".amazonaws.com")) ||
           ends_with(pb_slice_of(endpoint), PB_SLICE_LITERAL(".amazonaws.com.cn"));
}

static bool is_dns_label(const char *bucket)
{
    size_t size = strlen(bucket);
    return size <= LABEL_BYTES_MAX &&
           strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == size && bucket[0] != '-' &&
           bucket[size - 1] != '-';
}

bool pb_s3_region_valid(pb_slice region)
{
    if (!region.size || region.size > REGION_BYTES_MAX)
        return false;
    for (size_t i = 0; i < region.size; i++) {
        unsigned char c = (unsigned char)region.data[i];
        if (c >= 0x80 || !(isalnum(c) || c == '-' || c == '_'))
            return false;
    }
    return true;
}

/* The path of the location's endpoint, "/path"; empty for none. */
static pb_slice path_of_endpoint(const pb_location *location)
{
    const char *host = location->endpoint ? strstr(location->endpoint, "://") + 3 : NULL;
    return pb_slice_of(host ? strchr(host, '/') : NULL);
}

/* Takes over `base_url` and `region`. `before` stands before all paths. */
static void fill(const pb_location *location, char *base_url, char *region, bool path_style,
                 pb_slice before, pb_s3_endpoint *ret_endpoint)
{
    pb_buffer path = {0};
    pb_buffer_append_slice(&path, before);
    pb_buffer_append_char(&path, '/');
    pb_buffer_append_text(&path, location->bucket); /* its characters need no escape */
    size_t bucket_end = path.size;
    pb_buffer_append_char(&path, '/');
    pb_percent_encode(&path, pb_slice_of(location->prefix), true);
    size_t key_start = path_style ? 0 : bucket_end;
    *ret_endpoint = (pb_s3_endpoint){
        .region = region,
        .base_url = base_url,
        .host = strstr(base_url, "://") + 3,
        .https = strncmp(base_url, "https:", 6) == 0,
        .path_style = path_style,
        .prefix = pb_slice_of(location->prefix),
        .path = path.data,
        .full_path = path.data + before.size,
        .key_path = {path.data + key_start, path.size - key_start},
        .list_path =
            path_style ? (pb_slice){path.data, bucket_end} : (pb_slice){path.data + bucket_end, 1},
    };
}

void pb_s3_endpoint_make(const pb_location *location, const char *region,
                         pb_s3_endpoint *ret_endpoint)
{
    pb_slice before = path_of_endpoint(location);
    bool path_style = location->path_style >= 0 ? location->path_style
                                                : !pb_s3_endpoint_is_aws(location->endpoint) ||
                                                      !is_dns_label(location->bucket);
    path_style = path_style || before.size;
    const char *in_host = path_style ? "" : location->bucket, *dot = path_style ? "" : ".";
    pb_buffer base_url = {0};
    if (location->endpoint) {
        const char *host = strstr(location->endpoint, "://") + 3;
        pb_buffer_append(&base_url, location->endpoint, (size_t)(host - location->endpoint));
        pb_buffer_append_format(&base_url, "%s%s%.*s", in_host, dot, (int)strcspn(host, "/"), host);
    } else {
        pb_buffer_append_format(&base_url, "https://%s%ss3%s%s.%s.amazonaws.com%s", in_host, dot,
                                location->fips ? "-fips" : "",
                                location->dual_stack ? ".dualstack" : "", region,
                                strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    }
    fill(location, base_url.data, pb_duplicate(pb_slice_of(region)), path_style, before,
         ret_endpoint);
}

void pb_s3_endpoint_free(pb_s3_endpoint *endpoint)
{
    free(endpoint->region);
    free(endpoint->base_url);
    free(endpoint->path);
    memset(endpoint, 0, sizeof *endpoint);
}

static bool take_scheme(pb_slice *text, const char *scheme)
{
    pb_slice wanted = pb_slice_of(scheme);
    if (!pb_slice_starts_with(*text, wanted))
        return false;
    *text = (pb_slice){text->data + wanted.size, text->size - wanted.size};
    return true;
}

bool pb_s3_endpoint_redirect(const pb_s3_endpoint *from, const pb_location *location, pb_slice to,
                             pb_s3_endpoint *ret_endpoint)
{
    bool https = from->https;
    if (take_scheme(&to, "https://"))
        https = true;
    else if (take_scheme(&to, "http://"))
        https = false;
    if (from->https && !https)
        return false;
    size_t size = 0, host_size = 0;
    while (size < to.size && !strchr("/?#", to.data[size]))
        size++;
    bool is_ipv6 = size && to.data[0] == '[';
    for (; host_size < size && (is_ipv6 || to.data[host_size] != ':'); host_size++) {
        unsigned char c = (unsigned char)to.data[host_size];
        if (is_ipv6 && c == ']')
            break;
        bool fits = is_ipv6 ? isxdigit(c) || c == ':' || c == '.' || (c == '[' && !host_size)
                            : isalnum(c) || c == '-' || c == '_' || c == '.';
        if (c >= 0x80 || !fits)
            return false;
    }
    if (is_ipv6 && (host_size == size || host_size < 3))
        return false; /* no ']', or nothing in it */
    host_size += is_ipv6;
    if (host_size < size && to.data[host_size] != ':')
        return false;
    if (!host_size || host_size > HOST_BYTES_MAX)
        return false;
    uint64_t port = 0;
    if (host_size < size &&
        (!pb_parse_unsigned((pb_slice){to.data + host_size + 1, size - host_size - 1}, &port) ||
         port < 1 || port > 65535))
        return false;
    pb_buffer base_url = {0};
    pb_buffer_append_text(&base_url, https ? "https://" : "http://");
    for (size_t i = 0; i < host_size; i++)
        pb_buffer_append_char(&base_url, (char)tolower((unsigned char)to.data[i]));
    if (port && port != (https ? 443 : 80))
        pb_buffer_append_format(&base_url, ":%u", (unsigned)port);
    if (strcmp(base_url.data, from->base_url) == 0) {
        pb_buffer_free(&base_url);
        return false;
    }
    const char *host = strstr(base_url.data, "://") + 3;
    size_t bucket_size = strlen(location->bucket);
    bool in_host = strncmp(host, location->bucket, bucket_size) == 0 && host[bucket_size] == '.';
    /* What a gateway puts before its paths stays there, wherever it sends the request. */
    pb_slice before = in_host ? (pb_slice){NULL, 0} : path_of_endpoint(location);
    fill(location, base_url.data, pb_duplicate(pb_slice_of(from->region)), !in_host, before,
         ret_endpoint);
    return true;
}

pb_slice pb_s3_region_of_host(pb_slice host)
{
    pb_slice none = {NULL, 0};
    if (ends_with(host, PB_SLICE_LITERAL(".cn")))
        host.size -= 3;
    if (!ends_with(host, PB_SLICE_LITERAL(".amazonaws.com")))
        return none;
    host.size -= sizeof ".amazonaws.com" - 1;
    /* The last label is REGION after "s3.", or "s3-REGION". */
    size_t start = host.size;
    while (start && host.data[start - 1] != '.')
        start--;
    pb_slice label = {host.data + start, host.size - start};
    if (pb_slice_starts_with(label, PB_SLICE_LITERAL("s3-")))
        label = pb_slice_from(label, 3);
    else if (start < 3 || memcmp(host.data + start - 3, "s3.", 3) != 0 ||
             (start > 3 && host.data[start - 4] != '.'))
        return none;
    return pb_s3_region_valid(label) ? label : none;
}
