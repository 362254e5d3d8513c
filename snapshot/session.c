#include "snapshot/job.h"

#include "base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { CONTROL_PARALLEL = 32 };

pb_http_options pb_session_http_options(const pb_session *session)
{
    const pb_session_options *options = &session->options;
    pb_http_options http = pb_http_options_default();
    http.ca_bundle = options->ca_bundle;
    http.log = options->log;
    if (options->stall_timeout_ms)
        http.stall_window_ms = options->stall_timeout_ms;
    if (options->patience_ms)
        http.patience_ms = options->patience_ms;
    http.outages = session->outages;
    return http;
}

/* /tmp is memory on many machines, and what is sorted may be gigabytes. */
const char *pb_session_scratch(const pb_session *session)
{
    const char *folder = getenv("TMPDIR");
    return session->options.scratch ? session->options.scratch
           : folder && folder[0]    ? folder
                                    : "/var/tmp";
}

static int check_scratch(const char *folder, pb_error *error)
{
    struct stat status;
    if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode))
        errno = ENOTDIR;
    else if (access(folder, W_OK | X_OK) == 0)
        return 0;
    pb_error_errno(error, errno, "the folder for temporary files %s", folder);
    error->kind = PB_ERROR_USAGE;
    return -1;
}

/* By doing it: rights alone do not tell of quotas, and root has them all. */
static int try_folder(const char *folder, uint64_t *ret_free_bytes)
{
    static const char bytes[64 * 1024];
    struct statvfs about;
    pb_buffer name = {0};
    pb_buffer_append_format(&name, "%s/pbcopy-XXXXXX", folder);
    int file = mkostemp(name.data, O_CLOEXEC), number = 0;
    if (file < 0) {
        number = errno;
    } else {
        unlink(name.data);
        ssize_t size = write(file, bytes, sizeof bytes);
        if (size != (ssize_t)sizeof bytes)
            number = size < 0 ? errno : ENOSPC;
        else if (fstatvfs(file, &about))
            number = errno;
        else
            *ret_free_bytes = (uint64_t)about.f_bavail * about.f_frsize;
        close(file);
    }
    pb_buffer_free(&name);
    return number;
}

int pb_session_check_scratch(const pb_session *session, uint64_t needed_bytes,
                             uint64_t *ret_free_bytes, pb_error *error)
{
    enum { MIB = 1024 * 1024 };
    const char *folder = pb_session_scratch(session);
    uint64_t free_bytes = 0;
    int number = try_folder(folder, &free_bytes);
    if (ret_free_bytes)
        *ret_free_bytes = free_bytes;
    if (!number && needed_bytes <= free_bytes)
        return 0;
    if (number) {
        pb_error_errno(error, number, "the folder for temporary files %s", folder);
        if (error->kind != PB_ERROR_NO_SPACE)
            error->kind = PB_ERROR_USAGE;
    } else {
        pb_error_set(error, PB_ERROR_NO_SPACE,
                     "the folder for temporary files %s has %llu MiB free, and about %llu MiB are "
                     "needed",
                     folder, (unsigned long long)(free_bytes / MIB),
                     (unsigned long long)((needed_bytes + MIB - 1) / MIB));
    }
    return pb_error_hint(error, "--scratch DIR, or TMPDIR, names another one");
}

int pb_session_open(const pb_session_options *options, pb_session **ret_session, pb_error *error)
{
    pb_session *session = pb_allocate_zeroed(1, sizeof *session);
    session->options = *options;
    if (options->scratch && check_scratch(options->scratch, error)) {
        free(session);
        return -1;
    }
    uv_loop_init(&session->loop);
    session->outages = pb_outages_new(options->log);
    pb_http_options http = pb_session_http_options(session);
    http.parallel = CONTROL_PARALLEL;
    if (pb_http_open(&session->loop, &http, &session->http, error)) {
        uv_loop_close(&session->loop);
        pb_outages_free(session->outages);
        free(session);
        return -1;
    }
    *ret_session = session;
    return 0;
}

pb_cluster_state pb_session_cluster_state(const pb_session *session)
{
    return session->cluster;
}

void pb_session_close(pb_session *session)
{
    if (!session)
        return;
    pb_http_close(session->http);
    uv_run(&session->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&session->loop))
        abort(); /* the caller left a handle open */
    pb_outages_free(session->outages);
    free(session);
}

uv_loop_t *pb_session_loop(pb_session *session)
{
    return &session->loop;
}

void pb_session_cancel(pb_session *session)
{
    session->cancelled = true;
    pb_http_cancel_all(session->http);
}

