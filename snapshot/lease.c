#include "snapshot/lease.h"

#include "base/clock.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CLOSED_BY "this run's attempt was closed by %s, which goes on with what it copied"

enum { TICK_MS = 1000, HTTP_PARALLEL = 2, RELEASE_MS = 5 * 1000 };

static void append_key(pb_buffer *key, const char *source_id)
{
    pb_layout_source_file(key, source_id, "run.json");
}

/* ---- by the main thread ---- */

/* Fills all but `there`. */
static int look_at(pb_slice text, pb_lease_seen *ret_seen, pb_error *error)
{
    pb_error wrong = {0};
    pb_sha256(text.data, text.size, ret_seen->digest);
    ret_seen->readable = !pb_run_file_parse(text, &ret_seen->file, &wrong);
    if (ret_seen->readable || wrong.kind != PB_ERROR_USAGE)
        return 0;
    *error = wrong;
    return -1;
}

int pb_lease_read(pb_repository *repository, const char *source_id, pb_lease_seen *ret_seen,
                  pb_error *error)
{
    pb_buffer key = {0}, text = {0};
    pb_error wrong = {0};
    *ret_seen = (pb_lease_seen){0};
    append_key(&key, source_id);
    int failed = pb_store_read(repository->store, pb_buffer_slice(&key), PB_SMALL_FILE_BYTES_MAX,
                               &text, &wrong);
    if (!failed || wrong.kind == PB_ERROR_DAMAGED) { /* DAMAGED: far too long to be one */
        ret_seen->there = true;
        failed = look_at(failed ? (pb_slice){NULL, 0} : pb_buffer_slice(&text), ret_seen, &wrong);
    } else if (wrong.kind == PB_ERROR_NOT_FOUND) {
        failed = 0;
    }
    if (failed) {
        *error = wrong;
        pb_error_context(error, "the lease %s", key.data);
    }
    pb_buffer_free(&key);
    pb_buffer_free(&text);
    return failed;
}

void pb_lease_seen_free(pb_lease_seen *seen)
{
    pb_run_file_free(&seen->file);
    *seen = (pb_lease_seen){0};
}

int pb_lease_write(pb_repository *repository, const char *source_id, const pb_run_file *file,
                   bool create_only, pb_error *error)
{
    pb_buffer key = {0}, text = {0};
    append_key(&key, source_id);
    pb_run_file_append(&text, file);
    int failed = pb_store_write(repository->store, pb_buffer_slice(&key), pb_buffer_slice(&text),
                                create_only, error);
    pb_buffer_free(&key);
    pb_buffer_free(&text);
    return failed;
}

static bool is_of(const pb_run_file *file, const char *run, const char *run_before)
{
    return strcmp(file->run, run) == 0 || (run_before[0] && strcmp(file->run, run_before) == 0);
}

/* ---- the thread ---- */

struct pb_lease {
    pb_http_options http_options;
    pb_store_config *config;
    char source_id[PB_SOURCE_ID_SIZE];
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    /* The thread's own: */
    pb_http *http;
    pb_store *store;
    uv_timer_t timer;
    pb_store_request request;
    pb_store_read_request read;
    pb_buffer key, other_key, text;
    pb_slice key_slice;
    char other[400];      /* whom the lease was found to name */
    bool busy, over;      /* nothing more is to be done */
    int64_t begun_ms;     /* by CLOCK_BOOTTIME: the last look at it */
    int64_t ending_ms;    /* since when it is ending; 0: it is not */
    pthread_mutex_t lock; /* of what follows */
    pb_run_file file;
    char run_before[PB_SNAPSHOT_ID_SIZE]; /* the lease may still name this one */
    bool renamed, ending, releases, lost;
    pb_error error;
};

