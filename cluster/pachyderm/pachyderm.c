#include "cluster/pachyderm/pachyderm.h"

#include "base/base64.h"
#include "base/codec.h"
#include "cluster/kubernetes/object.h"
#include "cluster/pachyderm/layout.h"
#include "cluster/pachyderm/writers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_BYTES_MAX = 253 };

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
    return pb_layout_find(items, "Deployment", PB_COMPONENT_PACHD);
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

/* Sets the version where `text` is one, with or without a 'v' before it: not where it names a
 * commit, a branch or "latest". */
static bool take_version(const char *text, pb_pachyderm *pachyderm)
{
    int major, minor;
    if (text[0] == 'v')
        text++;
    size_t size =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_+");
    if (text[0] < '0' || text[0] > '9' || text[size] || sscanf(text, "%4d.%4d", &major, &minor) < 2)
        return false;
    set(&pachyderm->version, text);
    return true;
}

static void read_version(const json_t *pachd, pb_pachyderm *pachyderm)
{
    json_t *containers = pb_layout_containers(pachd);
    char *tag = tag_of(pb_object_text(json_array_get(containers, 0), "image"));
    const char *chart = pb_object_label(pachd, "helm.sh/chart");
    if (!take_version(tag, pachyderm) &&
        !take_version(pb_object_label(pachd, "app.kubernetes.io/version"), pachyderm) &&
        strncmp(chart, "pachyderm-", 10) == 0)
        take_version(chart + 10, pachyderm);
    free(tag);
    json_decref(containers);
}

/* ---- the bucket ---- */

/* A value of the secret, without blanks around it; "" where there is none or it is no line of text.
 * The caller frees. */
static char *decoded(const json_t *secret, const char *key)
{
    const char *text = json_string_value(json_object_get(pb_object_at(secret, "data"), key));
    pb_buffer value = {0};
    if (text && !pb_base64_decode(&value, pb_slice_of(text)))
        pb_buffer_clear(&value);
    pb_slice line = pb_buffer_slice(&value);
    while (line.size && strchr(" \t\r\n", line.data[line.size - 1]))
        line.size--;
    while (line.size && strchr(" \t\r\n", line.data[0])) {
        line.data++;
        line.size--;
    }
    for (size_t i = 0; i < line.size; i++)
        if ((unsigned char)line.data[i] < ' ')
            line.size = 0;
    if (!pb_utf8_valid(line))
        line.size = 0;
    char *copy = pb_duplicate(line);
    pb_buffer_wipe(&value);
    return copy;
}

/* Whether the secret has something there: values of credentials are not kept. */
static bool has_value(const json_t *secret, const char *key)
{
    char *value = key[0] ? decoded(secret, key) : NULL;
    bool has = value && value[0];
    if (value)
        pb_text_wipe(value);
    return has;
}

/* Likewise of text with lines: charts write an empty one, or a line end, for none. */
static bool has_text(const json_t *secret, const char *key)
{
    const char *encoded = json_string_value(json_object_get(pb_object_at(secret, "data"), key));
    pb_buffer value = {0};
    bool has = encoded && pb_base64_decode(&value, pb_slice_of(encoded)) && value.size &&
               strspn(value.data, " \t\r\n") < value.size;
    pb_buffer_wipe(&value);
    return has;
}

static void append_member(pb_buffer *url, const char *name, const char *value)
{
    if (!value[0])
        return;
    pb_buffer_append_char(url, strchr(url->data, '?') ? '&' : '?');
    pb_buffer_append_format(url, "%s=", name);
    pb_percent_encode(url, pb_slice_of(value), true);
}

static void read_s3(const json_t *secret, const pb_storage_backend *store, const char *bucket,
                    pb_buffer *url)
{
    char *endpoint = decoded(secret, store->endpoint);
    char *region = decoded(secret, store->region);
    char *tls = decoded(secret, store->tls);
    pb_buffer_append_format(url, "%s%s", pb_layout_scheme(store->provider), bucket);
    append_member(url, "endpoint", endpoint);
    append_member(url, "region", region);
    bool has_scheme = strstr(endpoint, "://") != NULL;
    if (endpoint[0] && !has_scheme && pb_layout_is_plain(store, tls))
        append_member(url, "disableSSL", "true");
    free(endpoint);
    free(region);
    free(tls);
}

