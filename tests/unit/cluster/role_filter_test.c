#include "cluster/role_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka wants the headers above first. */
#include <cmocka.h>

static void note(void *context, const void *data, size_t size)
{
    pb_buffer_append(context, data, size);
}

static void expect(const char *script, const char *filtered)
{
    size_t size = strlen(script);
    static const size_t pieces[] = {1, 2, 5, 1 << 20};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        pb_buffer text = {0};
        pb_role_filter *filter = pb_role_filter_new(note, &text);
        for (size_t at = 0; at < size; at += pieces[i])
            pb_role_filter_feed(filter, script + at, size - at < pieces[i] ? size - at : pieces[i]);
        pb_role_filter_end(filter);
        pb_role_filter_free(filter);
        assert_string_equal(text.data ? text.data : "", filtered);
        pb_buffer_free(&text);
    }
}

#define IF(literal, name)                                                                          \
    "DO $role$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '" literal     \
    "') THEN CREATE ROLE " name "; END IF; END $role$;\n"

static void test_roles(void **state)
{
    (void)state;
    expect("SET a = 1;\nCREATE ROLE pachyderm;\nALTER ROLE pachyderm WITH LOGIN;\n",
           "SET a = 1;\n" IF("pachyderm", "pachyderm") "ALTER ROLE pachyderm WITH LOGIN;\n");
    expect("CREATE ROLE \"a \"\"b\"\" 'c'\";\n", IF("a \"b\" ''c''", "\"a \"\"b\"\" 'c'\""));
}

static void test_what_is_none(void **state)
{
    (void)state;
    static const char *const same[] = {
        "",
        "\n",
        "CREATE ROLE ;\n",
        "CREATE ROLE a",
        "-- CREATE ROLE a;\n",
        " CREATE ROLE a;\n",
        "CREATE ROLES a;\n",
        "\\connect pachyderm\nCOPY a (b) FROM stdin;\nCREATE ROLE a;\n\\.\n",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        expect(same[i], same[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
