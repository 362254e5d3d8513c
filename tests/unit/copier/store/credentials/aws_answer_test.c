#include "copier/store/credentials/aws_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define NOW_MS ((int64_t)1600000000000) /* 2020-09-13T12:26:40Z */

static void reads_each_form(void **state)
{
    (void)state;
    static const struct {
        pb_aws_answer_form form;
        const char *text, *token;
        int64_t expires_ms;
    } cases[] = {
        {PB_AWS_ANSWER_ENDPOINT,
         "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
         "\"Expiration\":\"2020-09-13T12:26:41Z\",\"Type\":\"AWS-HMAC\"}",
         "T", NOW_MS + 1000},
        {PB_AWS_ANSWER_ENDPOINT, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}", NULL, 0},
        {PB_AWS_ANSWER_PROCESS,
         "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"SessionToken\":\"T\"}",
         "T", 0},
        {PB_AWS_ANSWER_PROCESS,
         "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"SessionToken\":\"\"}",
         NULL, 0},
        {PB_AWS_ANSWER_SSO,
         "{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"S\","
         "\"sessionToken\":\"T\",\"expiration\":1600000001000}}",
         "T", NOW_MS + 1000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_credential keys;
        pb_error error = {0};
        if (pb_aws_answer_read(pb_slice_of(cases[i].text), cases[i].form, NOW_MS, &keys, &error))
            fail_msg("case %zu: %s", i, error.message);
        assert_string_equal(keys.access_key_id, "A");
        assert_string_equal(keys.secret_access_key, "S");
        if (cases[i].token)
            assert_string_equal(keys.session_token, cases[i].token);
        else
            assert_null(keys.session_token);
        assert_int_equal(keys.expires_ms, cases[i].expires_ms);
        pb_credential_clear(&keys);
    }
}

static void refuses_what_is_none(void **state)
{
    (void)state;
    static const struct {
        pb_aws_answer_form form;
        const char *text;
        pb_error_kind kind;
    } cases[] = {
        {PB_AWS_ANSWER_ENDPOINT, "", PB_ERROR_SERVER},
        {PB_AWS_ANSWER_ENDPOINT, "hunter2", PB_ERROR_SERVER},
        {PB_AWS_ANSWER_ENDPOINT, "{\"a\":hunter2}", PB_ERROR_SERVER},
        {PB_AWS_ANSWER_ENDPOINT, "[]", PB_ERROR_SERVER},
        {PB_AWS_ANSWER_ENDPOINT, "{\"AccessKeyId\":\"A\"}", PB_ERROR_SERVER},
        {PB_AWS_ANSWER_ENDPOINT, "{\"Code\":\"Failed\",\"AccessKeyId\":\"A\"}", PB_ERROR_REFUSED},
        {PB_AWS_ANSWER_ENDPOINT,
         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hunter2\",\"Expiration\":\"soon\"}",
         PB_ERROR_SERVER},
        {PB_AWS_ANSWER_ENDPOINT,
         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hunter2\","
         "\"Expiration\":\"2020-09-13T12:26:40Z\"}",
         PB_ERROR_SERVER},
        {PB_AWS_ANSWER_ENDPOINT, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hunter2\\r\\nx\"}",
         PB_ERROR_SERVER},
        {PB_AWS_ANSWER_ENDPOINT,
         "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hunter2\",\"Token\":7}", PB_ERROR_SERVER},
        {PB_AWS_ANSWER_PROCESS, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hunter2\"}",
         PB_ERROR_SERVER},
        {PB_AWS_ANSWER_PROCESS,
         "{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hunter2\"}", PB_ERROR_SERVER},
        {PB_AWS_ANSWER_SSO, "{\"roleCredentials\":7}", PB_ERROR_SERVER},
        {PB_AWS_ANSWER_SSO,
         "{\"roleCredentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"hunter2\"}}",
         PB_ERROR_SERVER},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_credential keys;
        pb_error error = {0};
        if (!pb_aws_answer_read(pb_slice_of(cases[i].text), cases[i].form, NOW_MS, &keys, &error))
            fail_msg("case %zu passes", i);
        if (error.kind != cases[i].kind || strstr(error.message, "hunter2"))
            fail_msg("case %zu: %s", i, error.message);
    }
}

static void bears_a_megabyte_of_nesting(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, '[', SIZE);
    memcpy(text, "{\"a\":", 5);
    for (size_t size = SIZE; size > 1; size /= 4)
        assert_int_equal(pb_aws_answer_read((pb_slice){text, size}, PB_AWS_ANSWER_ENDPOINT, NOW_MS,
                                            &(pb_credential){0}, NULL),
                         -1);
    free(text);
}

static void tells_what_a_status_means(void **state)
{
    (void)state;
    static const char *const secrets[] = {"hunter2", NULL};
    static const struct {
        int status;
        const char *body;
        pb_error_kind kind;
        const char *says;
    } cases[] = {
        {302, "", PB_ERROR_REFUSED, "redirect"},
        {401, "", PB_ERROR_REFUSED, "HTTP status 401"},
        {403, "{\"message\":\"No access\"}", PB_ERROR_REFUSED, "No access"},
        {403, "{\"message\":\"hunter2\",\"code\":\"C\"}", PB_ERROR_REFUSED, "403: C"},
        {403, "{\"message\":\"a\\u0007b\"}", PB_ERROR_REFUSED, "403"},
        {429, "", PB_ERROR_THROTTLED, "429"},
        {500, "<html>", PB_ERROR_SERVER, "500"},
        {204, "", PB_ERROR_SERVER, "204"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_error error = {0};
        assert_int_equal(pb_aws_answer_refused("x", cases[i].status, pb_slice_of(cases[i].body),
                                               secrets, &error),
                         -1);
        if (error.kind != cases[i].kind || !strstr(error.message, cases[i].says) ||
            strstr(error.message, "hunter2"))
            fail_msg("case %zu: %s", i, error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_each_form),
        cmocka_unit_test(refuses_what_is_none),
        cmocka_unit_test(bears_a_megabyte_of_nesting),
        cmocka_unit_test(tells_what_a_status_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
