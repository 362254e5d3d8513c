/* Scripts as pg_restore and pg_dumpall write them, in pieces of all sizes; text in them that looks
 * like what is looked for. */
#include "cluster/database/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

#define ID_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ID_B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define KEY_A "chunk/" ID_A ".0000000000000001\n"
#define KEY_B "chunk/" ID_B ".00000000000000ff\n"
#define COPY "COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone, size) FROM stdin;\n"
#define ROW_A "\\\\x" ID_A "\t1\tt\tf\t1000\n"
#define ROW_B "\\\\x" ID_B "\t255\tt\tf\t1000\n"
#define ROWS COPY ROW_A ROW_B "\\.\n\n"
#define END "--\n-- PostgreSQL database dump complete\n--\n\n"
#define END_ALL "--\n-- PostgreSQL database cluster dump complete\n--\n\n"

static void note_chunk(void *context, pb_slice key)
{
    pb_buffer *keys = context;
    pb_buffer_append_slice(keys, key);
    pb_buffer_append_char(keys, '\n');
}

/* Reads the text in pieces of `piece` bytes; the kind of the error, and the keys. */
static pb_error_kind read_script(const char *database, bool looks, pb_slice text, size_t piece,
                                 pb_buffer *ret_keys, pb_error *ret_error)
{
    const pb_database_script_options options = {
        .database = database, .chunk = looks ? note_chunk : NULL, .context = ret_keys};
    pb_database_script *script = pb_database_script_new(&options);
    *ret_error = (pb_error){0};
    int failed = 0;
    for (size_t at = 0; at < text.size && !failed; at += piece) {
        size_t left = text.size - at, size = left < piece ? left : piece;
        char *copy = malloc(size); /* so that a sanitizer sees what is read behind it */
        memcpy(copy, text.data + at, size);
        failed = pb_database_script_feed(script, copy, size, ret_error);
        free(copy);
    }
    if (!failed)
        failed = pb_database_script_end(script, ret_error);
    assert_true(!failed == !ret_error->kind);
    pb_database_script_free(script);
    return ret_error->kind;
}

static void expect_of(const char *database, const char *text, const char *keys, pb_error_kind kind)
{
    static const size_t pieces[] = {1, 2, 3, 7, 64, 1 << 20};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        pb_buffer found = {0};
        pb_error error;
        pb_error_kind is =
            read_script(database, true, pb_slice_of(text), pieces[i], &found, &error);
        if (is != kind)
            print_error("in pieces of %zu: \"%s\" of\n%s\n", pieces[i], error.message, text);
        assert_int_equal(is, kind);
        if (!kind)
            assert_string_equal(found.data ? found.data : "", keys);
        pb_buffer_free(&found);
    }
}

static void expect_keys(const char *text, const char *keys)
{
    expect_of(NULL, text, keys, PB_ERROR_NONE);
}

static void test_rows(void **state)
{
    (void)state;
    expect_keys(ROWS END, KEY_A KEY_B);
    expect_keys(COPY "\\.\n\n" END, "");
    /* Not uploaded, a tombstone, NULL. */
    expect_keys(COPY "\\\\x" ID_A "\t1\tf\tf\t1\n"
                     "\\\\x" ID_A "\t1\tt\tt\t1\n"
                     "\\\\x" ID_A "\t1\t\\N\tf\t1\n"
                     "\\\\x" ID_A "\t1\tt\t\\N\t1\n" ROW_B "\\.\n" END,
                KEY_B);
    /* to_hex() of a negative bigint, and of the largest. */
    expect_keys(COPY "\\\\x" ID_A "\t-1\tt\tf\t1\n\\\\x" ID_A
                     "\t9223372036854775807\tt\tf\t1\n\\.\n" END,
                "chunk/" ID_A ".ffffffffffffffff\nchunk/" ID_A ".7fffffffffffffff\n");
}

static void test_columns(void **state)
{
    (void)state;
    expect_keys("COPY storage.chunk_objects (size, tombstone, \"uploaded\", more, gen, chunk_id) "
                "FROM stdin;\n7\tf\tt\ta b\\tc\t1\t\\\\x" ID_A "\n\\.\n" END,
                KEY_A);
    expect_keys("COPY \"storage\".\"chunk_objects\" (\"a, gen\", chunk_id, gen, uploaded, "
                "tombstone) FROM stdin;\nx\t\\\\x" ID_A "\t1\tt\tf\n\\.\n" END,
                KEY_A);
    expect_of(NULL, "COPY storage.chunk_objects (chunk_id, gen, tombstone) FROM stdin;\n\\.\n" END,
              NULL, PB_ERROR_FAILED);
    expect_of(NULL, "COPY storage.chunk_objects FROM stdin;\n\\.\n" END, NULL, PB_ERROR_FAILED);
}

