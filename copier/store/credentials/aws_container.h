/* copier/store/credentials/aws_container.h - keys from an agent beside the container: ECS tasks and
 * EKS Pod Identity.
 *
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_CONTAINER_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_CONTAINER_H

#include "copier/store/credentials/source.h"

/* The URL that AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI names,
 * in *ret_url (the caller frees); NULL where neither is set. The token is sent there, so it must be
 * https, this machine (localhost, 127.0.0.0/8, [::1]) or the agents' own addresses (169.254.170.2,
 * 169.254.170.23, [fd00:ec2::23]). Fails with USAGE. Pure. */
int pb_aws_container_url(const pb_environment *environment, char **ret_url, pb_error *error);

/* *ret_source is NULL where the environment names no agent. The source never goes through a proxy,
 * but for https; it reads AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE anew for each fetch. */
int pb_aws_container_source(const pb_environment *environment, const char *ca_bundle,
                            pb_credential_source **ret_source, pb_error *error);

#endif
