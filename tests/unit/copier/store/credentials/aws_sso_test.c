#include "copier/store/credentials/aws_sso.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define NOW_MS ((int64_t)1600000000000) /* 2020-09-13T12:26:40Z */

static void names_the_cached_token(void **state)
{
    (void)state;
    /* echo -n my-sso | sha1sum */
    char *path = pb_aws_sso_cache_path("/home/u", "my-sso");
    assert_string_equal(path,
                        "/home/u/.aws/sso/cache/0ad374308c5a4e22f723adf10145eafad7c4031c.json");
    free(path);
}

static void reads_the_cached_token(void **state)
{
    (void)state;
    static const struct {
        const char *text, *token, *says;
    } cases[] = {
        {"{\"accessToken\":\"T\",\"expiresAt\":\"2020-09-13T12:26:41Z\",\"region\":\"r\"}", "T",
         ""},
        {"{\"accessToken\":\"T\",\"expiresAt\":\"2020-09-13T12:26:41UTC\"}", "T", ""},
        {"{\"accessToken\":\"hunter2\",\"expiresAt\":\"2020-09-13T12:26:40Z\"}", NULL, "ended"},
        {"{\"accessToken\":\"hunter2\",\"expiresAt\":\"never\"}", NULL, "no token"},
        {"{\"accessToken\":\"hunter2\"}", NULL, "no token"},
        {"{\"accessToken\":\"hunter2 x\",\"expiresAt\":\"2020-09-13T12:26:41Z\"}", NULL,
         "no token"},
        {"{\"accessToken\":hunter2}", NULL, "no JSON"},
        {"", NULL, "no JSON"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_buffer token = {0};
        pb_error error = {0};
        int failed = pb_aws_sso_token_read(pb_slice_of(cases[i].text), NOW_MS, &token, &error);
        assert_int_equal(failed != 0, cases[i].token == NULL);
        if (!failed)
            assert_string_equal(token.data, cases[i].token);
        else if (error.kind != PB_ERROR_USAGE || !strstr(error.message, cases[i].says) ||
                 strstr(error.message, "hunter2"))
            fail_msg("case %zu: %s", i, error.message);
        pb_buffer_free(&token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_cached_token),
        cmocka_unit_test(reads_the_cached_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
