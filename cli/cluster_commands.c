#include "cli/cluster_commands.h"

#include "base/yaml.h"
#include "cli/result_json.h"
#include "cluster/edits/credentials.h"
#include "cluster/pachyderm/pachctl.h"
#include "snapshot/cluster_backup.h"
#include "snapshot/cluster_recover.h"
#include "snapshot/cluster_restore.h"
#include "snapshot/doctor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { EDITS_BYTES_MAX = 1024 * 1024, CREDENTIALS_BYTES_MAX = 64 * 1024 };

/* ---- options ---- */

/* The place of a word in a list: the options' table has seen to it that it is one of them. */
static int choice(const char *text, const char *const *words)
{
    int place = 0;
    if (!text)
        return 0;
    while (words[place] && strcmp(words[place], text) != 0)
        place++;
    return place;
}

static pb_cluster_options cluster_options(const pb_options *options)
{
    static const char *const kubernetes[] = {"native", "velero", "none", NULL};
    static const char *const dumps[] = {"databases", "all", "none", NULL};
    return (pb_cluster_options){
        .name_space = options->name_space,
        .kubeconfig = options->kubeconfig,
        .context = options->kube_context,
        .kubernetes = (pb_kubernetes_kind)choice(options->kubernetes, kubernetes),
        .velero_namespace = options->velero_namespace ? options->velero_namespace : "velero",
        .dump = (pb_dump_kind)choice(options->dump, dumps),
        .database = {.host = options->database_host,
                     .port = options->database_port,
                     .user = options->database_user},
        .identity_database = options->identity_database,
        .sealing = {.recipients = options->recipients.items,
                    .recipient_count = options->recipients.count},
        .plaintext = options->plaintext,
        .identity = options->identity,
        .wait_ms = (int64_t)options->wait_s * 1000,
        .grace_s = (unsigned)options->grace_s,
        .max_downtime_ms = (int64_t)options->max_downtime_s * 1000,
        .take_over = options->take_over,
    };
}

static pb_edit_list edit_list(const pb_text_list *list)
{
    return (pb_edit_list){.items = list->items, .count = list->count};
}

static int read_file(const char *path, size_t most, pb_buffer *text, pb_error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return pb_error_errno(error, errno, "%s", path);
    int failed = 0;
    while (!failed && !feof(file)) {
        pb_buffer_reserve(text, BUFSIZ);
        text->size += fread(text->data + text->size, 1, BUFSIZ, file);
        if (ferror(file))
            failed = pb_error_errno(error, errno, "%s", path);
        else if (text->size > most)
            failed = pb_error_set(error, PB_ERROR_USAGE, "%s: longer than %zu bytes", path, most);
    }
    fclose(file);
    return failed;
}

/* The caller owns *ret_credentials. */
static int read_credentials(const char *path, json_t **ret_credentials, pb_error *error)
{
    pb_buffer text = {0};
    json_t *credentials = NULL;
    int failed = read_file(path, CREDENTIALS_BYTES_MAX, &text, error);
    if (failed && error->kind == PB_ERROR_NOT_FOUND)
        error->kind = PB_ERROR_USAGE;
    if (!failed)
        failed = pb_yaml_parse(pb_buffer_slice(&text), path, &credentials, error) ||
                 pb_edits_check_credentials(credentials, path, error);
    pb_buffer_wipe(&text);
    if (failed)
        json_decref(credentials);
    else
        *ret_credentials = credentials;
    return failed ? -1 : 0;
}

/* Options go before the file. */
static int take_edits(pb_options *options, pb_edits *edits, pb_error *error)
{
    *edits = (pb_edits){
        .bucket = options->bucket,
        .cloudsql_instance = options->cloudsql_instance,
        .database_host = options->pachd_database_host,
        .image_registry = options->image_registry,
        .gcp_service_account = edit_list(&options->gcp_service_account),
        .aws_role = edit_list(&options->aws_role),
        .azure_client = edit_list(&options->azure_client),
        .drop_service_account_secrets = options->drop_service_account_secrets,
        .keep_paused = options->keep_paused,
    };
    if (!options->edits)
        return 0;
    pb_buffer text = {0};
    int failed = read_file(options->edits, EDITS_BYTES_MAX, &text, error);
    if (failed && error->kind == PB_ERROR_NOT_FOUND)
        error->kind = PB_ERROR_USAGE;
    if (!failed)
        failed =
            pb_edits_read(pb_buffer_slice(&text), options->edits, &options->arena, edits, error);
    pb_buffer_free(&text);
    return failed;
}

