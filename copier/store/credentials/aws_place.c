#include "copier/store/credentials/aws_place.h"

#include "copier/store/credentials/aws_files.h"
#include "copier/store/location.h"
#include "copier/store/s3/endpoint.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { VARIABLE_BYTES_MAX = 64 };

int pb_aws_scope_open(const pb_environment *environment, const char *profile, const pb_log *log,
                      pb_aws_scope *ret_scope, pb_error *error)
{
    pb_aws_scope scope = {
        .environment = environment, .profile_name = profile, .by_url = profile != NULL};
    static const char *const variables[] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"};
    for (size_t i = 0; i < 2 && !scope.profile_name; i++)
        scope.profile_name = pb_environment_get(environment, variables[i]);
    scope.by_variable = !profile && scope.profile_name;
    if (!scope.profile_name)
        scope.profile_name = "default";
    if (pb_aws_files_read(environment, log, &scope.profiles, error))
        return -1;
    int failed = pb_aws_profiles_find(scope.profiles, PB_AWS_SECTION_PROFILE, scope.profile_name,
                                      &scope.profile, error);
    if (!failed && profile && !scope.profile) {
        char *files = pb_aws_files_named(environment);
        failed = pb_error_set(error, PB_ERROR_USAGE, "no profile %s in %s", profile, files);
        free(files);
    }
    if (failed) {
        pb_aws_scope_close(&scope);
        return -1;
    }
    *ret_scope = scope;
    return 0;
}

void pb_aws_scope_close(pb_aws_scope *scope)
{
    pb_aws_profiles_free(scope->profiles);
    *scope = (pb_aws_scope){0};
}

static int read_flag(const char *where, pb_slice value, pb_error *error)
{
    if (value.size == 4 && strncasecmp(value.data, "true", 4) == 0)
        return 1;
    if (value.size == 5 && strncasecmp(value.data, "false", 5) == 0)
        return 0;
    return pb_error_set(error, PB_ERROR_USAGE, "%s: neither true nor false", where);
}

int pb_aws_flag_find(const pb_aws_scope *scope, const char *variable, const char *setting,
                     pb_error *error)
{
    const char *value = pb_environment_get(scope->environment, variable);
    const pb_aws_setting *found = pb_aws_section_find(scope->profile, NULL, setting);
    if (found && (scope->by_url || !value)) {
        char where[512];
        snprintf(where, sizeof where, "%s:%u: %s", found->file, found->line, setting);
        return read_flag(where, found->value, error);
    }
    return value ? read_flag(variable, pb_slice_of(value), error) : 0;
}

/* ---- endpoints ---- */

static int take_endpoint(const char *where, const char *value, char **ret_endpoint, pb_error *error)
{
    return pb_location_endpoint_parse(value, false, ret_endpoint, error)
               ? pb_error_context(error, "%s", where)
               : 0;
}

