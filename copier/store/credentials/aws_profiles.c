#include "copier/store/credentials/aws_profiles.h"

#include <stdlib.h>
#include <strings.h>

enum { VALUE_BYTES_MAX = 16 * 1024, FILES_MAX = 2 };

typedef struct setting {
    pb_aws_setting told;
    pb_slice group; /* empty: not nested */
    pb_slice name;
    unsigned file;
} setting;

struct pb_aws_section {
    pb_aws_section *next;
    pb_aws_section_kind kind;
    pb_slice name;
    setting *settings;
    size_t count, capacity;
    const char *bad_file, *bad_why; /* of the first line that means nothing */
    unsigned bad_line;
};

typedef struct read_file {
    char *name;
    char *text; /* all slices point into it */
    size_t size;
} read_file;

struct pb_aws_profiles {
    read_file files[FILES_MAX];
    unsigned file_count;
    pb_aws_section *sections;
};

typedef struct file_reader {
    pb_aws_profiles *profiles;
    pb_aws_file_kind kind;
    unsigned line;
    pb_aws_section *section; /* NULL: lines that nobody asks for */
    bool after_setting;
    size_t indent; /* of the last setting that is not nested */
    pb_slice group;
} file_reader;

pb_aws_profiles *pb_aws_profiles_new(void)
{
    return pb_allocate_zeroed(1, sizeof(pb_aws_profiles));
}

void pb_aws_profiles_free(pb_aws_profiles *profiles)
{
    if (!profiles)
        return;
    while (profiles->sections) {
        pb_aws_section *next = profiles->sections->next;
        free(profiles->sections->settings);
        free(profiles->sections);
        profiles->sections = next;
    }
    for (unsigned i = 0; i < profiles->file_count; i++) {
        explicit_bzero(profiles->files[i].text, profiles->files[i].size);
        free(profiles->files[i].text);
        free(profiles->files[i].name);
    }
    free(profiles);
}

/* ---- lines ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static pb_slice trim(pb_slice text)
{
    while (text.size && is_blank(text.data[0]))
        text = pb_slice_from(text, 1);
    while (text.size && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Cuts a comment that begins after a blank. */
static pb_slice without_comment(pb_slice text)
{
    for (size_t i = 1; i < text.size; i++)
        if ((text.data[i] == '#' || text.data[i] == ';') && is_blank(text.data[i - 1])) {
            text.size = i;
            break;
        }
    return text;
}

static bool equal_ignoring_case(pb_slice text, const char *name)
{
    return text.size == strlen(name) && strncasecmp(text.data, name, text.size) == 0;
}

static const char *file_name(const file_reader *reader)
{
    return reader->profiles->files[reader->profiles->file_count - 1].name;
}

static void note_bad(file_reader *reader, const char *why)
{
    pb_aws_section *section = reader->section;
    if (!section || section->bad_why)
        return;
    section->bad_why = why;
    section->bad_file = file_name(reader);
    section->bad_line = reader->line;
}

static pb_aws_section *find_section(const pb_aws_profiles *profiles, pb_aws_section_kind kind,
                                    pb_slice name)
{
    pb_aws_section *section = profiles->sections;
    while (section && (section->kind != kind || !pb_slice_equal(section->name, name)))
        section = section->next;
    return section;
}

static pb_aws_section *make_section(pb_aws_profiles *profiles, pb_aws_section_kind kind,
                                    pb_slice name)
{
    pb_aws_section *section = find_section(profiles, kind, name);
    if (section)
        return section;
    section = pb_allocate_zeroed(1, sizeof *section);
    section->kind = kind;
    section->name = name;
    section->next = profiles->sections;
    profiles->sections = section;
    return section;
}

/* "profile NAME" and its kin: takes the word and the blanks after it. */
static bool take_word(pb_slice *text, const char *word)
{
    size_t size = strlen(word);
    if (text->size <= size || memcmp(text->data, word, size) != 0 || !is_blank(text->data[size]))
        return false;
    *text = trim((pb_slice){text->data + size, text->size - size});
    return true;
}

