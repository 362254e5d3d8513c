/* Roles on their way into a server that has some of them. */
#include "cluster/role_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void on_write(void *context, const void *data, size_t size)
{
    pb_buffer_append(context, data, size);
}

static void expect(const char *script, const char *wanted)
{
    for (size_t step = 1; step <= 64; step *= 8) {
        pb_buffer text = {0};
        pb_role_filter *filter = pb_role_filter_new(on_write, &text);
        for (size_t at = 0, size = strlen(script); at < size; at += step)
            pb_role_filter_feed(filter, script + at, size - at < step ? size - at : step);
        pb_role_filter_end(filter);
        pb_role_filter_free(filter);
        assert_string_equal(text.data ? text.data : "", wanted);
        pb_buffer_free(&text);
    }
}

#define DO "DO $role$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '"

static void test_roles(void **state)
{
    (void)state;
    expect("", "");
    expect("SET x = 1;\nCREATE ROLE a;\nALTER ROLE a WITH LOGIN;\n",
           "SET x = 1;\n" DO
           "a') THEN CREATE ROLE a; END IF; END $role$;\nALTER ROLE a WITH LOGIN;\n");
    expect("CREATE ROLE \"o'b\"\"c\";\n",
           DO "o''b\"c') THEN CREATE ROLE \"o'b\"\"c\"; END IF; END $role$;\n");
    /* What it does not understand stays as it is. */
    expect("CREATE ROLE \"$role$\";\n", "CREATE ROLE \"$role$\";\n");
    expect("CREATE ROLE a", "CREATE ROLE a");
    /* Behind the first \connect there are no roles, but data that may look so. */
    expect("\\connect dex\nCREATE ROLE a;\n", "\\connect dex\nCREATE ROLE a;\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_roles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
