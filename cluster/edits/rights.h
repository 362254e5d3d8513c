/* cluster/edits/rights.h - captured ClusterRoles and ClusterRoleBindings on their way into another
 * namespace. For this room, and for edits.h. */
#ifndef PB_CLUSTER_EDITS_RIGHTS_H
#define PB_CLUSTER_EDITS_RIGHTS_H

#include <jansson.h>

/* Gives bindings the accounts of namespace `name` in place of those of `old`, and names of their
 * own: a cluster has each name once, and the old namespace may need it still. Helm's annotations
 * go. Within one namespace all stays. Pure. */
void pb_edits_rights(const char *old, const char *name, json_t *rights);

#endif
