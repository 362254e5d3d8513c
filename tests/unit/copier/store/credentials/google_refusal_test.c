/* pb_google_answer_explain of google_token.h. */
#include "copier/store/credentials/google_token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *const secrets[] = {"1//0refresh-token-of-somebody", "short", NULL};

static pb_error explain(int status, const char *location, const char *body)
{
    const pb_google_answer answer = {
        .status = status,
        .location = location,
        .body = pb_slice_of(body),
        .secrets = secrets,
    };
    pb_error error = {0};
    assert_int_equal(pb_google_answer_explain(&answer, &error), -1);
    assert_int_equal(error.status, status);
    return error;
}

static void refusals_are_told_in_their_words(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body, *message, *code, *hint;
        pb_error_kind kind;
    } cases[] = {
        {400, "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT Signature.\"}",
         "400 invalid_grant: Invalid JWT Signature.", "invalid_grant", "clock", PB_ERROR_REFUSED},
        {401, "{\"error\":\"invalid_client\"}", "401 invalid_client", "invalid_client", "client",
         PB_ERROR_REFUSED},
        {403,
         "{\"error\":{\"code\":403,\"message\":\"Permission denied\",\"status\":"
         "\"PERMISSION_DENIED\"}}",
         "403 PERMISSION_DENIED: Permission denied", "PERMISSION_DENIED",
         "serviceAccountTokenCreator", PB_ERROR_REFUSED},
        {403, "no identity for this pod\n", "403: no identity for this pod?", "", "",
         PB_ERROR_REFUSED},
        {404, "<html>not here</html>", "404", "", "", PB_ERROR_REFUSED},
        {400, "", "400", "", "", PB_ERROR_REFUSED},
        {400, "{\"error\":7,\"error_description\":[]}", "400", "", "", PB_ERROR_REFUSED},
        {400, "{\"error\":\"server_error\"}", "400 server_error", "server_error", "",
         PB_ERROR_SERVER},
        {429, "{\"error\":\"rate\"}", "429 rate", "rate", "", PB_ERROR_THROTTLED},
        {408, "", "408", "", "", PB_ERROR_SERVER},
        {500, "{\"error\":\"invalid_grant\"}", "500 invalid_grant", "invalid_grant", "",
         PB_ERROR_SERVER},
        {503, "busy", "503: busy", "", "", PB_ERROR_SERVER},
        {400, "{\"error\":\"a\\u001b[31m\\nb\"}", "400 a?[31m?b", "a?[31m?b", "", PB_ERROR_REFUSED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_error error = explain(cases[i].status, "", cases[i].body);
        assert_int_equal(error.kind, cases[i].kind);
        assert_string_equal(error.message, cases[i].message);
        assert_string_equal(error.code, cases[i].code);
        assert_non_null(strstr(error.hint, cases[i].hint));
    }
}

static void what_was_sent_is_never_repeated(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"error\":\"invalid_grant\",\"error_description\":\"bad 1//0refresh-token-of-somebody\"}",
        "{\"error\":\"invalid_grant\",\"error_description\":\"bad 0refresh-token\"}",
        "{\"error\":\"invalid_grant\",\"error_description\":\"it is short.\"}",
        "{\"error\":{\"status\":\"invalid_grant\",\"message\":\"token-of-somebody\"}}",
    };
    for (size_t i = 0; i < COUNT(bodies); i++)
        assert_string_equal(explain(400, "", bodies[i]).message, "400 invalid_grant");
    assert_string_equal(explain(400, "", "1//0refresh-token-of-somebody?").message, "400");
    assert_string_equal(explain(400, "", "{\"error\":\"token-of-somebody\"}").message, "400");
    /* Eleven bytes are a word. */
    assert_string_equal(explain(400, "", "resh-token-").message, "400: resh-token-");
}

static void redirects_are_refused(void **state)
{
    (void)state;
    pb_error error = explain(302, "https://evil.example/token?a=b", "");
    assert_int_equal(error.kind, PB_ERROR_REFUSED);
    assert_string_equal(error.message, "a redirect (302) to evil.example, which is not followed");
    error = explain(307, "https://x/1//0refresh-token-of-somebody", "");
    assert_string_equal(error.message, "a redirect (307) to x, which is not followed");
    error = explain(307, "https://1.0refresh-token-of-somebody.evil/", "");
    assert_string_equal(error.message, "a redirect (307), which is not followed");
    error = explain(301, "/token", "{\"error\":\"x\"}");
    assert_string_equal(error.message, "a redirect (301), which is not followed");
    error = explain(300, "", "");
    assert_int_equal(error.kind, PB_ERROR_REFUSED);
}

static void a_long_description_is_cut(void **state)
{
    (void)state;
    pb_buffer body = {0};
    pb_buffer_append_text(&body, "{\"error\":\"x\",\"error_description\":\"");
    for (int i = 0; i < 100000; i++)
        pb_buffer_append_text(&body, "\xc3\xa9");
    pb_buffer_append_text(&body, "\"}");
    pb_error error = explain(400, "", body.data);
    assert_true(strlen(error.message) < 400);
    pb_buffer_free(&body);
    /* A megabyte of nesting is no reason that is shown. */
    char *nested = pb_allocate(1024 * 1024 + 1);
    memset(nested, '[', 1024 * 1024);
    nested[1024 * 1024] = '\0';
    assert_string_equal(explain(400, "", nested).message, "400");
    free(nested);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_are_told_in_their_words),
        cmocka_unit_test(what_was_sent_is_never_repeated),
        cmocka_unit_test(redirects_are_refused),
        cmocka_unit_test(a_long_description_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
