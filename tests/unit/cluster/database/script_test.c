/* Scripts as pg_restore and pg_dumpall write them, whole and a byte at a time. */
#include "cluster/database/script.h"

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COLUMNS "(chunk_id, gen, uploaded, tombstone)"
#define COPY "COPY storage.chunk_objects " COLUMNS " FROM stdin;\n"
#define TABLE COPY "\\\\xab\t1\tt\tf\n\\.\n\n"
#define KEY "chunk/ab.0000000000000001\n"
#define LAST "--\n-- PostgreSQL database dump complete\n--\n\n"
#define LAST_OF_ALL "--\n-- PostgreSQL database cluster dump complete\n--\n\n"

static void note_chunk(void *context, pb_slice key)
{
    pb_buffer *keys = context;
    pb_buffer_append_slice(keys, key);
    pb_buffer_append_char(keys, '\n');
}

static int run(pb_slice script, size_t piece_bytes, const char *database, pb_buffer *keys,
               pb_error *error)
{
    pb_database_script_options options = {
        .database = database, .chunk = keys ? note_chunk : NULL, .context = keys};
    pb_database_script *reader = pb_database_script_new(&options);
    int failed = 0;
    for (size_t at = 0; at < script.size && !failed; at += piece_bytes) {
        size_t left = script.size - at, size = left < piece_bytes ? left : piece_bytes;
        char *exact = malloc(size); /* so that a sanitizer sees a step too far */
        assert_non_null(exact);
        memcpy(exact, script.data + at, size);
        failed = pb_database_script_feed(reader, exact, size, error);
        free(exact);
    }
    if (!failed)
        failed = pb_database_script_end(reader, error);
    pb_database_script_free(reader);
    return failed;
}

static const size_t pieces[] = {SIZE_MAX / 2, 1, 7};

static void expect_in(const char *script, const char *database, const char *wanted)
{
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        pb_buffer keys = {0};
        pb_error error = {0};
        if (run(pb_slice_of(script), pieces[i], database, &keys, &error))
            fail_msg("%s, in pieces of %zu: %s", error.message, pieces[i], script);
        pb_buffer_append_text(&keys, "");
        assert_string_equal(keys.data, wanted);
        pb_buffer_free(&keys);
    }
}

static void expect(const char *script, const char *wanted)
{
    expect_in(script, NULL, wanted);
}

static void refuse(const char *script, pb_error_kind kind, const char *reason)
{
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        pb_buffer keys = {0};
        pb_error error = {0};
        if (!run(pb_slice_of(script), pieces[i], NULL, &keys, &error))
            fail_msg("taken, in pieces of %zu: %s", pieces[i], script);
        assert_int_equal(error.kind, kind);
        if (!strstr(error.message, reason))
            fail_msg("\"%s\" lacks \"%s\"", error.message, reason);
        pb_buffer_free(&keys);
    }
}

/* ---- rows ---- */

static void columns_are_found_by_name(void **state)
{
    (void)state;
    expect(TABLE LAST, KEY);
    expect("COPY storage.chunk_objects (tombstone, size, uploaded, gen, expires, chunk_id) "
           "FROM stdin;\nf\t9\tt\t2\t\\N\t\\\\x00ff\n\\.\n" LAST,
           "chunk/00ff.0000000000000002\n");
    expect("COPY \"storage\".\"chunk_objects\" (\"gen\", \"a \"\", b\", chunk_id, uploaded, "
           "tombstone) FROM stdin;\n3\tx\t\\\\x01\tt\tf\n\\.\n" LAST,
           "chunk/01.0000000000000003\n");
    expect(COPY "\\.\n" LAST, "");
}

static void only_uploaded_rows_that_are_no_tombstones_count(void **state)
{
    (void)state;
    expect(COPY "\\\\x01\t1\tf\tf\n"
                "\\\\x02\t1\tt\tt\n"
                "\\\\x03\t1\tt\tf\n"
                "\\\\x04\t1\t\\N\tf\n"
                "\\\\x05\t1\tt\t\\N\n"
                "\\N\t\\N\tf\tt\n"
                "\\.\n" LAST,
           "chunk/03.0000000000000001\n");
}

