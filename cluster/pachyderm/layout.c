#include "cluster/pachyderm/layout.h"

#include "cluster/kubernetes/object.h"
#include <stdio.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { BUCKET_BYTES_MAX = 255 };

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static bool has_label(const json_t *object, const char *label, const char *value)
{
    return strcmp(pb_object_label(object, label), value) == 0;
}

/* As Go reads a flag. */
static bool is_true(const char *text)
{
    static const char *const words[] = {"1", "t", "T", "true", "True", "TRUE"};
    return is_one_of(text, words, COUNT(words));
}

/* ---- the parts ---- */

#define BOUNCER "pg-bouncer"

static bool is_of_suite(const json_t *object)
{
    return has_label(object, "suite", "pachyderm");
}

pb_component pb_layout_component(const json_t *object)
{
    static const struct {
        const char *app;
        pb_component component;
    } parts[] = {
        {"pachd", PB_COMPONENT_PACHD},
        {"pachw", PB_COMPONENT_PACHW},
        {"pach-enterprise", PB_COMPONENT_ENTERPRISE},
        {BOUNCER, PB_COMPONENT_BOUNCER},
        {"cloudsql-auth-proxy", PB_COMPONENT_CLOUDSQL_PROXY},
    };
    if (is_of_suite(object) && (has_label(object, PB_WORKER_LABEL, PB_WORKER_LABEL_VALUE) ||
                                *pb_object_label(object, "pipelineName")))
        return PB_COMPONENT_WORKER;
    const char *app = pb_object_label(object, "app");
    if (!*app)
        app = pb_object_name(object);
    for (size_t i = 0; i < COUNT(parts); i++)
        if (strcmp(app, parts[i].app) == 0)
            return parts[i].component;
    return PB_COMPONENT_NONE;
}

bool pb_layout_is(const json_t *object, const char *kind, pb_component component)
{
    return strcmp(pb_object_kind(object), kind) == 0 && pb_layout_component(object) == component;
}

const json_t *pb_layout_find(const json_t *objects, const char *kind, pb_component component)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *object = json_array_get(objects, i);
        if (pb_layout_is(object, kind, component) && *pb_object_name(object))
            return object;
    }
    return NULL;
}

/* "data-postgres-0" */
static bool is_database_claim(const char *name)
{
    static const char middle[] = "-postgres-";
    const char *at = strstr(name, middle);
    if (!at || at == name)
        return false;
    const char *ordinal = at + sizeof middle - 1;
    return *ordinal && ordinal[strspn(ordinal, "0123456789")] == '\0';
}

bool pb_layout_is_database(const json_t *object)
{
    static const char *const kinds[] = {"StatefulSet", "Service", "Secret", "ConfigMap",
                                        "ServiceAccount"};
    static const char *const names[] = {"postgres", "postgres-headless"};
    const char *kind = pb_object_kind(object), *name = pb_object_name(object);
    if (!*kind || !*name)
        return false;
    if ((is_of_suite(object) && has_label(object, "app", "postgres")) ||
        has_label(object, "app.kubernetes.io/name", "postgresql"))
        return true;
    if (strcmp(kind, "PersistentVolumeClaim") == 0)
        return is_database_claim(name);
    return is_one_of(kind, kinds, COUNT(kinds)) && is_one_of(name, names, COUNT(names));
}

bool pb_layout_is_service_account(const json_t *object)
{
    static const char *const names[] = {"pachyderm", "pachyderm-worker", "k8s-cloudsql-auth-proxy"};
    return strcmp(pb_object_kind(object), "ServiceAccount") == 0 &&
           is_one_of(pb_object_name(object), names, COUNT(names));
}

/* ---- containers and variables ---- */

json_t *pb_layout_containers(const json_t *workload)
{
    json_t *all = pb_object_containers(workload), *ordered = json_array();
    for (int rest = 0; rest < 2; rest++)
        for (size_t i = 0; i < json_array_size(all); i++) {
            json_t *container = json_array_get(all, i);
            if ((strcmp(pb_object_text(container, "name"), "pachd") != 0) == rest)
                json_array_append(ordered, container);
        }
    json_decref(all);
    return ordered;
}

const json_t *pb_layout_variable(const json_t *workload, const char *name)
{
    const json_t *found = NULL;
    json_t *containers = pb_layout_containers(workload);
    for (size_t i = 0; i < json_array_size(containers) && !found; i++) {
        const json_t *variables = json_object_get(json_array_get(containers, i), "env");
        for (size_t j = 0; j < json_array_size(variables) && !found; j++) {
            const json_t *variable = json_array_get(variables, j);
            if (strcmp(pb_object_text(variable, "name"), name) == 0)
                found = variable;
        }
    }
    json_decref(containers);
    return found;
}

