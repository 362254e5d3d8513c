/* What is asked of the bucket and of the repository. */
#include "base/clock.h"
#include "snapshot/creation.h"
#include "snapshot/one_bucket.h"
#include "snapshot/rehearsal.h"
#include "snapshot/repository.h"
#include <stdio.h>
#include <stdlib.h>

enum { CLOCK_OFF_MAX_MS = 5 * 60 * 1000, KEYS_LOOKED_AT = 100, READS_MAX = 3 };

static void check_clock(pb_rehearsal *self, const char *role, pb_store *store)
{
    pb_store_request check = {.operation = PB_STORE_CHECK};
    pb_error error = {0};
    if (!self->advises || pb_store_call(store, &check, &error) || !check.store_now_ms)
        return;
    int64_t off_ms = pb_clock_utc_ms() - check.store_now_ms;
    char name[64];
    snprintf(name, sizeof name, "clock and the %s's", role);
    if (llabs((long long)off_ms) <= CLOCK_OFF_MAX_MS) {
        pb_rehearsal_pass(self, name, "%lld s apart", (long long)off_ms / 1000);
        return;
    }
    pb_error_set(&error, PB_ERROR_REFUSED, "%lld s apart", (long long)off_ms / 1000);
    pb_error_hint(&error, "set this machine's clock: signatures hold for a quarter of an hour");
    pb_rehearsal_fail(self, name, &error);
}

/* ---- the source ---- */

static int ignore_bytes(pb_store_request *request, const void *data, size_t size, pb_error *error)
{
    (void)request;
    (void)data;
    (void)size;
    (void)error;
    return 0;
}

static int read_byte(pb_store *store, pb_slice key, pb_error *error)
{
    pb_store_request read = {
        .operation = PB_STORE_GET,
        .key = key,
        .length = 1,
        .received = ignore_bytes,
    };
    return pb_store_call(store, &read, error);
}

/* An object that goes meanwhile is no failure, as the cluster lives: then another one is read. */
static int read_one(pb_store *store, const char **ret_found, pb_error *error)
{
    pb_store_request list = {.operation = PB_STORE_LIST, .list.keys_max = KEYS_LOOKED_AT};
    if (pb_store_call(store, &list, error))
        return pb_error_context(error, "listing %s", pb_store_name(store));
    const pb_page *page = list.page;
    unsigned reads = 0;
    int failed = 0;
    *ret_found = page->count ? "its objects were not read" : "it is empty";
    for (size_t i = 0; i < page->count && reads < READS_MAX; i++) {
        pb_error wrong = {0};
        if (!page->entries[i].size)
            continue;
        reads++;
        if (!read_byte(store, page->entries[i].key, &wrong)) {
            *ret_found = "it is listed and read";
            break;
        }
        if (wrong.kind != PB_ERROR_NOT_FOUND) {
            *error = wrong;
            failed = pb_error_context(error, "reading '%.*s' of %s",
                                      PB_SLICE_FORMAT(page->entries[i].key), pb_store_name(store));
            break;
        }
    }
    pb_page_release(list.page);
    return failed;
}

static void check_source(pb_rehearsal *self, pb_store *store)
{
    const char *found = "";
    pb_error error = {0};
    if (pb_session_check(self->session, store, NULL, false, &error) ||
        read_one(store, &found, &error)) {
        pb_cluster_store_explain(&self->bucket, &error);
        pb_rehearsal_fail(self, "source", &error);
    } else
        pb_rehearsal_pass(self, "source", "%s: %s", pb_store_name(store), found);
    check_clock(self, "source", store);
}

