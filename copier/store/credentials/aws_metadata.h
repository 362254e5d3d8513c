/* copier/store/credentials/aws_metadata.h - the role of a machine of EC2, by its metadata server
 * (IMDSv2: a token first, then the role's name, then its keys).
 *
 * Source:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_METADATA_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_METADATA_H

#include "copier/store/credentials/source.h"

/* Where the server is: AWS_EC2_METADATA_SERVICE_ENDPOINT ("http://host[:port]", a path of nothing
 * but '/'), else http://169.254.169.254, or http://[fd00:ec2::254] where
 * AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is IPv6. The caller frees *ret_url; NULL where
 * AWS_EC2_METADATA_DISABLED is true. Fails with USAGE. Pure. */
int pb_aws_metadata_url(const pb_environment *environment, char **ret_url, pb_error *error);

/* Asks whether the server is there: blocks for a second at most. Never through a proxy. */
bool pb_aws_metadata_is_there(const char *url);

pb_credential_source *pb_aws_metadata_source(const char *url);

#endif
