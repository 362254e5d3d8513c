#include "cli/help.h"

enum { WIDTH = 80, OPTIONS_COLUMN = 25, COMMANDS_COLUMN = 34 };

static void append_spaces(pb_buffer *buffer, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pb_buffer_append_char(buffer, ' ');
}

/* Appends words from column `at` on, later lines beginning in column `indent`; an empty line in the
 * text stays one. Ends with a newline. */
static void append_wrapped(pb_buffer *buffer, const char *text, size_t at, size_t indent)
{
    bool begins = true; /* of a line */
    while (*text) {
        size_t size = strcspn(text, " \n");
        if (!begins && at + 1 + size > WIDTH) {
            pb_buffer_append_char(buffer, '\n');
            append_spaces(buffer, indent);
            at = indent;
            begins = true;
        }
        if (!begins)
            pb_buffer_append_char(buffer, ' ');
        pb_buffer_append(buffer, text, size);
        at += size + !begins;
        begins = false;
        text += size;
        if (strncmp(text, "\n\n", 2) == 0) {
            pb_buffer_append_text(buffer, "\n\n");
            append_spaces(buffer, indent);
            at = indent;
            begins = true;
            text++;
        }
        text += *text != '\0';
    }
    pb_buffer_append_char(buffer, '\n');
}

/* A term, and what it means in a column of its own. */
static void append_entry(pb_buffer *buffer, const char *term, const char *meaning, size_t column)
{
    size_t size = strlen(term) + 2;
    pb_buffer_append_format(buffer, "  %s", term);
    if (size + 2 > column) {
        pb_buffer_append_char(buffer, '\n');
        size = 0;
    }
    append_spaces(buffer, column - size);
    append_wrapped(buffer, meaning, column, column);
}

void pb_help_append_usage(pb_buffer *buffer, const pb_command_entry *command)
{
    const pb_operand_entry *operands = command->operands;
    pb_buffer_append_text(buffer, command->name);
    const char *open = operands[0].need == PB_OPERAND_NEEDED ? " " : " [";
    for (unsigned i = 0; i < PB_OPERANDS_MAX && operands[i].name; i++)
        pb_buffer_append_format(buffer, "%s%s", i ? " " : open, operands[i].name);
    if (operands[0].name && open[1])
        pb_buffer_append_char(buffer, ']');
}

void pb_help_overview(pb_buffer *buffer)
{
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    pb_buffer_append_text(buffer, "pbcopy " PB_VERSION " - backs up object-store buckets and "
                                  "Pachyderm clusters\n\n"
                                  "Usage: pbcopy COMMAND [URL...] [OPTION...]\n\nCommands\n");
    for (size_t i = 0; i < count; i++) {
        pb_buffer usage = {0};
        pb_help_append_usage(&usage, &commands[i]);
        append_entry(buffer, usage.data, commands[i].summary, COMMANDS_COLUMN);
        pb_buffer_free(&usage);
    }
    pb_buffer_append_char(buffer, '\n');
    append_wrapped(buffer,
                   "A URL is s3://BUCKET[/PREFIX], gs://BUCKET[/PREFIX] or file:///DIRECTORY. "
                   "What is left out is taken from pbcopy.yaml (--config FILE, $PBCOPY_CONFIG, "
                   "./pbcopy.yaml or "
                   "/etc/pbcopy/pbcopy.yaml). `pbcopy help COMMAND` has all about a command: its "
                   "options, URLs, environment variables, exit codes and examples.",
                   0, 0);
}

/* ---- what is the same for many commands ---- */

static const pb_help_entry urls[] = {
    {"s3://BUCKET[/PREFIX]", "a bucket of AWS S3, or the folder PREFIX in it"},
    {"'s3://BUCKET[/PREFIX]?endpoint=http[s]://HOST:PORT[/PATH]'",
     "a bucket of another store that speaks S3: Ceph, MinIO, ..."},
    {"gs://BUCKET[/PREFIX]", "a bucket of Google Cloud Storage"},
    {"file:///DIRECTORY, file://RELATIVE/DIRECTORY", "a directory; its files are the objects"},
};

static const char urls_more[] =
    "Behind the ? may stand, joined by &: endpoint=, region=, profile= (of the AWS files), "
    "disableSSL=true, s3ForcePathStyle=true or false and anonymous=true (no login): Pachyderm's "
    "STORAGE_URL can be pasted. requestPayer=true agrees to pay for requests to a bucket whose "
    "requester pays; gs:// has userProject=PROJECT for it. "
    "Quote such a URL in a shell. Keys and passwords are never taken from a URL.";

