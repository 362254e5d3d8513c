#include "cli/config.h"

#include "base/spelling.h"
#include "base/yaml.h"
#include "cli/values.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERBOSITY_MAX = 9 };

typedef struct config_reader {
    const char *file;
    const char *section; /* the command above the keys; NULL at the top */
    const pb_command_entry *command;
    const bool *before; /* options that were said already, and so count more */
    bool said[PB_OPTION_ENTRIES_MAX];
    bool operands_said[PB_OPERANDS_MAX];
    pb_options *options;
} config_reader;

/* ---- errors ---- */

/* Appends "FILE: SECTION.KEY". */
static void append_where(const config_reader *self, const char *key, pb_buffer *buffer)
{
    pb_buffer_append_format(buffer, "%s: %s%s%s", self->file, self->section ? self->section : "",
                            self->section ? "." : "", key);
}

static int refuse(const config_reader *self, const char *key, const char *problem, pb_error *error)
{
    pb_buffer where = {0};
    append_where(self, key, &where);
    pb_error_set(error, PB_ERROR_USAGE, "%s: %s", where.data, problem);
    pb_buffer_free(&where);
    return -1;
}

/* Passwords are looked for by name, so that they are refused before their value is looked at. */
static bool names_secret(const char *key)
{
    static const char *const words[] = {"password",  "passwd",     "passphrase",
                                        "pgpass",    "secret",     "token",
                                        "accesskey", "privatekey", "credential"};
    pb_buffer plain = {0};
    pb_buffer_append_text(&plain, "");
    for (const char *at = key; *at; at++)
        if (*at != '-' && *at != '_' && *at != '.' && *at != ' ')
            pb_buffer_append_char(&plain, (char)tolower((unsigned char)*at));
    bool found = false;
    for (size_t i = 0; i < sizeof words / sizeof *words && plain.data; i++)
        found |= strstr(plain.data, words[i]) != NULL;
    pb_buffer_free(&plain);
    return found;
}

static const char *operand_key(const pb_operand_entry *operand, char *ret_key, size_t size)
{
    size_t i = 0;
    for (; operand->name[i] && i + 1 < size; i++)
        ret_key[i] = (char)tolower((unsigned char)operand->name[i]);
    ret_key[i] = '\0';
    return ret_key;
}

static bool is_configurable(const pb_command_entry *command, const pb_operand_entry *operand)
{
    return operand->name && operand->need != PB_OPERAND_NEEDED &&
           command->command != PB_COMMAND_HELP;
}

/* The command's operand of this name; with a NULL command, anyone's. */
static const pb_operand_entry *operand_of(const pb_command_entry *command, const char *key)
{
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    char name[32];
    for (size_t i = 0; i < count; i++)
        for (unsigned j = 0; j < PB_OPERANDS_MAX; j++) {
            const pb_operand_entry *operand = &commands[i].operands[j];
            if ((!command || command == &commands[i]) && is_configurable(&commands[i], operand) &&
                strcmp(operand_key(operand, name, sizeof name), key) == 0)
                return operand;
        }
    return NULL;
}

static bool is_section(const char *key)
{
    const pb_command_entry *command = pb_command_entry_named(key);
    return command && command->command != PB_COMMAND_HELP &&
           command->command != PB_COMMAND_VERSION && command->command != PB_COMMAND_INIT;
}

static bool is_refused_option(const pb_option_entry *option)
{
    return strcmp(option->name, "help") == 0 || strcmp(option->name, "version") == 0 ||
           strcmp(option->name, "config") == 0;
}

