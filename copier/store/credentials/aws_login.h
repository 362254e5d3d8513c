/* copier/store/credentials/aws_login.h - whose S3 requests are, and where they go: the places that
 * are looked at, in order. Blocks (files; a second where a metadata server is looked for); any
 * thread.
 *
 * In order: anonymous=true of the URL; profile= of the URL; PBCOPY_<ROLE>_ACCESS_KEY_ID...; keys
 * that are known from elsewhere; AWS_ACCESS_KEY_ID...; AWS_WEB_IDENTITY_TOKEN_FILE with
 * AWS_ROLE_ARN; the profile AWS_PROFILE, AWS_DEFAULT_PROFILE or "default";
 * AWS_CONTAINER_CREDENTIALS_*; the metadata server of EC2. That one is asked where the store is
 * AWS's, or AWS_EC2_METADATA_SERVICE_ENDPOINT says where it is: beside another store it would be
 * somebody else's login, or a wait for nothing.
 *
 * Without any login: USAGE, with the places that were looked at. But plain HTTP to a loopback
 * address or to a name under .test or .localhost (RFC 6761: an emulator, a test server) goes
 * unsigned, which a line at debug level says. */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_LOGIN_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_LOGIN_H

#include "base/log.h"
#include "copier/store/credentials/source.h"
#include "copier/store/store.h"

typedef struct pb_aws_login_options {
    const char *role;          /* NULL for none */
    const pb_store_keys *keys; /* NULL for none */
    const char *ca_bundle;     /* of --ca-bundle, before AWS_CA_BUNDLE; NULL for none */
    const pb_environment *environment;
    const pb_log *log; /* NULL for none; borrowed for the call alone */
} pb_aws_login_options;

typedef struct pb_aws_login {
    pb_credential_source *source; /* whoever takes it sets NULL */
    /* What stays the same when keys rotate, to compare two ends: "key AKIA..." where keys are given
     * as they are, else the source's name; "anonymous". */
    char *identity;
    char *region;    /* of the environment or the profile; NULL where nothing says one */
    char *ca_bundle; /* NULL for none */
} pb_aws_login;

/* `location` is one that pb_aws_locate has filled. Fails with USAGE; free with pb_aws_login_free.
 */
int pb_aws_login_find(const pb_location *location, const pb_aws_login_options *options,
                      pb_aws_login *ret_login, pb_error *error);
void pb_aws_login_free(pb_aws_login *login); /* zeroed ones allowed */

/* Fills the endpoint of a location that names none, as environment and profile say it (see
 * aws_place.h), and where there is none at all, fips and dual_stack. Fails with USAGE. */
int pb_aws_locate(pb_location *location, const pb_environment *environment, pb_error *error);

#endif
