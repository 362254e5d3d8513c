/* libFuzzer: the first byte picks a parser of logins of Google, the rest is its input: credential
 * files, answers of token endpoints, foreign tokens, refusals, URLs. A key that is read must be one
 * that requests can be made of. */
#include "copier/store/credentials/google_metadata.h"
#include "copier/store/credentials/google_token.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void build_requests(const pb_google_key *key)
{
    pb_buffer text = {0};
    switch (key->kind) {
    case PB_GOOGLE_SERVICE_ACCOUNT:
        pb_google_assertion(key, PB_GOOGLE_SCOPE_STORAGE, 0, &text, NULL);
        break;
    case PB_GOOGLE_AUTHORIZED_USER:
        pb_google_refresh_form(key, &text);
        break;
    case PB_GOOGLE_EXTERNAL_ACCOUNT:
        pb_google_exchange_form(key, PB_GOOGLE_SCOPE_STORAGE, "token", &text);
        pb_google_client_header(key, &text);
        break;
    case PB_GOOGLE_IMPERSONATED:
        build_requests(key->source);
        break;
    }
    if (key->impersonation_url)
        pb_google_impersonation_body(key, PB_GOOGLE_SCOPE_STORAGE, &text);
    if (key->token_url && !pb_google_url_is_allowed(key->token_url, PB_GOOGLE_URL_ENDPOINT))
        abort();
    pb_buffer_wipe(&text);
}

static void fuzz_key(pb_slice input)
{
    pb_google_key *key = NULL;
    pb_error error = {0};
    if (pb_google_key_parse(input, "fuzz", &key, &error)) {
        if (error.kind != PB_ERROR_USAGE)
            abort();
        return;
    }
    build_requests(key);
    pb_google_key_is_secret(key);
    free(pb_google_key_describe(key));
    pb_google_key_free(key);
}

static void fuzz_token(pb_slice input, bool impersonated)
{
    pb_credential credential = {0};
    pb_error error;
    int failed = impersonated ? pb_google_impersonation_parse(input, &credential, &error)
                              : pb_google_token_parse(input, 1, &credential, &error);
    if (failed != (credential.bearer_token ? 0 : -1))
        abort();
    for (const char *c = credential.bearer_token; c && *c; c++)
        if (*c <= ' ' || *c > '~')
            abort();
    pb_credential_clear(&credential);
}

static void fuzz_refusal(pb_slice input)
{
    static const char *const secrets[] = {"0123456789abcdef", NULL};
    char *location = pb_duplicate(input);
    const pb_google_answer answer = {
        .status = input.size & 1 ? 400 : 302,
        .location = location,
        .body = input,
        .secrets = secrets,
    };
    pb_error error = {0};
    pb_google_answer_explain(&answer, &error);
    if (strstr(error.message, "0123456789ab"))
        abort();
    free(location);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    pb_slice input = {(const char *)data + 1, size - 1};
    const pb_google_subject subject = {.token_field = data[0] & 8 ? (char *)"id_token" : NULL};
    char *text = NULL;
    switch (data[0] % 6) {
    case 0:
        fuzz_key(input);
        break;
    case 1:
    case 2:
        fuzz_token(input, data[0] % 6 == 2);
        break;
    case 3:
        if (!pb_google_subject_token_parse(&subject, input, "fuzz", &text, NULL) && !*text)
            abort();
        break;
    case 4:
        fuzz_refusal(input);
        break;
    case 5:
        text = pb_duplicate(input);
        pb_google_url_is_allowed(text, PB_GOOGLE_URL_SUBJECT);
        pb_google_metadata_host_is_valid(text);
        break;
    }
    free(text);
    return 0;
}