static int refuse_unknown(const config_reader *self, const char *key, pb_error *error)
{
    if (names_secret(key)) {
        refuse(self, key, "secrets are not taken from a configuration", error);
        return pb_error_hint(
            error, "take it out of the file; stores have environment variables and ~/.aws (see "
                   "`pbcopy help backup`), PostgreSQL the cluster's secret, $PGPASSWORD and "
                   "~/.pgpass");
    }
    size_t count, distance = SIZE_MAX;
    const pb_option_entry *options = pb_option_entries(&count);
    const char *nearest = NULL;
    pb_slice typed = pb_slice_of(key);
    for (size_t i = 0; i < count; i++)
        if (!is_refused_option(&options[i]) &&
            pb_spelling_is_nearer(typed, options[i].name, &distance))
            nearest = options[i].name;
    const pb_command_entry *commands = pb_command_entries(&count);
    char name[32], operand_name[32] = "";
    for (size_t i = 0; i < count; i++) {
        if (!self->section && is_section(commands[i].name) &&
            pb_spelling_is_nearer(typed, commands[i].name, &distance))
            nearest = commands[i].name;
        for (unsigned j = 0; j < PB_OPERANDS_MAX; j++) {
            const pb_operand_entry *operand = &commands[i].operands[j];
            if (is_configurable(&commands[i], operand) &&
                pb_spelling_is_nearer(typed, operand_key(operand, name, sizeof name), &distance)) {
                memcpy(operand_name, name, sizeof name);
                nearest = operand_name;
            }
        }
    }
    refuse(self, key, "no option has this name", error);
    if (nearest)
        return pb_error_hint(error, "did you mean `%s`?", nearest);
    return pb_error_hint(error, "names are those of the options, without dashes in front: `pbcopy "
                                "help COMMAND` lists them");
}

/* ---- values ---- */

/* The text of a scalar, in the arena. */
static int text_of(const config_reader *self, const char *key, const json_t *value,
                   const char **ret_text, pb_error *error)
{
    pb_arena *arena = &self->options->arena;
    if (json_is_string(value)) {
        *ret_text = pb_arena_copy(arena, pb_slice_of(json_string_value(value))).data;
        return 0;
    }
    if (json_is_integer(value)) {
        pb_buffer digits = {0};
        pb_buffer_append_format(&digits, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        *ret_text = pb_arena_copy(arena, pb_buffer_slice(&digits)).data;
        pb_buffer_free(&digits);
        return 0;
    }
    return refuse(self, key,
                  json_is_null(value)      ? "its value is missing"
                  : json_is_boolean(value) ? "true and false are no text: put it in quotes"
                  : json_is_array(value)   ? "takes one value, not a list"
                                           : "takes one value, not a mapping",
                  error);
}

static int take_text(const config_reader *self, const pb_option_entry *option, const json_t *value,
                     pb_error *error)
{
    const char *text = NULL;
    if (text_of(self, option->name, value, &text, error))
        return -1;
    pb_buffer where = {0};
    append_where(self, option->name, &where);
    int failed = pb_options_take(self->options, option, where.data, text, error);
    pb_buffer_free(&where);
    return failed;
}

static int take_option(const config_reader *self, const pb_option_entry *option,
                       const json_t *value, pb_error *error)
{
    void *member = pb_options_member(self->options, option->offset);
    switch (option->kind) {
    case PB_OPTION_FLAG:
        if (!json_is_boolean(value))
            return refuse(self, option->name, "takes true or false", error);
        *(bool *)member = json_is_true(value);
        return 0;
    case PB_OPTION_COUNTED:
        if (json_is_boolean(value))
            *(uint64_t *)member = json_is_true(value);
        else if (json_is_integer(value) && json_integer_value(value) >= 0 &&
                 json_integer_value(value) <= VERBOSITY_MAX)
            *(uint64_t *)member = (uint64_t)json_integer_value(value);
        else
            return refuse(self, option->name, "takes true, false or a number from 0 to 9", error);
        return 0;
    case PB_OPTION_LIST:
        if (json_is_array(value)) {
            for (size_t i = 0; i < json_array_size(value); i++)
                if (take_text(self, option, json_array_get(value, i), error))
                    return -1;
            return 0;
        }
        return take_text(self, option, value, error);
    default:
        return take_text(self, option, value, error);
    }
}

static int take_operand(config_reader *self, const char *key, const json_t *value, pb_error *error)
{
    const pb_operand_entry *operand = operand_of(self->command, key);
    if (!operand)
        return 0; /* another command's */
    size_t place = (size_t)(operand - self->command->operands);
    if (self->operands_said[place])
        return 0;
    self->operands_said[place] = true;
    const char *text = NULL;
    if (text_of(self, key, value, &text, error))
        return -1;
    if (!text[0])
        return refuse(self, key, "the value is empty: name a URL", error);
    *(const char **)pb_options_member(self->options, operand->offset) = text;
    return 0;
}

/* ---- levels ---- */

/* Every name is looked at, also those of other commands: a mistyped one must not go unseen until
 * the night in which it is needed. */
static int check_name(const config_reader *self, const char *key, pb_error *error)
{
    const pb_command_entry *section = self->section ? pb_command_entry_named(self->section) : NULL;
    const pb_option_entry *option = pb_option_entry_named(pb_slice_of(key));
    if (option && is_refused_option(option))
        return refuse(self, key, "makes no sense in a configuration", error);
    bool is_option = option && (!section || option->commands & 1u << section->command);
    if (is_option || operand_of(section, key))
        return 0;
    if (!option && !operand_of(NULL, key))
        return refuse_unknown(self, key, error);
    refuse(self, key, "the command above it does not take this", error);
    return pb_error_hint(error, "`pbcopy help %s` lists what it takes", self->section);
}

static int take_level(config_reader *self, const json_t *object, pb_error *error)
{
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    bool before[PB_OPTION_ENTRIES_MAX];
    for (size_t i = 0; i < PB_OPTION_ENTRIES_MAX; i++)
        before[i] = self->before[i] || self->said[i];
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!self->section && is_section(key))
            continue;
        const pb_option_entry *option = pb_option_entry_named(pb_slice_of(key));
        if (!option || !(option->commands & 1u << self->command->command)) {
            /* `source` is an operand of some commands, and an option of others. */
            if (take_operand(self, key, value, error))
                return -1;
            continue;
        }
        size_t place = (size_t)(option - options);
        if (before[place])
            continue;
        self->said[place] = true;
        if (take_option(self, option, value, error))
            return -1;
    }
    return pb_options_settle(self->options, before, self->file, error);
}

