/* cluster/kubernetes/access.h - what this account may do, asked of the API server itself
 * (SelfSubjectAccessReview). All questions go through one start of kubectl. */
#ifndef PB_CLUSTER_KUBERNETES_ACCESS_H
#define PB_CLUSTER_KUBERNETES_ACCESS_H

#include "cluster/kubernetes/kubectl.h"

/* Texts are borrowed; "" for none. */
typedef struct pb_access {
    const char *name_space;
    const char *verb, *group, *resource, *subresource, *name;
    bool allowed; /* the answer */
} pb_access;

/* Asks all of them. Changes nothing. Runs the loop. */
int pb_access_ask(const pb_kubectl *kubectl, pb_access *accesses, size_t count, pb_error *error);

/* Appends "patch deployments.apps/scale", "get secrets/NAME". Pure. */
void pb_access_describe(const pb_access *access, pb_buffer *text);
/* The List of reviews that is sent; the caller owns it. Pure. */
json_t *pb_access_questions(const pb_access *accesses, size_t count);
/* Reads "true" and "false", a line for each review, into `allowed`. FAILED, and nothing is written,
 * where it is anything else. Pure. */
int pb_access_answers(pb_slice text, pb_access *accesses, size_t count, pb_error *error);

#endif