/* The store whose bucket the secret names: that of pachd's STORAGE_BACKEND, where it says. Charts
 * leave the others' keys in it, empty. */
static const pb_storage_backend *store_of_secret(const json_t *secret, const char *backend,
                                                 char **ret_bucket)
{
    for (int any = 0; any < 2; any++)
        for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++) {
            const pb_storage_backend *store = &pb_storage_backends[i];
            if (!any && strcasecmp(store->name, backend) != 0)
                continue;
            *ret_bucket = decoded(secret, store->bucket);
            if (pb_layout_is_bucket_name(pb_slice_of(*ret_bucket)))
                return store;
            free(*ret_bucket);
        }
    return NULL;
}

static void read_storage_secret(const json_t *secret, const char *backend, pb_pachyderm *pachyderm)
{
    pb_buffer url = {0};
    char *bucket;
    const pb_storage_backend *store = store_of_secret(secret, backend, &bucket);
    if (!store)
        return;
    if (store->provider == PB_STORAGE_S3)
        read_s3(secret, store, bucket, &url);
    else
        pb_buffer_append_format(&url, "%s%s", pb_layout_scheme(store->provider), bucket);
    set(&pachyderm->storage_url, url.data);
    pachyderm->storage_in_secret = true;
    pb_buffer_free(&url);
    free(bucket);
}

static bool has_keys(const json_t *secret, const pb_storage_backend *store)
{
    return has_value(secret, store->id) && has_value(secret, store->secret);
}

static void read_google_key(const json_t *secret, pb_pachyderm *pachyderm)
{
    for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++) {
        const pb_storage_backend *store = &pb_storage_backends[i];
        if (store->credential[0] && has_text(secret, store->credential))
            set(&pachyderm->storage_credential_key, store->credential);
    }
}

/* The credentials of an S3 store are in the secret with either way of naming the bucket. Those by
 * which pachd's library for STORAGE_URL goes have names of their own. */
static void read_s3_keys(const json_t *secret, const char *backend, pb_pachyderm *pachyderm)
{
    const pb_storage_backend *found = NULL;
    for (size_t i = 0; i < PB_STORAGE_BACKENDS; i++) {
        const pb_storage_backend *store = &pb_storage_backends[i];
        if (has_keys(secret, store) && (!found || strcasecmp(store->name, backend) == 0))
            found = store;
    }
    if (has_keys(secret, &pb_storage_library) && (!pachyderm->storage_in_secret || !found))
        found = &pb_storage_library;
    if (!found)
        return;
    set(&pachyderm->storage_id_key, found->id);
    set(&pachyderm->storage_secret_key, found->secret);
    if (has_value(secret, found->token))
        set(&pachyderm->storage_token_key, found->token);
}

static void read_storage_keys(const json_t *secret, const char *backend, pb_pachyderm *pachyderm)
{
    pb_storage_provider provider;
    if (!pb_layout_after_scheme(pachyderm->storage_url, &provider))
        return;
    if (provider == PB_STORAGE_S3)
        read_s3_keys(secret, backend, pachyderm);
    else if (provider == PB_STORAGE_GOOGLE)
        read_google_key(secret, pachyderm);
}

static void read_storage(const json_t *items, const json_t *pachd, pb_pachyderm *pachyderm)
{
    const char *url = pb_layout_value(pachd, PB_STORAGE_URL);
    const char *backend = pb_layout_value(pachd, PB_STORAGE_BACKEND);
    const json_t *secret = find(items, "Secret", PB_STORAGE_SECRET);
    pb_storage_place place = pb_layout_storage_place(pachd, pachyderm->version);
    bool is_local = strcasecmp(backend, PB_STORAGE_BACKEND_LOCAL) == 0;
    set(&pachyderm->storage_backend, backend);
    if (is_local)
        set(&pachyderm->storage_path, pb_layout_value(pachd, PB_STORAGE_HOST_PATH));
    if (place != PB_STORAGE_BY_SECRET)
        set(&pachyderm->storage_url, url);
    if (place != PB_STORAGE_BY_URL && !pachyderm->storage_url[0] && !is_local)
        read_storage_secret(secret, backend, pachyderm);
    read_storage_keys(secret, backend, pachyderm);
}