static const pb_help_entry store_variables[] = {
    {"AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN",
     "keys for every S3 URL without profile="},
    {"AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN",
     "the role of a pod (IRSA), where no keys are set"},
    {"AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE",
     "the profile (\"default\") and the files (~/.aws/credentials, ~/.aws/config) that are used "
     "after that"},
    {"AWS_CONTAINER_CREDENTIALS_FULL_URI, _RELATIVE_URI", "EKS Pod Identity and ECS, after that"},
    {"AWS_EC2_METADATA_DISABLED",
     "true: the metadata server of EC2 is not asked, which comes last"},
    {"AWS_REGION, AWS_DEFAULT_REGION", "the region where the URL names none"},
    {"GOOGLE_APPLICATION_CREDENTIALS",
     "a credential file for every gs:// URL; else gcloud's own, else the metadata server "
     "(workload identity)"},
    {"STORAGE_EMULATOR_HOST", "HOST:PORT of an emulator of Google Cloud Storage"},
    {"http_proxy, https_proxy, all_proxy, no_proxy",
     "proxies of http:// and https:// endpoints, of both, and hosts, domains and networks (CIDR) "
     "that are reached without one; a login stands in the proxy's URL"},
    {"AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL", "the endpoint where the URL names none"},
    {"AWS_CA_BUNDLE", "a PEM file of certificates to trust, where --ca-bundle is not given"},
};

static const pb_help_entry cluster_variables[] = {
    {"KUBECONFIG", "how kubectl reaches the cluster, where --kubeconfig is not given"},
};

static const pb_help_entry database_variables[] = {
    {"PGPASSWORD, PGPASSFILE, PGSERVICE, ...",
     "read by PostgreSQL's own programs where the cluster's secret has no password"},
};

static const pb_help_entry connect_variables[] = {
    {"PACH_CONFIG", "the file of pachctl's contexts; ~/.pachyderm/config.json where it is not set"},
};

static const pb_help_entry config_variables[] = {
    {"PBCOPY_CONFIG", "the configuration, where --config is not given; /dev/null for none"},
};

static const pb_help_entry exit_codes[] = {
    {"0", "done, and nothing was found wrong"},
    {"1", "failed"},
    {"2", "wrong usage: an option, a configuration, a URL, or a place that is no repository"},
    {"3", "stored bytes are damaged or missing"},
    {"4", "refused: credentials, rights or clock"},
    {"5", "a store, a cluster or a database could not be reached or kept failing"},
    {"6", "another run of the same source is under way"},
    {"7", "no such bucket, key, snapshot or namespace"},
    {"130", "interrupted by SIGINT, SIGTERM, SIGHUP or SIGQUIT; a second SIGINT ends it at once"},
};

#define ENTRIES(array) ((pb_help_entries){(array), sizeof(array) / sizeof *(array)})

pb_help_entries pb_help_urls(const char **ret_more)
{
    *ret_more = urls_more;
    return ENTRIES(urls);
}

pb_help_entries pb_help_exit_codes(void)
{
    return ENTRIES(exit_codes);
}

static bool has_option(const pb_command_entry *command, const char *name)
{
    return pb_option_entry_named(pb_slice_of(name))->commands & 1u << command->command;
}

static void give_all(pb_help_entries entries, void (*give)(void *, const char *, const char *),
                     void *context)
{
    for (size_t i = 0; i < entries.count; i++)
        give(context, entries.items[i].term, entries.items[i].meaning);
}

static void give_operand(const char *role, void (*give)(void *, const char *, const char *),
                         void *context)
{
    pb_buffer term = {0}, meaning = {0};
    pb_buffer_append_format(&term, "PBCOPY_%s_ACCESS_KEY_ID, PBCOPY_%s_SECRET_ACCESS_KEY", role,
                            role);
    pb_buffer_append_format(&meaning,
                            "keys for %s alone; they go before those below. A temporary key also "
                            "wants PBCOPY_%s_SESSION_TOKEN",
                            role, role);
    give(context, term.data, meaning.data);
    pb_buffer_clear(&term);
    pb_buffer_clear(&meaning);
    pb_buffer_append_format(&term, "PBCOPY_%s_GOOGLE_CREDENTIALS", role);
    pb_buffer_append_format(&meaning, "a credential file of Google for %s alone", role);
    give(context, term.data, meaning.data);
    pb_buffer_free(&term);
    pb_buffer_free(&meaning);
}

