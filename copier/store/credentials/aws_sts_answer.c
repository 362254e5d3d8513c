#include "copier/store/credentials/aws_sts_answer.h"

#include "base/codec.h"
#include "copier/store/credentials/aws_answer.h"
#include "copier/store/credentials/aws_profiles.h"
#include "copier/store/s3/signature.h"
#include <libxml/parser.h>
#include <stdio.h>

/* No entity is replaced, nothing fetched, nesting and sizes stay bounded (no XML_PARSE_HUGE). */
enum {
    PARSE_OPTIONS = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NODICT,
};
enum { ANSWER_BYTES_MAX = 64 * 1024 };

static const char form_type[] = "application/x-www-form-urlencoded; charset=utf-8";

/* ---- what is asked ---- */

static void add_pair(pb_buffer *body, const char *name, pb_slice value)
{
    pb_buffer_append_format(body, "&%s=", name);
    pb_percent_encode(body, value, false);
}

void pb_aws_sts_body(pb_buffer *body, const pb_aws_sts_question *question)
{
    bool by_token = question->web_identity.size > 0;
    pb_buffer_reserve(body,
                      1024 + 3 * (strlen(question->role_arn) + strlen(question->session_name) +
                                  (question->external_id ? strlen(question->external_id) : 0) +
                                  question->web_identity.size));
    pb_buffer_append_format(body, "Action=AssumeRole%s&Version=2011-06-15",
                            by_token ? "WithWebIdentity" : "");
    add_pair(body, "RoleArn", pb_slice_of(question->role_arn));
    add_pair(body, "RoleSessionName", pb_slice_of(question->session_name));
    if (question->duration_seconds)
        pb_buffer_append_format(body, "&DurationSeconds=%llu",
                                (unsigned long long)question->duration_seconds);
    if (question->external_id && !by_token)
        add_pair(body, "ExternalId", pb_slice_of(question->external_id));
    if (by_token)
        add_pair(body, "WebIdentityToken", question->web_identity);
}

static void add_line(pb_buffer *lines, unsigned *count, const char *name, pb_slice value)
{
    pb_buffer_append_format(lines, "%s: ", name);
    pb_buffer_append_slice(lines, value);
    pb_buffer_append_char(lines, '\0');
    ++*count;
}

void pb_aws_sts_headers(pb_buffer *lines, pb_slice body, const char *host, const char *region,
                        const pb_credential *keys, int64_t now_ms, unsigned *ret_count)
{
    unsigned count = 0;
    add_line(lines, &count, "Content-Type", pb_slice_of(form_type));
    if (keys) {
        uint8_t digest[PB_SHA256_BYTES];
        char payload[2 * PB_SHA256_BYTES + 1];
        pb_sha256(body.data, body.size, digest);
        pb_hex_encode(digest, sizeof digest, payload);
        pb_s3_signer *signer =
            pb_s3_signer_new(keys->access_key_id, keys->secret_access_key, "sts");
        pb_slice date = pb_s3_signer_date(signer, now_ms);
        pb_s3_header headers[] = {
            {PB_SLICE_LITERAL("content-type"), pb_slice_of(form_type)},
            {PB_SLICE_LITERAL("host"), pb_slice_of(host)},
            {PB_SLICE_LITERAL("x-amz-date"), date},
            {PB_SLICE_LITERAL("x-amz-security-token"), pb_slice_of(keys->session_token)},
        };
        pb_s3_canonical canonical = {
            .method = "POST",
            .path = PB_SLICE_LITERAL("/"),
            .headers = headers,
            .header_count = keys->session_token ? 4 : 3,
            .payload = {payload, sizeof payload - 1},
        };
        pb_buffer authorization = {0};
        pb_s3_sign(signer, region, date, &canonical, &authorization);
        add_line(lines, &count, "X-Amz-Date", date);
        add_line(lines, &count, "Authorization", pb_buffer_slice(&authorization));
        if (keys->session_token)
            add_line(lines, &count, "X-Amz-Security-Token", pb_slice_of(keys->session_token));
        pb_buffer_free(&authorization);
        pb_s3_signer_free(signer);
    }
    *ret_count = count;
}

/* ---- what is answered ---- */

static pb_slice text_in(const xmlNode *node)
{
    const xmlNode *text = node->children;
    bool plain = text && !text->next && text->type == XML_TEXT_NODE && text->content;
    return plain ? pb_slice_of((const char *)text->content) : (pb_slice){NULL, 0};
}

static const xmlNode *child(const xmlNode *node, const char *name)
{
    for (node = node ? node->children : NULL; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0)
            break;
    return node;
}

static pb_slice text_of(const xmlNode *node, const char *name)
{
    const xmlNode *found = child(node, name);
    return found ? text_in(found) : (pb_slice){NULL, 0};
}

static int take_keys(const xmlNode *node, int64_t now_ms, pb_credential *keys, pb_error *error)
{
    pb_slice id = text_of(node, "AccessKeyId"), secret = text_of(node, "SecretAccessKey");
    pb_slice token = text_of(node, "SessionToken");
    *keys = (pb_credential){0};
    if (!pb_aws_is_word(id) || !pb_aws_is_word(secret) || !pb_aws_is_word(token) ||
        !pb_time_parse_rfc3339(text_of(node, "Expiration"), &keys->expires_ms))
        return pb_error_set(error, PB_ERROR_SERVER, "an answer without keys, token and expiration");
    if (keys->expires_ms <= now_ms)
        return pb_error_set(error, PB_ERROR_SERVER, "an answer with keys that have ended");
    keys->access_key_id = pb_duplicate(id);
    keys->secret_access_key = pb_duplicate(secret);
    keys->session_token = pb_duplicate(token);
    return 0;
}

