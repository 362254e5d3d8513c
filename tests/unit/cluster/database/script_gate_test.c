#include "cluster/database/script_gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void collect(void *context, const void *data, size_t size)
{
    assert_int_not_equal(size, 0);
    pb_buffer_append(context, data, size);
}

/* -1 where it is refused; *ret_text: what went through by then. */
static int pass(pb_slice script, size_t piece_bytes, const char *key, pb_buffer *ret_text,
                pb_error *error)
{
    const pb_script_gate_options options = {
        .restrict_key = key, .write = collect, .context = ret_text};
    pb_script_gate *gate = pb_script_gate_new(&options);
    int failed = 0;
    for (size_t at = 0; at < script.size && !failed; at += piece_bytes) {
        size_t left = script.size - at;
        failed = pb_script_gate_feed(gate, script.data + at,
                                     left < piece_bytes ? left : piece_bytes, error);
    }
    failed = failed || pb_script_gate_end(gate, error) ? -1 : 0;
    pb_script_gate_free(gate);
    pb_buffer_append_text(ret_text, "");
    return failed;
}

static const size_t pieces[] = {SIZE_MAX / 2, 1, 7};

static void expect_text(const char *script, const char *key, const char *wanted)
{
    for (size_t i = 0; i < COUNT(pieces); i++) {
        pb_buffer text = {0};
        pb_error error = {0};
        if (pass(pb_slice_of(script), pieces[i], key, &text, &error))
            fail_msg("%s: %s", script, error.message);
        assert_string_equal(text.data, wanted);
        pb_buffer_free(&text);
    }
}

static void expect_pass(const char *script)
{
    expect_text(script, NULL, script);
}

/* Refused in the line that holds `mark`, of which psql sees nothing. */
static void expect_refused(const char *script, const char *mark, const char *says)
{
    const char *at = strstr(script, mark);
    assert_non_null(at);
    unsigned long long number = 1;
    for (const char *c = script; c < at; c++)
        number += *c == '\n';
    char where[48];
    snprintf(where, sizeof where, "in line %llu,", number);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        pb_buffer text = {0};
        pb_error error = {0};
        if (!pass(pb_slice_of(script), pieces[i], NULL, &text, &error))
            fail_msg("passed: %s", script);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        assert_true(error.hint[0]);
        if (!strstr(error.message, where) || !strstr(error.message, says))
            fail_msg("%s\n%s, %s: %s", script, where, says, error.message);
        assert_null(strstr(text.data, mark));
        pb_buffer_free(&text);
    }
}

#define ROWS "COPY a.b (c) FROM stdin;\n"

static void what_pg_dump_writes_passes(void **state)
{
    (void)state;
    expect_pass("");
    expect_pass("--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n");
    expect_pass("SELECT pg_catalog.set_config('search_path', '', false);\n");
    expect_pass(ROWS "\\\\xff\\t1\n\\N\n\\! rows have backslashes\n\\.x\n\\..\n\\.\nSELECT 1;\n");
    expect_pass("COPY \"A\".\"b;\"\"c\" (\"x y\", z, \"FROM\") FROM stdin;\n1\t\\\\2\n\\.\n\n--\n");
    expect_pass("COPY a.b  FROM stdin;\n\\.\n");
    expect_pass("COPY b (c) FROM stdin;\n\\.\n");
    expect_pass("COMMENT ON TABLE x IS 'a \\! b\n\\! echo\nCOPY x FROM PROGRAM ''y'';\n';\n");
    expect_pass("COMMENT ON TABLE x IS E'it\\'s\n\\\\! echo\n';\n");
    expect_pass("COMMENT ON TABLE \"x\n\\! echo\n\" IS 'y';\n");
    expect_pass("/* \\! a /* \\! b */ \\! c\n\\! d */ SELECT 1;\n-- \\! e\n");
    expect_pass("CREATE FUNCTION f() RETURNS text AS $_$\n\\! a\n$x$ \\! b $$ $_ $\n$_$;\n");
    expect_pass("CREATE FUNCTION f() RETURNS text AS $$ \r\n \\o |cat \r\n$$ LANGUAGE sql;\n");
    expect_pass("CREATE ROLE \"\\! echo\";\nALTER ROLE \"it's \\ \" WITH LOGIN;\n");
    expect_pass("SELECT a[1:b], a[1:2], 'x'::text, 1.5, 1e5, x.y::\"T\", f(a := 1), $1, a::A;\n");
    expect_pass("SELECT U&'\\00e9', u&\"\\00e9\", B'01', X'1f', N'x', b'0''1', e'\\n';\n");
    expect_pass("SELECT 'a' 'b', 'it''s', '', '''', E'', E'''', \"a\"\"b\", 'C:\\';\n");
    expect_pass("SELECT a$b$c, $tag$ $tag $tagx$ $tag$;\nSELECT 3 - -1, 4 / 2, 5 * -2;\n");
    expect_pass("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN "
                "2 END; END;\n" ROWS "\\! row\n\\.\n");
    expect_pass("SET standard_conforming_strings = off;\nSELECT 'it\\'s \\\\';\n"
                "SET standard_conforming_strings = on;\nSELECT 'C:\\';\n");
    expect_pass("CREATE TABLE copy (copy int);\nSELECT copy FROM copy;\nCOMMIT");
}

