#include "cluster/kubernetes/object.h"

#include "base/bytes.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

json_t *pb_object_at(const json_t *object, const char *path)
{
    const json_t *at = object;
    while (at && *path) {
        size_t size = strcspn(path, ".");
        at = json_object_getn(at, path, size);
        path += size + (path[size] == '.');
    }
    return (json_t *)(uintptr_t)at;
}

static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);
    return text ? text : "";
}

const char *pb_object_text(const json_t *object, const char *path)
{
    return text_of(pb_object_at(object, path));
}

const char *pb_object_kind(const json_t *object)
{
    return text_of(json_object_get(object, "kind"));
}

const char *pb_object_name(const json_t *object)
{
    return pb_object_text(object, "metadata.name");
}

bool pb_object_is(const json_t *object, const char *kind, const char *name)
{
    return strcmp(pb_object_kind(object), kind) == 0 && strcmp(pb_object_name(object), name) == 0;
}

static char *full_name_of(const json_t *object)
{
    pb_buffer name = {0};
    pb_buffer_append_format(&name, "%s %s/%s", pb_object_text(object, "apiVersion"),
                            pb_object_kind(object), pb_object_name(object));
    return name.data;
}

json_t *pb_objects_by_name(const json_t *objects)
{
    json_t *by_name = json_object(), *object;
    size_t i;
    json_array_foreach(objects, i, object)
    {
        char *name = full_name_of(object);
        json_object_set(by_name, name, object);
        free(name);
    }
    return by_name;
}

json_t *pb_object_of_same_name(const json_t *objects_by_name, const json_t *object)
{
    char *name = full_name_of(object);
    json_t *same = json_object_get(objects_by_name, name);
    free(name);
    return same;
}

const char *pb_object_label(const json_t *object, const char *label)
{
    return text_of(json_object_get(pb_object_at(object, "metadata.labels"), label));
}

const char *pb_object_annotation(const json_t *object, const char *annotation)
{
    return text_of(json_object_get(pb_object_at(object, "metadata.annotations"), annotation));
}

void pb_object_drop(json_t *object, const char *list, const char *name)
{
    json_t *metadata = json_object_get(object, "metadata");
    json_t *members = json_object_get(metadata, list);
    json_object_del(members, name);
    if (json_is_object(members) && json_object_size(members) == 0)
        json_object_del(metadata, list);
}

json_t *pb_object_pod_template(const json_t *object)
{
    static const char *const kinds[] = {"Deployment", "StatefulSet",           "DaemonSet",
                                        "ReplicaSet", "ReplicationController", "Job"};
    const char *kind = pb_object_kind(object);
    json_t *found = NULL;
    if (strcmp(kind, "CronJob") == 0)
        found = pb_object_at(object, "spec.jobTemplate.spec.template");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            found = pb_object_at(object, "spec.template");
    return json_is_object(found) ? found : NULL;
}

json_t *pb_object_containers(const json_t *object)
{
    static const char *const lists[] = {"spec.initContainers", "spec.containers"};
    json_t *containers = json_array(), *container;
    const json_t *template = pb_object_pod_template(object);
    for (size_t list = 0; list < sizeof(lists) / sizeof(*lists); list++) {
        size_t i;
        json_array_foreach(pb_object_at(template, lists[list]), i, container)
        {
            if (json_is_object(container))
                json_array_append(containers, container);
        }
    }
    return containers;
}

static json_t *variable_of(const json_t *container, const char *name)
{
    json_t *variable;
    size_t i;
    json_array_foreach(json_object_get(container, "env"), i, variable)
    {
        if (strcmp(pb_object_text(variable, "name"), name) == 0)
            return json_object_get(variable, "valueFrom") ? NULL : variable;
    }
    return NULL;
}

const char *pb_container_variable(const json_t *container, const char *name)
{
    const json_t *variable = variable_of(container, name);
    return variable ? pb_object_text(variable, "value") : NULL;
}

bool pb_container_set_variable(json_t *container, const char *name, const char *value)
{
    json_t *variable = variable_of(container, name);
    return variable && json_object_set_new(variable, "value", json_string(value)) == 0;
}
