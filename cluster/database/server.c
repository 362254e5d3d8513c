/* What is asked of a server, through psql. */
#include "cluster/database/server.h"

#include "cluster/process/child.h"
#include <stdio.h>
#include <stdlib.h>

enum { DEADLINE_MS = 60 * 1000, ANSWER_BYTES_MAX = 64 * 1024 };

/* ---- how children are told of it ---- */

/* libpq's own, and those of the libraries by which it logs in and encrypts. */
const char *const pb_database_inherited[] = {"PG*", "KRB5*", "SSL_CERT_*", "OPENSSL_*", NULL};

/* A server that is gone without a word (a node that died, a firewall that forgot) would be waited
 * for without end: after three minutes of silence the connection is given up. Longer than a busy
 * server may leave what was sent unread, which counts as silence too. */
#define KEEPALIVE                                                                                  \
    "keepalives=1 keepalives_idle=60 keepalives_interval=20 keepalives_count=6 "                   \
    "tcp_user_timeout=180000"

static void append_quoted(pb_buffer *text, const char *name)
{
    pb_buffer_append_text(text, "dbname='");
    for (; *name; name++) {
        if (*name == '\'' || *name == '\\')
            pb_buffer_append_char(text, '\\');
        pb_buffer_append_char(text, *name);
    }
    pb_buffer_append_text(text, "' ");
}

void pb_database_arguments(const pb_database_server *server, const char *database,
                           pb_database_call *ret_call)
{
    pb_database_call *call = ret_call;
    size_t count = 0, variables = 0;
    *call = (pb_database_call){0};
    if (server->host) {
        call->arguments[count++] = "--host";
        call->arguments[count++] = server->host;
    }
    if (server->port) {
        snprintf(call->port, sizeof call->port, "%llu", (unsigned long long)server->port);
        call->arguments[count++] = "--port";
        call->arguments[count++] = call->port;
    }
    if (server->user) {
        call->arguments[count++] = "--username";
        call->arguments[count++] = server->user;
    }
    if (database)
        append_quoted(&call->database, database);
    pb_buffer_append_text(&call->database, KEEPALIVE);
    call->arguments[count++] = "--dbname";
    call->arguments[count++] = call->database.data;
    call->arguments[count++] = "--no-password"; /* never asks at the terminal */
    call->argument_count = count;
    if (server->password) {
        pb_buffer_append_format(&call->password, "PGPASSWORD=%s", server->password);
        call->environment[variables++] = call->password.data;
    }
    call->environment[variables++] = "PGCONNECT_TIMEOUT=15";
    call->environment[variables++] = "PGAPPNAME=pbcopy";
    call->environment[variables++] = "LC_ALL=C"; /* errors are looked into */
}

void pb_database_call_free(pb_database_call *call)
{
    pb_buffer_wipe(&call->password);
    pb_buffer_free(&call->database);
}

/* ---- what its errors mean ---- */

typedef struct phrase {
    const char *text;
    pb_error_kind kind;
} phrase;

static const phrase phrases[] = {
    {"password authentication failed", PB_ERROR_REFUSED},
    {"no password supplied", PB_ERROR_REFUSED},
    {"no pg_hba.conf entry", PB_ERROR_REFUSED},
    {"authentication failed", PB_ERROR_REFUSED},
    {"permission denied", PB_ERROR_REFUSED},
    {"must be superuser", PB_ERROR_REFUSED},
    {"Connection refused", PB_ERROR_UNREACHABLE},
    {"could not translate host name", PB_ERROR_UNREACHABLE},
    {"timeout expired", PB_ERROR_UNREACHABLE},
    {"No route to host", PB_ERROR_UNREACHABLE},
    {"Connection timed out", PB_ERROR_UNREACHABLE},
    {"Is the server running", PB_ERROR_UNREACHABLE},
    {"the database system is", PB_ERROR_UNREACHABLE},
    {"server closed the connection unexpectedly", PB_ERROR_UNREACHABLE},
    {"terminating connection", PB_ERROR_UNREACHABLE},
    {"could not receive data from server", PB_ERROR_UNREACHABLE},
    {"certificate verify failed", PB_ERROR_REFUSED},
    {"does not match host name", PB_ERROR_REFUSED},
    {"server does not support SSL", PB_ERROR_REFUSED},
    {"root certificate file", PB_ERROR_USAGE},
    {"No space left on device", PB_ERROR_NO_SPACE},
    {"invalid connection option \"tcp_user_timeout\"", PB_ERROR_USAGE},
    {"canceling statement due to lock timeout", PB_ERROR_BUSY},
};

