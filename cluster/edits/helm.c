#include "cluster/edits/helm.h"

#include "cluster/kubernetes/object.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *const annotations[] = {"meta.helm.sh/release-name",
                                          "meta.helm.sh/release-namespace"};
#define MANAGED_BY "app.kubernetes.io/managed-by"

bool pb_helm_is_release(const json_t *object)
{
    static const char type[] = "helm.sh/release.", name[] = "sh.helm.release.";
    const char *kind = pb_object_kind(object);
    bool is_secret = strcmp(kind, "Secret") == 0;
    if (is_secret && strncmp(pb_object_text(object, "type"), type, sizeof(type) - 1) == 0)
        return true;
    return (is_secret || strcmp(kind, "ConfigMap") == 0) &&
           strcmp(pb_object_label(object, "owner"), "helm") == 0 &&
           strncmp(pb_object_name(object), name, sizeof(name) - 1) == 0;
}

static bool belongs_to_release(const json_t *object)
{
    return *pb_object_annotation(object, annotations[0]) ||
           *pb_object_annotation(object, annotations[1]);
}

size_t pb_helm_count(const json_t *objects)
{
    const json_t *object;
    size_t count = 0, i;
    json_array_foreach(objects, i, object)
    {
        count += pb_helm_is_release(object) || belongs_to_release(object);
    }
    return count;
}

void pb_helm_remove(json_t *objects)
{
    for (size_t i = json_array_size(objects); i-- > 0;) {
        json_t *object = json_array_get(objects, i);
        if (pb_helm_is_release(object)) {
            json_array_remove(objects, i);
            continue;
        }
        for (size_t k = 0; k < COUNT(annotations); k++)
            pb_object_drop(object, "annotations", annotations[k]);
        if (strcmp(pb_object_label(object, MANAGED_BY), "Helm") == 0)
            pb_object_drop(object, "labels", MANAGED_BY);
    }
}
