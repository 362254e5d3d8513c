#include "cli/options.h"

#include "base/bytes.h"
#include "base/codec.h"
#include "base/spelling.h"
#include "manifest/snapshot_id.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { OPERANDS_KEPT = PB_OPERANDS_MAX + 2 }; /* the command, its operands, one too many */

typedef struct parser {
    pb_options *options;
    const char *operands[OPERANDS_KEPT];
    size_t operand_count;
    uint64_t given; /* bits by the option's place in the table */
} parser;

static void *member_at(pb_options *options, size_t offset)
{
    return (char *)options + offset;
}

/* ---- values ---- */

static int number_error(const pb_option_entry *option, const char *value, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_USAGE,
                        "option --%s: \"%s\" is not a whole number from %" PRIu64 " to %" PRIu64,
                        option->name, value, option->least, option->most);
}

static int take_size(const pb_option_entry *option, const char *value, uint64_t *ret_bytes,
                     pb_error *error)
{
    if (!pb_parse_size(pb_slice_of(value), ret_bytes)) {
        pb_error_set(error, PB_ERROR_USAGE, "option --%s: \"%s\" is not a size", option->name,
                     value);
        return pb_error_hint(error, "write bytes, or a number with K, M, G or T: --%s 512M",
                             option->name);
    }
    if (*ret_bytes < option->least) {
        bool mebi = option->least >> 20 > 0;
        return pb_error_set(
            error, PB_ERROR_USAGE, "option --%s: %s is too little: give at least %" PRIu64 "%c",
            option->name, value, option->least >> (mebi ? 20 : 10), mebi ? 'M' : 'K');
    }
    if (*ret_bytes > option->most)
        return pb_error_set(error, PB_ERROR_USAGE,
                            "option --%s: %s is too much: give at most %" PRIu64 "G", option->name,
                            value, option->most >> 30);
    return 0;
}

static int take_checksum(const pb_option_entry *option, const char *value,
                         pb_hash_kind *ret_checksum, pb_error *error)
{
    bool sha256 = strcmp(value, "sha256") == 0;
    if (!sha256 && strcmp(value, "crc32c") != 0)
        return pb_error_set(error, PB_ERROR_USAGE, "option --%s: \"%s\" is not sha256 or crc32c",
                            option->name, value);
    *ret_checksum = sha256 ? PB_HASH_SHA256 : PB_HASH_CRC32C;
    return 0;
}

static int take_value(pb_options *options, const pb_option_entry *option, const char *value,
                      pb_error *error)
{
    void *member = member_at(options, option->offset);
    uint64_t number = 0;
    switch (option->kind) {
    case PB_OPTION_FLAG:
        *(bool *)member = true;
        return 0;
    case PB_OPTION_COUNTED:
        *(uint64_t *)member += 1;
        return 0;
    case PB_OPTION_NUMBER:
        if (!pb_parse_unsigned(pb_slice_of(value), &number) || number < option->least ||
            number > option->most)
            return number_error(option, value, error);
        *(uint64_t *)member = number;
        return 0;
    case PB_OPTION_SIZE:
        if (take_size(option, value, &number, error))
            return -1;
        *(uint64_t *)member = number;
        return 0;
    case PB_OPTION_SNAPSHOT:
        if (!pb_snapshot_id_valid(pb_slice_of(value))) {
            pb_error_set(error, PB_ERROR_USAGE, "option --%s: \"%s\" is not a snapshot's id",
                         option->name, value);
            return pb_error_hint(error, "`pbcopy snapshots REPOSITORY` lists them");
        }
        break;
    case PB_OPTION_TEXT:
        if (!value[0])
            return pb_error_set(error, PB_ERROR_USAGE, "option --%s: the value is empty: name a %s",
                                option->name, option->value);
        break;
    case PB_OPTION_CHECKSUM:
        return take_checksum(option, value, member, error);
    case PB_OPTION_PREFIX:
        break;
    }
    *(const char **)member = value;
    return 0;
}

/* ---- options ---- */

