#include "cluster/edits/edits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/quoted_json.h"
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* The shape of 2.8: the bucket in the secret, Cloud SQL by argument. */
static const char shape_2_8[] =
    "[{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'k8s-cloudsql-auth-proxy',"
    "'namespace':'old','annotations':{'iam.gke.io/gcp-service-account':'a@p'}}},"
    "{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'pachyderm','namespace':'old'},"
    "'secrets':[{'name':'mine'}]},"
    "{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'pachyderm-worker',"
    "'namespace':'old'}},"
    "{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'other','namespace':'old'}},"
    "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'pachyderm-storage-secret',"
    "'namespace':'old'},'data':{'GOOGLE_BUCKET':'b2xkLWJ1Y2tldA==','GOOGLE_CRED':'aHVudGVyMg=='}},"
    "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'pachd-config','namespace':'old'},"
    "'data':{'MODE':'paused','X':'y'}},"
    "{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'RoleBinding','metadata':"
    "{'name':'pachyderm','namespace':'old'},'subjects':[{'kind':'ServiceAccount',"
    "'name':'pachyderm','namespace':'old'},{'kind':'ServiceAccount','name':'x',"
    "'namespace':'elsewhere'}]},"
    "{'apiVersion':'v1','kind':'Service','metadata':{'name':'pachd','namespace':'old'},'spec':"
    "{'type':'NodePort','ports':[{'port':30650,'nodePort':30650}]}},"
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'pachd','namespace':'old'},"
    "'spec':{'template':{'metadata':{'name':'pachd','namespace':'old'},'spec':{'initContainers':"
    "[{'name':'init','image':'nginx'}],'containers':[{'name':'pachd','image':"
    "'pachyderm/pachd:2.8.1','env':[{'name':'POSTGRES_HOST','value':"
    "'cloudsql-auth-proxy.old.svc.cluster.local.'},{'name':'POSTGRES_PORT','value':'5432'},"
    "{'name':'PG_BOUNCER_HOST','value':'pg-bouncer'},{'name':'WORKER_IMAGE','value':"
    "'gcr.io/x/worker:2.8.1'},{'name':'POSTGRES_PASSWORD','value':'hunter2'},{'name':"
    "'PACH_NAMESPACE','valueFrom':{'fieldRef':{'fieldPath':'metadata.namespace'}}}]}]}}}},"
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'pg-bouncer','namespace':"
    "'old'},'spec':{'template':{'spec':{'containers':[{'name':'pg-bouncer','image':"
    "'localhost/pgbouncer','env':[{'name':'POSTGRESQL_HOST','value':'cloudsql-auth-proxy'}]}]}}}},"
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'cloudsql-auth-proxy',"
    "'namespace':'old'},'spec':{'template':{'spec':{'containers':[{'name':'cloud-sql-proxy',"
    "'image':'gcr.io:443/proxy@sha256:00','command':['/cloud_sql_proxy',"
    "'-instances=p:r:i=tcp:0.0.0.0:5432']}]}}}}]";

/* The shape of 2.11: STORAGE_URL of pachd and pachw, a stale key in the secret, Cloud SQL by
 * variable. */
static const char shape_2_11[] =
    "[{'apiVersion':'v1','kind':'Secret','metadata':{'name':'pachyderm-storage-secret'},"
    "'data':{'AMAZON_BUCKET':'c3RhbGU=','AMAZON_SECRET':'aHVudGVyMg==','AMAZON_REGION':'cg==',"
    "'AWS_REGION':'cg=='}},"
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'pachd'},'spec':{'template':"
    "{'spec':{'containers':[{'name':'pachd','image':'pachyderm/pachd:2.11.4','env':["
    "{'name':'STORAGE_URL','value':'s3://live?endpoint=rgw:8080&disableSSL=true&region=r'},"
    "{'name':'POSTGRES_HOST','value':'postgres'},{'name':'MODE','value':'paused'},"
    "{'name':'UNPAUSED_MODE','value':'full'}]}]}}}},"
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'pachw'},'spec':{'template':"
    "{'spec':{'containers':[{'name':'pachd','image':'pachyderm/pachd:2.11.4','env':["
    "{'name':'STORAGE_URL','value':'s3://"
    "live'},{'name':'POSTGRES_HOST','value':'pg-bouncer'}]}]}}}},"
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'cloudsql-auth-proxy'},"
    "'spec':{'template':{'spec':{'containers':[{'name':'proxy','image':'gcr.io/proxy','env':["
    "{'name':'CSQL_PROXY_INSTANCE_CONNECTION_NAME','value':'p:r:i'},"
    "{'name':'CSQL_PROXY_PORT','value':'5432'}]}]}}}}]";

