#include "copier/store/driver.h"

#include <stdlib.h>

static const pb_store_driver *driver_of(pb_store_kind kind)
{
    return kind == PB_STORE_S3    ? &pb_store_s3_driver
           : kind == PB_STORE_GCS ? &pb_store_gcs_driver
                                  : &pb_store_file_driver;
}

/* The URL as a message needs it: without parameters. */
static char *make_name(const char *role, const pb_location *location)
{
    pb_buffer name = {0};
    if (role)
        pb_buffer_append_format(&name, "%s ", role);
    if (location->kind != PB_STORE_FILE)
        pb_buffer_append_format(&name, "%s://%s/%s", driver_of(location->kind)->scheme,
                                location->bucket, location->prefix);
    else
        pb_buffer_append_format(&name, "file://%s/", location->bucket);
    return name.data;
}

int pb_store_locate(pb_location *location, pb_error *error)
{
    const pb_store_driver *driver = driver_of(location->kind);
    return driver->locate ? driver->locate(location, error) : 0;
}

int pb_store_resolve(const pb_location *location, const pb_store_resolve_options *options,
                     pb_store_config **ret_config, pb_error *error)
{
    pb_store_config *config = pb_allocate_zeroed(1, sizeof *config);
    config->driver = driver_of(location->kind);
    pb_location_copy(location, &config->location);
    config->options = *options;
    config->options.role = pb_duplicate_text(options->role);
    config->options.keys = NULL;
    config->options.ca_bundle = pb_duplicate_text(options->ca_bundle);
    config->name = make_name(options->role, location);
    if (location->opaque_etags)
        atomic_store(&config->etags, PB_ETAGS_OPAQUE);
    if (pb_store_locate(&config->location, error) ||
        config->driver->resolve(config, options->keys, error)) {
        pb_error_context(error, "%s", config->name);
        pb_store_config_free(config);
        return -1;
    }
    *ret_config = config;
    return 0;
}

void pb_store_config_free(pb_store_config *config)
{
    if (!config)
        return;
    if (config->settings)
        config->driver->settings_free(config->settings);
    pb_location_free(&config->location);
    free((char *)config->options.role);
    free((char *)config->options.ca_bundle);
    free(config->name);
    free(config);
}

const char *pb_store_config_name(const pb_store_config *config)
{
    return config->name;
}

int pb_store_open(pb_store_config *config, uv_loop_t *loop, pb_http *http, pb_store **ret_store,
                  pb_error *error)
{
    pb_store *store = pb_allocate_zeroed(1, sizeof *store);
    store->config = config;
    store->loop = loop;
    store->http = http;
    if (config->driver->open(store, error)) {
        free(store);
        return pb_error_context(error, "%s", config->name);
    }
    for (int i = 0; i < 2; i++) {
        store->opaque[i] = store->capabilities;
        store->opaque[i].etag_is_md5 = store->opaque[i].part_etags_are_md5 = false;
    }
    store->opaque[1].etag_is_kept = false;
    *ret_store = store;
    return 0;
}

void pb_store_close(pb_store *store)
{
    if (!store)
        return;
    store->config->driver->close(store);
    free(store);
}

const pb_store_capabilities *pb_store_capabilities_of(const pb_store *store)
{
    switch (atomic_load_explicit(&store->config->etags, memory_order_relaxed)) {
    case PB_ETAGS_OPAQUE:
        return &store->opaque[0];
    case PB_ETAGS_UNKEPT:
        return &store->opaque[1];
    default:
        return &store->capabilities;
    }
}

bool pb_store_copies_from(const pb_store *destination, const pb_store *source)
{
    return destination->config->driver == source->config->driver &&
           destination->config->driver->copies_from(destination, source);
}

const char *pb_store_name(const pb_store *store)
{
    return store->config->name;
}

const pb_store_config *pb_store_config_of(const pb_store *store)
{
    return store->config;
}

const pb_location *pb_store_location(const pb_store *store)
{
    return &store->config->location;
}

void pb_store_submit(pb_store *store, pb_store_request *request)
{
    store->config->driver->submit(store, request);
}

/* Of refusals of the operation as such, not of this object or of these rights. */
static bool says_not_implemented(const pb_error *error)
{
    return error->status == 501 || error->status == 405 ||
           strcmp(error->code, "NotImplemented") == 0 ||
           strcmp(error->code, "MethodNotAllowed") == 0;
}