static void gen_is_hex_in_the_name(void **state)
{
    (void)state;
    expect(COPY "\\\\x01\t255\tt\tf\n"
                "\\\\x01\t-1\tt\tf\n"
                "\\\\x01\t0\tt\tf\n"
                "\\\\x01\t9223372036854775807\tt\tf\n"
                "\\\\x01\t-9223372036854775808\tt\tf\n\\.\n" LAST,
           "chunk/01.00000000000000ff\n"
           "chunk/01.ffffffffffffffff\n"
           "chunk/01.0000000000000000\n"
           "chunk/01.7fffffffffffffff\n"
           "chunk/01.8000000000000000\n");
}

static void other_rows_are_damaged(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\\N\t1\tt\tf",
        "\\\\xab\t\\N\tt\tf",
        "\\\\xab\t\tt\tf",
        "\\\\xab\t-\tt\tf",
        "\\\\xab\t+1\tt\tf",
        "\\\\xab\t 1\tt\tf",
        "\\\\xab\t1x\tt\tf",
        "\\\\xab\t1.5\tt\tf",
        "\\\\xab\t9223372036854775808\tt\tf",
        "\\\\xab\t99999999999999999999999999\tt\tf",
        "\\\\x\t1\tt\tf",
        "\\\\xabc\t1\tt\tf",
        "\\\\xAB\t1\tt\tf",
        "\\\\xa/\t1\tt\tf",
        "\\xab\t1\tt\tf",
        "\\\\xab/../../x\t1\tt\tf",
        "abc\t1\tt\tf",
        "\\\\xab\t1\tt",
        "\\\\xab",
        "",
        "\\. \t",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char script[512];
        snprintf(script, sizeof script, COPY "%s\n\\.\n" LAST, bad[i]);
        refuse(script, PB_ERROR_DAMAGED, "row of storage.chunk_objects");
    }
}

static void a_row_has_its_longest(void **state)
{
    (void)state;
    static const size_t sizes[] = {4000, 4096, 5000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pb_buffer script = {0};
        pb_buffer_append_text(
            &script, "COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone, note) "
                     "FROM stdin;\n\\\\xab\t1\tt\tf\t");
        for (size_t j = 0; j < sizes[i]; j++)
            pb_buffer_append_char(&script, 'n');
        pb_buffer_append_text(&script, "\n\\.\n" LAST);
        if (sizes[i] < 4096)
            expect(script.data, KEY);
        else
            refuse(script.data, PB_ERROR_DAMAGED, "too long");
        pb_buffer_free(&script);
    }
    pb_buffer script = {0};
    pb_buffer_append_text(&script, COPY "\\\\x");
    for (size_t j = 0; j < 257; j++)
        pb_buffer_append_text(&script, "ab");
    pb_buffer_append_text(&script, "\t1\tt\tf\n\\.\n" LAST);
    refuse(script.data, PB_ERROR_DAMAGED, "not of its form");
    pb_buffer_free(&script);
}

static void the_table_must_be_there_with_its_columns(void **state)
{
    (void)state;
    refuse(LAST, PB_ERROR_FAILED, "expected to find table storage.chunk_objects");
    refuse("COPY storage.chunks " COLUMNS " FROM stdin;\n\\.\n" LAST, PB_ERROR_FAILED,
           "expected to find");
    refuse("COPY public.chunk_objects " COLUMNS " FROM stdin;\n\\.\n" LAST, PB_ERROR_FAILED,
           "expected to find");
    refuse("COPY storage.chunk_objects (chunk_id, gen, uploaded) FROM stdin;\n\\.\n" LAST,
           PB_ERROR_FAILED, "no column tombstone");
    refuse("COPY storage.chunk_objects (chunk_id, gen, upload, tombstone) FROM stdin;\n\\.\n" LAST,
           PB_ERROR_FAILED, "no column uploaded");
    refuse("COPY storage.chunk_objects (gen) FROM stdin;\n\\.\n" LAST, PB_ERROR_FAILED,
           "no column chunk_id");
    refuse("COPY storage.chunk_objects  FROM stdin;\n\\.\n" LAST, PB_ERROR_FAILED, "no column");
    pb_error error = {0}; /* nobody looks for chunks */
    assert_int_equal(run(PB_SLICE_LITERAL(LAST), 3, NULL, NULL, &error), 0);
}