static int unknown_option(pb_slice name, const char *dashes, pb_error *error)
{
    size_t count, distance = SIZE_MAX;
    const pb_option_entry *options = pb_option_entries(&count), *nearest = NULL;
    for (size_t i = 0; i < count; i++)
        if (pb_spelling_is_nearer(name, options[i].name, &distance))
            nearest = &options[i];
    pb_error_set(error, PB_ERROR_USAGE, "option %s%.*s is unknown", dashes, PB_SLICE_FORMAT(name));
    if (nearest)
        return pb_error_hint(error, "did you mean --%s?", nearest->name);
    return pb_error_hint(error,
                         "`pbcopy help COMMAND` lists the options of a command; what follows "
                         "`--` is never taken for one");
}

static int set_option(parser *self, const pb_option_entry *option, const char *value,
                      pb_error *error)
{
    size_t count;
    self->given |= (uint64_t)1 << (option - pb_option_entries(&count));
    assert(count <= 64);
    return take_value(self->options, option, value, error);
}

/* `--name`, `--name=value` or `--name value`; *ret_used tells whether `next` was the value. */
static int take_long(parser *self, const char *argument, const char *next, bool *ret_used,
                     pb_error *error)
{
    const char *equals = strchr(argument, '=');
    pb_slice name = {argument + 2, equals ? (size_t)(equals - argument) - 2 : strlen(argument) - 2};
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count), *option = NULL;
    for (size_t i = 0; i < count && !option; i++)
        if (pb_slice_equal(name, pb_slice_of(options[i].name)))
            option = &options[i];
    if (!option)
        return unknown_option(name, "--", error);
    if (!option->value) {
        if (equals)
            return pb_error_set(error, PB_ERROR_USAGE, "option --%s takes no value: drop \"%s\"",
                                option->name, equals);
        return set_option(self, option, NULL, error);
    }
    if (equals)
        return set_option(self, option, equals + 1, error);
    if (!next || strncmp(next, "--", 2) == 0) {
        pb_error_set(error, PB_ERROR_USAGE, "option --%s: its value is missing", option->name);
        if (next)
            return pb_error_hint(error, "if \"%s\" is the value, write --%s=%s", next, option->name,
                                 next);
        return pb_error_hint(error, "--%s %s: %s", option->name, option->value, option->meaning);
    }
    *ret_used = true;
    return set_option(self, option, next, error);
}

/* `-v`, `-vv`, `-qv`: letters stand for options without a value. */
static int take_letters(parser *self, const char *argument, pb_error *error)
{
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (const char *letter = argument + 1; *letter; letter++) {
        const pb_option_entry *option = NULL;
        for (size_t i = 0; i < count && !option; i++)
            if (options[i].letter == *letter)
                option = &options[i];
        if (!option) {
            /* "-prefix" is a long option with a dash too few. */
            pb_slice whole = {argument + 1, strcspn(argument + 1, "=")};
            return whole.size > 2 ? unknown_option(whole, "-", error)
                                  : unknown_option((pb_slice){letter, 1}, "-", error);
        }
        if (set_option(self, option, NULL, error))
            return -1;
    }
    return 0;
}

/* Reads all arguments though some are wrong; the first error is told. */
static int take_arguments(parser *self, int count, char *const *arguments, pb_error *error)
{
    int failed = 0;
    bool options_ended = false;
    for (int i = 1; i < count; i++) {
        const char *argument = arguments[i];
        bool next_used = false;
        pb_error *told = failed ? NULL : error;
        if (options_ended || argument[0] != '-' || !argument[1]) {
            if (self->operand_count < OPERANDS_KEPT)
                self->operands[self->operand_count++] = argument;
        } else if (strcmp(argument, "--") == 0) {
            options_ended = true;
        } else if (argument[1] == '-') {
            const char *next = i + 1 < count ? arguments[i + 1] : NULL;
            failed |= take_long(self, argument, next, &next_used, told);
        } else {
            failed |= take_letters(self, argument, told);
        }
        i += next_used;
    }
    return failed;
}

/* ---- the command and its operands ---- */

static int unknown_command(const char *name, pb_error *error)
{
    size_t count, distance = SIZE_MAX;
    const pb_command_entry *commands = pb_command_entries(&count), *nearest = NULL;
    for (size_t i = 0; i < count; i++)
        if (pb_spelling_is_nearer(pb_slice_of(name), commands[i].name, &distance))
            nearest = &commands[i];
    pb_error_set(error, PB_ERROR_USAGE, "\"%s\" is not a command", name);
    if (nearest)
        return pb_error_hint(error, "did you mean `pbcopy %s`?", nearest->name);
    return pb_error_hint(error, "`pbcopy help` lists the commands");
}

