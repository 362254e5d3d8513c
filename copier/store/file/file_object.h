/* copier/store/file/file_object.h - what is done to one object of a directory. Blocks: for the
 * thread pool; a pb_file_tree may be used by all threads at once. */
#ifndef PB_COPIER_STORE_FILE_FILE_OBJECT_H
#define PB_COPIER_STORE_FILE_FILE_OBJECT_H

#include "copier/store/file/file_tree.h"
#include "copier/store/store.h"

/* Modification time in nanoseconds, size and inode, in hex: cheap, and another for other content.
 */
void pb_file_etag(const struct stat *status, char ret_etag[PB_ETAG_TEXT_MAX]);
/* When it changed last. Of a source the later of what a file says of its bytes (mtime, which mv,
 * tar, cp -p and rsync bring along) and of itself (ctime, which nobody can set): a doubt copies
 * once too often. Elsewhere mtime, as a copy is as old as its bytes, whoever changes its rights. */
int64_t pb_file_changed_ms(const pb_file_tree *tree, const struct stat *status);

/* The root exists, is a directory and may be read. */
int pb_file_check(const pb_file_tree *tree, pb_error *error);

/* Opens the file of a key, O_RDONLY or O_PATH. Returns a descriptor, or -1: NOT_FOUND, EXISTS where
 * if_match is not empty and not its ETag, FAILED where it is no regular file. */
int pb_file_object_open(const pb_file_tree *tree, pb_slice key, int flags, pb_slice if_match,
                        struct stat *ret_status, pb_error *error);

/* After reading: fails with EXISTS where the file is not what it was when opened. */
int pb_file_object_unchanged(const pb_file_tree *tree, pb_slice key, int file,
                             const struct stat *opened, pb_error *error);

int pb_file_object_put(pb_file_tree *tree, pb_slice key, pb_slice body, bool create_only,
                       struct stat *ret_status, pb_error *error);

int pb_file_object_copy(pb_file_tree *tree, pb_slice key, const pb_file_tree *source,
                        pb_slice source_key, pb_slice if_match, bool create_only,
                        struct stat *ret_status, pb_error *error);

/* Removes files (a missing one is no error), then the directories they leave empty, durably. */
int pb_file_object_delete(pb_file_tree *tree, const pb_slice *keys, size_t key_count,
                          pb_error *error);

#endif
