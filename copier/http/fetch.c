#include "copier/http/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct fetch {
    pb_fetch_answer *answer;
    pb_slice wanted_header;
    bool too_long;
} fetch;

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    fetch *self = context;
    pb_buffer *body = &self->answer->body;
    size *= count;
    if (size > PB_FETCH_BODY_BYTES_MAX - body->size) {
        self->too_long = true;
        return 0;
    }
    /* All at once: growing would leave copies of secrets behind. */
    pb_buffer_reserve(body, PB_FETCH_BODY_BYTES_MAX);
    pb_buffer_append(body, data, size);
    return size;
}

/* One header line, with its line break. */
static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    fetch *self = context;
    pb_slice name = self->wanted_header;
    char *header = self->answer->header;
    size *= count;
    if (size >= 5 && memcmp(data, "HTTP/", 5) == 0)
        header[0] = '\0'; /* that of an interim answer does not count */
    if (size <= name.size || data[name.size] != ':' || strncasecmp(data, name.data, name.size) != 0)
        return size;
    const char *start = data + name.size + 1, *end = data + size;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (start < end && strchr(" \t\r\n", end[-1]))
        end--;
    size_t length = (size_t)(end - start);
    if (length >= PB_FETCH_HEADER_BYTES_MAX)
        length = 0;
    memcpy(header, start, length);
    header[length] = '\0';
    return size;
}

static pb_error_kind kind_of(CURLcode code)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return PB_ERROR_USAGE;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_RECV_ERROR:
        return PB_ERROR_SERVER;
    default:
        return PB_ERROR_UNREACHABLE;
    }
}

static int explain(const fetch *self, CURLcode code, const char *details, pb_error *error)
{
    if (self->too_long)
        return pb_error_set(error, PB_ERROR_FAILED, "an answer of more than 1 MiB");
    /* libcurl's words on a proxy's URL that it cannot read repeat it, login and all. */
    bool told = details[0] && !strcasestr(details, "proxy");
    return pb_error_set(error, kind_of(code), "%s", told ? details : curl_easy_strerror(code));
}

static void set_method(CURL *handle, const pb_fetch_request *request)
{
    if (strcmp(request->method, "GET") == 0) {
        curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
        return;
    }
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body.size ? request->body.data : "");
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
}

int pb_fetch(const pb_fetch_request *request, pb_fetch_answer *ret_answer, pb_error *error)
{
    fetch self = {.answer = ret_answer, .wanted_header = pb_slice_of(request->wanted_header)};
    struct curl_slist headers[PB_FETCH_HEADERS_MAX + 1], *last = NULL;
    char details[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *handle = curl_easy_init();
    if (!handle)
        abort();
    for (size_t i = 0; i < PB_FETCH_HEADERS_MAX && request->headers[i]; i++) {
        headers[i] = (struct curl_slist){.data = (char *)request->headers[i]};
        if (last)
            last->next = &headers[i];
        last = &headers[i];
    }
    set_method(handle, request);
    curl_easy_setopt(handle, CURLOPT_URL, request->url);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, last ? headers : NULL);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
    if (request->ca_bundle)
        curl_easy_setopt(handle, CURLOPT_CAINFO, request->ca_bundle);
    if (request->no_proxy)
        curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &self);
    if (request->wanted_header) {
        curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(handle, CURLOPT_HEADERDATA, &self);
    }
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, details);
    CURLcode code = curl_easy_perform(handle);
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(handle);
    ret_answer->status = (int)status;
    if (code == CURLE_OK)
        return 0;
    pb_fetch_answer_free(ret_answer);
    explain(&self, code, details, error);
    return pb_error_context(error, "%s %.*s", request->method, (int)strcspn(request->url, "?"),
                            request->url);
}

void pb_fetch_answer_free(pb_fetch_answer *answer)
{
    pb_buffer_wipe(&answer->body);
    answer->header[0] = '\0';
    answer->status = 0;
}
