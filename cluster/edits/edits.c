#include "cluster/edits/edits.h"

#include "base/codec.h"
#include "cluster/edits/bucket.h"
#include "cluster/edits/credentials.h"
#include "cluster/edits/helm.h"
#include "cluster/edits/namespace.h"
#include "cluster/kubernetes/object.h"
#include "cluster/kubernetes/velero.h"
#include "cluster/pachyderm/layout.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* Bytes that no name here has: blanks, control characters, quotes. */
static bool is_word(const char *text, const char *also)
{
    if (*text == '\0')
        return false;
    for (const char *at = text; *at; at++)
        if (!isascii((unsigned char)*at) ||
            (!isalnum((unsigned char)*at) && strchr(also, *at) == NULL))
            return false;
    return true;
}

/* ---- Cloud SQL ---- */

/* "-instances=CONNECTION=tcp:0.0.0.0:5432" with another connection; false where it is not that. */
static bool edit_instances(json_t *list, size_t i, const char *connection, bool *changed)
{
    const char *argument = json_string_value(json_array_get(list, i));
    if (argument == NULL)
        return false;
    size_t dashes = strspn(argument, "-");
    static const char name[] = "instances=";
    if (dashes == 0 || dashes > 2 || strncmp(argument + dashes, name, sizeof(name) - 1) != 0)
        return false;
    const char *value = argument + dashes + sizeof(name) - 1;
    if (strchr(value, ','))
        return false; /* several: which one is Pachyderm's cannot be told */
    pb_buffer edited = {0};
    pb_buffer_append(&edited, argument, (size_t)(value - argument));
    pb_buffer_append_text(&edited, connection);
    pb_buffer_append_text(&edited, value + strcspn(value, "="));
    *changed |= strcmp(edited.data, argument) != 0;
    json_array_set_new(list, i, json_string(edited.data));
    pb_buffer_free(&edited);
    return true;
}

/* pb_container_set_variable; *changed becomes true where the value was another. */
static bool set_variable(json_t *container, const char *name, const char *value, bool *changed)
{
    const char *old = pb_container_variable(container, name);
    *changed |= old && strcmp(old, value) != 0;
    return pb_container_set_variable(container, name, value);
}

static int edit_cloudsql(const char *connection, json_t *objects, bool *changed, pb_error *error)
{
    static const char *const lists[] = {"command", "args"};
    const char *colon = strchr(connection, ':');
    if (!is_word(connection, ":.-_") || colon == NULL || strchr(colon + 1, ':') == NULL)
        return pb_error_set(error, PB_ERROR_USAGE,
                            "cloudsql-instance: \"%s\" is not PROJECT:REGION:INSTANCE", connection);
    size_t found = 0, i, k, n;
    json_t *object, *container;
    json_array_foreach(objects, i, object)
    {
        if (!pb_layout_is(object, "Deployment", PB_COMPONENT_CLOUDSQL_PROXY))
            continue;
        json_t *containers = pb_object_containers(object);
        json_array_foreach(containers, k, container)
        {
            for (size_t list = 0; list < COUNT(lists); list++) {
                json_t *arguments = json_object_get(container, lists[list]);
                for (n = 0; n < json_array_size(arguments); n++)
                    found += edit_instances(arguments, n, connection, changed);
            }
            found += set_variable(container, PB_CLOUDSQL_INSTANCE, connection, changed);
        }
        json_decref(containers);
    }
    if (found == 0)
        return pb_error_set(error, PB_ERROR_FAILED,
                            "cloudsql-instance: found neither argument -instances=CONNECTION=... "
                            "nor a value of " PB_CLOUDSQL_INSTANCE " in Deployment "
                            "cloudsql-auth-proxy");
    return 0;
}

/* ---- the database's host ---- */

/* HOST, HOST:PORT, [IPV6]:PORT; *ret_port is "" where it is not named. */
static bool split_host(const char *text, pb_buffer *ret_host, const char **ret_port)
{
    const char *end = *text == '[' ? strchr(text, ']') : text + strcspn(text, ":");
    if (end == NULL)
        return false;
    pb_buffer_append(ret_host, text + (*text == '['), (size_t)(end - text) - (*text == '['));
    end += *text == '[';
    uint64_t port;
    *ret_port = "";
    if (*end != '\0') {
        *ret_port = end + 1;
        if (*end != ':' || !pb_parse_unsigned(pb_slice_of(end + 1), &port) || port == 0 ||
            port > 65535)
            return false;
    }
    return ret_host->size > 0 && is_word(ret_host->data, *text == '[' ? ":.%" : ".-_");
}

static void set_or_add_variable(json_t *container, const char *name, const char *value,
                                bool *changed)
{
    json_t *list = json_object_get(container, "env"), *variable;
    size_t i;
    if (set_variable(container, name, value, changed))
        return;
    json_array_foreach(list, i, variable)
    {
        if (strcmp(pb_object_text(variable, "name"), name) == 0)
            return; /* taken from elsewhere */
    }
    json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "value", value));
    *changed = true;
}

