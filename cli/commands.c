#include "cli/commands.h"

#include <string.h>

/* clang-format off */
#define SOURCE {"SOURCE", offsetof(pb_options, source), false}
#define REPOSITORY {"REPOSITORY", offsetof(pb_options, repository), false}
#define DESTINATION {"DESTINATION", offsetof(pb_options, destination), false}
#define TOPIC {"COMMAND", offsetof(pb_options, topic), true}
/* clang-format on */

static const pb_command_entry commands[] = {
    {
        .command = PB_COMMAND_BACKUP,
        .name = "backup",
        .operands = {SOURCE, REPOSITORY},
        .summary = "copy what is new in a bucket into a repository, as a snapshot",
        .description =
            "Backs up all objects of SOURCE, or those under --prefix, as one more snapshot of "
            "REPOSITORY. An empty bucket or prefix becomes a repository with its first backup.\n\n"
            "Only objects that are new or changed since the last snapshot of the same source are "
            "copied; inside one store the store itself copies them. Every snapshot restores by "
            "itself. A snapshot is there only once it is complete: a run that failed or was "
            "interrupted leaves none, and the same command goes on from where it ended.",
        .examples =
            {
                {"Back up a bucket of AWS into another one, with the default profile:",
                 "pbcopy backup s3://pachyderm-data s3://pachyderm-backup"},
                {"From MinIO to a directory:",
                 "pbcopy backup 's3://data?endpoint=http://minio:9000' file:///srv/backup"},
            },
    },
    {
        .command = PB_COMMAND_RESTORE,
        .name = "restore",
        .operands = {REPOSITORY, DESTINATION},
        .summary = "write the objects of a snapshot back into a bucket",
        .description =
            "Writes all objects of a snapshot, the newest unless --snapshot says otherwise, to "
            "DESTINATION, and checks each against what the snapshot knows of its bytes.\n\n"
            "Objects that are there already and the same are left alone, so that a second run goes "
            "on from where the first ended. Objects with other bytes are left alone too, and the "
            "run fails, unless --overwrite is given. Nothing is ever deleted.",
        .examples =
            {
                {"Restore the newest snapshot into an empty bucket:",
                 "pbcopy restore s3://pachyderm-backup s3://pachyderm-data-new"},
                {"Restore one folder of an older one into a directory:",
                 "pbcopy restore s3://pachyderm-backup file:///tmp/restored "
                 "--snapshot 20261123T052049Z-3f9a --prefix chunk/"},
            },
    },
    {
        .command = PB_COMMAND_VERIFY,
        .name = "verify",
        .operands = {REPOSITORY},
        .summary = "find out whether what a snapshot promises is there and intact",
        .description =
            "Holds the objects in REPOSITORY against the manifest of a snapshot, the newest unless "
            "--snapshot says otherwise. Without --read, listings are compared: every object is "
            "there, of the right size and with the right ETag. With --read, every byte is read "
            "and hashed.\n\n"
            "What is found is printed as \"NAME: KEY: what is wrong\", where NAME is missing, "
            "truncated, mismatch, unreadable, orphan or manifest-damaged; up to 1,000 are named. "
            "Any finding makes the exit code 3.",
        .examples =
            {
                {"Compare listings, which takes a request for a thousand objects:",
                 "pbcopy verify s3://pachyderm-backup"},
                {"Read every byte:", "pbcopy verify s3://pachyderm-backup --read"},
            },
    },
    {
        .command = PB_COMMAND_SNAPSHOTS,
        .name = "snapshots",
        .operands = {REPOSITORY},
        .summary = "list the snapshots of a repository",
        .description =
            "Prints a line for each snapshot, oldest first. \"new\" is what the snapshot had to "
            "copy. \"unfinished\" is a run that goes on or that ended without a snapshot; the next "
            "backup of the same source takes it up.",
        .examples =
            {
                {"List them:", "pbcopy snapshots s3://pachyderm-backup"},
                {"The id of the newest one:",
                 "pbcopy snapshots s3://pachyderm-backup --json | "
                 "jq -r '[.snapshots[] | select(.state == \"complete\")][-1].id'"},
            },
    },
    {
        .command = PB_COMMAND_SHOW,
        .name = "show",
        .operands = {REPOSITORY},
        .summary = "describe a snapshot, or print the records of its objects",
        .description = "Describes a snapshot, the newest unless --snapshot says otherwise. With "
                       "--records, prints one JSON object a line for every object of it, in the "
                       "order of keys, and nothing else.",
        .examples =
            {
                {"Describe the newest snapshot:", "pbcopy show s3://pachyderm-backup"},
                {"Which objects are larger than a gigabyte?",
                 "pbcopy show s3://pachyderm-backup --records | "
                 "jq -r 'select(.size > 1e9) | .key'"},
            },
    },
    {
        .command = PB_COMMAND_COPY,
        .name = "copy",
        .operands = {SOURCE, DESTINATION},
        .summary = "copy what is new or changed from one bucket to another",
        .description =
            "Copies objects that are not in DESTINATION or differ there, without a repository and "
            "without a manifest. Objects of equal size and ETag are left alone; between stores "
            "whose ETags cannot be compared, those of equal size that were written after the "
            "source's. Nothing is ever deleted.",
        .examples =
            {
                {"Bucket to bucket:", "pbcopy copy s3://data s3://data-copy"},
                {"What would a copy from a directory do?",
                 "pbcopy copy file:///srv/data s3://data --dry-run"},
            },
    },
    {
        .command = PB_COMMAND_HELP,
        .name = "help",
        .operands = {TOPIC},
        .summary = "explain a command",
        .description = "Prints what pbcopy does, or the page of one command.",
        .examples = {{"All about backups:", "pbcopy help backup"}},
    },
    {
        .command = PB_COMMAND_VERSION,
        .name = "version",
        .summary = "print the version",
        .description = "Prints the version.",
        .examples = {{"Which one is this?", "pbcopy version"}},
    },
};

