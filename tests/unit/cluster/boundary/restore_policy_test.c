#include "cluster/boundary/restore_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A record with one artifact. */
static int check(const pb_restore_policy *policy, pb_artifact_kind kind, bool encrypted,
                 pb_error *error)
{
    pb_artifact artifact = {.kind = kind, .path = (char *)"database/x", .encrypted = encrypted};
    const pb_cluster_record record = {.artifacts = &artifact, .artifact_count = 1};
    *error = (pb_error){0};
    return pb_policy_check_record(policy, &record, error);
}

static void a_kind_of_dump_that_was_not_asked_for_is_refused(void **state)
{
    (void)state;
    pb_error error;
    pb_restore_policy policy = {.takes_databases = true, .takes_objects = true};
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP, false, &error), 0);
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP_ALL, true, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, "database/x is a dump of a whole server by pg_dumpall"));
    assert_non_null(strstr(error.hint, "--dump all"));
    policy = (pb_restore_policy){.takes_server = true, .takes_objects = true};
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP_ALL, false, &error), 0);
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP, true, &error), -1);
    assert_non_null(strstr(error.hint, "--dump databases"));
    policy = (pb_restore_policy){.takes_objects = true, .has_identity = true};
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP_ALL, false, &error), 0);
    assert_int_equal(check(&policy, PB_ARTIFACT_DUMP, false, &error), 0);
}

static void plaintext_is_refused_where_an_identity_is_given(void **state)
{
    (void)state;
    static const pb_artifact_kind kinds[] = {PB_ARTIFACT_DUMP, PB_ARTIFACT_OBJECTS};
    pb_error error;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        pb_restore_policy policy = {
            .takes_databases = true, .takes_objects = true, .has_identity = true};
        assert_int_equal(check(&policy, kinds[i], true, &error), 0);
        assert_int_equal(check(&policy, kinds[i], false, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_non_null(strstr(error.message, "database/x is not encrypted"));
        assert_non_null(strstr(error.hint, "--plaintext"));
        policy.plaintext = true;
        assert_int_equal(check(&policy, kinds[i], false, &error), 0);
        policy = (pb_restore_policy){.takes_databases = true, .takes_objects = true};
        assert_int_equal(check(&policy, kinds[i], false, &error), 0);
    }
    /* What is not read is not judged. */
    const pb_restore_policy without = {.takes_databases = true, .has_identity = true};
    assert_int_equal(check(&without, PB_ARTIFACT_OBJECTS, false, &error), 0);
}

static pb_meta_command command(const char *line)
{
    return pb_policy_meta_command(pb_slice_of(line));
}

static void only_commands_of_pg_dumpall_are_known(void **state)
{
    (void)state;
    assert_int_equal(command("\\connect postgres"), PB_META_CONNECT);
    assert_int_equal(command("\\connect \"A\""), PB_META_CONNECT);
    assert_int_equal(command("\\connect -reuse-previous=on \"dbname='a b'\""), PB_META_CONNECT);
    assert_int_equal(command("\\restrict aZ09"), PB_META_RESTRICT);
    assert_int_equal(command("\\unrestrict aZ09"), PB_META_RESTRICT);
    assert_int_equal(command("\\connect"), PB_META_REFUSED);
    assert_int_equal(command("\\connect "), PB_META_REFUSED);
    assert_int_equal(command("\\connect \"\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect \"a"), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on dbname=a"), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on \"host='a'\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on \"dbname='a\\'\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on \"dbname=''\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect -reuse-previous=on \"dbname='a\"\""), PB_META_REFUSED);
    assert_int_equal(command("\\connect a\r"), PB_META_REFUSED);
    assert_int_equal(command("\\! id"), PB_META_REFUSED);
    assert_int_equal(command("\\restrict"), PB_META_REFUSED);
    assert_int_equal(command(""), PB_META_REFUSED);
}

static pb_statement statement(const char *text)
{
    return pb_policy_statement(pb_slice_of(text));
}

static void only_rows_of_the_script_are_copied(void **state)
{
    (void)state;
    assert_int_equal(statement("COPY a.b (c, \"d e\") FROM stdin"), PB_STATEMENT_ROWS);
    assert_int_equal(statement("COPY b FROM stdin\n"), PB_STATEMENT_ROWS);
    assert_int_equal(statement("COPY b () FROM stdin"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY b FROM PROGRAM ''"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY b FROM ''"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY \"b FROM stdin"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPY(SELECT 1) TO stdout"), PB_STATEMENT_REFUSED);
    assert_int_equal(statement("COPYING"), PB_STATEMENT_OTHER);
    assert_int_equal(statement("SELECT 1"), PB_STATEMENT_OTHER);
    assert_int_equal(statement(""), PB_STATEMENT_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kind_of_dump_that_was_not_asked_for_is_refused),
        cmocka_unit_test(plaintext_is_refused_where_an_identity_is_given),
        cmocka_unit_test(only_commands_of_pg_dumpall_are_known),
        cmocka_unit_test(only_rows_of_the_script_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