static void expect_diff(const char *shape, const char *version, const pb_edits *edits,
                        const char *diff)
{
    json_t *before = json(shape), *after = json(shape);
    pb_error error = {0};
    pb_buffer text = {0};
    if (pb_edits_apply(edits, version, after, &error) != 0)
        fail_msg("%s", error.message);
    pb_edits_diff(before, after, &text);
    assert_string_equal(text.data ? text.data : "", diff);
    assert_null(strstr(text.data ? text.data : "", "hunter2"));
    pb_buffer_free(&text);
    json_decref(before);
    json_decref(after);
}

static void expect_failure(const char *shape, const char *version, const pb_edits *edits,
                           pb_error_kind kind, const char *says)
{
    json_t *objects = json(shape);
    pb_error error = {0};
    assert_int_equal(pb_edits_apply(edits, version, objects, &error), -1);
    if (error.kind != kind || strstr(error.message, says) == NULL)
        fail_msg("%s", error.message);
    json_decref(objects);
}

static void the_bucket_up_to_2_8(void **state)
{
    (void)state;
    pb_edits edits = {.bucket = "gs://new-bucket", .keep_paused = true};
    expect_diff(shape_2_8, "2.8.1", &edits,
                "Secret/pachyderm-storage-secret data.GOOGLE_BUCKET: \"old-bucket\" -> "
                "\"new-bucket\"\n");
    expect_diff(shape_2_8, "", &edits,
                "Secret/pachyderm-storage-secret data.GOOGLE_BUCKET: \"old-bucket\" -> "
                "\"new-bucket\"\n");
    expect_failure(shape_2_8, "2.11.0", &edits, PB_ERROR_FAILED,
                   "found no value of STORAGE_URL in Deployment pachd");
    edits.bucket = "s3://new-bucket";
    expect_failure(shape_2_8, "2.8.1", &edits, PB_ERROR_FAILED, "holds GOOGLE_BUCKET");
    expect_failure("[]", "2.8.1", &edits, PB_ERROR_FAILED,
                   "found no key AMAZON_BUCKET or MINIO_BUCKET in secret pachyderm-storage-secret");
    expect_failure("[]", "2.9.0", &edits, PB_ERROR_FAILED,
                   "in secret pachyderm-storage-secret and no STORAGE_URL in Deployment pachd");
}

static void the_bucket_since_2_11(void **state)
{
    (void)state;
    pb_edits edits = {.bucket = "s3://new", .keep_paused = true};
    expect_diff(shape_2_11, "2.11.4", &edits,
                "Secret/pachyderm-storage-secret data.AMAZON_BUCKET: \"stale\" -> \"new\"\n"
                "Deployment/pachd spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://live?endpoint=rgw:8080&disableSSL=true&region=r\" -> "
                "\"s3://new?endpoint=rgw:8080&disableSSL=true&region=r\"\n"
                "Deployment/pachw spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://live\" -> \"s3://new\"\n");
    edits.bucket = "s3://new?endpoint=http%3A%2F%2Fminio:9000&region=q&disableSSL=true";
    expect_diff(shape_2_11, "2.12.0", &edits,
                "Secret/pachyderm-storage-secret data.AMAZON_BUCKET: \"stale\" -> \"new\"\n"
                "Secret/pachyderm-storage-secret data.AMAZON_REGION: \"r\" -> \"q\"\n"
                "Secret/pachyderm-storage-secret data.AWS_REGION: \"r\" -> \"q\"\n"
                "Secret/pachyderm-storage-secret data.CUSTOM_ENDPOINT: (none) -> "
                "\"http://minio:9000\"\n"
                "Secret/pachyderm-storage-secret data.DISABLE_SSL: (none) -> \"true\"\n"
                "Deployment/pachd spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://live?endpoint=rgw:8080&disableSSL=true&region=r\" -> "
                "\"s3://new?endpoint=http%3A%2F%2Fminio:9000&region=q&disableSSL=true\"\n"
                "Deployment/pachw spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://live\" -> "
                "\"s3://new?endpoint=http%3A%2F%2Fminio:9000&region=q&disableSSL=true\"\n");
    /* Another provider: its URL says all. */
    edits.bucket = "gs://new";
    expect_diff(shape_2_11, "2.11.4", &edits,
                "Deployment/pachd spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://live?endpoint=rgw:8080&disableSSL=true&region=r\" -> \"gs://new\"\n"
                "Deployment/pachw spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://live\" -> \"gs://new\"\n");
}

