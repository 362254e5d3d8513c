#include "snapshot/cluster_backup.h"

#include "base/clock.h"
#include "cluster/kubernetes/capture.h"
#include "snapshot/agreement.h"
#include "snapshot/artifact.h"
#include "snapshot/backup_ends.h"
#include "snapshot/cluster_side.h"
#include "snapshot/commit.h"
#include "snapshot/pass.h"
#include "snapshot/rehearsal.h"
#include "snapshot/run.h"
#include "snapshot/window.h"
#include <stdio.h>
#include <stdlib.h>

enum { DUMPS_MAX = 2, TICK_MS = 200, PODS_STOP_EXPECTED_MS = 60 * 1000 };

/* Pachyderm's probes of its store's health, which come and go. */
#define PROBES_PREFIX "test/"

typedef struct cluster_backup {
    pb_session *session;
    const pb_backup_options *options;
    const pb_cluster_options *cluster;
    unsigned passes;
    pb_backup_result *result;
    pb_kubectl kubectl;
    pb_rehearsal rehearsal; /* and what it found: Pachyderm, its database and bucket */
    pb_backup_ends ends;
    pb_run_options wanted;
    pb_run run;
    pb_cluster_record *record;
    pb_buffer rights; /* of the namespace's accounts in the whole cluster: a line each */
    /* The window. */
    pb_suspension suspension;
    pb_chunk_sort *sort;
    pb_artifact_out *dumps[DUMPS_MAX];
    unsigned dump_count;
    pb_cluster_side side;
    int64_t waiting_since_ms; /* for dumps and capture, by the monotonic clock */
} cluster_backup;

/* ---- before anything is done ---- */

/* A failure is told when it is found: there may be more. */
static void on_check(void *context, const pb_check *check)
{
    const cluster_backup *self = context;
    pb_buffer text = {0};
    if (!check->failed) {
        pb_log_line(self->session->options.log, PB_LOG_INFO, "rehearsal: %s: %s", check->name,
                    check->text);
        return;
    }
    pb_buffer_append_format(&text, "rehearsal: %s failed: %s%s%s", check->name, check->text,
                            check->hint[0] ? "; " : "", check->hint);
    pb_session_tell(self->session, &(pb_event){.kind = PB_EVENT_NOTE, .text = text.data});
    pb_buffer_free(&text);
}

/* False where another run has the namespace: then nothing else is of interest. */
static bool undo(cluster_backup *self)
{
    bool undone;
    pb_error error = {0};
    if (self->session->options.dry_run)
        pb_rehearse_suspension(&self->rehearsal);
    else if (!self->rehearsal.lacks_cluster &&
             pb_cluster_undo(self->session, self->cluster, false, &undone, &error))
        pb_rehearsal_fail_cluster(&self->rehearsal, "suspension", &error);
    return error.kind != PB_ERROR_BUSY;
}

/* Whatever can be tried before the cluster is suspended. The repository is left to the run, which
 * writes its lease there and reads it back, unless there will be no run. */
static int rehearse(cluster_backup *self, pb_error *error)
{
    pb_rehearsal *rehearsal = &self->rehearsal;
    pb_session_phase(self->session, "rehearsing");
    pb_rehearse_machine(rehearsal);
    if (undo(self)) {
        pb_rehearse_cluster(rehearsal);
        pb_rehearse_database(rehearsal);
        pb_rehearse_source(rehearsal, self->options->source);
        if (rehearsal->failed)
            pb_rehearse_repository(rehearsal, self->options->repository);
    }
    if (rehearsal->pachyderm.paused)
        pb_session_note(self->session, "Pachyderm is paused (`pachctl enterprise pause`): the "
                                       "capture will say so, and a restore unpauses it");
    return pb_rehearsal_end(rehearsal, error);
}

/* What only the number of chunks tells: as many objects as the bucket has, at most. */
static int rehearse_room(cluster_backup *self, uint64_t chunks, pb_error *error)
{
    pb_rehearse_room(&self->rehearsal, chunks);
    return pb_rehearsal_end(&self->rehearsal, error);
}

static int open_ends(cluster_backup *self, pb_error *error)
{
    const pb_cluster_store *bucket = &self->rehearsal.bucket;
    return pb_backup_ends_open(self->session, bucket->url, NULL, self->options->repository,
                               bucket->has_keys ? &bucket->keys : NULL, &self->ends, error);
}

