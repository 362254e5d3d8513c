#include "snapshot/leftovers.h"

#include "manifest/layout.h"
#include "snapshot/job.h"

enum { UPLOADS_MAX = 100 * 1000, ATTEMPTS_MAX = 4 };

/* 1: one was there, other than the one before (*last), and is aborted; 0: there is none; -1. */
static int abort_one(pb_store *store, pb_slice prefix, pb_buffer *last, pb_error *error)
{
    pb_store_request find = {
        .operation = PB_STORE_MULTIPART_FIND, .attempts_max = ATTEMPTS_MAX, .list.prefix = prefix};
    if (pb_store_call(store, &find, error))
        return -1;
    const pb_entry *upload = find.page->count ? &find.page->entries[0] : NULL;
    /* A store may list it for a while after it has gone. */
    int found = upload && !pb_slice_equal(upload->version, pb_buffer_slice(last));
    if (found) {
        pb_store_request abort_it = {.operation = PB_STORE_MULTIPART_ABORT,
                                     .attempts_max = ATTEMPTS_MAX,
                                     .key = upload->key,
                                     .upload_id = upload->version};
        found = pb_store_call(store, &abort_it, error) ? -1 : 1;
        pb_buffer_clear(last);
        pb_buffer_append_slice(last, upload->version);
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
        pb_buffer prefix = {0}, last = {0};
        prefixes[i](&prefix, pb_slice_of(id));
        while ((found = abort_one(repository->store, pb_buffer_slice(&prefix), &last, &error)) >
                   0 &&
               aborted < UPLOADS_MAX)
            aborted++;
        pb_buffer_free(&prefix);
        pb_buffer_free(&last);
    }
    if (aborted)
        pb_session_note(session, "aborted multipart uploads that attempt %s left behind: %u", id,
                        aborted);
    if (found < 0)
        pb_log_line(session->options.log, PB_LOG_INFO, "multipart uploads of attempt %s: %s", id,
                    error.message);
}
