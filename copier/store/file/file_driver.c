/* The file driver: a directory as a bucket.
 *
 * Each request becomes a job that blocks on libuv's thread pool, at most UNDER_WAY_MAX at once; the
 * rest wait in order. A GET takes one turn on the pool for every chunk, so that what has been read
 * but not yet taken is one chunk a request. All else that jobs share belongs to the loop's thread.
 */
#include "base/clock.h"
#include "copier/store/driver.h"
#include "copier/store/file/file_listing.h"
#include "copier/store/file/file_multipart.h"
#include "copier/store/file/file_object.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    UNDER_WAY_MAX = 64,
    CHUNK_BYTES = 1 << 20,
    WALKS_KEPT = 64,
    KEYS_MAX = 1000,
    TOKEN_ID_DIGITS = 16,
};

typedef struct file_settings {
    pb_file_tree tree;
    pb_file_names_cache *names;
} file_settings;

typedef struct file_job {
    uv_work_t work;
    pb_store *store;
    pb_store_request *request;
    struct file_job *next; /* in the queue */

    /* GET */
    int file; /* -1 before the first chunk and after the last */
    struct stat opened;
    uint64_t position;
    uint64_t left;
    char *chunk;
    size_t chunk_size;

    /* LIST */
    pb_file_walk *walk;
    uint64_t walk_id;

    /* MULTIPART_* */
    uint64_t slot_bytes;
    char upload_id[PB_FILE_UPLOAD_ID_MAX];
} file_job;

/* A walk between two pages. */
typedef struct kept_walk {
    uint64_t id;
    pb_file_walk *walk;
} kept_walk;

/* An upload begun here: the size of its first part decides how the others are laid out. */
typedef struct file_upload {
    struct file_upload *next;
    uint64_t slot_bytes; /* 0: no part yet */
    char id[PB_FILE_UPLOAD_ID_MAX];
} file_upload;

typedef struct file_state {
    unsigned under_way;
    file_job *waiting;
    file_job **waiting_end;
    kept_walk walks[WALKS_KEPT]; /* last used first */
    size_t walk_count;
    uint64_t walk_id_last;
    file_upload *uploads;
} file_state;

static file_settings *settings_of(const pb_store *store)
{
    return store->config->settings;
}

/* --- on the thread pool --- */

static void record_status(const pb_file_tree *tree, pb_store_request *request,
                          const struct stat *status)
{
    pb_file_etag(status, request->etag);
    request->size = (uint64_t)status->st_size;
    request->mtime_ms = pb_file_changed_ms(tree, status);
}

static void run_check(file_settings *settings, pb_store_request *request)
{
    if (request->make) {
        int root = pb_file_tree_root(&settings->tree, true, &request->error);
        if (root < 0)
            return;
        close(root);
    }
    if (pb_file_check(&settings->tree, &request->error) == 0)
        request->store_now_ms = pb_clock_utc_ms();
}

static void run_head(file_settings *settings, pb_store_request *request)
{
    struct stat status;
    int file = pb_file_object_open(&settings->tree, request->key, O_PATH, (pb_slice){0}, &status,
                                   &request->error);
    if (file < 0)
        return;
    close(file);
    record_status(&settings->tree, request, &status);
    request->store_now_ms = pb_clock_utc_ms();
}

static int open_range(file_settings *settings, file_job *job)
{
    pb_store_request *request = job->request;
    job->file = pb_file_object_open(&settings->tree, request->key, O_RDONLY, request->if_match,
                                    &job->opened, &request->error);
    if (job->file < 0)
        return -1;
    record_status(&settings->tree, request, &job->opened);
    if (request->offset && request->offset >= request->size)
        return pb_error_set(&request->error, PB_ERROR_FAILED,
                            "read \"%.*s\": from byte %" PRIu64 " of %" PRIu64,
                            PB_SLICE_FORMAT(request->key), request->offset, request->size);
    job->position = request->offset;
    job->left = request->size - request->offset;
    if (request->length && request->length < job->left)
        job->left = request->length;
    if (job->left > CHUNK_BYTES)
        posix_fadvise(job->file, (off_t)job->position, (off_t)job->left, POSIX_FADV_SEQUENTIAL);
    job->chunk = pb_allocate(job->left < CHUNK_BYTES ? (size_t)job->left : CHUNK_BYTES);
    return 0;
}

