/* copier/store/credentials/aws_sts.h - a role of AWS: AssumeRole by keys, or by a token that stands
 * in a file (IRSA, web_identity_token_file). */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_STS_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_STS_H

#include "copier/store/credentials/source.h"

/* All but `base` is copied. */
typedef struct pb_aws_sts_options {
    const char *name;     /* of the source, for messages */
    const char *endpoint; /* "https://sts.REGION.amazonaws.com", no path */
    const char *region;   /* that is signed for */
    const char *role_arn;
    const char *session_name;
    const char *external_id;    /* NULL for none */
    const char *token_file;     /* read anew for each fetch; NULL: by the keys of `base` */
    uint64_t duration_seconds;  /* 0: the role's default */
    const char *ca_bundle;      /* NULL for the system's */
    pb_credential_source *base; /* taken; NULL with a token file */
} pb_aws_sts_options;

pb_credential_source *pb_aws_sts_source(const pb_aws_sts_options *options);

#endif
