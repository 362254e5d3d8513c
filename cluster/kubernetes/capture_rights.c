/* Rights of a namespace's accounts in the whole cluster. */
#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/object.h"

#define GROUP "system:serviceaccounts:"

bool pb_capture_is_account_of(const json_t *subject, const char *name_space)
{
    const char *kind = pb_object_kind(subject), *name = pb_object_text(subject, "name");
    if (strcmp(kind, "ServiceAccount") == 0)
        return strcmp(pb_object_text(subject, "namespace"), name_space) == 0;
    return strcmp(kind, "Group") == 0 && strncmp(name, GROUP, sizeof GROUP - 1) == 0 &&
           strcmp(name + sizeof GROUP - 1, name_space) == 0;
}

#define AGGREGATES "rbac.authorization.k8s.io/aggregate-to-"

bool pb_capture_is_aggregated(const json_t *role)
{
    const char *label;
    json_t *value;
    json_object_foreach(pb_object_at(role, "metadata.labels"), label, value)
    {
        if (strncmp(label, AGGREGATES, sizeof AGGREGATES - 1) == 0)
            return true;
    }
    return false;
}

static void drop_aggregation(json_t *role)
{
    const char *label;
    json_t *value;
    void *next;
    json_object_foreach_safe(pb_object_at(role, "metadata.labels"), next, label, value)
    {
        if (strncmp(label, AGGREGATES, sizeof AGGREGATES - 1) == 0)
            json_object_del(pb_object_at(role, "metadata.labels"), label);
    }
}

/* Its subjects that are accounts of the namespace; NULL where there are none. */
static json_t *accounts_of(const json_t *binding, const char *name_space)
{
    const json_t *subjects = json_object_get(binding, "subjects"), *subject;
    json_t *accounts = json_array();
    size_t i;
    json_array_foreach(subjects, i, subject)
    {
        if (pb_capture_is_account_of(subject, name_space))
            json_array_append(accounts, (json_t *)subject);
    }
    if (json_array_size(accounts))
        return accounts;
    json_decref(accounts);
    return NULL;
}

static void note_role(const json_t *binding, json_t *roles)
{
    if (strcmp(pb_object_text(binding, "roleRef.kind"), "ClusterRole") == 0)
        json_object_set_new(roles, pb_object_text(binding, "roleRef.name"), json_true());
}

static void append(json_t *object, pb_buffer *ndjson, size_t *count)
{
    pb_capture_strip(object, NULL);
    pb_json_append(ndjson, object);
    ++*count;
}

/* Every cluster has it. */
static bool is_built_in(const json_t *role)
{
    return strcmp(pb_object_label(role, "kubernetes.io/bootstrapping"), "rbac-defaults") == 0;
}

void pb_capture_append_rights(const json_t *items, const char *name_space, pb_buffer *ret_ndjson,
                              size_t *ret_objects)
{
    json_t *roles = json_object(), *bindings = json_array(), *item;
    size_t i;
    *ret_objects = 0;
    json_array_foreach(items, i, item)
    {
        if (strcmp(pb_object_kind(item), "RoleBinding") == 0)
            note_role(item, roles);
        json_t *accounts = strcmp(pb_object_kind(item), "ClusterRoleBinding") == 0
                               ? accounts_of(item, name_space)
                               : NULL;
        if (!accounts)
            continue;
        json_t *binding = json_deep_copy(item);
        json_object_set_new(binding, "subjects", accounts);
        json_array_append_new(bindings, binding);
        note_role(item, roles);
    }
    json_array_foreach(items, i, item)
    {
        if (strcmp(pb_object_kind(item), "ClusterRole") != 0 || is_built_in(item) ||
            !json_object_get(roles, pb_object_name(item)))
            continue;
        json_t *role = json_deep_copy(item);
        drop_aggregation(role);
        append(role, ret_ndjson, ret_objects);
        json_decref(role);
    }
    json_array_foreach(bindings, i, item)
    {
        append(item, ret_ndjson, ret_objects);
    }
    json_decref(roles);
    json_decref(bindings);
}

int pb_capture_rights(const pb_kubectl *kubectl, pb_buffer *ret_ndjson, size_t *ret_objects,
                      pb_error *error)
{
    json_t *items;
    if (pb_kubectl_list(kubectl, "clusterroles,clusterrolebindings,rolebindings", NULL, &items,
                        error))
        return pb_error_context(error, "capturing ClusterRoles and ClusterRoleBindings");
    pb_capture_append_rights(items, kubectl->name_space, ret_ndjson, ret_objects);
    json_decref(items);
    return 0;
}
