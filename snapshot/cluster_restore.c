#include "snapshot/cluster_restore.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cluster/boundary/restore_policy.h"
#include "cluster/edits/helm.h"
#include "cluster/kubernetes/at_once.h"
#include "cluster/kubernetes/capture.h"
#include "cluster/kubernetes/velero.h"
#include "cluster/pachyderm/pachctl.h"
#include "snapshot/agreement.h"
#include "snapshot/artifact.h"
#include "snapshot/bucket_overlap.h"
#include "snapshot/cluster_plan.h"
#include "snapshot/repository.h"
#include <stdio.h>
#include <stdlib.h>

enum { CAPTURE_BYTES_MAX = PB_KUBECTL_OUTPUT_MAX };

typedef struct cluster_restore {
    pb_session *session;
    const pb_restore_options *options;
    const pb_cluster_options *cluster;
    const pb_cluster_restore_options *wanted;
    pb_edits edits;
    pb_kubectl kubectl;
    pb_repository repository;
    pb_snapshot_file file;
    const pb_cluster_record *record; /* the file's */
    json_t *objects;                 /* edited, with their counts; NULL without a capture */
    json_t *kinds;                   /* that the cluster has in namespaces */
    json_t *left_out;                /* of the capture */
    pb_buffer bucket;                /* its URL, for the edits */
    uint64_t helm_objects;           /* that the edits took from helm */
    pb_restore_result *result;
} cluster_restore;

/* ---- what is asked for ---- */

static bool restores_kubernetes(const cluster_restore *self)
{
    return self->cluster->kubernetes != PB_KUBERNETES_NONE &&
           strcmp(self->record->kubernetes, "none") != 0;
}

static bool is_by_velero(const cluster_restore *self)
{
    return strcmp(self->record->kubernetes, "velero") == 0;
}

static int find_snapshot(cluster_restore *self, pb_error *error)
{
    if (pb_repository_open(self->session, self->options->repository, false, &self->repository,
                           error) ||
        pb_choose(&self->repository, &self->options->which, &self->file, &self->result->choice,
                  error))
        return -1;
    self->record = self->file.cluster;
    if (self->record) {
        self->edits.old_name_space = self->record->name_space;
        return 0;
    }
    pb_error_set(error, PB_ERROR_USAGE, "snapshot %s is of a bucket alone: it holds no cluster",
                 self->file.id);
    return pb_error_hint(error, "leave --namespace out to restore the bucket; `pbcopy snapshots` "
                                "lists what there is");
}

/* Before anything of them is read. */
static int check_artifacts(const cluster_restore *self, pb_error *error)
{
    const pb_restore_policy policy = {
        .takes_databases = self->cluster->dump == PB_DUMP_DATABASES,
        .takes_server = self->cluster->dump == PB_DUMP_ALL,
        .takes_objects = restores_kubernetes(self),
        .has_identity = self->cluster->identity != NULL,
        .plaintext = self->cluster->plaintext,
    };
    if (pb_policy_check_record(&policy, self->record, error))
        return -1;
    for (size_t i = 0; i < self->record->artifact_count; i++) {
        const pb_artifact *artifact = &self->record->artifacts[i];
        bool used = artifact->kind == PB_ARTIFACT_OBJECTS ? restores_kubernetes(self)
                                                          : self->cluster->dump != PB_DUMP_NONE;
        if (used && pb_cluster_identity_check(artifact, self->cluster->identity, error))
            return -1;
    }
    return 0;
}

/* ---- what must not be overwritten ---- */

/* Where objects go, and what the restored Pachyderm will use: --bucket says otherwise at will. */
typedef struct aimed_bucket {
    const char *name; /* as it is told */
    char *identity;   /* NULL where it cannot be read */
} aimed_bucket;

enum { TARGETS = 2 };

static int refuse_bucket(const aimed_bucket *target, const char *name_space, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s is the bucket of the cluster in namespace %s: each of the two would collect "
                 "chunks that the other needs",
                 target->name, name_space);
    return pb_error_hint(error, "restore into a bucket of its own, or, where that cluster is gone "
                                "for good, say --allow-live-bucket");
}

