#include "snapshot/doctor.h"

#include "base/codec.h"
#include "base/yaml.h"
#include "snapshot/job.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int pb_doctor(pb_session *session, const pb_doctor_options *options,
              void (*each)(void *context, const pb_check *check), void *context, pb_error *error)
{
    pb_rehearsal rehearsal = {
        .session = session,
        .cluster = options->cluster,
        .kubectl = pb_cluster_kubectl(session, options->cluster),
        .each = each,
        .context = context,
        .advises = true,
    };
    rehearsal.kubectl.patience_ms = 0; /* a doctor says how it is now */
    pb_rehearse_machine(&rehearsal);
    if (options->cluster->name_space) {
        pb_rehearse_suspension(&rehearsal);
        pb_rehearse_cluster(&rehearsal);
    }
    pb_rehearse_database(&rehearsal);
    pb_rehearse_source(&rehearsal, options->source);
    pb_rehearse_repository(&rehearsal, options->repository);
    int failed = pb_rehearsal_end(&rehearsal, error);
    if (failed && error->kind != PB_ERROR_CANCELLED)
        pb_error_set(error, PB_ERROR_FAILED, "%u checks failed", rehearsal.failed);
    pb_rehearsal_free(&rehearsal);
    return failed;
}

/* ---- init ---- */

/* A line that nobody reads as YAML, whatever a cluster says of itself. */
static void append_comment(pb_buffer *yaml, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append_comment(pb_buffer *yaml, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pb_text_make_line(text);
    pb_buffer_append_format(yaml, "# %s\n", text);
}

static void append_line(pb_buffer *yaml, const char *name, const char *value)
{
    json_t *object = json_pack("{s:s}", name, value);
    pb_yaml_append(yaml, object);
    json_decref(object);
}

static void append_source(pb_buffer *yaml, const char *path)
{
    pb_buffer url = {0};
    pb_buffer_append_format(&url, "file://%s", path);
    append_line(yaml, "source", url.data);
    pb_buffer_free(&url);
}

/* Where the keys of the bucket come from. */
static void append_login(pb_buffer *yaml, const pb_pachyderm *found)
{
    pb_storage_provider provider;
    if (!pb_layout_after_scheme(found->storage_url, &provider) || provider == PB_STORAGE_FILE)
        return;
    const char *key =
        provider == PB_STORAGE_S3 ? found->storage_id_key : found->storage_credential_key;
    if (provider == PB_STORAGE_AZURE)
        append_comment(yaml, "pbcopy has no driver for Azure: this source cannot be backed up.");
    else if (key[0])
        append_comment(yaml, "Its keys are read from secret %s, key %s.", PB_STORAGE_SECRET, key);
    else
        append_comment(yaml,
                       "Secret %s has no keys for it (%s): pbcopy needs a login of its own, "
                       "docs/%s.",
                       PB_STORAGE_SECRET,
                       provider == PB_STORAGE_S3 ? "a role" : "workload identity",
                       provider == PB_STORAGE_S3 ? "eks.md" : "gke.md");
}

int pb_init_from_cluster(pb_session *session, const pb_cluster_options *cluster,
                         pb_buffer *ret_yaml, pb_error *error)
{
    pb_kubectl kubectl = pb_cluster_kubectl(session, cluster);
    pb_pachyderm found;
    if (pb_pachyderm_read(&kubectl, &found, error))
        return -1;
    append_comment(
        ret_yaml,
        "pbcopy.yaml for Pachyderm %s: `pbcopy doctor` checks it, `pbcopy backup` uses it.",
        found.version);
    append_line(ret_yaml, "namespace", cluster->name_space);
    if (cluster->context)
        append_line(ret_yaml, "kube-context", cluster->context);
    pb_buffer_append_char(ret_yaml, '\n');
    append_comment(ret_yaml,
                   "Where backups go: a bucket or prefix of its own, best in another region "
                   "and account.");
    /* Of the cluster's own provider: there objects are copied inside of the store. */
    append_line(ret_yaml, "repository",
                strncmp(found.storage_url, "gs://", 5) == 0 ||
                        strncmp(found.storage_url, "gcs://", 6) == 0
                    ? "gs://FILL-IN"
                    : "s3://FILL-IN");
    pb_buffer_append_char(ret_yaml, '\n');
    append_comment(ret_yaml, "Dumps and captures hold secrets: they are encrypted to this key "
                             "(age-keygen -o key.txt).");
    append_line(ret_yaml, "recipient", "age1FILL-IN");
    if (found.storage_url[0]) {
        pb_buffer_append_char(ret_yaml, '\n');
        append_comment(ret_yaml,
                       "What is backed up, as the cluster says (%s); say otherwise with "
                       "`source`:",
                       found.storage_in_secret ? "secret " PB_STORAGE_SECRET : "STORAGE_URL");
        append_comment(ret_yaml, "source: %s", found.storage_url);
        append_login(ret_yaml, &found);
    } else if (found.storage_path[0]) {
        pb_buffer_append_char(ret_yaml, '\n');
        append_comment(ret_yaml,
                       "What is backed up: Pachyderm has no bucket (STORAGE_BACKEND=%s), its data "
                       "lies in a directory of pachd's node (STORAGE_HOST_PATH). Run pbcopy where "
                       "that is; name where it is mounted:",
                       found.storage_backend);
        append_source(ret_yaml, found.storage_path);
    }
    pb_buffer_append_char(ret_yaml, '\n');
    append_comment(ret_yaml,
                   "The database, as the cluster says; from outside of it, forward a port and "
                   "name that:");
    append_comment(ret_yaml, "database-host: %s", found.database_host);
    append_comment(ret_yaml, "database-port: %llu", (unsigned long long)found.database_port);
    append_comment(ret_yaml, "Its databases: %s, and %s of logins%s.", found.database_name,
                   found.identity_database[0] ? found.identity_database : "one that is not known",
                   found.identity_database[0] ? "" : " (say identity-database: NAME)");
    if (found.password_secret[0])
        append_comment(ret_yaml, "Its password is read from secret %s, key %s.",
                       found.password_secret, found.password_key);
    pb_buffer_append_char(ret_yaml, '\n');
    append_comment(ret_yaml, "Suspended during a backup, in this order:");
    for (size_t i = 0; i < found.writers.count; i++)
        append_comment(ret_yaml, "  %s %s (%llu)", found.writers.items[i].kind,
                       found.writers.items[i].name,
                       (unsigned long long)found.writers.items[i].replicas);
    pb_buffer_append_text(ret_yaml, "\nparallel: 256\n");
    pb_pachyderm_free(&found);
    return 0;
}
