#include "copier/store/credentials/aws_answer.h"

#include "base/clock.h"
#include "base/json.h"
#include "copier/store/credentials/aws_profiles.h"

enum { SHOWN_BYTES_MAX = 300, JSON_BYTES_MAX = 64 * 1024 };

typedef struct member_names {
    const char *id, *secret, *token, *expires;
} member_names;

static const member_names names_of[] = {
    [PB_AWS_ANSWER_ENDPOINT] = {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"},
    [PB_AWS_ANSWER_PROCESS] = {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"},
    [PB_AWS_ANSWER_SSO] = {"accessKeyId", "secretAccessKey", "sessionToken", "expiration"},
};

static json_t *parse(pb_slice text)
{
    json_t *object = NULL;
    /* Its message would show a piece of the text. */
    if (text.size > JSON_BYTES_MAX || pb_json_parse(text, "", &object, NULL))
        return NULL;
    return object;
}

static int refuse_form(const char *why, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_SERVER, "%s", why);
}

static int take_word(const json_t *object, const char *name, char **ret_text)
{
    json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return -1;
    pb_slice text = {json_string_value(value), json_string_length(value)};
    if (!pb_aws_is_word(text))
        return -1;
    *ret_text = pb_duplicate(text);
    return 0;
}

static int take_end(const json_t *object, const char *name, pb_aws_answer_form form,
                    int64_t *ret_expires_ms)
{
    json_t *value = json_object_get(object, name);
    if (!value || json_is_null(value))
        return form == PB_AWS_ANSWER_SSO ? -1 : 0;
    if (form == PB_AWS_ANSWER_SSO) {
        *ret_expires_ms = json_integer_value(value);
        return json_is_integer(value) && *ret_expires_ms > 0 ? 0 : -1;
    }
    if (!json_is_string(value))
        return -1;
    pb_slice text = {json_string_value(value), json_string_length(value)};
    return pb_time_parse_rfc3339(text, ret_expires_ms) && *ret_expires_ms > 0 ? 0 : -1;
}

static int read_keys(const json_t *object, pb_aws_answer_form form, int64_t now_ms,
                     pb_credential *keys, pb_error *error)
{
    const member_names *names = &names_of[form];
    if (form == PB_AWS_ANSWER_PROCESS &&
        json_integer_value(json_object_get(object, "Version")) != 1)
        return refuse_form("an answer without \"Version\": 1", error);
    if (take_word(object, names->id, &keys->access_key_id) ||
        take_word(object, names->secret, &keys->secret_access_key))
        return refuse_form("an answer without an access key and its secret", error);
    json_t *token = json_object_get(object, names->token);
    bool has_token =
        token && !json_is_null(token) && !(json_is_string(token) && !json_string_length(token));
    if (has_token && take_word(object, names->token, &keys->session_token))
        return refuse_form("an answer whose session token is none", error);
    if (take_end(object, names->expires, form, &keys->expires_ms))
        return refuse_form("an answer whose expiration is no time", error);
    if (keys->expires_ms && keys->expires_ms <= now_ms)
        return refuse_form("an answer with keys that have ended", error);
    return 0;
}

/* Instance metadata answers 200 with "Code" of something else than Success. */
static int read_code(const json_t *object, pb_error *error)
{
    const char *code = json_string_value(json_object_get(object, "Code"));
    if (!code || strcmp(code, "Success") == 0)
        return 0;
    pb_buffer shown = {0};
    pb_aws_answer_show(&shown, pb_slice_of(code), NULL);
    pb_error_set(error, PB_ERROR_REFUSED, "no keys: %s", shown.size ? shown.data : "(not shown)");
    pb_buffer_free(&shown);
    return -1;
}

int pb_aws_answer_read(pb_slice text, pb_aws_answer_form form, int64_t now_ms,
                       pb_credential *ret_keys, pb_error *error)
{
    json_t *whole = parse(text), *object = whole;
    if (!whole)
        return refuse_form("an answer that is no JSON object", error);
    if (form == PB_AWS_ANSWER_SSO)
        object = json_object_get(whole, "roleCredentials");
    pb_credential keys = {0};
    int failed = json_is_object(object)
                     ? read_code(object, error) || read_keys(object, form, now_ms, &keys, error)
                     : refuse_form("an answer without \"roleCredentials\"", error);
    pb_json_wipe(whole);
    if (failed) {
        pb_credential_clear(&keys);
        return -1;
    }
    *ret_keys = keys;
    return 0;
}

bool pb_aws_answer_show(pb_buffer *buffer, pb_slice text, const char *const *secrets)
{
    for (; secrets && *secrets; secrets++)
        if (**secrets && text.size && memmem(text.data, text.size, *secrets, strlen(*secrets)))
            return false;
    if (text.size > SHOWN_BYTES_MAX)
        text.size = SHOWN_BYTES_MAX;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < ' ' || text.data[i] > '~')
            return false;
    pb_buffer_append_slice(buffer, text);
    return text.size > 0;
}

static pb_error_kind kind_of(int status)
{
    if (status == 429)
        return PB_ERROR_THROTTLED;
    return status >= 500 || status < 300 ? PB_ERROR_SERVER : PB_ERROR_REFUSED;
}

int pb_aws_answer_refused(const char *what, int status, pb_slice body, const char *const *secrets,
                          pb_error *error)
{
    static const char *const names[] = {"code", "message", "Message"};
    if (status / 100 == 3)
        return pb_error_set(error, PB_ERROR_REFUSED,
                            "%s: HTTP status %d: a redirect, which is not followed", what, status);
    pb_buffer shown = {0};
    json_t *object = parse(body);
    for (size_t i = 0; object && i < sizeof names / sizeof *names; i++) {
        const char *said = json_string_value(json_object_get(object, names[i]));
        pb_buffer one = {0};
        if (said && pb_aws_answer_show(&one, pb_slice_of(said), secrets))
            pb_buffer_append_format(&shown, ": %s", one.data);
        pb_buffer_free(&one);
    }
    if (object)
        pb_json_wipe(object);
    pb_error_set(error, kind_of(status), "%s: HTTP status %d%s", what, status,
                 shown.data ? shown.data : "");
    if (error)
        error->status = status;
    pb_buffer_free(&shown);
    return -1;
}