static void commands_of_psql_are_refused(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "\\! id",
        "\\copy a from program 'id'",
        "\\o |id",
        "\\i /etc/passwd",
        "\\ir x",
        "\\g |id",
        "\\gexec",
        "\\set x `id`",
        "\\setenv A b",
        "\\w |id",
        "\\include x",
        "\\lo_import /etc/passwd",
        "\\e",
        "\\if true",
        "\\.",
        "\\",
        "\\;",
        "\\q",
        "\\c",
        "\\password",
        "\\connect - - evil.example",
        "\\connect \"host=evil.example\"",
        "\\connect postgresql://evil.example/x",
        "\\connect `id`",
        "\\connect :x",
        "\\connect a b",
        "\\connect -reuse-previous=on \"dbname='a' host='evil'\"",
        "\\connect -reuse-previous=on \"dbname='a' \\! id\"",
        "\\restrict",
        "\\restrict `id`",
        "\\connect a\\! id",
        "\\connect 'a'",
        "\\restrict a b",
    };
    for (size_t i = 0; i < COUNT(commands); i++) {
        pb_buffer script = {0};
        pb_buffer_append_format(&script, "SELECT 1;\n%s\nSELECT 2;\n", commands[i]);
        expect_refused(script.data, commands[i], "psql's command \\");
        pb_buffer_clear(&script);
        /* As the last line, without its newline: psql would run it too. */
        pb_buffer_append_format(&script, "SELECT 1;\n%s", commands[i]);
        expect_refused(script.data, commands[i], "psql's command \\");
        pb_buffer_free(&script);
    }
    expect_refused("SELECT 1 \\! id\n", "\\! id", "\\!");
    expect_refused("SELECT 1\n\\! id\n;", "\\! id", "\\!");
    expect_refused(" \\connect postgres\n", "\\connect", "\\connect");
    expect_refused("SELECT 1\n\\connect postgres\n", "\\connect", "\\connect");
    expect_refused("SELECT (\n\\connect postgres\n", "\\connect", "\\connect");
    /* Of what a command is given nothing is told. */
    expect_refused("\\! secret", "secret", "command \\! in line");
}