/* ---- what only looks like it ---- */

static void data_of_other_tables_is_not_read(void **state)
{
    (void)state;
    expect("COPY public.other (a, b) FROM stdin;\n"
           "COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone) FROM stdin;\n"
           "\\\\xcd\t1\tt\tf\n"
           "\\\\.\n"
           "\\.x\n"
           "x\\.\n"
           "\\. \n"
           "\n"
           "\\\n"
           "'\n"
           "$$\n"
           "/*\n"
           "--\n"
           "-- PostgreSQL database dump complete\n"
           "\\.\n" TABLE LAST,
           KEY);
    expect("COPY \"my; \"\"schema\".\"it's \"\"$$\" (\"; FROM stdin\") FROM stdin;\nit's "
           "$$\n\\.\n" TABLE LAST,
           KEY);
    refuse("COPY public.other (a) FROM stdin;\n-- PostgreSQL database dump complete\n\\.\n" TABLE,
           PB_ERROR_DAMAGED, "cut");
}

static void strings_and_names_hide_what_is_in_them(void **state)
{
    (void)state;
    static const char *const hidden[] = {
        "SELECT $$;\n" COPY "\\\\xcd\t1\tt\tf\n\\.\n$$;\n",
        "SELECT $tag$ $$ ; $ta$ $tagg$ $tag\n" COPY "$ta$tag$;\n",
        "SELECT $_a1$" COPY "'$_a1$, $$'$$;\n",
        "SELECT '\n;\n" COPY "\\.\n';\n",
        "SELECT 'it''s\n" COPY "';\n",
        "SELECT 'back\\';\n",
        "SELECT E'it\\'s\n" COPY "\\\\';\n",
        "SELECT e'it''s \\'\n" COPY "';\n",
        "SELECT a LIKE'x\\';\n",
        "SELECT \"odd ' name\n" COPY "\";\n",
        "SELECT \"odd \"\" $$ name;\n" COPY "\";\n",
        "SELECT 1 /* ' /* \n;" COPY " */ */ - 2 / 3 -- ' /* $$\n;\n",
        "SELECT /*/ " COPY " /**/ * /**** ; **/ 1 */ 1;\n",
        "SELECT $1, a$$b, \"c\"$x$;$x$;\n",
        "PREPARE p AS SELECT $1;\n",
        "SELECT 1 -- one\n;\n",
        "CREATE OPERATOR public.- (FUNCTION = f);\nCREATE OPERATOR public.-/ (FUNCTION = f);\n",
        "\\restrict dGhlIGtleQ\n\\unrestrict dGhlIGtleQ\n",
        "\\restrict it's\n\\unrestrict \"$$ /*\n",
        ";;;\n \n;\n",
    };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        char script[1024];
        snprintf(script, sizeof script, "%s" TABLE "%s" LAST, hidden[i], hidden[i]);
        expect(script, KEY);
    }
}

static void a_last_line_within_a_string_is_none(void **state)
{
    (void)state;
    refuse(TABLE "SELECT '\n" LAST "';\n", PB_ERROR_DAMAGED, "cut");
    refuse(TABLE "SELECT $f$\n" LAST "$f$;\n", PB_ERROR_DAMAGED, "cut");
    refuse(TABLE "/*\n" LAST "*/\n", PB_ERROR_DAMAGED, "cut");
    refuse(TABLE "-- PostgreSQL database dump complete.\n", PB_ERROR_DAMAGED, "cut");
    refuse(TABLE LAST_OF_ALL, PB_ERROR_DAMAGED, "cut");
}