static size_t edit_host_of(json_t *object, const pb_database_variables *names, const char *host,
                           const char *port, bool *changed)
{
    json_t *containers = pb_object_containers(object), *container;
    size_t found = 0, i;
    json_array_foreach(containers, i, container)
    {
        const char *old = pb_container_variable(container, names->host);
        if (old == NULL || pb_layout_is_bouncer_host(old))
            continue;
        set_variable(container, names->host, host, changed);
        if (*port)
            set_or_add_variable(container, names->port, port, changed);
        found++;
    }
    json_decref(containers);
    return found;
}

static int edit_database_host(const char *text, json_t *objects, bool *changed, pb_error *error)
{
    pb_buffer host = {0};
    const char *port;
    size_t found = 0, i;
    json_t *object;
    if (!split_host(text, &host, &port)) {
        pb_buffer_free(&host);
        return pb_error_set(error, PB_ERROR_USAGE, "pachd-database-host: not HOST or HOST:PORT");
    }
    json_array_foreach(objects, i, object)
    {
        pb_component component = pb_layout_component(object);
        const pb_database_variables *names = pb_layout_database_variables(component);
        if (strcmp(pb_object_kind(object), "Deployment") != 0 || names == NULL)
            continue;
        size_t count = edit_host_of(object, names, host.data, port, changed);
        found += component == PB_COMPONENT_PACHD ? count : 0;
    }
    pb_buffer_free(&host);
    if (found == 0)
        return pb_error_set(error, PB_ERROR_FAILED,
                            "pachd-database-host: found no value of %s in Deployment pachd",
                            pb_layout_database_variables(PB_COMPONENT_PACHD)->host);
    return 0;
}

/* ---- service accounts ---- */

static json_t *member_object(json_t *object, const char *name)
{
    json_t *member = json_object_get(object, name);
    if (json_is_object(member))
        return member;
    json_object_set_new(object, name, json_object());
    return json_object_get(object, name);
}

/* `account` NULL: all of Pachyderm's three. */
static size_t annotate(json_t *objects, const char *account, const char *annotation,
                       const char *identity)
{
    json_t *object;
    size_t found = 0, i;
    json_array_foreach(objects, i, object)
    {
        if (account ? !pb_object_is(object, "ServiceAccount", account)
                    : !pb_layout_is_service_account(object))
            continue;
        json_object_set_new(member_object(json_object_get(object, "metadata"), "annotations"),
                            annotation, json_string(identity));
        found++;
    }
    return found;
}

static int annotate_item(const char *edit, const char *annotation, const char *item,
                         json_t *objects, pb_error *error)
{
    /* An identity may hold '=' (a role's name), but then there is a ':' or '/' before it. */
    size_t size = strspn(item, "abcdefghijklmnopqrstuvwxyz0123456789-.");
    bool named = size > 0 && item[size] == '=';
    const char *identity = named ? item + size + 1 : item;
    if (!is_word(identity, ":/@.+=,_-"))
        return pb_error_set(error, PB_ERROR_USAGE, "%s: not IDENTITY or NAME=IDENTITY", edit);
    char *account = named ? pb_duplicate((pb_slice){item, size}) : NULL;
    size_t found = annotate(objects, account, annotation, identity);
    int done = 0;
    if (found == 0 && account)
        done =
            pb_error_set(error, PB_ERROR_FAILED, "%s: found no ServiceAccount %s", edit, account);
    else if (found == 0)
        done = pb_error_set(error, PB_ERROR_FAILED,
                            "%s: found none of the ServiceAccounts " PB_SERVICE_ACCOUNTS, edit);
    free(account);
    return done;
}

static int annotate_accounts(const pb_edits *edits, json_t *objects, pb_error *error)
{
    const struct {
        const char *edit, *annotation;
        const pb_edit_list *list;
    } clouds[] = {
        {"gcp-service-account", "iam.gke.io/gcp-service-account", &edits->gcp_service_account},
        {"aws-role", "eks.amazonaws.com/role-arn", &edits->aws_role},
        {"azure-client", "azure.workload.identity/client-id", &edits->azure_client},
    };
    for (size_t cloud = 0; cloud < COUNT(clouds); cloud++)
        /* Those for all accounts first: those for one of them hold, in any order. */
        for (int named = 0; named < 2; named++)
            for (size_t i = 0; i < clouds[cloud].list->count; i++) {
                const char *item = clouds[cloud].list->items[i];
                size_t size = strspn(item, "abcdefghijklmnopqrstuvwxyz0123456789-.");
                if ((size > 0 && item[size] == '=') == (named == 1) &&
                    annotate_item(clouds[cloud].edit, clouds[cloud].annotation, item, objects,
                                  error) != 0)
                    return -1;
            }
    return 0;
}

