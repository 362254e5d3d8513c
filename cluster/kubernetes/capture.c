#include "cluster/kubernetes/capture.h"

static int hint_of_groups(pb_error *error)
{
    return pb_error_hint(error, "an aggregated API is down, and with it the list of what there is: "
                                "`kubectl get apiservices` names it");
}

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
        hint_of_groups(error);
    json_decref(items);
    pb_buffer_free(&names);
    pb_buffer_free(&kinds);
    return done == 0 ? 0 : pb_error_context(error, "capturing Kubernetes objects");
}

static int ask_group(const pb_kubectl *kubectl, const char *version, pb_error *error)
{
    bool has; /* one that went meanwhile is no failure */
    if (!pb_kubectl_has_group(kubectl, version, &has, error))
        return 0;
    pb_error_context(error, "the API %s", version);
    return error->kind == PB_ERROR_UNREACHABLE ? hint_of_groups(error) : -1;
}

int pb_capture_check_groups(const pb_kubectl *kubectl, pb_error *error)
{
    static const char *const asked[] = {"get", "--raw", "/apis", NULL};
    static const char *const discovery[] = {"api-resources", "--output", "name", NULL};
    pb_buffer text = {0}, names = {0};
    json_t *groups = NULL, *versions = NULL, *version;
    size_t i;
    int failed = pb_kubectl_run(kubectl, asked, (pb_slice){0}, &text, error) ||
                 pb_json_parse(pb_buffer_slice(&text), "the list of APIs", &groups, error) ||
                 pb_kubectl_run(kubectl, discovery, (pb_slice){0}, &names, error) ||
                 pb_capture_silent_groups(groups, pb_buffer_slice(&names), &versions, error);
    if (failed && strstr(error->message, "list of server APIs"))
        hint_of_groups(error);
    json_array_foreach(versions, i, version)
    {
        if (!failed)
            failed = ask_group(kubectl, json_string_value(version), error);
    }
    json_decref(groups);
    json_decref(versions);
    pb_buffer_free(&text);
    pb_buffer_free(&names);
    return failed ? pb_error_context(error, "asking for the kinds that there are") : 0;
}