/* pachd opens STORAGE_URL by STORAGE_BACKEND. */
static void the_backend_of_another_provider(void **state)
{
    (void)state;
    static const char by_url[] =
        "[{'kind':'Deployment','metadata':{'name':'pachd'},'spec':{'template':{'spec':"
        "{'containers':[{'name':'pachd','env':[{'name':'STORAGE_URL','value':'s3://old?region=r'},"
        "{'name':'STORAGE_BACKEND','value':'AMAZON'}]}]}}}},"
        "{'kind':'Deployment','metadata':{'name':'pachw'},'spec':{'template':{'spec':"
        "{'containers':[{'name':'pachd','env':[{'name':'STORAGE_URL','value':'s3://old'}]}]}}}}]";
    pb_edits edits = {.bucket = "gs://new", .keep_paused = true};
    expect_diff(by_url, "2.11.4", &edits,
                "Deployment/pachd spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://old?region=r\" -> \"gs://new\"\n"
                "Deployment/pachd spec.template.spec.containers[pachd].env[STORAGE_BACKEND].value: "
                "\"AMAZON\" -> \"GOOGLE\"\n"
                "Deployment/pachw spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://old\" -> \"gs://new\"\n");
    edits.bucket = "s3://new";
    expect_diff(by_url, "2.11.4", &edits,
                "Deployment/pachd spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://old?region=r\" -> \"s3://new?region=r\"\n"
                "Deployment/pachw spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
                "\"s3://old\" -> \"s3://new\"\n");
}

/* What the backup read the bucket from is what a restore must change. */
static void the_bucket_by_the_switch_of_2_9(void **state)
{
    (void)state;
    static const char by_url[] =
        "[{'kind':'Deployment','metadata':{'name':'pachd'},'spec':{'template':{'spec':"
        "{'containers':[{'name':'pachd','env':[{'name':'STORAGE_URL','value':'s3://old'},"
        "{'name':'GOCDK_ENABLED','value':'true'}]}]}}}}]";
    static const char by_secret[] =
        "[{'kind':'Deployment','metadata':{'name':'pachd'},'spec':{'template':{'spec':"
        "{'containers':[{'name':'pachd','env':[{'name':'STORAGE_URL','value':'s3://old'},"
        "{'name':'GOCDK_ENABLED','value':'false'}]}]}}}}]";
    static const char changed[] =
        "Deployment/pachd spec.template.spec.containers[pachd].env[STORAGE_URL].value: "
        "\"s3://old\" -> \"s3://new\"\n";
    pb_edits edits = {.bucket = "s3://new", .keep_paused = true};
    expect_diff(by_url, "2.9.0", &edits, changed);
    expect_diff(by_url, "2.10.0", &edits, changed);
    expect_failure(by_secret, "2.9.0", &edits, PB_ERROR_FAILED,
                   "found no key AMAZON_BUCKET or MINIO_BUCKET in secret");
    expect_failure(by_secret, "2.10.0", &edits, PB_ERROR_FAILED,
                   "found no key AMAZON_BUCKET or MINIO_BUCKET in secret");
    expect_failure(by_secret, "", &edits, PB_ERROR_FAILED, "version is unknown");
}

/* As for a backup, the label app says which Deployment is pachd. */
static void pachd_by_any_name(void **state)
{
    (void)state;
    pb_edits edits = {.bucket = "s3://new", .database_host = "db", .keep_paused = true};
    expect_diff("[{'kind':'Deployment','metadata':{'name':'prod-pachd','labels':{'app':'pachd'}},"
                "'spec':{'template':{'spec':{'containers':[{'name':'pachd','env':["
                "{'name':'STORAGE_URL','value':'s3://old'},"
                "{'name':'POSTGRES_HOST','value':'old'}]}]}}}},"
                "{'kind':'Deployment','metadata':{'name':'pachd','labels':{'app':'mine'}},"
                "'spec':{'template':{'spec':{'containers':[{'name':'pachd','env':["
                "{'name':'STORAGE_URL','value':'s3://mine'},"
                "{'name':'POSTGRES_HOST','value':'mine'}]}]}}}}]",
                "2.11.4", &edits,
                "Deployment/prod-pachd spec.template.spec.containers[pachd].env[STORAGE_URL]"
                ".value: \"s3://old\" -> \"s3://new\"\n"
                "Deployment/prod-pachd spec.template.spec.containers[pachd].env[POSTGRES_HOST]"
                ".value: \"old\" -> \"db\"\n");
}

