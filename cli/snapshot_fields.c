#include "cli/snapshot_fields.h"

#include "cli/snapshot_table.h"
#include <stddef.h>

#define SET(command) (1U << PB_COMMAND_##command)

/* ---- a cluster ---- */

#define AT(member) .offset = offsetof(pb_artifact, member)

static const char *artifact_kind(const void *artifact)
{
    switch (((const pb_artifact *)artifact)->kind) {
    case PB_ARTIFACT_DUMP:
        return "pg_dump";
    case PB_ARTIFACT_DUMP_ALL:
        return "pg_dumpall";
    case PB_ARTIFACT_RIGHTS:
        return "kubernetes_rights";
    case PB_ARTIFACT_OBJECTS:
        break;
    }
    return "kubernetes";
}

static void append_artifact_kind(pb_buffer *buffer, const void *artifact, const pb_options *options)
{
    (void)options;
    pb_buffer_append_format(buffer, "%-12s", artifact_kind(artifact));
}

static const pb_field artifact_fields[] = {
    {"kind", PB_FIELD_TEXT, .joint = "  ", .text = artifact_kind, .append = append_artifact_kind},
    {"path", PB_FIELD_TEXT, AT(path), .joint = ""},
    {"database", PB_FIELD_TEXT, AT(database), .joint = ", of ", .flags = PB_FIELD_IF_SET},
    {"bytes", PB_FIELD_BYTES, AT(bytes)},
    {"stored_bytes", PB_FIELD_BYTES, AT(stored_bytes), .joint = ", "},
    {"encrypted", PB_FIELD_FLAG, AT(encrypted), .joint = ", ",
     .words = {"not encrypted", "encrypted"}},
};

#undef AT
#define AT(member) .offset = offsetof(pb_cluster_record, member)

static uint64_t downtime(const void *result)
{
    const pb_cluster_record *record = result;
    bool known = record->resumed_ms && record->suspended_ms;
    return (uint64_t)(known ? record->resumed_ms - record->suspended_ms : -1);
}

static bool was_suspended(const void *result, const pb_options *options)
{
    (void)options;
    return (int64_t)downtime(result) > 0;
}

static const pb_field cluster_fields[] = {
    {"namespace", PB_FIELD_TEXT, AT(name_space), "cluster"},
    {"pachyderm", PB_FIELD_TEXT, AT(pachyderm_version), .joint = ", Pachyderm ",
     .flags = PB_FIELD_IF_SET},
    {"postgresql", PB_FIELD_TEXT, AT(database_version), .joint = ", PostgreSQL ",
     .flags = PB_FIELD_IF_SET},
    {"database", PB_FIELD_TEXT, AT(database_name)},
    {"identity_database", PB_FIELD_TEXT, AT(identity_database)},
    {"kubernetes", PB_FIELD_TEXT, AT(kubernetes)},
    {"artifacts", PB_FIELD_LINES, AT(artifacts), .fields = PB_FIELDS_AT(artifact_fields),
     .count_offset = offsetof(pb_cluster_record, artifact_count), .item_size = sizeof(pb_artifact)},
    {"velero_backup", PB_FIELD_TEXT, AT(velero_backup), "  velero",
     .flags = PB_FIELD_IF_SET | PB_FIELD_EMPTY_IS_NULL},
    {"paused", PB_FIELD_FLAG, AT(paused), "  paused", .flags = PB_FIELD_IF_SET,
     .words = {"", "by `pachctl enterprise pause` when it was captured"}},
    {"chunks_needed", PB_FIELD_COUNT, AT(chunks_needed), "  agreement", .flags = PB_FIELD_IF_SET,
     .remark = " chunks that the database needs, all there"},
    {"downtime_ms", PB_FIELD_DURATION, .label = "  downtime", .number = downtime,
     .flags = PB_FIELD_IF_SET},
    {"suspended", PB_FIELD_TIME, AT(suspended_ms), .joint = ", from ", .shown = was_suspended},
    {"resumed", PB_FIELD_TIME, AT(resumed_ms)},
    {"workloads", PB_FIELD_WORKLOADS, AT(workloads)},
};

/* ---- a snapshot ---- */

