#include "copier/store/s3/credentials.h"

#include "copier/store/s3/endpoint.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { FILE_BYTES_MAX = 1024 * 1024, VALUE_BYTES_MAX = 16 * 1024, NAME_BYTES_MAX = 128 };

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void pb_s3_credentials_free(pb_s3_credentials *credentials)
{
    free(credentials->access_key_id);
    free_secret(credentials->secret_access_key);
    free_secret(credentials->session_token);
    free(credentials->region);
    memset(credentials, 0, sizeof *credentials);
}

/* Printable ASCII without blanks: all of these go into headers. */
static bool is_word(pb_slice text)
{
    if (!text.size || text.size > VALUE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

/* ---- one file ---- */

typedef struct found_value {
    pb_slice value; /* in the file */
    unsigned line;  /* 0: not found */
} found_value;

enum { KEY_ID, SECRET, TOKEN, REGION, NAME_COUNT };
static const char *const names[NAME_COUNT] = {"aws_access_key_id", "aws_secret_access_key",
                                              "aws_session_token", "region"};

/* Ways to come by keys that pbcopy does not go. */
static const char *const unsupported[] = {"credential_process", "sso_session",
                                          "sso_start_url",      "source_profile",
                                          "credential_source",  "web_identity_token_file",
                                          "login_session"};

typedef struct profile_reader {
    const char *name;
    pb_s3_file_kind kind;
    pb_slice profile;
    unsigned line;
    bool inside; /* in a section of the profile */
    bool found;
    bool after_property;
    size_t indent; /* of the last property */
    found_value values[NAME_COUNT];
    const char *unsupported;
    unsigned unsupported_line;
} profile_reader;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static pb_slice trim(pb_slice text)
{
    while (text.size && is_blank(text.data[0]))
        text = (pb_slice){text.data + 1, text.size - 1};
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

static int refuse_line(const profile_reader *reader, const char *why, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: %s", reader->name, reader->line, why);
}

/* "[NAME]", "[profile NAME]", "[profile "NAME"]"; `text` begins with '['. */
static int read_section(profile_reader *reader, pb_slice text, pb_error *error)
{
    const char *end = memchr(text.data, ']', text.size);
    reader->inside = reader->after_property = false;
    if (!end)
        return refuse_line(reader, "a '[' without ']'", error);
    pb_slice section = trim((pb_slice){text.data + 1, (size_t)(end - text.data) - 1});
    bool prefixed = pb_slice_starts_with(section, PB_SLICE_LITERAL("profile")) &&
                    section.size > 7 && is_blank(section.data[7]);
    if (reader->kind == PB_S3_FILE_CONFIG) {
        if (prefixed)
            section = trim((pb_slice){section.data + 7, section.size - 7});
        else if (!pb_slice_equal(section, PB_SLICE_LITERAL("default")))
            return 0; /* [sso-session x], [services x] */
    }
    if (section.size >= 2 && (section.data[0] == '"' || section.data[0] == '\'') &&
        section.data[section.size - 1] == section.data[0])
        section = (pb_slice){section.data + 1, section.size - 2};
    reader->inside = pb_slice_equal(section, reader->profile);
    reader->found = reader->found || reader->inside;
    return 0;
}

static int read_property(profile_reader *reader, pb_slice text, pb_error *error)
{
    const char *equals = memchr(text.data, '=', text.size);
    if (!equals)
        return refuse_line(reader, "neither a section nor NAME = VALUE", error);
    pb_slice name = trim((pb_slice){text.data, (size_t)(equals - text.data)});
    pb_slice value = {equals + 1, text.size - (size_t)(equals + 1 - text.data)};
    value = trim(without_comment(value));
    for (int i = 0; i < NAME_COUNT; i++)
        if (equal_ignoring_case(name, names[i]))
            reader->values[i] = (found_value){value, reader->line};
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (equal_ignoring_case(name, unsupported[i]) && !reader->unsupported) {
            reader->unsupported = unsupported[i];
            reader->unsupported_line = reader->line;
        }
    return 0;
}

static int read_line(profile_reader *reader, pb_slice text, pb_error *error)
{
    if (text.size && text.data[text.size - 1] == '\r')
        text.size--;
    if (memchr(text.data, '\0', text.size))
        return refuse_line(reader, "not a text", error);
    size_t indent = 0;
    while (indent < text.size && is_blank(text.data[indent]))
        indent++;
    text = trim(text);
    if (!text.size || text.data[0] == '#' || text.data[0] == ';')
        return 0;
    if (text.data[0] == '[' && !indent)
        return read_section(reader, text, error);
    if (!reader->inside)
        return 0;
    /* Further in than the property before: that one goes on ("s3 =" and its settings). */
    if (reader->after_property && indent > reader->indent)
        return 0;
    reader->after_property = true;
    reader->indent = indent;
    return read_property(reader, text, error);
}

static int take_value(const profile_reader *reader, int which, char **ret_value, pb_error *error)
{
    const found_value *found = &reader->values[which];
    if (!found->line)
        return 0;
    bool fits = which == REGION ? pb_s3_region_valid(found->value) : is_word(found->value);
    if (!fits)
        return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: %s holds no such value", reader->name,
                            found->line, names[which]);
    *ret_value = pb_duplicate(found->value);
    return 0;
}

static int take_values(const profile_reader *reader, pb_s3_credentials *credentials,
                       pb_error *error)
{
    const found_value *values = reader->values;
    if (!credentials->region && take_value(reader, REGION, &credentials->region, error))
        return -1;
    if (credentials->access_key_id)
        return 0;
    if (!values[KEY_ID].line != !values[SECRET].line) {
        int there = values[KEY_ID].line ? KEY_ID : SECRET;
        return pb_error_set(error, PB_ERROR_USAGE, "%s:%u: %s without %s", reader->name,
                            values[there].line, names[there],
                            names[there == KEY_ID ? SECRET : KEY_ID]);
    }
    if (!values[KEY_ID].line && reader->unsupported) {
        pb_error_set(error, PB_ERROR_USAGE, "%s:%u: profile %.*s uses %s, which is not supported",
                     reader->name, reader->unsupported_line, PB_SLICE_FORMAT(reader->profile),
                     reader->unsupported);
        return pb_error_hint(error, "put keys into the environment, e.g. with "
                                    "eval \"$(aws configure export-credentials --format env)\"");
    }
    if (take_value(reader, KEY_ID, &credentials->access_key_id, error) ||
        take_value(reader, SECRET, &credentials->secret_access_key, error))
        return -1;
    /* AWS's own tools write an empty token where there is none. */
    if (!values[KEY_ID].line || !values[TOKEN].value.size)
        return 0;
    return take_value(reader, TOKEN, &credentials->session_token, error);
}

int pb_s3_profile_read(pb_slice file, const char *name, pb_s3_file_kind kind, const char *profile,
                       pb_s3_credentials *credentials, bool *ret_found, pb_error *error)
{
    profile_reader reader = {.name = name, .kind = kind, .profile = pb_slice_of(profile)};
    if (pb_slice_starts_with(file, PB_SLICE_LITERAL("\xef\xbb\xbf")))
        file = (pb_slice){file.data + 3, file.size - 3};
    while (file.size) {
        const char *end = memchr(file.data, '\n', file.size);
        size_t size = end ? (size_t)(end - file.data) : file.size;
        reader.line++;
        if (read_line(&reader, (pb_slice){file.data, size}, error))
            return -1;
        size_t used = end ? size + 1 : size;
        file = (pb_slice){file.data + used, file.size - used};
    }
    *ret_found = reader.found;
    return reader.found ? take_values(&reader, credentials, error) : 0;
}

/* ---- where to look ---- */

typedef struct key_lookup {
    pb_s3_environment environment;
    void *context;
    pb_s3_credentials *credentials;
} key_lookup;

static const char *variable(const key_lookup *lookup, const char *name)
{
    const char *value = lookup->environment(lookup->context, name);
    return value && *value ? value : NULL;
}

/* Three variables that begin with `start`. Found: 1, not: 0, failed: -1. */
static int look_in_environment(const key_lookup *lookup, const char *start, pb_error *error)
{
    static const char *const ends[3] = {"ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"};
    char variables[3][NAME_BYTES_MAX];
    const char *values[3];
    for (int i = 0; i < 3; i++) {
        snprintf(variables[i], sizeof variables[i], "%s%s", start, ends[i]);
        values[i] = variable(lookup, variables[i]);
        if (values[i] && !is_word(pb_slice_of(values[i])))
            return pb_error_set(error, PB_ERROR_USAGE, "%s holds no such value (blanks?)",
                                variables[i]);
    }
    if (!values[0] && !values[1])
        return 0;
    if (!values[0] || !values[1])
        return pb_error_set(error, PB_ERROR_USAGE, "%s is set, but not %s", variables[!values[0]],
                            variables[values[0] != NULL]);
    lookup->credentials->access_key_id = pb_duplicate(pb_slice_of(values[0]));
    lookup->credentials->secret_access_key = pb_duplicate(pb_slice_of(values[1]));
    if (values[2])
        lookup->credentials->session_token = pb_duplicate(pb_slice_of(values[2]));
    return 1;
}

static int look_in_file(const key_lookup *lookup, const char *path, pb_s3_file_kind kind,
                        const char *profile, bool *ret_found, pb_error *error)
{
    FILE *stream = fopen(path, "re");
    if (!stream) {
        if (errno == ENOENT || errno == ENOTDIR)
            return 0;
        pb_error_errno(error, errno, "%s", path);
        if (error)
            error->kind = PB_ERROR_USAGE;
        return -1;
    }
    /* Read at once into its last place: growing would leave copies of secrets behind. */
    setvbuf(stream, NULL, _IONBF, 0);
    char *data = pb_allocate(FILE_BYTES_MAX + 1);
    size_t size = fread(data, 1, FILE_BYTES_MAX + 1, stream);
    int failed = 0;
    bool found = false;
    if (ferror(stream))
        failed = pb_error_set(error, PB_ERROR_USAGE, "%s: cannot be read", path);
    else if (size > FILE_BYTES_MAX)
        failed = pb_error_set(error, PB_ERROR_USAGE, "%s: more than 1 MiB", path);
    else
        failed = pb_s3_profile_read((pb_slice){data, size}, path, kind, profile,
                                    lookup->credentials, &found, error);
    fclose(stream);
    explicit_bzero(data, size);
    free(data);
    *ret_found = *ret_found || found;
    return failed;
}

/* The path of a file: `name` says it, else it is ~/.aws/`file`. Freed by the caller; NULL for none.
 */
static char *path_of(const key_lookup *lookup, const char *name, const char *file)
{
    const char *path = variable(lookup, name), *home = variable(lookup, "HOME");
    if (path)
        return pb_duplicate(pb_slice_of(path));
    if (!home)
        return NULL;
    pb_buffer buffer = {0};
    pb_buffer_append_format(&buffer, "%s/.aws/%s", home, file);
    return buffer.data;
}

static int look_in_files(const key_lookup *lookup, const char *profile, bool must_exist,
                         pb_error *error)
{
    bool found = false;
    char *credentials = path_of(lookup, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    char *config = path_of(lookup, "AWS_CONFIG_FILE", "config");
    int failed = 0;
    if (credentials)
        failed = look_in_file(lookup, credentials, PB_S3_FILE_CREDENTIALS, profile, &found, error);
    if (!failed && config)
        failed = look_in_file(lookup, config, PB_S3_FILE_CONFIG, profile, &found, error);
    if (!failed && must_exist && !found)
        failed = pb_error_set(error, PB_ERROR_USAGE, "no profile %s in %s or %s", profile,
                              credentials ? credentials : "~/.aws/credentials",
                              config ? config : "~/.aws/config");
    free(credentials);
    free(config);
    return failed;
}

/* What an unsigned request would otherwise be sent instead of. */
static int refuse_unsupported(const key_lookup *lookup, pb_error *error)
{
    static const char *const variables[] = {"AWS_WEB_IDENTITY_TOKEN_FILE",
                                            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                            "AWS_CONTAINER_CREDENTIALS_FULL_URI"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (variable(lookup, variables[i])) {
            pb_error_set(error, PB_ERROR_USAGE, "%s is set, and what it names is not supported",
                         variables[i]);
            return pb_error_hint(error, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
        }
    return 0;
}

static int look_for_region(const key_lookup *lookup, pb_error *error)
{
    const char *name = "AWS_REGION", *region = variable(lookup, name);
    if (!region)
        region = variable(lookup, name = "AWS_DEFAULT_REGION");
    if (!region)
        return 0;
    if (!pb_s3_region_valid(pb_slice_of(region)))
        return pb_error_set(error, PB_ERROR_USAGE, "%s holds no region's name", name);
    free(lookup->credentials->region);
    lookup->credentials->region = pb_duplicate(pb_slice_of(region));
    return 0;
}

static int look_by_role(const key_lookup *lookup, const char *role, pb_error *error)
{
    char start[NAME_BYTES_MAX / 2];
    int length = snprintf(start, sizeof start, "PBCOPY_%s_", role);
    if (length < 0 || (size_t)length >= sizeof start)
        return 0;
    for (char *c = start; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return look_in_environment(lookup, start, error);
}

static int take_keys(pb_s3_credentials *credentials, const pb_store_keys *keys)
{
    credentials->access_key_id = pb_duplicate(pb_slice_of(keys->access_key_id));
    credentials->secret_access_key = pb_duplicate(pb_slice_of(keys->secret_access_key));
    if (keys->session_token)
        credentials->session_token = pb_duplicate(pb_slice_of(keys->session_token));
    return 1;
}

static int look_everywhere(const key_lookup *lookup, const char *role, const pb_store_keys *keys,
                           const char *profile, pb_error *error)
{
    if (profile) {
        if (look_in_files(lookup, profile, true, error))
            return -1;
        if (!lookup->credentials->access_key_id)
            return pb_error_set(error, PB_ERROR_USAGE, "profile %s holds no keys", profile);
        return lookup->credentials->region ? 0 : look_for_region(lookup, error);
    }
    int found = role ? look_by_role(lookup, role, error) : 0;
    if (!found && keys)
        found = take_keys(lookup->credentials, keys);
    if (!found)
        found = look_in_environment(lookup, "AWS_", error);
    if (found < 0)
        return -1;
    const char *chosen = variable(lookup, "AWS_PROFILE");
    /* Keys of the environment need no file, but for its region. */
    bool need_files =
        !found || (!variable(lookup, "AWS_REGION") && !variable(lookup, "AWS_DEFAULT_REGION"));
    if (need_files && look_in_files(lookup, chosen ? chosen : "default", chosen && !found, error))
        return -1;
    if (!lookup->credentials->access_key_id && refuse_unsupported(lookup, error))
        return -1;
    return look_for_region(lookup, error);
}

int pb_s3_credentials_find(const char *role, const pb_store_keys *keys, const char *profile,
                           pb_s3_environment environment, void *context,
                           pb_s3_credentials *ret_credentials, pb_error *error)
{
    pb_s3_credentials credentials = {0};
    key_lookup place = {environment, context, &credentials};
    if (look_everywhere(&place, role, keys, profile, error)) {
        pb_s3_credentials_free(&credentials);
        return -1;
    }
    *ret_credentials = credentials;
    return 0;
}
