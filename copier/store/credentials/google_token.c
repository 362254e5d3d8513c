#include "copier/store/credentials/google_token.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/json.h"
#include <stdlib.h>
#include <strings.h>

enum {
    ASSERTION_S = 3600,
    SKEW_S = 10, /* a clock that is a little fast must not issue tokens of the future */
    LIFE_S_MAX = 7 * 24 * 3600,
};

/* ---- requests ---- */

/* Room for all that is appended later: growing would leave copies of secrets behind. */
static void reserve_for(pb_buffer *buffer, size_t secret_bytes)
{
    pb_buffer_reserve(buffer, 3 * secret_bytes + 4096);
}

static void add_field(pb_buffer *form, const char *name, pb_slice value)
{
    if (form->size)
        pb_buffer_append_char(form, '&');
    pb_buffer_append_text(form, name);
    pb_buffer_append_char(form, '=');
    pb_percent_encode(form, value, false);
}

static void add_member(pb_buffer *json, const char *name, const char *value)
{
    pb_buffer_append_text(json, json->size ? "," : "{");
    pb_json_append_string(json, pb_slice_of(name));
    pb_buffer_append_char(json, ':');
    pb_json_append_string(json, pb_slice_of(value));
}

int pb_google_assertion(const pb_google_key *key, const char *scope, int64_t now_ms,
                        pb_buffer *ret_assertion, pb_error *error)
{
    pb_buffer header = {0}, claims = {0}, signature = {0};
    int64_t issued_s = now_ms / 1000 - SKEW_S;
    add_member(&header, "alg", "RS256");
    add_member(&header, "typ", "JWT");
    if (key->private_key_id)
        add_member(&header, "kid", key->private_key_id);
    pb_buffer_append_char(&header, '}');
    add_member(&claims, "iss", key->client_email);
    add_member(&claims, "scope", scope);
    add_member(&claims, "aud", key->token_url);
    pb_buffer_append_format(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long)issued_s,
                            (long long)(issued_s + ASSERTION_S));
    reserve_for(ret_assertion, header.size + claims.size);
    size_t start = ret_assertion->size;
    pb_base64url_encode(ret_assertion, pb_buffer_slice(&header));
    pb_buffer_append_char(ret_assertion, '.');
    pb_base64url_encode(ret_assertion, pb_buffer_slice(&claims));
    const pb_slice signed_part = {ret_assertion->data + start, ret_assertion->size - start};
    int failed = pb_rsa_key_sign(key->private_key, signed_part, &signature, error);
    if (!failed) {
        pb_buffer_append_char(ret_assertion, '.');
        pb_base64url_encode(ret_assertion, pb_buffer_slice(&signature));
    }
    pb_buffer_free(&header);
    pb_buffer_free(&claims);
    pb_buffer_wipe(&signature);
    return failed;
}