static void test_names_what_it_expected(void **state)
{
    (void)state;
    pb_buffer keys = {0};
    pb_error error;
    read_script(NULL, true, PB_SLICE_LITERAL("SELECT 1;\n" END), 100, &keys, &error);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    assert_non_null(strstr(error.message, "storage.chunk_objects"));
    assert_non_null(strstr(error.message, "tombstone"));
    read_script(
        NULL, true,
        PB_SLICE_LITERAL("COPY storage.chunk_objects (chunk_id, gen, tombstone) FROM stdin;\n"),
        100, &keys, &error);
    assert_non_null(strstr(error.message, "uploaded"));
    pb_buffer_free(&keys);
}

static void test_other_tables(void **state)
{
    (void)state;
    expect_keys(
        "COPY storage.chunk_objects_old (chunk_id, gen, uploaded, tombstone) FROM stdin;\n" ROW_A
        "\\.\nCOPY public.chunk_objects (chunk_id, gen, uploaded, tombstone) "
        "FROM stdin;\n" ROW_A "\\.\n" ROWS END,
        KEY_A KEY_B);
    /* Their rows are text of their own, whatever it is. */
    expect_keys("COPY public.notes (a) FROM stdin;\n" COPY ROW_A "\\\\.\n\\. \n \\.\nx\\.\n"
                "'\n\"\n$$\n/*\n--\n\\.\n" ROWS END,
                KEY_A KEY_B);
    expect_keys("COPY public.notes (a) FROM stdin;\n\n\n\\N\n\\.\n" ROWS END, KEY_A KEY_B);
}

static void test_strings(void **state)
{
    (void)state;
    static const char *const fooling[] = {
        "COMMENT ON TABLE a IS 'x;\n" COPY ROW_A "\\.\n';\n",
        "COMMENT ON TABLE a IS 'it''s;\n" COPY ROW_A "\\.\n';\n",
        "COMMENT ON TABLE a IS 'a\\';\n", /* a backslash means nothing in it */
        "COMMENT ON TABLE a IS E'a\\';\n" COPY ROW_A "\\.\n';\n",
        "COMMENT ON TABLE a IS E'a\\\\';\n",
        "COMMENT ON TABLE \"x;\n" COPY ROW_A "\\.\n\" IS 'y';\n",
        "COMMENT ON TABLE \"x\"\";\n" COPY ROW_A "\\.\n\" IS 'y';\n",
        "/* a; /* nested */\n" COPY ROW_A "\\.\n*/\n",
        "-- a; " COPY, /* of one line */
        "-- it's one\n",
        "SELECT 1 -- it's one\n;\n",
        "SELECT 1 - -1 / 2 * 3;\n",
        "SET standard_conforming_strings = off;\nCOMMENT ON TABLE a IS 'a\\';\n" COPY ROW_A
        "\\.\n';\nSET standard_conforming_strings = on;\n",
    };
    for (size_t i = 0; i < sizeof fooling / sizeof *fooling; i++) {
        char text[4096];
        snprintf(text, sizeof text, "%s" ROWS "%s", fooling[i], END);
        expect_keys(text, KEY_A KEY_B);
    }
}

static void test_dollars(void **state)
{
    (void)state;
    static const char *const functions[] = {
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$\n" COPY ROW_A "\\.\n$$;\n",
        "CREATE FUNCTION f() AS $_$\n$$;\n" COPY ROW_A "\\.\n$_X$;$_;$$_$;\n",
        "CREATE FUNCTION f() AS $a$$b$;\n" COPY ROW_A "\\.\n$a$a$;\n",
        "CREATE FUNCTION f() AS $$it's$$;\n",
        "CREATE FUNCTION f() AS $$a$$ COST $1;\n", /* no tag: a parameter */
        "PREPARE a$b AS SELECT $1, $2 + a$c FROM a$b;\n",
        "CREATE FUNCTION f() LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;\n",
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        char text[4096];
        snprintf(text, sizeof text, "%s" ROWS "%s", functions[i], END);
        expect_keys(text, KEY_A KEY_B);
    }
}

static void test_long_lines(void **state)
{
    (void)state;
    pb_buffer text = {0}, keys = {0};
    pb_error error;
    pb_buffer_append_text(&text, "COPY public.big (a, b) FROM stdin;\n");
    for (int i = 0; i < 3000 * 1000; i++)
        pb_buffer_append_text(&text, COPY);
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '\n' && i > 40)
            text.data[i] = ' ';
    pb_buffer_append_text(&text, "\n\\.\nSELECT lo('");
    for (int i = 0; i < 1000 * 1000; i++)
        pb_buffer_append_text(&text, "\\x00;\n");
    pb_buffer_append_text(&text, "');\n" ROWS END);
    assert_int_equal(read_script(NULL, true, pb_buffer_slice(&text), 64 * 1024, &keys, &error),
                     PB_ERROR_NONE);
    assert_string_equal(keys.data, KEY_A KEY_B);
    pb_buffer_free(&text);
    pb_buffer_free(&keys);
}

