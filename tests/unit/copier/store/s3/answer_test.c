#include "copier/store/s3/answer.h"

#include "copier/store/s3/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void give(pb_s3_answer *answer, const char *name, const char *value)
{
    pb_s3_answer_header(answer, pb_slice_of(name), pb_slice_of(value));
}

static void reads_headers(void **state)
{
    (void)state;
    pb_s3_answer answer = {0};
    pb_s3_answer_restart(&answer);
    give(&answer, "etag", "\"abc\"");
    give(&answer, "x-amz-bucket-region", "eu-west-1");
    give(&answer, "x-amz-request-id", "R1");
    give(&answer, "location", "https://host/path");
    give(&answer, "server", "x");
    assert_string_equal(answer.etag, "abc");
    assert_string_equal(answer.region, "eu-west-1");
    assert_string_equal(answer.request_id, "R1");
    assert_string_equal(answer.location, "https://host/path");
    pb_s3_answer_restart(&answer);
    assert_string_equal(answer.etag, "");
}

static void distrusts_headers(void **state)
{
    (void)state;
    pb_s3_answer answer = {0};
    give(&answer, "etag", "W/\"abc\"");
    assert_string_equal(answer.etag, "");
    assert_false(answer.etag_refused);
    char text[1000];
    memset(text, 'e', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    give(&answer, "etag", text);
    assert_true(answer.etag_refused);
    assert_string_equal(answer.etag, "");
    give(&answer, "x-amz-bucket-region", text);
    assert_string_equal(answer.region, "");
    give(&answer, "x-amz-request-id", "a\x1b[0m");
    assert_string_equal(answer.request_id, "");
    give(&answer, "location", text); /* its host is what counts */
    assert_int_equal(strlen(answer.location), sizeof answer.location - 1);
}

static void knows_etags_that_are_no_md5(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool opaque;
    } cases[] = {
        {"x-amz-server-side-encryption", "AES256", false},
        {"x-amz-server-side-encryption", "aws:kms", true},
        {"x-amz-server-side-encryption", "aws:kms:dsse", true},
        {"x-amz-server-side-encryption-customer-algorithm", "AES256", true},
        {"x-amz-server-side-encryption-bucket-key-enabled", "true", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_s3_answer answer = {0};
        give(&answer, cases[i].name, cases[i].value);
        assert_int_equal(answer.etag_opaque, cases[i].opaque);
    }
}

static void knows_an_objects_own_headers(void **state)
{
    (void)state;
    static const char *const own[] = {
        "content-type",     "x-amz-meta-a",     "cache-control",      "expires",
        "content-language", "content-encoding", "content-disposition"};
    static const char *const others[] = {"content-length", "x-amz-meta-", "x-amz-acl",
                                         "set-cookie"};
    for (size_t i = 0; i < COUNT(own); i++)
        assert_true(pb_s3_is_object_header(pb_slice_of(own[i])));
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(pb_s3_is_object_header(pb_slice_of(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(distrusts_headers),
        cmocka_unit_test(knows_etags_that_are_no_md5),
        cmocka_unit_test(knows_an_objects_own_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
