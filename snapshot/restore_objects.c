#include "base/base64.h"
#include "cluster/boundary/restore_policy.h"
#include "cluster/edits/helm.h"
#include "cluster/edits/rights.h"
#include "cluster/kubernetes/at_once.h"
#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/object.h"
#include "cluster/pachyderm/layout.h"
#include "snapshot/restore_steps.h"

#include <stdlib.h>

enum { CAPTURE_BYTES_MAX = PB_KUBECTL_OUTPUT_MAX };

/* ---- the capture ---- */

static void tell_lines(pb_session *session, pb_slice text)
{
    while (text.size) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end ? (size_t)(end - text.data) : text.size;
        pb_session_note(session, "%.*s", (int)size, text.data);
        text.data += size + (end != NULL);
        text.size -= size + (end != NULL);
    }
}

int pb_restoring_edit(pb_restoring *self, json_t *objects, pb_error *error)
{
    json_t *before = json_deep_copy(objects);
    int failed = pb_edits_apply(&self->edits, self->record->pachyderm_version, objects, error);
    if (!failed) {
        pb_buffer diff = {0};
        self->helm_objects = pb_helm_count(before) - pb_helm_count(objects);
        pb_edits_diff(before, objects, &diff);
        if (self->session->options.dry_run)
            tell_lines(self->session, pb_buffer_slice(&diff));
        pb_buffer_free(&diff);
    }
    json_decref(before);
    return failed;
}

/* The cluster says itself which kinds are namespaced: with a kind of the whole cluster, kubectl
 * would not mind its namespace. */
static int judge_objects(pb_restoring *self, pb_error *error)
{
    static const char *const discovery[] = {"api-resources", "--namespaced=true", "--no-headers",
                                            NULL};
    pb_buffer answer = {0};
    if (pb_kubectl_run(&self->kubectl, discovery, (pb_slice){0}, &answer, error)) {
        pb_buffer_free(&answer);
        return pb_error_context(error, "which kinds this cluster has in namespaces");
    }
    self->kinds = pb_policy_kinds(pb_buffer_slice(&answer));
    self->left_out = json_array();
    pb_buffer_free(&answer);
    return pb_policy_filter(self->objects, self->record->name_space, self->kinds,
                            self->wanted->allow_privileged, self->left_out, error);
}

static int read_artifact(pb_restoring *self, const pb_artifact *artifact, json_t **ret_objects,
                         pb_error *error)
{
    pb_buffer bytes = {0};
    int failed = pb_artifact_read(&self->repository, self->file.id, artifact,
                                  self->cluster->identity, CAPTURE_BYTES_MAX, &bytes, error) ||
                 pb_capture_parse(pb_buffer_slice(&bytes), ret_objects, error);
    pb_buffer_wipe(&bytes);
    return failed ? -1 : 0;
}

static int read_rights(pb_restoring *self, pb_error *error)
{
    const pb_artifact *artifact = pb_cluster_record_find(self->record, PB_ARTIFACT_RIGHTS, NULL);
    if (!artifact)
        return 0;
    if (read_artifact(self, artifact, &self->rights, error) ||
        pb_policy_check_rights(self->rights, self->record->name_space, error))
        return -1;
    pb_edits_rights(self->record->name_space, self->edits.name_space, self->rights);
    if (self->helm_objects)
        pb_helm_remove(self->rights);
    return 0;
}

/* ---- the PostgreSQL server in the namespace ---- */

/* What a server may need to start, whosever it is: it starts nothing by itself. */
static bool is_needed_early(const json_t *object)
{
    static const char *const kinds[] = {"ServiceAccount", "Secret", "ConfigMap",
                                        "PersistentVolumeClaim"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(pb_object_kind(object), kinds[i]) == 0)
            return true;
    return pb_layout_is_database(object);
}

/* Is the host of pachd's database a Service of the server that the capture holds? */
static bool is_in_namespace(const pb_restoring *self)
{
    const json_t *object;
    bool found = false;
    size_t i;
    json_array_foreach(self->objects, i, object)
    {
        pb_buffer host = {0};
        if (strcmp(pb_object_kind(object), "Service") != 0 || !pb_layout_is_database(object))
            continue;
        pb_buffer_append_format(&host, "%s.%s.svc", pb_object_name(object), self->edits.name_space);
        found |= strcmp(host.data, self->restored.database_host) == 0;
        pb_buffer_free(&host);
    }
    return found;
}

