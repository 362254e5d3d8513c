#include "copier/store/credentials/aws_metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

typedef struct setting {
    const char *name, *value;
} setting;

static const char *look_up(void *context, const char *name)
{
    for (const setting *at = context; at->name; at++)
        if (strcmp(at->name, name) == 0)
            return at->value;
    return NULL;
}

static void finds_the_address(void **state)
{
    (void)state;
    static const struct {
        setting settings[3];
        const char *url; /* NULL: none; "": refused */
    } cases[] = {
        {{{0}}, "http://169.254.169.254"},
        {{{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6"}}, "http://[fd00:ec2::254]"},
        {{{"AWS_EC2_METADATA_DISABLED", "true"}}, NULL},
        {{{"AWS_EC2_METADATA_DISABLED", "TRUE"},
          {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"}},
         NULL},
        {{{"AWS_EC2_METADATA_DISABLED", "false"}}, "http://169.254.169.254"},
        {{{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/"}}, "http://127.0.0.1:1"},
        {{{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"}}, "http://127.0.0.1:1"},
        {{{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "127.0.0.1"}}, ""},
        {{{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"}}, ""},
        {{{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://a/b"}}, ""},
        {{{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://a@b"}}, ""},
        {{{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://a b"}}, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const pb_environment environment = {.variable = look_up,
                                            .context = (void *)cases[i].settings};
        char *url = NULL;
        pb_error error = {0};
        int failed = pb_aws_metadata_url(&environment, &url, &error);
        bool refused = cases[i].url && !cases[i].url[0];
        if ((failed != 0) != refused || (!url) != (!cases[i].url || refused) ||
            (url && strcmp(url, cases[i].url) != 0))
            fail_msg("case %zu: %s, %s", i, url ? url : "none", error.message);
        if (refused)
            assert_int_equal(error.kind, PB_ERROR_USAGE);
        free(url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_the_address)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