const char *pb_layout_value(const json_t *workload, const char *name)
{
    return pb_object_text(pb_layout_variable(workload, name), "value");
}

bool pb_layout_is_image_variable(const char *name)
{
    return pb_slice_ends_with(pb_slice_of(name), PB_SLICE_LITERAL("_IMAGE"));
}

/* ---- the bucket ---- */

const pb_storage_backend pb_storage_backends[PB_STORAGE_BACKENDS] = {
    {.name = "AMAZON",
     .provider = PB_STORAGE_S3,
     .bucket = "AMAZON_BUCKET",
     .id = "AMAZON_ID",
     .secret = "AMAZON_SECRET",
     .token = "AMAZON_TOKEN",
     .credential = "",
     .endpoint = "CUSTOM_ENDPOINT",
     .region = "AMAZON_REGION",
     .tls = "DISABLE_SSL",
     .accounts = {"", ""}},
    {.name = "MINIO",
     .provider = PB_STORAGE_S3,
     .bucket = "MINIO_BUCKET",
     .id = "MINIO_ID",
     .secret = "MINIO_SECRET",
     .token = "",
     .credential = "",
     .endpoint = "MINIO_ENDPOINT",
     .region = "AMAZON_REGION",
     .tls = "MINIO_SECURE",
     .accounts = {"", ""}},
    {.name = "GOOGLE",
     .provider = PB_STORAGE_GOOGLE,
     .bucket = "GOOGLE_BUCKET",
     .id = "",
     .secret = "",
     .token = "",
     .credential = "GOOGLE_CRED",
     .endpoint = "",
     .region = "",
     .tls = "",
     .accounts = {"", ""}},
    {.name = "MICROSOFT",
     .provider = PB_STORAGE_AZURE,
     .bucket = "MICROSOFT_CONTAINER",
     .id = "",
     .secret = "",
     .token = "",
     .credential = "",
     .endpoint = "",
     .region = "",
     .tls = "",
     .accounts = {"AZURE_STORAGE_ACCOUNT", "MICROSOFT_ID"}},
};

const pb_storage_backend pb_storage_library = {
    .name = "",
    .provider = PB_STORAGE_S3,
    .bucket = "",
    .id = "AWS_ACCESS_KEY_ID",
    .secret = "AWS_SECRET_ACCESS_KEY",
    .token = "AWS_SESSION_TOKEN",
    .credential = "",
    .endpoint = "",
    .region = "AWS_REGION",
    .tls = "",
    .accounts = {"", ""},
};

const pb_storage_credential pb_storage_credentials[PB_STORAGE_CREDENTIALS] = {
    {"AMAZON_ID", "AWS_ACCESS_KEY_ID"},
    {"AMAZON_SECRET", "AWS_SECRET_ACCESS_KEY"},
    {"AMAZON_TOKEN", "AWS_SESSION_TOKEN"},
    {"MINIO_ID", ""},
    {"MINIO_SECRET", ""},
    {"GOOGLE_CRED", ""},
    {"AZURE_STORAGE_ACCOUNT", "MICROSOFT_ID"},
    {"AZURE_STORAGE_KEY", "MICROSOFT_SECRET"},
};

bool pb_layout_is_minio(const pb_storage_backend *backend)
{
    return strcmp(backend->name, "MINIO") == 0;
}

bool pb_layout_is_plain(const pb_storage_backend *backend, const char *value)
{
    if (!*backend->tls)
        return false;
    /* One says whether there is TLS, the other whether there is none. */
    return pb_layout_is_minio(backend) ? !is_true(value) : is_true(value);
}

static bool tells_place(const pb_storage_backend *backend, const char *key)
{
    return strcmp(key, backend->bucket) == 0 || strcmp(key, backend->endpoint) == 0 ||
           strcmp(key, backend->region) == 0 || strcmp(key, backend->tls) == 0 ||
           is_one_of(key, backend->accounts, COUNT(backend->accounts));
}

bool pb_layout_is_place_key(const char *key)
{
    bool tells = tells_place(&pb_storage_library, key);
    for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++)
        tells = tells || tells_place(&pb_storage_backends[i], key);
    return tells && *key;
}

