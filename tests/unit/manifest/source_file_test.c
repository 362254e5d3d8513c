#include "manifest/source_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static char source[] = "s3://endpoint/bucket \"x\"", prefix[] = "a/\xc3\xa4\n", none[] = "";
static char name_space[] = "pachyderm";

static void it_round_trips(void **state)
{
    (void)state;
    for (int cluster = 0; cluster < 2; cluster++) {
        pb_source_file file = {source, prefix, cluster ? name_space : none}, read;
        pb_buffer text = {0};
        pb_error error;
        pb_source_file_append(&text, &file);
        assert_int_equal(pb_source_file_parse(pb_buffer_slice(&text), &read, &error), 0);
        assert_string_equal(read.source, source);
        assert_string_equal(read.prefix, prefix);
        assert_string_equal(read.name_space, file.name_space);
        pb_source_file_free(&read);
        pb_buffer_free(&text);
    }
}

static void it_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        pb_error_kind kind;
    } cases[] = {
        {"", PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"run\",\"version\":1,\"source\":\"a\",\"prefix\":\"\",\"namespace\":\"\"}",
         PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"source\",\"version\":1,\"source\":\"a\",\"prefix\":\"\"}",
         PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"source\",\"version\":1,\"source\":[],\"prefix\":\"\",\"namespace\":\"\"}",
         PB_ERROR_DAMAGED},
        {"{\"pbcopy\":\"source\",\"version\":2,\"source\":\"a\",\"prefix\":\"\",\"namespace\":"
         "\"\"}",
         PB_ERROR_USAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_source_file read;
        pb_error error = {0};
        assert_int_equal(pb_source_file_parse(pb_slice_of(cases[i].text), &read, &error), -1);
        assert_int_equal(error.kind, cases[i].kind);
    }
}

static void its_key_is_known_again(void **state)
{
    (void)state;
    const pb_source_file bucket = {source, prefix, none}, cluster = {source, prefix, name_space};
    pb_buffer key = {0}, other = {0};
    pb_source_file_key(&key, &bucket);
    pb_source_file_key(&other, &cluster);
    assert_true(pb_source_file_is_key(pb_buffer_slice(&key)));
    assert_true(pb_source_file_is_key(pb_buffer_slice(&other)));
    assert_true(pb_slice_ends_with(pb_buffer_slice(&key), PB_SLICE_LITERAL("/source.json")));
    assert_true(
        pb_slice_ends_with(pb_buffer_slice(&other), PB_SLICE_LITERAL("/source-pachyderm.json")));
    static const char *const others[] = {
        "", "sources/", "sources/0123456789abcdef0123456789abcdef/run.json",
        "sources/short/source.json", "snapshots/0123456789abcdef0123456789abcdef/source.json"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(pb_source_file_is_key(pb_slice_of(others[i])));
    pb_buffer_free(&key);
    pb_buffer_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_round_trips),
        cmocka_unit_test(it_is_checked),
        cmocka_unit_test(its_key_is_known_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
