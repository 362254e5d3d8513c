/* The S3 driver: settings, the pool of calls, and the steps that a request takes. */
#include "copier/store/s3/s3_call.h"

#include "base/codec.h"
#include "copier/store/credentials/aws_login.h"
#include <stdio.h>
#include <stdlib.h>

/* What a call keeps of its buffers while it waits for the next request. */
enum { KEPT_BYTES = 64 * 1024, KEPT_LIST_BYTES = 2 * 1024 * 1024 };

/* ---- settings ---- */

static void s3_settings_free(void *memory)
{
    s3_settings *settings = memory;
    pb_provider_close(settings->provider);
    free(settings->login_identity);
    free(settings->ca_bundle);
    free(settings->region);
    free(settings);
}

static int s3_locate(pb_location *location, pb_error *error)
{
    return pb_aws_locate(location, &pb_environment_of_process, error);
}

static int s3_resolve(pb_store_config *config, const pb_store_keys *keys, pb_error *error)
{
    const pb_location *location = &config->location;
    const pb_aws_login_options options = {
        .role = config->options.role,
        .keys = keys,
        .ca_bundle = config->options.ca_bundle,
        .environment = &pb_environment_of_process,
        .log = config->options.log,
    };
    pb_aws_login login;
    if (pb_aws_login_find(location, &options, &login, error))
        return -1;
    s3_settings *settings = pb_allocate_zeroed(1, sizeof *settings);
    pb_credential_source *source = login.source;
    login.source = NULL; /* the provider takes it */
    if (pb_provider_open(source, config->options.log, &settings->provider, error)) {
        pb_aws_login_free(&login);
        free(settings);
        return -1;
    }
    settings->login_identity = login.identity;
    login.identity = NULL;
    if (!options.ca_bundle) { /* else it is the client's already */
        settings->ca_bundle = login.ca_bundle;
        login.ca_bundle = NULL;
    }
    pb_slice region = {NULL, 0};
    if (location->endpoint)
        region = pb_s3_region_of_host(pb_slice_of(strstr(location->endpoint, "://") + 3));
    if (location->region)
        region = pb_slice_of(location->region);
    else if (!region.size && login.region)
        region = pb_slice_of(login.region);
    else if (!region.size)
        region = PB_SLICE_LITERAL(PB_S3_REGION_DEFAULT);
    settings->region = pb_duplicate(region);
    pb_aws_login_free(&login);
    config->settings = settings;
    return 0;
}

/* ---- calls ---- */

static s3_call *call_acquire(s3_store *s3, pb_store_request *request)
{
    bool for_list = request->operation == PB_STORE_LIST;
    s3_call **pool = for_list ? &s3->free_list_calls : &s3->free_calls;
    s3_call *call = *pool;
    if (call)
        *pool = call->next;
    else
        call = pb_allocate_zeroed(1, sizeof *call);
    call->s3 = s3;
    call->for_list = for_list;
    call->request = call->results = request;
    call->asked = request;
    call->step = S3_STEP_ASKED;
    call->endpoint = NULL;
    call->moves = 0;
    call->redirected = call->given = call->told = false;
    return call;
}

static void trim_buffer(pb_buffer *buffer, size_t most)
{
    if (buffer->capacity > most)
        pb_buffer_free(buffer);
}

/* The request is the caller's again and may be gone. */
static void call_release(s3_call *call)
{
    s3_store *s3 = call->s3;
    for (unsigned i = 0; i < S3_MOVES_MAX; i++)
        pb_s3_endpoint_free(&call->redirects[i]);
    trim_buffer(&call->answer.body, call->for_list ? KEPT_LIST_BYTES : KEPT_BYTES);
    trim_buffer(&call->built.body, KEPT_BYTES);
    s3_call **pool = call->for_list ? &s3->free_list_calls : &s3->free_calls;
    call->next = *pool;
    *pool = call;
}

static void calls_free(s3_call *call)
{
    while (call) {
        s3_call *next = call->next;
        pb_s3_request_free(&call->built);
        pb_buffer_free(&call->answer.body);
        pb_buffer_free(&call->upload_id);
        free(call);
        call = next;
    }
}

/* ---- steps ---- */

/* Takes the next step: `extra` is filled but for its operation and key. */
static void begin_step(s3_call *call, s3_step step, pb_store_operation operation, pb_slice key)
{
    call->step = step;
    memset(&call->extra, 0, sizeof call->extra);
    call->extra.operation = operation;
    call->extra.key = key;
    call->extra.context = call;
    call->asked = call->results = &call->extra;
    call->given = false;
}