static void lose(pb_lease *lease, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void lose(pb_lease *lease, const char *format, ...)
{
    char text[sizeof lease->error.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&lease->lock);
    if (!lease->lost) {
        lease->lost = true;
        pb_error_set(&lease->error, PB_ERROR_BUSY, "%s", text);
        pb_error_hint(&lease->error, "what was copied stays: the next backup of this source goes "
                                     "on with it");
    }
    pthread_mutex_unlock(&lease->lock);
}

static void read_key(pb_lease *lease, pb_slice key, void (*done)(pb_store_request *request))
{
    pb_buffer_clear(&lease->text);
    pb_store_read_prepare(&lease->read, key, PB_SMALL_FILE_BYTES_MAX, &lease->text);
    lease->read.request.done = done;
    lease->read.request.context = lease;
    pb_store_submit(lease->store, &lease->read.request);
}

/* Where this run commits, and another one that closes it writes its note. */
static void read_commit_key(pb_lease *lease, void (*done)(pb_store_request *request))
{
    pb_buffer_clear(&lease->other_key);
    pthread_mutex_lock(&lease->lock);
    pb_layout_snapshot_file(&lease->other_key, pb_slice_of(lease->file.run), "snapshot.json");
    pthread_mutex_unlock(&lease->lock);
    read_key(lease, pb_buffer_slice(&lease->other_key), done);
}

/* The commit key of this run, after a write that came late. */
static void on_late_read(pb_store_request *request)
{
    pb_lease *lease = request->context;
    char by[PB_CLOSED_BY_SIZE];
    lease->busy = false;
    if (!request->error.kind && pb_closing_note_parse(pb_buffer_slice(&lease->text), by))
        lose(lease, CLOSED_BY, by);
}

/* A write that came so late may have replaced the lease of a run that took over meanwhile, and
 * closed this one. */
static void on_written(pb_store_request *request)
{
    pb_lease *lease = request->context;
    lease->busy = !lease->ending_ms && pb_clock_boottime_ms() - lease->begun_ms >= PB_LEASE_DEAD_MS;
    if (lease->busy)
        read_commit_key(lease, on_late_read);
}

static void on_released(pb_store_request *request)
{
    pb_lease *lease = request->context;
    lease->busy = false;
    lease->over = true;
    uv_async_send(&lease->wake);
}

static void write_file(pb_lease *lease, bool create_only, void (*done)(pb_store_request *request))
{
    pb_buffer_clear(&lease->text);
    pthread_mutex_lock(&lease->lock);
    lease->file.counter++;
    lease->renamed = false;
    pb_run_file_append(&lease->text, &lease->file);
    pthread_mutex_unlock(&lease->lock);
    lease->request = (pb_store_request){
        .operation = PB_STORE_PUT,
        .key = pb_buffer_slice(&lease->key),
        .body = pb_buffer_slice(&lease->text),
        .create_only = create_only,
        .done = done,
        .context = lease,
    };
    pb_store_submit(lease->store, &lease->request);
}

/* Who may not delete says in the lease that it is over. */
static void on_deleted(pb_store_request *request)
{
    pb_lease *lease = request->context;
    if (!request->error.kind) {
        on_released(request);
        return;
    }
    pthread_mutex_lock(&lease->lock);
    lease->file.over = true;
    pthread_mutex_unlock(&lease->lock);
    write_file(lease, false, on_released);
}

static void release(pb_lease *lease)
{
    lease->key_slice = pb_buffer_slice(&lease->key);
    lease->request = (pb_store_request){
        .operation = PB_STORE_DELETE,
        .keys = &lease->key_slice,
        .key_count = 1,
        .done = on_deleted,
        .context = lease,
    };
    pb_store_submit(lease->store, &lease->request);
}

/* The commit key of whom the lease names was read. A note there says that this run, or another, has
 * closed it: it wrote the lease late, having been stopped for a while, and it can commit no more.
 */
static void on_other_read(pb_store_request *request)
{
    pb_lease *lease = request->context;
    pb_buffer_clear(&lease->other_key);
    bool transient = request->error.kind && request->error.kind != PB_ERROR_NOT_FOUND &&
                     request->error.kind != PB_ERROR_DAMAGED;
    if (transient) {
        lease->busy = false;
        lease->over = lease->ending_ms != 0;
    } else if (!request->error.kind && pb_closing_note_parse(pb_buffer_slice(&lease->text), NULL)) {
        if (lease->ending_ms)
            release(lease);
        else
            write_file(lease, false, on_written);
    } else {
        lease->busy = false;
        lose(lease, "%s has taken over this source", lease->other);
    }
}

/* Another's name is in the lease. */
static void look_at_other(pb_lease *lease, const pb_run_file *other)
{
    snprintf(lease->other, sizeof lease->other, "run %s, by %s, process %llu,", other->run,
             other->process.host, (unsigned long long)other->process.pid);
    pb_layout_snapshot_file(&lease->other_key, pb_slice_of(other->run), "snapshot.json");
    read_key(lease, pb_buffer_slice(&lease->other_key), on_other_read);
}

/* The lease is gone. Another run may have taken over and ended meanwhile: then it has closed this
 * attempt. Else somebody deleted it by hand. */
static void on_own_read(pb_store_request *request)
{
    pb_lease *lease = request->context;
    char by[PB_CLOSED_BY_SIZE];
    bool closed = !request->error.kind && pb_closing_note_parse(pb_buffer_slice(&lease->text), by);
    pb_buffer_clear(&lease->other_key);
    if (!closed && !lease->ending_ms) {
        write_file(lease, true, on_written);
        return;
    }
    lease->busy = false;
    if (closed)
        lose(lease, CLOSED_BY, by);
    lease->over |= lease->ending_ms != 0;
    uv_async_send(&lease->wake);
}

static void on_read(pb_store_request *request)
{
    pb_lease *lease = request->context;
    if (request->error.kind == PB_ERROR_NOT_FOUND) {
        read_commit_key(lease, on_own_read);
        return;
    }
    if (request->error.kind) {
        lease->busy = false;
        lease->over = lease->ending_ms != 0;
        uv_async_send(&lease->wake);
        return;
    }
    pb_run_file found = {0};
    pb_error error = {0};
    if (pb_run_file_parse(pb_buffer_slice(&lease->text), &found, &error)) {
        lease->busy = false;
        lose(lease, "the lease of this run was overwritten with something else: %s", error.message);
        return;
    }
    pthread_mutex_lock(&lease->lock);
    bool mine = is_of(&found, lease->file.run, lease->run_before);
    pthread_mutex_unlock(&lease->lock);
    if (!mine)
        look_at_other(lease, &found);
    else if (lease->ending_ms)
        release(lease);
    else
        write_file(lease, false, on_written);
    pb_run_file_free(&found);
}

static void read_first(pb_lease *lease)
{
    lease->busy = true;
    lease->begun_ms = pb_clock_boottime_ms();
    read_key(lease, pb_buffer_slice(&lease->key), on_read);
}

static void look(pb_lease *lease)
{
    int64_t now_ms = pb_clock_boottime_ms();
    pthread_mutex_lock(&lease->lock);
    bool ending = lease->ending, releases = lease->releases, lost = lease->lost;
    bool renamed = lease->renamed;
    pthread_mutex_unlock(&lease->lock);
    if (ending && !lease->ending_ms)
        lease->ending_ms = now_ms;
    if (lost || (ending && (!releases || now_ms - lease->ending_ms > RELEASE_MS))) {
        pb_http_cancel_all(lease->http);
        lease->over = true;
    }
    if (lease->over && ending && !lease->busy)
        uv_stop(&lease->loop);
    if (lease->over)
        return;
    if (!lease->busy && (ending || renamed || now_ms - lease->begun_ms >= PB_LEASE_RENEW_MS))
        read_first(lease);
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

static void on_wake(uv_async_t *async)
{
    look(async->data);
}

static void *run_thread(void *context)
{
    pb_lease *lease = context;
    pb_error error = {0};
    uv_timer_init(&lease->loop, &lease->timer);
    lease->timer.data = lease;
    if (pb_http_open(&lease->loop, &lease->http_options, &lease->http, &error) ||
        pb_store_open(lease->config, &lease->loop, lease->http, &lease->store, &error)) {
        lose(lease, "the lease cannot be renewed: %s", error.message);
    } else {
        uv_timer_start(&lease->timer, on_timer, TICK_MS, TICK_MS);
        uv_run(&lease->loop, UV_RUN_DEFAULT);
    }
    pb_store_close(lease->store);
    pb_http_close(lease->http);
    uv_close((uv_handle_t *)&lease->timer, NULL);
    uv_close((uv_handle_t *)&lease->wake, NULL);
    uv_run(&lease->loop, UV_RUN_DEFAULT);
    return NULL;
}

int pb_lease_start(pb_repository *repository, const char *source_id, const pb_run_file *file,
                   pb_lease **ret_lease, pb_error *error)
{
    pb_lease *lease = pb_allocate_zeroed(1, sizeof *lease);
    lease->http_options = pb_session_http_options(repository->session);
    lease->http_options.parallel = HTTP_PARALLEL;
    lease->config = repository->config;
    snprintf(lease->source_id, sizeof lease->source_id, "%s", source_id);
    append_key(&lease->key, source_id);
    pb_run_file_append(&lease->text, file);
    if (pb_run_file_parse(pb_buffer_slice(&lease->text), &lease->file, error))
        abort(); /* a copy by way of its text */
    lease->begun_ms = pb_clock_boottime_ms();
    pthread_mutex_init(&lease->lock, NULL);
    if (uv_loop_init(&lease->loop) || uv_async_init(&lease->loop, &lease->wake, on_wake))
        abort();
    lease->wake.data = lease;
    if (pthread_create(&lease->thread, NULL, run_thread, lease))
        abort(); /* out of threads: nothing could go on */
    *ret_lease = lease;
    return 0;
}

void pb_lease_rename(pb_lease *lease, const char *run)
{
    pthread_mutex_lock(&lease->lock);
    memcpy(lease->run_before, lease->file.run, sizeof lease->run_before);
    snprintf(lease->file.run, sizeof lease->file.run, "%s", run);
    lease->renamed = true;
    pthread_mutex_unlock(&lease->lock);
    uv_async_send(&lease->wake);
}

bool pb_lease_is_lost(pb_lease *lease, pb_error *error)
{
    pthread_mutex_lock(&lease->lock);
    bool lost = lease->lost;
    if (lost && error)
        *error = lease->error;
    pthread_mutex_unlock(&lease->lock);
    return lost;
}

bool pb_lease_stop(pb_lease *lease, bool releases, pb_error *error)
{
    if (!lease)
        return false;
    pthread_mutex_lock(&lease->lock);
    lease->ending = true;
    lease->releases = releases;
    pthread_mutex_unlock(&lease->lock);
    uv_async_send(&lease->wake);
    pthread_join(lease->thread, NULL);
    bool lost = pb_lease_is_lost(lease, error);
    if (uv_loop_close(&lease->loop))
        abort(); /* a handle was left open */
    pb_run_file_free(&lease->file);
    pb_buffer_free(&lease->key);
    pb_buffer_free(&lease->other_key);
    pb_buffer_free(&lease->text);
    pthread_mutex_destroy(&lease->lock);
    free(lease);
    return lost;
}
