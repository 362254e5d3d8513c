/* cli/commands.h - the one table of commands and options, from which the parser (options.h) and the
 * help pages (help.h) are made. Pure, any thread. */
#ifndef PB_CLI_COMMANDS_H
#define PB_CLI_COMMANDS_H

#include "base/hash.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pb_command {
    PB_COMMAND_NONE,
    PB_COMMAND_BACKUP,
    PB_COMMAND_RESTORE,
    PB_COMMAND_VERIFY,
    PB_COMMAND_SNAPSHOTS,
    PB_COMMAND_SHOW,
    PB_COMMAND_COPY,
    PB_COMMAND_HELP,
    PB_COMMAND_VERSION,
} pb_command;

/* What a command line says. Strings are borrowed from the arguments; NULL where not given. */
typedef struct pb_options {
    pb_command command;
    const char *source; /* operands */
    const char *repository;
    const char *destination;
    const char *topic; /* of help */
    uint64_t parallel;
    uint64_t memory_bytes;
    uint64_t loops;
    uint64_t stall_s;
    uint64_t limit_bytes;
    uint64_t limit_requests;
    const char *prefix;
    const char *snapshot;
    const char *ca_bundle;
    pb_hash_kind checksum; /* SHA256 or CRC32C */
    uint64_t verbosity;    /* how often -v was given */
    bool quiet;
    bool json;
    bool dry_run;
    bool unsigned_payload;
    bool take_over;
    bool full;
    bool read;
    bool overwrite;
    bool records;
    bool help;
    bool version;
} pb_options;

typedef struct pb_operand_entry {
    const char *name; /* "SOURCE"; NULL for none */
    size_t offset;    /* of its const char * in pb_options */
    bool optional;
} pb_operand_entry;

typedef struct pb_example {
    const char *purpose; /* NULL for none */
    const char *line;
} pb_example;

enum { PB_OPERANDS_MAX = 2, PB_EXAMPLES_MAX = 3 };

typedef struct pb_command_entry {
    pb_command command;
    const char *name;
    pb_operand_entry operands[PB_OPERANDS_MAX];
    const char *summary;     /* a phrase without a full stop */
    const char *description; /* paragraphs, an empty line between them */
    pb_example examples[PB_EXAMPLES_MAX];
} pb_command_entry;

typedef enum pb_option_kind {
    PB_OPTION_FLAG,     /* bool */
    PB_OPTION_COUNTED,  /* uint64_t: how often */
    PB_OPTION_NUMBER,   /* uint64_t, from least to most */
    PB_OPTION_SIZE,     /* uint64_t bytes, likewise */
    PB_OPTION_TEXT,     /* const char *, not empty */
    PB_OPTION_PREFIX,   /* const char *, also empty */
    PB_OPTION_SNAPSHOT, /* const char *: an id */
    PB_OPTION_CHECKSUM, /* pb_hash_kind; SHA256 where it is not given */
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
    pb_command_set commands;
    const char *meaning; /* a phrase without a full stop */
} pb_option_entry;

/* All of them, in the order in which help shows them. */
const pb_command_entry *pb_command_entries(size_t *ret_count);
const pb_option_entry *pb_option_entries(size_t *ret_count);

/* NULL for PB_COMMAND_NONE. */
const pb_command_entry *pb_command_entry_of(pb_command command);
/* NULL where there is no such command. */
const pb_command_entry *pb_command_entry_named(const char *name);

#endif