/* "[NAME]", "[profile NAME]", "[profile "NAME"]"; `text` begins with '['. */
static int read_section(file_reader *reader, pb_slice text, pb_error *error)
{
    const char *end = memchr(text.data, ']', text.size);
    reader->section = NULL;
    reader->after_setting = false;
    if (!end)
        return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: a '[' without ']'", file_name(reader),
                            reader->line);
    pb_slice name = trim((pb_slice){text.data + 1, (size_t)(end - text.data) - 1});
    pb_aws_section_kind kind = PB_AWS_SECTION_PROFILE;
    if (reader->kind == PB_AWS_FILE_CONFIG) {
        if (take_word(&name, "sso-session"))
            kind = PB_AWS_SECTION_SSO_SESSION;
        else if (take_word(&name, "services"))
            kind = PB_AWS_SECTION_SERVICES;
        else if (!take_word(&name, "profile") && !pb_slice_equal(name, PB_SLICE_LITERAL("default")))
            return 0;
    }
    if (name.size >= 2 && (name.data[0] == '"' || name.data[0] == '\'') &&
        name.data[name.size - 1] == name.data[0])
        name = (pb_slice){name.data + 1, name.size - 2};
    reader->section = make_section(reader->profiles, kind, name);
    return 0;
}

static void add_setting(file_reader *reader, pb_slice group, pb_slice name, pb_slice value)
{
    pb_aws_section *section = reader->section;
    if (section->count == section->capacity) {
        section->capacity = section->capacity ? 2 * section->capacity : 8;
        section->settings =
            pb_reallocate(section->settings, section->capacity * sizeof *section->settings);
    }
    section->settings[section->count++] = (setting){
        .told = {.value = value, .file = file_name(reader), .line = reader->line},
        .group = group,
        .name = name,
        .file = reader->profiles->file_count - 1,
    };
}

static void read_setting(file_reader *reader, pb_slice text, size_t indent)
{
    /* Further in than the setting before: that one goes on ("s3 =" and what is nested in it). */
    bool nested = reader->after_setting && indent > reader->indent;
    const char *equals = memchr(text.data, '=', text.size);
    if (!equals) {
        if (!nested)
            note_bad(reader, "neither a section nor NAME = VALUE");
        return;
    }
    pb_slice name = trim((pb_slice){text.data, (size_t)(equals - text.data)});
    pb_slice value = {equals + 1, text.size - (size_t)(equals + 1 - text.data)};
    value = trim(without_comment(value));
    if (!nested) {
        reader->after_setting = true;
        reader->indent = indent;
        reader->group = name;
    }
    add_setting(reader, nested ? reader->group : (pb_slice){NULL, 0}, name, value);
}

static int read_line(file_reader *reader, pb_slice text, pb_error *error)
{
    if (text.size && text.data[text.size - 1] == '\r')
        text.size--;
    if (memchr(text.data, '\0', text.size))
        return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: not a text", file_name(reader),
                            reader->line);
    size_t indent = 0;
    while (indent < text.size && is_blank(text.data[indent]))
        indent++;
    text = trim(text);
    if (!text.size || text.data[0] == '#' || text.data[0] == ';')
        return 0;
    if (text.data[0] == '[' && !indent)
        return read_section(reader, text, error);
    if (reader->section)
        read_setting(reader, text, indent);
    return 0;
}