static void test_bad_rows(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "\\\\x" ID_A "\t1\tt\n",
        "\n",
        "\\\\x" ID_A "\tone\tt\tf\t1\n",
        "\\\\x" ID_A "\t\tt\tf\t1\n",
        "\\\\x" ID_A "\t\\N\tt\tf\t1\n",
        "\\\\x" ID_A "\t99999999999999999999\tt\tf\t1\n",
        "\\\\x" ID_A "\t9223372036854775808\tt\tf\t1\n",
        "\\\\x" ID_A "0\t1\tt\tf\t1\n",
        "\\\\xGG\t1\tt\tf\t1\n",
        "\\\\x\t1\tt\tf\t1\n",
        "\\N\t1\tt\tf\t1\n",
        "\\\\x" ID_A "\t1\ttrue\tf\t1\n",
        "\\\\x" ID_A "\t1\tt\tfalse\t1\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[4096];
        snprintf(text, sizeof text, COPY "%s\\.\n" END, rows[i]);
        expect_of(NULL, text, NULL, PB_ERROR_DAMAGED);
    }
    pb_buffer text = {0};
    pb_buffer_append_text(&text, COPY);
    for (int i = 0; i < 10000; i++)
        pb_buffer_append_char(&text, 'a');
    pb_buffer_append_text(&text, "\n\\.\n" END);
    expect_of(NULL, text.data, NULL, PB_ERROR_DAMAGED);
    pb_buffer_free(&text);
}

static void test_cut(void **state)
{
    (void)state;
    static const char whole[] = "CREATE TABLE a (b text);\n" ROWS "SELECT $$a$$;\n" END;
    pb_buffer keys = {0};
    pb_error error;
    size_t last = strlen(whole) - strlen("--\n\n") - 1;
    for (size_t size = 0; size < last; size++) {
        assert_int_not_equal(read_script(NULL, true, (pb_slice){whole, size}, 1000, &keys, &error),
                             PB_ERROR_NONE);
        assert_int_not_equal(read_script(NULL, false, (pb_slice){whole, size}, 1000, &keys, &error),
                             PB_ERROR_NONE);
    }
    pb_buffer_free(&keys);
    /* The line counts only where it is a comment, and nothing but its end comes behind it. */
    expect_of(NULL, ROWS "SELECT $$\n" END "$$;\n", NULL, PB_ERROR_DAMAGED);
    expect_of(NULL, ROWS "COPY public.a (b) FROM stdin;\n" END "\\.\n", NULL, PB_ERROR_DAMAGED);
    expect_of(NULL, ROWS END "COPY public.a (b) FROM stdin;\n", NULL, PB_ERROR_DAMAGED);
    expect_of(NULL, ROWS END "SELECT 1;\n", NULL, PB_ERROR_DAMAGED);
    expect_keys(ROWS END "\\unrestrict abc\n\n", KEY_A KEY_B);
}

static void test_nothing_looked_for(void **state)
{
    (void)state;
    pb_error error;
    assert_int_equal(read_script(NULL, false,
                                 PB_SLICE_LITERAL("COPY public.a (b) FROM stdin;\nx\n\\.\n" END), 5,
                                 NULL, &error),
                     PB_ERROR_NONE);
}

static void test_all(void **state)
{
    (void)state;
    static const char all[] =
        "\\restrict abc\nCREATE ROLE a;\n" END "\\unrestrict abc\n"
        "\\connect template1\n" END "\\connect dex\n\nCOPY storage.chunk_objects (chunk_id, gen, "
        "uploaded, tombstone) FROM stdin;\nof another database\n\\.\n" END
        "\\connect pachyderm\n\n" ROWS END "\\connect postgres\n" COPY
        "nor this\n\\.\n" END END_ALL;
    expect_of("pachyderm", all, KEY_A KEY_B, PB_ERROR_NONE);
    expect_of("other", all, NULL, PB_ERROR_FAILED);
    expect_of("pachyderm", "\\connect pachyderm\n" ROWS END, NULL, PB_ERROR_DAMAGED);
    expect_of("my pachyderm",
              "\\connect -reuse-previous=on \"dbname='my pachyderm'\"\n" ROWS END END_ALL,
              KEY_A KEY_B, PB_ERROR_NONE);
    expect_of("it's \"a\" \\b",
              "\\connect -reuse-previous=on \"dbname='it\\'s \"\"a\"\" \\\\b'\"\n" ROWS END END_ALL,
              KEY_A KEY_B, PB_ERROR_NONE);
    /* A \connect in a row is none. */
    expect_of("pachyderm",
              "\\connect dex\nCOPY a.b (c) FROM stdin;\n\\\\connect pachyderm\n\\.\n" COPY
              "another's\n\\.\n\\connect pachyderm\n" ROWS END END_ALL,
              KEY_A KEY_B, PB_ERROR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_names_what_it_expected),
        cmocka_unit_test(test_other_tables),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_dollars),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_nothing_looked_for),
        cmocka_unit_test(test_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