/* That of the server, as the captured secret has it; NULL where it has none. */
static char *captured_password(const pb_restoring *self)
{
    const json_t *object;
    size_t i;
    char *password = NULL;
    json_array_foreach(self->objects, i, object)
    {
        pb_buffer decoded = {0};
        if (!pb_object_is(object, "Secret", self->restored.password_secret))
            continue;
        const char *text = json_string_value(
            json_object_get(json_object_get(object, "data"), self->restored.password_key));
        if (text && pb_base64_decode(&decoded, pb_slice_of(text)) && decoded.size)
            password = pb_duplicate(pb_buffer_slice(&decoded));
        pb_buffer_wipe(&decoded);
    }
    return password;
}

/* Takes the server's objects, and what they may need, out of the others. */
static void find_server(pb_restoring *self)
{
    pb_error ignored = {0}; /* a capture without pachd: then nothing says where its database is */
    if (self->cluster->dump == PB_DUMP_NONE ||
        pb_pachyderm_parse(self->objects, &self->restored, &ignored) || !is_in_namespace(self))
        return;
    self->password = captured_password(self);
    self->first = json_array();
    const json_t *object;
    size_t i;
    json_array_foreach(self->objects, i, object)
    {
        if (is_needed_early(object))
            json_array_append(self->first, (json_t *)object);
    }
}

int pb_restoring_read_objects(pb_restoring *self, pb_error *error)
{
    const pb_artifact *artifact = pb_cluster_record_find(self->record, PB_ARTIFACT_OBJECTS, NULL);
    if (!pb_restoring_takes_objects(self) || pb_restoring_is_by_velero(self))
        return 0;
    if (!artifact)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "snapshot %s says that it has a capture, and has none", self->file.id);
    if (read_artifact(self, artifact, &self->objects, error) || judge_objects(self, error) ||
        pb_restoring_edit(self, self->objects, error) || read_rights(self, error))
        return -1;
    find_server(self);
    return 0;
}

/* ---- applying ---- */

static const char *text_at(const json_t *object, const char *outer, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, outer), name));
    return text ? text : "";
}

/* Those that have replicas: their counts are kept aside, and they are to come with none; where
 * `only` is not NULL, others than those come with what they have. */
void pb_restoring_take_counts(json_t *objects, const pb_workloads *only,
                              pb_workloads *ret_workloads)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        json_t *object = json_array_get(objects, i), *spec = json_object_get(object, "spec");
        const char *kind = json_string_value(json_object_get(object, "kind"));
        const json_t *replicas = json_object_get(spec, "replicas");
        if (!kind || !json_is_integer(replicas))
            continue;
        const char *name = text_at(object, "metadata", "name");
        pb_workloads_add(ret_workloads, kind, name, (uint64_t)json_integer_value(replicas));
        if (!only || pb_workloads_find(only, kind, name))
            json_object_set_new(spec, "replicas", json_integer(0));
    }
}

static int make_namespace(pb_restoring *self, pb_error *error)
{
    pb_error wrong = {0};
    pb_kubectl kubectl = self->kubectl;
    kubectl.name_space = NULL;
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "Namespace",
                               "metadata", "name", self->cluster->name_space);
    int failed = pb_kubectl_create(&kubectl, object, &wrong);
    json_decref(object);
    if (!failed || wrong.kind == PB_ERROR_EXISTS)
        return 0;
    /* Whoever may not make namespaces may work in one that is there. */
    if (wrong.kind == PB_ERROR_REFUSED)
        return 0;
    *error = wrong;
    return -1;
}

json_t *pb_restoring_list_of(json_t *objects)
{
    return json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", objects);
}

int pb_restoring_apply(pb_restoring *self, json_t *objects, pb_error *error)
{
    json_t *list = pb_restoring_list_of(objects);
    int failed = json_array_size(objects) ? pb_kubectl_apply(&self->kubectl, list, error) : 0;
    json_decref(list);
    return failed;
}

/* Others came with their counts. */
static int scale_writers_up(pb_restoring *self, const pb_workloads *workloads, pb_error *error)
{
    pb_scaling *scalings = pb_allocate_zeroed(workloads->count + 1, sizeof *scalings);
    size_t count = 0;
    for (size_t i = 0; i < workloads->count; i++) {
        const pb_workload *workload = &workloads->items[i];
        if (pb_workloads_find(&self->record->workloads, workload->kind, workload->name))
            scalings[count++] = (pb_scaling){
                .kind = workload->kind, .name = workload->name, .replicas = workload->replicas};
    }
    pb_kubectl_scale(&self->kubectl, scalings, count);
    int failed = pb_scalings_judge(scalings, count, false, error);
    free(scalings);
    return failed;
}

