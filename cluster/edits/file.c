/* The file of edits. */
#include "base/spelling.h"
#include "base/yaml.h"
#include "cluster/edits/edits.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

typedef enum entry_kind { ENTRY_TEXT, ENTRY_LIST, ENTRY_FLAG } entry_kind;

static const struct entry {
    const char *name;
    entry_kind kind;
    size_t offset; /* in pb_edits */
} entries[] = {
    {"namespace", ENTRY_TEXT, offsetof(pb_edits, name_space)},
    {"bucket", ENTRY_TEXT, offsetof(pb_edits, bucket)},
    {"cloudsql-instance", ENTRY_TEXT, offsetof(pb_edits, cloudsql_instance)},
    {"pachd-database-host", ENTRY_TEXT, offsetof(pb_edits, database_host)},
    {"image-registry", ENTRY_TEXT, offsetof(pb_edits, image_registry)},
    {"gcp-service-account", ENTRY_LIST, offsetof(pb_edits, gcp_service_account)},
    {"aws-role", ENTRY_LIST, offsetof(pb_edits, aws_role)},
    {"azure-client", ENTRY_LIST, offsetof(pb_edits, azure_client)},
    {"drop-service-account-secrets", ENTRY_FLAG, offsetof(pb_edits, drop_service_account_secrets)},
    {"keep-paused", ENTRY_FLAG, offsetof(pb_edits, keep_paused)},
};

static int refuse_name(const char *what, const char *name, pb_error *error)
{
    const char *nearest = NULL;
    size_t distance = SIZE_MAX;
    for (size_t i = 0; i < COUNT(entries); i++)
        if (pb_spelling_is_nearer(pb_slice_of(name), entries[i].name, &distance))
            nearest = entries[i].name;
    pb_error_set(error, PB_ERROR_USAGE, "%s: there is no edit \"%s\"", what, name);
    return nearest ? pb_error_hint(error, "did you mean %s?", nearest) : -1;
}

static int refuse_value(const char *what, const char *name, const char *wanted, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_USAGE, "%s: %s is not %s", what, name, wanted);
}

static const char *copy(pb_arena *arena, const char *text)
{
    return pb_arena_copy(arena, pb_slice_of(text)).data;
}

/* Text, a list of texts, or a mapping of account to identity. */
static int read_list(const char *what, const char *name, const json_t *value, pb_arena *arena,
                     pb_edit_list *ret_list, pb_error *error)
{
    static const char wanted[] = "text, a list of texts, or a mapping of accounts to texts";
    size_t count = json_is_string(value)  ? 1
                   : json_is_array(value) ? json_array_size(value)
                                          : json_object_size(value);
    pb_edit_list list = {pb_arena_allocate(arena, (count + 1) * sizeof(*list.items)), 0};
    if (json_is_string(value))
        list.items[list.count++] = copy(arena, json_string_value(value));
    const char *account;
    json_t *identity;
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i)))
            return refuse_value(what, name, wanted, error);
        list.items[list.count++] = copy(arena, json_string_value(json_array_get(value, i)));
    }
    json_object_foreach((json_t *)(uintptr_t)value, account, identity)
    {
        if (!json_is_string(identity))
            return refuse_value(what, name, wanted, error);
        pb_buffer item = {0};
        pb_buffer_append_format(&item, "%s=%s", account, json_string_value(identity));
        list.items[list.count++] = copy(arena, item.data);
        pb_buffer_free(&item);
    }
    if (list.count == 0)
        return refuse_value(what, name, wanted, error);
    if (ret_list->count == 0)
        *ret_list = list;
    return 0;
}

static int read_entry(const char *what, const struct entry *entry, const json_t *value,
                      pb_arena *arena, pb_edits *edits, pb_error *error)
{
    void *member = (char *)edits + entry->offset;
    if (entry->kind == ENTRY_LIST)
        return read_list(what, entry->name, value, arena, member, error);
    if (entry->kind == ENTRY_FLAG) {
        if (!json_is_boolean(value))
            return refuse_value(what, entry->name, "true or false", error);
        bool *flag = member;
        *flag = *flag || json_is_true(value);
        return 0;
    }
    const char *text = json_string_value(value);
    if (text == NULL || *text == '\0')
        return refuse_value(what, entry->name, "text", error);
    const char **slot = member;
    if (*slot == NULL)
        *slot = copy(arena, text);
    return 0;
}

int pb_edits_read(pb_slice text, const char *what, pb_arena *arena, pb_edits *edits,
                  pb_error *error)
{
    json_t *object, *value;
    const char *name;
    pb_edits read = *edits;
    int done = 0;
    if (pb_yaml_parse(text, what, &object, error) != 0)
        return -1;
    json_object_foreach(object, name, value)
    {
        const struct entry *entry = NULL;
        for (size_t i = 0; i < COUNT(entries); i++)
            if (strcmp(entries[i].name, name) == 0)
                entry = &entries[i];
        done = entry ? read_entry(what, entry, value, arena, &read, error)
                     : refuse_name(what, name, error);
        if (done != 0)
            break;
    }
    json_decref(object);
    if (done == 0)
        *edits = read;
    return done;
}
