#include "copier/store/credentials/aws_login.h"

#include "copier/store/credentials/aws_container.h"
#include "copier/store/credentials/aws_files.h"
#include "copier/store/credentials/aws_metadata.h"
#include "copier/store/credentials/aws_profile_login.h"
#include "copier/store/credentials/aws_sts.h"
#include "copier/store/s3/endpoint.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROLE_BYTES_MAX = 64 };

#define SESSION_NAME "pbcopy"

typedef struct login_search {
    const pb_location *location;
    const pb_aws_login_options *options;
    pb_aws_scope scope;
    pb_aws_login *login;
    const char *region; /* where roles are asked for */
    pb_buffer looked;   /* places where no login is, for the error */
} login_search;

void pb_aws_login_free(pb_aws_login *login)
{
    pb_credential_source_free(login->source);
    free(login->identity);
    free(login->region);
    free(login->ca_bundle);
    *login = (pb_aws_login){0};
}

/* ---- where ---- */

int pb_aws_locate(pb_location *location, const pb_environment *environment, pb_error *error)
{
    pb_aws_scope scope;
    if (location->endpoint)
        return 0;
    if (pb_aws_scope_open(environment, location->profile, NULL, &scope, error))
        return -1;
    int failed = pb_aws_endpoint_find(&scope, "s3", &location->endpoint, error), fips = 0, dual = 0;
    if (!failed && !location->endpoint) {
        fips = pb_aws_flag_find(&scope, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", error);
        if (fips >= 0)
            dual = pb_aws_flag_find(&scope, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint",
                                    error);
        failed = fips < 0 || dual < 0 ? -1 : 0;
        location->fips = fips > 0;
        location->dual_stack = dual > 0;
    }
    pb_aws_scope_close(&scope);
    return failed;
}

/* An emulator or a test server, by the names that RFC 6761 keeps for them: nobody else hears what
 * is sent there. */
static bool is_for_tests(const char *endpoint)
{
    static const char start[] = "http://";
    if (!endpoint || strncmp(endpoint, start, sizeof start - 1) != 0)
        return false;
    const char *host = endpoint + sizeof start - 1;
    size_t size = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    pb_slice name = {host, size};
    bool v4 = size > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= size;
    return v4 || pb_slice_equal(name, PB_SLICE_LITERAL("localhost")) ||
           pb_slice_equal(name, PB_SLICE_LITERAL("[::1]")) ||
           pb_slice_ends_with(name, PB_SLICE_LITERAL(".localhost")) ||
           pb_slice_ends_with(name, PB_SLICE_LITERAL(".test"));
}

/* ---- the places ---- */

static void note_looked(login_search *self, const char *place, const char *more)
{
    pb_buffer_append_format(&self->looked, "%s%s%s", self->looked.size ? ", " : "", place, more);
}

static int look_by_role(login_search *self, pb_error *error)
{
    char start[ROLE_BYTES_MAX];
    const char *role = self->options->role;
    int length = role ? snprintf(start, sizeof start, "PBCOPY_%s_", role) : -1;
    if (length < 0 || (size_t)length >= sizeof start)
        return 0;
    for (char *c = start; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    note_looked(self, start, "ACCESS_KEY_ID");
    return pb_aws_environment_login(self->options->environment, start, &self->login->source, error);
}

static int look_at_keys(login_search *self, pb_error *error)
{
    const pb_store_keys *keys = self->options->keys;
    (void)error;
    if (!keys)
        return 0;
    const pb_credential given = {.access_key_id = (char *)keys->access_key_id,
                                 .secret_access_key = (char *)keys->secret_access_key,
                                 .session_token = (char *)keys->session_token};
    self->login->source = pb_credential_source_fixed(&given, "the cluster's own keys");
    return 0;
}

static int look_in_environment(login_search *self, pb_error *error)
{
    note_looked(self, "AWS_ACCESS_KEY_ID", "");
    return pb_aws_environment_login(self->options->environment, "AWS_", &self->login->source,
                                    error);
}

/* A service account of Kubernetes whose role EKS names (IRSA). */
static int look_for_web_identity(login_search *self, pb_error *error)
{
    const pb_environment *environment = self->options->environment;
    const char *file = pb_environment_get(environment, "AWS_WEB_IDENTITY_TOKEN_FILE");
    const char *role = pb_environment_get(environment, "AWS_ROLE_ARN");
    const char *session = pb_environment_get(environment, "AWS_ROLE_SESSION_NAME");
    note_looked(self, "AWS_WEB_IDENTITY_TOKEN_FILE", "");
    if (!file)
        return 0;
    if (!role || !pb_aws_is_word(pb_slice_of(role)) ||
        (session && !pb_aws_is_word(pb_slice_of(session))))
        return pb_error_set(error, PB_ERROR_USAGE, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but %s",
                            role ? "AWS_ROLE_ARN or AWS_ROLE_SESSION_NAME holds no such value"
                                 : "not AWS_ROLE_ARN");
    char *endpoint;
    if (pb_aws_service_endpoint(&self->scope, "sts", self->region, &endpoint, error))
        return -1;
    pb_buffer name = {0};
    pb_buffer_append_format(&name, "role %s (AWS_WEB_IDENTITY_TOKEN_FILE %s)", role, file);
    self->login->source = pb_aws_sts_source(&(pb_aws_sts_options){
        .name = name.data,
        .endpoint = endpoint,
        .region = self->region,
        .role_arn = role,
        .session_name = session ? session : SESSION_NAME,
        .token_file = file,
        .ca_bundle = self->login->ca_bundle,
    });
    pb_buffer_free(&name);
    free(endpoint);
    return 0;
}

static int look_at_profile(login_search *self, pb_error *error)
{
    const pb_aws_scope *scope = &self->scope;
    char *files = pb_aws_files_named(self->options->environment);
    int failed = 0;
    if (scope->by_variable && !scope->profile)
        failed =
            pb_error_set(error, PB_ERROR_USAGE, "no profile %s in %s", scope->profile_name, files);
    pb_buffer_append_format(&self->looked, ", profile %s in %s", scope->profile_name, files);
    free(files);
    return failed ? -1
                  : pb_aws_profile_login(scope, self->region, self->login->ca_bundle,
                                         &self->login->source, error);
}

static int look_for_container(login_search *self, pb_error *error)
{
    note_looked(self, "AWS_CONTAINER_CREDENTIALS_FULL_URI and _RELATIVE_URI", "");
    return pb_aws_container_source(self->options->environment, self->login->ca_bundle,
                                   &self->login->source, error);
}

static int look_for_metadata(login_search *self, pb_error *error)
{
    const pb_environment *environment = self->options->environment;
    char *url;
    if (pb_aws_metadata_url(environment, &url, error))
        return -1;
    if (!url) {
        note_looked(self, "not the metadata server (AWS_EC2_METADATA_DISABLED is true)", "");
    } else if (!pb_s3_endpoint_is_aws(self->location->endpoint) &&
               !pb_environment_get(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT")) {
        note_looked(self, "not the metadata server (the endpoint is not AWS's)", "");
    } else if (pb_aws_metadata_is_there(url)) {
        self->login->source = pb_aws_metadata_source(url);
    } else {
        note_looked(self, "the metadata server, which does not answer: ", url);
    }
    free(url);
    return 0;
}

static void go_unsigned(login_search *self, const char *name)
{
    self->login->source = pb_credential_source_fixed(&(pb_credential){0}, name);
    self->login->identity = pb_duplicate(PB_SLICE_LITERAL("anonymous"));
}

static int find(login_search *self, pb_error *error)
{
    static int (*const places[])(login_search *, pb_error *) = {
        look_by_role,    look_at_keys,       look_in_environment, look_for_web_identity,
        look_at_profile, look_for_container, look_for_metadata,
    };
    pb_aws_login *login = self->login;
    if (self->location->anonymous) {
        go_unsigned(self, "anonymous=true");
        return 0;
    }
    if (self->scope.by_url) {
        if (pb_aws_profile_login(&self->scope, self->region, login->ca_bundle, &login->source,
                                 error))
            return -1;
        return login->source ? 0
                             : pb_error_set(error, PB_ERROR_USAGE, "profile %s holds no login",
                                            self->scope.profile_name);
    }
    for (size_t i = 0; i < sizeof places / sizeof *places && !login->source; i++)
        if (places[i](self, error))
            return -1;
    if (login->source)
        return 0;
    if (is_for_tests(self->location->endpoint)) {
        pb_log_line(self->options->log, PB_LOG_DEBUG,
                    "no login for %s: requests go unsigned, as it is a place for tests",
                    self->location->endpoint);
        go_unsigned(self, "unsigned");
        return 0;
    }
    pb_error_set(error, PB_ERROR_USAGE, "no login; looked at %s", self->looked.data);
    return pb_error_hint(error, "anonymous=true in the URL asks without a login");
}

/* Keys that stay: the same owner, wherever they were found. */
static void name_identity(pb_aws_login *login)
{
    pb_credential keys = {0};
    pb_buffer identity = {0};
    if (login->identity)
        return;
    if (login->source->lasts && !login->source->fetch(login->source, &keys, NULL))
        pb_buffer_append_format(&identity, "key %s", keys.access_key_id);
    else
        pb_buffer_append_text(&identity, login->source->name);
    pb_credential_clear(&keys);
    login->identity = identity.data;
}

int pb_aws_login_find(const pb_location *location, const pb_aws_login_options *options,
                      pb_aws_login *ret_login, pb_error *error)
{
    pb_aws_login login = {0};
    login_search self = {.location = location, .options = options, .login = &login};
    if (pb_aws_scope_open(options->environment, location->profile, options->log, &self.scope,
                          error))
        return -1;
    int failed = pb_aws_region_find(&self.scope, &login.region, error);
    if (!failed && options->ca_bundle)
        login.ca_bundle = pb_duplicate(pb_slice_of(options->ca_bundle));
    else if (!failed)
        failed = pb_aws_ca_bundle_find(&self.scope, &login.ca_bundle, error);
    self.region = location->region ? location->region
                  : login.region   ? login.region
                                   : PB_S3_REGION_DEFAULT;
    failed = failed || find(&self, error) ? -1 : 0;
    if (!failed)
        name_identity(&login);
    pb_aws_scope_close(&self.scope);
    pb_buffer_free(&self.looked);
    if (failed) {
        pb_aws_login_free(&login);
        return -1;
    }
    *ret_login = login;
    return 0;
}
