#include "copier/store/credentials/google_metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "copier/store/credentials/google_token.h"
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void the_token_is_asked_for_with_its_scope(void **state)
{
    (void)state;
    char *url = pb_google_metadata_token_url("127.0.0.1:8080", PB_GOOGLE_SCOPE_STORAGE);
    assert_string_equal(
        url, "http://127.0.0.1:8080/computeMetadata/v1/instance/service-accounts/default/token"
             "?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdevstorage.read_write");
    free(url);
}

static void a_host_is_a_host_and_a_port(void **state)
{
    (void)state;
    static const char *const good[] = {"metadata.google.internal", "127.0.0.1", "127.0.0.1:8080",
                                       "[::1]:80", PB_GOOGLE_METADATA_HOST};
    static const char *const bad[] = {"",    "http://h", "h/x", "h?x",       "h:", "h:0",
                                      "u@h", "h#x",      "h x", "h\r\nX: y", "h/", "[::1"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(pb_google_metadata_host_is_valid(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        if (pb_google_metadata_host_is_valid(bad[i]))
            fail_msg("valid: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_is_asked_for_with_its_scope),
        cmocka_unit_test(a_host_is_a_host_and_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