static int read_chunk(file_settings *settings, file_job *job)
{
    pb_store_request *request = job->request;
    size_t wanted = job->left < CHUNK_BYTES ? (size_t)job->left : CHUNK_BYTES;
    job->chunk_size = 0;
    while (job->chunk_size < wanted) {
        ssize_t got = pread(job->file, job->chunk + job->chunk_size, wanted - job->chunk_size,
                            (off_t)(job->position + job->chunk_size));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int failure = errno;
            return pb_error_errno(&request->error, failure, "read %s/%.*s", settings->tree.root,
                                  PB_SLICE_FORMAT(request->key));
        }
        if (got == 0)
            break;
        job->chunk_size += (size_t)got;
    }
    bool is_cut = job->chunk_size < wanted;
    job->position += job->chunk_size;
    job->left -= job->chunk_size;
    if ((is_cut || job->left == 0) &&
        pb_file_object_unchanged(&settings->tree, request->key, job->file, &job->opened,
                                 &request->error))
        return -1;
    if (is_cut)
        return pb_error_set(&request->error, PB_ERROR_FAILED, "read %s/%.*s: ended early",
                            settings->tree.root, PB_SLICE_FORMAT(request->key));
    return 0;
}

static void run_get(file_settings *settings, file_job *job)
{
    int result = job->chunk ? 0 : open_range(settings, job);
    if (result == 0)
        result = read_chunk(settings, job);
    if (job->file >= 0 && (result || job->left == 0)) {
        close(job->file);
        job->file = -1;
    }
}

static void run_list(file_job *job)
{
    pb_store_request *request = job->request;
    unsigned keys_max = request->list.keys_max;
    if (keys_max == 0 || keys_max > KEYS_MAX)
        keys_max = KEYS_MAX;
    request->page = pb_page_new();
    if (pb_file_walk_page(job->walk, keys_max, request->page, &request->error)) {
        pb_page_release(request->page);
        request->page = NULL;
    }
}

static void run(uv_work_t *work)
{
    file_job *job = work->data;
    pb_store_request *request = job->request;
    file_settings *settings = settings_of(job->store);
    pb_file_tree *tree = &settings->tree;
    const pb_file_tree *source = request->source ? &settings_of(request->source)->tree : NULL;
    struct stat status;
    switch (request->operation) {
    case PB_STORE_CHECK:
        run_check(settings, request);
        break;
    case PB_STORE_LIST:
        run_list(job);
        break;
    case PB_STORE_HEAD:
        run_head(settings, request);
        break;
    case PB_STORE_GET:
        run_get(settings, job);
        break;
    case PB_STORE_PUT:
        if (pb_file_object_put(tree, request->key, request->body, request->create_only, &status,
                               &request->error) == 0)
            pb_file_etag(&status, request->etag);
        break;
    case PB_STORE_COPY:
        if (pb_file_object_copy(tree, request->key, source, request->source_key, request->if_match,
                                request->create_only, &status, &request->error) == 0)
            pb_file_etag(&status, request->etag);
        break;
    case PB_STORE_DELETE:
        pb_file_object_delete(tree, request->keys, request->key_count, &request->error);
        break;
    case PB_STORE_MULTIPART_CREATE:
        pb_file_upload_create(tree, job->upload_id, &request->error);
        break;
    case PB_STORE_MULTIPART_PUT:
        pb_file_upload_put(tree, request->upload_id, request->part_number, job->slot_bytes,
                           request->body, request->etag, &request->error);
        break;
    case PB_STORE_MULTIPART_COPY:
        pb_file_upload_copy(tree, request->upload_id, request->part_number, job->slot_bytes, source,
                            request->source_key, request->offset, request->length,
                            request->if_match, request->etag, &request->error);
        break;
    case PB_STORE_MULTIPART_COMPLETE:
        if (pb_file_upload_complete(tree, request->key, request->upload_id, request->part_etags,
                                    request->part_count, request->create_only, &status,
                                    &request->error) == 0)
            pb_file_etag(&status, request->etag);
        break;
    case PB_STORE_MULTIPART_ABORT:
        pb_file_upload_abort(tree, request->upload_id, &request->error);
        break;
    case PB_STORE_MULTIPART_FIND:
        pb_error_set(&request->error, PB_ERROR_USAGE, "a directory does not list uploads");
        break;
    }
}

/* --- on the loop: listings that go on --- */

/* "<walk id><k or g><last key or group>". False where the token is not one of ours. */
static bool token_read(pb_slice token, uint64_t *ret_id, pb_file_walk_range *range)
{
    if (token.size <= TOKEN_ID_DIGITS)
        return false;
    char digits[TOKEN_ID_DIGITS + 1];
    memcpy(digits, token.data, TOKEN_ID_DIGITS);
    digits[TOKEN_ID_DIGITS] = '\0';
    *ret_id = strtoull(digits, NULL, 16);
    range->after_is_group = token.data[TOKEN_ID_DIGITS] == 'g';
    range->after = (pb_slice){token.data + TOKEN_ID_DIGITS + 1, token.size - TOKEN_ID_DIGITS - 1};
    return true;
}

