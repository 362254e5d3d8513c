#include "snapshot/donor.h"

#include "copier/store/sequence.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct parts {
    pb_part *items;
    size_t count, left_out;
    pb_error why; /* the first was left out */
} parts;

/* Reads the part called `name`; one that is damaged is counted, and no failure. */
static int read_part(pb_repository *repository, const char *id, pb_slice name, parts *found,
                     pb_error *error)
{
    pb_part part = {0};
    pb_error wrong = {0};
    unsigned number;
    char tail;
    snprintf(part.name, sizeof part.name, "%.*s", PB_SLICE_FORMAT(name));
    if (sscanf(part.name, "%u.ndjson.zs%c", &number, &tail) != 2)
        return 0;
    if (pb_repository_part(repository, pb_slice_of(id), &part, &wrong)) {
        pb_part_free(&part);
        if (wrong.kind != PB_ERROR_DAMAGED && wrong.kind != PB_ERROR_NOT_FOUND &&
            wrong.kind != PB_ERROR_USAGE) {
            *error = wrong;
            return -1;
        }
        if (!found->left_out++)
            found->why = wrong;
        return 0;
    }
    /* Grown by doubling: the capacity is the next power of two. */
    if ((found->count & (found->count - 1)) == 0)
        found->items = pb_reallocate(found->items,
                                     (found->count ? found->count * 2 : 1) * sizeof *found->items);
    found->items[found->count++] = part;
    return 0;
}

typedef struct part_search {
    pb_repository *repository;
    const char *id;
    parts *found;
    size_t prefix_size;
} part_search;

static int read_page(void *context, const pb_page *page, pb_error *error)
{
    const part_search *search = context;
    int failed = 0;
    for (size_t i = 0; i < page->count && !failed; i++) {
        pb_slice name = page->entries[i].key;
        name.data += search->prefix_size;
        name.size -= search->prefix_size;
        failed = read_part(search->repository, search->id, name, search->found, error);
    }
    return failed;
}

static int read_parts(pb_repository *repository, const char *id, parts *found, pb_error *error)
{
    pb_buffer prefix = {0};
    pb_layout_snapshot_file(&prefix, pb_slice_of(id), PB_MANIFEST_FOLDER);
    part_search search = {repository, id, found, prefix.size};
    int failed = pb_sequence_list(repository->store, pb_buffer_slice(&prefix), (pb_slice){NULL, 0},
                                  0, read_page, &search, error);
    pb_buffer_free(&prefix);
    return failed;
}

/* Puts the parts in order; of two that overlap the later one goes. */
static void take_parts(parts *found, pb_snapshot_file *file)
{
    if (found->count)
        qsort(found->items, found->count, sizeof *found->items, pb_part_compare);
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) {
        const char *through = kept ? found->items[kept - 1].range.through : "";
        if (!through ||
            pb_slice_compare(pb_slice_of(found->items[i].range.after), pb_slice_of(through)) < 0) {
            if (!found->left_out++)
                pb_error_set(&found->why, PB_ERROR_DAMAGED, "manifest parts overlap");
            pb_part_free(&found->items[i]);
        } else {
            found->items[kept++] = found->items[i];
        }
    }
    file->parts = found->items;
    file->part_count = kept;
}

int pb_donor_open(pb_repository *repository, const char *id, pb_donor *ret_donor, pb_error *error)
{
    parts found = {0};
    *ret_donor = (pb_donor){.lists = true};
    snprintf(ret_donor->id, sizeof ret_donor->id, "%s", id);
    memcpy(ret_donor->file.id, ret_donor->id, sizeof ret_donor->file.id);
    int failed = read_parts(repository, id, &found, error);
    take_parts(&found, &ret_donor->file);
    if (failed) {
        pb_donor_free(ret_donor);
        return pb_error_context(error, "attempt %s", id);
    }
    if (found.left_out)
        pb_session_note(repository->session, "%zu manifest parts of attempt %s are of no use: %s",
                        found.left_out, id, found.why.message);
    return 0;
}

void pb_donor_free(pb_donor *donor)
{
    pb_snapshot_file_free(&donor->file);
    *donor = (pb_donor){0};
}
