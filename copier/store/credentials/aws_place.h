/* copier/store/credentials/aws_place.h - where a service of AWS is asked, as environment and
 * profile say it: endpoint, region, FIPS, dual stack, certificates. Pure but for the files, which
 * pb_aws_scope_open reads; any thread.
 *
 * Sources: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html,
 * feature-region.html, feature-endpoints.html (FIPS and dual stack), feature-gen-config.html */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_PLACE_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_PLACE_H

#include "base/log.h"
#include "copier/store/credentials/aws_profiles.h"

/* Whose settings hold. A profile that the URL names goes before the environment, any other after.
 */
typedef struct pb_aws_scope {
    const pb_environment *environment;
    pb_aws_profiles *profiles;
    const pb_aws_section *profile; /* NULL: the files do not have it */
    const char *profile_name;      /* of the URL, AWS_PROFILE, AWS_DEFAULT_PROFILE, or "default" */
    bool by_url;                   /* the URL names it */
    bool by_variable;              /* a variable names it */
} pb_aws_scope;

/* `profile` is the URL's, NULL where it names none: then it must exist. `log` as of
 * pb_aws_files_read. Free with pb_aws_scope_close. Fails with USAGE. */
int pb_aws_scope_open(const pb_environment *environment, const char *profile, const pb_log *log,
                      pb_aws_scope *ret_scope, pb_error *error);
void pb_aws_scope_close(pb_aws_scope *scope);

/* The endpoint that is set for `service` ("s3", "sts", "sso"), as pb_location_endpoint_parse gives
 * it; NULL in *ret_endpoint where none is. In order: AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL,
 * the profile's services section, its endpoint_url; none of them where
 * AWS_IGNORE_CONFIGURED_ENDPOINT_URLS or ignore_configured_endpoint_urls is true. The caller frees.
 */
int pb_aws_endpoint_find(const pb_aws_scope *scope, const char *service, char **ret_endpoint,
                         pb_error *error);
/* AWS_REGION, AWS_DEFAULT_REGION, region; NULL where none is set. The caller frees. */
int pb_aws_region_find(const pb_aws_scope *scope, char **ret_region, pb_error *error);
/* A setting that is true or false: 1, 0, or -1 with the error. */
int pb_aws_flag_find(const pb_aws_scope *scope, const char *variable, const char *setting,
                     pb_error *error);
/* AWS_CA_BUNDLE, ca_bundle; NULL where neither is set. The file must be there to be read. */
int pb_aws_ca_bundle_find(const pb_aws_scope *scope, char **ret_path, pb_error *error);

/* Where `service` is asked: what pb_aws_endpoint_find finds, else
 * "https://<service>.<region>.amazonaws.com" or its like for FIPS, dual stack and China. */
int pb_aws_service_endpoint(const pb_aws_scope *scope, const char *service, const char *region,
                            char **ret_endpoint, pb_error *error);

#endif