static void every_cut_is_seen(void **state)
{
    (void)state;
    static const char script[] =
        "SET a = 'b';\n" TABLE "SELECT $a$ b $a$;\n" LAST "\\unrestrict x\n";
    size_t last = (size_t)(strstr(script, "complete\n") - script) + strlen("complete\n");
    for (size_t size = 0; size < last; size++) {
        pb_buffer keys = {0};
        pb_error error = {0};
        assert_int_equal(run((pb_slice){script, size}, SIZE_MAX / 2, NULL, &keys, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
        pb_buffer_free(&keys);
    }
    expect(script, KEY);
    refuse(TABLE LAST "SELECT 1", PB_ERROR_DAMAGED, "cut");
    refuse(TABLE LAST COPY, PB_ERROR_DAMAGED, "cut");
}

/* ---- pg_dumpall ---- */

static void only_the_wanted_database_counts(void **state)
{
    (void)state;
    static const char dex[] = COPY "\\\\xde\t1\tt\tf\n\\.\n";
    static const struct {
        const char *connect, *name;
        bool is_it;
    } forms[] = {
        {"\\connect pachyderm\n", "pachyderm", true},
        {"\\connect -reuse-previous=on \"dbname='pachyderm'\"\n", "pachyderm", true},
        {"\\connect -reuse-previous=on \"dbname='pach-1'\"\n", "pach-1", true},
        {"\\connect -reuse-previous=on \"dbname='a b'\"\n", "a b", true},
        {"\\connect -reuse-previous=on \"dbname='a b'\"\n", "a", false},
        {"\\connect -reuse-previous=on \"dbname='it\\'s\\\\\"\"'\"\n", "it's\\\"", true},
        {"\\connect -reuse-previous=on \"dbname=pachyderm\"\n", "pachyderm", true},
        {"\\connect \"pach-1\"\n", "pach-1", true},
        {"\\connect dbname=pachyderm\n", "pachyderm", false},
        {"\\connect pachyderm2\n", "pachyderm", false},
        {"\\connect pachyder\n", "pachyderm", false},
        {"\\connect Pachyderm\n", "pachyderm", false},
        {"\\connected pachyderm\n", "pachyderm", false},
        {"\\connect \n", "pachyderm", false},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char script[2048];
        snprintf(script, sizeof script,
                 "CREATE ROLE a;\n%s\\connect dex\n%s" LAST "%s" TABLE LAST
                 "\\connect template1\n\n%s" LAST "%s" TABLE LAST LAST_OF_ALL,
                 dex, dex, forms[i].connect, dex, forms[i].connect);
        if (forms[i].is_it) {
            expect_in(script, forms[i].name, KEY KEY);
            continue;
        }
        pb_buffer keys = {0};
        pb_error error = {0};
        assert_int_equal(run(pb_slice_of(script), 5, forms[i].name, &keys, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_FAILED);
        assert_int_equal(keys.size, 0);
        pb_buffer_free(&keys);
    }
}

static void the_cluster_has_a_last_line_of_its_own(void **state)
{
    (void)state;
    pb_buffer keys = {0};
    pb_error error = {0};
    assert_int_equal(run(PB_SLICE_LITERAL("\\connect a\n\n" TABLE LAST), 99, "a", &keys, &error),
                     -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_non_null(strstr(error.message, "database cluster dump complete"));
    pb_buffer_free(&keys);
    expect_in("\\connect a\n\n" TABLE LAST LAST_OF_ALL, "a", KEY);
}

/* ---- sizes ---- */

static void feed_many(pb_database_script *reader, char c, size_t bytes)
{
    char piece[64 * 1024];
    pb_error error = {0};
    memset(piece, c, sizeof piece);
    for (size_t fed = 0; fed < bytes; fed += sizeof piece)
        assert_int_equal(pb_database_script_feed(reader, piece, sizeof piece, &error), 0);
}

static void feed_text(pb_database_script *reader, const char *text)
{
    pb_error error = {0};
    assert_int_equal(pb_database_script_feed(reader, text, strlen(text), &error), 0);
}

static void lines_of_any_length_are_passed(void **state)
{
    (void)state;
    enum { LONG = 10 * 1024 * 1024 };
    static const struct {
        const char *before, *behind;
    } around[] = {
        {"COPY public.blobs (data) FROM stdin;\n", "\nshort\n\\.\n"},
        {"SELECT '", "';\n"},
        {"SELECT $$", "$$;\n"},
        {"SELECT ", ";\n"},
        {"-- ", "\n"},
        {"\\restrict ", "\n"},
        {"/* ", "*/\n"},
        {"SELECT \"", "\";\n"},
    };
    pb_buffer keys = {0};
    pb_database_script_options options = {.chunk = note_chunk, .context = &keys};
    pb_database_script *reader = pb_database_script_new(&options);
    pb_error error = {0};
    int64_t started_ms = pb_clock_monotonic_ms();
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        feed_text(reader, around[i].before);
        feed_many(reader, 'x', LONG);
        feed_text(reader, around[i].behind);
    }
    assert_true(pb_clock_monotonic_ms() - started_ms < 60 * 1000);
    feed_text(reader, TABLE LAST);
    assert_int_equal(pb_database_script_end(reader, &error), 0);
    assert_string_equal(keys.data, KEY);
    pb_database_script_free(reader);
    pb_buffer_free(&keys);
}

/* What PostgreSQL allows: its rows are still rows. */
static void the_widest_table_is_a_table(void **state)
{
    (void)state;
    pb_buffer script = {0};
    pb_buffer_append_text(&script, "COPY public.wide (");
    for (int i = 0; i < 1600; i++) {
        pb_buffer_append_text(&script, i ? ", \"" : "\"");
        for (int j = 0; j < 59; j++)
            pb_buffer_append_text(&script, "\"\"");
        pb_buffer_append_format(&script, "%04d\"", i);
    }
    pb_buffer_append_text(&script, ") FROM stdin;\nit's\n" COPY "\\.\n" TABLE LAST);
    expect(script.data, KEY);
    pb_buffer_free(&script);
}

static void bytes_of_zero_do_no_harm(void **state)
{
    (void)state;
    static const char row[] = COPY "\\\\xab\t1\0\tt\tf\n\\.\n" LAST;
    static const char name[] = "\0;COPY \0 x;\n\\\0connect\n" TABLE LAST;
    pb_buffer keys = {0};
    pb_error error = {0};
    assert_int_equal(run(PB_SLICE_LITERAL(row), 4, NULL, &keys, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_int_equal(run(PB_SLICE_LITERAL(name), 4, NULL, &keys, &error), 0);
    assert_string_equal(keys.data, KEY);
    pb_buffer_free(&keys);
    pb_database_script_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_found_by_name),
        cmocka_unit_test(only_uploaded_rows_that_are_no_tombstones_count),
        cmocka_unit_test(gen_is_hex_in_the_name),
        cmocka_unit_test(other_rows_are_damaged),
        cmocka_unit_test(a_row_has_its_longest),
        cmocka_unit_test(the_table_must_be_there_with_its_columns),
        cmocka_unit_test(data_of_other_tables_is_not_read),
        cmocka_unit_test(strings_and_names_hide_what_is_in_them),
        cmocka_unit_test(a_last_line_within_a_string_is_none),
        cmocka_unit_test(every_cut_is_seen),
        cmocka_unit_test(only_the_wanted_database_counts),
        cmocka_unit_test(the_cluster_has_a_last_line_of_its_own),
        cmocka_unit_test(lines_of_any_length_are_passed),
        cmocka_unit_test(the_widest_table_is_a_table),
        cmocka_unit_test(bytes_of_zero_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
