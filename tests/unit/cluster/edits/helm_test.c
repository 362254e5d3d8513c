#include "cluster/edits/helm.h"

#include "base/bytes.h"
#include "cluster/edits/edits.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/quoted_json.h"
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void what_stores_a_release(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        bool is_release;
    } cases[] = {
        {"{'kind':'Secret','type':'helm.sh/release.v1','metadata':{'name':'x'}}", true},
        {"{'kind':'Secret','type':'helm.sh/release.v2','metadata':{'name':'x'}}", true},
        {"{'kind':'ConfigMap','metadata':{'name':'sh.helm.release.v1.pach.v3','labels':"
         "{'owner':'helm'}}}",
         true},
        {"{'kind':'Secret','metadata':{'name':'sh.helm.release.v1.pach.v3','labels':"
         "{'owner':'helm'}}}",
         true},
        /* Damaged ones: neither payload nor anything else of them is looked at. */
        {"{'kind':'Secret','type':'helm.sh/release.v1','metadata':{'name':'x'},'data':7}", true},
        {"{'kind':'Secret','type':'helm.sh/release.v1','data':{'release':'%%%'}}", true},
        {"{'kind':'ConfigMap','metadata':{'name':'sh.helm.release.v1.pach.v3'}}", false},
        {"{'kind':'ConfigMap','metadata':{'name':'x','labels':{'owner':'helm'}}}", false},
        {"{'kind':'ConfigMap','type':'helm.sh/release.v1','metadata':{'name':'x'}}", false},
        {"{'kind':'Service','metadata':{'name':'sh.helm.release.v1.x','labels':"
         "{'owner':'helm'}}}",
         false},
        {"{'kind':'Secret','type':7,'metadata':{'name':[],'labels':'helm'}}", false},
        {"{'kind':'Secret','type':'Opaque','metadata':{'name':'x'}}", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *object = json(cases[i].object);
        if (pb_helm_is_release(object) != cases[i].is_release)
            fail_msg("%s", cases[i].object);
        json_decref(object);
    }
    assert_false(pb_helm_is_release(NULL));
}

static void nothing_belongs_to_it_any_more(void **state)
{
    (void)state;
    json_t *objects = json(
        "[{'kind':'Secret','type':'helm.sh/release.v1','metadata':{'name':'a'}},"
        "{'kind':'Service','metadata':{'name':'b','labels':{'app.kubernetes.io/managed-by':'Helm',"
        "'app':'b'},'annotations':{'meta.helm.sh/release-name':'pach',"
        "'meta.helm.sh/release-namespace':'old','kept':'1'}}},"
        "{'kind':'Service','metadata':{'name':'c','labels':{'app.kubernetes.io/managed-by':'Helm'},"
        "'annotations':{'meta.helm.sh/release-name':'pach'}}},"
        "{'kind':'Service','metadata':{'name':'d','labels':{'app.kubernetes.io/managed-by':"
        "'someone'},'annotations':{}}},"
        "7,{'kind':'Service','metadata':7},{'kind':'ConfigMap','metadata':{'name':"
        "'sh.helm.release.v1.x','labels':{'owner':'helm'}}}]");
    json_t *wanted =
        json("[{'kind':'Service','metadata':{'name':'b','labels':{'app':'b'},'annotations':"
             "{'kept':'1'}}},{'kind':'Service','metadata':{'name':'c'}},"
             "{'kind':'Service','metadata':{'name':'d','labels':{'app.kubernetes.io/managed-by':"
             "'someone'}}},7,{'kind':'Service','metadata':7}]");
    assert_int_equal(pb_helm_count(objects), 4);
    pb_helm_remove(objects);
    assert_int_equal(pb_helm_count(objects), 0);
    if (!json_equal(objects, wanted)) {
        char *text = json_dumps(objects, 0);
        fail_msg("%s", text);
    }
    json_decref(objects);
    json_decref(wanted);
}

/* A cluster of 2.11: the secret names a bucket that pachd does not read. */
static const char cluster[] =
    "[{'apiVersion':'v1','kind':'Secret','type':'helm.sh/release.v1','metadata':{'name':'r',"
    "'namespace':'old'},'data':{'release':'%%% no Base64, and names old.svc'}},"
    "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'pachyderm-storage-secret',"
    "'namespace':'old'},'data':{'AMAZON_BUCKET':'c3RhbGU='}},"
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'pachd','namespace':'old',"
    "'annotations':{'meta.helm.sh/release-name':'r'}},'spec':{'template':{'spec':{'containers':"
    "[{'name':'pachd','image':'x','env':[{'name':'STORAGE_URL','value':"
    "'s3://live?endpoint=rgw:8080&region=r'},{'name':'POSTGRES_HOST','value':'db'},"
    "{'name':'POSTGRES_PORT','value':'5432'}]}]}}}},"
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'cloudsql-auth-proxy',"
    "'namespace':'old'},'spec':{'template':{'spec':{'containers':[{'name':'p','args':"
    "['-instances=p:r:i=tcp:0.0.0.0:5432']}]}}}}]";

