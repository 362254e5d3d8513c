/* cluster/edits/namespace.h - the edit that moves captured objects into another namespace. Pure. */
#ifndef PB_CLUSTER_EDITS_NAMESPACE_H
#define PB_CLUSTER_EDITS_NAMESPACE_H

#include "base/error.h"
#include <jansson.h>

/* Puts all objects into namespace `name`, and lets them name it where they name `old`: the one in
 * which they were captured, whatever they say of themselves. USAGE where `name` cannot be one,
 * FAILED where there is no object. */
int pb_edits_namespace(const char *old, const char *name, json_t *objects, pb_error *error);

#endif
