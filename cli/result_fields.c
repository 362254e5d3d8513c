#include "cli/result_fields.h"

#include "cli/quantity.h"
#include "cli/snapshot_fields.h"
#include "snapshot/backup.h"
#include "snapshot/copy.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"
#include <stddef.h>

#define LEFT_ALONE "   in the destination only, left alone"

/* ---- reading ---- */

static bool any_is_set(const pb_fields *fields, const void *group, const pb_options *options)
{
    bool any = false;
    for (size_t i = 0; i < fields->count; i++)
        any |= pb_field_value_of(&fields->items[i], group, options).is_set;
    return any;
}

pb_field_value pb_field_value_of(const pb_field *field, const void *result,
                                 const pb_options *options)
{
    const char *base = field->flags & PB_FIELD_OF_OPTIONS ? (const char *)options : result;
    const char *at = base + field->offset;
    pb_field_value value = {.at = at};
    switch (field->kind) {
    case PB_FIELD_COUNT:
    case PB_FIELD_BYTES:
    case PB_FIELD_SENTENCE:
        value.number = field->number ? field->number(result) : *(const uint64_t *)at;
        value.is_set = value.number != 0;
        break;
    case PB_FIELD_DURATION:
    case PB_FIELD_TIME:
        value.number = field->number ? field->number(result) : (uint64_t) * (const int64_t *)at;
        value.is_set = (int64_t)value.number > 0;
        break;
    case PB_FIELD_TEXT:
        value.text = field->text ? field->text(result) : *(char *const *)at;
        value.is_set = value.text && value.text[0];
        break;
    case PB_FIELD_NAME:
        value.text = at[0] ? at : NULL;
        value.is_set = at[0] != '\0';
        break;
    case PB_FIELD_FLAG:
        value.number = value.is_set = *(const bool *)at;
        break;
    case PB_FIELD_PROOFS:
        value.is_set = any_is_set(field->fields, at, options);
        break;
    case PB_FIELD_GROUP_AT:
        value.at = field->group ? field->group(result) : *(void *const *)at;
        break;
    case PB_FIELD_SNAPSHOT:
        value.at = ((const pb_snapshot_file *)at)->source ? at : NULL;
        break;
    case PB_FIELD_LIST:
    case PB_FIELD_LINES:
        value.at = *(void *const *)at;
        value.number = *(const size_t *)(base + field->count_offset);
        value.is_set = value.number != 0;
        break;
    case PB_FIELD_WORKLOADS:
    case PB_FIELD_CHOICE:
        break;
    }
    return value;
}

/* Only where all objects were moved: of a few changed ones a rate would say nothing. */
static void append_rate(pb_buffer *buffer, bool all, uint64_t objects, uint64_t bytes,
                        int64_t elapsed_ms)
{
    if (!all || !objects || elapsed_ms <= 0)
        return;
    pb_buffer_append_text(buffer, "   ");
    pb_quantity_rate(buffer, objects, bytes, elapsed_ms);
}

/* ---- what was asked for, and how it went ---- */

#define SNAPSHOT(group)                                                                            \
    {                                                                                              \
        "snapshot", PB_FIELD_SNAPSHOT, AT(snapshot), .fields = &(group)                            \
    }
#define ASKED_PREFIX                                                                               \
    {                                                                                              \
        "prefix", PB_FIELD_TEXT, offsetof(pb_options, prefix), "prefix",                           \
            .flags = PB_FIELD_OF_OPTIONS | PB_FIELD_IF_SET                                         \
    }
#define MOVED(are_moved)                                                                           \
    {                                                                                              \
        "server_side", PB_FIELD_FLAG, AT(server_side), "moved",                                    \
            .words = {"through this machine", "inside the store"}, .shown = (are_moved)            \
    }
#define VANISHED                                                                                   \
    {                                                                                              \
        "vanished_objects", PB_FIELD_COUNT, AT(vanished_objects), "  vanished",                    \
            .flags = PB_FIELD_IF_SET, .remark = "   deleted while the bucket was copied: left out" \
    }
#define CHANGED                                                                                    \
    {                                                                                              \
        "changed_objects", PB_FIELD_COUNT, AT(changed_objects), "  changed",                       \
            .flags = PB_FIELD_IF_SET,                                                              \
            .remark = "   while the bucket was copied: taken as they were then"                    \
    }
#define TOOK(rate)                                                                                 \
    {                                                                                              \
        "elapsed_ms", PB_FIELD_DURATION, AT(elapsed_ms), "took", .append_more = (rate)             \
    }

/* ---- backup ---- */

#undef AT
#define AT(member) .offset = offsetof(pb_backup_result, member)

static bool was_resumed(const void *result, const pb_options *options)
{
    (void)options;
    return ((const pb_backup_result *)result)->resumed;
}

static bool backup_moved(const void *result, const pb_options *options)
{
    return !options->dry_run && ((const pb_backup_result *)result)->snapshot.copied_objects;
}