/* `identity` is that of a bucket that the cluster in the namespace uses, or used. */
static int check_bucket(const cluster_restore *self, const aimed_bucket *targets,
                        const char *identity, const char *name_space, pb_error *error)
{
    bool same = targets[1].identity && strcmp(targets[0].identity, targets[1].identity) == 0;
    for (int i = 0; i < (same ? 1 : TARGETS); i++) {
        pb_bucket_relation relation = pb_buckets_compare(targets[i].identity, identity);
        if (relation == PB_BUCKETS_OVERLAP)
            return refuse_bucket(&targets[i], name_space, error);
        if (relation == PB_BUCKETS_UNKNOWN)
            pb_session_note(self->session,
                            "whether %s is the bucket of the cluster in namespace %s (%s) cannot "
                            "be told from its URL",
                            targets[i].name, name_space,
                            identity ? identity : "which pbcopy cannot read");
    }
    return 0;
}

/* Any other Pachyderm that this Kubernetes knows. */
static int check_live_clusters(cluster_restore *self, const aimed_bucket *targets, pb_error *error)
{
    pb_kubectl all = self->kubectl;
    all.name_space = NULL;
    json_t *items = NULL;
    pb_error wrong = {0};
    if (pb_kubectl_list(&all, "deployments", "app=pachd", &items, &wrong)) {
        if (wrong.kind != PB_ERROR_REFUSED) {
            *error = wrong;
            return -1;
        }
        pb_session_note(self->session, "no right to look into all namespaces: whether another "
                                       "cluster uses this bucket is not known");
        return 0;
    }
    int failed = 0;
    for (size_t i = 0; i < json_array_size(items) && !failed; i++) {
        const json_t *metadata = json_object_get(json_array_get(items, i), "metadata");
        const char *name_space = json_string_value(json_object_get(metadata, "namespace"));
        pb_pachyderm other = {0};
        pb_kubectl there = self->kubectl;
        there.name_space = name_space;
        /* Of the namespace itself check_namespace judges: it may be a restore taken up. */
        if (!name_space || strcmp(name_space, self->cluster->name_space) == 0)
            continue;
        if (pb_pachyderm_read(&there, &other, &wrong)) {
            pb_session_note(self->session,
                            "whether the cluster in namespace %s uses this bucket is "
                            "not known: %s",
                            name_space, wrong.message);
            continue;
        }
        if (other.storage_url[0]) {
            char *identity = pb_bucket_identity(other.storage_url);
            failed = check_bucket(self, targets, identity, name_space, error);
            free(identity);
        } else if (!other.storage_path[0] || strncmp(targets[0].identity, "file:", 5) == 0) {
            pb_session_note(self->session,
                            "whether the cluster in namespace %s uses this bucket is not known: it "
                            "%s%s",
                            name_space,
                            other.storage_path[0] ? "keeps its data in a directory of its node, "
                                                  : "does not say where its bucket is",
                            other.storage_path);
        }
        pb_pachyderm_free(&other);
    }
    json_decref(items);
    return failed;
}

static int check_live_buckets(cluster_restore *self, pb_error *error)
{
    pb_location destination = {0};
    if (pb_location_parse(self->options->destination, &destination, error))
        return pb_error_context(error, "destination");
    char *bucket = pb_bucket_identity(self->edits.bucket);
    const aimed_bucket targets[TARGETS] = {
        {.name = self->options->destination, .identity = pb_location_identity(&destination)},
        {.name = bucket ? bucket : "what --bucket names", .identity = bucket},
    };
    pb_location_free(&destination);
    int failed = self->wanted->allow_live_bucket ? 0
                                                 : check_bucket(self, targets, self->file.source,
                                                                self->record->name_space, error) ||
                                                       check_live_clusters(self, targets, error);
    for (int i = 0; i < TARGETS; i++)
        free(targets[i].identity);
    return failed ? -1 : 0;
}

static int check_namespace(cluster_restore *self, pb_error *error)
{
    pb_pachyderm there = {0};
    pb_error wrong = {0};
    if (!restores_kubernetes(self))
        return 0;
    if (pb_pachyderm_read(&self->kubectl, &there, &wrong)) {
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return 0;
        *error = wrong;
        return -1;
    }
    pb_pachyderm_free(&there);
    if (self->wanted->allow_existing)
        return 0;
    pb_error_set(error, PB_ERROR_USAGE, "namespace %s has a Pachyderm already",
                 self->cluster->name_space);
    return pb_error_hint(error, "restore into a namespace of its own, or say --allow-existing to "
                                "apply the snapshot's objects over what is there");
}