/* ---- backup, restore ---- */

static int refuse_prefix(const pb_options *options, pb_error *error)
{
    if (!options->prefix || !options->prefix[0])
        return 0;
    pb_error_set(error, PB_ERROR_USAGE,
                 "--prefix is not for a whole cluster: a database needs all of its objects");
    return pb_error_hint(error,
                         "leave it out; for a part of a bucket alone name both URLs, without "
                         "--namespace");
}

int pb_cluster_command_backup(pb_invocation *self, pb_error *error)
{
    const pb_options *options = &self->options;
    const pb_cluster_options cluster = cluster_options(options);
    pb_backup_result result;
    const pb_backup_options wanted = {
        .source = options->source,
        .repository = options->repository,
        .checksum = options->checksum,
        .take_over = options->take_over,
        .no_wait = options->no_wait,
        .exclusive = options->exclusive,
        .full = options->full,
        .allow_empty = options->allow_empty,
        .allow_gone = options->allow_gone,
    };
    if (refuse_prefix(options, error))
        return -1;
    int failed = pb_cluster_backup(self->session, &wanted, &cluster, (unsigned)options->passes,
                                   &result, error);
    pb_invocation_result(self, &pb_backup_fields, &result, !failed);
    pb_backup_result_free(&result);
    return failed;
}

int pb_cluster_command_restore(pb_invocation *self, pb_error *error)
{
    pb_options *options = &self->options;
    const pb_cluster_options cluster = cluster_options(options);
    pb_restore_result result;
    const pb_restore_options wanted = {
        .repository = options->repository,
        .destination = options->destination,
        .which = {.snapshot = options->snapshot,
                  .source = options->of_source,
                  .name_space = options->name_space,
                  .restores_cluster = true},
        .prefix = options->prefix,
        .overwrite = options->overwrite,
    };
    pb_cluster_restore_options more = {
        .allow_live_bucket = options->allow_live_bucket,
        .allow_existing = options->allow_existing,
        .overwrite_database = options->overwrite_database,
        .allow_privileged = options->allow_privileged,
        .address = options->address,
        .context = options->cluster,
    };
    json_t *credentials = NULL;
    if (refuse_prefix(options, error) || take_edits(options, &more.edits, error) ||
        (options->bucket_credentials &&
         read_credentials(options->bucket_credentials, &credentials, error)))
        return -1;
    more.edits.credentials = credentials;
    int failed = pb_cluster_restore(self->session, &wanted, &cluster, &more, &result, error);
    pb_invocation_result(self, &pb_restore_fields, &result,
                         !failed || result.failed_objects || result.differing_objects);
    pb_restore_result_free(&result);
    json_decref(credentials);
    return failed;
}

/* ---- suspend, resume ---- */

static void append_workloads(pb_buffer *buffer, const pb_workloads *workloads)
{
    for (size_t i = 0; i < workloads->count; i++)
        pb_buffer_append_format(buffer, "%-24s%s, was %llu\n", workloads->items[i].kind,
                                workloads->items[i].name,
                                (unsigned long long)workloads->items[i].replicas);
}

int pb_cluster_command_suspend(pb_invocation *self, pb_error *error)
{
    const pb_cluster_options cluster = cluster_options(&self->options);
    pb_suspension suspension;
    int failed = pb_cluster_suspend(self->session, &cluster, &suspension, error);
    if (!failed) {
        append_workloads(&self->scratch, &suspension.workloads);
        pb_buffer_append_text(&self->scratch, "suspended; `pbcopy resume` brings them back\n");
        pb_invocation_summary(self);
    }
    if (!failed && self->output.document)
        json_object_set_new(self->output.document, "workloads",
                            pb_workloads_json(&suspension.workloads));
    pb_suspension_free(&suspension);
    return failed;
}

int pb_cluster_command_resume(pb_invocation *self, pb_error *error)
{
    const pb_cluster_options cluster = cluster_options(&self->options);
    bool undone;
    if (pb_cluster_recover(self->session, &cluster, self->options.repository, &undone, error))
        return -1;
    pb_buffer_append_text(&self->scratch,
                          undone ? "resumed\n" : "nothing is suspended by pbcopy\n");
    pb_invocation_summary(self);
    if (self->output.document)
        json_object_set_new(self->output.document, "resumed", json_boolean(undone));
    return 0;
}

/* ---- doctor, init ---- */