static int check_names(config_reader *self, const json_t *object, pb_error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (self->section || !is_section(key)) {
            if (check_name(self, key, error))
                return -1;
            continue;
        }
        if (!json_is_object(value)) {
            refuse(self, key, "is a command: options stand below it, moved in", error);
            return pb_error_hint(error,
                                 "write `%s:`, and below it, after two spaces, "
                                 "`OPTION: VALUE`",
                                 key);
        }
        self->section = key;
        int failed = check_names(self, value, error);
        self->section = NULL;
        if (failed)
            return -1;
    }
    return 0;
}

int pb_config_parse(pb_slice text, const char *file, const pb_command_entry *command,
                    const bool *given, pb_options *options, pb_error *error)
{
    json_t *root = NULL;
    if (pb_yaml_parse(text, file, &root, error))
        return -1;
    config_reader self = {.file = file, .command = command, .before = given, .options = options};
    int failed = check_names(&self, root, error);
    const json_t *section = json_object_get(root, command->name);
    if (!failed && section) {
        self.section = command->name;
        failed = take_level(&self, section, error);
        self.section = NULL;
    }
    if (!failed)
        failed = take_level(&self, root, error);
    json_decref(root);
    return failed;
}

/* ---- files ---- */

/* At most one byte more than a document may have. */
static int read_open_file(int file, pb_buffer *ret_text)
{
    for (;;) {
        pb_buffer_reserve(ret_text, 64 * 1024);
        ssize_t size = read(file, ret_text->data + ret_text->size, 64 * 1024);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return size < 0 ? -1 : 0;
        ret_text->size += (size_t)size;
        if (ret_text->size > PB_YAML_BYTES_MAX)
            return 0;
    }
}