static int begin_run(cluster_backup *self, pb_error *error)
{
    self->wanted = (pb_run_options){
        .source = self->ends.source_identity,
        .prefix = "",
        .name_space = self->cluster->name_space,
        .full = self->options->full,
        .take_over = self->options->take_over,
        .no_wait = self->options->no_wait,
        .exclusive = self->options->exclusive,
    };
    int failed = pb_run_begin(&self->ends.repository, &self->wanted, &self->run, error);
    self->result->resumed = self->run.donor_count > 0;
    self->result->server_side = self->ends.server_side;
    return failed;
}

/* Before the window, as nothing of the window changes them. */
static int capture_rights(cluster_backup *self, pb_error *error)
{
    pb_error wrong = {0};
    size_t count;
    if (self->cluster->kubernetes != PB_KUBERNETES_NATIVE ||
        !pb_capture_rights(&self->kubectl, &self->rights, &count, &wrong))
        return 0;
    if (wrong.kind != PB_ERROR_REFUSED) {
        *error = wrong;
        return -1;
    }
    pb_session_note(self->session, "ClusterRoles and ClusterRoleBindings are not captured: there "
                                   "is no right to list them (deploy/rbac.yaml has it)");
    return 0;
}

/* ---- passes ---- */

static bool on_tick(void *context)
{
    cluster_backup *self = context;
    if (pb_run_is_lost(&self->run) || pb_suspension_is_lost(&self->suspension, NULL))
        return true;
    for (unsigned i = 0; i < self->dump_count; i++)
        if (pb_artifact_has_failed(self->dumps[i]))
            return true; /* no use in going on while the cluster is down */
    return false;
}

static int run_pass(cluster_backup *self, const char *phase, bool live, pb_snapshot_file *ret_file,
                    pb_error *error)
{
    const pb_pass pass = {
        .session = self->session,
        .run = &self->run,
        .source = self->ends.source_config,
        .repository = &self->ends.repository,
        .server_side = self->ends.server_side,
        .create_only = self->ends.repository.file.create_only,
        .checksum = self->options->checksum,
        .left_out = PB_SLICE_LITERAL(PROBES_PREFIX),
        .phase = phase,
        .live = live,
        .strict = true,
        .tick = on_tick,
        .context = self,
    };
    pb_pass_result passed;
    int ended = pb_pass_run(&pass, ret_file, &passed, error);
    if (pb_store_refuses_copy(self->ends.repository.config, PB_STORE_COPY))
        self->result->server_side = false;
    self->result->gone_objects = passed.gone_objects;
    self->result->failed_objects = passed.failed_objects;
    self->result->vanished_objects += passed.vanished_objects;
    self->result->resumed_objects += passed.resumed_objects;
    return ended;
}

static int check_losses(const cluster_backup *self, const pb_snapshot_file *file, pb_error *error)
{
    const pb_commit_terms terms = {
        .before = self->run.survey.before,
        .before_objects = self->run.survey.before_objects,
        .gone_objects = self->result->gone_objects,
        .allow_empty = self->options->allow_empty,
        .allow_gone = self->options->allow_gone,
    };
    return pb_commit_check(file, &terms, error);
}

/* Whatever is copied while the cluster lives need not be copied while it is down: each pass is an
 * attempt that ends as a donor of the next. */
static int copy_beforehand(cluster_backup *self, pb_error *error)
{
    for (unsigned i = 0; i < self->passes; i++) {
        pb_snapshot_file file = {0};
        int failed = run_pass(self, "copying beforehand", true, &file, error);
        if (!failed)
            failed = pb_run_next_attempt(&self->run, &file, true, error);
        pb_snapshot_file_free(&file);
        if (failed)
            return failed;
    }
    if (!self->passes)
        return rehearse_room(self, self->run.survey.before_objects, error);
    /* What would not be committed is no reason to suspend anything. */
    const pb_snapshot_file *copied = &self->run.donors[0].file;
    return check_losses(self, copied, error) || rehearse_room(self, copied->objects, error) ? -1
                                                                                            : 0;
}

/* ---- the window ---- */

static int on_recorded(void *context, const pb_suspension *suspension, pb_error *error)
{
    cluster_backup *self = context;
    json_decref(self->run.intent.suspension);
    self->run.intent.suspension = pb_suspension_json(suspension);
    return pb_run_write(&self->run, error);
}

static void on_waiting(void *context, const char *text)
{
    cluster_backup *self = context;
    pb_session_tell(self->session, &(pb_event){.kind = PB_EVENT_WAITING, .text = text});
}