static pb_slice token_write(pb_page *page, uint64_t id, const pb_file_walk_range *rest)
{
    pb_buffer token = {0};
    pb_buffer_append_format(&token, "%0*" PRIx64 "%c", TOKEN_ID_DIGITS, id,
                            rest->after_is_group ? 'g' : 'k');
    pb_buffer_append_slice(&token, rest->after);
    pb_slice kept = pb_arena_copy(&page->arena, pb_buffer_slice(&token));
    pb_buffer_free(&token);
    return kept;
}

static bool same_range(const pb_file_walk_range *a, const pb_file_walk_range *b)
{
    return a->grouped == b->grouped && a->after_is_group == b->after_is_group &&
           pb_slice_equal(a->prefix, b->prefix) && pb_slice_equal(a->after, b->after);
}

/* Takes up the walk that the token names, if it is still kept, or begins where the request says. */
static void begin_walk(file_state *state, file_job *job)
{
    const pb_store_request *request = job->request;
    file_settings *settings = settings_of(job->store);
    pb_file_walk_range range = {.prefix = request->list.prefix,
                                .after = request->list.after,
                                .grouped = request->list.delimiter != 0};
    uint64_t id = 0;
    if (token_read(request->list.token, &id, &range)) {
        for (size_t i = 0; i < state->walk_count && job->walk == NULL; i++) {
            kept_walk *kept = &state->walks[i];
            pb_file_walk_range rest = pb_file_walk_rest(kept->walk);
            if (kept->id != id || !same_range(&rest, &range))
                continue;
            job->walk = kept->walk;
            job->walk_id = id;
            state->walk_count--;
            memmove(kept, kept + 1, (state->walk_count - i) * sizeof(*kept));
        }
    }
    if (job->walk == NULL) {
        job->walk = pb_file_walk_new(&settings->tree, settings->names, &range);
        job->walk_id = ++state->walk_id_last;
    }
}

static void end_walk(file_state *state, file_job *job)
{
    pb_page *page = job->request->page;
    if (page == NULL || !page->more) {
        pb_file_walk_free(job->walk);
        return;
    }
    pb_file_walk_range rest = pb_file_walk_rest(job->walk);
    page->token = token_write(page, job->walk_id, &rest);
    if (state->walk_count == WALKS_KEPT)
        pb_file_walk_free(state->walks[--state->walk_count].walk);
    memmove(&state->walks[1], &state->walks[0], state->walk_count * sizeof(state->walks[0]));
    state->walks[0] = (kept_walk){job->walk_id, job->walk};
    state->walk_count++;
}

/* --- on the loop: uploads --- */

static file_upload **find_upload(file_state *state, pb_slice id)
{
    file_upload **at = &state->uploads;
    while (*at && !pb_slice_equal(pb_slice_of((*at)->id), id))
        at = &(*at)->next;
    return at;
}

/* Called in the order of submission, so that it is part 1 that decides. */
static void begin_part(file_state *state, file_job *job)
{
    const pb_store_request *request = job->request;
    file_upload *upload = *find_upload(state, request->upload_id);
    if (upload == NULL) /* another process began it: parts go into files of their own */
        return;
    if (upload->slot_bytes == 0)
        upload->slot_bytes =
            request->operation == PB_STORE_MULTIPART_PUT ? request->body.size : request->length;
    job->slot_bytes = upload->slot_bytes;
}

static void end_create(file_state *state, file_job *job)
{
    file_upload *begun = pb_allocate_zeroed(1, sizeof(*begun));
    memcpy(begun->id, job->upload_id, sizeof(begun->id));
    begun->next = state->uploads;
    state->uploads = begun;
    job->request->upload_id_new = pb_slice_of(job->upload_id);
}

static void end_upload(file_state *state, const file_job *job)
{
    file_upload **at = find_upload(state, job->request->upload_id);
    file_upload *ended = *at;
    if (ended) {
        *at = ended->next;
        free(ended);
    }
}

/* --- on the loop: jobs --- */

static void after_run(uv_work_t *work, int cancelled);

static void begin(file_job *job)
{
    file_state *state = job->store->state;
    state->under_way++;
    switch (job->request->operation) {
    case PB_STORE_LIST:
        begin_walk(state, job);
        break;
    case PB_STORE_MULTIPART_PUT:
    case PB_STORE_MULTIPART_COPY:
        begin_part(state, job);
        break;
    default:
        break;
    }
    uv_queue_work(job->store->loop, &job->work, run, after_run);
}

static void pump(file_state *state)
{
    while (state->waiting && state->under_way < UNDER_WAY_MAX) {
        file_job *job = state->waiting;
        state->waiting = job->next;
        if (state->waiting == NULL)
            state->waiting_end = &state->waiting;
        begin(job);
    }
}