static int compare_received(pb_store_request *extra, const void *data, size_t size, pb_error *error)
{
    s3_call *call = extra->context;
    pb_slice body = call->request->body;
    if (size > body.size - call->compared_bytes ||
        memcmp(body.data + call->compared_bytes, data, size) != 0)
        return pb_error_set(error, PB_ERROR_EXISTS, "other bytes are there");
    call->compared_bytes += size;
    return 0;
}

static void compare_restarted(pb_store_request *extra)
{
    s3_call *call = extra->context;
    call->compared_bytes = 0;
}

/* The ETag that a store makes of parts whose ETags are MD5s: the MD5 of those, and their number. */
static bool multipart_etag(const pb_store_request *request, char ret_etag[PB_ETAG_TEXT_MAX])
{
    pb_hash *hash = pb_hash_new(PB_HASH_MD5);
    uint8_t digest[PB_MD5_BYTES];
    bool fits = request->part_count > 0;
    for (unsigned i = 0; i < request->part_count && fits; i++) {
        fits = pb_hex_decode(pb_slice_of(request->part_etags[i]), digest, sizeof digest);
        pb_hash_update(hash, digest, sizeof digest);
    }
    pb_hash_finish(hash, digest);
    pb_hash_free(hash);
    pb_hex_encode(digest, sizeof digest, ret_etag);
    snprintf(ret_etag + 2 * PB_MD5_BYTES, PB_ETAG_TEXT_MAX - 2 * PB_MD5_BYTES, "-%u",
             request->part_count);
    return fits;
}

static bool same_as_ours(const s3_call *call)
{
    char etag[PB_ETAG_TEXT_MAX];
    if (call->request->operation == PB_STORE_PUT)
        return call->compared_bytes == call->request->body.size;
    return multipart_etag(call->request, etag) && strcmp(etag, call->extra.etag) == 0;
}

/* After the caller's own request. True where another one follows. */
static bool step_after_asked(s3_call *call)
{
    const pb_store_request *request = call->request;
    const pb_error *error = &call->http.error;
    /* An attempt whose answer was lost may have done what a later one finds done. */
    bool doubtful = call->http.attempts > 1;
    if (request->operation == PB_STORE_PUT && request->create_only && doubtful &&
        error->kind == PB_ERROR_EXISTS) {
        call->kept_error = *error;
        begin_step(call, S3_STEP_COMPARE, PB_STORE_GET, request->key);
        call->compared_bytes = 0;
        call->extra.received = compare_received;
        call->extra.restarted = compare_restarted;
        return true;
    }
    if (request->operation == PB_STORE_MULTIPART_COMPLETE && doubtful &&
        strcmp(error->code, "NoSuchUpload") == 0 && error->kind == PB_ERROR_NOT_FOUND) {
        call->kept_error = *error;
        begin_step(call, S3_STEP_COMPARE, PB_STORE_HEAD, request->key);
        return true;
    }
    if (request->operation == PB_STORE_CHECK && error->status / 100 == 4 &&
        !pb_error_is_transient(error->kind)) {
        /* HEAD can't say why; and rights may cover the prefix only. */
        begin_step(call, S3_STEP_LOOK_INSIDE, PB_STORE_LIST, (pb_slice){NULL, 0});
        call->extra.list.keys_max = 1;
        return true;
    }
    return false;
}

/* Ceph RGW 16 completes an upload without telling the ETag. */
static bool step_after_success(s3_call *call)
{
    const pb_store_request *request = call->request;
    if (request->operation != PB_STORE_MULTIPART_COMPLETE || request->etag[0])
        return false;
    begin_step(call, S3_STEP_LEARN_ETAG, PB_STORE_HEAD, request->key);
    return true;
}

static void after_compare(s3_call *call)
{
    pb_error *error = &call->http.error;
    bool unknown = pb_error_is_transient(error->kind) || error->kind == PB_ERROR_CANCELLED;
    if (error->kind == PB_ERROR_NONE && same_as_ours(call))
        memcpy(call->request->etag, call->extra.etag, sizeof call->extra.etag);
    else if (unknown)
        pb_error_context(error, "an answer was lost, and what was written could not be compared");
    else
        *error = call->kept_error;
}