static void the_bucket_of_minio_and_azure(void **state)
{
    (void)state;
    pb_edits edits = {.bucket = "s3://new?endpoint=https://minio:9000", .keep_paused = true};
    expect_diff("[{'kind':'Secret','metadata':{'name':'pachyderm-storage-secret'},'data':"
                "{'MINIO_BUCKET':'b2xk','MINIO_ENDPOINT':'bToxMg==','MINIO_SECURE':'MA=='}}]",
                "2.8.0", &edits,
                "Secret/pachyderm-storage-secret data.MINIO_BUCKET: \"old\" -> \"new\"\n"
                "Secret/pachyderm-storage-secret data.MINIO_ENDPOINT: \"m:12\" -> \"minio:9000\"\n"
                "Secret/pachyderm-storage-secret data.MINIO_SECURE: \"0\" -> \"1\"\n");
    edits.bucket = "s3://new?endpoint=minio:9000&disableSSL=true";
    expect_diff("[{'kind':'Secret','metadata':{'name':'pachyderm-storage-secret'},'data':"
                "{'MINIO_BUCKET':'b2xk','MINIO_ENDPOINT':'bToxMg==','MINIO_SECURE':'dHJ1ZQ=='}}]",
                "2.8.0", &edits,
                "Secret/pachyderm-storage-secret data.MINIO_BUCKET: \"old\" -> \"new\"\n"
                "Secret/pachyderm-storage-secret data.MINIO_ENDPOINT: \"m:12\" -> \"minio:9000\"\n"
                "Secret/pachyderm-storage-secret data.MINIO_SECURE: \"true\" -> \"false\"\n");
    edits.bucket = "wasb://box@account.blob.core.windows.net/";
    expect_diff("[{'kind':'Secret','metadata':{'name':'pachyderm-storage-secret'},'data':"
                "{'MICROSOFT_CONTAINER':'b2xk','MICROSOFT_ID':'b2xk','MICROSOFT_SECRET':'eA=='}}]",
                "2.8.0", &edits,
                "Secret/pachyderm-storage-secret data.MICROSOFT_CONTAINER: \"old\" -> \"box\"\n"
                "Secret/pachyderm-storage-secret data.MICROSOFT_ID: \"old\" -> \"account\"\n");
}

static void urls_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",         "new",       "s3://",     "s3://a/b",
        "s3:///",   "http://a",  "s3://a b",  "s3://id:hunter2@a",
        "s3://a#b", "wasb://a@", "wasb://@b", "gs://a/b",
        "s3://a\n", "file://",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_edits edits = {.bucket = bad[i]};
        json_t *objects = json(shape_2_11);
        pb_error error = {0};
        assert_int_equal(pb_edits_apply(&edits, "2.11.4", objects, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_null(strstr(error.message, "hunter2"));
        json_decref(objects);
    }
}

static void cloud_sql_by_argument_and_by_variable(void **state)
{
    (void)state;
    pb_edits edits = {.cloudsql_instance = "new:europe:db", .keep_paused = true};
    expect_diff(shape_2_8, "2.8.1", &edits,
                "Deployment/cloudsql-auth-proxy "
                "spec.template.spec.containers[cloud-sql-proxy].command[1]: "
                "\"-instances=p:r:i=tcp:0.0.0.0:5432\" -> "
                "\"-instances=new:europe:db=tcp:0.0.0.0:5432\"\n");
    expect_diff(shape_2_11, "2.11.4", &edits,
                "Deployment/cloudsql-auth-proxy spec.template.spec.containers[proxy]"
                ".env[CSQL_PROXY_INSTANCE_CONNECTION_NAME].value: \"p:r:i\" -> "
                "\"new:europe:db\"\n");
    expect_failure("[]", "2.11.4", &edits, PB_ERROR_FAILED, "-instances=CONNECTION");
    expect_failure("[{'kind':'Deployment','metadata':{'name':'cloudsql-auth-proxy'},'spec':"
                   "{'template':{'spec':{'containers':[{'args':['-instances=a:b:c=tcp:1,d:e:f']}]}"
                   "}}}]",
                   "2.8.0", &edits, PB_ERROR_FAILED, "-instances=CONNECTION");
    edits.cloudsql_instance = "db";
    expect_failure(shape_2_8, "2.8.1", &edits, PB_ERROR_USAGE, "PROJECT:REGION:INSTANCE");
}

