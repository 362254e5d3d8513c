/* Which pods are made to end sooner. That they are is tested on a real API server. */
#include "cluster/suspension/grace.h"

#include "cluster/kubernetes/object.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static json_t *json_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static void only_what_ends_too_slowly_is_chosen(void **state)
{
    (void)state;
    json_t *pods =
        json_of("[{\"metadata\":{\"name\":\"lives\",\"uid\":\"1\"}},"
                "{\"metadata\":{\"name\":\"slow\",\"uid\":\"2\",\"deletionTimestamp\":\"t\","
                "\"deletionGracePeriodSeconds\":30}},"
                "{\"metadata\":{\"name\":\"asked\",\"uid\":\"3\",\"deletionTimestamp\":\"t\","
                "\"deletionGracePeriodSeconds\":30}},"
                "{\"metadata\":{\"name\":\"quick\",\"uid\":\"4\",\"deletionTimestamp\":\"t\","
                "\"deletionGracePeriodSeconds\":5}},"
                "{\"metadata\":{\"name\":\"damaged\",\"uid\":\"5\",\"deletionTimestamp\":\"t\","
                "\"deletionGracePeriodSeconds\":\"30\"}}, 7]");
    json_t *asked = json_of("{\"3\":true}");
    json_t *chosen = pb_grace_choose(pods, 5, asked);
    assert_int_equal(json_array_size(chosen), 1);
    assert_string_equal(pb_object_name(json_array_get(chosen, 0)), "slow");
    json_decref(chosen);
    chosen = pb_grace_choose(pods, 4, asked);
    assert_int_equal(json_array_size(chosen), 2);
    json_decref(chosen);
    json_decref(asked);
    json_decref(pods);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_ends_too_slowly_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
