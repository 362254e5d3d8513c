/* What Pachyderm's objects look like: the chart's, pachd's own, and those of others beside them. */
#include "cluster/pachyderm/layout.h"

#include "tests/support/quoted_json.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* ---- the parts ---- */

static void what_an_object_belongs_to(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        pb_component component;
    } cases[] = {
        {"{'metadata':{'name':'x','labels':{'app':'pachd'}}}", PB_COMPONENT_PACHD},
        {"{'metadata':{'name':'x','labels':{'app':'pachw'}}}", PB_COMPONENT_PACHW},
        {"{'metadata':{'name':'pachd'}}", PB_COMPONENT_PACHD},
        {"{'metadata':{'name':'pach-enterprise','labels':{'suite':'pachyderm'}}}",
         PB_COMPONENT_ENTERPRISE},
        {"{'metadata':{'name':'pg-bouncer'}}", PB_COMPONENT_BOUNCER},
        {"{'metadata':{'name':'cloudsql-auth-proxy'}}", PB_COMPONENT_CLOUDSQL_PROXY},
        /* The label says what it is, not the name. */
        {"{'metadata':{'name':'pachd','labels':{'app':'mine'}}}", PB_COMPONENT_NONE},
        {"{'metadata':{'name':'pachw','labels':{'app':'pachd'}}}", PB_COMPONENT_PACHD},
        {"{'metadata':{'name':'pachd-peer'}}", PB_COMPONENT_NONE},
        {"{'metadata':{'name':'console','labels':{'app':'console','suite':'pachyderm'}}}",
         PB_COMPONENT_NONE},
        /* Workers: of a pipeline's second Service only the pipeline's name tells. */
        {"{'metadata':{'name':'default-edges-v1','labels':{'app':'default-edges-v1','suite':"
         "'pachyderm','component':'worker','pipelineName':'edges'}}}",
         PB_COMPONENT_WORKER},
        {"{'metadata':{'labels':{'suite':'pachyderm','component':'worker'}}}", PB_COMPONENT_WORKER},
        {"{'metadata':{'labels':{'suite':'pachyderm','pipelineName':'edges'}}}",
         PB_COMPONENT_WORKER},
        {"{'metadata':{'labels':{'component':'worker'}}}", PB_COMPONENT_NONE},
        {"{'metadata':{'labels':{'pipelineName':'edges','suite':'other'}}}", PB_COMPONENT_NONE},
        {"{'metadata':{'labels':{'suite':'pachyderm','component':'apiserver'}}}",
         PB_COMPONENT_NONE},
        {"{'metadata':{'name':7,'labels':[]}}", PB_COMPONENT_NONE},
        {"{}", PB_COMPONENT_NONE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *object = json(cases[i].object);
        if (pb_layout_component(object) != cases[i].component)
            fail_msg("%s", cases[i].object);
        json_decref(object);
    }
    assert_int_equal(pb_layout_component(NULL), PB_COMPONENT_NONE);
}

static void one_of_a_kind_is_found(void **state)
{
    (void)state;
    json_t *objects = json("[null,7,{'kind':'Service','metadata':{'name':'pachd'}},"
                           "{'kind':'Deployment','metadata':{'labels':{'app':'pachd'}}},"
                           "{'kind':'Deployment','metadata':{'name':'pachd','labels':{'app':"
                           "'x'}}},"
                           "{'kind':'Deployment','metadata':{'name':'mine','labels':{'app':"
                           "'pachd'}}}]");
    assert_ptr_equal(pb_layout_find(objects, "Deployment", PB_COMPONENT_PACHD),
                     json_array_get(objects, 5));
    assert_ptr_equal(pb_layout_find(objects, "Service", PB_COMPONENT_PACHD),
                     json_array_get(objects, 2));
    assert_null(pb_layout_find(objects, "Deployment", PB_COMPONENT_PACHW));
    assert_null(pb_layout_find(NULL, "Deployment", PB_COMPONENT_PACHD));
    assert_true(pb_layout_is(json_array_get(objects, 3), "Deployment", PB_COMPONENT_PACHD));
    assert_false(pb_layout_is(json_array_get(objects, 3), "StatefulSet", PB_COMPONENT_PACHD));
    json_decref(objects);
}