static int refuse_file(const char *name, const char *why, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_USAGE, "%s: the file %s: it is not taken unasked", name,
                        why);
}

/* Who can write it could send a backup elsewhere, or have kubectl run a program of his. Root's own
 * group may do what it likes anyway, and root has chosen who owns a file in /etc. */
static int check_writers(int file, const char *name, bool is_here, pb_error *error)
{
    struct stat about;
    if (fstat(file, &about))
        return pb_error_errno(error, errno, "%s", name);
    if (!S_ISREG(about.st_mode))
        return pb_error_set(error, PB_ERROR_USAGE, "%s: not a file", name);
    if (is_here && about.st_uid != geteuid() && about.st_uid != 0) {
        refuse_file(name, "belongs to another user", error);
        return pb_error_hint(error, "if it is the right one, say --config %s", name);
    }
    bool by_all = about.st_mode & S_IWOTH, by_group = about.st_mode & S_IWGRP && about.st_gid != 0;
    if (!by_all && !by_group)
        return 0;
    refuse_file(name, by_all ? "can be written by everybody" : "can be written by its group",
                error);
    return pb_error_hint(error, "`chmod go-w %s`; or, if it is the right one, say --config %s",
                         name, name);
}

static int missing(const char *name, const char *said_by, int errnum, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE, "configuration %s: %s", name, strerror(errnum));
    return pb_error_hint(error, "it was named by %s", said_by);
}

int pb_config_read(const pb_config_places *places, const pb_command_entry *command,
                   const bool *given, pb_options *options, pb_error *error)
{
    const char *variable =
        places->environment && places->environment[0] ? places->environment : NULL;
    const char *named = options->config ? options->config : variable;
    const char *const names[] = {named ? named : places->here, named ? NULL : places->system};
    const char *name = NULL;
    int file = -1;
    for (size_t i = 0; i < sizeof names / sizeof *names && file < 0; i++) {
        name = names[i];
        /* A FIFO that lies about would be waited for; one that is named may be. */
        file = name ? open(name, O_RDONLY | O_CLOEXEC | (named ? 0 : O_NONBLOCK)) : -1;
        if (file < 0 && name && (named || (errno != ENOENT && errno != ENOTDIR)))
            return missing(name,
                           options->config ? "--config"
                           : named         ? "PBCOPY_CONFIG"
                                           : "nobody, but it is there",
                           errno, error);
    }
    if (file < 0)
        return 0;
    pb_buffer text = {0};
    int failed = 0;
    if (!named)
        failed = check_writers(file, name, name == places->here, error);
    if (!failed && read_open_file(file, &text)) {
        pb_error_set(error, PB_ERROR_USAGE, "configuration %s: %s", name, strerror(errno));
        failed = -1;
    }
    close(file);
    options->config = name;
    if (!failed)
        failed = pb_config_parse(pb_buffer_slice(&text), name, command, given, options, error);
    pb_buffer_free(&text);
    return failed;
}

const char *pb_config_name(const pb_config_places *places, const pb_options *options)
{
    if (options->config)
        return options->config;
    return places->environment && places->environment[0] ? places->environment : places->here;
}

const char *pb_config_pod_namespace(const pb_config_places *places, pb_arena *arena)
{
    char text[65]; /* a name, a newline, and a byte too many */
    int file = places->pod_namespace ? open(places->pod_namespace, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return NULL;
    ssize_t size = read(file, text, sizeof text);
    close(file);
    pb_slice name = {text, size > 0 ? (size_t)size : 0};
    if (name.size && name.data[name.size - 1] == '\n')
        name.size--;
    return pb_namespace_valid(name) ? pb_arena_copy(arena, name).data : NULL;
}