static void the_database_host_but_not_the_bouncer(void **state)
{
    (void)state;
    pb_edits edits = {.database_host = "db.example:6432", .keep_paused = true};
    expect_diff(
        shape_2_8, "2.8.1", &edits,
        "Deployment/pachd spec.template.spec.containers[pachd].env[POSTGRES_HOST].value: "
        "\"cloudsql-auth-proxy.old.svc.cluster.local.\" -> \"db.example\"\n"
        "Deployment/pachd spec.template.spec.containers[pachd].env[POSTGRES_PORT].value: "
        "\"5432\" -> \"6432\"\n"
        "Deployment/pg-bouncer spec.template.spec.containers[pg-bouncer].env[POSTGRESQL_HOST]"
        ".value: \"cloudsql-auth-proxy\" -> \"db.example\"\n"
        "Deployment/pg-bouncer spec.template.spec.containers[pg-bouncer].env[POSTGRESQL_PORT]"
        ".name: (none) -> \"POSTGRESQL_PORT\"\n"
        "Deployment/pg-bouncer spec.template.spec.containers[pg-bouncer].env[POSTGRESQL_PORT]"
        ".value: (none) -> \"6432\"\n");
    edits.database_host = "[fd00::1]";
    expect_diff(shape_2_11, "2.11.4", &edits,
                "Deployment/pachd spec.template.spec.containers[pachd].env[POSTGRES_HOST].value: "
                "\"postgres\" -> \"fd00::1\"\n");
    expect_failure("[]", "2.11.4", &edits, PB_ERROR_FAILED, "POSTGRES_HOST in Deployment pachd");
    static const char *const bad[] = {"",    ":1", "a:",    "a:0", "a:65536",
                                      "a b", "[a", "a:1:2", "[]:1"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        edits.database_host = bad[i];
        expect_failure(shape_2_11, "2.11.4", &edits, PB_ERROR_USAGE, "not HOST or HOST:PORT");
    }
}

static void service_accounts(void **state)
{
    (void)state;
    const char *all[] = {"worker@p", "pachyderm=main@p"};
    pb_edits edits = {.keep_paused = true, .drop_service_account_secrets = true};
    edits.gcp_service_account = (pb_edit_list){all, 2};
    expect_diff(shape_2_8, "2.8.1", &edits,
                "ServiceAccount/k8s-cloudsql-auth-proxy "
                "metadata.annotations[\"iam.gke.io/gcp-service-account\"]: \"a@p\" -> "
                "\"worker@p\"\n"
                "ServiceAccount/pachyderm "
                "metadata.annotations[\"iam.gke.io/gcp-service-account\"]: (none) -> "
                "\"main@p\"\n"
                "ServiceAccount/pachyderm secrets[mine].name: \"mine\" -> (none)\n"
                "ServiceAccount/pachyderm-worker "
                "metadata.annotations[\"iam.gke.io/gcp-service-account\"]: (none) -> "
                "\"worker@p\"\n");
    edits = (pb_edits){.keep_paused = true};
    const char *role[] = {"pachyderm=arn:aws:iam::012345678901:role/a=b"};
    const char *client[] = {"other=11111111-2222-3333-4444-555555555555"};
    edits.aws_role = (pb_edit_list){role, 1};
    edits.azure_client = (pb_edit_list){client, 1};
    expect_diff(shape_2_8, "2.8.1", &edits,
                "ServiceAccount/pachyderm metadata.annotations[\"eks.amazonaws.com/role-arn\"]: "
                "(none) -> \"arn:aws:iam::012345678901:role/a=b\"\n"
                "ServiceAccount/other "
                "metadata.annotations[\"azure.workload.identity/client-id\"]: "
                "(none) -> \"11111111-2222-3333-4444-555555555555\"\n");
    role[0] = "nobody=x";
    expect_failure(shape_2_8, "2.8.1", &edits, PB_ERROR_FAILED,
                   "aws-role: found no ServiceAccount nobody");
    role[0] = "arn:aws:iam::012345678901:role/a=b";
    expect_failure(shape_2_11, "2.11.4", &edits, PB_ERROR_FAILED,
                   "aws-role: found none of the ServiceAccounts pachyderm");
    role[0] = "a b";
    expect_failure(shape_2_8, "2.8.1", &edits, PB_ERROR_USAGE, "NAME=IDENTITY");
    edits = (pb_edits){.drop_service_account_secrets = true};
    expect_failure(shape_2_11, "2.11.4", &edits, PB_ERROR_FAILED, "drop-service-account-secrets");
}