static void what_belongs_to_the_database(void **state)
{
    (void)state;
    static const char *const database[] = {
        /* By the labels of the older chart, and by Bitnami's, whatever it is called. */
        "{'kind':'StatefulSet','metadata':{'name':'x','labels':{'app':'postgres','suite':"
        "'pachyderm'}}}",
        "{'kind':'StatefulSet','metadata':{'name':'postgres','labels':{'app.kubernetes.io/name':"
        "'postgresql','app.kubernetes.io/component':'primary'}}}",
        "{'kind':'ConfigMap','metadata':{'name':'postgres-init-scripts','labels':"
        "{'app.kubernetes.io/name':'postgresql'}}}",
        "{'kind':'NetworkPolicy','metadata':{'name':'postgres','labels':{'app.kubernetes.io/name':"
        "'postgresql'}}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'data-0','labels':"
        "{'app.kubernetes.io/name':'postgresql'}}}",
        /* By name. */
        "{'kind':'StatefulSet','metadata':{'name':'postgres'}}",
        "{'kind':'Service','metadata':{'name':'postgres'}}",
        "{'kind':'Service','metadata':{'name':'postgres-headless'}}",
        "{'kind':'Secret','metadata':{'name':'postgres','labels':{'suite':'pachyderm'}}}",
        "{'kind':'Secret','metadata':{'name':'postgres','labels':{'app':'postgresql','suite':"
        "'pachyderm'}}}",
        "{'kind':'ConfigMap','metadata':{'name':'postgres'}}",
        "{'kind':'ServiceAccount','metadata':{'name':'postgres'}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'data-postgres-0'}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'data-postgres-12'}}",
    };
    static const char *const others[] = {
        "{'kind':'StatefulSet','metadata':{'name':'etcd','labels':{'app':'etcd','suite':"
        "'pachyderm'}}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'etcd-storage-etcd-0'}}",
        "{'kind':'Deployment','metadata':{'name':'pg-bouncer','labels':{'app':'pg-bouncer',"
        "'suite':'pachyderm'}}}",
        "{'kind':'Deployment','metadata':{'name':'pachd','labels':{'app':'pachd','suite':"
        "'pachyderm'}}}",
        "{'kind':'Deployment','metadata':{'name':'postgres'}}",
        "{'kind':'Role','metadata':{'name':'postgres'}}",
        "{'kind':'StatefulSet','metadata':{'name':'x','labels':{'app':'postgres'}}}",
        "{'kind':'Secret','metadata':{'name':'postgres-backup'}}",
        "{'kind':'Service','metadata':{'name':'my-postgres'}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'postgres'}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'-postgres-0'}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'data-postgres-'}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'data-postgres-x'}}",
        "{'kind':'PersistentVolumeClaim','metadata':{'name':'data-my-postgresql-0'}}",
        "{'metadata':{'name':'postgres'}}",
        "{'kind':'Secret','metadata':{'labels':{'app':'postgres','suite':'pachyderm'}}}",
        "{'kind':7,'metadata':[]}",
        "{}",
    };
    for (size_t i = 0; i < COUNT(database) + COUNT(others); i++) {
        bool is_database = i < COUNT(database);
        const char *text = is_database ? database[i] : others[i - COUNT(database)];
        json_t *object = json(text);
        if (pb_layout_is_database(object) != is_database)
            fail_msg("%s", text);
        json_decref(object);
    }
    assert_false(pb_layout_is_database(NULL));
}

static void service_accounts(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        bool is_one;
    } cases[] = {
        {"{'kind':'ServiceAccount','metadata':{'name':'pachyderm'}}", true},
        {"{'kind':'ServiceAccount','metadata':{'name':'pachyderm-worker'}}", true},
        {"{'kind':'ServiceAccount','metadata':{'name':'k8s-cloudsql-auth-proxy'}}", true},
        {"{'kind':'ServiceAccount','metadata':{'name':'default'}}", false},
        {"{'kind':'Role','metadata':{'name':'pachyderm'}}", false},
        {"{}", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *object = json(cases[i].object);
        assert_int_equal(pb_layout_is_service_account(object), cases[i].is_one);
        /* What messages name is what is looked for. */
        const char *name =
            json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
        if (cases[i].is_one)
            assert_non_null(strstr(PB_SERVICE_ACCOUNTS, name));
        json_decref(object);
    }
}

/* ---- variables ---- */

