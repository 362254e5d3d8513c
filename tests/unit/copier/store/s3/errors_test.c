#include "copier/store/s3/errors.h"

#include "base/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void classifies(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code;
        pb_error_kind kind;
    } cases[] = {
        {503, "SlowDown", PB_ERROR_THROTTLED},
        {503, "SlowDownWrite", PB_ERROR_THROTTLED},
        {503, "ServiceUnavailable", PB_ERROR_THROTTLED},
        {503, "", PB_ERROR_THROTTLED},
        {429, "", PB_ERROR_THROTTLED},
        {200, "SlowDown", PB_ERROR_THROTTLED},
        {500, "InternalError", PB_ERROR_SERVER},
        {200, "InternalError", PB_ERROR_SERVER},
        {500, "", PB_ERROR_SERVER},
        {502, "", PB_ERROR_SERVER},
        {504, "", PB_ERROR_SERVER},
        {599, "", PB_ERROR_SERVER},
        {400, "RequestTimeout", PB_ERROR_SERVER},
        {408, "", PB_ERROR_SERVER},
        {400, "BadDigest", PB_ERROR_SERVER},
        {400, "XAmzContentSHA256Mismatch", PB_ERROR_SERVER},
        {409, "OperationAborted", PB_ERROR_SERVER},
        {501, "NotImplemented", PB_ERROR_FAILED},
        {501, "", PB_ERROR_FAILED},
        {403, "AccessDenied", PB_ERROR_FORBIDDEN},
        {403, "SignatureDoesNotMatch", PB_ERROR_REFUSED},
        {403, "InvalidAccessKeyId", PB_ERROR_REFUSED},
        {403, "RequestTimeTooSkewed", PB_ERROR_REFUSED},
        {400, "ExpiredToken", PB_ERROR_REFUSED},
        {403, "SomethingNew", PB_ERROR_FORBIDDEN},
        {403, "", PB_ERROR_FORBIDDEN},
        {401, "", PB_ERROR_REFUSED},
        {404, "NoSuchBucket", PB_ERROR_NO_BUCKET},
        {404, "NoSuchKey", PB_ERROR_NOT_FOUND},
        {404, "NoSuchUpload", PB_ERROR_NOT_FOUND},
        {404, "", PB_ERROR_NOT_FOUND},
        {412, "PreconditionFailed", PB_ERROR_EXISTS},
        {412, "", PB_ERROR_EXISTS},
        {409, "ConditionalRequestConflict", PB_ERROR_SERVER},
        {507, "", PB_ERROR_NO_SPACE},
        {403, "QuotaExceeded", PB_ERROR_NO_SPACE},
        {507, "XMinioStorageFull", PB_ERROR_NO_SPACE},
        {503, "InsufficientCapacity", PB_ERROR_NO_SPACE},
        {301, "PermanentRedirect", PB_ERROR_USAGE},
        {301, "", PB_ERROR_USAGE},
        {400, "AuthorizationHeaderMalformed", PB_ERROR_USAGE},
        {400, "InvalidBucketName", PB_ERROR_USAGE},
        {403, "InvalidObjectState", PB_ERROR_FAILED},
        {400, "EntityTooLarge", PB_ERROR_FAILED},
        {200, "SomethingNew", PB_ERROR_FAILED},
        {200, "", PB_ERROR_FAILED},
        {0, "", PB_ERROR_FAILED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_error_class class = pb_s3_classify(cases[i].status, pb_slice_of(cases[i].code));
        if (class.kind != cases[i].kind)
            fail_msg("%d %s: kind %d", cases[i].status, cases[i].code, (int)class.kind);
        assert_non_null(class.hint);
        if (pb_failure_is_refusal(class.kind))
            assert_true(class.hint[0]);
    }
}

static void knows_what_says_elsewhere(void **state)
{
    (void)state;
    assert_true(pb_s3_says_elsewhere(301, PB_SLICE_LITERAL("")));
    assert_true(pb_s3_says_elsewhere(307, PB_SLICE_LITERAL("TemporaryRedirect")));
    assert_true(pb_s3_says_elsewhere(400, PB_SLICE_LITERAL("AuthorizationHeaderMalformed")));
    assert_true(pb_s3_says_elsewhere(400, PB_SLICE_LITERAL("")));
    assert_false(pb_s3_says_elsewhere(400, PB_SLICE_LITERAL("InvalidRequest")));
    assert_false(pb_s3_says_elsewhere(403, PB_SLICE_LITERAL("AccessDenied")));
    assert_false(pb_s3_says_elsewhere(503, PB_SLICE_LITERAL("")));
}