static int check_database(cluster_restore *self, const pb_artifact *artifact, pb_error *error)
{
    uv_loop_t *loop = &self->session->loop;
    const pb_database_server *server = &self->cluster->database;
    bool all = artifact->kind == PB_ARTIFACT_DUMP_ALL, empty = false;
    const char *database = all ? "postgres" : artifact->database;
    pb_database_version version, client;
    if (pb_database_client_version(loop, all ? "psql" : "pg_restore", &client, error) ||
        pb_database_server_version(loop, server, database, &version, error)) {
        if (error->kind == PB_ERROR_NOT_FOUND)
            pb_error_hint(error, "make it first, empty: createdb --owner=pachyderm %s", database);
        return -1;
    }
    if (atoi(version.text) < atoi(self->record->database_version)) {
        pb_error_set(error, PB_ERROR_USAGE,
                     "the dump is of PostgreSQL %s, and the server here is %s: older",
                     self->record->database_version, version.text);
        return pb_error_hint(error, "restore into a server of version %d or later",
                             atoi(self->record->database_version));
    }
    if (self->wanted->overwrite_database && !all)
        return 0;
    pb_error wrong = {0};
    if (all)
        database = self->record->database_name;
    if (pb_database_is_empty(loop, server, database, &empty, &wrong)) {
        if (all && wrong.kind == PB_ERROR_NOT_FOUND)
            return 0; /* pg_dumpall's script makes it */
        *error = wrong;
        return -1;
    }
    if (empty && !all)
        return 0;
    pb_error_set(error, PB_ERROR_USAGE, "database %s is %s", database,
                 empty ? "there already" : "not empty");
    return pb_error_hint(error, all ? "drop it first: the script of pg_dumpall makes it"
                                    : "name a server with empty databases, or say "
                                      "--overwrite-database to drop what is in them");
}

static bool is_dump(const pb_artifact *artifact)
{
    return artifact->kind != PB_ARTIFACT_OBJECTS;
}

/* What keeps commands out of psql is then one reader alone, and somebody should know. */
static int check_psql(cluster_restore *self, pb_error *error)
{
    pb_database_version psql;
    if (pb_database_client_version(&self->session->loop, "psql", &psql, error))
        return -1;
    if (!pb_database_can_restrict(&psql))
        pb_session_note(self->session,
                        "psql %s does not know \\restrict: that a dump's script holds no commands "
                        "of psql is checked by pbcopy alone; install a newer minor version where "
                        "others can write to the repository",
                        psql.text);
    return 0;
}

static int check_databases(cluster_restore *self, pb_error *error)
{
    if (self->cluster->dump == PB_DUMP_NONE)
        return 0;
    if (check_psql(self, error))
        return -1;
    for (size_t i = 0; i < self->record->artifact_count; i++)
        if (is_dump(&self->record->artifacts[i]) &&
            check_database(self, &self->record->artifacts[i], error))
            return -1;
    return 0;
}

static int refuse_live_database(const cluster_restore *self, const char *database,
                                const pb_workload *writer, pb_error *error)
{
    const char *name_space = self->cluster->name_space;
    pb_error_set(error, PB_ERROR_BUSY,
                 "what database %s holds would be dropped, and Pachyderm in namespace %s, which "
                 "uses it, is up: %s/%s has %llu replicas",
                 database, name_space, writer->kind, writer->name,
                 (unsigned long long)writer->replicas);
    return pb_error_hint(error,
                         "`pbcopy suspend --namespace %s` first; `pbcopy resume` takes its record "
                         "away after the restore",
                         name_space);
}

/* Is it the one that pachd uses? Its server may have another name here, or a forwarded port: then
 * somebody who is connected tells. */
static int check_live_database(cluster_restore *self, const pb_pachyderm *there,
                               const pb_workload *writer, const char *database, pb_error *error)
{
    const pb_database_server *server = &self->cluster->database;
    bool in_use = server->host && strcmp(server->host, there->database_host) == 0 &&
                  (server->port ? server->port : 5432) == there->database_port;
    if (!in_use && pb_database_is_in_use(&self->session->loop, server, database, &in_use, error))
        return -1;
    if (in_use)
        return refuse_live_database(self, database, writer, error);
    pb_session_note(self->session,
                    "Pachyderm in namespace %s is up; database %s, which is dropped, is taken for "
                    "none of its own: that is at %s:%llu, and nobody is connected to this one",
                    self->cluster->name_space, database, there->database_host,
                    (unsigned long long)there->database_port);
    return 0;
}