static void pachd_s_own_container_comes_first(void **state)
{
    (void)state;
    json_t *pachd =
        json("{'kind':'Deployment','spec':{'template':{'spec':{'containers':["
             "{'name':'proxy','env':[{'name':'A','value':'proxy'},{'name':'B','value':'b'}]},"
             "{'name':'pachd','env':[7,{'name':'A','value':'pachd'},{'name':'C','valueFrom':{}}]}"
             "]}}}}");
    assert_string_equal(pb_layout_value(pachd, "A"), "pachd");
    assert_string_equal(pb_layout_value(pachd, "B"), "b");
    assert_string_equal(pb_layout_value(pachd, "C"), "");
    assert_non_null(json_object_get(pb_layout_variable(pachd, "C"), "valueFrom"));
    assert_null(pb_layout_variable(pachd, "D"));
    assert_string_equal(pb_layout_value(NULL, "A"), "");
    json_t *containers = pb_layout_containers(pachd);
    assert_int_equal(json_array_size(containers), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(containers, 0), "name")),
                        "pachd");
    json_decref(containers);
    json_decref(pachd);
    assert_true(pb_layout_is_image_variable("WORKER_SIDECAR_IMAGE"));
    assert_false(pb_layout_is_image_variable("WORKER_IMAGE_PULL_POLICY"));
    assert_false(pb_layout_is_image_variable(""));
}

/* ---- the bucket ---- */

static void where_pachd_reads_its_bucket(void **state)
{
    (void)state;
    static const struct {
        const char *version, *enabled; /* GOCDK_ENABLED; NULL: no such variable */
        pb_storage_place place;
    } cases[] = {
        {"1.13.4", NULL, PB_STORAGE_BY_SECRET},    {"2.0.1", "true", PB_STORAGE_BY_SECRET},
        {"2.8.9", "true", PB_STORAGE_BY_SECRET},   {"2.9.0", NULL, PB_STORAGE_BY_SECRET},
        {"2.9.0", "1", PB_STORAGE_BY_EITHER},      {"2.10.3", NULL, PB_STORAGE_BY_EITHER},
        {"2.10.3", "false", PB_STORAGE_BY_SECRET}, {"2.10.3", "TRUE", PB_STORAGE_BY_EITHER},
        {"2.11.0", "false", PB_STORAGE_BY_URL},    {"2.100.0", NULL, PB_STORAGE_BY_URL},
        {"2.1000.0", NULL, PB_STORAGE_BY_URL},     {"3.0.0", NULL, PB_STORAGE_BY_URL},
        {"", NULL, PB_STORAGE_BY_EITHER},          {"nightly", "0", PB_STORAGE_BY_SECRET},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *pachd = json("{'kind':'Deployment','spec':{'template':{'spec':{'containers':["
                             "{'name':'pachd','env':[]}]}}}}");
        json_t *containers = pb_layout_containers(pachd);
        if (cases[i].enabled)
            json_array_append_new(
                json_object_get(json_array_get(containers, 0), "env"),
                json_pack("{s:s, s:s}", "name", "GOCDK_ENABLED", "value", cases[i].enabled));
        if (pb_layout_storage_place(pachd, cases[i].version) != cases[i].place)
            fail_msg("case %zu", i);
        json_decref(containers);
        json_decref(pachd);
    }
    /* Without pachd nobody knows whether it is enabled. */
    assert_int_equal(pb_layout_storage_place(NULL, "2.9.0"), PB_STORAGE_BY_EITHER);
    assert_int_equal(pb_layout_storage_place(NULL, "2.8.0"), PB_STORAGE_BY_SECRET);
    assert_int_equal(pb_layout_storage_place(NULL, "2.11.0"), PB_STORAGE_BY_URL);
}

static void which_backend_a_version_takes(void **state)
{
    (void)state;
    assert_true(pb_layout_takes_backend("2.10.9", "MINIO"));
    assert_false(pb_layout_takes_backend("2.11.0", "minio"));
    assert_false(pb_layout_takes_backend("3.0.0", "MINIO"));
    assert_true(pb_layout_takes_backend("2.11.0", "AMAZON"));
    assert_true(pb_layout_takes_backend("2.11.0", ""));
    assert_true(pb_layout_takes_backend("", "MINIO"));
}