/* What psql and the server read differently: a script that hides a COPY, or the end of a string. */
static void what_is_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    expect_refused("SELECT E'a'\n'b\\'; \\! id\n", "'b", "string right behind");
    expect_refused("SELECT 'a' -- c\n\n/* d */ 'b';\n", "'b'", "string right behind");
    expect_pass("SELECT 'a'\n, 'b';\nSELECT b'0''1';\n");
    expect_refused("CREATE FUNCTION pg_temp.begin() RETURNS int LANGUAGE sql AS $$SELECT 1$$;\n"
                   "COPY t FROM stdin; SELECT 1 AS end;\n",
                   "COPY", "COPY inside");
    static const char *const inner[] = {
        "SELECT (; " ROWS "\\! id\n",
        "SELECT (;\n" ROWS "\\! id\n",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; " ROWS "\\! id\n",
        "create or replace procedure f() BEGIN ATOMIC SELECT case when true then 1 end;\n" ROWS
        "\\! id\n",
    };
    for (size_t i = 0; i < COUNT(inner); i++)
        expect_refused(inner[i], "COPY", "COPY inside");
    expect_refused("CREATE RULE r AS ON INSERT TO t DO (SELECT 1;\ncopy t FROM stdin; SELECT 2);\n",
                   "copy", "COPY inside");
    static const char *const settings[] = {
        "SET standard_conforming_strings TO off;\n",
        "set standard_conforming_strings = off;\n",
        "SET LOCAL standard_conforming_strings = 'off';\n",
        "RESET standard_conforming_strings;\n",
        "SET  standard_conforming_strings = off;\n",
        "SET client_encoding = 'SJIS';\n",
        "SET client_encoding TO 'UTF8';\n",
        "SET NAMES 'SJIS';\n",
        "SELECT pg_catalog.set_config('standard_conforming_strings', 'off', false);\n",
    };
    for (size_t i = 0; i < COUNT(settings); i++)
        expect_refused(settings[i], settings[i], "how strings are read");
    expect_pass("SET client_encoding = 'LATIN1';\nSET standard_conforming_strings = on;\n");
    expect_pass("ALTER ROLE x SET client_encoding TO 'SJIS';\n");
    expect_pass("COPY t (client_encoding, names) FROM stdin;\n\\.\n");
}

static void commands_are_found_behind_what_hides_them(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "SELECT 'x'; \\! id\n",
        "SELECT 'C:\\'; \\! id '\n",
        "SELECT E'\\\\'; \\! id\n",
        "SELECT E'a''\\''; \\! id\n",
        "SELECT B'0\\'; \\! id\n",
        "SELECT xe'\\'; \\! id '\n",
        "SELECT U&'\\'; \\! id '\n",
        "SELECT N'\\'; \\! id '\n",
        "SELECT \"x\"; \\! id\n",
        "SELECT \"a\"\"\\\" \\! id\n",
        "/* a /* b */ */ \\! id\n",
        "/*/ */ \\! id\n",
        "/* **/ \\! id\n",
        "+/* */ \\! id\n",
        "-- a\n\\! id\n",
        "- - \\! id\n",
        "$$ $a$ $$ \\! id\n",
        "$a$ $b$a$ \\! id\n",
        "$1$ \\! id $1$\n",
        "SELECT a$$ \\! id $$\n",
        "SELECT a$$b$ \\! id $b$\n",
        "SELECT _$a$ \\! id $a$\n",
        "SELECT \xc3\xa9$a$ \\! id $a$\n",
        "SET standard_conforming_strings = off;\nSELECT '\\''; \\! id\n",
        "CREATE ROLE a'b;\nSELECT '; \\! id\n",
        ROWS "\\.\n\\! id\n",
        ROWS "\\.\r\n\\! id\n",
        ROWS "a\n\\.\nSELECT 1; \\! id\n",
        /* psql waits for more, and takes the next line for no row. */
        "COMMENT ON TABLE x IS '" ROWS "'; \\! id\n",
        "/* " ROWS " */ \\! id\n",
        "-- COPY a.b (c) FROM stdin;\n\\! id\n",
        "$$ " ROWS " $$ \\! id\n",
    };
    for (size_t i = 0; i < COUNT(scripts); i++)
        expect_refused(scripts[i], "\\! id", "psql's command \\!");
}

