#include "copier/store/gcs/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define EMPTY_MD5 "1B2M2Y8AsgTpgAmY7PhCfg=="

static bool take(pb_gcs_answer *answer, const char *name, const char *value)
{
    return pb_gcs_answer_header(answer, pb_slice_of(name), pb_slice_of(value));
}

static void check_content(const pb_gcs_answer *answer, const char *wanted)
{
    char etag[PB_ETAG_TEXT_MAX];
    pb_gcs_content_etag(answer->has_md5 ? answer->md5 : NULL,
                        answer->has_crc32c ? answer->crc32c : NULL, etag);
    assert_string_equal(etag, wanted);
}

static void hashes(void **state)
{
    (void)state;
    static const struct {
        const char *value, *etag;
    } cases[] = {
        {"crc32c=AQIDBA==,md5=" EMPTY_MD5, "d41d8cd98f00b204e9800998ecf8427e"},
        {"md5=" EMPTY_MD5 ", crc32c=AQIDBA==", "d41d8cd98f00b204e9800998ecf8427e"},
        {"crc32c=AQIDBA==", "crc32c-01020304"},
        {"crc32c=AQIDBA==,sha1=AAAA", "crc32c-01020304"},
        /* Not of their length, not base64: not known. */
        {"crc32c=AQIDBAU=,md5=AAAA", ""},
        {"crc32c=AQID,md5=!!!!", ""},
        {"crc32c=,md5=", ""},
        {",,,", ""},
        {"", ""},
        {"CRC32C=AQIDBA==", ""},
        {"md5=" EMPTY_MD5 "AAAA,crc32c=AQIDBA==", "crc32c-01020304"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_gcs_answer answer = {0};
        assert_true(take(&answer, "x-goog-hash", cases[i].value));
        check_content(&answer, cases[i].etag);
    }
    pb_gcs_answer answer = {0}; /* a header each */
    take(&answer, "x-goog-hash", "crc32c=AQIDBA==");
    take(&answer, "x-goog-hash", "md5=" EMPTY_MD5);
    assert_true(answer.has_crc32c);
    check_content(&answer, "d41d8cd98f00b204e9800998ecf8427e");
    pb_gcs_answer_restart(&answer);
    check_content(&answer, "");
}

static void content_that_should_match(void **state)
{
    (void)state;
    pb_gcs_answer answer = {0};
    assert_true(pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("crc32c-00000000")));
    take(&answer, "x-goog-hash", "crc32c=AQIDBA==");
    assert_true(pb_gcs_content_matches(&answer, (pb_slice){NULL, 0}));
    assert_true(pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("crc32c-01020304")));
    assert_false(pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("crc32c-01020305")));
    /* It had an MD5, and is now composed: another object. */
    assert_false(
        pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("d41d8cd98f00b204e9800998ecf8427e")));
    take(&answer, "x-goog-hash", "md5=" EMPTY_MD5);
    assert_true(
        pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("d41d8cd98f00b204e9800998ecf8427e")));
    assert_false(
        pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("d41d8cd98f00b204e9800998ecf8427f")));
    assert_true(pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("crc32c-01020304")));
    assert_false(pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("crc32c-01020305")));
}

static void sessions(void **state)
{
    (void)state;
    static char too_long[2 * PB_GCS_SESSION_BYTES_MAX];
    static const struct {
        const char *value, *session;
    } cases[] = {
        {"https://storage.googleapis.com/upload/storage/v1/b/b/o?upload_id=x",
         "/upload/storage/v1/b/b/o?upload_id=x"},
        {"http://127.0.0.1:80/?a", "/?a"},
        /* Whatever the host, requests go to ours. */
        {"https://evil.example/x?y", "/x?y"},
        {"/upload?upload_id=x", ""},
        {"https://storage.googleapis.com", ""},
        {"://", ""},
        {"", ""},
        {"https://h/\x01", ""},
        {"https://h/\xc3\xa4", ""},
        {too_long, ""},
    };
    memset(too_long, 'x', sizeof too_long - 1);
    memcpy(too_long, "https://host/", 13);
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_gcs_answer answer = {0};
        assert_true(take(&answer, "location", cases[i].value));
        assert_string_equal(answer.session, cases[i].session);
        assert_int_equal(answer.session_refused, !cases[i].session[0]);
        pb_gcs_answer_restart(&answer);
        assert_string_equal(answer.session, "");
        assert_false(answer.session_refused);
    }
}

static void positions(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool known;
        uint64_t position;
    } cases[] = {
        {"bytes=0-0", true, 1},
        {"bytes=0-262143", true, 262144},
        {"bytes=0-18446744073709551614", true, UINT64_MAX},
        {"bytes=0-18446744073709551615", false, 0},
        {"bytes=0-18446744073709551616", false, 0},
        {"bytes=1-5", false, 0},
        {"bytes=0-", false, 0},
        {"bytes=0--1", false, 0},
        {"bytes=0-5/10", false, 0},
        {"bytes 0-5", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_gcs_answer answer = {0};
        assert_true(take(&answer, "range", cases[i].value));
        assert_int_equal(answer.has_position, cases[i].known);
        assert_true(answer.position == cases[i].position);
    }
}

static void the_rest(void **state)
{
    (void)state;
    pb_gcs_answer answer = {0};
    assert_false(take(&answer, "etag", "CJ="));
    assert_false(take(&answer, "x-goog-meta-location", "x"));
    assert_true(take(&answer, "x-guploader-uploadid", "ABC-def"));
    assert_string_equal(answer.request_id, "ABC-def");
    assert_true(take(&answer, "x-guploader-uploadid", "a\tb\x02"));
    assert_string_equal(answer.request_id, "");
    assert_true(take(&answer, "warning", "113 - \"Heuristic Expiration\""));
    assert_false(answer.is_decoded);
    assert_true(take(&answer, "warning", "214 UploadServer gunzipped"));
    assert_true(answer.is_decoded);
    pb_gcs_answer_restart(&answer);
    assert_false(answer.is_decoded);
    assert_true(take(&answer, "x-guploader-response-body-transformations", "gunzipped"));
    assert_true(answer.is_decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes),   cmocka_unit_test(content_that_should_match),
        cmocka_unit_test(sessions), cmocka_unit_test(positions),
        cmocka_unit_test(the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