bool pb_pachyderm_takes_backend(const pb_pachyderm *pachyderm)
{
    return pb_layout_takes_backend(pachyderm->version, pachyderm->storage_backend);
}

/* ---- the database ---- */

static uint64_t port_of(const char *text)
{
    uint64_t port;
    bool good = pb_parse_unsigned(pb_slice_of(text), &port) && port > 0 && port <= 65535;
    return good ? port : PB_DATABASE_PORT;
}

/* A service of this namespace by a name that a job in any other finds as well. */
static void set_host(const json_t *items, const char *host, pb_pachyderm *pachyderm)
{
    const char *name_space = pb_object_text(find(items, "Service", host), "metadata.namespace");
    pb_buffer name = {0};
    pb_buffer_append_text(&name, host);
    if (name_space[0])
        pb_buffer_append_format(&name, ".%s.svc", name_space);
    set(&pachyderm->database_host, name.data);
    pb_buffer_free(&name);
}

static void read_database_host(const json_t *items, const json_t *pachd, pb_pachyderm *pachyderm)
{
    const pb_database_variables *names = pb_layout_database_variables(PB_COMPONENT_PACHD);
    const char *host = pb_layout_value(pachd, names->host);
    const char *port = pb_layout_value(pachd, names->port);
    /* It gives a connection away between transactions, and ends those that are idle: nothing for a
     * dump, which goes to where it gets its connections from. */
    if (pb_layout_is_bouncer_host(host)) {
        const json_t *bouncer = pb_layout_find(items, "Deployment", PB_COMPONENT_BOUNCER);
        names = pb_layout_database_variables(PB_COMPONENT_BOUNCER);
        host = pb_layout_value(bouncer, names->host);
        port = pb_layout_value(bouncer, names->port);
    }
    const json_t *proxy = pb_layout_find(items, "Service", PB_COMPONENT_CLOUDSQL_PROXY);
    if (!host[0] && proxy) {
        host = pb_object_name(proxy);
        port = "";
    }
    set_host(items, host, pachyderm);
    pachyderm->database_port = port_of(port);
}

static void read_database(const json_t *items, const json_t *pachd, pb_pachyderm *pachyderm)
{
    const pb_database_variables *names = pb_layout_database_variables(PB_COMPONENT_PACHD);
    const char *user = pb_layout_value(pachd, names->user);
    const char *name = pb_layout_value(pachd, names->name);
    const char *identity = pb_layout_value(pachd, names->identity);
    const json_t *elsewhere =
        json_object_get(pb_layout_variable(pachd, names->identity), "valueFrom");
    const json_t *password = pb_layout_variable(pachd, names->password);
    read_database_host(items, pachd, pachyderm);
    set(&pachyderm->database_user, user[0] ? user : PB_DATABASE_USER);
    set(&pachyderm->database_name, name[0] ? name : PB_DATABASE_NAME);
    set(&pachyderm->identity_database, identity[0] || elsewhere ? identity : PB_IDENTITY_DATABASE);
    set(&pachyderm->password_secret, pb_object_text(password, "valueFrom.secretKeyRef.name"));
    set(&pachyderm->password_key, pb_object_text(password, "valueFrom.secretKeyRef.key"));
    if (!pachyderm->password_secret[0] && !pb_object_text(password, "value")[0]) {
        set(&pachyderm->password_secret, PB_DATABASE_SECRET);
        set(&pachyderm->password_key, PB_DATABASE_SECRET_KEY);
    }
}

/* ---- the whole ---- */

static bool is_paused(const json_t *items)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        if (pb_layout_is_paused(json_array_get(items, i)))
            return true;
    return false;
}