static void the_pause_goes_unless_kept(void **state)
{
    (void)state;
    pb_edits edits = {0};
    expect_diff(shape_2_8, "2.8.1", &edits,
                "ConfigMap/pachd-config data.MODE: \"paused\" -> (none)\n");
    expect_diff(shape_2_11, "2.11.4", &edits,
                "Deployment/pachd spec.template.spec.containers[pachd].env[MODE].value: "
                "\"paused\" -> \"full\"\n");
    edits.keep_paused = true;
    expect_diff(shape_2_8, "2.8.1", &edits, "");
    expect_diff("[]", "", &edits, "");
}

static void registries(void **state)
{
    (void)state;
    pb_edits edits = {.image_registry = "registry.example:5000/mirror", .keep_paused = true};
    expect_diff(
        shape_2_8, "2.8.1", &edits,
        "Deployment/pachd spec.template.spec.initContainers[init].image: \"nginx\" -> "
        "\"registry.example:5000/mirror/nginx\"\n"
        "Deployment/pachd spec.template.spec.containers[pachd].image: \"pachyderm/pachd:2.8.1\" "
        "-> \"registry.example:5000/mirror/pachyderm/pachd:2.8.1\"\n"
        "Deployment/pachd spec.template.spec.containers[pachd].env[WORKER_IMAGE].value: "
        "\"gcr.io/x/worker:2.8.1\" -> \"registry.example:5000/mirror/x/worker:2.8.1\"\n"
        "Deployment/pg-bouncer spec.template.spec.containers[pg-bouncer].image: "
        "\"localhost/pgbouncer\" -> \"registry.example:5000/mirror/pgbouncer\"\n"
        "Deployment/cloudsql-auth-proxy spec.template.spec.containers[cloud-sql-proxy].image: "
        "\"gcr.io:443/proxy@sha256:00\" -> \"registry.example:5000/mirror/proxy@sha256:00\"\n");
    expect_failure("[]", "", &edits, PB_ERROR_FAILED, "found no image");
    static const char *const bad[] = {"", "/a", "a/", "https://a", "a b"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        edits.image_registry = bad[i];
        expect_failure(shape_2_8, "2.8.1", &edits, PB_ERROR_USAGE, "image-registry");
    }
}

static void another_namespace(void **state)
{
    (void)state;
    pb_edits edits = {.name_space = "new", .old_name_space = "old", .keep_paused = true};
    json_t *objects = json(shape_2_8), *object;
    pb_error error = {0};
    assert_int_equal(pb_edits_apply(&edits, "2.8.1", objects, &error), 0);
    size_t i;
    json_array_foreach(objects, i, object)
    {
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(object, "metadata"), "namespace")),
            "new");
    }
    json_decref(objects);
    expect_diff("[{'kind':'RoleBinding','metadata':{'name':'r','namespace':'old'},'subjects':"
                "[{'kind':'ServiceAccount','name':'pachyderm','namespace':'old'},"
                "{'kind':'ServiceAccount','name':'x','namespace':'elsewhere'}]},"
                "{'kind':'Service','metadata':{'name':'pachd','namespace':'old'},'spec':"
                "{'ports':[{'name':'grpc','nodePort':30650}]}},"
                "{'kind':'ConfigMap','metadata':{'name':'c','namespace':'old'},'data':"
                "{'a':'http://pachd.old.svc:1650/x pachd.older.svc','old':'old'}},"
                "{'kind':'StatefulSet','metadata':{'name':'etcd','namespace':'old'},'spec':"
                "{'template':{'metadata':{'namespace':'old'},'spec':{'containers':[{'name':'etcd',"
                "'args':['--peer=http://$(N).etcd-headless.old.svc.cluster.local:2380'],"
                "'env':[{'name':'A','value':'a.old.svc,b.old.svc.x'},"
                "{'name':'B','value':'a.old.svcs'},{'name':'C','value':'.old.svc'},"
                "{'name':'D','value':'old'},{'name':'PACH_NAMESPACE','value':'old'}]}]}}}}]",
                "2.8.1", &edits,
                "RoleBinding/r metadata.namespace: \"old\" -> \"new\"\n"
                "RoleBinding/r subjects[pachyderm].namespace: \"old\" -> \"new\"\n"
                "Service/pachd metadata.namespace: \"old\" -> \"new\"\n"
                "Service/pachd spec.ports[grpc].nodePort: 30650 -> (none)\n"
                "ConfigMap/c metadata.namespace: \"old\" -> \"new\"\n"
                "ConfigMap/c data.a: \"http://pachd.old.svc:1650/x pachd.older.svc\" -> "
                "\"http://pachd.new.svc:1650/x pachd.older.svc\"\n"
                "StatefulSet/etcd metadata.namespace: \"old\" -> \"new\"\n"
                "StatefulSet/etcd spec.template.metadata.namespace: \"old\" -> \"new\"\n"
                "StatefulSet/etcd spec.template.spec.containers[etcd].args[0]: "
                "\"--peer=http://$(N).etcd-headless.old.svc.cluster.local:2380\" -> "
                "\"--peer=http://$(N).etcd-headless.new.svc.cluster.local:2380\"\n"
                "StatefulSet/etcd spec.template.spec.containers[etcd].env[A].value: "
                "\"a.old.svc,b.old.svc.x\" -> \"a.new.svc,b.new.svc.x\"\n"
                "StatefulSet/etcd spec.template.spec.containers[etcd].env[PACH_NAMESPACE].value: "
                "\"old\" -> \"new\"\n");
    static const char *const bad[] = {
        "",
        "-a",
        "a-",
        "A",
        "a.b",
        "a b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (i = 0; i < COUNT(bad); i++) {
        edits.name_space = bad[i];
        expect_failure(shape_2_8, "2.8.1", &edits, PB_ERROR_USAGE, "namespace");
    }
    edits.name_space = "new";
    expect_failure("[]", "", &edits, PB_ERROR_FAILED, "found no object");
}