/* Decides what follows on call->http.error. True where another request does. */
static bool next_step(s3_call *call)
{
    bool failed = call->http.error.kind != PB_ERROR_NONE;
    switch (call->step) {
    case S3_STEP_ASKED:
        return failed ? step_after_asked(call) : step_after_success(call);
    case S3_STEP_DELETE_EACH:
        call->extra.keys++;
        return !failed && ++call->delete_index < call->request->key_count;
    case S3_STEP_COMPARE:
        after_compare(call);
        return false;
    case S3_STEP_LEARN_ETAG:
        memcpy(call->request->etag, call->extra.etag, sizeof call->extra.etag);
        return false;
    case S3_STEP_LOOK_INSIDE:
        pb_page_release(call->extra.page);
        call->request->store_now_ms = call->answer.date_ms;
        return false;
    }
    return false;
}

static void on_done(pb_http_request *http)
{
    s3_call *call = (s3_call *)http;
    if (http->error.kind != PB_ERROR_NONE && !call->told) {
        pb_buffer what = {0};
        s3_call_describe(call, &what);
        pb_error_context(&http->error, "%s", what.data);
        pb_buffer_free(&what);
    }
    if (next_step(call)) {
        s3_call_submit(call, on_done);
        return;
    }
    pb_store_request *request = call->request;
    if (http->error.kind == PB_ERROR_NONE)
        request->error.kind = PB_ERROR_NONE;
    else
        request->error = http->error;
    request->done(request);
    /* Only now: what the caller was shown lies in the call. */
    call_release(call);
}

static bool all_fit_xml(const pb_store_request *request)
{
    for (size_t i = 0; i < request->key_count; i++)
        if (!pb_s3_key_fits_xml(request->keys[i]))
            return false;
    return true;
}

static void s3_submit(pb_store *store, pb_store_request *request)
{
    s3_call *call = call_acquire(store->state, request);
    request->error.kind = PB_ERROR_NONE;
    request->page = NULL;
    request->etag[0] = '\0';
    request->etag_opaque = false;
    request->size = request->part_bytes = 0;
    request->mtime_ms = request->store_now_ms = 0;
    if (request->operation == PB_STORE_DELETE && request->key_count > 1 && !all_fit_xml(request)) {
        begin_step(call, S3_STEP_DELETE_EACH, PB_STORE_DELETE, (pb_slice){NULL, 0});
        call->delete_index = 0;
        call->extra.keys = request->keys;
        call->extra.key_count = 1;
    }
    s3_call_submit(call, on_done);
}

/* ---- the store ---- */

static int s3_open(pb_store *store, pb_error *error)
{
    (void)error;
    s3_settings *settings = store->config->settings;
    s3_store *s3 = pb_allocate_zeroed(1, sizeof *s3);
    s3->store = store;
    s3->settings = settings;
    s3->parser = pb_s3_parser_new();
    pb_s3_login_open(&s3->login, settings->provider);
    pb_s3_endpoint_make(&store->config->location, settings->region, &s3->endpoints[0]);
    s3->endpoint_count = 1;
    s3_endpoint_changed(s3);
    store->state = s3;
    /* https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
    store->capabilities = (pb_store_capabilities){
        .multipart = true,
        .part_bytes_min = (uint64_t)5 << 20,
        .part_bytes_max = (uint64_t)5 << 30,
        .parts_max = 10000,
        .put_bytes_max = (uint64_t)5 << 30,
        .copy_bytes_max = (uint64_t)5 << 30,
        .key_bytes_max = PB_S3_KEY_BYTES_MAX - strlen(store->config->location.prefix),
        .delete_keys_max = 1000,
        .lists_from_anywhere = true,
        .etag_is_md5 = true,
    };
    return 0;
}

static void s3_close(pb_store *store)
{
    s3_store *s3 = store->state;
    calls_free(s3->free_calls);
    calls_free(s3->free_list_calls);
    for (unsigned i = 0; i < s3->endpoint_count; i++)
        pb_s3_endpoint_free(&s3->endpoints[i]);
    pb_s3_parser_free(s3->parser);
    pb_s3_login_close(&s3->login);
    free(s3);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool s3_copies_from(const pb_store *destination, const pb_store *source)
{
    const s3_store *to = destination->state, *from = source->state;
    return same_text(destination->config->location.endpoint, source->config->location.endpoint) &&
           same_text(to->settings->login_identity, from->settings->login_identity);
}

const pb_store_driver pb_store_s3_driver = {
    .scheme = "s3",
    .locate = s3_locate,
    .resolve = s3_resolve,
    .settings_free = s3_settings_free,
    .open = s3_open,
    .close = s3_close,
    .copies_from = s3_copies_from,
    .submit = s3_submit,
};
