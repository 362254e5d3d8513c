#include "copier/store/credentials/aws_profile_login.h"

#include "base/codec.h"
#include "copier/store/credentials/aws_container.h"
#include "copier/store/credentials/aws_metadata.h"
#include "copier/store/credentials/aws_process.h"
#include "copier/store/credentials/aws_sso.h"
#include "copier/store/credentials/aws_sts.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    CHAIN_MAX = 8, /* of source_profile */
    NAME_BYTES_MAX = 128,
    DURATION_S_MIN = 900,
    DURATION_S_MAX = 43200,
};

#define SESSION_NAME "pbcopy"

typedef struct profile_reader {
    const pb_aws_scope *scope;
    const char *region, *ca_bundle;
    const char *chain[CHAIN_MAX]; /* names of the profiles that lead here */
    unsigned depth;
} profile_reader;

typedef struct read_profile {
    const char *name;
    const pb_aws_section *section;
} read_profile;

static int login_of(profile_reader *reader, const char *name, pb_credential_source **ret_source,
                    pb_error *error);

static bool says(const read_profile *profile, const char *setting)
{
    const pb_aws_setting *found = pb_aws_section_find(profile->section, NULL, setting);
    return found && found->value.size;
}

static int refuse(const read_profile *profile, const char *why, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_USAGE, "profile %s: %s", profile->name, why);
}

static char *name_of(const read_profile *profile, const char *what, const char *detail)
{
    pb_buffer name = {0};
    pb_buffer_append_format(&name, "profile %s (%s%s%s)", profile->name, what, *detail ? " " : "",
                            detail);
    return name.data;
}

/* ---- keys ---- */

static int keys_login(const read_profile *profile, pb_credential_source **ret_source,
                      pb_error *error)
{
    pb_credential keys;
    bool found;
    if (pb_aws_section_keys(profile->section, &keys, &found, error))
        return -1;
    if (found) {
        char *name = name_of(profile, "keys", "");
        *ret_source = pb_credential_source_fixed(&keys, name);
        free(name);
    }
    pb_credential_clear(&keys);
    return 0;
}

int pb_aws_environment_login(const pb_environment *environment, const char *start,
                             pb_credential_source **ret_source, pb_error *error)
{
    static const char *const ends[3] = {"ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"};
    char variables[3][NAME_BYTES_MAX];
    const char *values[3];
    *ret_source = NULL;
    for (int i = 0; i < 3; i++) {
        snprintf(variables[i], sizeof variables[i], "%s%s", start, ends[i]);
        values[i] = pb_environment_get(environment, variables[i]);
        if (values[i] && !pb_aws_is_word(pb_slice_of(values[i])))
            return pb_error_set(error, PB_ERROR_USAGE, "%s holds no such value (blanks?)",
                                variables[i]);
    }
    if (!values[0] && !values[1])
        return 0;
    if (!values[0] || !values[1])
        return pb_error_set(error, PB_ERROR_USAGE, "%s is set, but not %s", variables[!values[0]],
                            variables[values[0] != NULL]);
    const pb_credential keys = {.access_key_id = (char *)values[0],
                                .secret_access_key = (char *)values[1],
                                .session_token = (char *)values[2]};
    *ret_source = pb_credential_source_fixed(&keys, variables[0]);
    return 0;
}

/* ---- roles ---- */

static int source_login(profile_reader *reader, const read_profile *profile, const char *source,
                        pb_credential_source **ret_source, pb_error *error)
{
    if (strcmp(source, profile->name) == 0) { /* its own keys */
        if (keys_login(profile, ret_source, error))
            return -1;
        return *ret_source ? 0
                           : refuse(profile, "is its own source_profile and holds no keys", error);
    }
    for (unsigned i = 0; i < reader->depth; i++)
        if (strcmp(reader->chain[i], source) == 0)
            return pb_error_set(error, PB_ERROR_USAGE,
                                "profile %s: source_profile %s goes round in a circle",
                                profile->name, source);
    if (login_of(reader, source, ret_source, error))
        return -1;
    return *ret_source ? 0
                       : pb_error_set(error, PB_ERROR_USAGE,
                                      "profile %s: source_profile %s is missing or holds no login",
                                      profile->name, source);
}

static int credential_login(profile_reader *reader, const read_profile *profile, const char *where,
                            pb_credential_source **ret_source, pb_error *error)
{
    const pb_environment *environment = reader->scope->environment;
    const char *lacks = "AWS_ACCESS_KEY_ID is not set";
    if (strcmp(where, "Environment") == 0) {
        if (pb_aws_environment_login(environment, "AWS_", ret_source, error))
            return -1;
    } else if (strcmp(where, "EcsContainer") == 0) {
        lacks = "no AWS_CONTAINER_CREDENTIALS_* is set";
        if (pb_aws_container_source(environment, reader->ca_bundle, ret_source, error))
            return -1;
    } else if (strcmp(where, "Ec2InstanceMetadata") == 0) {
        char *url;
        lacks = "AWS_EC2_METADATA_DISABLED is true";
        if (pb_aws_metadata_url(environment, &url, error))
            return -1;
        *ret_source = url ? pb_aws_metadata_source(url) : NULL;
        free(url);
    } else {
        return refuse(profile,
                      "credential_source is neither Environment, EcsContainer nor "
                      "Ec2InstanceMetadata",
                      error);
    }
    return *ret_source
               ? 0
               : pb_error_set(error, PB_ERROR_USAGE, "profile %s: credential_source is %s, and %s",
                              profile->name, where, lacks);
}