static void it_stays_where_nothing_moves(void **state)
{
    (void)state;
    static const struct {
        pb_edits edits;
        size_t left;
    } cases[] = {
        {{.name_space = "old"}, 2},
        {{.name_space = "new"}, 0},
        {{.name_space = "old", .bucket = "s3://live"}, 2},
        {{.name_space = "old", .bucket = "s3://live?region=r&endpoint=rgw%3A8080"}, 2},
        {{.name_space = "old", .bucket = "s3://live?endpoint=rgw:8080"}, 2},
        {{.name_space = "old", .bucket = "s3://live?endpoint=https://rgw:8080&region=q"}, 2},
        {{.name_space = "old", .bucket = "s3://live?endpoint=rgw:8080&disableSSL=true"}, 0},
        {{.name_space = "old", .bucket = "s3://live?region=r"}, 0},
        {{.name_space = "old", .bucket = "s3://live?endpoint=other:8080&region=r"}, 0},
        {{.name_space = "old", .bucket = "s3://other"}, 0},
        {{.name_space = "old", .bucket = "gs://live"}, 0},
        {{.name_space = "old", .database_host = "db"}, 2},
        {{.name_space = "old", .database_host = "db:5432"}, 2},
        {{.name_space = "old", .database_host = "db:5433"}, 0},
        {{.name_space = "old", .database_host = "other"}, 0},
        {{.name_space = "old", .cloudsql_instance = "p:r:i"}, 2},
        {{.name_space = "old", .cloudsql_instance = "p:r:j"}, 0},
        {{.name_space = "old", .image_registry = "mirror"}, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *objects = json(cluster);
        json_t *release = json_incref(json_array_get(objects, 0)), *was = json_deep_copy(release);
        pb_edits edits = cases[i].edits;
        pb_error error = {0};
        edits.old_name_space = "old";
        if (pb_edits_apply(&edits, "2.11.4", objects, &error))
            fail_msg("case %zu: %s", i, error.message);
        if (pb_helm_count(objects) != cases[i].left)
            fail_msg("case %zu", i);
        if (cases[i].left)
            assert_true(json_equal(release, was));
        json_decref(release);
        json_decref(was);
        json_decref(objects);
    }
}

/* Up to 2.8 the secret counts. */
static void the_secrets_bucket_counts_where_it_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *bucket, *version;
        size_t left;
    } cases[] = {
        {"s3://stale", "2.8.5", 2},
        {"s3://stale2", "2.8.5", 0},
        {"s3://stale?endpoint=other:1", "2.8.5", 0},
        {"s3://live", "2.11.0", 2},
        {"s3://live", "2.9.0", 0}, /* either may be read */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *objects = json(cluster);
        pb_edits edits = {.bucket = cases[i].bucket};
        pb_error error = {0};
        assert_int_equal(pb_edits_apply(&edits, cases[i].version, objects, &error), 0);
        if (pb_helm_count(objects) != cases[i].left)
            fail_msg("case %zu", i);
        json_decref(objects);
    }
}

/* What is left out is told by its name alone. */
static void a_huge_one_is_only_left_out(void **state)
{
    (void)state;
    enum { HUGE_BYTES = 16 * 1024 * 1024 };
    char *payload = malloc(HUGE_BYTES);
    assert_non_null(payload);
    memset(payload, 'A', HUGE_BYTES);
    json_t *objects = json(cluster), *release = json_array_get(objects, 0);
    json_object_set_new(json_object_get(release, "data"), "release",
                        json_stringn(payload, HUGE_BYTES));
    json_t *before = json_copy(objects);
    pb_edits edits = {.name_space = "new", .old_name_space = "old"};
    pb_error error = {0};
    pb_buffer text = {0};
    assert_int_equal(pb_edits_apply(&edits, "2.11.4", objects, &error), 0);
    pb_edits_diff(before, objects, &text);
    assert_non_null(strstr(text.data, "Secret/r: left out\n"));
    assert_null(strstr(text.data, "AAAA"));
    assert_true(text.size < 4096);
    pb_buffer_free(&text);
    json_decref(before);
    json_decref(objects);
    free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stores_a_release),
        cmocka_unit_test(nothing_belongs_to_it_any_more),
        cmocka_unit_test(it_stays_where_nothing_moves),
        cmocka_unit_test(the_secrets_bucket_counts_where_it_is_read),
        cmocka_unit_test(a_huge_one_is_only_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
