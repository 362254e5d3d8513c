#include "copier/store/credentials/google_login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "copier/http/http.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define USER(id)                                                                                   \
    "{\"type\":\"authorized_user\",\"client_id\":\"" id                                            \
    "\",\"client_secret\":\"hush\",\"refresh_token\":\"hush\"}"

static char folder[] = "/tmp/google-login-XXXXXX";
static char role_file[64], application_file[64], gcloud_file[64];

/* ---- an environment ---- */

enum { VARIABLES_MAX = 8 };

typedef struct variables {
    const char *pairs[2 * VARIABLES_MAX]; /* name, value, ... */
} variables;

static const char *variable(void *context, const char *name)
{
    const variables *self = context;
    for (size_t i = 0; i < COUNT(self->pairs) && self->pairs[i]; i += 2)
        if (strcmp(self->pairs[i], name) == 0)
            return self->pairs[i + 1];
    return NULL;
}

/* ---- files ---- */

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_files(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(role_file, sizeof role_file, "%s/role.json", folder);
    snprintf(application_file, sizeof application_file, "%s/application.json", folder);
    snprintf(gcloud_file, sizeof gcloud_file, "%s/application_default_credentials.json", folder);
    write_file(role_file, USER("of-role"), 0600);
    write_file(application_file, USER("of-application"), 0644);
    write_file(gcloud_file, USER("of-gcloud"), 0600);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(role_file);
    unlink(application_file);
    unlink(gcloud_file);
    return rmdir(folder);
}

/* ---- searches ---- */

static unsigned warnings;

static void write_warning(void *context, pb_log_level level, const char *line)
{
    (void)context;
    assert_int_equal(level, PB_LOG_WARNING);
    assert_non_null(strstr(line, "any user of this machine can read this key"));
    assert_null(strstr(line, "hush"));
    warnings++;
}

static const pb_log log_of_warnings = {.level = PB_LOG_WARNING, .write = write_warning};

static int find(const pb_google_login_options *options, const variables *values,
                pb_credential_source **ret_source, pb_error *error)
{
    const pb_environment environment = {.variable = variable, .context = (void *)values};
    pb_google_login_options logged = *options;
    logged.log = &log_of_warnings;
    warnings = 0;
    return pb_google_login_find(&logged, &environment, ret_source, error);
}

static void expect(const pb_google_login_options *options, const variables *values,
                   const char *part)
{
    pb_credential_source *source = NULL;
    pb_error error = {0};
    if (find(options, values, &source, &error))
        fail_msg("%s: %s", part, error.message);
    if (!strstr(source->name, part))
        fail_msg("%s instead of %s", source->name, part);
    pb_credential_source_free(source);
}

static void refuse(const pb_google_login_options *options, const variables *values,
                   pb_error_kind kind, const char *part)
{
    pb_credential_source *source = NULL;
    pb_error error = {0};
    assert_int_equal(find(options, values, &source, &error), -1);
    assert_null(source);
    if (error.kind != kind || !strstr(error.message, part))
        fail_msg("%d, %s: %s", (int)error.kind, part, error.message);
    assert_null(strstr(error.message, "hush"));
}

static void places_come_in_their_order(void **state)
{
    (void)state;
    variables all = {{"PBCOPY_SOURCE_GOOGLE_CREDENTIALS", role_file,
                      "GOOGLE_APPLICATION_CREDENTIALS", application_file, "CLOUDSDK_CONFIG", folder,
                      "NO_GCE_CHECK", "true"}};
    const pb_google_login_options keys = {.role = "source",
                                          .keys = PB_SLICE_LITERAL(USER("of-secret"))};
    const pb_google_login_options source = {.role = "source"},
                                  destination = {.role = "destination"};
    const pb_google_login_options anonymous = {
        .role = "source", .keys = PB_SLICE_LITERAL("hush"), .anonymous = true};
    expect(&anonymous, &all, "anonymous");
    expect(&keys, &all, "of-role");
    expect(&(pb_google_login_options){.role = "destination", .keys = keys.keys}, &all,
           "of-secret, GOOGLE_CRED");
    expect(&source, &all, "of-role");
    assert_int_equal(warnings, 0);
    expect(&destination, &all, "of-application");
    assert_int_equal(warnings, 1); /* its mode is 0644 */
    all.pairs[3] = "";
    expect(&destination, &all, "of-gcloud");
    const variables home = {{"HOME", folder, "NO_GCE_CHECK", "true"}};
    refuse(&destination, &home, PB_ERROR_USAGE, "/.config/gcloud/application_default_credentials");
}