/* Nothing is dropped under a Pachyderm that runs in the namespace. */
static int check_live_databases(cluster_restore *self, pb_error *error)
{
    pb_pachyderm there = {0};
    pb_error wrong = {0};
    const pb_workload *writer = NULL;
    if (!self->wanted->overwrite_database || self->cluster->dump != PB_DUMP_DATABASES)
        return 0;
    if (pb_pachyderm_read(&self->kubectl, &there, &wrong)) {
        if (wrong.kind == PB_ERROR_NOT_FOUND)
            return 0;
        *error = wrong;
        return -1;
    }
    for (size_t i = 0; i < there.writers.count && !writer; i++)
        if (there.writers.items[i].replicas)
            writer = &there.writers.items[i];
    int failed = 0;
    for (size_t i = 0; i < self->record->artifact_count && writer && !failed; i++)
        if (is_dump(&self->record->artifacts[i]))
            failed = check_live_database(self, &there, writer, self->record->artifacts[i].database,
                                         error);
    pb_pachyderm_free(&there);
    return failed;
}

/* ---- the Kubernetes objects ---- */

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

static int edit(cluster_restore *self, json_t *objects, pb_error *error)
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
static int judge_objects(cluster_restore *self, pb_error *error)
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

static int read_objects(cluster_restore *self, pb_error *error)
{
    const pb_artifact *artifact = pb_cluster_record_find(self->record, PB_ARTIFACT_OBJECTS, NULL);
    pb_buffer bytes = {0};
    if (!restores_kubernetes(self) || is_by_velero(self))
        return 0;
    if (!artifact)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "snapshot %s says that it has a capture, and has none", self->file.id);
    int failed = pb_artifact_read(&self->repository, self->file.id, artifact,
                                  self->cluster->identity, CAPTURE_BYTES_MAX, &bytes, error);
    if (!failed)
        failed = pb_capture_parse(pb_buffer_slice(&bytes), &self->objects, error) ||
                 judge_objects(self, error) || edit(self, self->objects, error);
    pb_buffer_free(&bytes);
    return failed ? -1 : 0;
}

static const char *text_at(const json_t *object, const char *outer, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, outer), name));
    return text ? text : "";
}

/* Those that have replicas: their counts are kept aside, and they are to come with none; where
 * `only` is not NULL, others than those come with what they have. */
static void take_counts(json_t *objects, const pb_workloads *only, pb_workloads *ret_workloads)
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

static int make_namespace(cluster_restore *self, pb_error *error)
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

static json_t *list_of(json_t *objects)
{
    return json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", objects);
}

static int apply(cluster_restore *self, json_t *objects, pb_error *error)
{
    json_t *list = list_of(objects);
    int failed = json_array_size(objects) ? pb_kubectl_apply(&self->kubectl, list, error) : 0;
    json_decref(list);
    return failed;
}

static void on_waiting(void *context, const char *text)
{
    pb_session_tell(context, &(pb_event){.kind = PB_EVENT_WAITING, .text = text});
}

/* What does not write, as pachd needs it, or what does: at once. */
static int scale_up_those(cluster_restore *self, const pb_workloads *workloads, bool writers,
                          pb_error *error)
{
    pb_scaling *scalings = pb_allocate_zeroed(workloads->count + 1, sizeof *scalings);
    size_t count = 0;
    for (size_t i = 0; i < workloads->count; i++) {
        const pb_workload *workload = &workloads->items[i];
        bool writes = pb_workloads_find(&self->record->workloads, workload->kind, workload->name);
        if (writes == writers)
            scalings[count++] = (pb_scaling){
                .kind = workload->kind, .name = workload->name, .replicas = workload->replicas};
    }
    pb_kubectl_scale(&self->kubectl, scalings, count);
    int failed = pb_scalings_judge(scalings, count, false, error);
    free(scalings);
    return failed;
}