typedef struct examination {
    pb_invocation *owner;
    json_t *checks;
} examination;

static void on_check(void *context, const pb_check *check)
{
    examination *all = context;
    pb_buffer *text = &all->owner->scratch;
    pb_buffer_clear(text);
    pb_buffer_append_format(text, "%-8s%s: %s\n", check->failed ? "WRONG" : "ok", check->name,
                            check->text);
    if (check->hint[0])
        pb_buffer_append_format(text, "%-8sHINT: %s\n", "", check->hint);
    if (check->failed || !all->owner->options.quiet)
        pb_output_text(&all->owner->output, pb_buffer_slice(text));
    json_t *object = json_object();
    json_object_set_new(object, "name", pb_json_of_text(check->name));
    json_object_set_new(object, "ok", json_boolean(!check->failed));
    json_object_set_new(object, "text", pb_json_of_text(check->text));
    json_object_set_new(object, "hint", pb_json_of_text(check->hint[0] ? check->hint : NULL));
    json_array_append_new(all->checks, object);
}

int pb_cluster_command_doctor(pb_invocation *self, pb_error *error)
{
    const pb_cluster_options cluster = cluster_options(&self->options);
    const pb_doctor_options wanted = {
        .source = self->options.source,
        .repository = self->options.repository,
        .cluster = &cluster,
    };
    examination all = {.owner = self, .checks = json_array()};
    int failed = pb_doctor(self->session, &wanted, on_check, &all, error);
    pb_progress_end(&self->progress);
    if (self->output.document)
        json_object_set(self->output.document, "checks", all.checks);
    json_decref(all.checks);
    return failed;
}

/* A file that is there is somebody's work. */
static int write_new_file(const char *path, pb_slice text, pb_error *error)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 && errno == EEXIST) {
        pb_error_set(error, PB_ERROR_EXISTS, "%s is there already", path);
        return pb_error_hint(error, "move it away, or name another one with --config");
    }
    if (file < 0)
        return pb_error_errno(error, errno, "%s", path);
    int failed = 0;
    for (size_t done = 0; done < text.size && !failed;) {
        ssize_t size = write(file, text.data + done, text.size - done);
        if (size < 0 && errno != EINTR)
            failed = pb_error_errno(error, errno, "%s", path);
        else if (size > 0)
            done += (size_t)size;
    }
    if (close(file) && !failed)
        failed = pb_error_errno(error, errno, "%s", path);
    if (failed)
        unlink(path);
    return failed;
}

int pb_cluster_command_init(pb_invocation *self, pb_error *error)
{
    const pb_cluster_options cluster = cluster_options(&self->options);
    const char *path = self->options.config ? self->options.config : "pbcopy.yaml";
    pb_buffer yaml = {0};
    if (!self->options.from_cluster) {
        pb_error_set(error, PB_ERROR_USAGE, "init: --from-cluster is missing");
        return pb_error_hint(error, "`pbcopy init --from-cluster --namespace NAMESPACE` writes a "
                                    "configuration from what it finds there");
    }
    int failed = pb_init_from_cluster(self->session, &cluster, &yaml, error) ||
                 write_new_file(path, pb_buffer_slice(&yaml), error);
    pb_buffer_free(&yaml);
    if (failed)
        return -1;
    pb_buffer_append_format(&self->scratch,
                            "wrote %s: fill in what says FILL-IN, then run `pbcopy "
                            "doctor`\n",
                            path);
    pb_invocation_summary(self);
    if (self->output.document)
        json_object_set_new(self->output.document, "config", pb_json_of_text(path));
    return 0;
}

/* ---- connect ---- */

int pb_cluster_command_connect(pb_invocation *self, pb_error *error)
{
    const pb_options *options = &self->options;
    char *path;
    if (!options->address || !options->cluster) {
        pb_error_set(error, PB_ERROR_USAGE, "connect: %s is missing",
                     options->address ? "--cluster NAME" : "--address HOST");
        return pb_error_hint(error, "pbcopy connect --address 203.0.113.7:30650 --cluster prod");
    }
    if (pb_pachctl_connect(pb_session_loop(self->session), options->cluster, options->address,
                           &path, error))
        return -1;
    pb_buffer_append_format(&self->scratch, "pachctl's context is now %s: %s\n", options->cluster,
                            path);
    pb_invocation_summary(self);
    if (self->output.document)
        json_object_set_new(self->output.document, "path", pb_json_of_text(path));
    free(path);
    return 0;
}