bool pb_store_learn_copy_refused(pb_store *store, const pb_store_request *request)
{
    pb_store_config *config = store->config;
    if (!says_not_implemented(&request->error))
        return false;
    atomic_store(&config->refuses_part_copies, true);
    if (request->operation == PB_STORE_COPY)
        atomic_store(&config->refuses_copies, true);
    return true;
}

bool pb_store_refuses_copy(const pb_store_config *config, pb_store_operation copy)
{
    return atomic_load_explicit(copy == PB_STORE_COPY ? &config->refuses_copies
                                                      : &config->refuses_part_copies,
                                memory_order_relaxed);
}

pb_store_findings pb_store_findings_of(const pb_store_config *config)
{
    pb_store_etags etags = atomic_load(&config->etags);
    return (pb_store_findings){
        .opaque_etags = etags == PB_ETAGS_OPAQUE || etags == PB_ETAGS_UNKEPT,
        .unkept_etags = etags == PB_ETAGS_UNKEPT,
        .refuses_copies = atomic_load(&config->refuses_copies),
        .wants_content_md5 = atomic_load(&config->wants_content_md5),
        .has_own_object = atomic_load(&config->has_own_object),
        .has_tags = atomic_load(&config->has_tags),
    };
}

void pb_store_know(pb_store_config *config, const pb_store_findings *findings)
{
    if (findings->opaque_etags)
        atomic_store(&config->etags, findings->unkept_etags ? PB_ETAGS_UNKEPT : PB_ETAGS_OPAQUE);
    if (findings->refuses_copies) {
        atomic_store(&config->refuses_copies, true);
        atomic_store(&config->refuses_part_copies, true);
    }
    if (findings->wants_content_md5)
        atomic_store(&config->wants_content_md5, true);
}

void pb_store_share_etags(const pb_store *from, pb_store *to)
{
    pb_store_etags known = atomic_load_explicit(&from->config->etags, memory_order_relaxed);
    if (known > PB_ETAGS_MD5 &&
        atomic_load_explicit(&to->config->etags, memory_order_relaxed) < known &&
        pb_store_copies_from(from, to))
        atomic_store(&to->config->etags, known);
}

static void note_done(pb_store_request *request)
{
    *(bool *)request->context = true;
}

int pb_store_call(pb_store *store, pb_store_request *request, pb_error *error)
{
    void (*done)(pb_store_request *) = request->done;
    void *context = request->context;
    bool is_done = false;
    request->done = note_done;
    request->context = &is_done;
    pb_store_submit(store, request);
    while (!is_done) {
        if (!uv_run(store->loop, UV_RUN_ONCE) && !is_done)
            abort(); /* a loop with nothing left to do owes us an answer: a bug */
    }
    request->done = done;
    request->context = context;
    request->upload_id_new = (pb_slice){NULL, 0};
    if (request->error.kind == PB_ERROR_NONE)
        return 0;
    if (error)
        *error = request->error;
    return -1;
}

static void read_restarted(pb_store_request *request)
{
    pb_store_read_request *read = (pb_store_read_request *)request;
    read->body->size = read->size_before;
}

static int read_received(pb_store_request *request, const void *data, size_t size, pb_error *error)
{
    pb_store_read_request *read = (pb_store_read_request *)request;
    if (size > read->max_bytes - (read->body->size - read->size_before))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%.*s holds more than %zu bytes",
                            PB_SLICE_FORMAT(request->key), read->max_bytes);
    pb_buffer_append(read->body, data, size);
    return 0;
}

void pb_store_read_prepare(pb_store_read_request *ret_read, pb_slice key, size_t max_bytes,
                           pb_buffer *body)
{
    *ret_read = (pb_store_read_request){
        .request = {.operation = PB_STORE_GET,
                    .key = key,
                    .restarted = read_restarted,
                    .received = read_received},
        .max_bytes = max_bytes,
        .size_before = body->size,
        .body = body,
    };
}

int pb_store_read(pb_store *store, pb_slice key, size_t max_bytes, pb_buffer *ret_body,
                  pb_error *error)
{
    pb_store_read_request read;
    pb_store_read_prepare(&read, key, max_bytes, ret_body);
    return pb_store_call(store, &read.request, error);
}

int pb_store_write(pb_store *store, pb_slice key, pb_slice body, bool create_only, pb_error *error)
{
    uint8_t sha256[PB_SHA256_BYTES];
    pb_sha256(body.data, body.size, sha256);
    pb_store_request request = {
        .operation = PB_STORE_PUT,
        .key = key,
        .body = body,
        .body_sha256 = sha256,
        .create_only = create_only,
    };
    return pb_store_call(store, &request, error);
}