#undef AT
#define AT(member) .offset = offsetof(pb_snapshot_file, member)

/* A backup and `show` tell all of a snapshot; for restore and verify, which snapshot it is. */
#define DESCRIBES (SET(BACKUP) | SET(SHOW))

static void append_id(pb_buffer *buffer, const void *result, const pb_options *options)
{
    const pb_snapshot_file *file = result;
    bool none = options->dry_run && options->command == PB_COMMAND_BACKUP;
    pb_buffer_append_text(buffer, none ? "none: --dry-run wrote nothing" : file->id);
}

static void append_base(pb_buffer *buffer, const void *result, const pb_options *options)
{
    const pb_snapshot_file *file = result;
    const char *none = options->command == PB_COMMAND_SHOW ? "none: everything was new"
                                                           : "none: everything is new";
    pb_buffer_append_text(buffer, file->base[0] ? file->base : none);
}

static uint64_t unchanged_objects(const void *result)
{
    const pb_snapshot_file *file = result;
    return file->objects - file->copied_objects;
}

static uint64_t unchanged_bytes(const void *result)
{
    const pb_snapshot_file *file = result;
    return file->bytes - file->copied_bytes;
}

static bool has_objects(const void *result, const pb_options *options)
{
    return !options->dry_run && ((const pb_snapshot_file *)result)->objects;
}

static const char *part_begin(const void *part)
{
    const char *after = ((const pb_part *)part)->range.after;
    return after ? after : "";
}

static const pb_field names[] = {
    {"id", PB_FIELD_NAME, AT(id), "snapshot", .append = append_id},
    {"source", PB_FIELD_TEXT, AT(source), "source"},
    {"prefix", PB_FIELD_TEXT, AT(prefix), "prefix", .flags = PB_FIELD_IF_SET,
     .commands = DESCRIBES},
};

static const pb_field base[] = {
    {"base", PB_FIELD_NAME, AT(base), "base", .append = append_base, .commands = DESCRIBES},
};

static const pb_field start[] = {
    {"started", PB_FIELD_TIME, AT(started_ms), "started", .commands = SET(SHOW)},
};

static const pb_field figures[] = {
    {"committed", PB_FIELD_TIME, AT(committed_ms), "complete", .commands = SET(SHOW)},
    {"live_until", PB_FIELD_TIME, AT(live_until_ms), "seen until",
     .flags = PB_FIELD_IF_SET | PB_FIELD_JSON_IF_SET,
     .remark = "   in use: each object is as it was at some time since the start",
     .commands = SET(SHOW)},
    {"changed_objects", PB_FIELD_COUNT, AT(changed_objects), "  changed",
     .flags = PB_FIELD_IF_SET | PB_FIELD_JSON_IF_SET, .commands = SET(SHOW)},
    {"vanished_objects", PB_FIELD_COUNT, AT(vanished_objects), "  vanished",
     .flags = PB_FIELD_IF_SET | PB_FIELD_JSON_IF_SET, .commands = SET(SHOW)},
    {"program", PB_FIELD_TEXT, AT(program), "made by", .flags = PB_FIELD_EMPTY_IS_NULL,
     .commands = SET(SHOW)},
    {"objects", PB_FIELD_COUNT, AT(objects), "objects", .commands = DESCRIBES},
    {"bytes", PB_FIELD_BYTES, AT(bytes), .joint = ", ", .commands = DESCRIBES},
    {"copied_objects", PB_FIELD_COUNT, AT(copied_objects), "  copied", .dry_label = "  to copy",
     .commands = DESCRIBES},
    {"copied_bytes", PB_FIELD_BYTES, AT(copied_bytes), .joint = ", ", .commands = DESCRIBES},
    {NULL, PB_FIELD_COUNT, .label = "  unchanged", .number = unchanged_objects,
     .commands = DESCRIBES},
    {NULL, PB_FIELD_BYTES, .joint = ", ", .number = unchanged_bytes, .commands = DESCRIBES},
};

