#include "snapshot/cluster_restore.h"

#include "base/clock.h"
#include "cluster/boundary/restore_policy.h"
#include "cluster/pachyderm/pachctl.h"
#include "snapshot/bucket_overlap.h"
#include "snapshot/cluster_plan.h"
#include "snapshot/restore_steps.h"
#include <stdlib.h>

/* ---- what is asked for ---- */

bool pb_restoring_takes_objects(const pb_restoring *self)
{
    return self->cluster->kubernetes != PB_KUBERNETES_NONE &&
           strcmp(self->record->kubernetes, "none") != 0;
}

bool pb_restoring_is_by_velero(const pb_restoring *self)
{
    return strcmp(self->record->kubernetes, "velero") == 0;
}

void pb_restoring_tell_waiting(void *session, const char *text)
{
    pb_session_tell(session, &(pb_event){.kind = PB_EVENT_WAITING, .text = text});
}

static int find_snapshot(pb_restoring *self, pb_error *error)
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
static int check_artifacts(const pb_restoring *self, pb_error *error)
{
    const pb_restore_policy policy = {
        .takes_databases = self->cluster->dump == PB_DUMP_DATABASES,
        .takes_server = self->cluster->dump == PB_DUMP_ALL,
        .takes_objects = pb_restoring_takes_objects(self),
        .has_identity = self->cluster->identity != NULL,
        .plaintext = self->cluster->plaintext,
    };
    if (pb_policy_check_record(&policy, self->record, error))
        return -1;
    for (size_t i = 0; i < self->record->artifact_count; i++) {
        const pb_artifact *artifact = &self->record->artifacts[i];
        bool used = pb_artifact_is_dump(artifact) ? self->cluster->dump != PB_DUMP_NONE
                                                  : pb_restoring_takes_objects(self);
        if (used && pb_cluster_identity_check(artifact, self->cluster->identity, error))
            return -1;
    }
    return 0;
}

/* ---- the whole ---- */

static void tell_plan(const pb_restoring *self)
{
    char *bucket = pb_bucket_identity(self->edits.bucket);
    const pb_cluster_plan plan = {
        .file = &self->file,
        .cluster = self->cluster,
        .server = &self->server,
        .destination = self->options->destination,
        .bucket = bucket ? bucket : "what --bucket names",
        .name_space = self->edits.name_space,
        .address = self->wanted->address,
        .overwrites_database = self->wanted->overwrite_database,
        .takes_kubernetes = pb_restoring_takes_objects(self),
        .objects = self->objects,
        .left_out = self->left_out,
        .kinds = self->kinds,
        .first = self->first,
        .rights = self->rights,
        .applies_rights = self->wanted->allow_privileged,
        .suspended = self->suspends ? &self->there.writers : NULL,
    };
    pb_cluster_plan_tell(self->session, &plan, self->session->options.dry_run);
    free(bucket);
}

static int connect_pachctl(pb_restoring *self, pb_error *error)
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

/* Before anything else asks what it is. */
static int check_named_bucket(const char *url, pb_error *error)
{
    if (!pb_layout_is_azure(url))
        return 0;
    pb_error_set(error, PB_ERROR_USAGE,
                 "--bucket %.*s: Azure is not supported, and nothing was "
                 "restored into that container",
                 (int)strcspn(url, "?@"), url);
    return pb_error_hint(error, "name the bucket that DESTINATION is: s3:// or gs://");
}

/* The bucket as STORAGE_URL is to have it: without what is pbcopy's own business (profile=, and of
 * Google's the endpoint, an emulator's, that pachd knows no parameter for). */
static int name_bucket(pb_restoring *self, pb_error *error)
{
    pb_location location = {0};
    if (self->edits.bucket)
        return check_named_bucket(self->edits.bucket, error);
    if (pb_location_parse(self->options->destination, &location, error))
        return pb_error_context(error, "destination");
    pb_buffer *url = &self->bucket;
    if (location.kind == PB_STORE_FILE) {
        pb_buffer_append_format(url, "file://%s", location.bucket);
    } else {
        bool google = location.kind == PB_STORE_GCS;
        pb_buffer_append_format(url, "%s://%s", google ? "gs" : "s3", location.bucket);
        if (location.prefix[0])
            pb_buffer_append_format(url, "/%s", location.prefix);
        const char *sign = "?";
        if (location.endpoint && !google) {
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

static int check(pb_restoring *self, pb_error *error)
{
    pb_session_phase(self->session, "checking");
    return name_bucket(self, error) || find_snapshot(self, error) || check_artifacts(self, error) ||
                   pb_restoring_check_buckets(self, error) ||
                   pb_restoring_check_namespace(self, error) ||
                   pb_restoring_read_objects(self, error) ||
                   pb_restoring_check_databases(self, error) ||
                   pb_restoring_plan_suspension(self, error)
               ? -1
               : 0;
}

/* The bucket first, while a Pachyderm in the namespace still runs, unless the bucket is its own. */
static int restore_bucket(pb_restoring *self, pb_error *error)
{
    pb_restore_options objects = *self->options; /* of the same snapshot, whatever is newer now */
    objects.which.snapshot = self->file.id;
    bool early = self->bucket_relation != PB_BUCKETS_APART && !self->session->options.dry_run;
    if (early && pb_restoring_suspend(self, error))
        return -1;
    pb_choice_free(&self->result->choice);
    return pb_restore(self->session, &objects, self->result, error);
}

static int restore_kubernetes(pb_restoring *self, pb_error *error)
{
    if (!pb_restoring_takes_objects(self))
        return pb_restoring_end_suspension(self, true, error);
    return pb_restoring_is_by_velero(self) ? pb_restoring_restore_by_velero(self, error)
                                           : pb_restoring_restore_objects(self, error);
}

static int work(pb_restoring *self, pb_error *error)
{
    if (check(self, error))
        return -1;
    tell_plan(self);
    if (self->session->options.dry_run && pb_restoring_takes_objects(self) &&
        pb_restoring_is_by_velero(self))
        pb_session_note(self->session, "objects that Velero restores are edited after that: what "
                                       "changes is told then");
    if (restore_bucket(self, error))
        return -1;
    if (self->session->options.dry_run)
        return 0;
    return pb_restoring_suspend(self, error) || pb_restoring_make_rights(self, error) ||
                   pb_restoring_make_server(self, error) ||
                   pb_restoring_restore_databases(self, error) || restore_kubernetes(self, error) ||
                   connect_pachctl(self, error)
               ? -1
               : 0;
}

static void end(pb_restoring *self)
{
    pb_restoring_let_go(self);
    pb_pachyderm_free(&self->there);
    pb_pachyderm_free(&self->restored);
    if (self->password)
        pb_text_wipe(self->password);
    json_decref(self->first);
    json_decref(self->objects);
    json_decref(self->rights);
    json_decref(self->kinds);
    json_decref(self->left_out);
    pb_buffer_free(&self->bucket);
    pb_repository_close(&self->repository);
    pb_snapshot_file_free(&self->file);
}

int pb_cluster_restore(pb_session *session, const pb_restore_options *options,
                       const pb_cluster_options *cluster, const pb_cluster_restore_options *wanted,
                       pb_restore_result *ret_result, pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    *ret_result = (pb_restore_result){0};
    pb_restoring self = {
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
    if (ended)
        pb_restoring_give_up(&self, error);
    ret_result->helm_objects = self.helm_objects;
    end(&self);
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}
