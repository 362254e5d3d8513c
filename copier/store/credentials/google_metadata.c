#include "copier/store/credentials/google_metadata.h"

#include "base/clock.h"
#include "base/codec.h"
#include "copier/http/fetch.h"
#include "copier/store/credentials/google_token.h"
#include <stdlib.h>
#include <time.h>

enum {
    CONNECT_TIMEOUT_MS = 1000,
    PROBE_TIMEOUT_MS = 1000,
    PROBE_WAIT_MS = 500,
    /* GKE asks two endpoints of Google before it answers for a token. */
    TOKEN_TIMEOUT_MS = 10 * 1000,
};

typedef struct metadata_source {
    pb_credential_source source; /* first: callbacks cast */
    char *url;
} metadata_source;

bool pb_google_metadata_host_is_valid(const char *host)
{
    /* A whole URL is made of it, and checked by the one rule for hosts and ports. */
    pb_buffer url = {0};
    pb_buffer_append_format(&url, "https://%s", host);
    bool valid = !strpbrk(host, "/?") && pb_google_url_is_allowed(url.data, PB_GOOGLE_URL_ENDPOINT);
    pb_buffer_free(&url);
    return valid;
}

char *pb_google_metadata_token_url(const char *host, const char *scope)
{
    pb_buffer url = {0};
    pb_buffer_append_format(
        &url, "http://%s/computeMetadata/v1/instance/service-accounts/default/token?scopes=", host);
    pb_percent_encode(&url, pb_slice_of(scope), false);
    return url.data;
}

static int ask(const char *url, uint32_t timeout_ms, pb_fetch_answer *ret_answer, pb_error *error)
{
    const pb_fetch_request request = {
        .method = "GET",
        .url = url,
        .headers = {"Metadata-Flavor: Google"},
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = timeout_ms,
        .no_proxy = true,
        .wanted_header = "Metadata-Flavor",
    };
    if (pb_fetch(&request, ret_answer, error))
        return -1;
    if (strcmp(ret_answer->header, "Google") == 0)
        return 0;
    pb_error_set(error, PB_ERROR_UNREACHABLE,
                 "GET %.*s: %d without \"Metadata-Flavor: Google\": not Google's metadata server",
                 (int)strcspn(url, "?"), url, ret_answer->status);
    pb_fetch_answer_free(ret_answer);
    return -1;
}

int pb_google_metadata_probe(const char *host, uint32_t patience_ms, pb_error *error)
{
    const struct timespec wait = {0, PROBE_WAIT_MS * 1000000L};
    int64_t last_ms = pb_clock_monotonic_ms() + patience_ms;
    pb_fetch_answer answer = {0};
    pb_buffer url = {0};
    pb_buffer_append_format(&url, "http://%s/", host);
    int failed;
    while ((failed = ask(url.data, PROBE_TIMEOUT_MS, &answer, error)) &&
           pb_clock_monotonic_ms() + PROBE_WAIT_MS < last_ms)
        nanosleep(&wait, NULL);
    pb_fetch_answer_free(&answer);
    pb_buffer_free(&url);
    if (failed && error)
        error->kind = PB_ERROR_UNREACHABLE;
    return failed;
}

static int explain(const pb_fetch_answer *answer, pb_error *error)
{
    const pb_google_answer refusal = {
        .status = answer->status,
        .location = "",
        .body = pb_buffer_slice(&answer->body),
    };
    pb_google_answer_explain(&refusal, error);
    if (answer->status == 404)
        pb_error_hint(error, "this machine or pod has no service account: give it one, or name a "
                             "key file in GOOGLE_APPLICATION_CREDENTIALS");
    if (answer->status == 403)
        pb_error_hint(error, "does the service account of the pod have workload identity "
                             "(roles/iam.workloadIdentityUser)?");
    return -1;
}

static int metadata_fetch(pb_credential_source *source, pb_credential *ret_credential,
                          pb_error *error)
{
    const char *url = ((metadata_source *)source)->url;
    pb_fetch_answer answer = {0};
    if (ask(url, TOKEN_TIMEOUT_MS, &answer, error))
        return -1;
    int failed = answer.status == 200
                     ? pb_google_token_parse(pb_buffer_slice(&answer.body), pb_clock_utc_ms(),
                                             ret_credential, error)
                     : explain(&answer, error);
    pb_fetch_answer_free(&answer);
    return failed ? pb_error_context(error, "GET %.*s", (int)strcspn(url, "?"), url) : 0;
}

static void metadata_free(pb_credential_source *source)
{
    free(((metadata_source *)source)->url);
    free(source->name);
    free(source);
}

pb_credential_source *pb_google_metadata_source(const char *host)
{
    metadata_source *self = pb_allocate_zeroed(1, sizeof *self);
    pb_buffer name = {0};
    pb_buffer_append_format(&name, "service account of the metadata server %s", host);
    self->source =
        (pb_credential_source){.fetch = metadata_fetch, .free = metadata_free, .name = name.data};
    self->url = pb_google_metadata_token_url(host, PB_GOOGLE_SCOPE_STORAGE);
    return &self->source;
}
