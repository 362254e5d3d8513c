#include "cluster/kubernetes/capture.h"

int pb_capture(const pb_kubectl *kubectl, const pb_workloads *workloads, pb_buffer *ret_ndjson,
               size_t *ret_objects, pb_error *error)
{
    static const char *const discovery[] = {
        "api-resources", "--namespaced=true", "--verbs=list", "--output", "name", NULL};
    pb_buffer names = {0}, kinds = {0};
    json_t *items = NULL;
    int done = pb_kubectl_run(kubectl, discovery, (pb_slice){0}, &names, error);
    if (done == 0)
        done = pb_capture_kinds(pb_buffer_slice(&names), &kinds, error);
    if (done == 0)
        done = pb_kubectl_list(kubectl, kinds.data, NULL, &items, error);
    if (done == 0)
        pb_capture_append(items, workloads, ret_ndjson, ret_objects);
    if (done != 0 && strstr(error->message, "list of server APIs"))
        pb_error_hint(error, "an aggregated API is down, and with it the list of what there is: "
                             "`kubectl get apiservices` names it");
    json_decref(items);
    pb_buffer_free(&names);
    pb_buffer_free(&kinds);
    return done == 0 ? 0 : pb_error_context(error, "capturing Kubernetes objects");
}
