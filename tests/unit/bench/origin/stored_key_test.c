#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/origin/stored_key.h"
#include <cmocka.h>
#include <stdio.h>

/* "bucket key" or an error code. */
static void expect(const char *bucket_name, const char *key_text, const char *wanted)
{
    char memory[PB_ORIGIN_PLACE_BYTES_MAX], text[PB_ORIGIN_PLACE_BYTES_MAX];
    pb_slice bucket = pb_slice_of(bucket_name), key = pb_slice_of(key_text);
    const char *code = pb_origin_resolve_key(&bucket, &key, memory);
    if (code)
        snprintf(text, sizeof text, "%s", code);
    else
        snprintf(text, sizeof text, "%.*s %.*s", PB_SLICE_FORMAT(bucket), PB_SLICE_FORMAT(key));
    assert_string_equal(text, wanted);
}

static void keys_resolve_as_paths(void **state)
{
    (void)state;
    expect("b", "a", "b a");
    expect("b", "a/b.c/...", "b a/b.c/...");
    expect("b", "a//b", "b a/b");
    expect("b", "a///b", "b a/b");
    expect("b", "/a", "b a");
    expect("b", "//a//", "b a/");
    expect("b", "a/", "b a/");
    expect("b", "./a", "b a");
    expect("b", "a/./b", "b a/b");
    expect("b", "a/.", "b a");
    expect("b", "a/../c", "b c");
    expect("b", "a/b/../../c", "b c");
    expect("b", "data/id/../../pbcopy.json", "b pbcopy.json");
    expect("b", "../other/k", "other k");
    expect("b", "../../../other/k", "other k");
    expect("b", "a\\..\\b", "b a\\..\\b");
    expect("b", "..", "InvalidURI");
    expect("b", "../x", "InvalidURI");
    expect("b", "a/..", "InvalidURI");
    expect("b", ".", "InvalidURI");
    expect("b", "/", "InvalidURI");
}

static void names_have_255_bytes(void **state)
{
    (void)state;
    char key[300];
    memset(key, 'k', sizeof key);
    key[255] = 0;
    char wanted[400];
    snprintf(wanted, sizeof wanted, "b %s", key);
    expect("b", key, wanted);
    key[255] = 'k';
    key[256] = 0;
    expect("b", key, "KeyTooLongError");
}

static void the_first_case_of_a_key_stays(void **state)
{
    (void)state;
    pb_origin_bucket *bucket = pb_origin_bucket_new(PB_SLICE_LITERAL("b"), 0);
    static const char *const held[] = {"ReadMe", "a/B", "ab"};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        pb_origin_object *object = pb_origin_object_new(pb_slice_of(held[i]));
        object->is_synthetic = true;
        pb_origin_bucket_put(bucket, object);
    }
    static const struct {
        const char *key, *wanted;
    } cases[] = {{"README", "ReadMe"}, {"ReadMe", "ReadMe"}, {"A/b", "a/B"},
                 {"AB", "ab"},         {"ABC", "ABC"},       {"\xc3\x84", "\xc3\x84"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key[16];
        size_t size = strlen(cases[i].key);
        memcpy(key, cases[i].key, size + 1);
        pb_origin_fold_key(bucket, key, size);
        assert_string_equal(key, cases[i].wanted);
    }
    pb_origin_bucket_free(bucket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_resolve_as_paths),
        cmocka_unit_test(names_have_255_bytes),
        cmocka_unit_test(the_first_case_of_a_key_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
