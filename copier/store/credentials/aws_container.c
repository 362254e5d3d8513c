#include "copier/store/credentials/aws_container.h"

#include "base/clock.h"
#include "copier/http/fetch.h"
#include "copier/store/credentials/aws_answer.h"
#include "copier/store/credentials/aws_files.h"
#include <stdlib.h>

enum { CONNECT_TIMEOUT_MS = 2000, TIMEOUT_MS = 5000 };

#define ECS_AGENT "http://169.254.170.2"
#define FULL_URI "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define RELATIVE_URI "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"

typedef struct container_source {
    pb_credential_source source; /* first: callbacks cast */
    char *url, *token, *token_file, *ca_bundle;
} container_source;

/* ---- where ---- */

/* Printable, and nothing that could make another host of it. */
static bool is_plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '@' || *c == '\\' || *c == '#')
            return false;
    return true;
}

/* "127.a.b.c" */
static bool is_loopback_v4(pb_slice host)
{
    unsigned dots = 0;
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] == '.')
            dots++;
        else if (host.data[i] < '0' || host.data[i] > '9')
            return false;
    }
    return dots == 3 && pb_slice_starts_with(host, PB_SLICE_LITERAL("127."));
}

static bool is_agent(pb_slice host)
{
    static const char *const names[] = {"localhost", "[::1]", "169.254.170.2", "169.254.170.23",
                                        "[fd00:ec2::23]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (pb_slice_equal(host, pb_slice_of(names[i])))
            return true;
    return is_loopback_v4(host);
}

static bool may_be_asked(const char *url)
{
    if (!is_plain(url))
        return false;
    if (strncmp(url, "https://", 8) == 0)
        return url[8] && url[8] != '/';
    if (strncmp(url, "http://", 7) != 0)
        return false;
    pb_slice host = {url + 7, strcspn(url + 7, "/?")};
    const char *bracket =
        host.size && host.data[0] == '[' ? memchr(host.data, ']', host.size) : NULL;
    size_t name_size = bracket ? (size_t)(bracket + 1 - host.data) : strcspn(host.data, ":/?");
    if (name_size < host.size && host.data[name_size] != ':')
        return false;
    return is_agent((pb_slice){host.data, name_size});
}

int pb_aws_container_url(const pb_environment *environment, char **ret_url, pb_error *error)
{
    const char *relative = pb_environment_get(environment, RELATIVE_URI);
    const char *full = pb_environment_get(environment, FULL_URI);
    *ret_url = NULL;
    if (relative) {
        if (relative[0] != '/' || !is_plain(relative))
            return pb_error_set(error, PB_ERROR_USAGE, RELATIVE_URI " is no path");
        pb_buffer url = {0};
        pb_buffer_append_format(&url, ECS_AGENT "%s", relative);
        *ret_url = url.data;
        return 0;
    }
    if (full && !may_be_asked(full)) {
        pb_error_set(error, PB_ERROR_USAGE, FULL_URI " names no place that may be asked for keys");
        return pb_error_hint(error, "https://, or http:// with localhost, 127.0.0.0/8, [::1], "
                                    "169.254.170.2, 169.254.170.23 or [fd00:ec2::23]");
    }
    if (full)
        *ret_url = pb_duplicate(pb_slice_of(full));
    return 0;
}

/* ---- asking ---- */

/* The Authorization line, to be wiped; empty where no token is wanted. */
static int make_line(const container_source *self, pb_buffer *line, pb_error *error)
{
    pb_buffer token = {0};
    if (self->token_file && pb_aws_token_read(self->token_file, &token, error))
        return -1;
    if (!token.size && !self->token)
        return 0;
    pb_slice text = self->token_file ? pb_buffer_slice(&token) : pb_slice_of(self->token);
    pb_buffer_reserve(line, text.size + 32);
    pb_buffer_append_text(line, "Authorization: ");
    pb_buffer_append_slice(line, text);
    pb_buffer_wipe(&token);
    return 0;
}

static int fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    const container_source *self = (const container_source *)source;
    pb_buffer line = {0};
    if (make_line(self, &line, error))
        return -1;
    pb_fetch_request request = {
        .method = "GET",
        .url = self->url,
        .headers = {"Accept: application/json", line.size ? line.data : NULL},
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = TIMEOUT_MS,
        .no_proxy = strncmp(self->url, "http:", 5) == 0,
        .ca_bundle = self->ca_bundle,
    };
    const char *const secrets[] = {line.size ? line.data + strlen("Authorization: ") : NULL, NULL};
    pb_fetch_answer answer = {0};
    int failed = pb_fetch(&request, &answer, error);
    pb_slice body = pb_buffer_slice(&answer.body);
    if (!failed && answer.status != 200)
        failed = pb_aws_answer_refused("the agent", answer.status, body, secrets, error);
    else if (!failed)
        failed = pb_aws_answer_read(body, PB_AWS_ANSWER_ENDPOINT, pb_clock_utc_ms(), ret_credential,
                                    error);
    pb_fetch_answer_free(&answer);
    pb_buffer_wipe(&line);
    return failed;
}

static void container_free(pb_credential_source *source)
{
    container_source *self = (container_source *)source;
    free(self->url);
    pb_text_wipe(self->token);
    free(self->token_file);
    free(self->ca_bundle);
    free(source->name);
    free(self);
}

int pb_aws_container_source(const pb_environment *environment, const char *ca_bundle,
                            pb_credential_source **ret_source, pb_error *error)
{
    char *url;
    *ret_source = NULL;
    if (pb_aws_container_url(environment, &url, error))
        return -1;
    if (!url)
        return 0;
    const char *file = pb_environment_get(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = pb_environment_get(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    for (const char *c = token; c && *c; c++)
        if (*c < ' ' || *c > '~') {
            free(url);
            return pb_error_set(error, PB_ERROR_USAGE,
                                "AWS_CONTAINER_AUTHORIZATION_TOKEN holds no token");
        }
    container_source *self = pb_allocate_zeroed(1, sizeof *self);
    pb_buffer name = {0};
    pb_buffer_append_format(&name, "the agent at %.*s (%s)", (int)strcspn(url, "?"), url,
                            pb_environment_get(environment, RELATIVE_URI) ? RELATIVE_URI
                                                                          : FULL_URI);
    *self = (container_source){
        .source = {.fetch = fetch, .free = container_free, .name = name.data},
        .url = url,
        .token = file ? NULL : pb_duplicate_text(token),
        .token_file = pb_duplicate_text(file),
        .ca_bundle = pb_duplicate_text(ca_bundle),
    };
    *ret_source = &self->source;
    return 0;
}