static int usage_hint(const pb_command_entry *command, pb_error *error)
{
    const pb_operand_entry *operands = command->operands;
    return pb_error_hint(error, "usage: pbcopy %s%s%s%s%s; see `pbcopy help %s`", command->name,
                         operands[0].name ? " " : "", operands[0].name ? operands[0].name : "",
                         operands[1].name ? " " : "", operands[1].name ? operands[1].name : "",
                         command->name);
}

static int take_operands(parser *self, const pb_command_entry *command, pb_error *error)
{
    size_t given = self->operand_count - 1, wanted = 0;
    for (; wanted < PB_OPERANDS_MAX && command->operands[wanted].name; wanted++) {
        const pb_operand_entry *operand = &command->operands[wanted];
        const char *value = wanted < given ? self->operands[wanted + 1] : NULL;
        if (!value && !operand->optional) {
            pb_error_set(error, PB_ERROR_USAGE, "%s: %s is missing", command->name, operand->name);
            return usage_hint(command, error);
        }
        if (value && !value[0]) {
            pb_error_set(error, PB_ERROR_USAGE, "%s: %s is empty", command->name, operand->name);
            return usage_hint(command, error);
        }
        *(const char **)member_at(self->options, operand->offset) = value;
    }
    if (given > wanted) {
        pb_error_set(error, PB_ERROR_USAGE, "%s: \"%s\" is one argument too many", command->name,
                     self->operands[wanted + 1]);
        return usage_hint(command, error);
    }
    return 0;
}

static int refuse_option(const pb_option_entry *option, const pb_command_entry *command,
                         pb_error *error)
{
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    pb_buffer owners = {0};
    for (size_t i = 0; i < count; i++)
        if (option->commands & 1u << commands[i].command)
            pb_buffer_append_format(&owners, "%s%s", owners.size ? ", " : "", commands[i].name);
    pb_error_set(error, PB_ERROR_USAGE, "option --%s is not one of `pbcopy %s`", option->name,
                 command->name);
    pb_error_hint(error, "leave it out; it belongs to: %s", owners.data);
    pb_buffer_free(&owners);
    return -1;
}

static int check_options(const parser *self, const pb_command_entry *command, pb_error *error)
{
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (size_t i = 0; i < count; i++)
        if (self->given & (uint64_t)1 << i && !(options[i].commands & 1u << command->command))
            return refuse_option(&options[i], command, error);
    if (self->options->quiet && self->options->verbosity)
        return pb_error_set(error, PB_ERROR_USAGE,
                            "options --quiet and --verbose contradict each other: choose one");
    if (self->options->records && self->options->json)
        return pb_error_set(error, PB_ERROR_USAGE,
                            "options --records and --json both print to standard output: choose "
                            "one (records are JSON already)");
    return 0;
}

int pb_options_parse(int count, char *const *arguments, pb_options *ret_options, pb_error *error)
{
    parser self = {.options = ret_options};
    *ret_options = (pb_options){0};
    size_t option_count;
    const pb_option_entry *options = pb_option_entries(&option_count);
    for (size_t i = 0; i < option_count; i++)
        if (options[i].standard)
            *(uint64_t *)member_at(ret_options, options[i].offset) = options[i].standard;
    int failed = take_arguments(&self, count, arguments, error);
    const pb_command_entry *command =
        self.operand_count ? pb_command_entry_named(self.operands[0]) : NULL;
    if (command)
        ret_options->command = command->command;
    if (failed)
        return -1;
    if (self.operand_count && !command)
        return unknown_command(self.operands[0], error);
    if (ret_options->help || ret_options->version)
        return 0;
    if (!command) {
        pb_error_set(error, PB_ERROR_USAGE, "no command was given");
        return pb_error_hint(error, "`pbcopy help` lists the commands");
    }
    return check_options(&self, command, error) || take_operands(&self, command, error) ? -1 : 0;
}
