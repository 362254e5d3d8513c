#include "cluster/pachyderm/writers.h"

#include "cluster/kubernetes/object.h"
#include "cluster/pachyderm/layout.h"
#include <string.h>

uint64_t pb_object_replicas(const json_t *object)
{
    const json_t *replicas = pb_object_at(object, "spec.replicas");
    if (!json_is_integer(replicas))
        return 1;
    json_int_t value = json_integer_value(replicas);
    return value > 0 ? (uint64_t)value : 0;
}

static const struct {
    const char *kind;
    pb_component component;
} writers[PB_WRITER_NONE] = {
    [PB_WRITER_PACHD] = {"Deployment", PB_COMPONENT_PACHD},
    [PB_WRITER_PACHW] = {"Deployment", PB_COMPONENT_PACHW},
    [PB_WRITER_WORKER] = {"ReplicationController", PB_COMPONENT_WORKER},
};

pb_writer pb_writer_of(const json_t *object)
{
    for (int i = 0; i < PB_WRITER_NONE; i++)
        if (pb_layout_is(object, writers[i].kind, writers[i].component))
            return (pb_writer)i;
    return PB_WRITER_NONE;
}

pb_writer pb_writer_of_pod(const json_t *pod)
{
    pb_component component = pb_layout_component(pod);
    for (int i = 0; i < PB_WRITER_NONE; i++)
        if (component == writers[i].component)
            return (pb_writer)i;
    return PB_WRITER_NONE;
}

bool pb_writer_selects(const json_t *workload, const json_t *pod)
{
    const char *label;
    json_t *value;
    json_t *selector = pb_object_at(workload, "spec.selector");
    if (strcmp(pb_object_kind(workload), "Deployment") == 0)
        selector = json_object_get(selector, "matchLabels");
    if (json_object_size(selector) == 0)
        return false;
    json_object_foreach(selector, label, value)
    {
        const char *wanted = json_string_value(value);
        if (!wanted || strcmp(pb_object_label(pod, label), wanted) != 0)
            return false;
    }
    return true;
}

static json_int_t number_at(const json_t *object, const char *path)
{
    return json_integer_value(pb_object_at(object, path));
}

bool pb_writer_is_seen(const json_t *workload)
{
    return number_at(workload, "status.observedGeneration") >=
           number_at(workload, "metadata.generation");
}

bool pb_writer_is_settled(const json_t *workload)
{
    return pb_object_replicas(workload) == 0 && number_at(workload, "status.replicas") == 0 &&
           pb_writer_is_seen(workload);
}

bool pb_pod_is_there(const json_t *pod)
{
    const char *phase = pb_object_text(pod, "status.phase");
    return strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0;
}

bool pb_writers_collect(const json_t *items, pb_writer kind, pb_workloads *workloads)
{
    bool changed = false;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *object = json_array_get(items, i);
        const char *object_kind = pb_object_kind(object), *name = pb_object_name(object);
        if (pb_writer_of(object) != kind || !name[0])
            continue;
        uint64_t replicas = pb_object_replicas(object);
        const pb_workload *known = pb_workloads_find(workloads, object_kind, name);
        if (!known)
            pb_workloads_add(workloads, object_kind, name, replicas);
        else if (replicas && replicas != known->replicas)
            workloads->items[known - workloads->items].replicas = replicas;
        else
            continue;
        changed = true;
    }
    return changed;
}