static int endpoint_by_environment(const pb_aws_scope *scope, const char *service,
                                   char **ret_endpoint, pb_error *error)
{
    char variable[VARIABLE_BYTES_MAX];
    snprintf(variable, sizeof variable, "AWS_ENDPOINT_URL_%s", service);
    for (char *c = variable; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    const char *name = variable, *value = pb_environment_get(scope->environment, name);
    if (!value)
        value = pb_environment_get(scope->environment, name = "AWS_ENDPOINT_URL");
    return value ? take_endpoint(name, value, ret_endpoint, error) : 0;
}

static int endpoint_by_section(const pb_aws_section *section, const char *group,
                               char **ret_endpoint, pb_error *error)
{
    char *value = NULL, where[512];
    if (*ret_endpoint || pb_aws_section_text(section, group, "endpoint_url", true, &value, error))
        return *ret_endpoint ? 0 : -1;
    if (!value)
        return 0;
    const pb_aws_setting *setting = pb_aws_section_find(section, group, "endpoint_url");
    snprintf(where, sizeof where, "%s:%u", setting->file, setting->line);
    int failed = take_endpoint(where, value, ret_endpoint, error);
    free(value);
    return failed;
}

static int endpoint_by_profile(const pb_aws_scope *scope, const char *service, char **ret_endpoint,
                               pb_error *error)
{
    char *services = NULL;
    const pb_aws_section *section = NULL;
    if (*ret_endpoint)
        return 0;
    if (pb_aws_section_text(scope->profile, NULL, "services", false, &services, error))
        return -1;
    int failed = services ? pb_aws_profiles_find(scope->profiles, PB_AWS_SECTION_SERVICES, services,
                                                 &section, error)
                          : 0;
    if (!failed && services && !section)
        failed = pb_error_set(error, PB_ERROR_USAGE,
                              "profile %s names services %s, and no [services %s] is there",
                              scope->profile_name, services, services);
    free(services);
    return failed || endpoint_by_section(section, service, ret_endpoint, error) ||
                   endpoint_by_section(scope->profile, NULL, ret_endpoint, error)
               ? -1
               : 0;
}

int pb_aws_endpoint_find(const pb_aws_scope *scope, const char *service, char **ret_endpoint,
                         pb_error *error)
{
    *ret_endpoint = NULL;
    int ignored = pb_aws_flag_find(scope, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                                   "ignore_configured_endpoint_urls", error);
    if (ignored)
        return ignored < 0 ? -1 : 0;
    if (scope->by_url && endpoint_by_profile(scope, service, ret_endpoint, error))
        return -1;
    if (!*ret_endpoint && endpoint_by_environment(scope, service, ret_endpoint, error))
        return -1;
    return scope->by_url ? 0 : endpoint_by_profile(scope, service, ret_endpoint, error);
}

int pb_aws_service_endpoint(const pb_aws_scope *scope, const char *service, const char *region,
                            char **ret_endpoint, pb_error *error)
{
    if (pb_aws_endpoint_find(scope, service, ret_endpoint, error))
        return -1;
    if (*ret_endpoint)
        return 0;
    int fips = pb_aws_flag_find(scope, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", error);
    int dual = fips < 0 ? -1
                        : pb_aws_flag_find(scope, "AWS_USE_DUALSTACK_ENDPOINT",
                                           "use_dualstack_endpoint", error);
    if (dual < 0)
        return -1;
    bool china = strncmp(region, "cn-", 3) == 0;
    const char *domain = dual ? (china ? "api.amazonwebservices.com.cn" : "api.aws")
                              : (china ? "amazonaws.com.cn" : "amazonaws.com");
    pb_buffer url = {0};
    pb_buffer_append_format(&url, "https://%s%s.%s.%s", service, fips ? "-fips" : "", region,
                            domain);
    *ret_endpoint = url.data;
    return 0;
}

/* ---- region, certificates ---- */

static int region_by_environment(const pb_aws_scope *scope, char **ret_region, pb_error *error)
{
    const char *name = "AWS_REGION", *region = pb_environment_get(scope->environment, name);
    if (!region)
        region = pb_environment_get(scope->environment, name = "AWS_DEFAULT_REGION");
    if (!region || *ret_region)
        return 0;
    if (!pb_s3_region_valid(pb_slice_of(region)))
        return pb_error_set(error, PB_ERROR_USAGE, "%s holds no region's name", name);
    *ret_region = pb_duplicate(pb_slice_of(region));
    return 0;
}

static int region_by_profile(const pb_aws_scope *scope, char **ret_region, pb_error *error)
{
    const pb_aws_setting *found = pb_aws_section_find(scope->profile, NULL, "region");
    if (!found || *ret_region)
        return 0;
    if (!pb_s3_region_valid(found->value))
        return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: region holds no such value", found->file,
                            found->line);
    *ret_region = pb_duplicate(found->value);
    return 0;
}

int pb_aws_region_find(const pb_aws_scope *scope, char **ret_region, pb_error *error)
{
    *ret_region = NULL;
    if (scope->by_url && region_by_profile(scope, ret_region, error))
        return -1;
    if (region_by_environment(scope, ret_region, error))
        return -1;
    return region_by_profile(scope, ret_region, error);
}

int pb_aws_ca_bundle_find(const pb_aws_scope *scope, char **ret_path, pb_error *error)
{
    const char *name = "AWS_CA_BUNDLE", *path = pb_environment_get(scope->environment, name);
    char *told = NULL;
    *ret_path = NULL;
    if (pb_aws_section_text(scope->profile, NULL, "ca_bundle", false, &told, error))
        return -1;
    if (told && (scope->by_url || !path))
        path = told, name = "ca_bundle";
    int failed = 0;
    if (path && access(path, R_OK)) {
        failed = pb_error_errno(error, errno, "%s %s", name, path);
        if (error)
            error->kind = PB_ERROR_USAGE;
    } else if (path) {
        *ret_path = pb_duplicate(pb_slice_of(path));
    }
    free(told);
    return failed;
}