void pb_rehearse_source(pb_rehearsal *self, const char *url)
{
    pb_cluster_store *bucket = &self->bucket;
    pb_store_config *config = NULL;
    pb_store *store = NULL;
    pb_error error = {0};
    if (self->session->cancelled)
        return;
    bucket->url = url;
    if (self->has_pachyderm && pb_cluster_store_open(self->session, self->cluster, &self->pachyderm,
                                                     url, bucket, &error)) {
        bucket->url = NULL;
        pb_rehearsal_fail(self, "source", &error);
    }
    if (!bucket->url)
        return;
    if (pb_session_store(self->session, bucket->url, "source",
                         bucket->has_keys ? &bucket->keys : NULL, &config, &store, &error)) {
        pb_cluster_store_explain(bucket, &error);
        pb_rehearsal_fail(self, "source", &error);
        return;
    }
    self->source_url = pb_duplicate(pb_slice_of(bucket->url));
    check_source(self, store);
    pb_store_close(store);
    pb_store_config_free(config);
}

/* ---- the repository ---- */

static void fail_overlap(pb_rehearsal *self, const char *url, const char *why)
{
    pb_error error = {0};
    pb_error_set(&error, PB_ERROR_USAGE, "the source %s and the repository %s overlap%s",
                 self->source_url, url, why);
    pb_error_hint(&error, "a repository must be outside of what it backs up");
    pb_rehearsal_fail(self, "source and repository", &error);
}

/* 1: two spellings of one bucket; 0; -1. */
static int is_one_bucket(pb_rehearsal *self, const pb_repository *repository, pb_error *error)
{
    pb_store_config *config = NULL;
    pb_store *source = NULL;
    bool is_one = false;
    if (pb_session_store(self->session, self->source_url, "source",
                         self->bucket.has_keys ? &self->bucket.keys : NULL, &config, &source,
                         error))
        return -1;
    const pb_bucket_pair pair = {
        .written = repository->store, .other = source, .repository = repository->store};
    int failed = pb_bucket_pair_is_one(self->session, &pair, &is_one, error);
    pb_store_close(source);
    pb_store_config_free(config);
    return failed ? -1 : is_one;
}

/* `repository` is NULL where there is none yet: then the spelling of the URLs alone tells. */
static void check_overlap(pb_rehearsal *self, const char *url, const pb_repository *repository)
{
    static const char name[] = "source and repository";
    pb_location source = {0}, there = {0};
    pb_error error = {0};
    if (!self->source_url || pb_location_parse(self->source_url, &source, &error))
        return;
    if (!pb_location_parse(url, &there, &error)) {
        bool overlap = pb_location_overlaps(&source, &there);
        int one = overlap || !repository ? 0 : is_one_bucket(self, repository, &error);
        if (overlap)
            fail_overlap(self, url, "");
        else if (one > 0)
            fail_overlap(self, url, ": their endpoints lead to one bucket");
        else if (one < 0)
            pb_rehearsal_fail(self, name, &error);
        else
            pb_rehearsal_pass(self, name, "apart");
        pb_location_free(&there);
    }
    pb_location_free(&source);
}

static void check_repository(pb_rehearsal *self, const char *url)
{
    static const char name[] = "repository";
    pb_repository repository = {0};
    pb_error error = {0};
    bool writes = !self->session->options.dry_run;
    if (pb_repository_open(self->session, url, false, &repository, &error)) {
        if (strcmp(error.code, PB_CODE_EMPTY) == 0)
            pb_rehearsal_pass(self, name, "%s: a backup makes one", error.message);
        else
            pb_rehearsal_fail(self, name, &error);
        check_overlap(self, url, NULL);
        return;
    }
    if (writes && pb_creation_probe(&repository, &error))
        pb_rehearsal_fail(self, name, &error);
    else
        pb_rehearsal_pass(self, name, "%s: it is read%s", pb_store_name(repository.store),
                          writes ? " and written" : "");
    check_clock(self, name, repository.store);
    check_overlap(self, url, &repository);
    pb_repository_close(&repository);
}

void pb_rehearse_repository(pb_rehearsal *self, const char *url)
{
    pb_error error = {0};
    if (self->session->cancelled)
        return;
    if (!url) {
        pb_error_set(&error, PB_ERROR_USAGE, "no repository is named");
        pb_error_hint(&error, "set `repository` in pbcopy.yaml");
        pb_rehearsal_fail(self, "repository", &error);
        return;
    }
    check_repository(self, url);
}
