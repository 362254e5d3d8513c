/* A program for tests/integration/logins_google.py: finds a login of Google in its environment and
 * keeps it fresh, as a run does. It shows no token, but the SHA-256 of each.
 *
 *   google_login_program SECONDS [--role ROLE] [--keys] [--anonymous] [--emulator] [--ca FILE]
 *                                [--reject NUMBER]
 *
 * --keys reads a credential file from standard input, as a Kubernetes secret holds it; --reject
 * says of the value with this number that a store refused it. Answers are lines of JSON on standard
 * output; the exit status is that of pbcopy. */
#include "base/clock.h"
#include "base/codec.h"
#include "base/failure.h"
#include "base/hash.h"
#include "base/json.h"
#include "copier/http/http.h"
#include "copier/store/credentials/google_login.h"
#include "copier/store/credentials/provider.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KEYS_BYTES_MAX = 1024 * 1024, LOOK_MS = 10 };

typedef struct program {
    double seconds;
    unsigned reject;
    pb_google_login_options options;
    pb_buffer keys;
} program;

static void stop(const char *why)
{
    fprintf(stderr, "google_login_program: %s\n", why);
    exit(99);
}

/* One whole line at once: warnings come from another thread. */
static void say(json_t *line)
{
    pb_buffer text = {0};
    pb_json_append(&text, line);
    fwrite(text.data, 1, text.size, stdout);
    fflush(stdout);
    pb_buffer_free(&text);
    json_decref(line);
}

static void write_log(void *context, pb_log_level level, const char *line)
{
    (void)context;
    (void)level;
    say(json_pack("{s:s}", "log", line));
}

static void say_value(const pb_credential *value, unsigned number)
{
    uint8_t digest[PB_SHA256_BYTES];
    char hex[2 * PB_SHA256_BYTES + 1] = "";
    if (value->access_key_id || value->secret_access_key || value->session_token)
        stop("keys of AWS");
    if (value->bearer_token) {
        pb_sha256(value->bearer_token, strlen(value->bearer_token), digest);
        pb_hex_encode(digest, sizeof digest, hex);
    }
    say(json_pack("{s:I,s:i,s:s,s:I}", "at_ms", (json_int_t)pb_clock_utc_ms(), "number",
                  (int)number, "sha256", hex, "expires_ms", (json_int_t)value->expires_ms));
}

static void watch(const program *self, pb_provider *provider)
{
    const struct timespec wait = {0, LOOK_MS * 1000000L};
    int64_t end_ms = pb_clock_monotonic_ms() + (int64_t)(self->seconds * 1000);
    unsigned seen = 0;
    do {
        if (pb_provider_number(provider) != seen) {
            pb_credential value;
            pb_provider_take(provider, &value, &seen);
            say_value(&value, seen);
            pb_credential_clear(&value);
            if (seen == self->reject)
                pb_provider_has_ended(provider, seen);
        }
        nanosleep(&wait, NULL);
    } while (pb_clock_monotonic_ms() < end_ms);
}

static void read_arguments(program *self, char **argument)
{
    self->seconds = strtod(*argument++, NULL);
    for (; *argument; argument++) {
        const char *name = *argument;
        if (strcmp(name, "--anonymous") == 0) {
            self->options.anonymous = true;
        } else if (strcmp(name, "--emulator") == 0) {
            self->options.emulator = true;
        } else if (strcmp(name, "--keys") == 0) {
            pb_buffer_reserve(&self->keys, KEYS_BYTES_MAX);
            self->keys.size = fread(self->keys.data, 1, KEYS_BYTES_MAX, stdin);
            self->options.keys = pb_buffer_slice(&self->keys);
        } else if (!*++argument) {
            stop("a value is missing");
        } else if (strcmp(name, "--role") == 0) {
            self->options.role = *argument;
        } else if (strcmp(name, "--ca") == 0) {
            self->options.ca_bundle = *argument;
        } else if (strcmp(name, "--reject") == 0) {
            self->reject = (unsigned)strtoul(*argument, NULL, 10);
        } else {
            stop("an unknown option");
        }
    }
}

int main(int count, char **arguments)
{
    const pb_log log = {.level = PB_LOG_WARNING, .write = write_log};
    program self = {.options = {.log = &log}};
    pb_credential_source *source = NULL;
    pb_provider *provider = NULL;
    pb_error error = {0};
    if (count < 2)
        stop("the seconds are missing");
    if (!getenv("GCE_METADATA_HOST"))
        stop("GCE_METADATA_HOST is not set: no test asks the real one");
    read_arguments(&self, arguments + 1);
    pb_http_process_start();
    int failed = pb_google_login_find(&self.options, &pb_environment_of_process, &source, &error);
    pb_buffer_wipe(&self.keys);
    if (!failed) {
        say(json_pack("{s:s}", "source", source->name));
        failed = pb_provider_open(source, &log, &provider, &error);
    }
    if (!failed)
        watch(&self, provider);
    else
        say(json_pack("{s:s,s:s}", "error", error.message, "hint", error.hint));
    pb_provider_close(provider);
    pb_http_process_end();
    return pb_failure_exit_code(error.kind);
}
