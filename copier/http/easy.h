/* copier/http/easy.h - one of libcurl's easy handles, kept for good: what every request has set in
 * it, and what one attempt changes. Inside copier/http only. */
#ifndef PB_COPIER_HTTP_EASY_H
#define PB_COPIER_HTTP_EASY_H

#include "copier/http/http.h"
#include <curl/curl.h>

enum { PB_URL_MAX = 512 };

typedef struct pb_easy {
    CURL *handle;
    const char *usual_ca_bundle; /* of attempts that name none */
    /* What is set in the handle. */
    char base_url[PB_URL_MAX];
    bool plain_proxy;   /* of the client: the environment names a proxy for plain HTTP */
    bool whole_url;     /* it may stand before base_url */
    pb_buffer url;      /* then: of this attempt */
    const char *custom; /* CURLOPT_CUSTOMREQUEST */
    char *ca_bundle;    /* a copy; NULL: the usual one */
    long silence_s;     /* CURLOPT_LOW_SPEED_TIME */
    bool bulk;
    struct curl_slist headers[PB_HTTP_HEADERS_MAX + 3];
} pb_easy;

/* Makes the handle of a zeroed *easy; the callbacks are the caller's to set. `plain_proxy` is what
 * pb_easy_plain_proxy said. */
void pb_easy_open(pb_easy *easy, const pb_http_options *options, bool plain_proxy, CURLSH *share);
void pb_easy_close(pb_easy *easy); /* a zeroed one is allowed */
/* True where the environment names a proxy that plain HTTP may go through (http_proxy, all_proxy,
 * ALL_PROXY; HTTP_PROXY is not read, as a web server may set it for a client's header: see
 * https://everything.curl.dev/usingcurl/proxies/env.html). */
bool pb_easy_plain_proxy(void);
/* Sets it for an attempt, which is given up after so long a silence; what is set already is not set
 * again. */
void pb_easy_fill(pb_easy *easy, const char *method, bool bulk, uint32_t silence_ms,
                  const pb_http_attempt *attempt);

#endif
