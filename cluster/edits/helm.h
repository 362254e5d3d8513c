/* cluster/edits/helm.h - helm's traces in captured objects. A release names the namespace in which
 * helm acts: in another one it would upgrade or uninstall the source. Pure. */
#ifndef PB_CLUSTER_EDITS_HELM_H
#define PB_CLUSTER_EDITS_HELM_H

#include <jansson.h>
#include <stdbool.h>

/* Does the object store a release: a Secret of type helm.sh/release.v1, or a Secret or ConfigMap
 * that is labelled and named like one? Its payload is never looked at. */
bool pb_helm_is_release(const json_t *object);
/* How many objects store a release, or say in their annotations that they belong to one. */
size_t pb_helm_count(const json_t *objects);
/* Takes the first out of the array, and annotations and label off the second. */
void pb_helm_remove(json_t *objects);

#endif
