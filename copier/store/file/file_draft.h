/* copier/store/file/file_draft.h - a file under a temporary name until it is whole: written,
 * flushed, and only then given its key's name in one step. Blocks: for the thread pool, one thread
 * at a time. */
#ifndef PB_COPIER_STORE_FILE_FILE_DRAFT_H
#define PB_COPIER_STORE_FILE_FILE_DRAFT_H

#include "copier/store/file/file_tree.h"

enum { PB_FILE_DRAFT_NAME_MAX = 48 };

typedef struct pb_file_draft {
    pb_file_tree *tree;
    pb_slice key; /* the caller's memory */
    pb_file_place place;
    int file;      /* open for writing */
    int directory; /* holds `name`: the key's own, so that the last step stays in one directory */
    char name[PB_FILE_DRAFT_NAME_MAX];
    bool adopted; /* `directory` and `name` are the caller's: left as they are on failure */
} pb_file_draft;

/* Makes the directories of a key and an empty temporary file among them. On success, to be
 * published or discarded. */
int pb_file_draft_open(pb_file_tree *tree, pb_slice key, pb_file_draft *ret_draft, pb_error *error);

/* The same for a file there is already. `file` and `directory` stay the caller's to close; `name`
 * goes with a publication that succeeds. */
int pb_file_draft_adopt(pb_file_tree *tree, pb_slice key, int file, int directory, const char *name,
                        pb_file_draft *ret_draft, pb_error *error);

/* Flushes the file and gives it its name, durably. With create_only, fails with EXISTS where the
 * key exists. Ends the draft either way: a failure leaves nothing. *ret_status is the file's. */
int pb_file_draft_publish(pb_file_draft *draft, bool create_only, struct stat *ret_status,
                          pb_error *error);
void pb_file_draft_discard(pb_file_draft *draft);

/* Writes all at an offset. 0, or -1 with errno. */
int pb_file_write(int file, pb_slice bytes, uint64_t offset);

/* Copies a range between files, in the kernel where it can (and without moving bytes where the file
 * system can). 0, or -1 with errno: ENODATA where the source ends early. */
int pb_file_transfer(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length);

#endif
