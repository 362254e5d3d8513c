/* What PostgreSQL's programs say, and what it means; how they are told of a server. */
#include "cluster/database/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

typedef struct saying {
    const char *text;
    pb_error_kind kind;
    const char *message; /* a part of it */
    const char *hint;    /* likewise; NULL for any */
} saying;

static const saying sayings[] = {
    {"pg_dump: error: connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  password "
     "authentication failed for user \"pachyderm\"\n",
     PB_ERROR_REFUSED, "password authentication failed", NULL},
    {"psql: error: connection to server at \"10.0.0.1\", port 5432 failed: Connection "
     "refused\n\tIs "
     "the server running on that host and accepting TCP/IP connections?\n",
     PB_ERROR_UNREACHABLE, "Connection refused", NULL},
    {"pg_dump: error: connection to server at \"h\", port 5432 failed: FATAL:  database \"dexter\" "
     "does not exist\n",
     PB_ERROR_NOT_FOUND, "dexter", NULL},
    {"pg_restore: error: could not execute query: ERROR:  role \"pachyderm\" does not exist\n"
     "Command was: ALTER SCHEMA storage OWNER TO pachyderm;\n\n\n",
     PB_ERROR_FAILED, "role \"pachyderm\" does not exist", NULL},
    {"pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 5; 2615 SCHEMA storage p\n"
     "pg_restore: error: could not execute query: ERROR:  schema \"storage\" already exists\n"
     "Command was: CREATE SCHEMA storage;\n\n",
     PB_ERROR_FAILED, "schema \"storage\" already exists", NULL},
    {"pg_dump: detail: server version: 16.1; pg_dump version: 15.8 (Debian 15.8-0+deb12u1)\n"
     "pg_dump: error: aborting because of server version mismatch\n",
     PB_ERROR_USAGE, "server version: 16.1; pg_dump version: 15.8", NULL},
    {"pg_dump: error: aborting because of server version mismatch\n"
     "pg_dump: detail: server version: 16.1; pg_dump version: 15.8\n",
     PB_ERROR_USAGE, "server version: 16.1; pg_dump version: 15.8", NULL},
    {"pg_dump: error: Dumping the contents of table \"keys\" failed: PQgetResult() failed.\n"
     "pg_dump: detail: Error message from server: server closed the connection unexpectedly\n",
     PB_ERROR_UNREACHABLE, "keys", NULL},
    {"psql: error: invalid connection option \"tcp_user_timeout\"\n", PB_ERROR_USAGE,
     "invalid connection option", NULL},
    {"psql: error: connection to server at \"h\", port 5432 failed: root certificate file "
     "\"/root/.postgresql/root.crt\" does not exist\nEither provide the file or change sslmode to "
     "disable server certificate verification.\n",
     PB_ERROR_USAGE, "root certificate file", "PGSSLROOTCERT"},
    {"psql: error: connection to server at \"h\", port 5432 failed: SSL error: certificate verify "
     "failed\n",
     PB_ERROR_REFUSED, "certificate verify failed", "PGSSLROOTCERT"},
    {"psql: error: connection to server at \"127.0.0.1\", port 5432 failed: server certificate for "
     "\"db.example\" does not match host name \"127.0.0.1\"\n",
     PB_ERROR_REFUSED, "does not match host name", "PGHOSTADDR"},
    {"psql: error: connection to server at \"h\", port 5432 failed: server does not support SSL, "
     "but SSL was required\n",
     PB_ERROR_REFUSED, "does not support SSL", "PGSSLMODE"},
    {"psql: error: connection to server at \"h\", port 5432 failed: FATAL:  no pg_hba.conf entry "
     "for host \"127.0.0.1\", user \"pachyderm\", database \"dex\", no encryption\n",
     PB_ERROR_REFUSED, "no pg_hba.conf entry", "PGSSLMODE=require"},
    {"", PB_ERROR_FAILED, "as it was", NULL},
    {"something else\n", PB_ERROR_FAILED, "as it was", NULL},
};

static void test_judge(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sayings / sizeof *sayings; i++) {
        pb_error error;
        pb_error_set(&error, PB_ERROR_FAILED, "as it was");
        pb_database_judge(pb_slice_of(sayings[i].text), &error);
        assert_int_equal(error.kind, sayings[i].kind);
        if (!strstr(error.message, sayings[i].message))
            print_error("%s\n", error.message);
        assert_non_null(strstr(error.message, sayings[i].message));
        if (sayings[i].hint)
            assert_non_null(strstr(error.hint, sayings[i].hint));
    }
    pb_error error;
    pb_error_set(&error, PB_ERROR_CANCELLED, "cancelled");
    pb_database_judge(pb_slice_of(sayings[0].text), &error);
    assert_int_equal(error.kind, PB_ERROR_CANCELLED);
}

static void test_arguments(void **state)
{
    (void)state;
    const pb_database_server server = {
        .host = "h", .port = 5433, .user = "u", .password = "marked-secret"};
    pb_database_call call;
    bool has_password = false;
    pb_database_arguments(&server, "it's\\host=h", &call);
    assert_int_equal(call.argument_count, 9);
    assert_string_equal(call.arguments[6], "--dbname");
    const char *rest = strstr(call.arguments[7], "' keepalives=1 ");
    assert_non_null(rest);
    assert_int_equal(strncmp(call.arguments[7], "dbname='it\\'s\\\\host=h' ", 23), 0);
    assert_non_null(strstr(rest, " tcp_user_timeout="));
    for (size_t i = 0; i < call.argument_count; i++)
        assert_null(strstr(call.arguments[i], "marked-secret"));
    for (const char *const *variable = call.environment; *variable; variable++)
        has_password |= strcmp(*variable, "PGPASSWORD=marked-secret") == 0;
    assert_true(has_password);
    pb_database_call_free(&call);
    pb_database_arguments(&(pb_database_server){0}, NULL, &call);
    assert_int_equal(call.argument_count, 3);
    assert_string_equal(call.arguments[0], "--dbname");
    assert_null(strstr(call.arguments[1], "dbname="));
    assert_non_null(strstr(call.arguments[1], "keepalives_idle="));
    assert_string_equal(call.arguments[2], "--no-password");
    pb_database_call_free(&call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
