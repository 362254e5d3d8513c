/* What is read from the namespaces of Pachyderm's versions. */
#include "cluster/pachyderm/pachyderm.h"

#include "base/base64.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* ---- a namespace ---- */

static json_t *namespace_items;

static int begin(void **state)
{
    (void)state;
    namespace_items = json_array();
    return 0;
}

static int end(void **state)
{
    (void)state;
    json_decref(namespace_items);
    return 0;
}

static void add(const char *text)
{
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    json_array_append_new(namespace_items, object);
}

static json_t *workload(const char *kind, const char *name, const char *app, int replicas,
                        const char *image)
{
    json_t *object = json_pack(
        "{s:s, s:{s:s, s:{s:s, s:s}}, s:{s:i, s:{s:{s:[{s:s, s:s, s:[]}]}}}}", "kind", kind,
        "metadata", "name", name, "labels", "app", app, "suite", "pachyderm", "spec", "replicas",
        replicas, "template", "spec", "containers", "name", name, "image", image, "env");
    assert_non_null(object);
    json_array_append_new(namespace_items, object);
    return object;
}

static json_t *containers_of(json_t *object)
{
    json_t *template = json_object_get(json_object_get(object, "spec"), "template");
    return json_object_get(json_object_get(template, "spec"), "containers");
}

static json_t *environment_of(json_t *object)
{
    return json_object_get(json_array_get(containers_of(object), 0), "env");
}

static void set(json_t *object, const char *name, const char *value)
{
    json_array_append_new(environment_of(object),
                          json_pack("{s:s, s:s}", "name", name, "value", value));
}

static void set_from_secret(json_t *object, const char *name, const char *secret, const char *key)
{
    json_array_append_new(environment_of(object),
                          json_pack("{s:s, s:{s:{s:s, s:s}}}", "name", name, "valueFrom",
                                    "secretKeyRef", "name", secret, "key", key));
}

/* NAME, VALUE, ..., NULL. */
static void add_storage_secret(const char *first, ...)
{
    json_t *data = json_object();
    va_list texts;
    va_start(texts, first);
    for (const char *name = first; name; name = va_arg(texts, const char *)) {
        pb_buffer text = {0};
        pb_base64_encode(&text, pb_slice_of(va_arg(texts, const char *)));
        json_object_set_new(data, name, json_string(text.data ? text.data : ""));
        pb_buffer_free(&text);
    }
    va_end(texts);
    json_array_append_new(namespace_items,
                          json_pack("{s:s, s:{s:s}, s:o}", "kind", "Secret", "metadata", "name",
                                    PB_STORAGE_SECRET, "data", data));
}

static json_t *add_pachd(const char *version)
{
    char image[128];
    snprintf(image, sizeof image, "pachyderm/pachd:%s", version);
    json_t *pachd = workload("Deployment", "pachd", "pachd", 1, image);
    set(pachd, "POSTGRES_HOST", "postgres");
    set(pachd, "POSTGRES_PORT", "5432");
    set(pachd, "POSTGRES_USER", "pachyderm");
    set(pachd, "POSTGRES_DATABASE", "pachyderm");
    set(pachd, "PG_BOUNCER_HOST", "pg-bouncer");
    set_from_secret(pachd, "POSTGRES_PASSWORD", "postgres", "postgresql-password");
    return pachd;
}

static pb_pachyderm parse(void)
{
    pb_pachyderm pachyderm;
    pb_error error = {0};
    if (pb_pachyderm_parse(namespace_items, &pachyderm, &error) != 0)
        fail_msg("%s", error.message);
    return pachyderm;
}

#define assert_parsed(member, text)                                                                \
    do {                                                                                           \
        pb_pachyderm parsed = parse();                                                             \
        assert_string_equal(parsed.member, text);                                                  \
        pb_pachyderm_free(&parsed);                                                                \
    } while (0)

/* ---- shapes of versions ---- */