static void text_that_psql_reads_in_two_ways_is_refused(void **state)
{
    (void)state;
    expect_refused("SELECT :DBNAME;\n", ":DBNAME", "a variable of psql");
    expect_refused("SELECT 1:::LAST_ERROR_MESSAGE;\n", ":LAST", "a variable of psql");
    expect_refused("-- a\r\\! id\n", "id", "carriage return");
    expect_refused("SELECT E'a'\r'\\'';\n", "SELECT", "carriage return");
    expect_refused("SELECT 1E'\\' \\! id';\n", "SELECT", "a number with letters");
    expect_refused("SELECT $1E'\\' \\! id';\n", "SELECT", "a number with letters");
    expect_refused("\xef\xbb\xbfSELECT 1;\n", "SELECT", "byte order mark");
}

static void copies_of_files_and_programs_are_refused(void **state)
{
    (void)state;
    static const char *const statements[] = {
        "COPY a.b FROM PROGRAM 'id'",
        "COPY a.b TO PROGRAM 'id'",
        "COPY a.b (c) FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "COPY a.b TO STDOUT",
        "copy/**/a.b/**/from/**/program 'id'",
        "COPY a.b (c) FROM stdin WITH (FORMAT binary)",
        "COPY a.b (c) FROM PROGRAM 'x' WITH (NULL 'FROM stdin')",
        "COPY a.b (c) FROM PROGRAM $$FROM stdin$$",
        "COPY \"a\"\".b\" FROM program E'id'",
        "COPY BINARY a.b FROM stdin",
    };
    for (size_t i = 0; i < COUNT(statements); i++) {
        pb_buffer script = {0};
        pb_buffer_append_format(&script, "SELECT 1;\n/* x */ %s;\n", statements[i]);
        expect_refused(script.data, statements[i], "a COPY");
        pb_buffer_clear(&script);
        /* Without a semicolon psql runs it at the end: it does not get there. */
        pb_buffer_append_format(&script, "SELECT 1;\n%s", statements[i]);
        pb_buffer text = {0};
        pb_error error = {0};
        assert_int_equal(pass(pb_buffer_slice(&script), 7, NULL, &text, &error), -1);
        assert_non_null(strstr(error.message, "a COPY without an end"));
        pb_buffer_free(&text);
        pb_buffer_free(&script);
    }
    expect_refused("COPY a.b\nFROM\nPROGRAM\n'id';\n", "'id'", "a COPY");
    expect_refused("COPY a.b (c) FROM stdin; SELECT 1;\n", "COPY", "text behind");
}

static void a_zero_byte_is_refused(void **state)
{
    (void)state;
    static const char sql[] = "SELECT 1;\n-- \0\n\\! id\n", row[] = ROWS "a\0\n\\.\n";
    pb_slice scripts[] = {PB_SLICE_LITERAL(sql), PB_SLICE_LITERAL(row)};
    for (size_t i = 0; i < COUNT(scripts); i++) {
        pb_buffer text = {0};
        pb_error error = {0};
        assert_int_equal(pass(scripts[i], 1, NULL, &text, &error), -1);
        assert_non_null(strstr(error.message, "a zero byte in line 2"));
        pb_buffer_free(&text);
    }
}

static void long_text_is_judged_to_its_end(void **state)
{
    (void)state;
    pb_buffer script = {0}, text = {0};
    pb_error error = {0};
    pb_buffer_append_text(&script, "COPY a.b (");
    for (int i = 0; i < 30000; i++)
        pb_buffer_append_format(&script, "%sc%d", i ? ", " : "", i);
    pb_buffer_append_text(&script, ") FROM PROGRAM 'x' FROM stdin;\n");
    assert_int_equal(pass(pb_buffer_slice(&script), 4096, NULL, &text, &error), -1);
    pb_buffer_clear(&script);
    pb_buffer_clear(&text);
    /* A row of any length. */
    pb_buffer_append_text(&script, ROWS);
    for (int i = 0; i < 100000; i++)
        pb_buffer_append_text(&script, "\\.\\\\ row ");
    pb_buffer_append_text(&script, "\n\\.\nSELECT 1;\n");
    assert_int_equal(pass(pb_buffer_slice(&script), 4096, NULL, &text, &error), 0);
    assert_int_equal(text.size, script.size);
    assert_memory_equal(text.data, script.data, script.size);
    pb_buffer_free(&script);
    pb_buffer_free(&text);
}