static int scale_up(cluster_restore *self, const pb_workloads *workloads, pb_error *error)
{
    pb_session_phase(self->session, "scaling up");
    if (scale_up_those(self, workloads, false, error) ||
        scale_up_those(self, workloads, true, error))
        return -1;
    if (pb_wait_ready(&self->kubectl, workloads, self->cluster->wait_ms, on_waiting, self->session,
                      error))
        return pb_error_hint(error,
                             "all is restored; `kubectl --namespace %s get pods` says what "
                             "keeps them from being ready",
                             self->cluster->name_space);
    return 0;
}

static int restore_objects(cluster_restore *self, pb_error *error)
{
    pb_workloads workloads = {0};
    pb_session_phase(self->session, "applying Kubernetes objects");
    take_counts(self->objects, NULL, &workloads);
    self->result->kubernetes_objects = json_array_size(self->objects);
    int failed = make_namespace(self, error) || apply(self, self->objects, error) ||
                 scale_up(self, &workloads, error);
    pb_workloads_free(&workloads);
    return failed ? -1 : 0;
}

/* ---- through Velero ---- */

static int delete_selected(cluster_restore *self, const char *kinds, const char *selector,
                           pb_error *error)
{
    const char *const arguments[] = {"delete", kinds, "--selector", selector, "--ignore-not-found",
                                     NULL};
    return pb_kubectl_run(&self->kubectl, arguments, (pb_slice){NULL, 0}, NULL, error);
}

/* What Velero brings along and a restored cluster must not have: workers that point at the old
 * bucket, and the record of the suspension in which they were captured. */
static int delete_strays(cluster_restore *self, pb_error *error)
{
    static const char workers[] = "replicationcontrollers,services";
    const char *const record[] = {"delete",
                                  "configmap",
                                  "--selector",
                                  PB_VELERO_LABEL ",app.kubernetes.io/managed-by=pbcopy",
                                  "--ignore-not-found",
                                  NULL};
    return delete_selected(self, workers, "suite=pachyderm,component=worker", error) ||
                   delete_selected(self, workers, "suite=pachyderm,pipelineName", error) ||
                   pb_kubectl_run(&self->kubectl, record, (pb_slice){NULL, 0}, NULL, error)
               ? -1
               : 0;
}

static int delete_all(cluster_restore *self, json_t *objects, const char *cascade, pb_error *error)
{
    json_t *list = list_of(objects);
    int failed =
        json_array_size(objects) ? pb_kubectl_delete(&self->kubectl, list, cascade, error) : 0;
    json_decref(list);
    return failed;
}

static int replace_all(cluster_restore *self, json_t *objects, pb_error *error)
{
    json_t *list = list_of(objects);
    int failed = json_array_size(objects) ? pb_kubectl_replace(&self->kubectl, list, error) : 0;
    json_decref(list);
    return failed;
}

static int patch_claims(cluster_restore *self, const json_t *patches, pb_error *error)
{
    for (size_t i = 0; i < json_array_size(patches); i++) {
        const json_t *item = json_array_get(patches, i);
        if (pb_kubectl_patch(&self->kubectl, "persistentvolumeclaim",
                             json_string_value(json_object_get(item, "name")),
                             json_object_get(item, "patch"), error))
            return -1;
    }
    return 0;
}

/* Pods run already that Velero brought, with what names the old cluster in them: they go first, and
 * with them the revisions of their workloads. Only writers come with no replicas: their counts are
 * recorded, those of others would be lost with a run that dies here. */
static int carry_out(cluster_restore *self, const pb_velero_plan *plan, pb_error *error)
{
    const pb_workloads *writers = &self->record->workloads;
    pb_workloads workloads = {0};
    take_counts(plan->made, writers, &workloads);
    for (size_t i = 0; i < writers->count; i++) {
        const pb_workload *writer = &writers->items[i];
        if (strcmp(writer->kind, "ReplicationController") != 0 &&
            !pb_workloads_find(&workloads, writer->kind, writer->name))
            pb_workloads_add(&workloads, writer->kind, writer->name, writer->replicas);
    }
    int failed =
        delete_all(self, plan->removed, "foreground", error) ||
        delete_all(self, plan->orphaned, "orphan", error) ||
        delete_selected(self, "replicasets.apps", PB_VELERO_LABEL ",pod-template-hash", error) ||
        delete_selected(self, "pods,controllerrevisions.apps", PB_VELERO_LABEL, error) ||
        replace_all(self, plan->replaced, error) || patch_claims(self, plan->patches, error) ||
        apply(self, plan->made, error) || scale_up(self, &workloads, error);
    pb_workloads_free(&workloads);
    return failed ? -1 : 0;
}

