#include "cli/options.h"

#include "base/spelling.h"
#include "cluster/pachyderm/layout.h"
#include <assert.h>

enum { OPERANDS_KEPT = PB_OPERANDS_MAX + 2 }; /* the command, its operands, one too many */

typedef struct parser {
    pb_options *options;
    const char *operands[OPERANDS_KEPT];
    size_t operand_count;
    bool given[PB_OPTION_ENTRIES_MAX]; /* by the option's place in the table */
} parser;

static bool belongs_to(const pb_option_entry *option, const pb_command_entry *command)
{
    return option->commands & 1u << command->command;
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
    const pb_option_entry *options = pb_option_entries(&count);
    assert(count <= PB_OPTION_ENTRIES_MAX);
    self->given[option - options] = true;
    pb_buffer where = {0};
    pb_buffer_append_format(&where, "option --%s", option->name);
    int failed = pb_options_take(self->options, option, where.data, value, error);
    pb_buffer_free(&where);
    return failed;
}

/* `--name`, `--name=value` or `--name value`; *ret_used tells whether `next` was the value. */
static int take_long(parser *self, const char *argument, const char *next, bool *ret_used,
                     pb_error *error)
{
    const char *equals = strchr(argument, '=');
    pb_slice name = {argument + 2, equals ? (size_t)(equals - argument) - 2 : strlen(argument) - 2};
    const pb_option_entry *option = pb_option_entry_named(name);
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
    bool is_configured = operands[0].name && operands[0].need != PB_OPERAND_NEEDED &&
                         command->command != PB_COMMAND_HELP;
    return pb_error_hint(error, "usage: pbcopy %s%s%s%s%s; see `pbcopy help %s`%s", command->name,
                         operands[0].name ? " " : "", operands[0].name ? operands[0].name : "",
                         operands[1].name ? " " : "", operands[1].name ? operands[1].name : "",
                         command->name,
                         is_configured ? "; pbcopy.yaml can give what is left out" : "");
}

/* Over what the configuration said. */
static int take_operands(parser *self, const pb_command_entry *command, pb_error *error)
{
    size_t given = self->operand_count - 1, wanted = 0;
    /* A single one is REPOSITORY where the cluster says its source. */
    size_t first = given == 1 && self->options->is_cluster &&
                   command->operands[0].need == PB_OPERAND_FROM_CLUSTER;
    for (; wanted < PB_OPERANDS_MAX && command->operands[wanted].name; wanted++) {
        const pb_operand_entry *operand = &command->operands[wanted];
        const char **member = pb_options_member(self->options, operand->offset);
        if (wanted >= first && wanted - first < given)
            *member = self->operands[wanted - first + 1];
        bool is_needed = operand->need == PB_OPERAND_NEEDED ||
                         operand->need == PB_OPERAND_CONFIGURED ||
                         (operand->need == PB_OPERAND_FROM_CLUSTER && !self->options->is_cluster);
        if ((!*member && is_needed) || (*member && !**member)) {
            pb_error_set(error, PB_ERROR_USAGE, "%s: %s is %s", command->name, operand->name,
                         *member ? "empty" : "missing");
            return usage_hint(command, error);
        }
    }
    if (given > wanted) {
        pb_error_set(error, PB_ERROR_USAGE, "%s: \"%s\" is one argument too many", command->name,
                     self->operands[wanted + 1]);
        return usage_hint(command, error);
    }
    return 0;
}

/* ---- what the run is of ---- */

/* These are of a cluster, or of nothing. */
static bool is_always_of_cluster(pb_command command)
{
    return command == PB_COMMAND_INIT || command == PB_COMMAND_DOCTOR ||
           command == PB_COMMAND_SUSPEND || command == PB_COMMAND_RESUME;
}