static void connections_of_pg_dumpall_pass(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\\connect template1\n",
        "\\connect \"Upper\"\n",
        "\\connect a.b_1\n",
        "\\connect -reuse-previous=on \"dbname='it\\'s'\"\n",
        "\\connect -reuse-previous=on \"dbname='a b = \\\\\\\\ c'\"\n",
        "\\connect -reuse-previous=on \"dbname='a\"\"b'\"\n",
        "\\connect -reuse-previous=on \"dbname=plain\"\n",
    };
    for (size_t i = 0; i < COUNT(lines); i++)
        expect_pass(lines[i]);
    expect_refused("\\connect -reuse-previous=on \"dbname='it\\\\'s'\"\n", "dbname", "\\connect");
    expect_refused("\\connect -reuse-previous=on \"dbname='it'\"s'\"\n", "dbname", "\\connect");
}

static void locks_are_not_waited_for_without_end(void **state)
{
    (void)state;
    static const char script[] =
        "--\nSET statement_timeout = 0;\nSET lock_timeout = 0;\nSELECT "
        "'\nSET lock_timeout = 0;\n';\n" ROWS "SET lock_timeout = 0;\n\\.\n";
    pb_buffer text = {0};
    pb_error error = {0};
    const pb_script_gate_options options = {
        .restrict_key = "KEY", .lock_timeout = "30s", .write = collect, .context = &text};
    pb_script_gate *gate = pb_script_gate_new(&options);
    assert_int_equal(pb_script_gate_feed(gate, script, sizeof script - 1, &error), 0);
    assert_int_equal(pb_script_gate_end(gate, &error), 0);
    pb_script_gate_free(gate);
    pb_buffer_append_text(&text, "");
    assert_string_equal(text.data,
                        "\\restrict KEY\nSET lock_timeout = '30s';\n--\nSET "
                        "statement_timeout = 0;\nSET lock_timeout = '30s';\nSELECT "
                        "'\nSET lock_timeout = 0;\n';\n" ROWS "SET lock_timeout = 0;\n\\.\n");
    pb_buffer_free(&text);
}

static void psql_is_restricted_by_a_key_of_ours(void **state)
{
    (void)state;
    expect_text("\\restrict abc\nSELECT 1;\n\\unrestrict abc\n\\connect x\n\\restrict def\nSELECT "
                "2;\n\\unrestrict def\n",
                "KEY",
                "\\restrict KEY\nSELECT 1;\n\\unrestrict KEY\n\\connect x\n\\restrict KEY\nSELECT "
                "2;\n");
    /* An old psql does not know them. */
    expect_text("\\restrict abc\nSELECT 1;\n\\unrestrict abc\n", NULL, "SELECT 1;\n");
    static const unsigned old[] = {90624, 120022, 130021, 140018, 150013, 160009, 170005};
    static const unsigned new[] = {130022, 140019, 150014, 150018, 160010, 170006, 180000, 190001};
    for (size_t i = 0; i < COUNT(old); i++)
        assert_false(pb_database_can_restrict(&(pb_database_version){.number = old[i]}));
    for (size_t i = 0; i < COUNT(new); i++)
        assert_true(pb_database_can_restrict(&(pb_database_version){.number = new[i]}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pg_dump_writes_passes),
        cmocka_unit_test(commands_of_psql_are_refused),
        cmocka_unit_test(commands_are_found_behind_what_hides_them),
        cmocka_unit_test(what_is_read_in_two_ways_is_refused),
        cmocka_unit_test(text_that_psql_reads_in_two_ways_is_refused),
        cmocka_unit_test(copies_of_files_and_programs_are_refused),
        cmocka_unit_test(a_zero_byte_is_refused),
        cmocka_unit_test(long_text_is_judged_to_its_end),
        cmocka_unit_test(connections_of_pg_dumpall_pass),
        cmocka_unit_test(locks_are_not_waited_for_without_end),
        cmocka_unit_test(psql_is_restricted_by_a_key_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
