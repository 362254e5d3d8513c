#include "copier/store/credentials/google_exchange.h"

#include "base/clock.h"
#include "copier/http/fetch.h"
#include "copier/store/credentials/google_token.h"
#include "copier/store/credentials/secret_file.h"
#include <stdlib.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    TIMEOUT_MS = 10 * 1000, /* the end of a run waits for a fetch that is under way */
    /* A foreign token comes from this machine or its link. */
    SUBJECT_CONNECT_TIMEOUT_MS = 1000,
    SUBJECT_TIMEOUT_MS = 10 * 1000,
    SUBJECT_BYTES_MAX = 64 * 1024,
};

typedef struct key_source {
    pb_credential_source source; /* first: callbacks cast */
    pb_google_key *key;
    char *ca_bundle;
} key_source;

/* Sends it; an answer that is not 2xx is an error. `secrets` is what the request holds. */
static int ask(pb_fetch_request *request, const char *const *secrets, pb_fetch_answer *ret_answer,
               pb_error *error)
{
    request->wanted_header = "Location";
    /* Plain HTTP is allowed to this machine and its link alone. */
    request->no_proxy = strncmp(request->url, "http://", 7) == 0;
    if (pb_fetch(request, ret_answer, error))
        return -1;
    if (ret_answer->status >= 200 && ret_answer->status < 300)
        return 0;
    const pb_google_answer answer = {
        .status = ret_answer->status,
        .location = ret_answer->header,
        .body = pb_buffer_slice(&ret_answer->body),
        .secrets = secrets,
    };
    pb_google_answer_explain(&answer, error);
    pb_fetch_answer_free(ret_answer);
    return pb_error_context(error, "%s %.*s", request->method, (int)strcspn(request->url, "?"),
                            request->url);
}

/* Posts a form to the token endpoint. `header` may be NULL. */
static int post_form(const key_source *self, const pb_google_key *key, const pb_buffer *form,
                     const char *header, const char *const *secrets, pb_credential *ret_credential,
                     pb_error *error)
{
    pb_fetch_answer answer = {0};
    pb_fetch_request request = {
        .method = "POST",
        .url = key->token_url,
        .headers = {"Content-Type: application/x-www-form-urlencoded", header},
        .body = pb_buffer_slice(form),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .ca_bundle = self->ca_bundle,
    };
    if (ask(&request, secrets, &answer, error))
        return -1;
    int failed = pb_google_token_parse(pb_buffer_slice(&answer.body), pb_clock_utc_ms(),
                                       ret_credential, error);
    pb_fetch_answer_free(&answer);
    return failed ? pb_error_context(error, "POST %s", key->token_url) : 0;
}

static int fetch_by_assertion(const key_source *self, const pb_google_key *key, const char *scope,
                              pb_credential *ret_credential, pb_error *error)
{
    pb_buffer assertion = {0}, form = {0};
    int failed = pb_google_assertion(key, scope, pb_clock_utc_ms(), &assertion, error);
    if (!failed) {
        const char *const secrets[] = {assertion.data, NULL};
        pb_google_assertion_form(pb_buffer_slice(&assertion), &form);
        failed = post_form(self, key, &form, NULL, secrets, ret_credential, error);
    }
    pb_buffer_wipe(&assertion);
    pb_buffer_wipe(&form);
    return failed;
}

static int fetch_by_refresh_token(const key_source *self, const pb_google_key *key,
                                  pb_credential *ret_credential, pb_error *error)
{
    const char *const secrets[] = {key->client_secret, key->refresh_token, NULL};
    pb_buffer form = {0};
    pb_google_refresh_form(key, &form);
    int failed = post_form(self, key, &form, NULL, secrets, ret_credential, error);
    pb_buffer_wipe(&form);
    return failed;
}

/* ---- external accounts ---- */

static int read_subject_file(const pb_google_subject *subject, char **ret_token, pb_error *error)
{
    pb_buffer text = {0};
    int failed = pb_secret_file_read(subject->file, SUBJECT_BYTES_MAX, &text, NULL, error);
    if (failed)
        error->kind = PB_ERROR_USAGE;
    else
        failed = pb_google_subject_token_parse(subject, pb_buffer_slice(&text), subject->file,
                                               ret_token, error);
    pb_buffer_wipe(&text);
    return failed;
}

static int ask_for_subject(const key_source *self, const pb_google_subject *subject,
                           char **ret_token, pb_error *error)
{
    const char *secrets[PB_GOOGLE_SUBJECT_HEADERS_MAX + 1] = {0};
    pb_fetch_answer answer = {0};
    pb_fetch_request request = {
        .method = "GET",
        .url = subject->url,
        .connect_timeout_ms = SUBJECT_CONNECT_TIMEOUT_MS,
        .timeout_ms = SUBJECT_TIMEOUT_MS,
        .ca_bundle = self->ca_bundle,
    };
    for (size_t i = 0; i < PB_GOOGLE_SUBJECT_HEADERS_MAX && subject->headers[i]; i++) {
        request.headers[i] = subject->headers[i];
        secrets[i] = strchr(subject->headers[i], ':') + 2;
    }
    if (ask(&request, secrets, &answer, error))
        return -1;
    int failed = pb_google_subject_token_parse(subject, pb_buffer_slice(&answer.body), "the answer",
                                               ret_token, error);
    pb_fetch_answer_free(&answer);
    if (!failed)
        return 0;
    error->kind = PB_ERROR_SERVER;
    return pb_error_context(error, "GET %.*s", (int)strcspn(subject->url, "?"), subject->url);
}

