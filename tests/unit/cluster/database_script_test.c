/* The script of pg_restore and pg_dumpall, whole and byte by byte. */
#include "cluster/database_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LAST "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n"
#define LAST_OF_ALL LAST "--\n-- PostgreSQL database cluster dump complete\n--\n"
#define COPY "COPY storage.chunk_objects (chunk_id, gen, uploaded, tombstone, size) FROM stdin;\n"

static void on_chunk(void *context, pb_slice key)
{
    pb_buffer *keys = context;
    pb_buffer_append_slice(keys, key);
    pb_buffer_append_char(keys, ' ');
}

/* The keys it told; NULL where it failed, with *error. Fed in pieces of `step` bytes. */
static char *read_script(const char *text, size_t size, const char *database, size_t step,
                         pb_error *error)
{
    pb_buffer keys = {0};
    const pb_database_script_options options = {
        .database = database, .chunk = on_chunk, .context = &keys};
    pb_database_script *script = pb_database_script_new(&options);
    int failed = 0;
    *error = (pb_error){0};
    for (size_t at = 0; at < size && !failed; at += step)
        failed =
            pb_database_script_feed(script, text + at, size - at < step ? size - at : step, error);
    if (!failed)
        failed = pb_database_script_end(script, error);
    pb_database_script_free(script);
    char *told = failed ? NULL : pb_duplicate(pb_buffer_slice(&keys));
    pb_buffer_free(&keys);
    return told;
}

static void expect_of(const char *text, const char *database, const char *keys)
{
    static const size_t steps[] = {1, 2, 7, 1 << 20};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        pb_error error;
        char *told = read_script(text, strlen(text), database, steps[i], &error);
        if (!told)
            fail_msg("%s", error.message);
        assert_string_equal(told, keys);
        free(told);
    }
}

static void expect(const char *text, const char *keys)
{
    expect_of(text, NULL, keys);
}

static void expect_failure(const char *text, pb_error_kind kind, const char *says)
{
    for (size_t step = 1; step < 100; step += 98) {
        pb_error error;
        assert_null(read_script(text, strlen(text), NULL, step, &error));
        assert_int_equal(error.kind, kind);
        if (!strstr(error.message, says))
            fail_msg("\"%s\" does not say \"%s\"", error.message, says);
    }
}

static void test_rows(void **state)
{
    (void)state;
    expect("SET x = 1;\n" COPY "\\\\xab01\t1\tt\tf\t10\n"
           "\\\\xcd\t255\tt\tf\t10\n"
           "\\\\xee\t3\tf\tf\t10\n" /* not uploaded */
           "\\\\xee\t4\tt\tt\t10\n" /* a tombstone */
           "\\\\xee\t5\t\\N\tf\t10\n"
           "\\\\xee\t6\tt\t\\N\t10\n"
           "\\.\n\n" LAST,
           "chunk/ab01.0000000000000001 chunk/cd.00000000000000ff ");
    expect(COPY "\\.\n" LAST, "");
    /* bigint is signed, to_hex is not. */
    expect(COPY "\\\\x00\t-1\tt\tf\t1\n\\.\n" LAST, "chunk/00.ffffffffffffffff ");
}

static void test_columns_in_any_order(void **state)
{
    (void)state;
    expect(
        "COPY storage.chunk_objects (size, tombstone, \"chunk_id\", metadata, uploaded, gen) FROM "
        "stdin;\n9\tf\t\\\\xaa\tx\\ty\tt\t16\n\\.\n" LAST,
        "chunk/aa.0000000000000010 ");
}

static void test_what_only_looks_like_it(void **state)
{
    (void)state;
    expect("CREATE FUNCTION f() RETURNS void AS $$\n" COPY
           "\\\\xaa\t1\tt\tf\t1\n\\.\n$$ LANGUAGE sql;\n"
           "CREATE FUNCTION g() RETURNS void AS $a_1$ $$ ; $a$ $a_$ " COPY "$a_1$ LANGUAGE sql;\n"
           "COMMENT ON TABLE x IS 'it''s; " COPY "';\n"
           "SELECT E'a\\'; " COPY "';\nSELECT 'back\\'; SELECT \"odd;name\"\"x\"; SELECT $1;\n"
           "/* " COPY " /* nested */ ; */ -- " COPY
           "COPY other.chunk_objects (chunk_id, gen, uploaded, tombstone) FROM stdin;\n"
           "\\\\xbb\t1\tt\tf\n\\.\n"
           "COPY storage.other (a) FROM stdin;\n"
           "COPY storage.chunk_objects (chunk_id) FROM stdin;\n\\\\.\n\\.x\n.\n\\.\n" COPY
           "\\\\xcc\t2\tt\tf\t1\n\\.\nSELECT 1 - 2 / 3;\n" LAST,
           "chunk/cc.0000000000000002 ");
}

