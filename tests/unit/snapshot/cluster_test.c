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

static void explain(const pb_cluster_store *store, pb_error_kind kind, const char *says,
                    const char *hint)
{
    pb_error error = {0};
    pb_error_set(&error, kind, "no login");
    assert_int_equal(pb_cluster_store_explain(store, &error), -1);
    assert_int_equal(error.kind, kind);
    assert_non_null(strstr(error.message, "no login"));
    if (!strstr(error.message, says) || !strstr(error.hint, hint))
        fail_msg("%s; %s", error.message, error.hint);
    if (!*says)
        assert_string_equal(error.message, "no login");
}

static void a_secret_without_keys_is_explained(void **state)
{
    (void)state;
    pb_cluster_store google = {.url = "gs://prod", .is_own = true};
    pb_cluster_store amazon = {.url = "s3://prod", .is_own = true};
    explain(&google, PB_ERROR_USAGE, "workload identity", "GOOGLE_APPLICATION_CREDENTIALS");
    explain(&google, PB_ERROR_REFUSED, "found no GOOGLE_CRED", "docs/gke.md");
    explain(&amazon, PB_ERROR_USAGE, "a role", "docs/eks.md");
    pb_error error = {0};
    pb_error_set(&error, PB_ERROR_REFUSED, "too skewed");
    pb_error_hint(&error, "set the clock");
    pb_cluster_store_explain(&amazon, &error);
    assert_string_equal(error.hint, "set the clock");
    /* What has nothing to do with a login, or is not the cluster's own bucket, stays as it is. */
    explain(&google, PB_ERROR_NOT_FOUND, "", "");
    google.has_keys = true;
    explain(&google, PB_ERROR_USAGE, "", "");
    amazon.is_own = false;
    explain(&amazon, PB_ERROR_USAGE, "", "");
    explain(&(pb_cluster_store){.url = "file:///data", .is_own = true}, PB_ERROR_USAGE, "", "");
}

static void azure_is_refused_by_name(void **state)
{
    (void)state;
    static char url[] = "azblob://prod?sas=hush", backend[] = "MICROSOFT";
    pb_session session = {0};
    const pb_cluster_options options = {.name_space = "prod"};
    const pb_pachyderm pachyderm = {.storage_url = url, .storage_backend = backend};
    pb_cluster_store store;
    pb_error error = {0};
    assert_int_equal(pb_cluster_store_open(&session, &options, &pachyderm, NULL, &store, &error),
                     -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, "Azure Blob Storage (azblob://prod)"));
    assert_null(strstr(error.message, "hush"));
    /* A source that is named goes before it. */
    assert_int_equal(
        pb_cluster_store_open(&session, &options, &pachyderm, "s3://copy", &store, &error), 0);
    assert_false(store.is_own);
    pb_cluster_store_free(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_is_suspended_from_its_first_scaling),
        cmocka_unit_test(a_lease_alone_suspends_nothing),
        cmocka_unit_test(a_secret_without_keys_is_explained),
        cmocka_unit_test(azure_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