bool pb_layout_is_bucket_name(pb_slice name)
{
    static const char bytes[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_$";
    for (size_t i = 0; i < name.size; i++)
        if (!memchr(bytes, name.data[i], sizeof bytes - 1))
            return false;
    return name.size > 0 && name.size <= BUCKET_BYTES_MAX;
}

/* The usual scheme of each first. */
static const struct {
    const char *scheme;
    pb_storage_provider provider;
} schemes[] = {
    {"s3://", PB_STORAGE_S3},        {"gs://", PB_STORAGE_GOOGLE},  {"gcs://", PB_STORAGE_GOOGLE},
    {"azblob://", PB_STORAGE_AZURE}, {"wasb://", PB_STORAGE_AZURE}, {"wasbs://", PB_STORAGE_AZURE},
    {"file://", PB_STORAGE_FILE},
};

const char *pb_layout_after_scheme(const char *url, pb_storage_provider *ret_provider)
{
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (strncmp(url, schemes[i].scheme, strlen(schemes[i].scheme)) == 0) {
            *ret_provider = schemes[i].provider;
            return url + strlen(schemes[i].scheme);
        }
    return NULL;
}

const char *pb_layout_scheme(pb_storage_provider provider)
{
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (schemes[i].provider == provider)
            return schemes[i].scheme;
    return "";
}

const char *pb_layout_backend_of(pb_storage_provider provider)
{
    for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++)
        if (pb_storage_backends[i].provider == provider)
            return pb_storage_backends[i].name; /* S3's first is AMAZON: MINIO ends with 2.10 */
    return "";
}

bool pb_layout_is_azure(const char *url)
{
    pb_storage_provider provider;
    return pb_layout_after_scheme(url, &provider) && provider == PB_STORAGE_AZURE;
}

/* ---- versions ---- */

/* 211 for "2.11.4"; -1 where it is not known. */
static int release_of(const char *version)
{
    int major, minor;
    if (sscanf(version, "%4d.%4d", &major, &minor) != 2 || major < 0 || minor < 0)
        return -1;
    return major * 100 + (minor < 100 ? minor : 99);
}

pb_storage_place pb_layout_storage_place(const json_t *pachd, const char *version)
{
    int release = release_of(version);
    const char *enabled = pb_layout_value(pachd, "GOCDK_ENABLED");
    if (release >= 211)
        return PB_STORAGE_BY_URL;
    if (release >= 0 && release < 209)
        return PB_STORAGE_BY_SECRET;
    if (*enabled)
        return is_true(enabled) ? PB_STORAGE_BY_EITHER : PB_STORAGE_BY_SECRET;
    return release == 209 && pachd ? PB_STORAGE_BY_SECRET : PB_STORAGE_BY_EITHER;
}

bool pb_layout_takes_backend(const char *version, const char *backend)
{
    return strcasecmp(backend, "MINIO") != 0 || release_of(version) < 211;
}

/* ---- the database ---- */

const pb_database_variables *pb_layout_database_variables(pb_component component)
{
    static const pb_database_variables pachd = {
        .host = "POSTGRES_HOST",
        .port = "POSTGRES_PORT",
        .user = "POSTGRES_USER",
        .password = "POSTGRES_PASSWORD",
        .name = "POSTGRES_DATABASE",
        .identity = "IDENTITY_SERVER_DATABASE",
    };
    static const pb_database_variables bouncer = {
        .host = "POSTGRESQL_HOST",
        .port = "POSTGRESQL_PORT",
        .user = "POSTGRESQL_USERNAME",
        .password = "POSTGRESQL_PASSWORD",
        .name = "", /* it passes on what it is asked for */
        .identity = "",
    };
    switch (component) {
    case PB_COMPONENT_PACHD:
    case PB_COMPONENT_PACHW:
    case PB_COMPONENT_ENTERPRISE:
        return &pachd;
    case PB_COMPONENT_BOUNCER:
        return &bouncer;
    default:
        return NULL;
    }
}

bool pb_layout_is_bouncer_host(const char *host)
{
    size_t size = sizeof BOUNCER - 1;
    return strncmp(host, BOUNCER, size) == 0 && (host[size] == '\0' || host[size] == '.');
}

/* ---- the pause ---- */

bool pb_layout_is_paused(const json_t *object)
{
    if (pb_object_is(object, "ConfigMap", "pachd-config"))
        return strcmp(pb_object_text(object, "data." PB_MODE), PB_MODE_PAUSED) == 0;
    return pb_layout_is(object, "Deployment", PB_COMPONENT_PACHD) &&
           strcmp(pb_layout_value(object, PB_MODE), PB_MODE_PAUSED) == 0;
}
