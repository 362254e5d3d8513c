/* copier/store/s3/credentials.h - whose requests they are: environment and AWS's files. Any thread.
 *
 * Source of the files' form: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html. Keys
 * that stand there are used; what would have to be run or asked for (credential_process, SSO,
 * source_profile, web identity) is refused by name, never passed over in silence. */
#ifndef PB_COPIER_STORE_S3_CREDENTIALS_H
#define PB_COPIER_STORE_S3_CREDENTIALS_H

#include "base/bytes.h"
#include "base/error.h"
#include "copier/store/store.h"

typedef struct pb_s3_credentials {
    char *access_key_id; /* NULL: requests go unsigned */
    char *secret_access_key;
    char *session_token; /* NULL where there is none */
    char *region;        /* NULL where nothing says one */
} pb_s3_credentials;

/* Zeroes what is secret and frees; zeroed ones allowed. */
void pb_s3_credentials_free(pb_s3_credentials *credentials);

/* getenv, or a test's: NULL or "" where `name` is not set. */
typedef const char *(*pb_s3_environment)(void *context, const char *name);

/* Looks in the order that store.h states: `profile` (of the URL, NULL where not said),
 * PBCOPY_<ROLE>_* (`role` may be NULL), `keys` (may be NULL), AWS_ACCESS_KEY_ID..., the profile
 * AWS_PROFILE or "default" of the files. The region is that of the profile where the URL names one,
 * else of AWS_REGION, AWS_DEFAULT_REGION or the profile. Fails with USAGE, naming variable, or file
 * and line; never showing a value. */
int pb_s3_credentials_find(const char *role, const pb_store_keys *keys, const char *profile,
                           pb_s3_environment environment, void *context,
                           pb_s3_credentials *ret_credentials, pb_error *error);

typedef enum pb_s3_file_kind {
    PB_S3_FILE_CREDENTIALS, /* sections are [NAME] */
    PB_S3_FILE_CONFIG,      /* sections are [profile NAME] and [default] */
} pb_s3_file_kind;

/* Fills what `credentials` has not yet from one file's bytes: a key and its secret only together,
 * the token with them. *ret_found tells whether the profile is there. `name` is the file's, for
 * messages. Pure. */
int pb_s3_profile_read(pb_slice file, const char *name, pb_s3_file_kind kind, const char *profile,
                       pb_s3_credentials *credentials, bool *ret_found, pb_error *error);

#endif
