/* copier/store/credentials/aws_profile_login.h - the login that a profile of AWS's files describes.
 * Any thread; nothing is asked for yet.
 *
 * A profile is, in order: a role (role_arn, with web_identity_token_file, source_profile or
 * credential_source), keys, IAM Identity Center (sso_session, sso_start_url), a program
 * (credential_process). Source:
 * https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_PROFILE_LOGIN_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_PROFILE_LOGIN_H

#include "copier/store/credentials/aws_place.h"

/* *ret_source is NULL where the scope's profile is missing or holds no login. `region` is where
 * roles are asked for. Fails with USAGE where it is incomplete, goes round in a circle, or asks for
 * what is not supported (mfa_serial, login_session). */
int pb_aws_profile_login(const pb_aws_scope *scope, const char *region, const char *ca_bundle,
                         pb_credential_source **ret_source, pb_error *error);

/* Keys in <START>ACCESS_KEY_ID and its kin; *ret_source is NULL where they are not set. USAGE for
 * half of a pair. */
int pb_aws_environment_login(const pb_environment *environment, const char *start,
                             pb_credential_source **ret_source, pb_error *error);

#endif