void pb_session_tell(pb_session *session, const pb_event *event)
{
    if (!session->options.event)
        return;
    pb_event told = *event;
    if (session->suspended_ms)
        told.down_ms = pb_clock_monotonic_ms() - session->suspended_ms + 1;
    session->options.event(session->options.context, &told);
}

void pb_session_phase(pb_session *session, const char *phase)
{
    pb_session_tell(session, &(pb_event){.kind = PB_EVENT_PHASE, .phase = phase});
}

void pb_session_note(pb_session *session, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pb_session_tell(session, &(pb_event){.kind = PB_EVENT_NOTE, .text = text});
}

static void on_slept(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void pb_session_sleep(pb_session *session, int64_t delay_ms)
{
    bool over = false;
    uv_timer_t timer = {.data = &over};
    uv_timer_init(&session->loop, &timer);
    uv_update_time(&session->loop);
    uv_timer_start(&timer, on_slept, (uint64_t)delay_ms, 0);
    while (!over && !session->cancelled)
        uv_run(&session->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&session->loop, UV_RUN_NOWAIT);
}

int pb_session_store(pb_session *session, const char *url, const char *role,
                     const pb_store_keys *keys, pb_store_config **ret_config, pb_store **ret_store,
                     pb_error *error)
{
    pb_location location = {0};
    pb_store_resolve_options options = {
        .role = role,
        .unsigned_payload = session->options.unsigned_payload,
        .keys = keys,
        .ca_bundle = session->options.ca_bundle,
        .log = session->options.log,
    };
    if (pb_location_parse(url, &location, error))
        return pb_error_context(error, "%s", role);
    int failed = pb_store_resolve(&location, &options, ret_config, error);
    pb_location_free(&location);
    if (failed)
        return -1;
    if (pb_store_open(*ret_config, &session->loop, session->http, ret_store, error)) {
        pb_store_config_free(*ret_config);
        *ret_config = NULL;
        return -1;
    }
    return 0;
}

int pb_session_check(pb_session *session, pb_store *store, const char *prefix, bool to_be_written,
                     pb_error *error)
{
    pb_store_request check = {
        .operation = PB_STORE_CHECK,
        .list.prefix = pb_slice_of(prefix),
        .make = to_be_written && !session->options.dry_run,
    };
    return pb_store_call(store, &check, error);
}

/* ---- jobs ---- */

struct pb_finding {
    struct pb_finding *next;
    const char *name;
    char *key, *text;
};

void pb_job_init(pb_job *job, pb_session *session)
{
    memset(job, 0, sizeof *job);
    job->session = session;
    job->findings_tail = &job->findings;
    pthread_mutex_init(&job->lock, NULL);
}

static void finding_free(struct pb_finding *finding)
{
    free(finding->key);
    free(finding->text);
    free(finding);
}

static void findings_free(struct pb_finding *finding)
{
    while (finding) {
        struct pb_finding *next = finding->next;
        finding_free(finding);
        finding = next;
    }
}

static void forget_ranges(pb_job *job)
{
    for (size_t i = 0; i < job->range_count; i++)
        pb_range_free(&job->ranges[i]);
    job->range_count = 0;
}

void pb_job_free(pb_job *job)
{
    forget_ranges(job);
    free(job->ranges);
    for (unsigned i = 0; i < job->listing_count; i++)
        pb_listing_free(job->listings[i]);
    findings_free(job->findings);
    findings_free(job->told);
    findings_free(job->told_before);
    pthread_mutex_destroy(&job->lock);
}

void pb_job_add_range(pb_job *job, pb_range range)
{
    /* Grown by doubling: the capacity is the next power of two. */
    if ((job->range_count & (job->range_count - 1)) == 0)
        job->ranges = pb_reallocate(job->ranges, (job->range_count ? job->range_count * 2 : 1) *
                                                     sizeof *job->ranges);
    job->ranges[job->range_count++] = range;
}

void pb_job_add_cuts(pb_job *job, const pb_range *whole, const pb_slice *cuts, size_t count)
{
    pb_slice after = pb_slice_of(whole->after), through = pb_slice_of(whole->through);
    for (size_t i = 0; i < count; i++) {
        if (pb_slice_compare(cuts[i], after) <= 0)
            continue;
        if (whole->through && pb_slice_compare(cuts[i], through) >= 0)
            break;
        pb_job_add_range(job, pb_range_copy(after, cuts[i], false));
        after = cuts[i];
    }
    pb_job_add_range(job, pb_range_copy(after, through, !whole->through));
}

void pb_job_finding(pb_job *job, const char *name, pb_slice key, const char *text)
{
    pthread_mutex_lock(&job->lock);
    job->finding_count++;
    if (job->findings_kept < PB_FINDINGS_MAX) {
        job->findings_kept++;
        struct pb_finding *finding = pb_allocate_zeroed(1, sizeof *finding);
        finding->name = name;
        finding->key = pb_duplicate(key);
        finding->text = pb_duplicate(pb_slice_of(text));
        *job->findings_tail = finding;
        job->findings_tail = &finding->next;
    }
    pthread_mutex_unlock(&job->lock);
}

/* Nobody may do what this run does, as far as it has come. */
static bool is_general(const pb_job *job)
{
    return pb_failure_is_general(&job->failures) &&
           !atomic_load_explicit(&job->some_passed, memory_order_relaxed);
}

int pb_job_failed(pb_job *job, const char *name, pb_slice key, const pb_error *why, pb_error *error)
{
    pb_job_finding(job, name, key, why->message);
    pthread_mutex_lock(&job->lock);
    pb_failure_count(&job->failures, why);
    bool ends = is_general(job);
    unsigned long long count = pb_failure_total(&job->failures);
    pthread_mutex_unlock(&job->lock);
    if (!ends)
        return 0;
    *error = *why;
    return pb_error_context(error, "all of the first %llu objects were refused, the last of them",
                            count);
}

int pb_job_fail(const pb_job *job, uint64_t failed, pb_error *error, const char *hint,
                const char *format, ...)
{
    char what[256], kinds[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    pb_failure_list(&job->failures, kinds, sizeof kinds);
    bool all = pb_failure_total(&job->failures) == failed;
    pb_error_kind kind = all ? pb_failure_kind_of(&job->failures) : PB_ERROR_FAILED;
    pb_error_set(error, kind ? kind : PB_ERROR_FAILED, "%s%s%s%s", what, kinds[0] ? " (" : "",
                 kinds, kinds[0] ? ")" : "");
    const char *found = job->failures.first.hint;
    return pb_error_hint(error, "%s", found[0] ? found : hint);
}

/* A finding that an earlier try reported is not reported again. */
static bool was_told(const pb_job *job, const struct pb_finding *finding)
{
    for (const struct pb_finding *told = job->told_before; told; told = told->next)
        if (strcmp(told->name, finding->name) == 0 && strcmp(told->key, finding->key) == 0)
            return true;
    return false;
}

static void tell_findings(pb_job *job)
{
    pthread_mutex_lock(&job->lock);
    struct pb_finding *finding = job->findings;
    job->findings = NULL;
    job->findings_tail = &job->findings;
    pthread_mutex_unlock(&job->lock);
    while (finding) {
        struct pb_finding *next = finding->next;
        if (!was_told(job, finding))
            pb_session_tell(job->session, &(pb_event){.kind = PB_EVENT_FINDING,
                                                      .finding = finding->name,
                                                      .key = finding->key,
                                                      .text = finding->text});
        finding->next = job->told;
        job->told = finding;
        finding = next;
    }
}

static void open_shard(void *context, pb_worker *worker, pb_shard *shard)
{
    pb_job *job = context;
    job->open(job->context, worker, shard);
}

/* Each once, of the first store that shows it. */
static void note_findings(pb_job *job)
{
    pb_session *session = job->session;
    for (unsigned i = 0; i < job->store_count; i++) {
        const pb_store_config *store = job->stores[i];
        const char *name = pb_store_config_name(store);
        pb_store_findings found = pb_store_findings_of(store);
        if (!session->relaying_noted && pb_store_refuses_copy(store, PB_STORE_MULTIPART_COPY)) {
            session->relaying_noted = true;
            pb_session_note(session,
                            "%s does not copy %s by itself: they pass through this machine", name,
                            found.refuses_copies ? "objects" : "large objects");
        }
        if (!session->opaque_noted && found.opaque_etags) {
            session->opaque_noted = true;
            pb_session_note(session,
                            "%s makes ETags that are no MD5s: digests that are computed here prove "
                            "the bytes, and nothing is copied inside the store",
                            name);
        }
        if (!session->own_object_noted && found.has_own_object) {
            session->own_object_noted = true;
            pb_session_note(session,
                            "%s has an object of just this key, which holds bytes: a folder has no "
                            "such object, and it is left out",
                            name);
        }
        if (!session->tags_noted && found.has_tags) {
            session->tags_noted = true;
            pb_session_note(session, "%s has objects with tags: tags are not copied", name);
        }
    }
}

bool pb_job_tick(void *context)
{
    pb_job *job = context;
    tell_findings(job);
    note_findings(job);
    pb_session_tell(
        job->session,
        &(pb_event){
            .kind = PB_EVENT_PROGRESS,
            .phase = job->phase,
            .keys = atomic_load_explicit(&job->counters.keys, memory_order_relaxed),
            .objects = atomic_load_explicit(&job->counters.objects, memory_order_relaxed),
            .bytes = atomic_load_explicit(&job->counters.bytes, memory_order_relaxed),
            .keys_total = job->keys_total,
            .elapsed_ms = pb_clock_monotonic_ms() - job->started_ms,
        });
    bool ends = job->tick && job->tick(job->context);
    return ends || job->session->cancelled;
}

/* ---- one try and another ---- */

/* Takes the ranges. */
static int run_engine(pb_job *job, void (*open)(void *context, pb_worker *worker, pb_shard *shard),
                      pb_range *ranges, size_t range_count, pb_error *error)
{
    const pb_session_options *session = &job->session->options;
    pb_engine_options options = {
        .loops = session->loops,
        .parallel = session->parallel,
        .shards_most = job->shards_most,
        .http = pb_session_http_options(job->session),
        .mover = pb_mover_options_default(),
        .store_count = job->store_count,
    };
    options.http.limit_bytes_per_s = (double)session->limit_bytes_per_s;
    options.http.limit_requests_per_s = (double)session->limit_requests_per_s;
    options.mover.memory_bytes = session->memory_bytes;
    for (unsigned i = 0; i < job->store_count; i++)
        options.stores[i] = job->stores[i];
    job->started_ms = pb_clock_monotonic_ms();
    pb_session_phase(job->session, job->phase);
    pb_engine_job engine_job = {.context = job, .open = open, .tick = pb_job_tick};
    int failed = pb_engine_run(&options, &engine_job, ranges, range_count, &job->session->loop,
                               &job->counters, &job->statistics, error);
    pb_job_tick(job);
    pb_log_line(
        session->log, PB_LOG_INFO,
        "%s: %u loops, %llu shards, %llu loans, %llu requests, %llu retries, %llu throttled, "
        "%llu hedged, %llu of %llu tickets given back, at most %llu bytes in buffers",
        job->phase, job->statistics.loops, (unsigned long long)job->statistics.shards,
        (unsigned long long)job->statistics.loans, (unsigned long long)job->statistics.requests,
        (unsigned long long)job->statistics.retries, (unsigned long long)job->statistics.throttled,
        (unsigned long long)job->statistics.hedges,
        (unsigned long long)job->statistics.tickets_given,
        (unsigned long long)job->statistics.tickets_taken,
        (unsigned long long)job->statistics.buffers_most_bytes);
    return failed;
}

int pb_job_look(pb_job *job, pb_listing *listing, void (*look)(void *context, const pb_entry *),
                void *look_context, pb_error *error)
{
    pb_range all = {0};
    job->look = (struct pb_look){listing, look, look_context};
    if (run_engine(job, pb_job_open_look, &all, 1, error) || pb_job_settle(job, listing, error))
        return -1;
    pb_listing_restart(listing);
    return 0;
}

static int try_once(pb_job *job, pb_error *error)
{
    if (pb_job_sort_listings(job, error))
        return -1;
    if (job->order_first && !pb_listing_is_sorted(job->order_first) &&
        pb_job_look(job, job->order_first, NULL, NULL, error))
        return -1;
    size_t count = job->range_count;
    job->range_count = 0;
    if (run_engine(job, open_shard, job->ranges, count, error))
        return -1;
    return pb_job_settle(job, NULL, error);
}

/* Marks the stores whose listings are in disorder to be sorted; forgets what this try found, but
 * what was found before. */
static int begin_again(pb_job *job, uint64_t found_before, const pb_failure_counts *failed_before,
                       pb_error *error)
{
    bool some = false;
    for (unsigned i = 0; i < job->listing_count; i++) {
        pb_listing *listing = job->listings[i];
        if (pb_listing_is_in_disorder(listing))
            some = job->sorted[pb_listing_store(listing)] = true;
        pb_listing_restart(listing);
    }
    if (!some)
        return -1;
    while (job->told) {
        struct pb_finding *finding = job->told;
        job->told = finding->next;
        finding->next = job->told_before;
        job->told_before = finding;
    }
    job->finding_count = found_before;
    job->findings_kept = 0;
    job->failures = *failed_before;
    forget_ranges(job);
    if (job->restart(job->context, error))
        return -1;
    atomic_store(&job->counters.keys, 0);
    atomic_store(&job->counters.objects, 0);
    atomic_store(&job->counters.bytes, 0);
    return 0;
}

int pb_job_run(pb_job *job, pb_error *error)
{
    const uint64_t found_before = job->finding_count;
    const pb_failure_counts failed_before = job->failures;
    for (;;) {
        pb_error wrong = {0};
        if (!try_once(job, &wrong))
            return 0;
        if (strcmp(wrong.code, PB_LISTING_DISORDER) != 0 ||
            begin_again(job, found_before, &failed_before, &wrong)) {
            *error = wrong;
            return -1;
        }
    }
}