static int read_duration(const read_profile *profile, uint64_t *ret_seconds, pb_error *error)
{
    const pb_aws_setting *found = pb_aws_section_find(profile->section, NULL, "duration_seconds");
    if (found && found->value.size &&
        (!pb_parse_unsigned(found->value, ret_seconds) || *ret_seconds < DURATION_S_MIN ||
         *ret_seconds > DURATION_S_MAX))
        return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: duration_seconds is %d to %d",
                            found->file, found->line, DURATION_S_MIN, DURATION_S_MAX);
    return 0;
}

typedef struct role_texts {
    char *arn, *session_name, *external_id, *token_file, *source, *where;
} role_texts;

static void role_texts_free(role_texts *texts)
{
    free(texts->arn);
    free(texts->session_name);
    free(texts->external_id);
    free(texts->token_file);
    free(texts->source);
    free(texts->where);
}

static int read_role(const read_profile *profile, role_texts *texts, pb_error *error)
{
    const pb_aws_section *section = profile->section;
    return pb_aws_section_text(section, NULL, "role_arn", true, &texts->arn, error) ||
                   pb_aws_section_text(section, NULL, "role_session_name", true,
                                       &texts->session_name, error) ||
                   pb_aws_section_text(section, NULL, "external_id", true, &texts->external_id,
                                       error) ||
                   pb_aws_section_text(section, NULL, "web_identity_token_file", false,
                                       &texts->token_file, error) ||
                   pb_aws_section_text(section, NULL, "source_profile", false, &texts->source,
                                       error) ||
                   pb_aws_section_text(section, NULL, "credential_source", false, &texts->where,
                                       error)
               ? -1
               : 0;
}

static int base_of_role(profile_reader *reader, const read_profile *profile,
                        const role_texts *texts, pb_credential_source **ret_base, pb_error *error)
{
    if (texts->token_file)
        return 0;
    if (texts->source && texts->where)
        return refuse(profile, "source_profile and credential_source contradict each other", error);
    if (texts->source)
        return source_login(reader, profile, texts->source, ret_base, error);
    if (texts->where)
        return credential_login(reader, profile, texts->where, ret_base, error);
    return refuse(profile,
                  "role_arn without source_profile, credential_source or web_identity_token_file",
                  error);
}

static int role_login(profile_reader *reader, const read_profile *profile,
                      pb_credential_source **ret_source, pb_error *error)
{
    role_texts texts = {0};
    pb_aws_sts_options options = {.region = reader->region, .ca_bundle = reader->ca_bundle};
    char *endpoint = NULL;
    int failed = -1;
    if (says(profile, "mfa_serial"))
        return refuse(profile, "mfa_serial is not supported: nobody is there to type a code",
                      error);
    if (!read_role(profile, &texts, error) &&
        !read_duration(profile, &options.duration_seconds, error) &&
        !pb_aws_service_endpoint(reader->scope, "sts", reader->region, &endpoint, error))
        failed = base_of_role(reader, profile, &texts, &options.base, error);
    if (!failed) {
        char *name = name_of(profile, "role", texts.arn);
        options.name = name;
        options.endpoint = endpoint;
        options.role_arn = texts.arn;
        options.session_name = texts.session_name ? texts.session_name : SESSION_NAME;
        options.external_id = texts.external_id;
        options.token_file = texts.token_file;
        *ret_source = pb_aws_sts_source(&options);
        free(name);
    } else {
        pb_credential_source_free(options.base);
    }
    free(endpoint);
    role_texts_free(&texts);
    return failed;
}

/* ---- IAM Identity Center ---- */

typedef struct sso_texts {
    char *session, *start_url, *region, *account, *role;
} sso_texts;

static void sso_texts_free(sso_texts *texts)
{
    free(texts->session);
    free(texts->start_url);
    free(texts->region);
    free(texts->account);
    free(texts->role);
}

