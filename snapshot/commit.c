#include "snapshot/commit.h"

#include "copier/store/sequence.h"
#include <stdio.h>
#include <stdlib.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const pb_part *const *)a)->name, (*(const pb_part *const *)b)->name);
}

typedef struct part_search {
    const pb_part **parts; /* by name */
    bool *seen;            /* of them */
    size_t count, prefix_size;
} part_search;

static int find_parts(void *context, const pb_page *page, pb_error *error)
{
    part_search *search = context;
    (void)error;
    for (size_t i = 0; i < page->count; i++) {
        pb_part sought = {0};
        const pb_part *key = &sought;
        pb_slice name = page->entries[i].key;
        snprintf(sought.name, sizeof sought.name, "%.*s", (int)(name.size - search->prefix_size),
                 name.data + search->prefix_size);
        /* Others may be left of a run that died while it stored one. */
        const pb_part **found =
            bsearch(&key, search->parts, search->count, sizeof *search->parts, compare_names);
        if (found && page->entries[i].size == (*found)->stored_bytes)
            search->seen[found - search->parts] = true;
    }
    return 0;
}

/* Are all parts in the repository that are about to be promised, each of its size? */
static int check_parts(pb_repository *repository, const pb_snapshot_file *file, pb_error *error)
{
    pb_buffer prefix = {0};
    pb_layout_snapshot_file(&prefix, pb_slice_of(file->id), "manifest/");
    part_search search = {
        .parts = pb_allocate((file->part_count + 1) * sizeof *search.parts),
        .seen = pb_allocate_zeroed(file->part_count + 1, sizeof *search.seen),
        .count = file->part_count,
        .prefix_size = prefix.size,
    };
    for (size_t i = 0; i < file->part_count; i++)
        search.parts[i] = &file->parts[i];
    qsort(search.parts, search.count, sizeof *search.parts, compare_names);
    int failed = pb_sequence_list(repository->store, pb_buffer_slice(&prefix), (pb_slice){NULL, 0},
                                  0, find_parts, &search, error);
    for (size_t i = 0; i < search.count && !failed; i++)
        if (!search.seen[i])
            failed = pb_error_set(error, PB_ERROR_DAMAGED,
                                  "the repository lost manifest part %s, which it had taken",
                                  search.parts[i]->name);
    pb_buffer_free(&prefix);
    free(search.parts);
    free(search.seen);
    return failed;
}

/* The commit key is taken: by this very commit, whose answer was lost, or by a note that closes the
 * attempt. */
static int look_what_is_there(pb_repository *repository, pb_slice key, pb_slice text,
                              pb_error *error)
{
    pb_buffer there = {0};
    char by[PB_CLOSED_BY_SIZE];
    int failed = pb_store_read(repository->store, key, PB_SNAPSHOT_FILE_BYTES_MAX, &there, error);
    bool same = !failed && pb_slice_equal(pb_buffer_slice(&there), text);
    if (!failed && !same && pb_closing_note_parse(pb_buffer_slice(&there), by)) {
        failed =
            pb_error_set(error, PB_ERROR_BUSY,
                         "this attempt was closed by %s, which goes on with what it copied", by);
        pb_error_hint(error, "a run that is stopped for a minute, or that --take-over was said of, "
                             "counts as dead; run it again to back up what is new since");
    } else if (!failed && !same) {
        failed = pb_error_set(error, PB_ERROR_BUSY, "somebody else has committed it");
    }
    pb_buffer_free(&there);
    return failed;
}

int pb_commit_check(const pb_snapshot_file *file, const pb_commit_terms *terms, pb_error *error)
{
    /* In a full backup the numbers alone tell of losses. */
    uint64_t gone = terms->gone_objects;
    if (terms->before_objects > file->objects && terms->before_objects - file->objects > gone)
        gone = terms->before_objects - file->objects;
    if (!terms->before[0] && !file->objects && !terms->allow_empty) {
        pb_error_set(error, PB_ERROR_FAILED, "%s holds no object%s%s: nothing was committed",
                     file->source, file->prefix[0] ? " with the prefix " : "", file->prefix);
        return pb_error_hint(error, "check the source and --prefix; if it is empty indeed, run the "
                                    "same command again with --allow-empty");
    }
    if (terms->before[0] && gone > terms->before_objects / 2 && !terms->allow_gone) {
        pb_error_set(error, PB_ERROR_FAILED,
                     "%llu of the %llu objects of snapshot %s are gone from %s: nothing was "
                     "committed",
                     (unsigned long long)gone, (unsigned long long)terms->before_objects,
                     terms->before, file->source);
        return pb_error_hint(error, "check the source; if they were deleted on purpose, run the "
                                    "same command again with --allow-gone");
    }
    return 0;
}

int pb_commit(pb_repository *repository, const pb_snapshot_file *file, pb_error *error)
{
    pb_buffer text = {0}, key = {0};
    pb_snapshot_file read = {0};
    pb_session_phase(repository->session, "committing");
    pb_snapshot_file_append(&text, file);
    pb_layout_snapshot_file(&key, pb_slice_of(file->id), "snapshot.json");
    /* What is about to be promised is read back first: parts without gap, sums that agree. */
    int failed = pb_snapshot_file_parse(pb_buffer_slice(&text), &read, error);
    pb_snapshot_file_free(&read);
    if (failed)
        pb_error_context(error, "not committed, this is a bug of pbcopy");
    if (!failed)
        failed = check_parts(repository, file, error);
    if (!failed && !repository->file.create_only) {
        pb_store_request look = {.operation = PB_STORE_HEAD, .key = pb_buffer_slice(&key)};
        pb_error absent = {0};
        if (!pb_store_call(repository->store, &look, &absent))
            failed = pb_error_set(error, PB_ERROR_EXISTS, "it is committed already");
        else if (absent.kind != PB_ERROR_NOT_FOUND) {
            *error = absent;
            failed = -1;
        }
    }
    bool is_sent = !failed;
    if (!failed)
        failed = pb_repository_write_proven(repository, pb_buffer_slice(&key),
                                            pb_buffer_slice(&text), error);
    if (failed && error->kind == PB_ERROR_EXISTS)
        failed =
            look_what_is_there(repository, pb_buffer_slice(&key), pb_buffer_slice(&text), error);
    if (failed && is_sent && error->kind == PB_ERROR_CANCELLED) {
        pb_error_set(error, PB_ERROR_CANCELLED,
                     "cancelled while snapshot %s was being committed: the store may have it",
                     file->id);
        pb_error_hint(error, "`pbcopy snapshots` shows whether it is complete");
    } else if (failed) {
        pb_error_context(error, "committing snapshot %s", file->id);
    }
    pb_buffer_free(&text);
    pb_buffer_free(&key);
    return failed;
}
