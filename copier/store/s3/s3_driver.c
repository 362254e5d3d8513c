/* The S3 driver: its settings and its stores. */
#include "copier/store/s3/s3_call.h"

#include "copier/store/credentials/aws_login.h"
#include <stdlib.h>

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

/* ---- the store ---- */

static int s3_open(pb_store *store, pb_error *error)
{
    (void)error;
    s3_settings *settings = store->config->settings;
    s3_store *s3 = pb_allocate_zeroed(1, sizeof *s3);
    s3->caller = (pb_caller){.store = store, .dialect = &s3_call_dialect};
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
        .part_etags_are_md5 = true,
        .etag_is_kept = true,
        .finds_uploads = true,
        .copies_parts = true,
        .keeps_headers = true,
    };
    return 0;
}

static void s3_submit(pb_store *store, pb_store_request *request)
{
    s3_store *s3 = store->state;
    pb_caller_submit(&s3->caller, request);
}

static void s3_close(pb_store *store)
{
    s3_store *s3 = store->state;
    pb_caller_free(&s3->caller);
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
