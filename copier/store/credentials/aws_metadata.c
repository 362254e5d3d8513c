#include "copier/store/credentials/aws_metadata.h"

#include "base/clock.h"
#include "base/codec.h"
#include "copier/http/fetch.h"
#include "copier/store/credentials/aws_answer.h"
#include "copier/store/credentials/aws_files.h"
#include "copier/store/credentials/aws_profiles.h"
#include <stdlib.h>
#include <strings.h>

enum { TIMEOUT_MS = 1000, TOKEN_SECONDS = 21600, TOKEN_EARLY_MS = 60 * 1000 };

#define TOKEN_TTL_LINE "X-aws-ec2-metadata-token-ttl-seconds: 21600"
#define ROLES "/latest/meta-data/iam/security-credentials/"

typedef struct metadata_source {
    pb_credential_source source; /* first: callbacks cast */
    char *url;
    pb_buffer token_line; /* empty: none yet */
    int64_t token_until_ms;
} metadata_source;

int pb_aws_metadata_url(const pb_environment *environment, char **ret_url, pb_error *error)
{
    const char *disabled = pb_environment_get(environment, "AWS_EC2_METADATA_DISABLED");
    const char *endpoint = pb_environment_get(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = pb_environment_get(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    *ret_url = NULL;
    if (disabled && strcasecmp(disabled, "true") == 0)
        return 0;
    bool v6 = mode && strcasecmp(mode, "ipv6") == 0;
    pb_slice url = v6 ? PB_SLICE_LITERAL("http://[fd00:ec2::254]")
                      : PB_SLICE_LITERAL("http://169.254.169.254");
    if (endpoint) {
        const char *host = strstr(endpoint, "://");
        url = pb_slice_of(endpoint);
        while (url.size && url.data[url.size - 1] == '/')
            url.size--;
        bool http = strncmp(endpoint, "http://", 7) == 0 || strncmp(endpoint, "https://", 8) == 0;
        if (!http || !pb_aws_is_word(url) || host + 3 >= url.data + url.size ||
            memchr(host + 3, '@', (size_t)(url.data + url.size - host - 3)) ||
            memchr(host + 3, '/', (size_t)(url.data + url.size - host - 3)))
            return pb_error_set(error, PB_ERROR_USAGE,
                                "AWS_EC2_METADATA_SERVICE_ENDPOINT is no http://HOST[:PORT]");
    }
    *ret_url = pb_duplicate(url);
    return 0;
}

static int ask(const char *method, const char *url, const char *path, const char *line,
               pb_fetch_answer *answer, pb_error *error)
{
    pb_buffer whole = {0};
    pb_buffer_append_format(&whole, "%s%s", url, path);
    const pb_fetch_request request = {
        .method = method,
        .url = whole.data,
        .headers = {line},
        .connect_timeout_ms = TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .no_proxy = true,
    };
    int failed = pb_fetch(&request, answer, error);
    pb_buffer_free(&whole);
    return failed;
}

bool pb_aws_metadata_is_there(const char *url)
{
    pb_fetch_answer answer = {0};
    int failed = ask("PUT", url, "/latest/api/token", TOKEN_TTL_LINE, &answer, NULL);
    pb_fetch_answer_free(&answer);
    return !failed;
}

static int fetch_token(metadata_source *self, pb_error *error)
{
    int64_t now_ms = pb_clock_utc_ms();
    if (self->token_line.size && now_ms < self->token_until_ms)
        return 0;
    pb_fetch_answer answer = {0};
    if (ask("PUT", self->url, "/latest/api/token", TOKEN_TTL_LINE, &answer, error))
        return -1;
    int failed = 0;
    if (answer.status != 200)
        failed = pb_aws_answer_refused("a token", answer.status, (pb_slice){NULL, 0}, NULL, error);
    else if (!pb_aws_is_word(pb_buffer_slice(&answer.body)))
        failed = pb_error_set(error, PB_ERROR_SERVER, "an answer that is no token");
    if (!failed) {
        pb_buffer_wipe(&self->token_line);
        pb_buffer_reserve(&self->token_line, answer.body.size + 64);
        pb_buffer_append_text(&self->token_line, "X-aws-ec2-metadata-token: ");
        pb_buffer_append_slice(&self->token_line, pb_buffer_slice(&answer.body));
        self->token_until_ms = now_ms + TOKEN_SECONDS * (int64_t)1000 - TOKEN_EARLY_MS;
    }
    pb_fetch_answer_free(&answer);
    return failed;
}

/* The first line of what is there, encoded as a part of a path. */
static int read_role(pb_slice body, pb_buffer *path, pb_error *error)
{
    pb_slice role = {body.data, 0};
    while (role.size < body.size && body.data[role.size] != '\n' && body.data[role.size] != '\r')
        role.size++;
    if (!pb_aws_is_word(role) || role.size > 128)
        return pb_error_set(error, PB_ERROR_REFUSED, "this machine has no role");
    pb_buffer_append_text(path, ROLES);
    pb_percent_encode(path, role, false);
    return 0;
}

static int get(metadata_source *self, const char *path, pb_fetch_answer *answer, pb_error *error)
{
    if (ask("GET", self->url, path, self->token_line.data, answer, error))
        return -1;
    if (answer->status == 200)
        return 0;
    if (answer->status ==
        401) /* the token has ended before its time: the next fetch gets another */
        pb_buffer_wipe(&self->token_line);
    if (answer->status == 404)
        pb_error_set(error, PB_ERROR_REFUSED, "this machine has no role");
    else
        pb_aws_answer_refused("keys", answer->status, (pb_slice){NULL, 0}, NULL, error);
    if (answer->status == 401 && error)
        error->kind = PB_ERROR_SERVER; /* worth another try */
    pb_fetch_answer_free(answer);
    return -1;
}

static int fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    metadata_source *self = (metadata_source *)source;
    pb_fetch_answer answer = {0};
    pb_buffer path = {0};
    int failed = fetch_token(self, error) || get(self, ROLES, &answer, error) ||
                 read_role(pb_buffer_slice(&answer.body), &path, error);
    pb_fetch_answer_free(&answer);
    failed = failed || get(self, path.data, &answer, error) ||
             pb_aws_answer_read(pb_buffer_slice(&answer.body), PB_AWS_ANSWER_ENDPOINT,
                                pb_clock_utc_ms(), ret_credential, error);
    pb_fetch_answer_free(&answer);
    pb_buffer_free(&path);
    return failed ? -1 : 0;
}

static void metadata_free(pb_credential_source *source)
{
    metadata_source *self = (metadata_source *)source;
    pb_buffer_wipe(&self->token_line);
    free(self->url);
    free(source->name);
    free(self);
}

pb_credential_source *pb_aws_metadata_source(const char *url)
{
    metadata_source *self = pb_allocate_zeroed(1, sizeof *self);
    pb_buffer name = {0};
    pb_buffer_append_format(&name, "the role of this machine (metadata server %s)", url);
    *self = (metadata_source){
        .source = {.fetch = fetch, .free = metadata_free, .name = name.data},
        .url = pb_duplicate(pb_slice_of(url)),
    };
    return &self->source;
}
