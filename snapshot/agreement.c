#include "snapshot/agreement.h"

#include "base/codec.h"
#include "snapshot/manifest_stream.h"
#include <stdlib.h>

static void on_wake(void *context)
{
    (void)context; /* who waits runs the loop */
}

/* The first record at or behind `key`: 1; 0 where there is none; -1. */
static int seek(pb_session *session, pb_stream *stream, pb_slice key, const pb_entry **ret_entry,
                pb_error *error)
{
    for (;;) {
        const pb_entry *entry;
        pb_page *page;
        switch (pb_stream_peek(stream, &entry, &page)) {
        case PB_STREAM_READY:
            if (pb_slice_compare(entry->key, key) >= 0) {
                *ret_entry = entry;
                return 1;
            }
            pb_stream_advance(stream);
            break;
        case PB_STREAM_WAITING:
            if (session->cancelled)
                return pb_error_set(error, PB_ERROR_CANCELLED, "cancelled");
            uv_run(&session->loop, UV_RUN_ONCE);
            break;
        case PB_STREAM_END:
            return 0;
        case PB_STREAM_FAILED:
            *error = *pb_stream_error(stream);
            return -1;
        }
    }
}

static void tell_missing(pb_session *session, pb_slice key)
{
    char *name = pb_duplicate(key);
    pb_text_make_line(name);
    pb_session_tell(session, &(pb_event){
                                 .kind = PB_EVENT_FINDING,
                                 .finding = "database-missing",
                                 .key = name,
                                 .text = "the database needs this chunk, and the snapshot has no "
                                         "object of this name",
                             });
    free(name);
}

int pb_agreement_check(pb_repository *repository, const pb_snapshot_file *file, pb_chunk_sort *sort,
                       uint64_t *ret_needed, uint64_t *ret_missing, pb_error *error)
{
    pb_session *session = repository->session;
    pb_stream *stream =
        pb_manifest_stream_open(repository->store, &session->loop, file, (pb_slice){NULL, 0},
                                (pb_slice){NULL, 0}, on_wake, NULL);
    pb_buffer copy = {0}; /* a key lives only until the loop runs */
    pb_slice key;
    int more, found = 0;
    *ret_needed = *ret_missing = 0;
    pb_session_phase(session, "comparing with the database");
    while ((more = pb_chunk_sort_next(sort, &session->cancelled, &key, error)) > 0) {
        const pb_entry *entry = NULL;
        pb_buffer_clear(&copy);
        pb_buffer_append_slice(&copy, key);
        key = pb_buffer_slice(&copy);
        found = seek(session, stream, key, &entry, error);
        if (found < 0)
            break;
        ++*ret_needed;
        if (found && pb_slice_equal(entry->key, key))
            continue;
        if (++*ret_missing <= PB_FINDINGS_MAX)
            tell_missing(session, key);
    }
    while (pb_stream_is_fetching(stream))
        uv_run(&session->loop, UV_RUN_ONCE);
    pb_stream_close(stream);
    pb_buffer_free(&copy);
    return more < 0 || found < 0 ? -1 : 0;
}