static void schemes(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        pb_storage_provider provider;
        const char *rest; /* NULL: none */
    } cases[] = {
        {"s3://b?x", PB_STORAGE_S3, "b?x"},      {"gs://b", PB_STORAGE_GOOGLE, "b"},
        {"gcs://b", PB_STORAGE_GOOGLE, "b"},     {"azblob://b", PB_STORAGE_AZURE, "b"},
        {"wasb://b@a", PB_STORAGE_AZURE, "b@a"}, {"wasbs://b", PB_STORAGE_AZURE, "b"},
        {"file:///d", PB_STORAGE_FILE, "/d"},    {"http://b", PB_STORAGE_S3, NULL},
        {"s3:/b", PB_STORAGE_S3, NULL},          {"", PB_STORAGE_S3, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pb_storage_provider provider;
        const char *rest = pb_layout_after_scheme(cases[i].url, &provider);
        if (!cases[i].rest) {
            assert_null(rest);
            continue;
        }
        assert_string_equal(rest, cases[i].rest);
        assert_int_equal(provider, cases[i].provider);
        /* The usual one is read back. */
        assert_non_null(pb_layout_after_scheme(pb_layout_scheme(provider), &provider));
        assert_int_equal(provider, cases[i].provider);
    }
    assert_string_equal(pb_layout_scheme(PB_STORAGE_GOOGLE), "gs://");
    assert_string_equal(pb_layout_scheme(PB_STORAGE_AZURE), "azblob://");
    assert_string_equal(pb_layout_backend_of(PB_STORAGE_S3), "AMAZON");
    assert_string_equal(pb_layout_backend_of(PB_STORAGE_GOOGLE), "GOOGLE");
    assert_string_equal(pb_layout_backend_of(PB_STORAGE_AZURE), "MICROSOFT");
    assert_string_equal(pb_layout_backend_of(PB_STORAGE_FILE), "");
    assert_true(pb_layout_is_azure("azblob://b"));
    assert_true(pb_layout_is_azure("wasbs://b@a.blob.core.windows.net"));
    assert_false(pb_layout_is_azure("gs://azblob"));
    assert_false(pb_layout_is_azure(""));
}

static void what_of_the_secret_is_none(void **state)
{
    (void)state;
    static const char *const open[] = {"AMAZON_BUCKET",  "MINIO_BUCKET",          "GOOGLE_BUCKET",
                                       "AMAZON_REGION",  "MICROSOFT_CONTAINER",   "AWS_REGION",
                                       "MINIO_ENDPOINT", "AZURE_STORAGE_ACCOUNT", "MICROSOFT_ID",
                                       "DISABLE_SSL",    "CUSTOM_ENDPOINT",       "MINIO_SECURE"};
    static const char *const closed[] = {
        "",
        "AMAZON_ID",
        "AMAZON_SECRET",
        "AMAZON_TOKEN",
        "MINIO_ID",
        "MINIO_SECRET",
        "GOOGLE_CRED",
        "AWS_SECRET_ACCESS_KEY",
        "amazon_bucket",
        "AZURE_STORAGE_KEY",
        "MICROSOFT_SECRET",
        "AWS_ACCESS_KEY_ID",
    };
    for (size_t i = 0; i < COUNT(open); i++)
        assert_true(pb_layout_is_place_key(open[i]));
    for (size_t i = 0; i < COUNT(closed); i++)
        assert_false(pb_layout_is_place_key(closed[i]));
    for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++) {
        assert_false(pb_layout_is_place_key(pb_storage_backends[i].id));
        assert_false(pb_layout_is_place_key(pb_storage_backends[i].secret));
        assert_false(pb_layout_is_place_key(pb_storage_backends[i].token));
        assert_false(pb_layout_is_place_key(pb_storage_backends[i].credential));
    }
}

static void with_and_without_tls(void **state)
{
    (void)state;
    for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++) {
        const pb_storage_backend *backend = &pb_storage_backends[i];
        bool minio = pb_layout_is_minio(backend), amazon = strcmp(backend->name, "AMAZON") == 0;
        assert_int_equal(pb_layout_is_plain(backend, "true"), amazon);
        assert_int_equal(pb_layout_is_plain(backend, "1"), amazon);
        assert_int_equal(pb_layout_is_plain(backend, "false"), minio);
        assert_int_equal(pb_layout_is_plain(backend, "0"), minio);
        assert_int_equal(pb_layout_is_plain(backend, ""), minio);
    }
}