void pb_help_variables(const pb_command_entry *command,
                       void (*give)(void *context, const char *term, const char *meaning),
                       void *context)
{
    static const char *const roles[] = {"SOURCE", "REPOSITORY", "DESTINATION"};
    bool stores = !command || command->operands[0].name;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        for (unsigned j = 0; j < PB_OPERANDS_MAX; j++) {
            const char *name = command ? command->operands[j].name : j ? NULL : roles[i];
            if (name && strcmp(name, roles[i]) == 0)
                give_operand(name, give, context);
        }
    if (stores)
        give_all(ENTRIES(store_variables), give, context);
    if (!command || has_option(command, "kubeconfig"))
        give_all(ENTRIES(cluster_variables), give, context);
    if (!command || has_option(command, "database-host"))
        give_all(ENTRIES(database_variables), give, context);
    if (!command || has_option(command, "address"))
        give_all(ENTRIES(connect_variables), give, context);
    if (!command || has_option(command, "config"))
        give_all(ENTRIES(config_variables), give, context);
}

void pb_help_append_term(pb_buffer *buffer, const pb_option_entry *option)
{
    if (option->letter)
        pb_buffer_append_format(buffer, "-%c, ", option->letter);
    pb_buffer_append_format(buffer, "--%s", option->name);
    if (option->value)
        pb_buffer_append_format(buffer, " %s", option->value);
}

/* ---- a command's page ---- */

static void append_urls(pb_buffer *buffer)
{
    const char *more;
    pb_help_entries entries = pb_help_urls(&more);
    pb_buffer_append_text(buffer, "\nURLs\n");
    for (size_t i = 0; i < entries.count; i++)
        append_entry(buffer, entries.items[i].term, entries.items[i].meaning, 6);
    pb_buffer_append_text(buffer, "\n  ");
    append_wrapped(buffer, more, 2, 2);
}

static void append_options(pb_buffer *buffer, const pb_command_entry *command, bool of_cluster)
{
    /* Where bucket and cluster can be told apart, they stand apart. */
    bool apart = command->command == PB_COMMAND_BACKUP || command->command == PB_COMMAND_RESTORE;
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    if (of_cluster && !apart)
        return;
    pb_buffer_append_text(buffer, of_cluster ? "\nOptions of a whole cluster\n" : "\nOptions\n");
    for (size_t i = 0; i < count; i++) {
        bool is_here = !apart || options[i].of_cluster == of_cluster;
        if (!(options[i].commands & 1u << command->command) || !is_here)
            continue;
        pb_buffer term = {0};
        pb_help_append_term(&term, &options[i]);
        append_entry(buffer, term.data, options[i].meaning, OPTIONS_COLUMN);
        pb_buffer_free(&term);
    }
}

static void append_variable(void *buffer, const char *term, const char *meaning)
{
    append_entry(buffer, term, meaning, 6);
}

static void append_exit_codes(pb_buffer *buffer)
{
    pb_help_entries entries = pb_help_exit_codes();
    pb_buffer_append_text(buffer, "\nExit codes\n");
    for (size_t i = 0; i < entries.count; i++)
        append_entry(buffer, entries.items[i].term, entries.items[i].meaning, 7);
}

static void append_examples(pb_buffer *buffer, const pb_command_entry *command)
{
    pb_buffer_append_text(buffer, "\nExamples\n");
    for (unsigned i = 0; i < PB_EXAMPLES_MAX && command->examples[i].purpose; i++)
        pb_buffer_append_format(buffer, "%s  %s\n    %s\n", i ? "\n" : "",
                                command->examples[i].purpose, command->examples[i].line);
}

void pb_help_command(pb_buffer *buffer, const pb_command_entry *command)
{
    bool works = has_option(command, "config");
    pb_buffer_append_text(buffer, "pbcopy ");
    pb_help_append_usage(buffer, command);
    pb_buffer_append_text(buffer, works ? " [OPTION...]\n\n" : "\n\n");
    append_wrapped(buffer, command->description, 0, 0);
    if (works) {
        if (command->operands[0].name)
            append_urls(buffer);
        append_options(buffer, command, false);
        append_options(buffer, command, true);
        pb_buffer_append_text(buffer, "\nEnvironment variables\n");
        pb_help_variables(command, append_variable, buffer);
        append_exit_codes(buffer);
    }
    append_examples(buffer, command);
}