static void objects_of_any_form(void **state)
{
    (void)state;
    const char *item[] = {"pachyderm=x"};
    pb_edits edits = {.bucket = "s3://b", .keep_paused = false};
    edits.gcp_service_account = (pb_edit_list){item, 1};
    static const char *const odd[] = {
        "[1,null,'x',[],{}]",
        "[{'kind':'Deployment','metadata':{'name':'pachd'},'spec':1}]",
        ("[{'kind':'Deployment','metadata':{'name':'pachd'},'spec':{'template':{'spec':"
         "{'containers':[1,{'env':{},'args':1},"
         "{'env':[1,{'name':2},{'name':'STORAGE_URL','value':3}]}]}}}}]"),
        "[{'kind':'Secret','metadata':{'name':'pachyderm-storage-secret'},'data':[]}]",
        "[{'kind':'ServiceAccount','metadata':{'name':'pachyderm','annotations':1}}]",
    };
    for (size_t i = 0; i < COUNT(odd); i++) {
        json_t *objects = json(odd[i]), *before = json(odd[i]);
        pb_buffer text = {0};
        pb_error error;
        (void)pb_edits_apply(&edits, "2.9.0", objects, &error);
        pb_edits_diff(before, objects, &text);
        pb_buffer_free(&text);
        json_decref(before);
        json_decref(objects);
    }
}

static void secrets_are_not_told(void **state)
{
    (void)state;
    json_t *before = json(
        "[{'kind':'Secret','metadata':{'name':'s','annotations':{'a':'hunter2'}},'data':"
        "{'p':'aHVudGVyMg==','gone':'aHVudGVyMg=='}},"
        "{'kind':'ConfigMap','metadata':{'name':'c'},'data':{'db_password':'hunter2',"
        "'url':'postgres://u:hunter2@h/d','text':'a\\nb'}},"
        "{'kind':'Deployment','metadata':{'name':'d'},'spec':{'template':{'spec':{'containers':"
        "[{'name':'c','env':[{'name':'ROOT_TOKEN','value':'hunter2'}]}]}}}}]");
    json_t *after =
        json("[{'kind':'Secret','metadata':{'name':'s','annotations':{'a':'hunter3'}},'data':"
             "{'p':'aHVudGVyMTI=','new':'aHVudGVyMg=='}},"
             "{'kind':'ConfigMap','metadata':{'name':'c'},'data':{'db_password':'hunter34',"
             "'url':'postgres://u:hunter3@h/d','text':'c\\u0085d'}},"
             "{'kind':'Role','metadata':{'name':'r'}}]");
    pb_buffer text = {0};
    pb_edits_diff(before, after, &text);
    assert_string_equal(text.data,
                        "Secret/s metadata.annotations.a: (secret, 7 bytes) -> (secret, 7 bytes)\n"
                        "Secret/s data.p: (secret, 7 bytes) -> (secret, 8 bytes)\n"
                        "Secret/s data.gone: (secret, 7 bytes) -> (none)\n"
                        "Secret/s data.new: (none) -> (secret, 7 bytes)\n"
                        "ConfigMap/c data.db_password: (secret, 7 bytes) -> (secret, 8 bytes)\n"
                        "ConfigMap/c data.url: (secret, 24 bytes) -> (secret, 24 bytes)\n"
                        "ConfigMap/c data.text: \"a\\nb\" -> \"c?d\"\n"
                        "Deployment/d: left out\n"
                        "Role/r: added\n");
    pb_buffer_free(&text);
    json_decref(before);
    json_decref(after);
}

