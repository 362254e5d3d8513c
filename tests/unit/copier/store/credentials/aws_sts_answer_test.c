#include "copier/store/credentials/aws_sts_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define NOW_MS ((int64_t)1600000000000) /* 2020-09-13T12:26:40Z */
#define KEYS(end)                                                                                  \
    "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"                \
    "<SessionToken>T</SessionToken><Expiration>" end "</Expiration></Credentials>"

static void says_what_is_asked(void **state)
{
    (void)state;
    pb_buffer body = {0};
    pb_aws_sts_question question = {
        .role_arn = "arn:aws:iam::1:role/r",
        .session_name = "s",
        .external_id = "e&x",
        .duration_seconds = 900,
    };
    pb_aws_sts_body(&body, &question);
    assert_string_equal(body.data, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A"
                                   "%3A1%3Arole%2Fr&RoleSessionName=s&DurationSeconds=900"
                                   "&ExternalId=e%26x");
    pb_buffer_clear(&body);
    question = (pb_aws_sts_question){
        .role_arn = "a", .session_name = "s", .web_identity = PB_SLICE_LITERAL("t.o+k")};
    pb_aws_sts_body(&body, &question);
    assert_string_equal(body.data, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=a"
                                   "&RoleSessionName=s&WebIdentityToken=t.o%2Bk");
    pb_buffer_free(&body);
}

/* Computed by botocore.auth.SigV4Auth for the same request and time. */
static void signs_for_sts(void **state)
{
    (void)state;
    const pb_credential keys = {.access_key_id = (char *)"AKID",
                                .secret_access_key = (char *)"secret",
                                .session_token = (char *)"token"};
    pb_buffer lines = {0};
    unsigned count;
    pb_aws_sts_headers(&lines, PB_SLICE_LITERAL("Action=X"), "127.0.0.1:80", "eu-west-1", &keys,
                       NOW_MS, &count);
    assert_int_equal(count, 4);
    const char *line = lines.data;
    assert_string_equal(line, "Content-Type: application/x-www-form-urlencoded; charset=utf-8");
    line += strlen(line) + 1;
    assert_string_equal(line, "X-Amz-Date: 20200913T122640Z");
    line += strlen(line) + 1;
    assert_string_equal(line, "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20200913/eu-west-1/"
                              "sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;"
                              "x-amz-security-token, Signature="
                              "3bed1d29e879f52fc91da1cc42d809bb760557a39087bf6376703e3717419006");
    line += strlen(line) + 1;
    assert_string_equal(line, "X-Amz-Security-Token: token");
    pb_buffer_clear(&lines);
    pb_aws_sts_headers(&lines, PB_SLICE_LITERAL("Action=X"), "h", "r", NULL, NOW_MS, &count);
    assert_int_equal(count, 1);
    pb_buffer_free(&lines);
}

static void reads_keys(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
        "<AssumeRoleResult><AssumedRoleUser><Arn>x</Arn></AssumedRoleUser>" KEYS(
            "2020-09-13T12:26:41Z") "</AssumeRoleResult></AssumeRoleResponse>",
        "<?xml version=\"1.0\"?>\n<AssumeRoleWithWebIdentityResponse>"
        "<AssumeRoleWithWebIdentityResult>" KEYS(
            "2020-09-13T12:26:41Z") "</AssumeRoleWithWebIdentityResult></"
                                    "AssumeRoleWithWebIdentityResponse>",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_credential keys;
        pb_error error = {0};
        if (pb_aws_sts_read(200, pb_slice_of(cases[i]), NOW_MS, NULL, &keys, &error))
            fail_msg("case %zu: %s", i, error.message);
        assert_string_equal(keys.access_key_id, "A");
        assert_string_equal(keys.secret_access_key, "S");
        assert_string_equal(keys.session_token, "T");
        assert_int_equal(keys.expires_ms, NOW_MS + 1000);
        pb_credential_clear(&keys);
    }
}

static void explains_refusals(void **state)
{
    (void)state;
    static const char *const secrets[] = {"hunter2", NULL};
    static const struct {
        int status;
        const char *text;
        pb_error_kind kind;
        const char *says, *hint;
    } cases[] = {
        {403,
         "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized"
         " to perform sts:AssumeRole</Message></Error><RequestId>r</RequestId></ErrorResponse>",
         PB_ERROR_REFUSED, "AccessDenied: Not authorized", "trust policy"},
        {400,
         "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>your hunter2</Message>"
         "</Error></ErrorResponse>",
         PB_ERROR_REFUSED, "ExpiredTokenException: (not shown)", "renewed"},
        {400, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
         PB_ERROR_THROTTLED, "Throttling", ""},
        {400, "<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>",
         PB_ERROR_SERVER, "IDPCommunicationError", ""},
        {403, "<html>no</html>", PB_ERROR_REFUSED, "HTTP status 403", ""},
        {503, "", PB_ERROR_SERVER, "HTTP status 503", ""},
        {302, "", PB_ERROR_REFUSED, "redirect", ""},
        {200, "", PB_ERROR_SERVER, "not STS's XML", ""},
        {200, "<a/>", PB_ERROR_SERVER, "HTTP status 200", ""},
        {200, "<a><AssumeRoleResult>" KEYS("2020-09-13T12:26:40Z") "</AssumeRoleResult></a>",
         PB_ERROR_SERVER, "ended", ""},
        {200, "<a><AssumeRoleResult>" KEYS("never") "</AssumeRoleResult></a>", PB_ERROR_SERVER,
         "without keys", ""},
        {200, "<a><AssumeRoleResult/></a>", PB_ERROR_SERVER, "without keys", ""},
        {200,
         "<!DOCTYPE a [<!ENTITY e \"x\">]><a><AssumeRoleResult>" KEYS(
             "2020-09-13T12:26:41Z") "</AssumeRoleResult></a>",
         PB_ERROR_SERVER, "not STS's XML", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_credential keys;
        pb_error error = {0};
        if (!pb_aws_sts_read(cases[i].status, pb_slice_of(cases[i].text), NOW_MS, secrets, &keys,
                             &error))
            fail_msg("case %zu passes", i);
        if (error.kind != cases[i].kind || !strstr(error.message, cases[i].says) ||
            !strstr(error.hint, cases[i].hint) || strstr(error.message, "hunter2"))
            fail_msg("case %zu: %s (%s)", i, error.message, error.hint);
    }
}

static void bears_any_bytes(void **state)
{
    (void)state;
    static const char whole[] =
        "<a><AssumeRoleResult>" KEYS("2020-09-13T12:26:41Z") "</AssumeRoleResult></a>";
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        size_t size = (size_t)round % sizeof whole;
        char *text = malloc(size ? size : 1);
        assert_non_null(text);
        memcpy(text, whole, size);
        random = random * 1664525u + 1013904223u;
        if (size)
            text[(random >> 8) % size] = (char)(random >> 24);
        pb_credential keys = {0};
        pb_aws_sts_read(round & 1 ? 200 : 400, (pb_slice){text, size}, NOW_MS, NULL, &keys, NULL);
        pb_credential_clear(&keys);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_asked), cmocka_unit_test(signs_for_sts),
        cmocka_unit_test(reads_keys),         cmocka_unit_test(explains_refusals),
        cmocka_unit_test(bears_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