static int read_sso(const profile_reader *reader, const read_profile *profile, sso_texts *texts,
                    pb_error *error)
{
    const pb_aws_section *section = profile->section, *place = section;
    if (pb_aws_section_text(section, NULL, "sso_session", false, &texts->session, error))
        return -1;
    if (texts->session && pb_aws_profiles_find(reader->scope->profiles, PB_AWS_SECTION_SSO_SESSION,
                                               texts->session, &place, error))
        return -1;
    if (!place)
        return pb_error_set(error, PB_ERROR_USAGE, "profile %s: no [sso-session %s] is there",
                            profile->name, texts->session);
    if (pb_aws_section_text(place, NULL, "sso_region", true, &texts->region, error) ||
        pb_aws_section_text(place, NULL, "sso_start_url", true, &texts->start_url, error) ||
        pb_aws_section_text(section, NULL, "sso_account_id", true, &texts->account, error) ||
        pb_aws_section_text(section, NULL, "sso_role_name", true, &texts->role, error))
        return -1;
    if (!texts->region || !texts->start_url || !texts->account || !texts->role)
        return refuse(profile,
                      "sso_region, sso_start_url, sso_account_id and sso_role_name go together",
                      error);
    return 0;
}

static int sso_login(const profile_reader *reader, const read_profile *profile,
                     pb_credential_source **ret_source, pb_error *error)
{
    sso_texts texts = {0};
    const char *home = pb_environment_get(reader->scope->environment, "HOME");
    char *endpoint = NULL;
    int failed = read_sso(reader, profile, &texts, error);
    if (!failed && !home)
        failed = refuse(profile, "HOME is not set: no cached token can be found", error);
    if (!failed)
        failed = pb_aws_endpoint_find(reader->scope, "sso", &endpoint, error);
    if (!failed) {
        pb_buffer portal = {0};
        if (endpoint)
            pb_buffer_append_text(&portal, endpoint);
        else
            pb_buffer_append_format(&portal, "https://portal.sso.%s.amazonaws.com%s", texts.region,
                                    strncmp(texts.region, "cn-", 3) == 0 ? ".cn" : "");
        char *cache = pb_aws_sso_cache_path(home, texts.session ? texts.session : texts.start_url);
        char *name = name_of(profile, "IAM Identity Center, role", texts.role);
        const pb_aws_sso_options options = {
            .name = name,
            .profile = profile->name,
            .cache = cache,
            .endpoint = portal.data,
            .account_id = texts.account,
            .role_name = texts.role,
            .ca_bundle = reader->ca_bundle,
        };
        *ret_source = pb_aws_sso_source(&options);
        free(name);
        free(cache);
        pb_buffer_free(&portal);
    }
    free(endpoint);
    sso_texts_free(&texts);
    return failed;
}

/* ---- a profile ---- */

static int process_login(const read_profile *profile, pb_credential_source **ret_source,
                         pb_error *error)
{
    char *command = NULL;
    if (pb_aws_section_text(profile->section, NULL, "credential_process", false, &command, error))
        return -1;
    char *name = name_of(profile, "credential_process", "");
    *ret_source = pb_aws_process_source(command, name, PB_AWS_PROCESS_TIMEOUT_MS);
    free(name);
    free(command);
    return 0;
}

static int choose(profile_reader *reader, const read_profile *profile,
                  pb_credential_source **ret_source, pb_error *error)
{
    if (says(profile, "role_arn"))
        return role_login(reader, profile, ret_source, error);
    if (keys_login(profile, ret_source, error) || *ret_source)
        return *ret_source ? 0 : -1;
    if (says(profile, "sso_session") || says(profile, "sso_start_url"))
        return sso_login(reader, profile, ret_source, error);
    if (says(profile, "credential_process"))
        return process_login(profile, ret_source, error);
    if (says(profile, "login_session"))
        return refuse(profile, "login_session is not supported", error);
    static const char *const needs_role[] = {"web_identity_token_file", "source_profile",
                                             "credential_source"};
    for (size_t i = 0; i < sizeof needs_role / sizeof *needs_role; i++)
        if (says(profile, needs_role[i]))
            return pb_error_set(error, PB_ERROR_USAGE, "profile %s: %s without role_arn",
                                profile->name, needs_role[i]);
    return 0;
}

static int login_of(profile_reader *reader, const char *name, pb_credential_source **ret_source,
                    pb_error *error)
{
    read_profile profile = {.name = name};
    *ret_source = NULL;
    if (reader->depth == CHAIN_MAX)
        return pb_error_set(error, PB_ERROR_USAGE, "profile %s: more than %d source_profile",
                            reader->chain[0], CHAIN_MAX - 1);
    if (pb_aws_profiles_find(reader->scope->profiles, PB_AWS_SECTION_PROFILE, name,
                             &profile.section, error))
        return -1;
    if (!profile.section)
        return 0;
    reader->chain[reader->depth++] = name;
    int failed = choose(reader, &profile, ret_source, error);
    reader->depth--;
    return failed;
}

int pb_aws_profile_login(const pb_aws_scope *scope, const char *region, const char *ca_bundle,
                         pb_credential_source **ret_source, pb_error *error)
{
    profile_reader reader = {.scope = scope, .region = region, .ca_bundle = ca_bundle};
    return login_of(&reader, scope->profile_name, ret_source, error);
}
