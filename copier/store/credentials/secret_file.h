/* copier/store/credentials/secret_file.h - a small file of secrets, read whole. Any thread. */
#ifndef PB_COPIER_STORE_CREDENTIALS_SECRET_FILE_H
#define PB_COPIER_STORE_CREDENTIALS_SECRET_FILE_H

#include "base/bytes.h"
#include "base/error.h"

/* Appends the bytes of a regular file; *ret_is_open_to_others (NULL allowed) tells whether any user
 * of the machine may read or write it. Free *ret_bytes with pb_buffer_wipe, also after a failure.
 * Fails with NOT_FOUND where there is no such file, else with USAGE; messages name the path. */
int pb_secret_file_read(const char *path, size_t bytes_max, pb_buffer *ret_bytes,
                        bool *ret_is_open_to_others, pb_error *error);

/* Appends all that an open file has. Fails with USAGE, where it is more than bytes_max too. */
int pb_secret_read_all(int file, const char *path, size_t bytes_max, pb_buffer *bytes,
                       pb_error *error);

#endif
