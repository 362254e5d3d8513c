#include "cluster/suspension/grace.h"

#include "cluster/kubernetes/at_once.h"
#include "cluster/kubernetes/object.h"
#include <stdlib.h>

json_t *pb_grace_choose(const json_t *pods, unsigned grace_s, const json_t *asked)
{
    json_t *chosen = json_array();
    for (size_t i = 0; i < json_array_size(pods); i++) {
        json_t *pod = json_array_get(pods, i);
        json_int_t allowed =
            json_integer_value(pb_object_at(pod, "metadata.deletionGracePeriodSeconds"));
        if (pb_object_text(pod, "metadata.deletionTimestamp")[0] && allowed > (json_int_t)grace_s &&
            !json_object_get(asked, pb_object_text(pod, "metadata.uid")))
            json_array_append(chosen, pod);
    }
    return chosen;
}

typedef struct deletion {
    pb_buffer path, options;
    const char *arguments[5];
} deletion;

static void make_deletion(const char *name_space, const json_t *pod, unsigned grace_s,
                          deletion *made)
{
    json_t *options = json_pack("{s:s, s:s, s:i, s:{s:s}}", "kind", "DeleteOptions", "apiVersion",
                                "v1", "gracePeriodSeconds", (int)grace_s, "preconditions", "uid",
                                pb_object_text(pod, "metadata.uid"));
    pb_json_append(&made->options, options);
    json_decref(options);
    pb_buffer_append_format(&made->path, "/api/v1/namespaces/%s/pods/%s", name_space,
                            pb_object_name(pod));
    const char *const arguments[] = {"delete", "--raw", made->path.data, "--filename=-", NULL};
    memcpy(made->arguments, arguments, sizeof arguments);
}

static int take_answer(const pb_kubectl *kubectl, const json_t *pod, unsigned grace_s,
                       const pb_error *ended, json_t *asked, pb_error *error)
{
    bool another = strstr(ended->message, "(Conflict)") != NULL;
    if (ended->kind == PB_ERROR_UNREACHABLE && !another)
        return 0; /* its turn comes again */
    if (ended->kind && ended->kind != PB_ERROR_NOT_FOUND && !another) {
        *error = *ended;
        return pb_error_context(error, "deleting Pod %s with a grace period of %u s",
                                pb_object_name(pod), grace_s);
    }
    json_object_set_new(asked, pb_object_text(pod, "metadata.uid"), json_true());
    if (!ended->kind)
        pb_kubectl_tell(kubectl, "shortened the grace period of Pod %s to %u s",
                        pb_object_name(pod), grace_s);
    return 0;
}

int pb_grace_shorten(const pb_kubectl *kubectl, const json_t *pods, unsigned grace_s, json_t *asked,
                     pb_error *error)
{
    json_t *chosen = pb_grace_choose(pods, grace_s, asked);
    size_t count = json_array_size(chosen);
    deletion *made = pb_allocate_zeroed(count + 1, sizeof *made);
    pb_kubectl_call *calls = pb_allocate_zeroed(count + 1, sizeof *calls);
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        make_deletion(kubectl->name_space, json_array_get(chosen, i), grace_s, &made[i]);
        calls[i].arguments = made[i].arguments;
        calls[i].input = pb_buffer_slice(&made[i].options);
    }
    pb_kubectl_run_at_once(kubectl, calls, count);
    for (size_t i = 0; i < count; i++) {
        failed = take_answer(kubectl, json_array_get(chosen, i), grace_s, &calls[i].error, asked,
                             error) ||
                 failed;
        pb_buffer_free(&made[i].path);
        pb_buffer_free(&made[i].options);
    }
    free(calls);
    free(made);
    json_decref(chosen);
    return failed ? -1 : 0;
}
