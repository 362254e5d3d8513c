/* cli/commands.h - the one table of commands and options, from which the command line (options.h),
 * pbcopy.yaml (config.h), the help pages (help.h), the man page (man.h) and the completion of the
 * shell (completion.h) are made. Pure, any thread. */
#ifndef PB_CLI_COMMANDS_H
#define PB_CLI_COMMANDS_H

#include "base/bytes.h"
#include "base/hash.h"

typedef enum pb_command {
    PB_COMMAND_NONE,
    PB_COMMAND_BACKUP,
    PB_COMMAND_RESTORE,
    PB_COMMAND_VERIFY,
    PB_COMMAND_SNAPSHOTS,
    PB_COMMAND_SHOW,
    PB_COMMAND_COPY,
    PB_COMMAND_INIT,
    PB_COMMAND_DOCTOR,
    PB_COMMAND_SUSPEND,
    PB_COMMAND_RESUME,
    PB_COMMAND_CONNECT,
    PB_COMMAND_HELP,
    PB_COMMAND_VERSION,
} pb_command;

typedef struct pb_text_list {
    const char **items;
    size_t count;
} pb_text_list;

/* What the command line and the configuration say. Strings are borrowed from the arguments or live
 * in the arena; NULL where not given. */
typedef struct pb_options {
    pb_command command;
    const char *source; /* operands */
    const char *repository;
    const char *destination;
    const char *topic;  /* of help */
    const char *config; /* the file that was read, NULL for none; of init: the one to write */
    uint64_t parallel;
    uint64_t memory_bytes;
    uint64_t loops;
    uint64_t stall_s;
    uint64_t patience_s;
    uint64_t limit_bytes;
    uint64_t limit_requests;
    const char *prefix;
    const char *snapshot;
    const char *of_source; /* --source: whose snapshot */
    const char *ca_bundle;
    const char *scratch;
    pb_hash_kind checksum; /* SHA256 or CRC32C */
    uint64_t verbosity;    /* how often -v was given */
    bool quiet;
    bool json;
    bool dry_run;
    bool unsigned_payload;
    bool take_over;
    bool no_wait;
    bool exclusive;
    bool all;
    bool full;
    bool allow_empty;
    bool allow_gone;
    bool strict;
    bool read;
    bool overwrite;
    bool records;
    bool help;
    bool version;

    /* ---- a whole cluster ---- */

    /* The run is of the cluster in `name_space`, which is then given (but for an init that reads
     * none). Of a run that is of a bucket alone, name_space is NULL and what else is of a cluster
     * counts for nothing. verify and show are of no cluster; name_space is then the cluster whose
     * snapshot is meant, or NULL. */
    bool is_cluster;
    const char *name_space;
    const char *kubeconfig;
    const char *kube_context;
    const char *kubernetes; /* "native", "velero", "none" */
    const char *velero_namespace;
    const char *identity_database;
    const char *dump; /* "databases", "all", "none" */
    const char *database_host;
    uint64_t database_port; /* 0: as the cluster says */
    const char *database_user;
    pb_text_list recipients;
    bool plaintext;
    const char *identity;
    uint64_t wait_s;
    uint64_t grace_s;        /* 0: as the pods have it */
    uint64_t max_downtime_s; /* 0: no end */
    uint64_t passes;         /* before the pause */
    bool database;           /* verify compares the chunks that the dump needs with the manifest */
    bool from_cluster;

    /* ---- edits of a restore ---- */

    const char *edits; /* a file */
    const char *bucket;
    const char *bucket_credentials; /* a file */
    const char *cloudsql_instance;
    const char *pachd_database_host;
    const char *image_registry;
    pb_text_list gcp_service_account; /* "IDENTITY" or "ACCOUNT=IDENTITY" */
    pb_text_list aws_role;
    pb_text_list azure_client;
    bool drop_service_account_secrets;
    bool keep_paused;
    bool allow_live_bucket;
    bool allow_existing;
    bool overwrite_database;
    bool allow_privileged;
    const char *address; /* of pachd, for pachctl */
    const char *cluster; /* how pachctl calls it */

    pb_arena arena;
} pb_options;

