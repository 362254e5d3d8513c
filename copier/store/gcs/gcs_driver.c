/* The driver of Google Cloud Storage: its settings and its stores. */
#include "copier/store/credentials/google_login.h"
#include "copier/store/gcs/gcs_call.h"

#include <stdlib.h>

#define ENDPOINT "https://storage.googleapis.com"

/* ---- settings ---- */

static void gcs_settings_free(void *memory)
{
    gcs_settings *settings = memory;
    pb_provider_close(settings->login);
    free(settings->login_name);
    free(settings);
}

/* STORAGE_EMULATOR_HOST is "HOST:PORT" or a URL: https://cloud.google.com/go/storage has it so. */
static int gcs_locate(pb_location *location, pb_error *error)
{
    const char *emulator = pb_environment_get(&pb_environment_of_process, "STORAGE_EMULATOR_HOST");
    if (location->endpoint || !emulator)
        return 0;
    if (pb_location_endpoint_parse(emulator, true, &location->endpoint, NULL) &&
        pb_location_endpoint_parse(emulator, false, &location->endpoint, error))
        return pb_error_context(error, "STORAGE_EMULATOR_HOST");
    return 0;
}

static int gcs_resolve(pb_store_config *config, const pb_store_keys *keys, pb_error *error)
{
    const pb_location *location = &config->location;
    const char *endpoint = location->endpoint ? location->endpoint : ENDPOINT;
    bool is_plain = strncmp(endpoint, "http://", 7) == 0;
    if (strchr(strstr(endpoint, "://") + 3, '/'))
        return pb_error_set(error, PB_ERROR_USAGE, "endpoint: gs:// takes none with a path");
    const pb_google_login_options options = {
        .role = config->options.role,
        .keys = pb_slice_of(keys ? keys->google_credential : NULL),
        .anonymous = location->anonymous,
        .emulator = is_plain,
        .ca_bundle = config->options.ca_bundle,
        .log = config->options.log,
    };
    gcs_settings *settings = pb_allocate_zeroed(1, sizeof *settings);
    pb_credential_source *source;
    if (pb_google_login_find(&options, &pb_environment_of_process, &source, error)) {
        free(settings);
        return -1;
    }
    settings->base_url = endpoint;
    settings->login_name = pb_duplicate(pb_slice_of(source->name));
    config->settings = settings; /* freed with the configuration, whatever follows */
    return pb_provider_open(source, config->options.log, &settings->login, error);
}

/* ---- the store ---- */

static int gcs_open(pb_store *store, pb_error *error)
{
    (void)error;
    gcs_store *gcs = pb_allocate_zeroed(1, sizeof *gcs);
    gcs->settings = store->config->settings;
    gcs->caller = (pb_caller){
        .store = store,
        .dialect = &gcs_call_dialect,
        .paced = pb_http_endpoint_at(store->http, gcs->settings->base_url),
    };
    store->state = gcs;
    const uint64_t terabyte = (uint64_t)1 << 40;
    /* https://cloud.google.com/storage/quotas#objects */
    store->capabilities = (pb_store_capabilities){
        .multipart = true,
        .part_bytes_min = PB_GCS_CHUNK_BYTES,
        .part_bytes_max = 5 * terabyte,
        .part_bytes_step = PB_GCS_CHUNK_BYTES,
        .parts_max = PB_GCS_PARTS_MAX,
        .parts_in_order = true,
        .put_bytes_max = 5 * terabyte,
        .copy_bytes_max = 5 * terabyte,
        .key_bytes_max = PB_GCS_NAME_BYTES_MAX - strlen(store->config->location.prefix),
        .delete_keys_max = 100,
        .lists_from_anywhere = true,
        .etag_is_md5 = true,
        .etag_is_kept = true,
        .keeps_headers = true,
        .has_crc32c = true,
    };
    return 0;
}

static void gcs_close(pb_store *store)
{
    gcs_store *gcs = store->state;
    pb_caller_free(&gcs->caller);
    pb_credential_clear(&gcs->credential);
    free(gcs);
}

/* Objects are rewritten in the name of the destination's login: it must be the source's. */
static bool gcs_copies_from(const pb_store *destination, const pb_store *source)
{
    const gcs_store *to = destination->state, *from = source->state;
    return strcmp(to->settings->base_url, from->settings->base_url) == 0 &&
           strcmp(to->settings->login_name, from->settings->login_name) == 0;
}

static void gcs_submit(pb_store *store, pb_store_request *request)
{
    gcs_store *gcs = store->state;
    pb_caller_submit(&gcs->caller, request);
}

const pb_store_driver pb_store_gcs_driver = {
    .scheme = "gs",
    .locate = gcs_locate,
    .resolve = gcs_resolve,
    .settings_free = gcs_settings_free,
    .open = gcs_open,
    .close = gcs_close,
    .copies_from = gcs_copies_from,
    .submit = gcs_submit,
};
