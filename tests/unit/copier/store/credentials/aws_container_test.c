#include "copier/store/credentials/aws_container.h"

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
        {{{0}}, NULL},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:80/a?b=c"}},
         "http://127.0.0.1:80/a?b=c"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.9.8.7/"}}, "http://127.9.8.7/"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x"}}, "http://localhost/x"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[::1]:5/"}}, "http://[::1]:5/"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.2/v2"}},
         "http://169.254.170.2/v2"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"}},
         "http://169.254.170.23/v1/credentials"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::23]/v1/credentials"}},
         "http://[fd00:ec2::23]/v1/credentials"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://anywhere.example/x"}},
         "https://anywhere.example/x"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://[::2]/"}}, "https://[::2]/"},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.evil.example/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1@evil.example/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example\\@127.0.0.1/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.169.254/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[::1].evil.example/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[::1]evil.example/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost.evil/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "ftp://127.0.0.1/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "127.0.0.1"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "https:///x"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/ x"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://u@h/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[::1"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.1/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"}}, "http://169.254.170.2/v2/x"},
        {{{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"},
          {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/"}},
         "http://169.254.170.2/v2/x"},
        {{{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/"}}, ""},
        {{{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/a b"}}, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const pb_environment environment = {.variable = look_up,
                                            .context = (void *)cases[i].settings};
        char *url = NULL;
        pb_error error = {0};
        int failed = pb_aws_container_url(&environment, &url, &error);
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