/* Records what a job did. */
static void end(file_job *job)
{
    file_state *state = job->store->state;
    bool succeeded = job->request->error.kind == PB_ERROR_NONE;
    state->under_way--;
    switch (job->request->operation) {
    case PB_STORE_GET:
        if (job->file >= 0)
            close(job->file);
        free(job->chunk);
        break;
    case PB_STORE_LIST:
        end_walk(state, job);
        break;
    case PB_STORE_PUT:
    case PB_STORE_MULTIPART_PUT:
        job->request->body_checked = succeeded; /* nothing lies between */
        break;
    case PB_STORE_MULTIPART_CREATE:
        if (succeeded)
            end_create(state, job);
        break;
    case PB_STORE_MULTIPART_COMPLETE:
    case PB_STORE_MULTIPART_ABORT:
        if (succeeded)
            end_upload(state, job);
        break;
    default:
        break;
    }
}

/* Hands a chunk over. True where there is more to read. */
static bool hand_over(file_job *job)
{
    pb_store_request *request = job->request;
    if (request->operation != PB_STORE_GET || request->error.kind != PB_ERROR_NONE)
        return false;
    if (job->chunk_size &&
        request->received(request, job->chunk, job->chunk_size, &request->error)) {
        assert(request->error.kind != PB_ERROR_NONE);
        return false;
    }
    return job->left > 0;
}

static void after_run(uv_work_t *work, int cancelled)
{
    (void)cancelled; /* nobody cancels */
    file_job *job = work->data;
    if (hand_over(job)) {
        uv_queue_work(job->store->loop, &job->work, run, after_run);
        return;
    }
    pb_store_request *request = job->request;
    end(job);
    pump(job->store->state);
    /* The store may be closed in here. */
    request->done(request);
    free(job);
}

/* --- the driver --- */

static int file_resolve(pb_store_config *config, const pb_store_keys *keys, pb_error *error)
{
    (void)keys;
    const char *root = config->location.bucket;
    struct stat status;
    if (stat(root, &status) ? errno == ENOTDIR : !S_ISDIR(status.st_mode)) {
        pb_error_set(error, PB_ERROR_USAGE, "%s: not a directory", root);
        return pb_error_hint(error,
                             "a file:// location names the directory that holds the objects");
    }
    file_settings *settings = pb_allocate_zeroed(1, sizeof(*settings));
    pb_file_tree_init(&settings->tree, root);
    settings->tree.is_source = config->options.role && strcmp(config->options.role, "source") == 0;
    settings->names = pb_file_names_cache_new();
    config->settings = settings;
    return 0;
}

static void file_settings_free(void *memory)
{
    file_settings *settings = memory;
    if (settings == NULL)
        return;
    pb_file_names_cache_free(settings->names);
    pb_file_tree_free(&settings->tree);
    free(settings);
}

static int file_open(pb_store *store, pb_error *error)
{
    (void)error;
    file_state *state = pb_allocate_zeroed(1, sizeof(*state));
    state->waiting_end = &state->waiting;
    store->state = state;
    store->capabilities = (pb_store_capabilities){
        .multipart = true,
        .part_bytes_min = 1,
        .part_bytes_max = UINT64_C(5) << 30,
        .parts_max = 10000,
        .put_bytes_max = UINT64_C(5) << 30,
        .copy_bytes_max = UINT64_MAX / 2,
        .key_bytes_max = 1024,
        .delete_keys_max = 1000,
        .etag_is_md5 = false,
    };
    return 0;
}

static void file_close(pb_store *store)
{
    file_state *state = store->state;
    if (state == NULL)
        return;
    assert(state->under_way == 0 && state->waiting == NULL);
    while (state->walk_count)
        pb_file_walk_free(state->walks[--state->walk_count].walk);
    while (state->uploads) {
        file_upload *next = state->uploads->next;
        free(state->uploads);
        state->uploads = next;
    }
    free(state);
    store->state = NULL;
}

static bool file_copies_from(const pb_store *destination, const pb_store *source)
{
    return destination->config->driver == &pb_store_file_driver &&
           source->config->driver == &pb_store_file_driver;
}

static void file_submit(pb_store *store, pb_store_request *request)
{
    file_state *state = store->state;
    file_job *job = pb_allocate_zeroed(1, sizeof(*job));
    job->work.data = job;
    job->store = store;
    job->request = request;
    job->file = -1;
    request->error = (pb_error){0};
    request->driver = job;
    *state->waiting_end = job;
    state->waiting_end = &job->next;
    pump(state);
}

const pb_store_driver pb_store_file_driver = {
    .scheme = "file",
    .resolve = file_resolve,
    .settings_free = file_settings_free,
    .open = file_open,
    .close = file_close,
    .copies_from = file_copies_from,
    .submit = file_submit,
};