static void knows_what_asks_for_an_md5(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code, *message;
        bool wants;
    } cases[] = {
        {400, "InvalidRequest",
         "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with "
         "Object Lock parameters",
         true},
        {400, "InvalidRequest", "content-md5 missing", true},
        {400, "MissingContentMD5", "", true},
        {400, "InvalidRequest", "The bucket is frozen", false},
        {400, "InvalidRequest", "", false},
        {400, "BadDigest", "The Content-MD5 you specified did not match", false},
        {403, "MissingContentMD5", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(pb_s3_wants_md5(cases[i].status, pb_slice_of(cases[i].code),
                                         pb_slice_of(cases[i].message)),
                         cases[i].wants);
}

static void thinks_of_who_pays(void **state)
{
    (void)state;
    pb_slice code = PB_SLICE_LITERAL("AccessDenied");
    pb_error_class class = pb_s3_classify(403, code);
    assert_true(class.hint[0]);
    assert_null(strstr(class.hint, "requestPayer"));
    pb_error_class anonymous = class;
    pb_s3_suggest_login(407, &anonymous);
    assert_string_equal(anonymous.hint, class.hint);
    pb_s3_suggest_login(403, &anonymous);
    assert_non_null(strstr(anonymous.hint, "anonymous=true"));
    pb_s3_suggest_paying(&class);
    assert_non_null(strstr(class.hint, "requestPayer=true"));
    class = pb_s3_classify(403, PB_SLICE_LITERAL("SignatureDoesNotMatch"));
    pb_s3_suggest_paying(&class);
    assert_null(strstr(class.hint, "requestPayer"));
    assert_int_equal(pb_s3_classify(407, PB_SLICE_LITERAL("")).kind, PB_ERROR_REFUSED);
    assert_non_null(strstr(pb_s3_classify(407, PB_SLICE_LITERAL("")).hint, "proxy"));
}

static void tells_the_story(void **state)
{
    (void)state;
    pb_error_answer failure = {
        .what = "PUT s3://bucket/key at https://host",
        .status = 403,
        .code = PB_SLICE_LITERAL("AccessDenied"),
        .message = PB_SLICE_LITERAL("Access\nDenied"),
        .request_id = PB_SLICE_LITERAL("R\x01"
                                       "1"),
    };
    pb_error error = {0};
    pb_error_answer_fill(&error, &failure, pb_s3_classify(403, failure.code));
    assert_int_equal(error.kind, PB_ERROR_FORBIDDEN);
    assert_int_equal(error.status, 403);
    assert_string_equal(error.code, "AccessDenied");
    assert_string_equal(error.request_id, "R?1");
    assert_string_equal(error.message,
                        "PUT s3://bucket/key at https://host: AccessDenied: Access?Denied");
    assert_true(error.hint[0]);

    failure.code = failure.message = failure.request_id = (pb_slice){NULL, 0};
    pb_error_answer_fill(&error, &failure, pb_s3_classify(404, failure.code));
    assert_string_equal(error.message, "PUT s3://bucket/key at https://host: HTTP status 403");
    assert_string_equal(error.code, "");
    assert_string_equal(error.hint, "");
}

static void tells_both_clocks(void **state)
{
    (void)state;
    pb_error_answer failure = {
        .what = "GET s3://bucket/key at https://host",
        .status = 403,
        .code = PB_SLICE_LITERAL("RequestTimeTooSkewed"),
        .our_now_ms = INT64_C(1795411249000),
        .store_now_ms = INT64_C(1795414849000),
    };
    pb_error error = {0};
    pb_error_class class = pb_s3_classify(403, failure.code);
    pb_error_answer_fill(&error, &failure, class);
    assert_non_null(strstr(error.hint, "Mon, 23 Nov 2026 05:20:49 GMT"));
    assert_non_null(strstr(error.hint, "Mon, 23 Nov 2026 06:20:49 GMT"));
    failure.store_now_ms = 0;
    pb_error_answer_fill(&error, &failure, class);
    assert_string_equal(error.hint, class.hint);
}

static void bears_long_texts(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text);
    pb_error_answer failure = {
        .what = "GET s3://bucket/key at https://host",
        .code = {text, sizeof text},
        .message = {text, sizeof text},
        .request_id = {text, sizeof text},
    };
    pb_error error = {0};
    pb_error_answer_fill(&error, &failure, pb_s3_classify(400, failure.code));
    assert_int_equal(strlen(error.code), sizeof error.code - 1);
    assert_int_equal(strlen(error.request_id), sizeof error.request_id - 1);
    assert_true(strlen(error.message) < 800);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classifies),
        cmocka_unit_test(knows_what_says_elsewhere),
        cmocka_unit_test(knows_what_asks_for_an_md5),
        cmocka_unit_test(thinks_of_who_pays),
        cmocka_unit_test(tells_the_story),
        cmocka_unit_test(tells_both_clocks),
        cmocka_unit_test(bears_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