static void append_backup_rate(pb_buffer *buffer, const void *result, const pb_options *options)
{
    const pb_backup_result *backup = result;
    const pb_snapshot_file *file = &backup->snapshot;
    append_rate(buffer,
                !options->dry_run && !backup->resumed && file->copied_objects == file->objects,
                file->copied_objects, file->copied_bytes, backup->elapsed_ms);
}

static const pb_field backup_fields[] = {
    SNAPSHOT(pb_snapshot_head_fields),
    VANISHED,
    CHANGED,
    {"failed_objects", PB_FIELD_COUNT, AT(failed_objects), "  failed", .flags = PB_FIELD_IF_SET},
    {"gone_objects", PB_FIELD_COUNT, AT(gone_objects), "gone"},
    {"resumed", PB_FIELD_FLAG, AT(resumed)},
    {"resumed_objects", PB_FIELD_COUNT, AT(resumed_objects), "resumed", .shown = was_resumed,
     .remark = "   of the copied objects were there already, of attempts that ended without a "
               "snapshot"},
    SNAPSHOT(pb_snapshot_proof_fields),
    MOVED(backup_moved),
    SNAPSHOT(pb_snapshot_cluster_fields),
    {"downtime_expected_ms", PB_FIELD_DURATION, AT(downtime_expected_ms), "downtime",
     .joint = "about ", .flags = PB_FIELD_IF_SET | PB_FIELD_JSON_IF_SET, .remark = " expected"},
    TOOK(append_backup_rate),
};

/* ---- restore ---- */

#undef AT
#define AT(member) .offset = offsetof(pb_restore_result, member)

static bool restore_moved(const void *result, const pb_options *options)
{
    return !options->dry_run && ((const pb_restore_result *)result)->written_objects;
}

static void append_restore_rate(pb_buffer *buffer, const void *result, const pb_options *options)
{
    const pb_restore_result *restore = result;
    append_rate(buffer, !options->dry_run && restore->written_objects == restore->objects,
                restore->written_objects, restore->written_bytes, restore->elapsed_ms);
}

/* What became of helm's release, and what to do: objects of it were left out of, or are not tied to
 * it any more in, the namespace. */
static void append_helm(pb_buffer *buffer, const void *result, const pb_options *options)
{
    uint64_t objects = ((const pb_restore_result *)result)->helm_objects;
    pb_buffer_append_text(buffer, "release left out (");
    pb_quantity_count(buffer, objects);
    pb_buffer_append_text(buffer, objects == 1 ? " object" : " objects");
    pb_buffer_append_text(buffer,
                          "): it describes the source, and helm would act on that. To let helm "
                          "manage what was restored, run `helm install NAME CHART "
                          "--take-ownership --namespace ");
    pb_buffer_append_text(buffer, options->name_space);
    pb_buffer_append_text(buffer, " --values FILE` (helm 3.17 or later), with values that name "
                                  "the new bucket and database");
}

static const pb_field restore_fields[] = {
    {NULL, PB_FIELD_CHOICE, AT(choice)},
    SNAPSHOT(pb_snapshot_fields),
    ASKED_PREFIX,
    {"objects", PB_FIELD_COUNT, AT(objects), "objects"},
    {"written_objects", PB_FIELD_COUNT, AT(written_objects), "  written",
     .dry_label = "  to write"},
    {"written_bytes", PB_FIELD_BYTES, AT(written_bytes), .joint = ", "},
    {"present_objects", PB_FIELD_COUNT, AT(present_objects), "  present",
     .remark = "   there already, left alone"},
    {"differing_objects", PB_FIELD_COUNT, AT(differing_objects), "  differing",
     .flags = PB_FIELD_IF_SET, .remark = "   there but not the same, left alone"},
    {"failed_objects", PB_FIELD_COUNT, AT(failed_objects), "  failed", .flags = PB_FIELD_IF_SET},
    {"extra_objects", PB_FIELD_COUNT, AT(extra_objects), "extra", .flags = PB_FIELD_IF_SET,
     .remark = LEFT_ALONE},
    MOVED(restore_moved),
    {"databases", PB_FIELD_COUNT, AT(databases), "databases", .flags = PB_FIELD_IF_SET,
     .remark = "   restored"},
    {"kubernetes_objects", PB_FIELD_COUNT, AT(kubernetes_objects), "kubernetes",
     .flags = PB_FIELD_IF_SET, .remark = "   objects applied"},
    {"helm_objects_left_out", PB_FIELD_COUNT, AT(helm_objects)},
    {"helm_hint", PB_FIELD_SENTENCE, AT(helm_objects), "helm", .append = append_helm,
     .flags = PB_FIELD_IF_SET | PB_FIELD_OF_CLUSTER_RUN},
    TOOK(append_restore_rate),
};

/* ---- verify ---- */

#undef AT
#define AT(member) .offset = offsetof(pb_verify_result, member)

static bool reads_all(const void *result, const pb_options *options)
{
    (void)result;
    return options->read;
}