static const pb_field proof_fields[] = {
    {"sha256", PB_FIELD_COUNT, AT(proofs_sha256), "by SHA-256"},
    {"key", PB_FIELD_COUNT, AT(proofs_key), "by the key's BLAKE2b"},
    {"checksum", PB_FIELD_COUNT, AT(proofs_checksum), "by CRC32C"},
    {"etag", PB_FIELD_COUNT, AT(proofs_etag), "by ETag"},
    {"size", PB_FIELD_COUNT, AT(proofs_size), "by size alone"},
};

static const pb_field proofs[] = {
    {"assurance", PB_FIELD_PROOFS, .label = "assurance", .fields = PB_FIELDS_AT(proof_fields),
     .shown = has_objects, .commands = DESCRIBES},
};

static const pb_field cluster[] = {
    {"cluster", PB_FIELD_GROUP_AT, AT(cluster), .fields = PB_FIELDS_AT(cluster_fields),
     .commands = DESCRIBES},
};

#undef AT
#define AT(member) .offset = offsetof(pb_part, member)

static const pb_field part_fields[] = {
    {"name", PB_FIELD_NAME, AT(name)},
    {"after", PB_FIELD_TEXT, .text = part_begin},
    {"through", PB_FIELD_TEXT, AT(range.through)},
    {"records", PB_FIELD_COUNT, AT(records)},
    {"bytes", PB_FIELD_BYTES, AT(bytes)},
    {"stored_bytes", PB_FIELD_BYTES, AT(stored_bytes)},
};

static const pb_field parts[] = {
    {"parts", PB_FIELD_LIST, offsetof(pb_snapshot_file, parts), "parts",
     .fields = PB_FIELDS_AT(part_fields), .count_offset = offsetof(pb_snapshot_file, part_count),
     .item_size = sizeof(pb_part), .remark = "   of the manifest"},
};

#define SAME(array)                                                                                \
    {                                                                                              \
        NULL, PB_FIELD_SNAPSHOT, .fields = PB_FIELDS_AT(array)                                     \
    }

static const pb_field head[] = {SAME(names), SAME(base), SAME(start), SAME(figures)};
static const pb_field whole[] = {SAME(head), SAME(proofs), SAME(cluster)};

static const pb_field shown[] = {SAME(head), SAME(proofs), SAME(parts), SAME(cluster)};
static const pb_field show_fields[] = {
    {"snapshot", PB_FIELD_SNAPSHOT, .fields = PB_FIELDS_AT(shown)}};

/* ---- an entry of a catalogue ---- */

/* The text of `snapshots` is a table of columns, some of them of two fields, whose width all rows
 * share: plain code in snapshot_table.c is shorter. */
static const void *figures_of_entry(const void *result)
{
    const pb_catalogue_entry *entry = result;
    return entry->committed && !entry->flaw ? entry->file : NULL;
}

static const char *state_of_entry(const void *result)
{
    return pb_snapshot_state(result);
}

#undef AT
#define AT(member) .offset = offsetof(pb_catalogue_entry, member)
#define ENTRY(array)                                                                               \
    {                                                                                              \
        NULL, PB_FIELD_GROUP_AT, AT(file), .fields = PB_FIELDS_AT(array)                           \
    }
#define READABLE(array)                                                                            \
    {                                                                                              \
        NULL, PB_FIELD_GROUP_AT, .group = figures_of_entry, .fields = PB_FIELDS_AT(array)          \
    }

static const pb_field entry_fields[] = {
    ENTRY(names),
    ENTRY(start),
    {"namespace", PB_FIELD_TEXT, AT(name_space)},
    {"state", PB_FIELD_TEXT, .text = state_of_entry},
    READABLE(base),
    READABLE(figures),
    READABLE(proofs),
    READABLE(cluster),
    {"flaw", PB_FIELD_TEXT, AT(flaw)},
};

const pb_fields pb_snapshot_head_fields = PB_FIELDS(head);
const pb_fields pb_snapshot_proof_fields = PB_FIELDS(proofs);
const pb_fields pb_snapshot_cluster_fields = PB_FIELDS(cluster);
const pb_fields pb_snapshot_fields = PB_FIELDS(whole);
const pb_fields pb_show_fields = PB_FIELDS(show_fields);
const pb_fields pb_entry_fields = PB_FIELDS(entry_fields);
