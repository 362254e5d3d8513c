/* cluster/kubernetes/kubectl.h - the cluster, through kubectl. Calls run the loop until they end:
 * never inside a callback.
 *
 * A call that the API server did not answer (refused, reset, timed out, 429, 5xx) is tried again
 * for patience_ms; then UNREACHABLE, as where it does not say which kinds it has. No rights, no
 * login: REFUSED. A missing object or namespace: NOT_FOUND. An object that exists: EXISTS. No
 * kubectl, or a context that is not in the kubeconfig: USAGE. */
#ifndef PB_CLUSTER_KUBERNETES_KUBECTL_H
#define PB_CLUSTER_KUBERNETES_KUBECTL_H

#include "base/json.h"
#include "base/log.h"
#include "cluster/process/child.h"
#include <stdatomic.h>
#include <uv.h>

typedef struct pb_kubectl {
    uv_loop_t *loop;
    const char *kubeconfig; /* these: NULL for kubectl's own choice */
    const char *context;
    const char *name_space; /* --namespace; NULL for calls that name none */
    int64_t patience_ms;
    const atomic_bool *cancelled; /* ends a call with CANCELLED; NULL: never */
    const pb_log *log;
    /* Hears of each change that was made to the cluster, on the calling thread. May be NULL. */
    void (*changed)(void *context, const char *text);
    void *changed_context;
    atomic_bool *is_old; /* set where it shows that kubectl is older than 1.24; NULL: not kept */
} pb_kubectl;

enum { PB_KUBECTL_OUTPUT_MAX = 256 * 1024 * 1024, PB_KUBECTL_DEADLINE_MS = 5 * 60 * 1000 };

/* kubectl ARGUMENTS... (NULL at the end) with the connection's flags in front; `input` for -f -. */
int pb_kubectl_run(const pb_kubectl *kubectl, const char *const *arguments, pb_slice input,
                   pb_buffer *ret_output, pb_error *error);
/* The same with `--output json`, parsed. The caller owns *ret_value. */
int pb_kubectl_json(const pb_kubectl *kubectl, const char *const *arguments, pb_slice input,
                    json_t **ret_value, pb_error *error);
/* pb_kubectl_json with an object as its input; ret_value NULL: the answer is dropped, and need not
 * be JSON. */
int pb_kubectl_send(const pb_kubectl *kubectl, const char *const *arguments, const json_t *object,
                    json_t **ret_value, pb_error *error);
/* get KINDS ("deployments,replicationcontrollers") [--selector SELECTOR]: the array of items. */
int pb_kubectl_list(const pb_kubectl *kubectl, const char *kinds, const char *selector,
                    json_t **ret_items, pb_error *error);
/* Whether the API server has a group, as "velero.io/v1". */
int pb_kubectl_has_group(const pb_kubectl *kubectl, const char *group_version, bool *ret_has,
                         pb_error *error);
/* create (EXISTS where it does, unless it is what a repeated attempt of this very call has made),
 * replace (NOT_FOUND where it does not exist) and apply (server-side; fields of others are kept) of
 * one object; replace and apply also of a List. The object goes through standard input. */
int pb_kubectl_create(const pb_kubectl *kubectl, const json_t *object, pb_error *error);
int pb_kubectl_replace(const pb_kubectl *kubectl, const json_t *object, pb_error *error);
int pb_kubectl_apply(const pb_kubectl *kubectl, const json_t *object, pb_error *error);
/* delete of all objects of a List, by kind and name, those that are not there left aside; waits
 * until they are gone. `cascade` as kubectl has it: "foreground" waits for what they own as well,
 * "orphan" leaves that. */
int pb_kubectl_delete(const pb_kubectl *kubectl, const json_t *list, const char *cascade,
                      pb_error *error);
/* patch KIND NAME --type merge. The patch is an argument: no secret goes this way, and nothing
 * large. */
int pb_kubectl_patch(const pb_kubectl *kubectl, const char *kind, const char *name,
                     const json_t *patch, pb_error *error);
/* Tells of a change, with the time of day: "02:13:04 scaled Deployment pachd to 0". The calls above
 * do it by themselves, but for pb_kubectl_run and pb_kubectl_send. */
void pb_kubectl_tell(const pb_kubectl *kubectl, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Lets the loop run for so long. -1: CANCELLED, soon after `cancelled` was set. */
int pb_kubectl_rest(const pb_kubectl *kubectl, int64_t rest_ms, pb_error *error);
/* The same, but no longer than until a callback of the loop sets *over (NULL: none). */
int pb_kubectl_rest_until(const pb_kubectl *kubectl, int64_t rest_ms, const bool *over,
                          pb_error *error);

/* Starts one kubectl, which the caller attends to: of the options all but arguments and environment
 * count. Without a deadline its request has none either. `cancelled` does not end it. */
int pb_kubectl_start(const pb_kubectl *kubectl, const char *const *arguments,
                     const pb_child_options *options, pb_child **ret_child, pb_error *error);
/* Inside `done`: gives the error of a child the kind and the words of kubectl's standard error. */
void pb_kubectl_judge(const pb_child *child, pb_error *error);
/* What to do about an error of kubectl, where it has no hint yet. */
void pb_kubectl_hint(const pb_kubectl *kubectl, pb_error *error);

/* What kubectl's standard error means, and the line that says so (borrowed); FAILED where there is
 * none that is known, with the line of an error or an empty one. A line may quote a secret. Pure.
 */
pb_error_kind pb_kubectl_kind_of(pb_slice text, pb_slice *ret_line);

#endif