typedef struct pb_operand_entry {
    const char *name; /* "SOURCE"; NULL for none */
    size_t offset;    /* of its const char * in pb_options */
    enum {
        PB_OPERAND_NEEDED,
        PB_OPERAND_CONFIGURED,   /* needed, but the configuration may give it */
        PB_OPERAND_FROM_CLUSTER, /* likewise; where the run is of a cluster, it may be missing */
        PB_OPERAND_OPTIONAL,     /* may be missing; the configuration may give it */
    } need;
} pb_operand_entry;

typedef struct pb_example {
    const char *purpose; /* NULL for none */
    const char *line;
} pb_example;

enum { PB_OPERANDS_MAX = 2, PB_EXAMPLES_MAX = 4 };

typedef struct pb_command_entry {
    pb_command command;
    const char *name;
    pb_operand_entry operands[PB_OPERANDS_MAX];
    const char *summary;     /* a phrase without a full stop */
    const char *description; /* paragraphs, an empty line between them */
    pb_example examples[PB_EXAMPLES_MAX];
} pb_command_entry;

typedef enum pb_option_kind {
    PB_OPTION_FLAG,      /* bool */
    PB_OPTION_COUNTED,   /* uint64_t: how often */
    PB_OPTION_NUMBER,    /* uint64_t, from least to most */
    PB_OPTION_GRACE,     /* uint64_t seconds, likewise, and 0 has a reason of its own */
    PB_OPTION_SIZE,      /* uint64_t bytes, likewise */
    PB_OPTION_DURATION,  /* uint64_t seconds, likewise */
    PB_OPTION_TEXT,      /* const char *, not empty */
    PB_OPTION_PREFIX,    /* const char *, also empty */
    PB_OPTION_SNAPSHOT,  /* const char *: an id */
    PB_OPTION_CHECKSUM,  /* pb_hash_kind; SHA256 where it is not given */
    PB_OPTION_CHOICE,    /* const char *: one of the words in `value`, "native|velero|none" */
    PB_OPTION_LIST,      /* pb_text_list: may be given more than once */
    PB_OPTION_NAMESPACE, /* const char *: a name as Kubernetes has them */
} pb_option_kind;

/* A set of commands: bits 1 << pb_command. */
typedef unsigned pb_command_set;

typedef struct pb_option_entry {
    const char *name;  /* without dashes */
    char letter;       /* 0 for none */
    const char *value; /* what stands for it in help: "SIZE"; NULL where it takes none */
    pb_option_kind kind;
    size_t offset;     /* in pb_options */
    uint64_t standard; /* NUMBER, SIZE: the value where it is not given */
    uint64_t least;
    uint64_t most;
    const char *standard_text; /* TEXT, CHOICE: the same; NULL for none */
    bool of_cluster;           /* backup and restore refuse it where the run is of a bucket alone */
    pb_command_set commands;
    const char *meaning; /* a phrase without a full stop */
} pb_option_entry;

/* Options are at most as many: who notes which were given needs no memory. */
enum { PB_OPTION_ENTRIES_MAX = 96 };

/* All of them, in the order in which help shows them. */
const pb_command_entry *pb_command_entries(size_t *ret_count);
const pb_option_entry *pb_option_entries(size_t *ret_count);

/* NULL for PB_COMMAND_NONE. */
const pb_command_entry *pb_command_entry_of(pb_command command);
/* NULL where there is no such command. */
const pb_command_entry *pb_command_entry_named(const char *name);
const pb_option_entry *pb_option_entry_named(pb_slice name);

/* Appends "native, velero or none" for a CHOICE. */
void pb_option_append_choices(const pb_option_entry *option, pb_buffer *buffer);

#endif