static int suspend(cluster_backup *self, pb_error *error)
{
    const pb_suspend_options options = {
        .holder = self->run.intent.id,
        .wait_ms = self->cluster->wait_ms,
        .grace_s = self->cluster->grace_s,
        .recorded = on_recorded,
        .waiting = on_waiting,
        .context = self,
    };
    self->session->suspended_ms = pb_clock_monotonic_ms();
    self->record->suspended_ms = pb_clock_utc_ms();
    pb_session_phase(self->session, "suspending");
    int failed = pb_suspend(&self->kubectl, &options, &self->suspension, error);
    pb_cluster_note_suspended(self->session, self->cluster, &self->suspension);
    if (self->suspension.scaled_ms) /* until then the cluster lived */
        self->record->suspended_ms = self->suspension.scaled_ms;
    return failed;
}

static int start_dump(cluster_backup *self, pb_artifact_kind kind, const char *path,
                      const char *database, pb_chunk_sort *sort, pb_error *error)
{
    pb_artifact_out *out;
    if (pb_artifact_dump(&self->ends.repository, self->run.intent.id, path, kind,
                         &self->rehearsal.database.server, database, &self->cluster->sealing, sort,
                         &out, error))
        return -1;
    self->dumps[self->dump_count++] = out;
    return 0;
}

static int start_dumps(cluster_backup *self, pb_error *error)
{
    if (self->cluster->dump == PB_DUMP_NONE)
        return 0;
    if (pb_chunk_sort_start(&self->session->loop, pb_session_scratch(self->session), &self->sort,
                            error))
        return -1;
    if (self->cluster->dump == PB_DUMP_ALL)
        return start_dump(self, PB_ARTIFACT_DUMP_ALL, "database/all.sql",
                          self->rehearsal.pachyderm.database_name, self->sort, error);
    if (start_dump(self, PB_ARTIFACT_DUMP, "database/pachyderm.dump",
                   self->rehearsal.pachyderm.database_name, self->sort, error))
        return -1;
    const char *identity = self->rehearsal.database.identity;
    if (!identity[0] || strcmp(identity, self->rehearsal.pachyderm.database_name) == 0)
        return 0;
    return start_dump(self, PB_ARTIFACT_DUMP, "database/dex.dump", identity, NULL, error);
}

static void start_side(cluster_backup *self)
{
    self->side.kubectl = self->kubectl;
    self->side.kubernetes = self->cluster->kubernetes;
    self->side.workloads = &self->suspension.workloads;
    self->side.velero_namespace = self->cluster->velero_namespace;
    self->side.velero_name =
        self->record->velero_backup[0] ? strchr(self->record->velero_backup, '/') + 1 : "";
    self->side.wait_ms = self->cluster->wait_ms;
    pb_cluster_side_start(&self->side);
}

static void on_timer(uv_timer_t *timer)
{
    cluster_backup *self = timer->data;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < self->dump_count; i++)
        bytes += pb_artifact_bytes(self->dumps[i]);
    on_tick(self);
    pb_session_tell(self->session,
                    &(pb_event){.kind = PB_EVENT_PROGRESS,
                                .phase = "dumping and capturing",
                                .bytes = bytes,
                                .elapsed_ms = pb_clock_monotonic_ms() - self->waiting_since_ms});
}

