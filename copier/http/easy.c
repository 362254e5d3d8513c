#include "copier/http/easy.h"

#include <stdlib.h>
#include <strings.h>

enum { BUFFER_SMALL = 16 * 1024, BUFFER_BULK = 512 * 1024 };

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

bool pb_easy_plain_proxy(void)
{
    return is_set("http_proxy") || is_set("all_proxy") || is_set("ALL_PROXY");
}

static long seconds_of(uint32_t duration_ms)
{
    return (long)((duration_ms + 999ULL) / 1000);
}

void pb_easy_open(pb_easy *easy, const pb_http_options *options, bool plain_proxy, CURLSH *share)
{
    CURL *handle = easy->handle = curl_easy_init();
    if (!handle)
        abort();
    easy->plain_proxy = plain_proxy;
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    /* What a proxy says to CONNECT is no answer of the store's. */
    curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, (long)BUFFER_SMALL);
    curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_SMALL);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, (long)options->stall_bytes_per_s);
    easy->silence_s = seconds_of(options->stall_window_ms);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, easy->silence_s);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)options->attempt_timeout_ms);
    curl_easy_setopt(handle, CURLOPT_DNS_CACHE_TIMEOUT, 300L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
    easy->usual_ca_bundle = options->ca_bundle;
    if (options->ca_bundle)
        curl_easy_setopt(handle, CURLOPT_CAINFO, options->ca_bundle);
    curl_easy_setopt(handle, CURLOPT_SHARE, share);
}

void pb_easy_close(pb_easy *easy)
{
    if (easy->handle)
        curl_easy_cleanup(easy->handle);
    pb_buffer_free(&easy->url);
    free(easy->ca_bundle);
    easy->ca_bundle = NULL;
    easy->handle = NULL;
}

/* The target is sent as it is, and parsed by nobody. A plain proxy wants the whole URL in the
 * request line instead; whether one is in the way (no_proxy, SOCKS) libcurl alone decides, so there
 * it gets the URL, with a path that it leaves as it is. */
static void set_target(pb_easy *easy, const pb_http_attempt *attempt)
{
    if (strcmp(easy->base_url, attempt->base_url) != 0) {
        snprintf(easy->base_url, sizeof easy->base_url, "%s", attempt->base_url);
        easy->whole_url = easy->plain_proxy && strncmp(attempt->base_url, "http:", 5) == 0;
        curl_easy_setopt(easy->handle, CURLOPT_URL, attempt->base_url);
    }
    if (easy->whole_url) {
        pb_buffer_clear(&easy->url);
        pb_buffer_append_text(&easy->url, attempt->base_url);
        pb_buffer_append_text(&easy->url, attempt->target);
        curl_easy_setopt(easy->handle, CURLOPT_URL, easy->url.data);
    }
    curl_easy_setopt(easy->handle, CURLOPT_REQUEST_TARGET,
                     easy->whole_url ? NULL : attempt->target);
}

static void add_header(pb_easy *easy, size_t *count, const char *line)
{
    /* libcurl borrows the list: nodes of our own need no allocation. */
    easy->headers[*count] = (struct curl_slist){.data = (char *)line};
    if (*count)
        easy->headers[*count - 1].next = &easy->headers[*count];
    ++*count;
}

/* Compared as texts: an address may have been another bundle's before. */
static void set_ca_bundle(pb_easy *easy, const char *ca_bundle)
{
    if (ca_bundle && easy->ca_bundle && strcmp(ca_bundle, easy->ca_bundle) == 0)
        return;
    free(easy->ca_bundle);
    easy->ca_bundle = pb_duplicate_text(ca_bundle);
    if (!ca_bundle)
        ca_bundle = easy->usual_ca_bundle;
    if (!ca_bundle) /* what libcurl was built with */
        ca_bundle = curl_version_info(CURLVERSION_NOW)->cainfo;
    curl_easy_setopt(easy->handle, CURLOPT_CAINFO, ca_bundle);
}

void pb_easy_fill(pb_easy *easy, const char *method, bool bulk, uint32_t silence_ms,
                  const pb_http_attempt *attempt)
{
    CURL *handle = easy->handle;
    set_target(easy, attempt);
    if (easy->silence_s != seconds_of(silence_ms)) {
        easy->silence_s = seconds_of(silence_ms);
        curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, easy->silence_s);
    }
    if (easy->bulk != bulk) {
        easy->bulk = bulk;
        long bytes = easy->bulk ? BUFFER_BULK : BUFFER_SMALL;
        curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, bytes);
        curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, bytes);
    }
    if (attempt->ca_bundle || easy->ca_bundle)
        set_ca_bundle(easy, attempt->ca_bundle);
    size_t count = 0;
    bool typed = false;
    for (size_t i = 0; i < attempt->header_count; i++) {
        add_header(easy, &count, attempt->headers[i]);
        typed = typed || strncasecmp(attempt->headers[i], "content-type:", 13) == 0;
    }
    const char *custom = NULL;
    if (strcmp(method, "GET") == 0) {
        curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else if (attempt->body.size) {
        curl_easy_setopt(handle, CURLOPT_POST, 1L);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, attempt->body.data);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)attempt->body.size);
        custom = method;
        if (attempt->body.size > 1000 * 1000)
            add_header(easy, &count, "Expect:"); /* libcurl would wait for a 100 Continue */
        if (!typed)
            add_header(easy, &count, "Content-Type:"); /* libcurl would say urlencoded */
    } else {
        /* Without a body a plain request costs least; the length is said all the same. */
        curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
        custom = method;
        if (strcmp(method, "DELETE") != 0)
            add_header(easy, &count, "Content-Length: 0");
    }
    if (custom != easy->custom) {
        easy->custom = custom;
        curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, custom);
    }
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, count ? easy->headers : NULL);
}
