/* copier/store/credentials/aws_files.h - reading the files of logins from disk. Blocks; any thread.
 */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_FILES_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_FILES_H

#include "base/log.h"
#include "copier/store/credentials/aws_profiles.h"

/* Reads a whole file of at most `bytes_max` into *ret_bytes, which is wiped with
 * pb_buffer_wipe. `log` (NULL for none) gets a warning where others than the owner and his group
 * may read it. Fails with USAGE, naming the file; *ret_missing (NULL: a failure too) is set, and 0
 * returned, where there is no such file. */
int pb_aws_file_read(const char *path, size_t bytes_max, const pb_log *log, pb_buffer *ret_bytes,
                     bool *ret_missing, pb_error *error);

/* A token that stands in a file: its text without blanks round it, one word. */
int pb_aws_token_read(const char *path, pb_buffer *ret_token, pb_error *error);

/* AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, else ~/.aws/credentials and ~/.aws/config; those
 * that are missing hold nothing. Free with pb_aws_profiles_free. */
int pb_aws_files_read(const pb_environment *environment, const pb_log *log,
                      pb_aws_profiles **ret_profiles, pb_error *error);
/* "/home/u/.aws/credentials or /home/u/.aws/config", for messages; the caller frees. */
char *pb_aws_files_named(const pb_environment *environment);

#endif
