#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void the_vectors_of_rfc_4648(void **state)
{
    (void)state;
    static const struct {
        pb_slice bytes;
        const char *text;
    } pairs[] = {
        {PB_SLICE_STATIC(""), ""},
        {PB_SLICE_STATIC("f"), "Zg=="},
        {PB_SLICE_STATIC("fo"), "Zm8="},
        {PB_SLICE_STATIC("foo"), "Zm9v"},
        {PB_SLICE_STATIC("foob"), "Zm9vYg=="},
        {PB_SLICE_STATIC("fooba"), "Zm9vYmE="},
        {PB_SLICE_STATIC("foobar"), "Zm9vYmFy"},
        {PB_SLICE_STATIC("\xff\xfe\x00\xfb"), "//4A+w=="},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        pb_buffer text = {0}, bytes = {0};
        pb_base64_encode(&text, pairs[i].bytes);
        assert_true(pb_slice_equal(pb_buffer_slice(&text), pb_slice_of(pairs[i].text)));
        assert_true(pb_base64_decode(&bytes, pb_slice_of(pairs[i].text)));
        assert_true(pb_slice_equal(pb_buffer_slice(&bytes), pairs[i].bytes));
        pb_buffer_free(&text);
        pb_buffer_free(&bytes);
    }
}

static void all_else_is_refused(void **state)
{
    (void)state;
    static const pb_slice bad[] = {
        PB_SLICE_STATIC("Z"),
        PB_SLICE_STATIC("Zg"),
        PB_SLICE_STATIC("Zg="),
        PB_SLICE_STATIC("Zg==Zg=="),
        PB_SLICE_STATIC("Zh=="),
        PB_SLICE_STATIC("Zm9="),
        PB_SLICE_STATIC("===="),
        PB_SLICE_STATIC("Z==="),
        PB_SLICE_STATIC("Zm9v\n"),
        PB_SLICE_STATIC("Zm-_"),
        PB_SLICE_STATIC("Z=9v"),
        PB_SLICE_STATIC("Zm9\0"),
        PB_SLICE_STATIC("\xff\xff\xff\xff"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_buffer bytes = {0};
        assert_false(pb_base64_decode(&bytes, bad[i]));
        pb_buffer_free(&bytes);
    }
}

/* RFC 7515, appendices A.1.1 and C. */
static void the_form_for_urls_has_no_padding(void **state)
{
    (void)state;
    static const struct {
        pb_slice bytes;
        const char *text;
    } pairs[] = {
        {PB_SLICE_STATIC(""), ""},
        {PB_SLICE_STATIC("f"), "Zg"},
        {PB_SLICE_STATIC("fo"), "Zm8"},
        {PB_SLICE_STATIC("foo"), "Zm9v"},
        {PB_SLICE_STATIC("\x03\xec\xff\xe0\xc1"), "A-z_4ME"},
        {PB_SLICE_STATIC("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}"),
         "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        pb_buffer text = {0};
        pb_buffer_append_text(&text, "+/=");
        pb_base64url_encode(&text, pairs[i].bytes);
        assert_memory_equal(text.data, "+/=", 3); /* what was there stays */
        assert_string_equal(text.data + 3, pairs[i].text);
        pb_buffer_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_for_urls_has_no_padding),
        cmocka_unit_test(the_vectors_of_rfc_4648),
        cmocka_unit_test(all_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