static void test_all_databases(void **state)
{
    (void)state;
    const char *text =
        "\\restrict k\nCREATE ROLE a;\n\\unrestrict k\n\\connect template1\n" COPY
        "\\\\xaa\t1\tt\tf\t1\n\\.\n" LAST "\\connect -reuse-previous=on \"dbname='dex'\"\n" COPY
        "\\\\xbb\t1\tt\tf\t1\n\\.\n" LAST "\\connect pachyderm\n\\restrict m\n" COPY
        "\\\\xcc\t1\tt\tf\t1\n\\.\n" LAST "\\connect postgres\n" COPY
        "\\\\xdd\t1\tt\tf\t1\n\\.\n" LAST_OF_ALL;
    expect_of(text, "pachyderm", "chunk/cc.0000000000000001 ");
    expect_of(text, "dex", "chunk/bb.0000000000000001 ");
}

static void test_cut_scripts(void **state)
{
    (void)state;
    static const char whole[] = COPY "\\\\xaa\t1\tt\tf\t1\n\\.\nSELECT 'x';\n" LAST;
    size_t needed = (size_t)(strstr(whole, "complete\n") - whole) + strlen("complete\n");
    for (size_t size = 0; size < needed; size++) {
        pb_error error;
        assert_null(read_script(whole, size, NULL, 16, &error));
        assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    }
    pb_error error;
    /* Of one database complete is not all complete. */
    assert_null(read_script(whole, strlen(whole), "pachyderm", 16, &error));
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
}

static void test_what_is_expected(void **state)
{
    (void)state;
    expect_failure("SELECT 1;\n" LAST, PB_ERROR_FAILED, "storage.chunk_objects");
    expect_failure("COPY storage.chunk_objects (chunk_id, gen, uploaded) FROM stdin;\n\\.\n" LAST,
                   PB_ERROR_FAILED, "no column tombstone");
    expect_failure(COPY "\\\\xaa\t1\tt\n\\.\n" LAST, PB_ERROR_DAMAGED, "too few columns");
    expect_failure(COPY "\\\\xaag\t1\tt\tf\t1\n\\.\n" LAST, PB_ERROR_DAMAGED, "not of its form");
    expect_failure(COPY "\\N\t1\tt\tf\t1\n\\.\n" LAST, PB_ERROR_DAMAGED, "not of its form");
    expect_failure(COPY "\\\\xaa\t1x\tt\tf\t1\n\\.\n" LAST, PB_ERROR_DAMAGED, "not of its form");
    pb_buffer text = {0};
    pb_buffer_append_text(&text, COPY);
    for (int i = 0; i < 5000; i++)
        pb_buffer_append_char(&text, 'a');
    pb_buffer_append_text(&text, "\n\\.\n" LAST);
    expect_failure(text.data, PB_ERROR_DAMAGED, "too long");
    pb_buffer_free(&text);
}

/* Other tables' lines may be of any length, as may statements: nothing of them is kept. */
static void test_long_lines(void **state)
{
    (void)state;
    enum { LONG = 8 * 1024 * 1024 };
    pb_buffer text = {0};
    pb_buffer_append_text(&text, "COPY pfs.commits (x) FROM stdin;\n");
    pb_buffer_reserve(&text, LONG);
    memset(text.data + text.size, 'y', LONG);
    text.size += LONG;
    pb_buffer_append_text(&text, "\n\\.\nSELECT lowrite(0, '");
    pb_buffer_reserve(&text, LONG);
    memset(text.data + text.size, '7', LONG);
    text.size += LONG;
    pb_buffer_append_text(&text, "');\n" COPY "\\\\xaa\t1\tt\tf\t1\n\\.\n" LAST);
    pb_error error;
    char *told = read_script(text.data, text.size, NULL, 65536, &error);
    assert_non_null(told);
    assert_string_equal(told, "chunk/aa.0000000000000001 ");
    free(told);
    pb_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_columns_in_any_order),
        cmocka_unit_test(test_what_only_looks_like_it),
        cmocka_unit_test(test_all_databases),
        cmocka_unit_test(test_cut_scripts),
        cmocka_unit_test(test_what_is_expected),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