/* Settles is_cluster, name_space and of_source, before operands of the command line are taken. */
static int find_cluster(parser *self, const pb_config_places *places,
                        const pb_command_entry *command, pb_error *error)
{
    pb_options *options = self->options;
    size_t count;
    const pb_option_entry *entry = pb_option_entry_named(PB_SLICE_LITERAL("namespace"));
    const pb_option_entry *source = pb_option_entry_named(PB_SLICE_LITERAL("source"));
    bool has_operands = self->operand_count > 1;
    /* The file's source is that of the file's repository. */
    if (has_operands && !self->given[source - pb_option_entries(&count)])
        options->of_source = NULL;
    if (!belongs_to(entry, command))
        return 0;
    bool always = is_always_of_cluster(command->command);
    bool chooses = command->command == PB_COMMAND_VERIFY || command->command == PB_COMMAND_SHOW;
    bool is_named = self->given[entry - pb_option_entries(&count)];
    /* A pod that copies buckets says which ones; a namespace for it would be a surprise. */
    bool may_be_pod =
        always || (!has_operands && !chooses && !options->source && !options->destination);
    if (!options->name_space && may_be_pod)
        options->name_space = pb_config_pod_namespace(places, &options->arena);
    options->is_cluster = always || is_named || (options->name_space && !has_operands);
    if (!options->is_cluster)
        options->name_space = NULL;
    if (chooses)
        options->is_cluster = false;
    bool is_needed = always && (command->command != PB_COMMAND_INIT || options->from_cluster);
    if (is_needed && !options->name_space) {
        pb_error_set(error, PB_ERROR_USAGE, "%s: the namespace of Pachyderm is missing",
                     command->name);
        return pb_error_hint(
            error,
            "give --namespace NS%s; `kubectl get deployments --all-namespaces "
            "--selector " PB_PACHD_SELECTOR "` finds it",
            command->command == PB_COMMAND_INIT ? "" : ", or write `namespace: NS` in pbcopy.yaml");
    }
    return 0;
}

/* Options of a cluster on a command line that is of a bucket would be lost without a word. */
static int check_cluster(const parser *self, const pb_command_entry *command, pb_error *error)
{
    bool moves = command->command == PB_COMMAND_BACKUP || command->command == PB_COMMAND_RESTORE;
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (size_t i = 0; i < count && moves && !self->options->is_cluster; i++)
        if (self->given[i] && options[i].of_cluster) {
            pb_error_set(error, PB_ERROR_USAGE,
                         "option --%s is of a whole cluster, and this is a %s of a bucket alone",
                         options[i].name, command->name);
            return pb_error_hint(error, "name the cluster with --namespace NS, or leave the option "
                                        "out");
        }
    if (command->command == PB_COMMAND_CONNECT &&
        !(self->options->address && self->options->cluster)) {
        pb_error_set(error, PB_ERROR_USAGE, "connect: --%s is missing",
                     self->options->address ? "cluster" : "address");
        return pb_error_hint(error, "usage: pbcopy connect --address HOST --cluster NAME");
    }
    return 0;
}

/* ---- together ---- */

static int refuse_option(const pb_option_entry *option, const pb_command_entry *command,
                         pb_error *error)
{
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    pb_buffer owners = {0};
    for (size_t i = 0; i < count; i++)
        if (belongs_to(option, &commands[i]))
            pb_buffer_append_format(&owners, "%s%s", owners.size ? ", " : "", commands[i].name);
    pb_error_set(error, PB_ERROR_USAGE, "option --%s is not one of `pbcopy %s`", option->name,
                 command->name);
    pb_error_hint(error, "leave it out; it belongs to: %s", owners.data);
    pb_buffer_free(&owners);
    return -1;
}

static int check_options(const parser *self, const pb_command_entry *command, pb_error *error)
{
    static const bool none[PB_OPTION_ENTRIES_MAX];
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (size_t i = 0; i < count; i++)
        if (self->given[i] && !belongs_to(&options[i], command))
            return refuse_option(&options[i], command, error);
    return pb_options_settle(self->options, none, NULL, error);
}

static int read_configuration(const parser *self, const pb_config_places *places,
                              const pb_command_entry *command, pb_error *error)
{
    const pb_option_entry *config = pb_option_entry_named(PB_SLICE_LITERAL("config"));
    if (!belongs_to(config, command))
        return 0;
    if (command->command == PB_COMMAND_INIT) {
        self->options->config = pb_config_name(places, self->options);
        return 0;
    }
    return pb_config_read(places, command, self->given, self->options, error);
}

int pb_options_parse(int count, char *const *arguments, const pb_config_places *places,
                     pb_options *ret_options, pb_error *error)
{
    parser self = {.options = ret_options};
    pb_options_init(ret_options);
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
    failed = check_options(&self, command, error) ||
             read_configuration(&self, places, command, error) ||
             find_cluster(&self, places, command, error) || take_operands(&self, command, error) ||
             check_cluster(&self, command, error);
    return failed ? -1 : 0;
}
