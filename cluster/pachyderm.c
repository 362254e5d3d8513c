#include "cluster/pachyderm.h"

#include "base/base64.h"
#include "base/codec.h"
#include "cluster/object.h"
#include "cluster/writers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSTGRESQL_PORT = 5432 };

/* The credentials that stand beside a bucket's key in the secret. */
typedef struct store_keys {
    const char *bucket, *id, *secret, *token;
} store_keys;

static const store_keys known_stores[] = {
    {"AMAZON_BUCKET", "AMAZON_ID", "AMAZON_SECRET", "AMAZON_TOKEN"},
    {"MINIO_BUCKET", "MINIO_ID", "MINIO_SECRET", ""},
    {"GOOGLE_BUCKET", "", "", ""},
    {"MICROSOFT_CONTAINER", "", "", ""},
};

static void set(char **text, const char *value)
{
    free(*text);
    *text = pb_duplicate(pb_slice_of(value ? value : ""));
}

static const json_t *find(const json_t *items, const char *kind, const char *name)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        if (pb_object_is(json_array_get(items, i), kind, name))
            return json_array_get(items, i);
    return NULL;
}

static const json_t *find_pachd(const json_t *items)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        if (pb_writer_of(json_array_get(items, i)) == PB_WRITER_PACHD)
            return json_array_get(items, i);
    return NULL;
}