/* Having none is as good: a capture leaves out those that name tokens. */
static int drop_account_secrets(json_t *objects, pb_error *error)
{
    json_t *object;
    size_t found = 0, i;
    json_array_foreach(objects, i, object)
    {
        if (!pb_layout_is_service_account(object))
            continue;
        json_object_del(object, "secrets");
        found++;
    }
    if (found == 0)
        return pb_error_set(
            error, PB_ERROR_FAILED,
            "drop-service-account-secrets: found none of the ServiceAccounts " PB_SERVICE_ACCOUNTS);
    return 0;
}

/* ---- images ---- */

static bool edit_image(json_t *owner, const char *name, const char *registry)
{
    const char *image = json_string_value(json_object_get(owner, name));
    if (image == NULL || *image == '\0')
        return false;
    size_t first = strcspn(image, "/");
    bool named = image[first] == '/' &&
                 (memchr(image, '.', first) || memchr(image, ':', first) ||
                  (first == sizeof("localhost") - 1 && strncmp(image, "localhost", first) == 0));
    pb_buffer edited = {0};
    pb_buffer_append_text(&edited, registry);
    pb_buffer_append_char(&edited, '/');
    pb_buffer_append_text(&edited, named ? image + first + 1 : image);
    json_object_set_new(owner, name, json_string(edited.data));
    pb_buffer_free(&edited);
    return true;
}

static int edit_images(const char *registry, json_t *objects, pb_error *error)
{
    json_t *object, *container, *variable;
    size_t found = 0, i, k, n;
    if (!is_word(registry, ".:/-_") || strstr(registry, "//") || *registry == '/' ||
        pb_slice_ends_with(pb_slice_of(registry), PB_SLICE_LITERAL("/")))
        return pb_error_set(error, PB_ERROR_USAGE,
                            "image-registry: \"%s\" is not HOST[:PORT][/PATH]", registry);
    json_array_foreach(objects, i, object)
    {
        json_t *containers = pb_object_containers(object);
        json_array_foreach(containers, k, container)
        {
            found += edit_image(container, "image", registry);
            json_array_foreach(json_object_get(container, "env"), n, variable)
            {
                if (pb_layout_is_image_variable(pb_object_text(variable, "name")))
                    edit_image(variable, "value", registry);
            }
        }
        json_decref(containers);
    }
    if (found == 0)
        return pb_error_set(error, PB_ERROR_FAILED,
                            "image-registry: found no image in any workload");
    return 0;
}

/* ---- the pause ---- */

static void unpause(json_t *objects)
{
    json_t *object, *container;
    size_t i, k;
    json_array_foreach(objects, i, object)
    {
        if (!pb_layout_is_paused(object))
            continue;
        json_object_del(json_object_get(object, "data"), PB_MODE);
        json_t *containers = pb_object_containers(object);
        json_array_foreach(containers, k, container)
        {
            const char *mode = pb_container_variable(container, PB_MODE);
            const char *otherwise = pb_container_variable(container, PB_UNPAUSED_MODE);
            if (mode && strcmp(mode, PB_MODE_PAUSED) == 0)
                pb_container_set_variable(container, PB_MODE,
                                          otherwise && *otherwise ? otherwise : PB_MODE_FULL);
        }
        json_decref(containers);
    }
}

/* ---- Velero's labels ---- */

/* They name a backup and a restore of another cluster's, and select what those are about. */
static void drop_velero_labels(json_t *objects)
{
    json_t *object;
    size_t i;
    json_array_foreach(objects, i, object)
    {
        pb_object_drop(object, "labels", PB_VELERO_LABEL);
        pb_object_drop(object, "labels", "velero.io/restore-name");
    }
}

int pb_edits_apply(const pb_edits *edits, const char *version, json_t *objects, pb_error *error)
{
    const char *old = edits->old_name_space ? edits->old_name_space : "";
    bool moved = edits->name_space && strcmp(old, edits->name_space) != 0;
    if (edits->bucket && pb_edits_bucket(edits->bucket, version, objects, &moved, error) != 0)
        return -1;
    if (edits->credentials && pb_edits_credentials(edits->credentials, objects, error) != 0)
        return -1;
    if (edits->cloudsql_instance &&
        edit_cloudsql(edits->cloudsql_instance, objects, &moved, error) != 0)
        return -1;
    if (edits->image_registry && edit_images(edits->image_registry, objects, error) != 0)
        return -1;
    if (annotate_accounts(edits, objects, error) != 0)
        return -1;
    if (edits->drop_service_account_secrets && drop_account_secrets(objects, error) != 0)
        return -1;
    if (!edits->keep_paused)
        unpause(objects);
    drop_velero_labels(objects);
    /* The namespace before the host: a host that is asked for is taken as it is. */
    if (edits->name_space && pb_edits_namespace(old, edits->name_space, objects, error) != 0)
        return -1;
    if (edits->database_host &&
        edit_database_host(edits->database_host, objects, &moved, error) != 0)
        return -1;
    if (moved)
        pb_helm_remove(objects);
    return 0;
}