/* Waits until the dumps are stored and the capture is made; `failed` says that it's no use. */
static void await_others(cluster_backup *self, bool failed)
{
    uv_timer_t timer;
    self->waiting_since_ms = pb_clock_monotonic_ms();
    uv_timer_init(&self->session->loop, &timer);
    timer.data = self;
    uv_timer_start(&timer, on_timer, TICK_MS, TICK_MS);
    pb_error cancelled = {0};
    pb_error_set(&cancelled, PB_ERROR_CANCELLED, "cancelled");
    bool told = false;
    for (;;) {
        bool over = true;
        for (unsigned i = 0; i < self->dump_count; i++) {
            over &= pb_artifact_is_over(self->dumps[i]);
            failed |= pb_artifact_has_failed(self->dumps[i]);
        }
        failed |= self->session->cancelled || pb_suspension_is_lost(&self->suspension, NULL);
        if (failed && !told)
            for (unsigned i = 0; i < self->dump_count; i++)
                if (!pb_artifact_is_over(self->dumps[i]))
                    pb_artifact_kill(self->dumps[i], &cancelled);
        told |= failed;
        if (over && (self->side.captured || failed))
            break;
        uv_run(&self->session->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&self->session->loop, UV_RUN_NOWAIT);
    if (failed)
        self->side.give_up = true;
    pb_cluster_side_end(&self->side);
}

/* The first error that is one of its own: a pass that was ended for a dump's failure says
 * CANCELLED. */
static void prefer(pb_error *error, const pb_error *other)
{
    if (other->kind &&
        (!error->kind || (error->kind == PB_ERROR_CANCELLED && other->kind != PB_ERROR_CANCELLED)))
        *error = *other;
}

static int end_dumps(cluster_backup *self, pb_error *error)
{
    for (unsigned i = 0; i < self->dump_count; i++) {
        pb_artifact artifact;
        pb_error wrong = {0};
        if (pb_artifact_end(self->dumps[i], &artifact, &wrong))
            prefer(error, &wrong);
        else
            *pb_cluster_record_add(self->record) = artifact;
    }
    self->dump_count = 0;
    return error->kind ? -1 : 0;
}

/* All at once, while nothing writes. */
static int work_in_window(cluster_backup *self, pb_error *error)
{
    pb_error wrong = {0};
    start_side(self);
    int failed = start_dumps(self, &wrong);
    if (!failed)
        failed = run_pass(self, "copying what is new", false, &self->result->snapshot, &wrong);
    if (!failed)
        pb_session_phase(self->session, "dumping and capturing");
    await_others(self, failed);
    end_dumps(self, &wrong);
    prefer(&wrong, &self->side.error);
    if (wrong.kind) {
        *error = wrong;
        return -1;
    }
    pb_session_phase(self->session, "looking for writers");
    return pb_suspension_check(&self->kubectl, &self->suspension, error);
}

/* Whatever was done is undone, and only then is an error told. */
static int resume(cluster_backup *self, pb_error *error)
{
    pb_error wrong = {0};
    if (self->suspension.holder &&
        pb_cluster_resume(self->session, self->cluster, &self->suspension, &wrong)) {
        if (error->kind)
            pb_session_note(self->session, "the backup failed: %s", error->message);
        *error = wrong;
        return -1;
    }
    self->record->resumed_ms = self->suspension.resumed_ms;
    self->session->suspended_ms = 0;
    json_decref(self->run.intent.suspension);
    self->run.intent.suspension = NULL;
    pb_run_write(&self->run, &wrong); /* whoever reads the intent finds it undone anyway */
    return 0;
}

static int window(cluster_backup *self, pb_error *error)
{
    pb_window window;
    pb_window_open(&window, self->session, self->cluster->name_space,
                   self->cluster->max_downtime_ms);
    int failed = suspend(self, error) || work_in_window(self, error);
    if (failed)
        pb_suspension_is_lost(&self->suspension, error); /* then that is why */
    failed = pb_window_close(&window, error) || failed;
    return resume(self, error) || failed ? -1 : 0;
}

/* ---- after it ---- */

static int store_objects(cluster_backup *self, const char *path, pb_artifact_kind kind,
                         const pb_buffer *objects, pb_error *error)
{
    pb_artifact_out *out;
    if (pb_artifact_capture(&self->ends.repository, self->run.intent.id, path, kind,
                            pb_buffer_slice(objects), &self->cluster->sealing, &out, error))
        return -1;
    return pb_artifact_end(out, pb_cluster_record_add(self->record), error);
}

static int store_capture(cluster_backup *self, pb_error *error)
{
    if (self->cluster->kubernetes != PB_KUBERNETES_NATIVE)
        return 0;
    pb_session_phase(self->session, "storing the capture");
    if (store_objects(self, "kubernetes/objects.ndjson", PB_ARTIFACT_OBJECTS, &self->side.objects,
                      error))
        return -1;
    return self->rights.size ? store_objects(self, "kubernetes/rights.ndjson", PB_ARTIFACT_RIGHTS,
                                             &self->rights, error)
                             : 0;
}

static int check_agreement(cluster_backup *self, pb_error *error)
{
    uint64_t missing;
    if (!self->sort)
        return 0;
    pb_chunk_sort_end(self->sort);
    if (pb_agreement_check(&self->ends.repository, &self->result->snapshot, self->sort,
                           &self->record->chunks_needed, &missing, error))
        return -1;
    if (!missing)
        return 0;
    pb_error_set(error, PB_ERROR_DAMAGED,
                 "the database needs %llu chunks that are not in the bucket: nothing was committed",
                 (unsigned long long)missing);
    return pb_error_hint(error,
                         "if nothing but pachd writes to this bucket, they are lost already; "
                         "`pachctl fsck` names the files");
}

static void fill_record(cluster_backup *self)
{
    static const char *const kinds[] = {
        [PB_KUBERNETES_NATIVE] = "native",
        [PB_KUBERNETES_VELERO] = "velero",
        [PB_KUBERNETES_NONE] = "none",
    };
    pb_cluster_record *record = self->record;
    record->name_space = pb_duplicate(pb_slice_of(self->cluster->name_space));
    record->pachyderm_version = pb_duplicate(pb_slice_of(self->rehearsal.pachyderm.version));
    record->database_name = pb_duplicate(pb_slice_of(
        self->cluster->dump == PB_DUMP_NONE ? "" : self->rehearsal.pachyderm.database_name));
    record->identity_database = pb_duplicate(
        pb_slice_of(self->rehearsal.database.identity ? self->rehearsal.database.identity : ""));
    record->database_version = pb_duplicate(pb_slice_of(self->rehearsal.database.version.text));
    record->kubernetes = pb_duplicate(pb_slice_of(kinds[self->cluster->kubernetes]));
    record->paused = self->rehearsal.pachyderm.paused;
    pb_buffer name = {0};
    if (self->cluster->kubernetes == PB_KUBERNETES_VELERO) {
        /* A run that is taken up makes another one. */
        char now[PB_TIME_TEXT_MAX];
        pb_time_format_basic(pb_clock_utc_ms(), now);
        pb_buffer_append_format(&name, "%s/pbcopy-%s-%s", self->cluster->velero_namespace,
                                self->run.intent.id, now);
        for (size_t i = 0; i < name.size; i++) /* a name of Kubernetes has no capitals */
            if (name.data[i] >= 'A' && name.data[i] <= 'Z')
                name.data[i] += 'a' - 'A';
    }
    record->velero_backup = pb_duplicate(pb_buffer_slice(&name));
    pb_buffer_free(&name);
}

static int commit(cluster_backup *self, pb_error *error)
{
    pb_snapshot_file *file = &self->result->snapshot;
    pb_workloads_append(&self->record->workloads, &self->suspension.workloads);
    file->committed_ms = pb_clock_utc_ms();
    file->cluster = self->record;
    if (pb_run_commit(&self->run, file, error)) {
        file->committed_ms = 0;
        return -1;
    }
    return 0;
}

/* ---- the whole ---- */

static int dry_run(cluster_backup *self, pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    if (run_pass(self, "comparing", true, &self->result->snapshot, error))
        return -1;
    if (check_losses(self, &self->result->snapshot, error) ||
        rehearse_room(self, self->result->snapshot.objects, error))
        return -1;
    const pb_cluster_record *last =
        self->run.survey.has_base ? self->run.survey.base.cluster : NULL;
    self->result->downtime_expected_ms =
        last ? last->resumed_ms - last->suspended_ms
             : PODS_STOP_EXPECTED_MS + pb_clock_monotonic_ms() - started_ms;
    return 0;
}

static int work(cluster_backup *self, pb_error *error)
{
    if (rehearse(self, error))
        return -1;
    pb_session_phase(self->session, "opening");
    if (open_ends(self, error) || begin_run(self, error))
        return -1;
    fill_record(self);
    if (self->session->options.dry_run)
        return dry_run(self, error);
    return capture_rights(self, error) || copy_beforehand(self, error) || window(self, error) ||
                   check_losses(self, &self->result->snapshot, error) ||
                   check_agreement(self, error) || store_capture(self, error) || commit(self, error)
               ? -1
               : 0;
}

int pb_cluster_backup(pb_session *session, const pb_backup_options *options,
                      const pb_cluster_options *cluster, unsigned passes,
                      pb_backup_result *ret_result, pb_error *error)
{
    int64_t started_ms = pb_clock_monotonic_ms();
    *ret_result = (pb_backup_result){0};
    cluster_backup self = {
        .session = session,
        .options = options,
        .cluster = cluster,
        .passes = passes,
        .result = ret_result,
        .kubectl = pb_cluster_kubectl(session, cluster),
        .record = pb_allocate_zeroed(1, sizeof *self.record),
    };
    self.rehearsal = (pb_rehearsal){
        .session = session,
        .cluster = cluster,
        .kubectl = self.kubectl,
        .each = on_check,
        .context = &self,
    };
    int ended = work(&self, error);
    if (!ret_result->snapshot.cluster && !ended)
        ret_result->snapshot.cluster = self.record; /* of a dry run */
    else if (!ret_result->snapshot.cluster) {
        pb_cluster_record_free(self.record);
        free(self.record);
    }
    pb_chunk_sort_free(self.sort);
    pb_suspension_free(&self.suspension);
    pb_buffer_free(&self.side.objects);
    pb_buffer_free(&self.rights);
    pb_run_end(&self.run, ended ? error : NULL);
    pb_backup_ends_close(&self.ends);
    pb_rehearsal_free(&self.rehearsal);
    session->suspended_ms = 0;
    ret_result->elapsed_ms = pb_clock_monotonic_ms() - started_ms;
    return ended;
}