int pb_restoring_scale_up(pb_restoring *self, const pb_workloads *workloads, pb_error *error)
{
    pb_session_phase(self->session, "scaling up");
    if (pb_restoring_confirm(self, error) || scale_writers_up(self, workloads, error))
        return -1;
    self->is_up = true;
    if (pb_restoring_end_suspension(self, false, error))
        return -1;
    if (pb_wait_ready(&self->kubectl, workloads, self->cluster->wait_ms, pb_restoring_tell_waiting,
                      self->session, error))
        return pb_error_hint(error,
                             "all is restored; `kubectl --namespace %s get pods` says what "
                             "keeps them from being ready",
                             self->cluster->name_space);
    return 0;
}

int pb_restoring_delete_workers(pb_restoring *self, pb_error *error)
{
    static const char *const selectors[] = {PB_WORKER_SELECTOR, PB_PIPELINE_SELECTOR};
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        const char *const arguments[] = {"delete",
                                         "replicationcontrollers,services",
                                         "--selector",
                                         selectors[i],
                                         "--ignore-not-found",
                                         NULL};
        if (pb_kubectl_run(&self->kubectl, arguments, (pb_slice){NULL, 0}, NULL, error))
            return -1;
    }
    return 0;
}

int pb_restoring_make_server(pb_restoring *self, pb_error *error)
{
    const pb_workloads none = {0};
    pb_workloads workloads = {0};
    if (!self->first)
        return 0;
    pb_session_phase(self->session, "making the PostgreSQL server");
    if (pb_restoring_confirm(self, error))
        return -1;
    self->has_changed = true;
    pb_restoring_take_counts(self->first, &none, &workloads);
    int failed = make_namespace(self, error) || pb_restoring_apply(self, self->first, error) ||
                 pb_wait_ready(&self->kubectl, &workloads, self->cluster->wait_ms,
                               pb_restoring_tell_waiting, self->session, error) ||
                 pb_restoring_await_server(self, error);
    pb_workloads_free(&workloads);
    return failed ? -1 : 0;
}

/* Those of the whole cluster are made, never changed: another namespace may need what is there. */
int pb_restoring_make_rights(pb_restoring *self, pb_error *error)
{
    pb_kubectl all = self->kubectl;
    const json_t *object;
    size_t i;
    all.name_space = NULL;
    if (!self->wanted->allow_privileged)
        return 0;
    json_array_foreach(self->rights, i, object)
    {
        pb_error wrong = {0};
        if (!pb_kubectl_create(&all, object, &wrong))
            continue;
        if (wrong.kind != PB_ERROR_EXISTS && wrong.kind != PB_ERROR_REFUSED) {
            *error = wrong;
            return -1;
        }
        pb_session_note(self->session, "%s/%s %s", pb_object_kind(object), pb_object_name(object),
                        wrong.kind == PB_ERROR_EXISTS
                            ? "exists already: the restore leaves it as it is"
                            : "is not made: this account may not; let an administrator make it");
    }
    return 0;
}

/* All but those that were applied first. */
static json_t *others_of(const pb_restoring *self)
{
    json_t *others = json_array();
    json_t *object;
    size_t i;
    json_array_foreach(self->objects, i, object)
    {
        if (!self->first || !is_needed_early(object))
            json_array_append(others, object);
    }
    return others;
}

int pb_restoring_restore_objects(pb_restoring *self, pb_error *error)
{
    pb_workloads workloads = {0};
    json_t *others = others_of(self);
    pb_session_phase(self->session, "applying Kubernetes objects");
    pb_restoring_take_counts(others, &self->record->workloads, &workloads);
    self->result->kubernetes_objects = json_array_size(self->objects);
    int failed = pb_restoring_record(self, &workloads, error) ? -1 : 0;
    self->has_changed |= !failed;
    failed = failed || (!self->first && make_namespace(self, error)) ||
             pb_restoring_apply(self, others, error) ||
             (self->has_pachyderm && pb_restoring_delete_workers(self, error)) ||
             pb_restoring_scale_up(self, &workloads, error);
    pb_workloads_free(&workloads);
    json_decref(others);
    return failed ? -1 : 0;
}