static uint64_t read_objects(const void *result)
{
    const pb_verify_result *verify = result;
    return verify->proven_sha256 + verify->proven_checksum + verify->proven_etag +
           verify->proven_key + verify->unproven;
}

static void append_named(pb_buffer *buffer, const void *result, const pb_options *options)
{
    (void)options;
    if (((const pb_verify_result *)result)->findings > PB_FINDINGS_MAX)
        pb_buffer_append_text(buffer, "   the first 1,000 are named above");
}

static void append_verify_rate(pb_buffer *buffer, const void *result, const pb_options *options)
{
    const pb_verify_result *verify = result;
    append_rate(buffer, options->read, verify->objects, verify->bytes_read, verify->elapsed_ms);
}

static const pb_field read_proof_fields[] = {
    {"proven_sha256", PB_FIELD_COUNT, AT(proven_sha256), "by SHA-256"},
    {"proven_checksum", PB_FIELD_COUNT, AT(proven_checksum), "by CRC32C"},
    {"proven_etag", PB_FIELD_COUNT, AT(proven_etag), "by ETag"},
    {"proven_key", PB_FIELD_COUNT, AT(proven_key), "by the key's BLAKE2b"},
    {"unproven", PB_FIELD_COUNT, AT(unproven),
     "of the right size but with nothing to compare them with"},
};

static const pb_field verify_fields[] = {
    {NULL, PB_FIELD_CHOICE, AT(choice)},
    SNAPSHOT(pb_snapshot_fields),
    ASKED_PREFIX,
    {"objects", PB_FIELD_COUNT, AT(objects), "looked at"},
    {NULL, PB_FIELD_COUNT, AT(snapshot.objects), .joint = " of ", .remark = " objects"},
    {"read", PB_FIELD_FLAG, offsetof(pb_options, read), "read", .flags = PB_FIELD_OF_OPTIONS,
     .words = {"nothing: presence, size and ETag were compared (--read reads all)",
               "every byte of "}},
    {NULL, PB_FIELD_COUNT, .joint = "", .number = read_objects, .shown = reads_all,
     .remark = " objects"},
    {"bytes_read", PB_FIELD_BYTES, AT(bytes_read), .joint = ", ", .shown = reads_all},
    {NULL, PB_FIELD_PROOFS, .joint = ": ", .fields = PB_FIELDS_AT(read_proof_fields),
     .flags = PB_FIELD_IF_SET, .shown = reads_all},
    {"artifacts", PB_FIELD_COUNT, AT(artifacts), "artifacts", .flags = PB_FIELD_IF_SET,
     .remark = "   dumps and captures"},
    {"chunks_needed", PB_FIELD_COUNT, AT(chunks_needed), "database", .flags = PB_FIELD_IF_SET,
     .remark = "   chunks needed, looked for"},
    {"orphans", PB_FIELD_COUNT, AT(orphans), "orphans", .flags = PB_FIELD_IF_SET,
     .remark = "   stored, and in no record: what was copied twice; no damage"},
    {"unread_objects", PB_FIELD_COUNT, AT(unread_objects), "not read", .flags = PB_FIELD_IF_SET,
     .remark = "   nothing is known of these"},
    {"findings_total", PB_FIELD_COUNT, AT(findings), "findings", .append_more = append_named},
    TOOK(append_verify_rate),
};

/* ---- copy ---- */

#undef AT
#define AT(member) .offset = offsetof(pb_copy_result, member)

static bool copy_moved(const void *result, const pb_options *options)
{
    return !options->dry_run && ((const pb_copy_result *)result)->copied_objects;
}

static void append_copy_rate(pb_buffer *buffer, const void *result, const pb_options *options)
{
    const pb_copy_result *copy = result;
    append_rate(buffer, !options->dry_run && copy->copied_objects == copy->objects,
                copy->copied_objects, copy->copied_bytes, copy->elapsed_ms);
}

static const pb_field copy_fields[] = {
    ASKED_PREFIX,
    {"objects", PB_FIELD_COUNT, AT(objects), "objects"},
    {"copied_objects", PB_FIELD_COUNT, AT(copied_objects), "  copied", .dry_label = "  to copy"},
    {"copied_bytes", PB_FIELD_BYTES, AT(copied_bytes), .joint = ", "},
    {"unchanged_objects", PB_FIELD_COUNT, AT(unchanged_objects), "  unchanged"},
    VANISHED,
    CHANGED,
    {"failed_objects", PB_FIELD_COUNT, AT(failed_objects), "  failed", .flags = PB_FIELD_IF_SET},
    {"extra_objects", PB_FIELD_COUNT, AT(extra_objects), "extra", .flags = PB_FIELD_IF_SET,
     .remark = LEFT_ALONE},
    MOVED(copy_moved),
    TOOK(append_copy_rate),
};

const pb_fields pb_backup_fields = PB_FIELDS(backup_fields);
const pb_fields pb_restore_fields = PB_FIELDS(restore_fields);
const pb_fields pb_verify_fields = PB_FIELDS(verify_fields);
const pb_fields pb_copy_fields = PB_FIELDS(copy_fields);