int pb_aws_profiles_add(pb_aws_profiles *profiles, pb_slice text, const char *name,
                        pb_aws_file_kind kind, pb_error *error)
{
    if (profiles->file_count == FILES_MAX)
        abort();
    read_file *file = &profiles->files[profiles->file_count++];
    *file = (read_file){
        .name = pb_duplicate(pb_slice_of(name)), .text = pb_duplicate(text), .size = text.size};
    file_reader reader = {.profiles = profiles, .kind = kind};
    pb_slice rest = {file->text, file->size};
    if (pb_slice_starts_with(rest, PB_SLICE_LITERAL("\xef\xbb\xbf")))
        rest = pb_slice_from(rest, 3);
    while (rest.size) {
        const char *end = memchr(rest.data, '\n', rest.size);
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        reader.line++;
        if (read_line(&reader, (pb_slice){rest.data, size}, error))
            return -1;
        size_t used = end ? size + 1 : size;
        rest = pb_slice_from(rest, used);
    }
    return 0;
}

/* ---- what was read ---- */

int pb_aws_profiles_find(const pb_aws_profiles *profiles, pb_aws_section_kind kind,
                         const char *name, const pb_aws_section **ret_section, pb_error *error)
{
    const pb_aws_section *section = find_section(profiles, kind, pb_slice_of(name));
    if (section && section->bad_why)
        return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: %s", section->bad_file,
                            section->bad_line, section->bad_why);
    *ret_section = section;
    return 0;
}

/* The last one of the file. */
static const setting *find_in_file(const pb_aws_section *section, unsigned file, const char *group,
                                   const char *name)
{
    for (size_t i = section ? section->count : 0; i-- > 0;) {
        const setting *at = &section->settings[i];
        bool of_group = group ? equal_ignoring_case(at->group, group) : !at->group.size;
        if (at->file == file && of_group && equal_ignoring_case(at->name, name))
            return at;
    }
    return NULL;
}

const pb_aws_setting *pb_aws_section_find(const pb_aws_section *section, const char *group,
                                          const char *name)
{
    for (unsigned file = 0; file < FILES_MAX; file++) {
        const setting *found = find_in_file(section, file, group, name);
        if (found)
            return &found->told;
    }
    return NULL;
}

static bool is_text(pb_slice text, bool word)
{
    if (!text.size || text.size > VALUE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < (word ? '!' : ' ') || text.data[i] > '~')
            return false;
    return true;
}

bool pb_aws_is_word(pb_slice text)
{
    return is_text(text, true);
}

static int take_text(const pb_aws_setting *found, const char *name, bool word, char **ret_text,
                     pb_error *error)
{
    if (!is_text(found->value, word))
        return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: %s holds no such value", found->file,
                            found->line, name);
    *ret_text = pb_duplicate(found->value);
    return 0;
}

int pb_aws_section_text(const pb_aws_section *section, const char *group, const char *name,
                        bool word, char **ret_text, pb_error *error)
{
    const pb_aws_setting *found = pb_aws_section_find(section, group, name);
    return found && found->value.size ? take_text(found, name, word, ret_text, error) : 0;
}

int pb_aws_section_keys(const pb_aws_section *section, pb_credential *ret_keys, bool *ret_found,
                        pb_error *error)
{
    static const char *const names[] = {"aws_access_key_id", "aws_secret_access_key",
                                        "aws_session_token"};
    *ret_found = false;
    *ret_keys = (pb_credential){0};
    for (unsigned file = 0; file < FILES_MAX; file++) {
        const setting *id = find_in_file(section, file, NULL, names[0]);
        const setting *secret = find_in_file(section, file, NULL, names[1]);
        const setting *token = find_in_file(section, file, NULL, names[2]);
        if (!id && !secret)
            continue;
        const pb_aws_setting *there = id ? &id->told : &secret->told;
        if (!id || !secret)
            return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: %s without %s", there->file,
                                there->line, names[!id], names[id != NULL]);
        if (take_text(&id->told, names[0], true, &ret_keys->access_key_id, error) ||
            take_text(&secret->told, names[1], true, &ret_keys->secret_access_key, error) ||
            /* AWS's own tools write an empty token where there is none. */
            (token && token->told.value.size &&
             take_text(&token->told, names[2], true, &ret_keys->session_token, error))) {
            pb_credential_clear(ret_keys);
            return -1;
        }
        *ret_found = true;
        return 0;
    }
    return 0;
}
