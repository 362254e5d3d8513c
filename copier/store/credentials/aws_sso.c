#include "copier/store/credentials/aws_sso.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/json.h"
#include "copier/http/fetch.h"
#include "copier/store/credentials/aws_answer.h"
#include "copier/store/credentials/aws_files.h"
#include <stdlib.h>

enum { CONNECT_TIMEOUT_MS = 5000, TIMEOUT_MS = 10000, CACHE_BYTES_MAX = 64 * 1024 };

typedef struct sso_source {
    pb_credential_source source; /* first: callbacks cast */
    char *profile, *cache, *url, *ca_bundle;
} sso_source;

char *pb_aws_sso_cache_path(const char *home, const char *key)
{
    uint8_t digest[PB_SHA1_BYTES];
    char hex[2 * PB_SHA1_BYTES + 1];
    pb_hash *hash = pb_hash_new(PB_HASH_SHA1);
    pb_hash_update(hash, key, strlen(key));
    pb_hash_finish(hash, digest);
    pb_hash_free(hash);
    pb_hex_encode(digest, sizeof digest, hex);
    pb_buffer path = {0};
    pb_buffer_append_format(&path, "%s/.aws/sso/cache/%s.json", home, hex);
    return path.data;
}

/* "2020-06-17T10:02:08Z", or as old versions of the AWS CLI wrote it, "...UTC". */
static bool read_time(const char *text, int64_t *ret_ms)
{
    char fixed[PB_TIME_TEXT_MAX];
    size_t size = text ? strlen(text) : 0;
    if (size > 3 && size < sizeof fixed && strcmp(text + size - 3, "UTC") == 0) {
        memcpy(fixed, text, size - 3);
        fixed[size - 3] = 'Z';
        fixed[size - 2] = '\0';
        text = fixed;
    }
    return text && pb_time_parse_rfc3339(pb_slice_of(text), ret_ms);
}

int pb_aws_sso_token_read(pb_slice text, int64_t now_ms, pb_buffer *ret_token, pb_error *error)
{
    json_t *object = NULL;
    /* The parser's own message would show a piece of the text. */
    if (pb_json_parse(text, "", &object, NULL))
        return pb_error_set(error, PB_ERROR_USAGE, "no JSON object");
    int64_t until_ms = 0;
    json_t *token = json_object_get(object, "accessToken");
    pb_slice word = {json_string_value(token), json_string_length(token)};
    int failed = 0;
    if (!pb_aws_is_word(word) ||
        !read_time(json_string_value(json_object_get(object, "expiresAt")), &until_ms))
        failed = pb_error_set(error, PB_ERROR_USAGE, "no token with the time when it ends");
    else if (until_ms <= now_ms)
        failed = pb_error_set(error, PB_ERROR_USAGE, "its token has ended");
    if (!failed) {
        pb_buffer_reserve(ret_token, word.size);
        pb_buffer_append_slice(ret_token, word);
    }
    pb_json_wipe(object);
    return failed;
}

static int find_token(const sso_source *self, pb_buffer *token, pb_error *error)
{
    pb_buffer file = {0};
    if (pb_aws_file_read(self->cache, CACHE_BYTES_MAX, NULL, &file, NULL, error))
        return -1;
    int failed = pb_aws_sso_token_read(pb_buffer_slice(&file), pb_clock_utc_ms(), token, error);
    pb_buffer_wipe(&file);
    return failed ? pb_error_context(error, "%s", self->cache) : 0;
}

static int ask(const sso_source *self, pb_slice token, pb_credential *ret_credential,
               pb_error *error)
{
    pb_buffer line = {0};
    pb_buffer_reserve(&line, token.size + 64);
    pb_buffer_append_text(&line, "x-amz-sso_bearer_token: ");
    pb_buffer_append_slice(&line, token);
    const pb_fetch_request request = {
        .method = "GET",
        .url = self->url,
        .headers = {line.data, "Accept: application/json"},
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .ca_bundle = self->ca_bundle,
    };
    const char *const secrets[] = {token.data, NULL};
    pb_fetch_answer answer = {0};
    int failed = pb_fetch(&request, &answer, error);
    pb_slice body = pb_buffer_slice(&answer.body);
    if (!failed && answer.status != 200) {
        failed = pb_aws_answer_refused("the portal", answer.status, body, secrets, error);
        if (answer.status == 401)
            pb_error_hint(error, "aws sso login --profile %s", self->profile);
    } else if (!failed) {
        failed =
            pb_aws_answer_read(body, PB_AWS_ANSWER_SSO, pb_clock_utc_ms(), ret_credential, error);
    }
    pb_fetch_answer_free(&answer);
    pb_buffer_wipe(&line);
    return failed;
}

static int fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    const sso_source *self = (const sso_source *)source;
    pb_buffer token = {0};
    if (find_token(self, &token, error))
        return pb_error_hint(error, "aws sso login --profile %s", self->profile);
    int failed = ask(self, pb_buffer_slice(&token), ret_credential, error);
    pb_buffer_wipe(&token);
    return failed;
}

static void sso_free(pb_credential_source *source)
{
    sso_source *self = (sso_source *)source;
    free(self->profile);
    free(self->cache);
    free(self->url);
    free(self->ca_bundle);
    free(source->name);
    free(self);
}

pb_credential_source *pb_aws_sso_source(const pb_aws_sso_options *options)
{
    sso_source *self = pb_allocate_zeroed(1, sizeof *self);
    pb_buffer url = {0};
    pb_buffer_append_format(&url, "%s/federation/credentials?role_name=", options->endpoint);
    pb_percent_encode(&url, pb_slice_of(options->role_name), false);
    pb_buffer_append_text(&url, "&account_id=");
    pb_percent_encode(&url, pb_slice_of(options->account_id), false);
    *self = (sso_source){
        .source = {.fetch = fetch,
                   .free = sso_free,
                   .name = pb_duplicate(pb_slice_of(options->name))},
        .profile = pb_duplicate(pb_slice_of(options->profile)),
        .cache = pb_duplicate(pb_slice_of(options->cache)),
        .url = url.data,
        .ca_bundle = pb_duplicate_text(options->ca_bundle),
    };
    return &self->source;
}