static void pachyderm_2_4(void **state)
{
    (void)state;
    add_pachd("2.4.6");
    workload("Deployment", "pg-bouncer", "pg-bouncer", 1, "pachyderm/pgbouncer:1.16.2");
    workload("StatefulSet", "etcd", "etcd", 1, "pachyderm/etcd:v3.5.1");
    add_storage_secret("AMAZON_BUCKET", "prod", "AMAZON_REGION", "eu-central-1", "AMAZON_ID",
                       "AKIA", "AMAZON_SECRET", "marked", "AMAZON_TOKEN", "", "CUSTOM_ENDPOINT", "",
                       "DISABLE_SSL", "", NULL);
    pb_pachyderm pachyderm = parse();
    assert_string_equal(pachyderm.version, "2.4.6");
    assert_string_equal(pachyderm.storage_url, "s3://prod?region=eu-central-1");
    assert_true(pachyderm.storage_in_secret);
    assert_string_equal(pachyderm.storage_id_key, "AMAZON_ID");
    assert_string_equal(pachyderm.storage_secret_key, "AMAZON_SECRET");
    assert_string_equal(pachyderm.storage_token_key, ""); /* it is there, and empty */
    assert_string_equal(pachyderm.database_host, "postgres");
    assert_int_equal(pachyderm.database_port, 5432);
    assert_string_equal(pachyderm.database_user, "pachyderm");
    assert_string_equal(pachyderm.database_name, "pachyderm");
    assert_string_equal(pachyderm.password_secret, "postgres");
    assert_string_equal(pachyderm.password_key, "postgresql-password");
    assert_false(pachyderm.paused);
    assert_int_equal(pachyderm.writers.count, 1);
    pb_pachyderm_free(&pachyderm);
    assert_null(pachyderm.version);
}

static void pachyderm_2_8_on_minio(void **state)
{
    (void)state;
    json_t *pachd = add_pachd("2.8.1");
    set(pachd, "STORAGE_BACKEND", "MINIO");
    set(pachd, "STORAGE_URL", "s3://not-read-by-this-version"); /* up to 2.8 */
    add_storage_secret("AMAZON_BUCKET", "", "MINIO_BUCKET", "chunks\n", "MINIO_ENDPOINT",
                       "minio.prod.svc:9000", "MINIO_ID", "minio", "MINIO_SECRET", "marked",
                       "MINIO_SECURE", "0", NULL);
    pb_pachyderm pachyderm = parse();
    assert_string_equal(pachyderm.storage_url,
                        "s3://chunks?endpoint=minio.prod.svc%3A9000&disableSSL=true");
    assert_true(pachyderm.storage_in_secret);
    assert_string_equal(pachyderm.storage_id_key, "MINIO_ID");
    assert_string_equal(pachyderm.storage_secret_key, "MINIO_SECRET");
    assert_string_equal(pachyderm.storage_token_key, "");
    pb_pachyderm_free(&pachyderm);
}

