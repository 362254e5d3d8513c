#include "copier/store/credentials/aws_sts.h"

#include "base/clock.h"
#include "copier/http/fetch.h"
#include "copier/store/credentials/aws_files.h"
#include "copier/store/credentials/aws_sts_answer.h"
#include <stdlib.h>

enum { CONNECT_TIMEOUT_MS = 5000, TIMEOUT_MS = 10000 };

typedef struct sts_source {
    pb_credential_source source; /* first: callbacks cast */
    char *endpoint, *region, *role_arn, *session_name, *external_id, *token_file, *ca_bundle;
    uint64_t duration_seconds;
    pb_credential_source *base;
} sts_source;

static int ask(const sts_source *self, pb_slice token, const pb_credential *keys,
               pb_credential *ret_credential, pb_error *error)
{
    const pb_aws_sts_question question = {
        .role_arn = self->role_arn,
        .session_name = self->session_name,
        .external_id = self->external_id,
        .duration_seconds = self->duration_seconds,
        .web_identity = token,
    };
    const char *const secrets[] = {keys ? keys->secret_access_key : token.data,
                                   keys ? keys->session_token : NULL, NULL};
    pb_buffer body = {0}, lines = {0}, url = {0};
    unsigned count;
    pb_aws_sts_body(&body, &question);
    pb_aws_sts_headers(&lines, pb_buffer_slice(&body), strstr(self->endpoint, "://") + 3,
                       self->region, keys, pb_clock_utc_ms(), &count);
    pb_buffer_append_format(&url, "%s/", self->endpoint);
    pb_fetch_request request = {
        .method = "POST",
        .url = url.data,
        .body = pb_buffer_slice(&body),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .ca_bundle = self->ca_bundle,
    };
    const char *line = lines.data;
    for (unsigned i = 0; i < count; i++, line += strlen(line) + 1)
        request.headers[i] = line;
    pb_fetch_answer answer = {0};
    int failed = pb_fetch(&request, &answer, error);
    if (!failed) {
        failed = pb_aws_sts_read(answer.status, pb_buffer_slice(&answer.body), pb_clock_utc_ms(),
                                 secrets, ret_credential, error);
        if (failed)
            pb_error_context(error, "STS at %s", self->endpoint);
    }
    pb_fetch_answer_free(&answer);
    pb_buffer_wipe(&body);
    pb_buffer_wipe(&lines);
    pb_buffer_free(&url);
    return failed;
}

static int fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    const sts_source *self = (const sts_source *)source;
    if (self->token_file) {
        pb_buffer token = {0};
        if (pb_aws_token_read(self->token_file, &token, error))
            return -1;
        int failed = ask(self, pb_buffer_slice(&token), NULL, ret_credential, error);
        pb_buffer_wipe(&token);
        return failed;
    }
    pb_credential keys = {0};
    if (self->base->fetch(self->base, &keys, error))
        return pb_error_context(error, "%s", self->base->name);
    int failed = ask(self, (pb_slice){NULL, 0}, &keys, ret_credential, error);
    pb_credential_clear(&keys);
    return failed;
}

static void sts_free(pb_credential_source *source)
{
    sts_source *self = (sts_source *)source;
    pb_credential_source_free(self->base);
    free(self->endpoint);
    free(self->region);
    free(self->role_arn);
    free(self->session_name);
    free(self->external_id);
    free(self->token_file);
    free(self->ca_bundle);
    free(source->name);
    free(self);
}

pb_credential_source *pb_aws_sts_source(const pb_aws_sts_options *options)
{
    sts_source *self = pb_allocate_zeroed(1, sizeof *self);
    *self = (sts_source){
        .source = {.fetch = fetch, .free = sts_free, .name = pb_duplicate_text(options->name)},
        .endpoint = pb_duplicate_text(options->endpoint),
        .region = pb_duplicate_text(options->region),
        .role_arn = pb_duplicate_text(options->role_arn),
        .session_name = pb_duplicate_text(options->session_name),
        .external_id = pb_duplicate_text(options->external_id),
        .token_file = pb_duplicate_text(options->token_file),
        .ca_bundle = pb_duplicate_text(options->ca_bundle),
        .duration_seconds = options->duration_seconds,
        .base = options->base,
    };
    return &self->source;
}
