/* The last line of a run that touched a cluster: somebody reads it at night, and acts on it. */
#include "cli/cluster_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SUSPENDED_MS = 1000 * (2 * 3600 + 13 * 60 + 4), RESUMED_MS = SUSPENDED_MS + 66000 };

static void assert_state(const pb_cluster_state *state, bool stays, const char *line,
                         const char *json)
{
    pb_buffer buffer = {0};
    pb_cluster_state_text(&buffer, state, stays);
    assert_string_equal(buffer.data, line);
    pb_buffer_free(&buffer);
    json_t *value = pb_cluster_state_json(state);
    char *text = json_dumps(value, JSON_COMPACT);
    assert_string_equal(text, json);
    free(text);
    json_decref(value);
}

static void one_that_was_suspended(void **state)
{
    (void)state;
    pb_cluster_state cluster = {PB_CLUSTER_RUNNING, "prod", SUSPENDED_MS, RESUMED_MS};
    assert_state(&cluster, false, "prod: suspended 02:13:04, running again 02:14:10 (66 s)",
                 "{\"namespace\":\"prod\",\"state\":\"running\","
                 "\"suspended\":\"1970-01-01T02:13:04.000Z\","
                 "\"resumed\":\"1970-01-01T02:14:10.000Z\"}");
    cluster = (pb_cluster_state){PB_CLUSTER_SUSPENDED, "prod", SUSPENDED_MS, 0};
    static const char json[] = "{\"namespace\":\"prod\",\"state\":\"suspended\","
                               "\"suspended\":\"1970-01-01T02:13:04.000Z\",\"resumed\":null}";
    assert_state(&cluster, false,
                 "prod: STILL SUSPENDED since 02:13:04: run pbcopy resume --namespace prod", json);
    assert_state(&cluster, true,
                 "prod: suspended 02:13:04: `pbcopy resume --namespace prod` brings it back", json);
    cluster.stand = PB_CLUSTER_TAKEN_OVER;
    assert_state(&cluster, false,
                 "prod: suspended 02:13:04, taken over by another run: `pbcopy doctor --namespace "
                 "prod` tells how it stands",
                 "{\"namespace\":\"prod\",\"state\":\"taken-over\","
                 "\"suspended\":\"1970-01-01T02:13:04.000Z\",\"resumed\":null}");
}

static void one_that_was_not(void **state)
{
    (void)state;
    pb_cluster_state cluster = {PB_CLUSTER_RUNNING, "prod", 0, 0};
    assert_state(&cluster, false, "prod: was not suspended: nothing was scaled down",
                 "{\"namespace\":\"prod\",\"state\":\"running\",\"suspended\":null,"
                 "\"resumed\":null}");
    cluster.stand = PB_CLUSTER_LOCKED;
    assert_state(&cluster, false,
                 "prod: was not suspended: nothing was scaled down, but ConfigMap "
                 "pbcopy-suspension is left: run pbcopy resume --namespace prod",
                 "{\"namespace\":\"prod\",\"state\":\"locked\",\"suspended\":null,"
                 "\"resumed\":null}");
    pb_cluster_state up = {PB_CLUSTER_LOCKED, "prod", 1000, 66000};
    assert_state(&up, false,
                 "prod: suspended 00:00:01, running again 00:01:06 (65 s), but ConfigMap "
                 "pbcopy-suspension is left: run pbcopy resume --namespace prod",
                 "{\"namespace\":\"prod\",\"state\":\"locked\",\"suspended\":"
                 "\"1970-01-01T00:00:01.000Z\",\"resumed\":\"1970-01-01T00:01:06.000Z\"}");
    cluster.stand = PB_CLUSTER_TAKEN_OVER;
    assert_state(&cluster, false,
                 "prod: taken over by another run: `pbcopy doctor --namespace prod` tells how it "
                 "stands",
                 "{\"namespace\":\"prod\",\"state\":\"taken-over\",\"suspended\":null,"
                 "\"resumed\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_was_suspended),
        cmocka_unit_test(one_that_was_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
