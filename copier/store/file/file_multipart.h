/* copier/store/file/file_multipart.h - objects written in parts.
 *
 * An upload is a directory ".pbcopy-upload-<id>" at the root. As a rule all parts but the last are
 * of one size: those are written where they belong in one file, and completing renames it.
 * `slot_bytes` is the size that part 1 is taken to have; a larger part, and all parts where it is
 * 0, become files of their own, and completing has to copy. Which way a part went is in its ETag.
 * Blocks: for the thread pool; parts may be written by several threads at once. */
#ifndef PB_COPIER_STORE_FILE_FILE_MULTIPART_H
#define PB_COPIER_STORE_FILE_FILE_MULTIPART_H

#include "copier/store/file/file_tree.h"
#include "copier/store/store.h"

enum { PB_FILE_UPLOAD_ID_MAX = 33 };

int pb_file_upload_create(const pb_file_tree *tree, char ret_id[PB_FILE_UPLOAD_ID_MAX],
                          pb_error *error);

int pb_file_upload_put(const pb_file_tree *tree, pb_slice id, unsigned part_number,
                       uint64_t slot_bytes, pb_slice body, char ret_etag[PB_ETAG_TEXT_MAX],
                       pb_error *error);

/* The range [offset, offset + length) of a source; length 0 goes to its end. */
int pb_file_upload_copy(const pb_file_tree *tree, pb_slice id, unsigned part_number,
                        uint64_t slot_bytes, const pb_file_tree *source, pb_slice source_key,
                        uint64_t offset, uint64_t length, pb_slice if_match,
                        char ret_etag[PB_ETAG_TEXT_MAX], pb_error *error);

/* Makes the object of the parts 1 to part_count and removes the upload. A failure leaves it. */
int pb_file_upload_complete(pb_file_tree *tree, pb_slice key, pb_slice id,
                            const char (*part_etags)[PB_ETAG_TEXT_MAX], unsigned part_count,
                            bool create_only, struct stat *ret_status, pb_error *error);

/* A missing upload is no error. */
int pb_file_upload_abort(const pb_file_tree *tree, pb_slice id, pb_error *error);

#endif
