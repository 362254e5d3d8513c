#include "copier/store/credentials/google_login.h"

#include "copier/store/credentials/google_exchange.h"
#include "copier/store/credentials/google_metadata.h"
#include "copier/store/credentials/secret_file.h"
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

enum { POD_PATIENCE_MS = 3000 };

typedef struct login_search {
    const pb_google_login_options *options;
    const pb_environment *environment;
    pb_credential_source *found; /* NULL as long as there is none */
    pb_buffer places;            /* that were looked at, for the message */
    pb_error *error;
} login_search;

static void note_place(login_search *self, const char *place)
{
    if (self->places.size)
        pb_buffer_append_text(&self->places, ", ");
    pb_buffer_append_text(&self->places, place);
}

static int take_key(login_search *self, pb_slice text, const char *place, bool open_to_others)
{
    pb_google_key *key = NULL;
    if (pb_google_key_parse(text, place, &key, self->error))
        return -1;
    if (open_to_others && pb_google_key_is_secret(key))
        pb_log_line(self->options->log, PB_LOG_WARNING,
                    "%s: any user of this machine can read this key (chmod go= on it)", place);
    self->found = pb_google_key_source(key, place, self->options->ca_bundle);
    return 0;
}

/* `variable` names the file, NULL where it is gcloud's own, which need not exist. */
static int take_file(login_search *self, const char *path, const char *variable)
{
    pb_buffer text = {0};
    bool open_to_others = false;
    int failed =
        pb_secret_file_read(path, PB_GOOGLE_KEY_BYTES_MAX, &text, &open_to_others, self->error);
    if (!failed) {
        failed = take_key(self, pb_buffer_slice(&text), path, open_to_others);
    } else if (!variable && self->error->kind == PB_ERROR_NOT_FOUND) {
        note_place(self, path);
        failed = 0;
    } else {
        self->error->kind = PB_ERROR_USAGE;
    }
    pb_buffer_wipe(&text);
    return failed && variable ? pb_error_context(self->error, "%s", variable) : failed;
}

static int look_at_variable(login_search *self, const char *variable)
{
    const char *path = pb_environment_get(self->environment, variable);
    if (path)
        return take_file(self, path, variable);
    note_place(self, variable);
    return 0;
}

static int look_by_role(login_search *self)
{
    pb_buffer name = {0};
    if (!self->options->role)
        return 0;
    pb_buffer_append_format(&name, "PBCOPY_%s_GOOGLE_CREDENTIALS", self->options->role);
    for (char *c = name.data; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    int failed = look_at_variable(self, name.data);
    pb_buffer_free(&name);
    return failed;
}

static int look_at_gcloud(login_search *self)
{
    const char *folder = pb_environment_get(self->environment, "CLOUDSDK_CONFIG");
    const char *home = pb_environment_get(self->environment, "HOME");
    pb_buffer path = {0};
    if (!folder && !home)
        return 0;
    pb_buffer_append_format(&path, "%s%s/application_default_credentials.json",
                            folder ? folder : home, folder ? "" : "/.config/gcloud");
    int failed = take_file(self, path.data, NULL);
    pb_buffer_free(&path);
    return failed;
}

static int look_at_metadata(login_search *self)
{
    static const char variable[] = "GCE_METADATA_HOST";
    const char *named = pb_environment_get(self->environment, variable);
    const char *skip = pb_environment_get(self->environment, "NO_GCE_CHECK");
    const char *host = named ? named : PB_GOOGLE_METADATA_HOST;
    bool in_pod = pb_environment_get(self->environment, "KUBERNETES_SERVICE_HOST");
    if (skip && strcasecmp(skip, "true") == 0) {
        note_place(self, "no metadata server (NO_GCE_CHECK is set)");
        return 0;
    }
    if (named && !pb_google_metadata_host_is_valid(named))
        return pb_error_set(self->error, PB_ERROR_USAGE, "%s is not HOST or HOST:PORT", variable);
    if (!pb_google_metadata_probe(host, in_pod ? POD_PATIENCE_MS : 0, self->error)) {
        self->found = pb_google_metadata_source(host);
        return 0;
    }
    if (named)
        return pb_error_context(self->error, "%s", variable);
    note_place(self, "the metadata server " PB_GOOGLE_METADATA_HOST);
    return 0;
}

/* Anonymous: a value without a token. */
static int take_nothing(login_search *self)
{
    const pb_credential nothing = {0};
    self->found = pb_credential_source_fixed(&nothing, "anonymous");
    return 0;
}

static int refuse(login_search *self)
{
    pb_error_set(self->error, PB_ERROR_USAGE, "no login of Google; looked at %s",
                 self->places.data);
    return pb_error_hint(self->error,
                         "set GOOGLE_APPLICATION_CREDENTIALS to a key file, run gcloud auth "
                         "application-default login, or ask for ?anonymous=true");
}

static int look_at_keys(login_search *self)
{
    pb_slice keys = self->options->keys;
    return keys.size ? take_key(self, keys, "GOOGLE_CRED", false) : 0;
}

static int look_for_emulator(login_search *self)
{
    return self->options->emulator ? take_nothing(self) : 0;
}

static int look_at_application(login_search *self)
{
    return look_at_variable(self, "GOOGLE_APPLICATION_CREDENTIALS");
}

static int search(login_search *self)
{
    static int (*const places[])(login_search *) = {
        look_by_role,        look_at_keys,   look_for_emulator,
        look_at_application, look_at_gcloud, look_at_metadata,
    };
    if (self->options->anonymous)
        return take_nothing(self);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i](self))
            return -1;
        if (self->found)
            return 0;
    }
    return refuse(self);
}

int pb_google_login_find(const pb_google_login_options *options, const pb_environment *environment,
                         pb_credential_source **ret_source, pb_error *error)
{
    pb_error found = {0}; /* of a place that was passed over, too */
    login_search self = {.options = options, .environment = environment, .error = &found};
    int failed = search(&self);
    pb_buffer_free(&self.places);
    if (failed && error)
        *error = found;
    else if (!failed)
        *ret_source = self.found;
    return failed;
}