static bool says(pb_slice line, const char *text)
{
    return memmem(line.data ? line.data : "", line.size, text, strlen(text)) != NULL;
}

/* The last line that calls itself an error: details and advice come behind it. */
static pb_slice error_line(pb_slice said)
{
    for (size_t end = said.size; end;) {
        size_t begin = end;
        while (begin && said.data[begin - 1] != '\n')
            begin--;
        pb_slice line = {said.data + begin, end - begin};
        if (says(line, "error:") || says(line, "ERROR:") || says(line, "FATAL:"))
            return line;
        end = begin ? begin - 1 : 0;
    }
    return (pb_slice){NULL, 0};
}

/* "detail: server version: 16.1; pg_dump version: 15.8" */
static pb_slice detail_line(pb_slice said)
{
    static const char mark[] = "detail: ";
    const char *at = memmem(said.data, said.size, mark, sizeof mark - 1);
    if (!at)
        return PB_SLICE_LITERAL("server version mismatch");
    at += sizeof mark - 1;
    size_t left = (size_t)(said.data + said.size - at);
    const char *end = memchr(at, '\n', left);
    return (pb_slice){at, end ? (size_t)(end - at) : left};
}

/* libpq's own variables reach its programs as they are. */
static void hint_at_tls(pb_slice said, pb_error *error)
{
    if (says(said, "certificate verify failed") || says(said, "root certificate file"))
        pb_error_hint(error, "PGSSLMODE asks for the server's certificate to be checked: "
                             "PGSSLROOTCERT names a PEM file of those that are trusted");
    else if (says(said, "does not match host name"))
        pb_error_hint(error, "PGSSLMODE=verify-full compares the host: connect by the name that is "
                             "in the certificate (through a forwarded port: PGHOSTADDR beside "
                             "--database-host), or say verify-ca");
    else if (says(said, "server does not support SSL"))
        pb_error_hint(error, "PGSSLMODE asks for TLS, which this server has not");
    else if (says(said, "no pg_hba.conf entry") && says(said, "no encryption"))
        pb_error_hint(error,
                      "the server may take TLS alone: PGSSLMODE=require, or verify-full with "
                      "PGSSLROOTCERT");
}

void pb_database_judge(pb_slice said, pb_error *error)
{
    if (error->kind != PB_ERROR_FAILED)
        return;
    pb_slice line = error_line(said);
    if (line.size) {
        pb_error judged = *error;
        pb_error_set(&judged, error->kind, "%.*s", PB_SLICE_FORMAT(line));
        memcpy(error->message, judged.message, sizeof error->message);
    }
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (says(said, phrases[i].text)) {
            error->kind = phrases[i].kind;
            break;
        }
    if (says(said, "server version mismatch")) {
        pb_slice versions = detail_line(said);
        pb_error_set(error, PB_ERROR_USAGE, "older than the server: %.*s",
                     PB_SLICE_FORMAT(versions));
        pb_error_hint(error, "install the postgresql-client of the server's version, or later");
    }
    hint_at_tls(said, error);
    if (error->kind == PB_ERROR_USAGE && !error->hint[0])
        pb_error_hint(error, "install postgresql-client 12 or later");
    if (says(said, "FATAL:  database \"") && says(said, "does not exist"))
        error->kind = PB_ERROR_NOT_FOUND;
    if (error->kind == PB_ERROR_REFUSED && !error->hint[0])
        pb_error_hint(error, "the password comes from PGPASSWORD, the cluster's secret or pgpass; "
                             "--database-user names the user");
    if (error->kind == PB_ERROR_BUSY && !error->hint[0])
        pb_error_hint(error,
                      "somebody uses the database, and nothing was changed: `pbcopy suspend` "
                      "ends Pachyderm's sessions; pg_stat_activity shows others");
    if (says(said, "role \"") && says(said, "does not exist") && !error->hint[0])
        pb_error_hint(error, "make the role first: createuser pachyderm");
}

/* ---- questions ---- */

