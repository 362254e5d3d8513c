#include "snapshot/backup_ends.h"

#include "snapshot/one_bucket.h"
#include <stdlib.h>

static int refuse_overlap(const char *source, const char *repository, const char *why,
                          pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE, "the source %s and the repository %s overlap%s", source,
                 repository, why);
    return pb_error_hint(error, "a repository must be outside of what it backs up, and the "
                                "other way round");
}

static int open_both(pb_session *session, const char *source, const char *prefix,
                     const char *repository, const pb_store_keys *keys, pb_backup_ends *ends,
                     pb_error *error)
{
    if (pb_session_store(session, source, "source", keys, &ends->source_config, &ends->source,
                         error))
        return -1;
    pb_location there = {0};
    if (pb_location_parse(repository, &there, error) || pb_store_locate(&there, error)) {
        pb_location_free(&there);
        return pb_error_context(error, "repository");
    }
    bool overlap = pb_location_overlaps(pb_store_location(ends->source), &there);
    pb_location_free(&there);
    if (overlap)
        return refuse_overlap(source, repository, "", error);
    if (pb_session_check(session, ends->source, prefix, false, error) ||
        pb_repository_open(session, repository, true, &ends->repository, error))
        return -1;
    const pb_bucket_pair pair = {
        .written = ends->repository.store,
        .other = ends->source,
        .repository = ends->repository.made ? ends->repository.store : NULL,
    };
    if (pb_bucket_pair_is_one(session, &pair, &overlap, error))
        return -1;
    if (overlap)
        return refuse_overlap(source, repository, ": their endpoints lead to one bucket", error);
    pb_store_share_etags(ends->repository.store, ends->source);
    ends->server_side = pb_store_copies_from(ends->repository.store, ends->source) &&
                        pb_store_capabilities_of(ends->repository.store)->etag_is_md5;
    ends->source_identity = pb_location_identity(pb_store_location(ends->source));
    return 0;
}

int pb_backup_ends_open(pb_session *session, const char *source, const char *prefix,
                        const char *repository, const pb_store_keys *keys, pb_backup_ends *ret_ends,
                        pb_error *error)
{
    *ret_ends = (pb_backup_ends){0};
    return open_both(session, source, prefix, repository, keys, ret_ends, error);
}

void pb_backup_ends_close(pb_backup_ends *ends)
{
    pb_repository_close(&ends->repository);
    pb_store_close(ends->source);
    pb_store_config_free(ends->source_config);
    free(ends->source_identity);
    *ends = (pb_backup_ends){0};
}