enum {
    BACKUP = 1 << PB_COMMAND_BACKUP,
    RESTORE = 1 << PB_COMMAND_RESTORE,
    VERIFY = 1 << PB_COMMAND_VERIFY,
    SNAPSHOTS = 1 << PB_COMMAND_SNAPSHOTS,
    SHOW = 1 << PB_COMMAND_SHOW,
    COPY = 1 << PB_COMMAND_COPY,
    WRITING = BACKUP | RESTORE | COPY,
    MOVING = WRITING | VERIFY,
    WORKING = MOVING | SNAPSHOTS | SHOW,
    ALL = WORKING | 1 << PB_COMMAND_HELP | 1 << PB_COMMAND_VERSION,
};

#define MIB ((uint64_t)1 << 20)
#define TIB ((uint64_t)1 << 40)
#define AT(member) offsetof(pb_options, member)

static const pb_option_entry options[] = {
    {"take-over", 0, NULL, PB_OPTION_FLAG, AT(take_over), 0, 0, 0, BACKUP,
     "go on with an unfinished run of another machine, though it seems to be alive: say this only "
     "when you know that it is dead"},
    {"full", 0, NULL, PB_OPTION_FLAG, AT(full), 0, 0, 0, BACKUP,
     "copy every object again, whatever earlier snapshots hold: this is how damage that verify "
     "found is made good"},
    {"snapshot", 0, "ID", PB_OPTION_SNAPSHOT, AT(snapshot), 0, 0, 0, RESTORE | VERIFY | SHOW,
     "this snapshot, as `pbcopy snapshots` names it; the newest complete one unless given"},
    {"read", 0, NULL, PB_OPTION_FLAG, AT(read), 0, 0, 0, VERIFY,
     "read and hash every byte instead of comparing listings"},
    {"overwrite", 0, NULL, PB_OPTION_FLAG, AT(overwrite), 0, 0, 0, RESTORE,
     "replace objects of the destination that have other bytes"},
    {"records", 0, NULL, PB_OPTION_FLAG, AT(records), 0, 0, 0, SHOW,
     "print every object's record as a line of JSON"},
    {"checksum", 0, "KIND", PB_OPTION_CHECKSUM, AT(checksum), 0, 0, 0, BACKUP | COPY,
     "hash bytes on their way through this machine with sha256, or with crc32c, which saves a "
     "third of the CPU time of large objects; sha256 unless given"},
    {"prefix", 0, "P", PB_OPTION_PREFIX, AT(prefix), 0, 0, 0, MOVING,
     "only objects whose key begins with P"},
    {"dry-run", 0, NULL, PB_OPTION_FLAG, AT(dry_run), 0, 0, 0, WRITING,
     "compare and say what would be done; write nothing"},
    {"parallel", 0, "N", PB_OPTION_NUMBER, AT(parallel), 64, 1, 4096, WORKING,
     "requests in flight at once, 1 to 4096; 64 unless given"},
    {"memory", 0, "SIZE", PB_OPTION_SIZE, AT(memory_bytes), 512 * MIB, 16 * MIB, TIB, WORKING,
     "memory for data on its way, at least 16M; 512M unless given"},
    {"loops", 0, "N", PB_OPTION_NUMBER, AT(loops), 0, 0, 8, WORKING,
     "threads that move data, up to 8; 0, the default, for one a core"},
    {"stall-timeout", 0, "SECONDS", PB_OPTION_NUMBER, AT(stall_s), 30, 1, 3600, WORKING,
     "give up a request that moves nothing for so long, and try again; 30 unless given"},
    {"limit-bytes", 0, "SIZE", PB_OPTION_SIZE, AT(limit_bytes), 0, 1024, TIB, MOVING,
     "send and receive no more than so much a second while data moves, at least 1K; no limit "
     "unless given"},
    {"limit-requests", 0, "N", PB_OPTION_NUMBER, AT(limit_requests), 0, 1, 1000000, MOVING,
     "send no more than so many requests a second while data moves; no limit unless given"},
    {"ca-bundle", 0, "FILE", PB_OPTION_TEXT, AT(ca_bundle), 0, 0, 0, WORKING,
     "certificates (PEM) to trust instead of the system's"},
    {"unsigned-payload", 0, NULL, PB_OPTION_FLAG, AT(unsigned_payload), 0, 0, 0, WORKING,
     "leave bodies out of signatures over plain HTTP too, which saves a hash of all that is sent"},
    {"json", 0, NULL, PB_OPTION_FLAG, AT(json), 0, 0, 0, WORKING,
     "print the result, or the error, as one JSON object on standard output"},
    {"verbose", 'v', NULL, PB_OPTION_COUNTED, AT(verbosity), 0, 0, 0, WORKING,
     "say more; -vv also tells of each request that failed and was tried again"},
    {"quiet", 'q', NULL, PB_OPTION_FLAG, AT(quiet), 0, 0, 0, WORKING,
     "no progress, no notes and no summary: errors, findings and what --json, snapshots and show "
     "print"},
    {"help", 'h', NULL, PB_OPTION_FLAG, AT(help), 0, 0, 0, ALL, "print this page"},
    {"version", 0, NULL, PB_OPTION_FLAG, AT(version), 0, 0, 0, ALL, "print the version"},
};

const pb_command_entry *pb_command_entries(size_t *ret_count)
{
    *ret_count = sizeof commands / sizeof *commands;
    return commands;
}

const pb_option_entry *pb_option_entries(size_t *ret_count)
{
    *ret_count = sizeof options / sizeof *options;
    return options;
}

const pb_command_entry *pb_command_entry_of(pb_command command)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].command == command)
            return &commands[i];
    return NULL;
}

const pb_command_entry *pb_command_entry_named(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}