static int fetch_by_exchange(const key_source *self, const pb_google_key *key, const char *scope,
                             pb_credential *ret_credential, pb_error *error)
{
    char *token = NULL;
    pb_buffer form = {0}, header = {0};
    if (key->subject.file ? read_subject_file(&key->subject, &token, error)
                          : ask_for_subject(self, &key->subject, &token, error))
        return pb_error_context(error, "the token to exchange");
    const char *const secrets[] = {token, key->client_secret, NULL};
    pb_google_exchange_form(key, scope, token, &form);
    pb_google_client_header(key, &header);
    int failed = post_form(self, key, &form, header.data, secrets, ret_credential, error);
    pb_buffer_wipe(&form);
    pb_buffer_wipe(&header);
    pb_text_wipe(token);
    return failed;
}

/* ---- impersonation ---- */

static int impersonate(const key_source *self, const pb_google_key *key, const char *scope,
                       const char *bearer_token, pb_credential *ret_credential, pb_error *error)
{
    pb_buffer body = {0}, header = {0};
    pb_fetch_answer answer = {0};
    const char *const secrets[] = {bearer_token, NULL};
    pb_google_impersonation_body(key, scope, &body);
    pb_google_bearer_header(bearer_token, &header);
    pb_fetch_request request = {
        .method = "POST",
        .url = key->impersonation_url,
        .headers = {"Content-Type: application/json", header.data},
        .body = pb_buffer_slice(&body),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .ca_bundle = self->ca_bundle,
    };
    int failed = ask(&request, secrets, &answer, error);
    if (!failed &&
        pb_google_impersonation_parse(pb_buffer_slice(&answer.body), ret_credential, error))
        failed = pb_error_context(error, "POST %s", key->impersonation_url);
    pb_fetch_answer_free(&answer);
    pb_buffer_wipe(&header);
    pb_buffer_free(&body);
    return failed;
}

static int fetch_own(const key_source *self, const pb_google_key *key, const char *scope,
                     pb_credential *ret_credential, pb_error *error);

static int fetch_token(const key_source *self, const pb_google_key *key, const char *scope,
                       pb_credential *ret_credential, pb_error *error)
{
    if (!key->impersonation_url)
        return fetch_own(self, key, scope, ret_credential, error);
    pb_credential own = {0};
    if (fetch_own(self, key, PB_GOOGLE_SCOPE_PLATFORM, &own, error))
        return -1;
    int failed = impersonate(self, key, scope, own.bearer_token, ret_credential, error);
    pb_credential_clear(&own);
    return failed;
}

/* The token before impersonation. */
static int fetch_own(const key_source *self, const pb_google_key *key, const char *scope,
                     pb_credential *ret_credential, pb_error *error)
{
    switch (key->kind) {
    case PB_GOOGLE_SERVICE_ACCOUNT:
        return fetch_by_assertion(self, key, scope, ret_credential, error);
    case PB_GOOGLE_AUTHORIZED_USER: /* the scopes are those that the user agreed to */
        return fetch_by_refresh_token(self, key, ret_credential, error);
    case PB_GOOGLE_EXTERNAL_ACCOUNT:
        return fetch_by_exchange(self, key, scope, ret_credential, error);
    case PB_GOOGLE_IMPERSONATED:
        return fetch_token(self, key->source, scope, ret_credential, error);
    }
    abort();
}

/* ---- the source ---- */

static int key_fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    const key_source *self = (const key_source *)source;
    pb_error ignored;
    return fetch_token(self, self->key, PB_GOOGLE_SCOPE_STORAGE, ret_credential,
                       error ? error : &ignored);
}

static void key_free(pb_credential_source *source)
{
    key_source *self = (key_source *)source;
    pb_google_key_free(self->key);
    free(self->ca_bundle);
    free(source->name);
    free(self);
}

pb_credential_source *pb_google_key_source(pb_google_key *key, const char *place,
                                           const char *ca_bundle)
{
    key_source *self = pb_allocate_zeroed(1, sizeof *self);
    pb_buffer name = {0};
    char *description = pb_google_key_describe(key);
    pb_buffer_append_format(&name, "%s, %s", description, place);
    free(description);
    self->source = (pb_credential_source){.fetch = key_fetch, .free = key_free, .name = name.data};
    self->key = key;
    self->ca_bundle = pb_duplicate_text(ca_bundle);
    return &self->source;
}
