#include "cluster/database/role_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void collect(void *context, const void *data, size_t size)
{
    assert_int_not_equal(size, 0);
    pb_buffer_append(context, data, size);
}

static void filter_in_pieces(pb_slice script, size_t piece_bytes, pb_buffer *ret_text)
{
    pb_role_filter *filter = pb_role_filter_new(collect, ret_text);
    for (size_t at = 0; at < script.size; at += piece_bytes) {
        size_t left = script.size - at;
        pb_role_filter_feed(filter, script.data + at, left < piece_bytes ? left : piece_bytes);
    }
    pb_role_filter_end(filter);
    pb_role_filter_free(filter);
}

static void expect(const char *script, const char *wanted)
{
    static const size_t pieces[] = {SIZE_MAX / 2, 1, 5};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        pb_buffer text = {0};
        filter_in_pieces(pb_slice_of(script), pieces[i], &text);
        pb_buffer_append_text(&text, "");
        assert_string_equal(text.data, wanted);
        pb_buffer_free(&text);
    }
}

#define MADE(create, name)                                                                         \
    "DO $role$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '" name        \
    "') THEN CREATE ROLE " create "; END IF; END $role$;\n"

static void a_role_is_made_where_it_is_not_there(void **state)
{
    (void)state;
    expect("CREATE ROLE pachyderm;\n", MADE("pachyderm", "pachyderm"));
    expect("--\n-- Roles\n--\n\nCREATE ROLE a;\nALTER ROLE a WITH LOGIN;\nCREATE ROLE b;\n",
           "--\n-- Roles\n--\n\n" MADE("a", "a") "ALTER ROLE a WITH LOGIN;\n" MADE("b", "b"));
}

static void names_are_quoted_for_both_places(void **state)
{
    (void)state;
    expect("CREATE ROLE \"my role\";\n", MADE("\"my role\"", "my role"));
    expect("CREATE ROLE \"it's\";\n", MADE("\"it's\"", "it''s"));
    expect("CREATE ROLE \"a\"\"b\";\n", MADE("\"a\"\"b\"", "a\"b"));
    expect("CREATE ROLE \"\"\"\"\"\";\n", MADE("\"\"\"\"\"\"", "\"\""));
    expect("CREATE ROLE \"100%s%n\";\n", MADE("\"100%s%n\"", "100%s%n"));
    expect("CREATE ROLE \"'; DROP TABLE x; --\";\n",
           MADE("\"'; DROP TABLE x; --\"", "''; DROP TABLE x; --"));
    expect("CREATE ROLE \"$role$\";\n", "CREATE ROLE \"$role$\";\n"); /* left to psql */
    expect("CREATE ROLE \xc3\xa4;\n", MADE("\xc3\xa4", "\xc3\xa4"));
}

static void all_else_is_passed_on(void **state)
{
    (void)state;
    expect("", "");
    expect("no newline", "no newline");
    expect("\n\n", "\n\n");
    expect("CREATE ROLE ;\n", "CREATE ROLE ;\n");
    expect("CREATE ROLE a", "CREATE ROLE a");
    expect("CREATE ROLE a\n", "CREATE ROLE a\n");
    expect(" CREATE ROLE a;\n", " CREATE ROLE a;\n");
    expect("CREATE ROLES a;\n", "CREATE ROLES a;\n");
}

static void behind_the_first_database_there_are_no_roles(void **state)
{
    (void)state;
    expect("CREATE ROLE a;\n\\connect template1\nCREATE ROLE a;\n\\connect x\nCREATE ROLE b;\nend",
           MADE("a", "a") "\\connect template1\nCREATE ROLE a;\n\\connect x\nCREATE ROLE b;\nend");
}

static void lines_within_strings_are_no_lines(void **state)
{
    (void)state;
    static const char comment[] = "COMMENT ON ROLE a IS 'it''s\n"
                                  "CREATE ROLE ; DROP TABLE x; --;\n"
                                  "\\connect x\n"
                                  "\"';\n";
    static const char name[] = "CREATE ROLE \"odd\nCREATE ROLE '\n\";\n";
    static const char remark[] = "-- User Config \"it's\n";
    char script[512], wanted[768];
    snprintf(script, sizeof script, "%s%s%sCREATE ROLE b;\n", comment, name, remark);
    snprintf(wanted, sizeof wanted, "%s%s%s" MADE("b", "b"), comment, name, remark);
    expect(script, wanted);
}

static void half_of_a_line_is_no_line(void **state)
{
    (void)state;
    pb_buffer script = {0}, text = {0};
    for (int i = 0; i < 64 * 1024; i++)
        pb_buffer_append_char(&script, i ? 'x' : '-');
    script.data[1] = '-';
    pb_buffer_append_text(&script, "CREATE ROLE a;\nit's CREATE ROLE b;\n");
    filter_in_pieces(pb_buffer_slice(&script), 1024, &text);
    assert_true(pb_slice_equal(pb_buffer_slice(&script), pb_buffer_slice(&text)));
    pb_buffer_free(&script);
    pb_buffer_free(&text);
}

static void a_line_of_any_length_passes(void **state)
{
    (void)state;
    pb_buffer script = {0}, text = {0};
    for (int i = 0; i < 300 * 1024; i++)
        pb_buffer_append_char(&script, (char)('a' + i % 26));
    pb_buffer_append_text(&script, "\n");
    filter_in_pieces(pb_buffer_slice(&script), 4096, &text);
    assert_true(pb_slice_equal(pb_buffer_slice(&script), pb_buffer_slice(&text)));
    pb_buffer_free(&script);
    pb_buffer_free(&text);
    pb_role_filter_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_role_is_made_where_it_is_not_there),
        cmocka_unit_test(names_are_quoted_for_both_places),
        cmocka_unit_test(all_else_is_passed_on),
        cmocka_unit_test(behind_the_first_database_there_are_no_roles),
        cmocka_unit_test(lines_within_strings_are_no_lines),
        cmocka_unit_test(half_of_a_line_is_no_line),
        cmocka_unit_test(a_line_of_any_length_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
