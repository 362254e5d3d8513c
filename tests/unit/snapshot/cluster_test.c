/* What a session notes of a suspension. */
#include "snapshot/cluster.h"
#include "snapshot/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static pb_cluster_state noted(const pb_suspension *suspension)
{
    pb_session session = {0};
    pb_cluster_note_suspended(&session, &(pb_cluster_options){.name_space = "prod"}, suspension);
    return session.cluster;
}

static void a_cluster_is_suspended_from_its_first_scaling(void **state)
{
    (void)state;
    char holder[] = "20261123T052049Z-3f9a";
    pb_suspension suspension = {.holder = holder, .started_ms = 1000, .scaled_ms = 5000};
    pb_cluster_state cluster = noted(&suspension);
    assert_int_equal(cluster.stand, PB_CLUSTER_SUSPENDED);
    assert_int_equal(cluster.suspended_ms, 5000);
    assert_string_equal(cluster.name_space, "prod");
}

static void a_lease_alone_suspends_nothing(void **state)
{
    (void)state;
    char holder[] = "20261123T052049Z-3f9a";
    pb_suspension suspension = {.holder = holder, .started_ms = 1000}, none = {0};
    pb_cluster_state cluster = noted(&suspension);
    assert_int_equal(cluster.stand, PB_CLUSTER_LOCKED);
    assert_int_equal(cluster.suspended_ms, 0);
    assert_int_equal(noted(&none).stand, PB_CLUSTER_UNTOUCHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_is_suspended_from_its_first_scaling),
        cmocka_unit_test(a_lease_alone_suspends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