/* What Velero has restored becomes what a capture would have become. */
static int edit_restored(cluster_restore *self, pb_error *error)
{
    pb_buffer ndjson = {0};
    json_t *objects = NULL, *before = NULL;
    size_t count;
    int failed = delete_strays(self, error) ||
                 pb_capture(&self->kubectl, &self->record->workloads, &ndjson, &count, error) ||
                 pb_capture_parse(pb_buffer_slice(&ndjson), &objects, error);
    if (!failed) {
        before = json_deep_copy(objects);
        failed = edit(self, objects, error);
    }
    if (!failed) {
        pb_velero_plan plan;
        pb_session_phase(self->session, "editing what Velero restored");
        pb_velero_plan_edit(before, objects, &plan);
        self->result->kubernetes_objects = json_array_size(objects);
        failed = carry_out(self, &plan, error);
        pb_velero_plan_free(&plan);
    }
    json_decref(before);
    json_decref(objects);
    pb_buffer_free(&ndjson);
    return failed ? -1 : 0;
}

static int restore_by_velero(cluster_restore *self, pb_error *error)
{
    pb_kubectl velero = self->kubectl;
    const char *slash = strchr(self->record->velero_backup, '/');
    if (!slash)
        return pb_error_set(error, PB_ERROR_DAMAGED, "snapshot %s names no backup of Velero",
                            self->file.id);
    char *name_space = pb_duplicate(
        (pb_slice){self->record->velero_backup, (size_t)(slash - self->record->velero_backup)});
    velero.name_space = name_space;
    pb_buffer name = {0};
    char now[PB_TIME_TEXT_MAX];
    pb_time_format_basic(pb_clock_utc_ms(), now);
    for (char *c = now; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + ('a' - 'A') : *c);
    pb_buffer_append_format(&name, "%s-%s", slash + 1, now);
    pb_session_phase(self->session, "restoring through Velero");
    int failed = pb_velero_restore(&velero, name.data, slash + 1, self->record->name_space,
                                   self->cluster->name_space, self->cluster->wait_ms, on_waiting,
                                   self->session, error);
    if (!failed)
        failed = edit_restored(self, error);
    pb_buffer_free(&name);
    free(name_space);
    return failed ? -1 : 0;
}

/* ---- databases ---- */

static int restore_database(cluster_restore *self, const pb_artifact *artifact, pb_error *error)
{
    const char *pachyderm = self->record->database_name;
    bool has_chunks =
        artifact->kind == PB_ARTIFACT_DUMP_ALL || strcmp(artifact->database, pachyderm) == 0;
    pb_chunk_sort *sort = NULL;
    const pb_undump_options options = {
        .server = self->cluster->database,
        .database = artifact->kind == PB_ARTIFACT_DUMP_ALL ? pachyderm : artifact->database,
        .clean = self->wanted->overwrite_database,
        .identity = self->cluster->identity,
    };
    if (has_chunks &&
        pb_chunk_sort_start(&self->session->loop, pb_session_scratch(self->session), &sort, error))
        return -1;
    int failed =
        pb_artifact_undump(&self->repository, self->file.id, artifact, &options, sort, error);
    uint64_t needed, missing = 0;
    if (!failed && sort) {
        pb_chunk_sort_end(sort);
        failed = pb_agreement_check(&self->repository, &self->file, sort, &needed, &missing, error);
    }
    if (!failed && missing)
        failed = pb_error_set(error, PB_ERROR_DAMAGED,
                              "the restored database needs %llu chunks that the snapshot has not",
                              (unsigned long long)missing);
    pb_chunk_sort_free(sort);
    self->result->databases += !failed;
    return failed;
}

static int restore_databases(cluster_restore *self, pb_error *error)
{
    if (self->cluster->dump == PB_DUMP_NONE)
        return 0;
    pb_session_phase(self->session, "restoring databases");
    for (size_t i = 0; i < self->record->artifact_count; i++)
        if (is_dump(&self->record->artifacts[i]) &&
            restore_database(self, &self->record->artifacts[i], error))
            return -1;
    return 0;
}

/* ---- the whole ---- */