/* The environment variable of a workload's containers as an object; NULL where there is none. */
static const json_t *variable_of(const json_t *workload, const char *name)
{
    const json_t *found = NULL;
    json_t *containers = pb_object_containers(workload);
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

static const char *value_of(const json_t *workload, const char *name)
{
    const char *value = pb_object_variable(workload, name);
    return value ? value : "";
}

/* ---- the version ---- */

/* "registry:5000/pachyderm/pachd:2.11.4@sha256:..." -> "2.11.4". */
static char *tag_of(const char *image)
{
    const char *slash = strrchr(image, '/');
    const char *name = slash ? slash + 1 : image;
    const char *colon = strchr(name, ':');
    if (!colon)
        return pb_duplicate((pb_slice){NULL, 0});
    return pb_duplicate((pb_slice){colon + 1, strcspn(colon + 1, "@")});
}

static bool begins_with_digit(const char *text)
{
    return text[0] >= '0' && text[0] <= '9';
}

static void read_version(const json_t *pachd, pb_pachyderm *pachyderm)
{
    json_t *containers = pb_object_containers(pachd);
    for (size_t i = 0; i < json_array_size(containers); i++) {
        char *tag = tag_of(pb_object_text(json_array_get(containers, i), "image"));
        const char *version = tag[0] == 'v' ? tag + 1 : tag;
        if (begins_with_digit(version) && !pachyderm->version[0])
            set(&pachyderm->version, version);
        free(tag);
    }
    json_decref(containers);
    const char *label = pb_object_label(pachd, "app.kubernetes.io/version");
    if (!pachyderm->version[0] && begins_with_digit(label[0] == 'v' ? label + 1 : label))
        set(&pachyderm->version, label[0] == 'v' ? label + 1 : label);
    pb_text_make_line(pachyderm->version);
}

/* ---- the bucket ---- */

/* A value of the secret; "" where there is none or it is no text. The caller frees. */
static char *decoded(const json_t *secret, const char *key)
{
    const char *text = json_string_value(json_object_get(pb_object_at(secret, "data"), key));
    pb_buffer value = {0};
    if (text && !pb_base64_decode(&value, pb_slice_of(text)))
        pb_buffer_clear(&value);
    char *copy = pb_duplicate(pb_buffer_slice(&value));
    pb_buffer_free(&value);
    pb_text_make_line(copy);
    return copy;
}

static void append_member(pb_buffer *url, const char *name, const char *value)
{
    if (!value[0])
        return;
    pb_buffer_append_char(url, strchr(url->data, '?') ? '&' : '?');
    pb_buffer_append_format(url, "%s=", name);
    pb_percent_encode(url, pb_slice_of(value), true);
}

static bool is_true(const char *text)
{
    return strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

static void read_s3(const json_t *secret, bool is_minio, const char *bucket, pb_buffer *url)
{
    char *endpoint = decoded(secret, is_minio ? "MINIO_ENDPOINT" : "CUSTOM_ENDPOINT");
    char *region = decoded(secret, "AMAZON_REGION");
    char *plain = decoded(secret, is_minio ? "MINIO_SECURE" : "DISABLE_SSL");
    pb_buffer_append_format(url, "s3://%s", bucket);
    append_member(url, "endpoint", endpoint);
    append_member(url, "region", region);
    bool has_scheme = strstr(endpoint, "://") != NULL;
    if (endpoint[0] && !has_scheme && (is_minio ? !is_true(plain) : is_true(plain)))
        append_member(url, "disableSSL", "true");
    free(endpoint);
    free(region);
    free(plain);
}

static void read_storage_secret(const json_t *secret, pb_pachyderm *pachyderm)
{
    pb_buffer url = {0};
    for (size_t i = 0; i < sizeof known_stores / sizeof *known_stores; i++) {
        const store_keys *keys = &known_stores[i];
        char *bucket = decoded(secret, keys->bucket);
        if (bucket[0] && !url.size) {
            if (keys->bucket[0] == 'A' || strcmp(keys->bucket, "MINIO_BUCKET") == 0)
                read_s3(secret, keys->bucket[0] != 'A', bucket, &url);
            else
                pb_buffer_append_format(&url, "%s://%s", keys->bucket[0] == 'G' ? "gs" : "azblob",
                                        bucket);
            const json_t *data = pb_object_at(secret, "data");
            set(&pachyderm->storage_id_key, json_object_get(data, keys->id) ? keys->id : "");
            set(&pachyderm->storage_secret_key,
                json_object_get(data, keys->secret) ? keys->secret : "");
            set(&pachyderm->storage_token_key,
                json_object_get(data, keys->token) ? keys->token : "");
        }
        free(bucket);
    }
    if (!pachyderm->storage_url[0] && url.size) {
        set(&pachyderm->storage_url, url.data);
        pachyderm->storage_in_secret = true;
    }
    pb_buffer_free(&url);
}

/* Does pachd read STORAGE_URL? From 2.11 on always, in 2.9 and 2.10 by GOCDK_ENABLED, which was
 * false and then true unless it was said. */
static bool reads_storage_url(const json_t *pachd, const char *version)
{
    int major = 0, minor = 0;
    const char *enabled = value_of(pachd, "GOCDK_ENABLED");
    if (sscanf(version, "%d.%d", &major, &minor) != 2)
        return true;
    if (major > 2 || minor >= 11)
        return true;
    if (major < 2 || minor < 9)
        return false;
    return enabled[0] ? is_true(enabled) : minor >= 10;
}

static void read_storage(const json_t *items, const json_t *pachd, pb_pachyderm *pachyderm)
{
    const char *url = value_of(pachd, "STORAGE_URL");
    const json_t *secret = find(items, "Secret", PB_STORAGE_SECRET);
    if (url[0] && reads_storage_url(pachd, pachyderm->version))
        set(&pachyderm->storage_url, url);
    if (secret)
        read_storage_secret(secret, pachyderm);
}

/* ---- the database ---- */

static void read_database(const json_t *items, const json_t *pachd, pb_pachyderm *pachyderm)
{
    const char *host = value_of(pachd, "POSTGRES_HOST");
    uint64_t port = 0;
    if (!host[0] && find(items, "Service", "cloudsql-auth-proxy"))
        host = "cloudsql-auth-proxy";
    set(&pachyderm->database_host, host);
    if (!pb_parse_unsigned(pb_slice_of(value_of(pachd, "POSTGRES_PORT")), &port) || !port ||
        port > 65535)
        port = POSTGRESQL_PORT;
    pachyderm->database_port = port;
    const char *user = value_of(pachd, "POSTGRES_USER");
    const char *name = value_of(pachd, "POSTGRES_DATABASE");
    set(&pachyderm->database_user, user[0] ? user : "pachyderm");
    set(&pachyderm->database_name, name[0] ? name : "pachyderm");
    const json_t *password = variable_of(pachd, "POSTGRES_PASSWORD");
    set(&pachyderm->password_secret, pb_object_text(password, "valueFrom.secretKeyRef.name"));
    set(&pachyderm->password_key, pb_object_text(password, "valueFrom.secretKeyRef.key"));
    if (!pachyderm->password_secret[0] && !pb_object_text(password, "value")[0]) {
        set(&pachyderm->password_secret, "postgres");
        set(&pachyderm->password_key, "postgresql-password");
    }
}

/* ---- the whole ---- */

static bool is_paused(const json_t *items)
{
    const json_t *config = find(items, "ConfigMap", "pachd-config");
    return strcmp(pb_object_text(config, "data.MODE"), "paused") == 0;
}

int pb_pachyderm_parse(const json_t *items, pb_pachyderm *ret_pachyderm, pb_error *error)
{
    const json_t *pachd = find_pachd(items);
    if (!pachd) {
        pb_error_set(error, PB_ERROR_NOT_FOUND,
                     "no Pachyderm here: expected a Deployment with label app=pachd");
        return pb_error_hint(error, "`kubectl get deployments --all-namespaces --selector "
                                    "app=pachd` finds it; name its namespace with --namespace");
    }
    pb_pachyderm read = {0};
    char **const texts[] = {&read.version,          &read.storage_url,    &read.database_host,
                            &read.database_user,    &read.database_name,  &read.password_secret,
                            &read.password_key,     &read.storage_id_key, &read.storage_secret_key,
                            &read.storage_token_key};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        set(texts[i], "");
    read_version(pachd, &read);
    read_storage(items, pachd, &read);
    read_database(items, pachd, &read);
    read.paused = is_paused(items);
    for (int writer = PB_WRITER_PACHD; writer < PB_WRITER_NONE; writer++)
        pb_writers_collect(items, (pb_writer)writer, &read.writers);
    *ret_pachyderm = read;
    return 0;
}

/* The secret of the store alone: others are none of our business here. Absent with STORAGE_URL. */
static int add_secret(const pb_kubectl *kubectl, json_t *items, pb_error *error)
{
    const char *const arguments[] = {
        "get", "secret", PB_STORAGE_SECRET, "--ignore-not-found", "--output=json", NULL};
    pb_buffer output = {0};
    json_t *secret = NULL;
    int failed = pb_kubectl_run(kubectl, arguments, (pb_slice){NULL, 0}, &output, error);
    if (!failed && output.size)
        failed = pb_json_parse(pb_buffer_slice(&output), "kubectl's answer", &secret, error);
    if (secret)
        json_array_append_new(items, secret);
    if (output.size)
        explicit_bzero(output.data, output.size);
    pb_buffer_free(&output);
    return failed;
}

int pb_pachyderm_read(const pb_kubectl *kubectl, pb_pachyderm *ret_pachyderm, pb_error *error)
{
    json_t *items;
    if (pb_kubectl_list(kubectl, "deployments.apps,replicationcontrollers,services,configmaps",
                        NULL, &items, error))
        return -1;
    int failed = find_pachd(items) ? add_secret(kubectl, items, error) : 0;
    if (!failed)
        failed = pb_pachyderm_parse(items, ret_pachyderm, error);
    json_decref(items);
    if (failed)
        pb_error_context(error, "namespace %s",
                         kubectl->name_space ? kubectl->name_space : "(all)");
    return failed;
}

void pb_pachyderm_free(pb_pachyderm *pachyderm)
{
    free(pachyderm->version);
    free(pachyderm->storage_url);
    free(pachyderm->database_host);
    free(pachyderm->database_user);
    free(pachyderm->database_name);
    free(pachyderm->password_secret);
    free(pachyderm->password_key);
    free(pachyderm->storage_id_key);
    free(pachyderm->storage_secret_key);
    free(pachyderm->storage_token_key);
    pb_workloads_free(&pachyderm->writers);
    *pachyderm = (pb_pachyderm){0};
}

int pb_pachyderm_secret(const pb_kubectl *kubectl, const char *secret, const char *key,
                        char **ret_value, pb_error *error)
{
    const char *const arguments[] = {"get", "secret", secret, NULL};
    json_t *object;
    if (pb_kubectl_json(kubectl, arguments, (pb_slice){NULL, 0}, &object, error))
        return -1;
    const char *text = json_string_value(json_object_get(pb_object_at(object, "data"), key));
    pb_buffer value = {0};
    int failed = 0;
    if (!text)
        failed = pb_error_set(error, PB_ERROR_NOT_FOUND, "secret %s has no key %s", secret, key);
    else if (!pb_base64_decode(&value, pb_slice_of(text)) ||
             memchr(value.data ? value.data : "", 0, value.size))
        failed = pb_error_set(error, PB_ERROR_DAMAGED, "secret %s, key %s: not text in Base64",
                              secret, key);
    else
        *ret_value = pb_duplicate(pb_buffer_slice(&value));
    if (value.size)
        explicit_bzero(value.data, value.size);
    pb_buffer_free(&value);
    json_decref(object);
    return failed;
}

void pb_secret_free(char *value)
{
    explicit_bzero(value, strlen(value));
    free(value);
}