void pb_google_assertion_form(pb_slice assertion, pb_buffer *ret_form)
{
    reserve_for(ret_form, assertion.size);
    add_field(ret_form, "grant_type",
              PB_SLICE_LITERAL("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    add_field(ret_form, "assertion", assertion);
}

void pb_google_refresh_form(const pb_google_key *key, pb_buffer *ret_form)
{
    reserve_for(ret_form,
                strlen(key->client_id) + strlen(key->client_secret) + strlen(key->refresh_token));
    add_field(ret_form, "grant_type", PB_SLICE_LITERAL("refresh_token"));
    add_field(ret_form, "client_id", pb_slice_of(key->client_id));
    add_field(ret_form, "client_secret", pb_slice_of(key->client_secret));
    add_field(ret_form, "refresh_token", pb_slice_of(key->refresh_token));
}

void pb_google_exchange_form(const pb_google_key *key, const char *scope, const char *subject_token,
                             pb_buffer *ret_form)
{
    reserve_for(ret_form,
                strlen(key->audience) + strlen(subject_token) + strlen(key->subject_token_type));
    add_field(ret_form, "grant_type",
              PB_SLICE_LITERAL("urn:ietf:params:oauth:grant-type:token-exchange"));
    add_field(ret_form, "audience", pb_slice_of(key->audience));
    add_field(ret_form, "scope", pb_slice_of(scope));
    add_field(ret_form, "requested_token_type",
              PB_SLICE_LITERAL("urn:ietf:params:oauth:token-type:access_token"));
    add_field(ret_form, "subject_token_type", pb_slice_of(key->subject_token_type));
    add_field(ret_form, "subject_token", pb_slice_of(subject_token));
    /* A client's login names the project already. */
    if (key->workforce_project && !key->client_id) {
        pb_buffer options = {0};
        add_member(&options, "userProject", key->workforce_project);
        pb_buffer_append_char(&options, '}');
        add_field(ret_form, "options", pb_buffer_slice(&options));
        pb_buffer_free(&options);
    }
}

void pb_google_client_header(const pb_google_key *key, pb_buffer *ret_header)
{
    if (!key->client_id)
        return;
    pb_buffer pair = {0};
    size_t size = strlen(key->client_id) + strlen(key->client_secret) + 1;
    pb_buffer_reserve(&pair, size);
    pb_buffer_append_text(&pair, key->client_id);
    pb_buffer_append_char(&pair, ':');
    pb_buffer_append_text(&pair, key->client_secret);
    reserve_for(ret_header, size);
    pb_buffer_append_text(ret_header, "Authorization: Basic ");
    pb_base64_encode(ret_header, pb_buffer_slice(&pair));
    pb_buffer_wipe(&pair);
}

void pb_google_impersonation_body(const pb_google_key *key, const char *scope, pb_buffer *ret_body)
{
    pb_buffer_append_text(ret_body, "{\"delegates\":[");
    for (size_t i = 0; i < PB_GOOGLE_DELEGATES_MAX && key->delegates[i]; i++) {
        pb_buffer_append_text(ret_body, i ? "," : "");
        pb_json_append_string(ret_body, pb_slice_of(key->delegates[i]));
    }
    pb_buffer_append_text(ret_body, "],\"scope\":[");
    pb_json_append_string(ret_body, pb_slice_of(scope));
    pb_buffer_append_format(ret_body, "],\"lifetime\":\"%us\"}", (unsigned)key->lifetime_s);
}

void pb_google_bearer_header(const char *token, pb_buffer *ret_header)
{
    reserve_for(ret_header, strlen(token));
    pb_buffer_append_text(ret_header, "Authorization: Bearer ");
    pb_buffer_append_text(ret_header, token);
}

/* ---- answers ---- */

/* Goes into a header as it is. */
static bool is_token(const char *text)
{
    size_t size = strlen(text);
    if (!size || size > PB_GOOGLE_TOKEN_BYTES_MAX)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static pb_slice trim(pb_slice text)
{
    static const char blanks[] = " \t\r\n";
    while (text.size && memchr(blanks, text.data[0], sizeof blanks - 1))
        text = pb_slice_from(text, 1);
    while (text.size && memchr(blanks, text.data[text.size - 1], sizeof blanks - 1))
        text.size--;
    return text;
}

int pb_google_subject_token_parse(const pb_google_subject *subject, pb_slice text, const char *what,
                                  char **ret_token, pb_error *error)
{
    json_t *object = NULL;
    const char *member = NULL;
    char *token = NULL;
    if (subject->token_field) {
        if (pb_json_parse_secret(text, what, &object, error) ||
            pb_json_string(object, subject->token_field, what, &member, error)) {
            pb_json_wipe(object);
            if (error)
                error->kind = PB_ERROR_USAGE;
            return -1;
        }
        text = pb_slice_of(member);
    }
    /* As a file ends in a newline; a JSON member keeps to the same rule. */
    text = trim(text);
    if (text.size && text.size <= PB_GOOGLE_TOKEN_BYTES_MAX)
        token = pb_duplicate(text);
    pb_json_wipe(object);
    /* A SAML assertion comes as Base64 (RFC 8693 section 3): all that is exchanged is one word. */
    if (token && strlen(token) == text.size && is_token(token)) {
        *ret_token = token;
        return 0;
    }
    pb_text_wipe(token);
    return pb_error_set(error, PB_ERROR_USAGE, "%s: %s", what,
                        text.size ? "not a token (one word of at most 16 KiB)" : "no token yet");
}

static int take_token(const json_t *object, const char *name, pb_credential *ret_credential,
                      pb_error *error)
{
    const char *token;
    if (pb_json_string(object, name, "the answer", &token, error))
        return -1;
    if (!is_token(token))
        return pb_error_set(error, PB_ERROR_SERVER, "the answer: \"%s\" is no token", name);
    ret_credential->bearer_token = pb_duplicate(pb_slice_of(token));
    return 0;
}

/* Ends the reading of an answer. */
static int settle(json_t *object, int failed, pb_credential *ret_credential, pb_error *error)
{
    pb_json_wipe(object);
    if (!failed)
        return 0;
    pb_credential_clear(ret_credential);
    if (error)
        error->kind = PB_ERROR_SERVER;
    return -1;
}

int pb_google_token_parse(pb_slice body, int64_t now_ms, pb_credential *ret_credential,
                          pb_error *error)
{
    json_t *object = NULL;
    const char *type = "Bearer";
    uint64_t life_s = 0;
    pb_credential credential = {0};
    int failed = pb_json_parse_secret(body, "the answer", &object, error) ||
                 pb_json_string_if(object, "token_type", "the answer", &type, error) ||
                 pb_json_unsigned(object, "expires_in", "the answer", &life_s, error) ||
                 take_token(object, "access_token", &credential, error);
    if (!failed && strcasecmp(type, "Bearer") != 0)
        failed = pb_error_set(error, PB_ERROR_SERVER, "the answer: not a bearer token");
    credential.expires_ms =
        now_ms + 1000 * (int64_t)(life_s < LIFE_S_MAX ? life_s : (uint64_t)LIFE_S_MAX);
    if (settle(object, failed, &credential, error))
        return -1;
    *ret_credential = credential;
    return 0;
}

int pb_google_impersonation_parse(pb_slice body, pb_credential *ret_credential, pb_error *error)
{
    json_t *object = NULL;
    const char *end = NULL;
    pb_credential credential = {0};
    int failed = pb_json_parse_secret(body, "the answer", &object, error) ||
                 pb_json_string(object, "expireTime", "the answer", &end, error) ||
                 take_token(object, "accessToken", &credential, error);
    if (!failed && !pb_time_parse_rfc3339(pb_slice_of(end), &credential.expires_ms))
        failed = pb_error_set(error, PB_ERROR_SERVER, "the answer: \"expireTime\" is no time");
    if (settle(object, failed, &credential, error))
        return -1;
    *ret_credential = credential;
    return 0;
}