typedef struct known_code {
    const char *code;
    pb_error_kind kind;
    const char *hint;
} known_code;

static const known_code codes[] = {
    {"Throttling", PB_ERROR_THROTTLED, ""},
    {"ThrottlingException", PB_ERROR_THROTTLED, ""},
    {"RequestLimitExceeded", PB_ERROR_THROTTLED, ""},
    {"IDPCommunicationError", PB_ERROR_SERVER, ""},
    {"InternalFailure", PB_ERROR_SERVER, ""},
    {"ServiceUnavailable", PB_ERROR_SERVER, ""},
    {"AccessDenied", PB_ERROR_REFUSED,
     "the role's trust policy must let this identity, its service account or its external id in"},
    {"InvalidIdentityToken", PB_ERROR_REFUSED,
     "the account must know the cluster's OIDC provider, and the token must be for "
     "sts.amazonaws.com"},
    {"ExpiredTokenException", PB_ERROR_REFUSED, "whoever writes the token has not renewed it"},
    {"ExpiredToken", PB_ERROR_REFUSED, "get new temporary credentials"},
    {"RegionDisabledException", PB_ERROR_REFUSED, "activate STS in this region, or name another"},
    {"InvalidClientTokenId", PB_ERROR_REFUSED, "check the access key id"},
    {"SignatureDoesNotMatch", PB_ERROR_REFUSED,
     "check the secret access key and this machine's clock"},
    {"ValidationError", PB_ERROR_REFUSED, "check role_arn, role_session_name and duration_seconds"},
};

static int explain(int status, pb_slice code, pb_slice message, const char *const *secrets,
                   pb_error *error)
{
    known_code known = {.kind = status == 429                   ? PB_ERROR_THROTTLED
                                : status >= 500 || status < 300 ? PB_ERROR_SERVER
                                                                : PB_ERROR_REFUSED,
                        .hint = ""};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (pb_slice_equal(code, pb_slice_of(codes[i].code)))
            known = codes[i];
    pb_buffer shown = {0};
    if (code.size && pb_aws_answer_show(&shown, code, secrets) && message.size) {
        pb_buffer_append_text(&shown, ": ");
        if (!pb_aws_answer_show(&shown, message, secrets))
            pb_buffer_append_text(&shown, "(not shown)");
    }
    if (shown.size)
        pb_error_set(error, known.kind, "%s", shown.data);
    else
        pb_error_set(error, known.kind, "HTTP status %d", status);
    if (error) {
        error->status = status;
        snprintf(error->code, sizeof error->code, "%.*s", shown.size ? (int)code.size : 0,
                 code.data ? code.data : "");
    }
    if (known.hint[0])
        pb_error_hint(error, "%s", known.hint);
    pb_buffer_free(&shown);
    return -1;
}

static int read_document(int status, const xmlNode *root, int64_t now_ms,
                         const char *const *secrets, pb_credential *ret_keys, pb_error *error)
{
    const xmlNode *result = child(root, "AssumeRoleResult");
    if (!result)
        result = child(root, "AssumeRoleWithWebIdentityResult");
    if (status == 200 && result)
        return take_keys(child(result, "Credentials"), now_ms, ret_keys, error);
    const xmlNode *failure = child(root, "Error");
    return explain(status, text_of(failure, "Code"), text_of(failure, "Message"), secrets, error);
}

/* libxml2 frees texts as they are; without a dictionary each is the node's own. */
static void wipe_texts(const xmlNode *node)
{
    for (; node; node = node->next) {
        if (node->type == XML_TEXT_NODE && node->content)
            explicit_bzero(node->content, strlen((const char *)node->content));
        else if (node->type == XML_ELEMENT_NODE)
            wipe_texts(node->children);
    }
}

int pb_aws_sts_read(int status, pb_slice text, int64_t now_ms, const char *const *secrets,
                    pb_credential *ret_keys, pb_error *error)
{
    xmlDoc *document = NULL;
    if (status / 100 == 3)
        return pb_error_set(error, PB_ERROR_REFUSED,
                            "HTTP status %d: a redirect, which is not followed", status);
    /* A document type declaration could declare entities: refused unread. */
    if (text.size && text.size <= ANSWER_BYTES_MAX && !memmem(text.data, text.size, "<!", 2))
        document = xmlReadMemory(text.data, (int)text.size, NULL, NULL, PARSE_OPTIONS);
    const xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    int failed;
    if (root)
        failed = read_document(status, root, now_ms, secrets, ret_keys, error);
    else if (status == 200)
        failed = pb_error_set(error, PB_ERROR_SERVER, "an answer that is not STS's XML");
    else
        failed = explain(status, (pb_slice){NULL, 0}, (pb_slice){NULL, 0}, secrets, error);
    if (document) {
        wipe_texts(xmlDocGetRootElement(document));
        xmlFreeDoc(document);
    }
    return failed;
}
