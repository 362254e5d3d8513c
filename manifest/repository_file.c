#include "manifest/repository_file.h"

#include "base/codec.h"
#include "manifest/document.h"

static const char what[] = "pbcopy.json";
static const char create_only_feature[] = "create_only";
static const char ordered_listing_feature[] = "ordered_listing";
static const char listed_sources_feature[] = "listed_sources";
static const char md5_etags_feature[] = "md5_etags";
static const char kept_etags_feature[] = "kept_etags";
static const char copies_feature[] = "copies";
static const char content_md5_feature[] = "needs_content_md5";

static void add_feature(pb_buffer *buffer, const char *name, bool has)
{
    pb_buffer_append_format(buffer, ",\"%s\":%s", name, has ? "true" : "false");
}

void pb_repository_file_append(pb_buffer *buffer, const pb_repository_file *file)
{
    pb_document_begin(buffer, "repository", PB_REPOSITORY_VERSION);
    pb_document_add_text(buffer, "id", file->id);
    pb_buffer_append_format(buffer, ",\"features\":{\"%s\":%s", create_only_feature,
                            file->create_only ? "true" : "false");
    add_feature(buffer, ordered_listing_feature, !file->unordered_listing);
    add_feature(buffer, listed_sources_feature, file->lists_sources);
    add_feature(buffer, md5_etags_feature, !file->opaque_etags);
    add_feature(buffer, kept_etags_feature, !file->unkept_etags);
    add_feature(buffer, copies_feature, !file->refuses_copies);
    add_feature(buffer, content_md5_feature, file->wants_content_md5);
    pb_buffer_append_text(buffer, "}}\n");
}

static bool is_known(const char *name)
{
    static const char *const names[] = {
        create_only_feature, ordered_listing_feature, listed_sources_feature, md5_etags_feature,
        kept_etags_feature,  copies_feature,          content_md5_feature,
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
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
        if (!is_known(name)) {
            pb_error_set(error, PB_ERROR_USAGE,
                         "%s: needs the feature \"%.64s\", unknown to this program", what, name);
            return pb_error_hint(error, "use a newer pbcopy, at least the one that wrote it");
        }
    }
    return 0;
}

/* One that is missing leaves *ret_has as it is. */
static int read_feature(const json_t *features, const char *name, bool *ret_has, pb_error *error)
{
    const json_t *feature = json_object_get(features, name);
    if (!feature)
        return 0;
    if (!json_is_boolean(feature))
        return pb_error_set(error, PB_ERROR_DAMAGED, "%s: \"%s\" is neither true nor false", what,
                            name);
    *ret_has = json_is_true(feature);
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
    const json_t *features = json_object_get(object, "features");
    bool ordered = true, md5_etags = true, kept_etags = true, copies = true;
    if (!json_object_get(features, create_only_feature))
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "%s: \"features\" does not say whether \"%s\" is true or false", what,
                            create_only_feature);
    /* Repositories that were made before they were known do not have the others. */
    if (read_feature(features, create_only_feature, &file->create_only, error) ||
        read_feature(features, ordered_listing_feature, &ordered, error) ||
        read_feature(features, listed_sources_feature, &file->lists_sources, error) ||
        read_feature(features, md5_etags_feature, &md5_etags, error) ||
        read_feature(features, kept_etags_feature, &kept_etags, error) ||
        read_feature(features, copies_feature, &copies, error) ||
        read_feature(features, content_md5_feature, &file->wants_content_md5, error))
        return -1;
    file->unordered_listing = !ordered;
    file->opaque_etags = !md5_etags;
    file->unkept_etags = !kept_etags;
    file->refuses_copies = !copies;
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