static void tell_plan(const cluster_restore *self)
{
    char *bucket = pb_bucket_identity(self->edits.bucket);
    const pb_cluster_plan plan = {
        .file = &self->file,
        .cluster = self->cluster,
        .destination = self->options->destination,
        .bucket = bucket ? bucket : "what --bucket names",
        .name_space = self->edits.name_space,
        .address = self->wanted->address,
        .overwrites_database = self->wanted->overwrite_database,
        .takes_kubernetes = restores_kubernetes(self),
        .objects = self->objects,
        .left_out = self->left_out,
        .kinds = self->kinds,
    };
    pb_cluster_plan_tell(self->session, &plan, self->session->options.dry_run);
    free(bucket);
}

static int connect_pachctl(cluster_restore *self, pb_error *error)
{
    const char *name = self->wanted->context ? self->wanted->context : self->cluster->name_space;
    char *path;
    if (!self->wanted->address)
        return 0;
    if (pb_pachctl_connect(&self->session->loop, name, self->wanted->address, &path, error))
        return -1;
    pb_session_note(self->session, "pachctl's context is now %s: %s", name, path);
    free(path);
    return 0;
}

/* The bucket as STORAGE_URL is to have it: without what is pbcopy's own business (profile=). */
static int name_bucket(cluster_restore *self, pb_error *error)
{
    pb_location location = {0};
    if (self->edits.bucket)
        return 0;
    if (pb_location_parse(self->options->destination, &location, error))
        return pb_error_context(error, "destination");
    pb_buffer *url = &self->bucket;
    if (location.kind == PB_STORE_FILE) {
        pb_buffer_append_format(url, "file://%s", location.bucket);
    } else {
        pb_buffer_append_format(url, "s3://%s", location.bucket);
        if (location.prefix[0])
            pb_buffer_append_format(url, "/%s", location.prefix);
        const char *sign = "?";
        if (location.endpoint) {
            bool plain = strncmp(location.endpoint, "http://", 7) == 0;
            pb_buffer_append_format(url, "?endpoint=%s%s", strstr(location.endpoint, "://") + 3,
                                    plain ? "&disableSSL=true" : "");
            sign = "&";
        }
        if (location.region)
            pb_buffer_append_format(url, "%sregion=%s", sign, location.region);
    }
    self->edits.bucket = url->data;
    pb_location_free(&location);
    return 0;
}

static int work(cluster_restore *self, pb_error *error)
{
    bool kubernetes;
    pb_session_phase(self->session, "checking");
    if (name_bucket(self, error) || find_snapshot(self, error) || check_artifacts(self, error) ||
        check_live_buckets(self, error) || check_namespace(self, error) ||
        check_databases(self, error) || check_live_databases(self, error) ||
        read_objects(self, error))
        return -1;
    tell_plan(self);
    kubernetes = restores_kubernetes(self);
    if (self->session->options.dry_run && kubernetes && is_by_velero(self))
        pb_session_note(self->session, "objects that Velero restores are edited after that: what "
                                       "changes is told then");
    pb_restore_options objects = *self->options; /* of the same snapshot, whatever is newer now */
    objects.which.snapshot = self->file.id;
    pb_choice_free(&self->result->choice);
    if (pb_restore(self->session, &objects, self->result, error))
        return -1;
    if (self->session->options.dry_run)
        return 0;
    if (restore_databases(self, error))
        return -1;
    if (kubernetes &&
        (is_by_velero(self) ? restore_by_velero(self, error) : restore_objects(self, error)))
        return -1;
    return connect_pachctl(self, error);
}

int pb_cluster_restore(pb_session *session, const pb_restore_options *options,
                       const pb_cluster_options *cluster, const pb_cluster_restore_options *wanted,
                       pb_restore_result *ret_result, pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    *ret_result = (pb_restore_result){0};
    cluster_restore self = {
        .session = session,
        .options = options,
        .cluster = cluster,
        .wanted = wanted,
        .edits = wanted->edits,
        .kubectl = pb_cluster_kubectl(session, cluster),
        .result = ret_result,
    };
    if (!self.edits.name_space)
        self.edits.name_space = cluster->name_space;
    int ended = work(&self, error);
    ret_result->helm_objects = self.helm_objects;
    json_decref(self.objects);
    json_decref(self.kinds);
    json_decref(self.left_out);
    pb_buffer_free(&self.bucket);
    pb_repository_close(&self.repository);
    pb_snapshot_file_free(&self.file);
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}