static void names_of_buckets(void **state)
{
    (void)state;
    char longest[257];
    memset(longest, 'a', sizeof longest);
    assert_true(pb_layout_is_bucket_name(PB_SLICE_LITERAL("My.bucket-1_$")));
    assert_true(pb_layout_is_bucket_name((pb_slice){longest, 255}));
    assert_false(pb_layout_is_bucket_name((pb_slice){longest, 256}));
    static const char *const bad[] = {"", "a/b", "a b", "a?x", "a@b", "\xff"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(pb_layout_is_bucket_name(pb_slice_of(bad[i])));
    assert_false(pb_layout_is_bucket_name((pb_slice){"a\0b", 3}));
}

/* ---- the database ---- */

static void variables_of_the_database(void **state)
{
    (void)state;
    const pb_database_variables *pachd = pb_layout_database_variables(PB_COMPONENT_PACHD);
    assert_string_equal(pachd->host, "POSTGRES_HOST");
    assert_ptr_equal(pb_layout_database_variables(PB_COMPONENT_PACHW), pachd);
    assert_ptr_equal(pb_layout_database_variables(PB_COMPONENT_ENTERPRISE), pachd);
    assert_string_equal(pb_layout_database_variables(PB_COMPONENT_BOUNCER)->host,
                        "POSTGRESQL_HOST");
    assert_null(pb_layout_database_variables(PB_COMPONENT_NONE));
    assert_null(pb_layout_database_variables(PB_COMPONENT_WORKER));
    assert_null(pb_layout_database_variables(PB_COMPONENT_CLOUDSQL_PROXY));
    assert_true(pb_layout_is_bouncer_host("pg-bouncer"));
    assert_true(pb_layout_is_bouncer_host("pg-bouncer.prod.svc.cluster.local"));
    assert_false(pb_layout_is_bouncer_host("pg-bouncer-2"));
    assert_false(pb_layout_is_bouncer_host("postgres"));
    assert_false(pb_layout_is_bouncer_host(""));
}

/* ---- the pause ---- */

static void what_says_that_it_is_paused(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        bool is_paused;
    } cases[] = {
        {"{'kind':'ConfigMap','metadata':{'name':'pachd-config'},'data':{'MODE':'paused'}}", true},
        {"{'kind':'ConfigMap','metadata':{'name':'pachd-config'},'data':{'MODE':'full'}}", false},
        {"{'kind':'ConfigMap','metadata':{'name':'pachd-config'}}", false},
        {"{'kind':'ConfigMap','metadata':{'name':'x'},'data':{'MODE':'paused'}}", false},
        {"{'kind':'Deployment','metadata':{'name':'pachd'},'spec':{'template':{'spec':"
         "{'containers':[{'name':'pachd','env':[{'name':'MODE','value':'paused'}]}]}}}}",
         true},
        {"{'kind':'Deployment','metadata':{'name':'pachw'},'spec':{'template':{'spec':"
         "{'containers':[{'name':'pachd','env':[{'name':'MODE','value':'paused'}]}]}}}}",
         false},
        {"{'kind':'Deployment','metadata':{'name':'pachd'},'spec':{'template':{'spec':"
         "{'containers':[{'name':'x','env':[{'name':'MODE','value':'paused'}]},"
         "{'name':'pachd','env':[{'name':'MODE','value':'full'}]}]}}}}",
         false},
        {"{'kind':'Deployment','metadata':{'name':'pachd'}}", false},
        {"{}", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *object = json(cases[i].object);
        if (pb_layout_is_paused(object) != cases[i].is_paused)
            fail_msg("%s", cases[i].object);
        json_decref(object);
    }
    assert_false(pb_layout_is_paused(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_object_belongs_to),
        cmocka_unit_test(one_of_a_kind_is_found),
        cmocka_unit_test(what_belongs_to_the_database),
        cmocka_unit_test(service_accounts),
        cmocka_unit_test(pachd_s_own_container_comes_first),
        cmocka_unit_test(where_pachd_reads_its_bucket),
        cmocka_unit_test(which_backend_a_version_takes),
        cmocka_unit_test(schemes),
        cmocka_unit_test(what_of_the_secret_is_none),
        cmocka_unit_test(with_and_without_tls),
        cmocka_unit_test(names_of_buckets),
        cmocka_unit_test(variables_of_the_database),
        cmocka_unit_test(what_says_that_it_is_paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
