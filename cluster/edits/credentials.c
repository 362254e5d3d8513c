#include "cluster/edits/credentials.h"

#include "base/base64.h"
#include "base/spelling.h"
#include "cluster/kubernetes/object.h"
#include "cluster/pachyderm/layout.h"

#include <stdint.h>

/* The place in the table; PB_STORAGE_CREDENTIALS where it is none. */
static size_t place_of(const char *name)
{
    size_t place = 0;
    while (place < PB_STORAGE_CREDENTIALS &&
           strcmp(pb_storage_credentials[place].name, name) != 0 &&
           strcmp(pb_storage_credentials[place].also, name) != 0)
        place++;
    return place;
}

int pb_edits_check_credentials(const json_t *credentials, const char *what, pb_error *error)
{
    const char *name, *nearest = NULL;
    json_t *value;
    size_t distance = SIZE_MAX;
    if (!json_object_size(credentials))
        return pb_error_set(error, PB_ERROR_USAGE, "%s: names no credential", what);
    json_object_foreach((json_t *)(uintptr_t)credentials, name, value)
    {
        const char *text = json_string_value(value);
        if (!*name || place_of(name) == PB_STORAGE_CREDENTIALS) {
            pb_error_set(error, PB_ERROR_USAGE, "%s: \"%s\" is no credential of a bucket", what,
                         name);
            for (size_t i = 0; i < PB_STORAGE_CREDENTIALS; i++)
                if (pb_spelling_is_nearer(pb_slice_of(name), pb_storage_credentials[i].name,
                                          &distance))
                    nearest = pb_storage_credentials[i].name;
            return nearest ? pb_error_hint(error, "did you mean %s?", nearest)
                           : pb_error_hint(error, "names are those of pachyderm-storage-secret: "
                                                  "AMAZON_ID and AMAZON_SECRET, GOOGLE_CRED, ...");
        }
        if (!text || !*text)
            return pb_error_set(error, PB_ERROR_USAGE, "%s: the value of %s is no text", what,
                                name);
    }
    return 0;
}

static const char *given(const json_t *credentials, size_t place)
{
    const char *value =
        json_string_value(json_object_get(credentials, pb_storage_credentials[place].name));
    return value ? value
                 : json_string_value(
                       json_object_get(credentials, pb_storage_credentials[place].also));
}

static void set(json_t *data, const char *name, const char *value)
{
    pb_buffer text = {0};
    pb_base64_encode(&text, pb_slice_of(value));
    json_object_set_new(data, name, json_stringn(text.data, text.size));
    pb_buffer_wipe(&text);
}

static void edit_data(const json_t *credentials, json_t *data)
{
    for (size_t i = 0; i < PB_STORAGE_CREDENTIALS; i++) {
        const char *value = given(credentials, i);
        bool has_also = *pb_storage_credentials[i].also &&
                        json_object_get(data, pb_storage_credentials[i].also);
        if (!value) {
            json_object_del(data, pb_storage_credentials[i].name);
            json_object_del(data, pb_storage_credentials[i].also);
            continue;
        }
        /* Under each name that there is; else under the one that was given. */
        if (has_also || json_object_get(credentials, pb_storage_credentials[i].also))
            set(data, pb_storage_credentials[i].also, value);
        if (json_object_get(data, pb_storage_credentials[i].name) ||
            json_object_get(credentials, pb_storage_credentials[i].name))
            set(data, pb_storage_credentials[i].name, value);
    }
}

int pb_edits_credentials(const json_t *credentials, json_t *objects, pb_error *error)
{
    json_t *object;
    size_t found = 0, i;
    json_array_foreach(objects, i, object)
    {
        json_t *data = json_object_get(object, "data");
        if (!pb_object_is(object, "Secret", PB_STORAGE_SECRET) || !json_is_object(data))
            continue;
        edit_data(credentials, data);
        found++;
    }
    if (found)
        return 0;
    return pb_error_set(error, PB_ERROR_FAILED,
                        "bucket-credentials: found no secret pachyderm-storage-secret");
}
