/* How Google's endpoints say no: pb_google_answer_explain of google_token.h. */
#include "base/codec.h"
#include "base/json.h"
#include "copier/store/credentials/google_token.h"
#include <stdio.h>

enum { REPEATED_BYTES = 12, WHY_BYTES_MAX = 320 };

typedef struct refusal {
    char code[48];           /* "invalid_grant", "PERMISSION_DENIED"; "" where there is none */
    char why[WHY_BYTES_MAX]; /* "" where nothing may be shown */
} refusal;

/* True where the text holds a piece of a secret: an endpoint may quote what it was sent. */
static bool repeats(pb_slice text, const char *secret)
{
    size_t size = strlen(secret), piece = size < REPEATED_BYTES ? size : REPEATED_BYTES;
    for (size_t at = 0; piece && at + piece <= text.size; at++)
        if (memmem(secret, size, text.data + at, piece))
            return true;
    return false;
}

static void show(char *ret_text, size_t bytes_max, pb_slice text, const char *const *secrets)
{
    for (; secrets && *secrets; secrets++)
        if (repeats(text, *secrets))
            return;
    snprintf(ret_text, bytes_max, "%.*s",
             (int)(text.size < bytes_max - 1 ? text.size : bytes_max - 1), text.data);
    pb_text_make_line(ret_text);
}

static void show_member(char *ret_text, size_t bytes_max, const json_t *object, const char *name,
                        const char *const *secrets)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text)
        show(ret_text, bytes_max, pb_slice_of(text), secrets);
}

/* OAuth: {"error": "invalid_grant", "error_description": "..."} (RFC 6749 section 5.2). Google's
 * APIs: {"error": {"status": "PERMISSION_DENIED", "message": "..."}}. */
static void read_json(const json_t *object, const char *const *secrets, refusal *ret_refusal)
{
    const json_t *inner = json_object_get(object, "error");
    bool is_api = json_is_object(inner);
    const json_t *from = is_api ? inner : object;
    show_member(ret_refusal->code, sizeof ret_refusal->code, from, is_api ? "status" : "error",
                secrets);
    show_member(ret_refusal->why, sizeof ret_refusal->why, from,
                is_api ? "message" : "error_description", secrets);
}

/* The metadata server of GKE explains itself in plain text. */
static bool is_sentence(pb_slice body)
{
    return body.size && body.size < WHY_BYTES_MAX && pb_utf8_valid(body) &&
           !memchr(body.data, '<', body.size) && !memchr(body.data, '\0', body.size);
}

static refusal read_body(const pb_google_answer *answer)
{
    refusal found = {0};
    json_t *object = NULL;
    if (!pb_json_parse_secret(answer->body, "the answer", &object, NULL))
        read_json(object, answer->secrets, &found);
    else if (is_sentence(answer->body))
        show(found.why, sizeof found.why, answer->body, answer->secrets);
    pb_json_wipe(object);
    return found;
}

static bool is_one_of(const char *code, const char *const *codes)
{
    for (; *codes; codes++)
        if (strcmp(code, *codes) == 0)
            return true;
    return false;
}

static pb_error_kind kind_of(int status, const char *code)
{
    /* What Google's own libraries try again. */
    static const char *const temporary[] = {"internal_failure", "server_error",
                                            "temporarily_unavailable", NULL};
    if (status == 429)
        return PB_ERROR_THROTTLED;
    if (status >= 500 || status == 408 || is_one_of(code, temporary))
        return PB_ERROR_SERVER;
    return PB_ERROR_REFUSED;
}

static const char *hint_of(const char *code)
{
    static const struct {
        const char *code, *hint;
    } hints[] = {
        {"invalid_grant", "the key or the login was revoked or has ended, or the clock of this "
                          "machine is wrong"},
        {"invalid_client", "the OAuth client of the credential file does not exist any more"},
        {"invalid_target", "the audience of the credential file names no provider that exists"},
        {"unauthorized_client", "the pool or provider does not accept this token"},
        {"PERMISSION_DENIED", "impersonation takes roles/iam.serviceAccountTokenCreator on the "
                              "account, workload identity roles/iam.workloadIdentityUser"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (strcmp(code, hints[i].code) == 0)
            return hints[i].hint;
    return NULL;
}

/* Only the host of where it leads: the rest may hold what was sent. */
static int explain_redirect(const pb_google_answer *answer, pb_error *error)
{
    char host[128] = "";
    const char *start = strstr(answer->location, "://");
    if (start)
        show(host, sizeof host, (pb_slice){start + 3, strcspn(start + 3, "/?#\\")},
             answer->secrets);
    pb_error_set(error, PB_ERROR_REFUSED, "a redirect (%d)%s%s, which is not followed",
                 answer->status, host[0] ? " to " : "", host);
    return pb_error_hint(error, "a login goes only where its file says: is a proxy or a portal in "
                                "the way?");
}

int pb_google_answer_explain(const pb_google_answer *answer, pb_error *error)
{
    if (answer->status >= 300 && answer->status < 400) {
        explain_redirect(answer, error);
    } else {
        const refusal found = read_body(answer);
        const char *hint = hint_of(found.code);
        pb_error_set(error, kind_of(answer->status, found.code), "%d%s%s%s%s", answer->status,
                     found.code[0] ? " " : "", found.code, found.why[0] ? ": " : "", found.why);
        if (hint)
            pb_error_hint(error, "%s", hint);
        if (error)
            memcpy(error->code, found.code, sizeof error->code);
    }
    if (error)
        error->status = answer->status;
    return -1;
}