static void pachyderm_2_10_by_gocdk(void **state)
{
    (void)state;
    static const struct {
        const char *version, *enabled, *url;
        bool in_secret;
    } cases[] = {
        {"2.8.9", "true", "s3://of-secret", true},
        {"2.9.0", NULL, "s3://of-secret", true},
        {"2.9.0", "true", "s3://of-url?region=r", false},
        {"2.10.3", NULL, "s3://of-url?region=r", false},
        {"2.10.3", "false", "s3://of-secret", true},
        {"2.10.3", "True", "s3://of-url?region=r", false},
        {"2.11.4", "false", "s3://of-url?region=r", false},
        {"2.12.0-rc.1", NULL, "s3://of-url?region=r", false},
        {"3.0.0", NULL, "s3://of-url?region=r", false},
        {"nightly", NULL, "s3://of-url?region=r", false},
        {"nightly", "false", "s3://of-secret", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_array_clear(namespace_items);
        json_t *pachd = add_pachd(cases[i].version);
        set(pachd, "STORAGE_URL", "s3://of-url?region=r");
        if (cases[i].enabled)
            set(pachd, "GOCDK_ENABLED", cases[i].enabled);
        add_storage_secret("AMAZON_BUCKET", "of-secret", "AMAZON_ID", "id", "AMAZON_SECRET", "key",
                           "AMAZON_TOKEN", "token", NULL);
        pb_pachyderm pachyderm = parse();
        assert_string_equal(pachyderm.storage_url, cases[i].url);
        assert_int_equal(pachyderm.storage_in_secret, cases[i].in_secret);
        assert_string_equal(pachyderm.storage_id_key, "AMAZON_ID");
        assert_string_equal(pachyderm.storage_token_key, "AMAZON_TOKEN");
        pb_pachyderm_free(&pachyderm);
    }
}

/* The bucket's key of its secret can be a stale one: rather none than that. */
static void pachyderm_2_11_reads_no_bucket_from_the_secret(void **state)
{
    (void)state;
    add_pachd("2.11.4");
    add_storage_secret("AMAZON_BUCKET", "stale", NULL);
    assert_parsed(storage_url, "");
}

/* The credentials beside STORAGE_URL need no key of a bucket. */
static void pachyderm_2_11_has_credentials_in_the_secret(void **state)
{
    (void)state;
    json_t *pachd = add_pachd("2.11.4");
    set(pachd, "STORAGE_BACKEND", "MINIO");
    set(pachd, "STORAGE_URL", "s3://prod?endpoint=10.0.0.7:9000&disableSSL=true&region=r");
    add_storage_secret("AMAZON_ID", "old", "AMAZON_SECRET", "old", "MINIO_ID", "id", "MINIO_SECRET",
                       "key", NULL);
    pb_pachyderm pachyderm = parse();
    assert_string_equal(pachyderm.storage_url,
                        "s3://prod?endpoint=10.0.0.7:9000&disableSSL=true&region=r");
    assert_string_equal(pachyderm.storage_id_key, "MINIO_ID");
    pb_pachyderm_free(&pachyderm);
}

/* The chart writes them beside AMAZON_*; by hand they may be alone. */
static void storage_url_goes_by_keys_of_its_own(void **state)
{
    (void)state;
    set(add_pachd("2.11.4"), "STORAGE_URL", "s3://prod");
    add_storage_secret("AMAZON_ID", "stale", "AMAZON_SECRET", "stale", "AWS_ACCESS_KEY_ID", "id",
                       "AWS_SECRET_ACCESS_KEY", "key", "AWS_SESSION_TOKEN", "", NULL);
    assert_parsed(storage_id_key, "AWS_ACCESS_KEY_ID");
    assert_parsed(storage_secret_key, "AWS_SECRET_ACCESS_KEY");
    assert_parsed(storage_token_key, "");
}

static void the_secrets_bucket_goes_by_the_secrets_keys(void **state)
{
    (void)state;
    add_pachd("2.8.1");
    add_storage_secret("AMAZON_BUCKET", "prod", "AMAZON_ID", "id", "AMAZON_SECRET", "key",
                       "AWS_ACCESS_KEY_ID", "id", "AWS_SECRET_ACCESS_KEY", "key", NULL);
    assert_parsed(storage_id_key, "AMAZON_ID");
}

static void other_stores(void **state)
{
    (void)state;
    static const struct {
        const char *key, *url;
    } cases[] = {
        {"GOOGLE_BUCKET", "gs://prod"},
        {"MICROSOFT_CONTAINER", "azblob://prod"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_array_clear(namespace_items);
        add_pachd("2.8.1");
        add_storage_secret(cases[i].key, "prod", "AMAZON_ID", "id", "AMAZON_SECRET", "key", NULL);
        pb_pachyderm pachyderm = parse();
        assert_string_equal(pachyderm.storage_url, cases[i].url);
        assert_string_equal(pachyderm.storage_id_key, ""); /* of another store */
        pb_pachyderm_free(&pachyderm);
    }
}

/* A credential file has lines, and charts write an empty one where there is none. */
static void the_credential_of_google(void **state)
{
    (void)state;
    static const struct {
        const char *value, *key;
    } cases[] = {
        {"{\n  \"type\": \"service_account\"\n}\n", "GOOGLE_CRED"},
        {"{}", "GOOGLE_CRED"},
        {"", ""},
        {" \r\n", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_array_clear(namespace_items);
        add_pachd("2.8.1");
        add_storage_secret("GOOGLE_BUCKET", "prod", "GOOGLE_CRED", cases[i].value, "AMAZON_ID",
                           "id", "AMAZON_SECRET", "key", NULL);
        assert_parsed(storage_url, "gs://prod");
        assert_parsed(storage_credential_key, cases[i].key);
        assert_parsed(storage_id_key, "");
    }
    /* With STORAGE_URL likewise; a key that is none of Base64 is none. */
    json_array_clear(namespace_items);
    json_t *pachd = add_pachd("2.11.4");
    set(pachd, "STORAGE_URL", "gcs://prod/inside");
    set(pachd, "STORAGE_BACKEND", "GOOGLE");
    assert_parsed(storage_credential_key, "");
    add_storage_secret("GOOGLE_BUCKET", "stale", "GOOGLE_CRED", "{}", NULL);
    assert_parsed(storage_url, "gcs://prod/inside");
    assert_parsed(storage_credential_key, "GOOGLE_CRED");
    json_array_remove(namespace_items, 1);
    add("{\"kind\":\"Secret\",\"metadata\":{\"name\":\"pachyderm-storage-secret\"},"
        "\"data\":{\"GOOGLE_CRED\":\"%%%\"}}");
    assert_parsed(storage_credential_key, "");
    /* Nor is it for another provider's bucket. */
    json_array_clear(namespace_items);
    pachd = add_pachd("2.11.4");
    set(pachd, "STORAGE_URL", "s3://prod");
    add_storage_secret("GOOGLE_CRED", "{}", NULL);
    assert_parsed(storage_credential_key, "");
}

static void endpoints_of_amazon(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint, *plain, *url;
    } cases[] = {
        {"", "true", "s3://prod"},
        {"s3.example.org", "", "s3://prod?endpoint=s3.example.org"},
        {"s3.example.org:9000", "true", "s3://prod?endpoint=s3.example.org%3A9000&disableSSL=true"},
        {"http://s3.example.org:9000/", "true",
         "s3://prod?endpoint=http%3A//s3.example.org%3A9000/"},
        {"h&region=x", "", "s3://prod?endpoint=h%26region%3Dx"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_array_clear(namespace_items);
        add_pachd("2.8.1");
        add_storage_secret("AMAZON_BUCKET", "prod", "CUSTOM_ENDPOINT", cases[i].endpoint,
                           "DISABLE_SSL", cases[i].plain, NULL);
        assert_parsed(storage_url, cases[i].url);
    }
}

static void a_bucket_that_cannot_be_one_is_none(void **state)
{
    (void)state;
    static const char *const buckets[] = {"a?endpoint=evil", "a/b", "a b", "\x01", "\xff", "#"};
    for (size_t i = 0; i < COUNT(buckets); i++) {
        json_array_clear(namespace_items);
        add_pachd("2.8.1");
        add_storage_secret("AMAZON_BUCKET", buckets[i], NULL);
        assert_parsed(storage_url, "");
    }
    json_array_clear(namespace_items);
    add_pachd("2.8.1");
    add("{\"kind\":\"Secret\",\"metadata\":{\"name\":\"pachyderm-storage-secret\"},"
        "\"data\":{\"AMAZON_BUCKET\":\"%%%\",\"AMAZON_ID\":7}}");
    assert_parsed(storage_url, "");
}

/* ---- versions ---- */

static void versions(void **state)
{
    (void)state;
    static const struct {
        const char *image, *version;
    } cases[] = {
        {"pachyderm/pachd:2.11.4", "2.11.4"},
        {"registry.example.org:5000/pachyderm/pachd:v2.8.1-1", "2.8.1-1"},
        {"pachyderm/pachd:2.6.0@sha256:0123", "2.6.0"},
        {"pachyderm/pachd@sha256:0123", ""},
        {"registry.example.org:5000/pachd", ""},
        {"pachyderm/pachd:latest", ""},
        {"pachyderm/pachd:0a1b2c3d4e", ""}, /* a commit */
        {"pachyderm/pachd:2.x;rm", ""},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_array_clear(namespace_items);
        workload("Deployment", "pachd", "pachd", 1, cases[i].image);
        assert_parsed(version, cases[i].version);
    }
}

static void labels_tell_the_version_where_the_image_does_not(void **state)
{
    (void)state;
    json_t *pachd = workload("Deployment", "pachd", "pachd", 1, "mirror/pachd@sha256:01");
    json_t *labels = json_object_get(json_object_get(pachd, "metadata"), "labels");
    json_object_set_new(labels, "helm.sh/chart", json_string("pachyderm-2.7.2"));
    assert_parsed(version, "2.7.2");
    json_object_set_new(labels, "app.kubernetes.io/version", json_string("2.7.3"));
    assert_parsed(version, "2.7.3");
}

/* Sidecars and what runs before have images and variables of their own. */
static void pachds_own_container_counts(void **state)
{
    (void)state;
    json_t *pachd = add_pachd("2.8.1");
    json_t *other = json_loads("{\"name\":\"proxy\",\"image\":\"proxy:1.36.0\",\"env\":[{"
                               "\"name\":\"POSTGRES_HOST\",\"value\":\"wrong\"}]}",
                               0, NULL);
    json_array_insert(containers_of(pachd), 0, other);
    json_t *spec = json_object_get(json_object_get(pachd, "spec"), "template");
    spec = json_object_get(spec, "spec");
    json_object_set_new(spec, "initContainers", json_pack("[O]", other));
    json_decref(other);
    pb_pachyderm pachyderm = parse();
    assert_string_equal(pachyderm.version, "2.8.1");
    assert_string_equal(pachyderm.database_host, "postgres");
    pb_pachyderm_free(&pachyderm);
}

/* ---- the database ---- */

static void a_dump_goes_past_the_bouncer(void **state)
{
    (void)state;
    json_t *pachd = workload("Deployment", "pachd", "pachd", 1, "pachyderm/pachd:2.8.1");
    set(pachd, "POSTGRES_HOST", "pg-bouncer.prod.svc");
    set(pachd, "POSTGRES_PORT", "6432");
    json_t *bouncer = workload("Deployment", "pg-bouncer", "pg-bouncer", 1, "pgbouncer:1.16");
    set(bouncer, "POSTGRESQL_HOST", "db.example.org");
    set(bouncer, "POSTGRESQL_PORT", "5433");
    pb_pachyderm pachyderm = parse();
    assert_string_equal(pachyderm.database_host, "db.example.org");
    assert_int_equal(pachyderm.database_port, 5433);
    pb_pachyderm_free(&pachyderm);
}

static void logins_are_where_pachd_says(void **state)
{
    (void)state;
    json_t *pachd = add_pachd("2.11.4");
    assert_parsed(identity_database, "dex");
    set(pachd, "IDENTITY_SERVER_DATABASE", "");
    assert_parsed(identity_database, "dex");
    json_array_clear(namespace_items);
    set(add_pachd("2.11.4"), "IDENTITY_SERVER_DATABASE", "logins");
    assert_parsed(identity_database, "logins");
    /* From a secret: which it is cannot be told. */
    json_array_clear(namespace_items);
    set_from_secret(add_pachd("2.11.4"), "IDENTITY_SERVER_DATABASE", "s", "k");
    assert_parsed(identity_database, "");
}

static void a_directory_in_place_of_a_bucket(void **state)
{
    (void)state;
    static const char *const versions_of_all[] = {"2.5.0", "2.11.4", "latest"};
    for (size_t i = 0; i < COUNT(versions_of_all); i++) {
        json_array_clear(namespace_items);
        json_t *pachd = add_pachd(versions_of_all[i]);
        set(pachd, "STORAGE_BACKEND", "LOCAL");
        set(pachd, "STORAGE_HOST_PATH", "/var/pachyderm-x/pachd");
        add_storage_secret("AMAZON_BUCKET", "left-over", NULL);
        assert_parsed(storage_backend, "LOCAL");
        assert_parsed(storage_path, "/var/pachyderm-x/pachd");
        assert_parsed(storage_url, "");
    }
    json_array_clear(namespace_items);
    set(add_pachd("2.11.4"), "STORAGE_HOST_PATH", "/of/no/use");
    assert_parsed(storage_path, "");
}

static void minio_is_refused_since_2_11(void **state)
{
    (void)state;
    static const struct {
        const char *version, *backend;
        bool taken;
    } cases[] = {
        {"2.10.9", "MINIO", true}, {"2.11.0", "MINIO", false}, {"2.13.1", "minio", false},
        {"3.0.0", "MINIO", false}, {"2.11.0", "AMAZON", true}, {"2.11.0", "LOCAL", true},
        {"2.11.0", "", true},      {"latest", "MINIO", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_array_clear(namespace_items);
        set(add_pachd(cases[i].version), "STORAGE_BACKEND", cases[i].backend);
        pb_pachyderm pachyderm = parse();
        assert_int_equal(pb_pachyderm_takes_backend(&pachyderm), cases[i].taken);
        pb_pachyderm_free(&pachyderm);
    }
}

static void cloud_sql_is_reached_by_its_proxy(void **state)
{
    (void)state;
    workload("Deployment", "pachd", "pachd", 1, "pachyderm/pachd:2.8.1");
    assert_parsed(database_host, "");
    add("{\"kind\":\"Service\",\"metadata\":{\"name\":\"cloudsql-auth-proxy\"}}");
    pb_pachyderm pachyderm = parse();
    assert_string_equal(pachyderm.database_host, "cloudsql-auth-proxy");
    assert_int_equal(pachyderm.database_port, 5432);
    pb_pachyderm_free(&pachyderm);
}

static void a_service_is_named_for_all_namespaces(void **state)
{
    (void)state;
    add_pachd("2.8.1");
    add("{\"kind\":\"Service\",\"metadata\":{\"name\":\"pg-bouncer\",\"namespace\":\"prod\"}}");
    assert_parsed(database_host, "postgres");
    add("{\"kind\":\"Service\",\"metadata\":{\"name\":\"postgres\",\"namespace\":\"prod\"}}");
    assert_parsed(database_host, "postgres.prod.svc");
}

static void a_port_is_a_port(void **state)
{
    (void)state;
    static const char *const ports[] = {"", "0", "65536", "-1", "5432x", "99999999999999999999"};
    for (size_t i = 0; i < COUNT(ports); i++) {
        json_array_clear(namespace_items);
        set(workload("Deployment", "pachd", "pachd", 1, ""), "POSTGRES_PORT", ports[i]);
        pb_pachyderm pachyderm = parse();
        assert_int_equal(pachyderm.database_port, 5432);
        pb_pachyderm_free(&pachyderm);
    }
}

static void the_password_is_named_by_pachd(void **state)
{
    (void)state;
    json_t *pachd = workload("Deployment", "pachd", "pachd", 1, "");
    pb_pachyderm pachyderm = parse(); /* the chart's own */
    assert_string_equal(pachyderm.password_secret, "postgres");
    assert_string_equal(pachyderm.password_key, "postgresql-password");
    assert_string_equal(pachyderm.database_user, "pachyderm");
    pb_pachyderm_free(&pachyderm);
    set_from_secret(pachd, "POSTGRES_PASSWORD", "mine", "word");
    set(pachd, "POSTGRES_USER", "admin");
    pachyderm = parse();
    assert_string_equal(pachyderm.password_secret, "mine");
    assert_string_equal(pachyderm.password_key, "word");
    assert_string_equal(pachyderm.database_user, "admin");
    pb_pachyderm_free(&pachyderm);
}

/* ---- writers ---- */

static void add_worker(const char *name, int replicas)
{
    json_t *worker = workload("ReplicationController", name, name, replicas, "worker");
    json_object_set_new(json_object_get(json_object_get(worker, "metadata"), "labels"), "component",
                        json_string("worker"));
}

static void writers_come_in_the_order_of_the_suspend(void **state)
{
    (void)state;
    add_worker("default-edges-v1", 3);
    workload("Deployment", "console", "console", 1, "");
    workload("Deployment", "pachw", "pachw", 0, "");
    add_worker("default-montage-v2", 0);
    workload("Deployment", "pg-bouncer", "pg-bouncer", 1, "");
    add_pachd("2.8.1");
    add("{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"pachd-config\"},"
        "\"data\":{\"MODE\":\"paused\"}}");
    static const char *const names[] = {"pachd", "pachw", "default-edges-v1", "default-montage-v2"};
    static const uint64_t replicas[] = {1, 0, 3, 0};
    pb_pachyderm pachyderm = parse();
    assert_true(pachyderm.paused);
    assert_int_equal(pachyderm.writers.count, COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_string_equal(pachyderm.writers.items[i].name, names[i]);
        assert_int_equal(pachyderm.writers.items[i].replicas, replicas[i]);
    }
    pb_pachyderm_free(&pachyderm);
}

/* pachd's own variable comes before what the ConfigMap says, and a restore takes it back as well.
 */
static void a_variable_of_pachd_pauses_too(void **state)
{
    (void)state;
    json_t *pachd = add_pachd("2.8.1");
    pb_pachyderm pachyderm = parse();
    assert_false(pachyderm.paused);
    pb_pachyderm_free(&pachyderm);
    set(pachd, "MODE", "paused");
    pachyderm = parse();
    assert_true(pachyderm.paused);
    pb_pachyderm_free(&pachyderm);
}

static void a_namespace_without_pachd_has_no_pachyderm(void **state)
{
    (void)state;
    pb_pachyderm pachyderm;
    pb_error error = {0};
    workload("Deployment", "pg-bouncer", "pg-bouncer", 1, "");
    add("{}");
    add("{\"kind\":7,\"metadata\":[]}");
    json_array_append_new(namespace_items, json_null());
    assert_int_equal(pb_pachyderm_parse(namespace_items, &pachyderm, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "app=pachd"));
    assert_true(error.hint[0]);
}

/* Members of other types than they should be say nothing. */
static void odd_members_are_passed_over(void **state)
{
    (void)state;
    add("{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"pachd\",\"labels\":{\"app\":\"pachd\"}},"
        "\"spec\":{\"replicas\":\"x\",\"template\":{\"spec\":{\"containers\":[7,{\"name\":"
        "\"pachd\","
        "\"image\":{},\"env\":[null,{\"name\":\"STORAGE_URL\",\"value\":[]},{\"name\":"
        "\"POSTGRES_PASSWORD\",\"valueFrom\":7}]}]}}}}");
    add("{\"kind\":\"Secret\",\"metadata\":{\"name\":\"pachyderm-storage-secret\"},\"data\":[]}");
    pb_pachyderm pachyderm = parse();
    assert_string_equal(pachyderm.version, "");
    assert_string_equal(pachyderm.storage_url, "");
    pb_pachyderm_free(&pachyderm);
}

/* ---- with a script in kubectl's place ---- */

typedef struct stand_in {
    uv_loop_t loop;
    char folder[64], program[96];
    char *path_before;
    pb_kubectl kubectl;
} stand_in;

static int begin_stand_in(void **state)
{
    stand_in *self = pb_allocate_zeroed(1, sizeof *self);
    snprintf(self->folder, sizeof self->folder, "/tmp/pachyderm_test.XXXXXX");
    if (!mkdtemp(self->folder) || uv_loop_init(&self->loop))
        return -1;
    snprintf(self->program, sizeof self->program, "%s/kubectl", self->folder);
    self->path_before = pb_duplicate(pb_slice_of(getenv("PATH")));
    pb_buffer path = {0};
    pb_buffer_append_format(&path, "%s:%s", self->folder, self->path_before);
    setenv("PATH", path.data, 1);
    pb_buffer_free(&path);
    self->kubectl = (pb_kubectl){.loop = &self->loop, .name_space = "prod"};
    *state = self;
    return 0;
}

static int end_stand_in(void **state)
{
    stand_in *self = *state;
    setenv("PATH", self->path_before, 1);
    remove(self->program);
    remove(self->folder);
    uv_run(&self->loop, UV_RUN_NOWAIT);
    int open = uv_loop_close(&self->loop);
    free(self->path_before);
    free(self);
    return open;
}

/* What it does for the list of workloads, for a secret and for a namespace, as shell. */
static void answer(stand_in *self, const char *list, const char *secret, const char *name_space)
{
    FILE *file = fopen(self->program, "w");
    assert_non_null(file);
    fprintf(file,
            "#!/bin/sh\ncase \"$*\" in\n*' get secret '*) %s;;\n*' get namespace '*) %s;;\n"
            "*) %s;;\nesac\n",
            secret, name_space, list);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(self->program, 0700), 0);
}

#define WITH_VARIABLES(text)                                                                       \
    "echo '{\"items\":[{\"kind\":\"Deployment\",\"metadata\":{\"name\":\"pachd\",\"labels\":{"     \
    "\"app\":\"pachd\"}},\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"pachd\","   \
    "\"env\":[" text "]}]}}}}]}'"
#define WITH_URL WITH_VARIABLES("{\"name\":\"STORAGE_URL\",\"value\":\"s3://prod\"}")
#define NO_RIGHTS "echo 'Error from server (Forbidden): secrets is forbidden' >&2; exit 1"

static void the_bucket_is_known_without_rights_to_secrets(void **state)
{
    stand_in *self = *state;
    pb_pachyderm pachyderm = {0};
    pb_error error = {0};
    answer(self, WITH_URL, NO_RIGHTS, "exit 1");
    assert_int_equal(pb_pachyderm_read(&self->kubectl, &pachyderm, &error), 0);
    assert_string_equal(pachyderm.storage_url, "s3://prod");
    pb_pachyderm_free(&pachyderm);
    answer(self, WITH_URL, "exit 0", "exit 1"); /* no such secret: it is ignored */
    assert_int_equal(pb_pachyderm_read(&self->kubectl, &pachyderm, &error), 0);
    pb_pachyderm_free(&pachyderm);
    answer(self, WITH_VARIABLES(""), NO_RIGHTS, "exit 1");
    assert_int_equal(pb_pachyderm_read(&self->kubectl, &pachyderm, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_REFUSED);
}

static void a_namespace_that_is_not_there_is_told(void **state)
{
    stand_in *self = *state;
    pb_pachyderm pachyderm = {0};
    pb_error error = {0};
    answer(self, "echo '{\"items\":[]}'", "exit 1", "exit 0");
    assert_int_equal(pb_pachyderm_read(&self->kubectl, &pachyderm, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_NOT_FOUND);
    assert_null(strstr(error.message, "does not exist"));
    answer(self, "echo '{\"items\":[]}'", "exit 1",
           "echo 'Error from server (NotFound): namespaces \"prod\" not found' >&2; exit 1");
    assert_int_equal(pb_pachyderm_read(&self->kubectl, &pachyderm, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_NOT_FOUND);
    assert_non_null(strstr(error.message, "namespace prod: it does not exist"));
    assert_true(error.hint[0]);
}

static void a_secrets_value_is_text(void **state)
{
    stand_in *self = *state;
    char *value = NULL;
    pb_error error = {0};
    answer(
        self, "exit 1",
        "echo '{\"data\":{\"k\":\"c2VzYW1l\",\"nul\":\"AGE=\",\"bad\":\"*marked*\",\"e\":\"\"}}'",
        "exit 1");
    assert_int_equal(pb_pachyderm_secret(&self->kubectl, "postgres", "k", &value, &error), 0);
    assert_string_equal(value, "sesame");
    pb_text_wipe(value);
    assert_int_equal(pb_pachyderm_secret(&self->kubectl, "postgres", "e", &value, &error), 0);
    assert_string_equal(value, "");
    pb_text_wipe(value);
    assert_int_equal(pb_pachyderm_secret(&self->kubectl, "postgres", "none", &value, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_NOT_FOUND);
    assert_int_equal(pb_pachyderm_secret(&self->kubectl, "postgres", "nul", &value, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_int_equal(pb_pachyderm_secret(&self->kubectl, "postgres", "bad", &value, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
    assert_null(strstr(error.message, "marked"));
}

static void a_secrets_name_is_no_option(void **state)
{
    stand_in *self = *state;
    char *value = NULL;
    pb_error error = {0};
    answer(self, "exit 1", "echo '{\"data\":{\"k\":\"c2VzYW1l\"}}'", "exit 1");
    assert_int_equal(pb_pachyderm_secret(&self->kubectl, "--server=x", "k", &value, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_DAMAGED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_STAND_IN(name) cmocka_unit_test_setup_teardown(name, begin_stand_in, end_stand_in)
    const struct CMUnitTest tests[] = {
        TEST(logins_are_where_pachd_says),
        TEST(a_directory_in_place_of_a_bucket),
        TEST(minio_is_refused_since_2_11),
        TEST(pachyderm_2_4),
        TEST(pachyderm_2_8_on_minio),
        TEST(pachyderm_2_10_by_gocdk),
        TEST(pachyderm_2_11_reads_no_bucket_from_the_secret),
        TEST(pachyderm_2_11_has_credentials_in_the_secret),
        TEST(storage_url_goes_by_keys_of_its_own),
        TEST(the_secrets_bucket_goes_by_the_secrets_keys),
        TEST(other_stores),
        TEST(the_credential_of_google),
        TEST(endpoints_of_amazon),
        TEST(a_bucket_that_cannot_be_one_is_none),
        TEST(versions),
        TEST(labels_tell_the_version_where_the_image_does_not),
        TEST(pachds_own_container_counts),
        TEST(a_dump_goes_past_the_bouncer),
        TEST(cloud_sql_is_reached_by_its_proxy),
        TEST(a_service_is_named_for_all_namespaces),
        TEST(a_port_is_a_port),
        TEST(the_password_is_named_by_pachd),
        TEST(writers_come_in_the_order_of_the_suspend),
        TEST(a_variable_of_pachd_pauses_too),
        TEST(a_namespace_without_pachd_has_no_pachyderm),
        TEST(odd_members_are_passed_over),
        TEST_STAND_IN(the_bucket_is_known_without_rights_to_secrets),
        TEST_STAND_IN(a_namespace_that_is_not_there_is_told),
        TEST_STAND_IN(a_secrets_value_is_text),
        TEST_STAND_IN(a_secrets_name_is_no_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
