#include "manifest/repository_file.h"

#include "base/codec.h"
#include "manifest/document.h"

static const char what[] = "pbcopy.json";
static const char create_only_feature[] = "create_only";
static const char ordered_listing_feature[] = "ordered_listing";

void pb_repository_file_append(pb_buffer *buffer, const pb_repository_file *file)
{
    pb_document_begin(buffer, "repository", PB_REPOSITORY_VERSION);
    pb_document_add_text(buffer, "id", file->id);
    pb_buffer_append_format(buffer, ",\"features\":{\"%s\":%s,\"%s\":%s}}\n", create_only_feature,
                            file->create_only ? "true" : "false", ordered_listing_feature,
                            file->unordered_listing ? "false" : "true");
}

/* A reader that does not know one of these would do harm. */
static int check_required(const json_t *object, pb_error *error)
{
    json_t *required;
    json_t *feature;
    size_t i;
    if (json_object_get(object, "requires") == NULL)
        return 0;
    if (pb_json_array(object, "requires", what, &required, error) != 0)
        return -1;
    json_array_foreach(required, i, feature)
    {
        const char *name = json_string_value(feature);
        if (name == NULL)
            return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"requires\" holds no string", what);
        if (strcmp(name, create_only_feature) != 0 && strcmp(name, ordered_listing_feature) != 0) {
            pb_error_set(error, PB_ERROR_USAGE,
                         "%s: needs the feature \"%.64s\", unknown to this program", what, name);
            return pb_error_hint(error, "use a newer pbcopy, at least the one that wrote it");
        }
    }
    return 0;
}

static int read_members(const json_t *object, pb_repository_file *file, pb_error *error)
{
    const char *id;
    uint8_t digits[16];
    if (check_required(object, error) != 0 ||
        pb_json_unsigned(object, "version", what, &file->version, error) != 0 ||
        pb_json_string(object, "id", what, &id, error) != 0)
        return -1;
    if (!pb_hex_decode(pb_slice_of(id), digits, sizeof(digits)))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"id\" is not 32 hex digits", what);
    pb_hex_encode(digits, sizeof(digits), file->id);
    const json_t *create_only =
        json_object_get(json_object_get(object, "features"), create_only_feature);
    if (!json_is_boolean(create_only))
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "%s: \"features\" does not say whether \"%s\" is true or false", what,
                            create_only_feature);
    file->create_only = json_is_true(create_only);
    /* Repositories that were made before it was known do not have it. */
    const json_t *ordered =
        json_object_get(json_object_get(object, "features"), ordered_listing_feature);
    if (ordered && !json_is_boolean(ordered))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is neither true nor false", what,
                            ordered_listing_feature);
    file->unordered_listing = json_is_false(ordered);
    return 0;
}

int pb_repository_file_parse(pb_slice text, pb_repository_file *ret_file, pb_error *error)
{
    json_t *object;
    pb_repository_file file = {0};
    if (pb_document_parse(text, "repository", PB_REPOSITORY_VERSION, what, &object, error) != 0)
        return -1;
    int result = read_members(object, &file, error);
    json_decref(object);
    if (result == 0)
        *ret_file = file;
    return result;
}