int pb_pachyderm_parse(const json_t *items, pb_pachyderm *ret_pachyderm, pb_error *error)
{
    const json_t *pachd = find_pachd(items);
    if (!pachd) {
        pb_error_set(error, PB_ERROR_NOT_FOUND,
                     "no Pachyderm here: expected a Deployment with label " PB_PACHD_SELECTOR);
        return pb_error_hint(
            error, "`kubectl get deployments --all-namespaces --selector " PB_PACHD_SELECTOR
                   "` finds it; name its namespace with --namespace");
    }
    pb_pachyderm read = {0};
    char **const texts[] = {
        &read.version,           &read.storage_backend,        &read.storage_url,
        &read.storage_path,      &read.database_host,          &read.database_user,
        &read.database_name,     &read.identity_database,      &read.password_secret,
        &read.password_key,      &read.storage_id_key,         &read.storage_secret_key,
        &read.storage_token_key, &read.storage_credential_key,
    };
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
    pb_buffer_wipe(&output);
    return failed;
}

/* One that is not there lists as empty. Whoever may not ask is told of an empty one. */
static void tell_namespace(const pb_kubectl *kubectl, pb_error *error)
{
    const char *const arguments[] = {"get", "namespace", kubectl->name_space, NULL};
    pb_error why = {0};
    if (kubectl->name_space &&
        pb_kubectl_run(kubectl, arguments, (pb_slice){NULL, 0}, NULL, &why) &&
        why.kind == PB_ERROR_NOT_FOUND)
        pb_error_context(error, "it does not exist");
}

int pb_pachyderm_read(const pb_kubectl *kubectl, pb_pachyderm *ret_pachyderm, pb_error *error)
{
    json_t *items;
    pb_error refused = {0};
    if (pb_kubectl_list(kubectl, "deployments.apps,replicationcontrollers,services,configmaps",
                        NULL, &items, error))
        return -1;
    int failed = find_pachd(items) ? add_secret(kubectl, items, &refused) : 0;
    /* Whoever may read no secrets may still suspend, and back up what STORAGE_URL names. */
    if (!failed || refused.kind == PB_ERROR_REFUSED)
        failed = pb_pachyderm_parse(items, ret_pachyderm, error);
    else
        *error = refused;
    if (!find_pachd(items))
        tell_namespace(kubectl, error);
    json_decref(items);
    if (!failed && refused.kind && !ret_pachyderm->storage_url[0] &&
        !ret_pachyderm->storage_path[0]) {
        pb_pachyderm_free(ret_pachyderm);
        *error = refused;
        failed = -1;
    }
    if (failed)
        pb_error_context(error, "namespace %s",
                         kubectl->name_space ? kubectl->name_space : "(all)");
    return failed;
}

void pb_pachyderm_free(pb_pachyderm *pachyderm)
{
    free(pachyderm->version);
    free(pachyderm->storage_backend);
    free(pachyderm->storage_url);
    free(pachyderm->storage_path);
    free(pachyderm->database_host);
    free(pachyderm->database_user);
    free(pachyderm->database_name);
    free(pachyderm->identity_database);
    free(pachyderm->password_secret);
    free(pachyderm->password_key);
    free(pachyderm->storage_id_key);
    free(pachyderm->storage_secret_key);
    free(pachyderm->storage_token_key);
    free(pachyderm->storage_credential_key);
    pb_workloads_free(&pachyderm->writers);
    *pachyderm = (pb_pachyderm){0};
}

/* It comes from the namespace and becomes an argument: nothing that kubectl takes for an option. */
static bool is_name(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= NAME_BYTES_MAX && text[0] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == size;
}

int pb_pachyderm_secret(const pb_kubectl *kubectl, const char *secret, const char *key,
                        char **ret_value, pb_error *error)
{
    const char *const arguments[] = {"get", "secret", secret, NULL};
    json_t *object;
    if (!is_name(secret))
        return pb_error_set(error, PB_ERROR_DAMAGED, "\"%s\" is no name of a secret", secret);
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
    pb_buffer_wipe(&value);
    json_decref(object);
    return failed;
}