/* ---- the file ---- */

static void a_file_of_edits(void **state)
{
    (void)state;
    pb_arena arena = {0};
    pb_error error = {0};
    pb_edits edits = {.bucket = "s3://from-the-command-line"};
    assert_int_equal(pb_edits_read(PB_SLICE_LITERAL("namespace: new\n"
                                                    "bucket: s3://from-the-file\n"
                                                    "cloudsql-instance: p:r:i\n"
                                                    "pachd-database-host: db:5432\n"
                                                    "image-registry: reg\n"
                                                    "gcp-service-account:\n"
                                                    "  pachyderm: a@p\n"
                                                    "  pachyderm-worker: b@p\n"
                                                    "aws-role: arn\n"
                                                    "azure-client: [x, pachyderm=y]\n"
                                                    "drop-service-account-secrets: true\n"
                                                    "keep-paused: false\n"),
                                   "edits.yaml", &arena, &edits, &error),
                     0);
    assert_string_equal(edits.name_space, "new");
    assert_string_equal(edits.bucket, "s3://from-the-command-line");
    assert_string_equal(edits.cloudsql_instance, "p:r:i");
    assert_string_equal(edits.database_host, "db:5432");
    assert_string_equal(edits.image_registry, "reg");
    assert_int_equal(edits.gcp_service_account.count, 2);
    assert_string_equal(edits.gcp_service_account.items[0], "pachyderm=a@p");
    assert_string_equal(edits.gcp_service_account.items[1], "pachyderm-worker=b@p");
    assert_int_equal(edits.aws_role.count, 1);
    assert_string_equal(edits.aws_role.items[0], "arn");
    assert_int_equal(edits.azure_client.count, 2);
    assert_string_equal(edits.azure_client.items[1], "pachyderm=y");
    assert_true(edits.drop_service_account_secrets);
    assert_false(edits.keep_paused);
    pb_arena_free(&arena);
}

static void a_file_with_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says, *hint;
    } bad[] = {
        {"buckt: s3://x", "edits.yaml: there is no edit \"buckt\"", "did you mean bucket?"},
        {"zzz: 1", "edits.yaml: there is no edit \"zzz\"", ""},
        {"--bucket: s3://x", "edits.yaml: there is no edit", "did you mean bucket?"},
        {"bucket: 1", "edits.yaml: bucket is not text", ""},
        {"bucket:", "edits.yaml: bucket is not text", ""},
        {"bucket: ''", "edits.yaml: bucket is not text", ""},
        {"keep-paused: maybe", "edits.yaml: keep-paused is not true or false", ""},
        {"aws-role: 1", "edits.yaml: aws-role is not text, a list", ""},
        {"aws-role: []", "edits.yaml: aws-role is not text, a list", ""},
        {"aws-role: [1]", "edits.yaml: aws-role is not text, a list", ""},
        {"aws-role: {a: [b]}", "edits.yaml: aws-role is not text, a list", ""},
        {"- bucket", "edits.yaml: not a mapping", ""},
        {"namespace: a\nbucket: *x", "edits.yaml: line 2", ""},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        pb_arena arena = {0};
        pb_error error = {0};
        pb_edits edits = {0};
        assert_int_equal(
            pb_edits_read(pb_slice_of(bad[i].text), "edits.yaml", &arena, &edits, &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        if (strstr(error.message, bad[i].says) != error.message)
            fail_msg("%s", error.message);
        assert_string_equal(error.hint, bad[i].hint);
        assert_null(edits.name_space);
        pb_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bucket_up_to_2_8),
        cmocka_unit_test(the_bucket_since_2_11),
        cmocka_unit_test(the_bucket_by_the_switch_of_2_9),
        cmocka_unit_test(pachd_by_any_name),
        cmocka_unit_test(the_backend_of_another_provider),
        cmocka_unit_test(the_bucket_of_minio_and_azure),
        cmocka_unit_test(urls_that_are_none),
        cmocka_unit_test(cloud_sql_by_argument_and_by_variable),
        cmocka_unit_test(the_database_host_but_not_the_bouncer),
        cmocka_unit_test(service_accounts),
        cmocka_unit_test(the_pause_goes_unless_kept),
        cmocka_unit_test(registries),
        cmocka_unit_test(another_namespace),
        cmocka_unit_test(objects_of_any_form),
        cmocka_unit_test(secrets_are_not_told),
        cmocka_unit_test(a_file_of_edits),
        cmocka_unit_test(a_file_with_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