int pb_database_run(uv_loop_t *loop, const pb_database_server *server, const char *database,
                    const char *const *arguments, int64_t deadline_ms, const atomic_bool *cancelled,
                    size_t output_max, pb_buffer *ret_output, pb_error *error)
{
    enum { OWN_MAX = 12 };
    const char *all[PB_DATABASE_ARGUMENTS_MAX + OWN_MAX + 1] = {NULL};
    size_t count = 0;
    pb_database_call call;
    for (; arguments[count] && count < OWN_MAX; count++)
        all[count] = arguments[count];
    pb_database_arguments(server, database, &call);
    for (size_t i = 0; i < call.argument_count; i++)
        all[count++] = call.arguments[i];
    const pb_child_options options = {.arguments = all,
                                      .environment = call.environment,
                                      .inherited = pb_database_inherited,
                                      .deadline_ms = deadline_ms};
    pb_buffer said = {0};
    int failed = pb_child_run(loop, &options, (pb_slice){NULL, 0}, cancelled, output_max,
                              ret_output, &said, error);
    if (failed)
        pb_database_judge(pb_buffer_slice(&said), error);
    pb_buffer_free(&said);
    pb_database_call_free(&call);
    return failed;
}

int pb_database_ask(uv_loop_t *loop, const pb_database_server *server, const char *database,
                    const char *question, pb_buffer *ret_answer, pb_error *error)
{
    const char *const arguments[] = {"psql",    "--no-psqlrc", "--tuples-only", "--no-align",
                                     "--quiet", "--command",   question,        NULL};
    int failed = pb_database_run(loop, server, database, arguments, DEADLINE_MS, NULL,
                                 ANSWER_BYTES_MAX, ret_answer, error);
    if (!ret_answer->data)
        pb_buffer_reserve(ret_answer, 1);
    return failed ? pb_error_context(error, "database %s", database) : 0;
}

int pb_database_server_version(uv_loop_t *loop, const pb_database_server *server,
                               const char *database, pb_database_version *ret_version,
                               pb_error *error)
{
    pb_buffer answer = {0};
    if (pb_database_ask(loop, server, database,
                        "SELECT current_setting('server_version_num') || ' ' || "
                        "split_part(current_setting('server_version'), ' ', 1)",
                        &answer, error)) {
        pb_buffer_free(&answer);
        return -1;
    }
    bool good = sscanf(answer.data, "%u %31s", &ret_version->number, ret_version->text) == 2;
    pb_buffer_free(&answer);
    if (good)
        return 0;
    return pb_error_set(error, PB_ERROR_FAILED, "database %s: the server does not tell its version",
                        database);
}

/* "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" */
int pb_database_client_version(uv_loop_t *loop, const char *program,
                               pb_database_version *ret_version, pb_error *error)
{
    const char *const arguments[] = {program, "--version", NULL};
    const pb_child_options options = {.arguments = arguments, .deadline_ms = DEADLINE_MS};
    pb_buffer answer = {0};
    unsigned major = 0, minor = 0;
    if (pb_child_run(loop, &options, (pb_slice){NULL, 0}, NULL, ANSWER_BYTES_MAX, &answer, NULL,
                     error)) {
        pb_buffer_free(&answer);
        if (error->kind == PB_ERROR_USAGE)
            pb_error_hint(error, "install postgresql-client");
        return -1;
    }
    const char *text = answer.data ? strstr(answer.data, ") ") : NULL;
    bool good = text && sscanf(text, ") %31s", ret_version->text) == 1 &&
                sscanf(ret_version->text, "%u.%u", &major, &minor) >= 1;
    pb_buffer_free(&answer);
    if (!good)
        return pb_error_set(error, PB_ERROR_FAILED, "%s does not tell its version", program);
    ret_version->number = major * 10000 + minor;
    return 0;
}

int pb_database_is_empty(uv_loop_t *loop, const pb_database_server *server, const char *database,
                         bool *ret_empty, pb_error *error)
{
    static const char question[] =
        "SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_') AND NOT EXISTS (SELECT "
        "FROM pg_namespace WHERE nspname NOT IN ('public', 'information_schema') AND nspname !~ "
        "'^pg_')";
    pb_buffer answer = {0};
    int failed = pb_database_ask(loop, server, database, question, &answer, error);
    if (!failed)
        *ret_empty = answer.data[0] == 't';
    pb_buffer_free(&answer);
    return failed;
}

int pb_database_is_in_use(uv_loop_t *loop, const pb_database_server *server, const char *database,
                          bool *ret_in_use, pb_error *error)
{
    static const char question[] =
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        "pg_backend_pid() AND backend_type = 'client backend')";
    pb_buffer answer = {0};
    int failed = pb_database_ask(loop, server, database, question, &answer, error);
    if (!failed)
        *ret_in_use = answer.data[0] == 't';
    pb_buffer_free(&answer);
    return failed;
}