static void an_emulator_gets_what_was_given_for_it_alone(void **state)
{
    (void)state;
    const variables all = {{"PBCOPY_SOURCE_GOOGLE_CREDENTIALS", role_file,
                            "GOOGLE_APPLICATION_CREDENTIALS", application_file, "CLOUDSDK_CONFIG",
                            folder}};
    expect(&(pb_google_login_options){.role = "source", .emulator = true}, &all, "of-role");
    expect(&(pb_google_login_options){.role = "other", .emulator = true}, &all, "anonymous");
    expect(&(pb_google_login_options){.emulator = true}, &all, "anonymous");
}

static void an_anonymous_value_has_no_token_and_lasts(void **state)
{
    (void)state;
    pb_credential_source *source = NULL;
    pb_credential value = {0};
    const variables none = {{NULL}};
    assert_int_equal(find(&(pb_google_login_options){.anonymous = true}, &none, &source, NULL), 0);
    assert_true(source->lasts);
    assert_int_equal(source->fetch(source, &value, NULL), 0);
    assert_null(value.bearer_token);
    assert_int_equal(value.expires_ms, 0);
    pb_credential_source_free(source);
}

static void without_a_login_the_places_are_named(void **state)
{
    (void)state;
    const pb_google_login_options options = {.role = "repository"};
    pb_credential_source *source = NULL;
    pb_error error = {0};
    const variables none = {{"CLOUDSDK_CONFIG", "/nonexistent", "NO_GCE_CHECK", "TRUE"}};
    assert_int_equal(find(&options, &none, &source, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_string_equal(error.message,
                        "no login of Google; looked at PBCOPY_REPOSITORY_GOOGLE_CREDENTIALS, "
                        "GOOGLE_APPLICATION_CREDENTIALS, "
                        "/nonexistent/application_default_credentials.json, "
                        "no metadata server (NO_GCE_CHECK is set)");
    assert_non_null(strstr(error.hint, "anonymous=true"));
}

static void a_file_that_is_named_has_to_be_good(void **state)
{
    (void)state;
    const pb_google_login_options options = {.role = "source"};
    refuse(&options,
           &(variables){
               {"GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key", "CLOUDSDK_CONFIG", folder}},
           PB_ERROR_USAGE, "GOOGLE_APPLICATION_CREDENTIALS: /nonexistent/key");
    refuse(&options, &(variables){{"PBCOPY_SOURCE_GOOGLE_CREDENTIALS", folder}}, PB_ERROR_USAGE,
           "PBCOPY_SOURCE_GOOGLE_CREDENTIALS: ");
    refuse(&(pb_google_login_options){.keys = PB_SLICE_LITERAL("hush")}, &(variables){{NULL}},
           PB_ERROR_USAGE, "GOOGLE_CRED: not valid JSON");
    write_file(gcloud_file, "hush", 0600);
    refuse(&options, &(variables){{"CLOUDSDK_CONFIG", folder}}, PB_ERROR_USAGE, "not valid JSON");
    write_file(gcloud_file, USER("of-gcloud"), 0600);
}

static void a_metadata_server_that_is_named_has_to_answer(void **state)
{
    (void)state;
    const pb_google_login_options options = {0};
    refuse(&options, &(variables){{"GCE_METADATA_HOST", "http://127.0.0.1"}}, PB_ERROR_USAGE,
           "GCE_METADATA_HOST is not HOST or HOST:PORT");
    /* Nothing listens at port 1. */
    refuse(&options, &(variables){{"GCE_METADATA_HOST", "127.0.0.1:1"}}, PB_ERROR_UNREACHABLE,
           "GCE_METADATA_HOST: GET http://127.0.0.1:1/");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_come_in_their_order),
        cmocka_unit_test(an_emulator_gets_what_was_given_for_it_alone),
        cmocka_unit_test(an_anonymous_value_has_no_token_and_lasts),
        cmocka_unit_test(without_a_login_the_places_are_named),
        cmocka_unit_test(a_file_that_is_named_has_to_be_good),
        cmocka_unit_test(a_metadata_server_that_is_named_has_to_answer),
    };
    pb_http_process_start();
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
