#include "copier/store/credentials/source.h"

#include <stdlib.h>
#include <string.h>

void pb_credential_clear(pb_credential *credential)
{
    pb_text_wipe(credential->access_key_id);
    pb_text_wipe(credential->secret_access_key);
    pb_text_wipe(credential->session_token);
    pb_text_wipe(credential->bearer_token);
    *credential = (pb_credential){0};
}

void pb_credential_copy(const pb_credential *credential, pb_credential *ret_copy)
{
    *ret_copy = (pb_credential){
        .access_key_id = pb_duplicate_text(credential->access_key_id),
        .secret_access_key = pb_duplicate_text(credential->secret_access_key),
        .session_token = pb_duplicate_text(credential->session_token),
        .bearer_token = pb_duplicate_text(credential->bearer_token),
        .expires_ms = credential->expires_ms,
    };
}

/* ---- a value that is known ---- */

typedef struct fixed_source {
    pb_credential_source source; /* first: callbacks cast */
    pb_credential value;
} fixed_source;

static int fixed_fetch(pb_credential_source *source, pb_credential *ret_credential, pb_error *error)
{
    (void)error;
    pb_credential_copy(&((fixed_source *)source)->value, ret_credential);
    return 0;
}

static void fixed_free(pb_credential_source *source)
{
    fixed_source *self = (fixed_source *)source;
    pb_credential_clear(&self->value);
    free(source->name);
    free(self);
}

pb_credential_source *pb_credential_source_fixed(const pb_credential *credential, const char *name)
{
    fixed_source *self = pb_allocate_zeroed(1, sizeof *self);
    self->source = (pb_credential_source){
        .fetch = fixed_fetch,
        .free = fixed_free,
        .name = pb_duplicate(pb_slice_of(name)),
        .lasts = true,
    };
    pb_credential_copy(credential, &self->value);
    return &self->source;
}

/* ---- environment ---- */

static const char *process_variable(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

const pb_environment pb_environment_of_process = {.variable = process_variable};

const char *pb_environment_get(const pb_environment *environment, const char *name)
{
    const char *value = environment->variable(environment->context, name);
    return value && *value ? value : NULL;
}
