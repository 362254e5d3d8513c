#include "snapshot/leftovers.h"

#include "manifest/layout.h"
#include "snapshot/job.h"

enum { UPLOADS_MAX = 100 * 1000 };

/* 1: one was there, and is aborted; 0: there is none; -1. */
static int abort_one(pb_store *store, pb_slice prefix, pb_error *error)
{
    pb_store_request find = {.operation = PB_STORE_MULTIPART_FIND, .list.prefix = prefix};
    if (pb_store_call(store, &find, error))
        return -1;
    int found = find.page->count > 0;
    if (found) {
        pb_store_request abort_it = {.operation = PB_STORE_MULTIPART_ABORT,
                                     .key = find.page->entries[0].key,
                                     .upload_id = find.page->entries[0].version};
        found = pb_store_call(store, &abort_it, error) ? -1 : 1;
    }
    pb_page_release(find.page);
    return found;
}

void pb_leftovers_abort(pb_repository *repository, const char *id)
{
    static void (*const prefixes[])(pb_buffer *, pb_slice) = {
        pb_layout_data_prefix, pb_layout_long_prefix, pb_layout_snapshot_prefix};
    pb_session *session = repository->session;
    unsigned aborted = 0;
    int found = 0;
    pb_error error = {0};
    if (!pb_store_capabilities_of(repository->store)->finds_uploads)
        return;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && found >= 0; i++) {
        pb_buffer prefix = {0};
        prefixes[i](&prefix, pb_slice_of(id));
        while ((found = abort_one(repository->store, pb_buffer_slice(&prefix), &error)) > 0 &&
               aborted < UPLOADS_MAX)
            aborted++;
        pb_buffer_free(&prefix);
    }
    if (aborted)
        pb_session_note(session, "aborted multipart uploads that attempt %s left behind: %u", id,
                        aborted);
    if (found < 0)
        pb_log_line(session->options.log, PB_LOG_INFO, "multipart uploads of attempt %s: %s", id,
                    error.message);
}
