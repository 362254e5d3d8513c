/* copier/store/credentials/aws_sso.h - keys of IAM Identity Center, by a token that `aws sso login`
 * left in ~/.aws/sso/cache. The token is read only, never renewed.
 *
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html (the cache's
 * name is the SHA-1 of the session's name, or of the start URL in profiles of the old form) */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_SSO_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_SSO_H

#include "copier/store/credentials/source.h"

/* All copied. */
typedef struct pb_aws_sso_options {
    const char *name;     /* of the source, for messages */
    const char *profile;  /* for the hint: `aws sso login --profile PROFILE` */
    const char *cache;    /* path of the token's file */
    const char *endpoint; /* "https://portal.sso.REGION.amazonaws.com", no path */
    const char *account_id, *role_name;
    const char *ca_bundle; /* NULL for the system's */
} pb_aws_sso_options;

pb_credential_source *pb_aws_sso_source(const pb_aws_sso_options *options);

/* "HOME/.aws/sso/cache/<SHA-1 of key>.json"; the caller frees. Pure. */
char *pb_aws_sso_cache_path(const char *home, const char *key);

/* Reads accessToken out of the cached file's text into *ret_token (wiped by the caller). Fails with
 * USAGE where there is none, or it has ended by now_ms. Pure. */
int pb_aws_sso_token_read(pb_slice text, int64_t now_ms, pb_buffer *ret_token, pb_error *error);

#endif
