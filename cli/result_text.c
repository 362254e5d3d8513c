#include "cli/result_text.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cli/quantity.h"
#include "cli/result_cluster.h"
#include <stdlib.h>

/* ---- lines ---- */

static void begin(pb_buffer *buffer, const char *label)
{
    pb_buffer_append_format(buffer, "%-12s", label);
}

static void append_harmless(pb_buffer *buffer, const char *text)
{
    char *line = pb_duplicate(pb_slice_of(text));
    pb_text_make_line(line);
    pb_buffer_append_text(buffer, line);
    free(line);
}

static void append_text_line(pb_buffer *buffer, const char *label, const char *text)
{
    begin(buffer, label);
    append_harmless(buffer, text);
    pb_buffer_append_char(buffer, '\n');
}

static void append_count_line(pb_buffer *buffer, const char *label, uint64_t count,
                              const char *remark)
{
    begin(buffer, label);
    pb_quantity_count(buffer, count);
    if (remark)
        pb_buffer_append_format(buffer, "   %s", remark);
    pb_buffer_append_char(buffer, '\n');
}

static void append_bytes_line(pb_buffer *buffer, const char *label, uint64_t count, uint64_t bytes,
                              const char *remark)
{
    begin(buffer, label);
    pb_quantity_count(buffer, count);
    pb_buffer_append_text(buffer, ", ");
    pb_quantity_bytes(buffer, bytes);
    if (remark)
        pb_buffer_append_format(buffer, "   %s", remark);
    pb_buffer_append_char(buffer, '\n');
}

/* With a rate only where all objects were moved: of a few changed ones it would say nothing. */
static void append_took(pb_buffer *buffer, int64_t elapsed_ms, bool rated, uint64_t objects,
                        uint64_t bytes)
{
    begin(buffer, "took");
    pb_quantity_duration(buffer, elapsed_ms);
    if (rated && objects && elapsed_ms > 0) {
        pb_buffer_append_text(buffer, "   ");
        pb_quantity_rate(buffer, objects, bytes, elapsed_ms);
    }
    pb_buffer_append_char(buffer, '\n');
}

static void append_way(pb_buffer *buffer, bool server_side, uint64_t objects)
{
    if (objects)
        append_text_line(buffer, "moved",
                         server_side ? "inside the store" : "through this machine");
}

static void append_prefix(pb_buffer *buffer, const char *prefix)
{
    if (prefix && prefix[0])
        append_text_line(buffer, "prefix", prefix);
}

/* "9 by SHA-256, 1 by ETag": those of the kinds that are not zero. */
static void append_kinds(pb_buffer *buffer, const uint64_t *counts, const char *const *kinds,
                         size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (!counts[i])
            continue;
        pb_buffer_append_text(buffer, any ? ", " : "");
        pb_quantity_count(buffer, counts[i]);
        pb_buffer_append_format(buffer, " %s", kinds[i]);
        any = true;
    }
}

static void append_proofs(pb_buffer *buffer, const pb_snapshot_file *file)
{
    static const char *const kinds[] = {"by SHA-256", "by the key's BLAKE2b", "by CRC32C",
                                        "by ETag", "by size alone"};
    uint64_t counts[] = {file->proofs_sha256, file->proofs_key, file->proofs_checksum,
                         file->proofs_etag, file->proofs_size};
    if (!file->objects)
        return;
    begin(buffer, "assurance");
    append_kinds(buffer, counts, kinds, sizeof counts / sizeof *counts);
    pb_buffer_append_char(buffer, '\n');
}

/* ---- results ---- */

void pb_text_backup(pb_buffer *buffer, const pb_backup_result *result, const pb_options *options)
{
    const pb_snapshot_file *file = &result->snapshot;
    bool dry = options->dry_run;
    append_text_line(buffer, "snapshot", dry ? "none: --dry-run wrote nothing" : file->id);
    append_text_line(buffer, "source", file->source);
    append_prefix(buffer, file->prefix);
    append_text_line(buffer, "base", file->base[0] ? file->base : "none: everything is new");
    append_bytes_line(buffer, "objects", file->objects, file->bytes, NULL);
    append_bytes_line(buffer, dry ? "  to copy" : "  copied", file->copied_objects,
                      file->copied_bytes, NULL);
    append_bytes_line(buffer, "  unchanged", file->objects - file->copied_objects,
                      file->bytes - file->copied_bytes, NULL);
    append_count_line(buffer, "gone", result->gone_objects, NULL);
    if (result->resumed)
        append_count_line(
            buffer, "resumed", result->resumed_objects,
            "of the copied objects were there already, of attempts that ended without a snapshot");
    if (!dry) {
        append_proofs(buffer, file);
        append_way(buffer, result->server_side, file->copied_objects);
    }
    if (file->cluster)
        pb_text_cluster(buffer, file->cluster);
    if (result->downtime_expected_ms) {
        begin(buffer, "downtime");
        pb_buffer_append_text(buffer, "about ");
        pb_quantity_duration(buffer, result->downtime_expected_ms);
        pb_buffer_append_text(buffer, " expected\n");
    }
    append_took(buffer, result->elapsed_ms,
                !dry && !result->resumed && file->copied_objects == file->objects,
                file->copied_objects, file->copied_bytes);
}

void pb_text_restore(pb_buffer *buffer, const pb_restore_result *result, const pb_options *options)
{
    bool dry = options->dry_run;
    append_text_line(buffer, "snapshot", result->snapshot.id);
    append_text_line(buffer, "source", result->snapshot.source);
    append_prefix(buffer, options->prefix);
    append_count_line(buffer, "objects", result->objects, NULL);
    append_bytes_line(buffer, dry ? "  to write" : "  written", result->written_objects,
                      result->written_bytes, NULL);
    append_count_line(buffer, "  present", result->present_objects, "there already, left alone");
    if (result->differing_objects)
        append_count_line(buffer, "  differing", result->differing_objects,
                          "there but not the same, left alone");
    if (result->failed_objects)
        append_count_line(buffer, "  failed", result->failed_objects, NULL);
    if (result->extra_objects)
        append_count_line(buffer, "extra", result->extra_objects,
                          "in the destination only, left alone");
    if (!dry)
        append_way(buffer, result->server_side, result->written_objects);
    if (result->databases)
        append_count_line(buffer, "databases", result->databases, "restored");
    if (result->kubernetes_objects)
        append_count_line(buffer, "kubernetes", result->kubernetes_objects, "objects applied");
    if (result->helm_objects) {
        begin(buffer, "helm");
        pb_text_helm(buffer, result->helm_objects, options->name_space);
        pb_buffer_append_char(buffer, '\n');
    }
    append_took(buffer, result->elapsed_ms, !dry && result->written_objects == result->objects,
                result->written_objects, result->written_bytes);
}

static void append_read_proofs(pb_buffer *buffer, const pb_verify_result *result)
{
    static const char *const kinds[] = {"by SHA-256", "by CRC32C", "by ETag",
                                        "by the key's BLAKE2b",
                                        "of the right size but with nothing to hold them against"};
    uint64_t counts[] = {result->proven_sha256, result->proven_checksum, result->proven_etag,
                         result->proven_key, result->unproven};
    uint64_t read = counts[0] + counts[1] + counts[2] + counts[3] + counts[4];
    begin(buffer, "read");
    pb_buffer_append_text(buffer, "every byte of ");
    pb_quantity_count(buffer, read);
    pb_buffer_append_text(buffer, " objects, ");
    pb_quantity_bytes(buffer, result->bytes_read);
    pb_buffer_append_text(buffer, read ? ": " : "");
    append_kinds(buffer, counts, kinds, sizeof counts / sizeof *counts);
    pb_buffer_append_char(buffer, '\n');
}

void pb_text_verify(pb_buffer *buffer, const pb_verify_result *result, const pb_options *options)
{
    append_text_line(buffer, "snapshot", result->snapshot.id);
    append_text_line(buffer, "source", result->snapshot.source);
    append_prefix(buffer, options->prefix);
    begin(buffer, "looked at");
    pb_quantity_count(buffer, result->objects);
    pb_buffer_append_text(buffer, " of ");
    pb_quantity_count(buffer, result->snapshot.objects);
    pb_buffer_append_text(buffer, " objects\n");
    if (options->read)
        append_read_proofs(buffer, result);
    else
        append_text_line(buffer, "read",
                         "nothing: presence, size and ETag were compared (--read reads all)");
    if (result->artifacts)
        append_count_line(buffer, "artifacts", result->artifacts, "dumps and captures");
    if (result->chunks_needed)
        append_count_line(buffer, "database", result->chunks_needed, "chunks needed, looked for");
    if (result->orphans)
        append_count_line(buffer, "orphans", result->orphans,
                          "stored, and in no record: what was copied twice; no damage");
    append_count_line(buffer, "findings", result->findings,
                      result->findings > PB_FINDINGS_MAX ? "the first 1,000 are named above"
                                                         : NULL);
    append_took(buffer, result->elapsed_ms, options->read, result->objects, result->bytes_read);
}

void pb_text_copy(pb_buffer *buffer, const pb_copy_result *result, const pb_options *options)
{
    bool dry = options->dry_run;
    append_prefix(buffer, options->prefix);
    append_count_line(buffer, "objects", result->objects, NULL);
    append_bytes_line(buffer, dry ? "  to copy" : "  copied", result->copied_objects,
                      result->copied_bytes, NULL);
    append_count_line(buffer, "  unchanged", result->unchanged_objects, NULL);
    if (result->failed_objects)
        append_count_line(buffer, "  failed", result->failed_objects, NULL);
    if (result->extra_objects)
        append_count_line(buffer, "extra", result->extra_objects,
                          "in the destination only, left alone");
    if (!dry)
        append_way(buffer, result->server_side, result->copied_objects);
    append_took(buffer, result->elapsed_ms, !dry && result->copied_objects == result->objects,
                result->copied_objects, result->copied_bytes);
}

void pb_text_snapshot(pb_buffer *buffer, const pb_snapshot_file *file)
{
    char started[PB_TIME_TEXT_MAX], committed[PB_TIME_TEXT_MAX];
    pb_time_format_rfc3339(file->started_ms, started);
    pb_time_format_rfc3339(file->committed_ms, committed);
    append_text_line(buffer, "snapshot", file->id);
    append_text_line(buffer, "source", file->source);
    append_prefix(buffer, file->prefix);
    append_text_line(buffer, "base", file->base[0] ? file->base : "none: everything was new");
    append_text_line(buffer, "started", started);
    append_text_line(buffer, "complete", committed);
    append_text_line(buffer, "made by", file->program);
    append_bytes_line(buffer, "objects", file->objects, file->bytes, NULL);
    append_bytes_line(buffer, "  copied", file->copied_objects, file->copied_bytes, NULL);
    append_bytes_line(buffer, "  unchanged", file->objects - file->copied_objects,
                      file->bytes - file->copied_bytes, NULL);
    append_proofs(buffer, file);
    append_count_line(buffer, "parts", file->part_count, "of the manifest");
    if (file->cluster)
        pb_text_cluster(buffer, file->cluster);
}

/* ---- the table of snapshots ---- */

enum { ID, STARTED, STATE, OBJECTS, SIZE, NEW, FROM };

const char *pb_text_state(const pb_catalogue_entry *entry)
{
    if (entry->flaw && entry->committed)
        return "unreadable";
    return entry->committed ? "complete" : entry->abandoned ? "abandoned" : "unfinished";
}

static void add_row(pb_table *table, char *const *cells)
{
    if ((table->count & (table->count - 1)) == 0)
        table->rows =
            pb_reallocate(table->rows, (table->count ? table->count * 2 : 1) * sizeof *table->rows);
    memcpy(table->rows[table->count++], cells, sizeof *table->rows);
}

void pb_table_add(pb_table *table, const pb_catalogue_entry *entry)
{
    const pb_snapshot_file *file = entry->file;
    pb_buffer cells[PB_TABLE_COLUMNS] = {{0}};
    char *texts[PB_TABLE_COLUMNS];
    append_harmless(&cells[ID], file->id);
    pb_buffer_append_text(&cells[STATE], pb_text_state(entry));
    if (file->started_ms) {
        char started[PB_TIME_TEXT_MAX];
        pb_time_format_rfc3339(file->started_ms, started);
        started[10] = ' ';
        pb_buffer_append(&cells[STARTED], started, 19);
    }
    if (entry->committed && !entry->flaw) {
        pb_quantity_count(&cells[OBJECTS], file->objects);
        pb_quantity_bytes(&cells[SIZE], file->bytes);
        pb_quantity_bytes(&cells[NEW], file->copied_bytes);
    }
    if (file->source) {
        append_harmless(&cells[FROM], file->source);
        if (file->prefix && file->prefix[0]) {
            pb_buffer_append_text(&cells[FROM], " prefix ");
            append_harmless(&cells[FROM], file->prefix);
        }
        if (entry->name_space) {
            pb_buffer_append_text(&cells[FROM], " namespace ");
            append_harmless(&cells[FROM], entry->name_space);
        }
    } else {
        pb_buffer_append_text(&cells[FROM], "not known");
    }
    for (unsigned i = 0; i < PB_TABLE_COLUMNS; i++) {
        if (!cells[i].size)
            pb_buffer_append_char(&cells[i], '-');
        texts[i] = cells[i].data;
    }
    add_row(table, texts);
}

static void append_row(pb_buffer *buffer, const char *const *cells, const size_t *widths)
{
    for (unsigned i = 0; i < FROM; i++) {
        bool right = i == OBJECTS || i == SIZE || i == NEW;
        pb_buffer_append_format(buffer, "%s%*s", i ? "  " : "",
                                right ? (int)widths[i] : -(int)widths[i], cells[i]);
    }
    pb_buffer_append_char(buffer, '\n');
}

/* The first row of this row's source. */
static size_t first_of(const pb_table *table, size_t row)
{
    for (size_t first = 0; first < row; first++)
        if (strcmp(table->rows[first][FROM], table->rows[row][FROM]) == 0)
            return first;
    return row;
}

void pb_table_append(const pb_table *table, pb_buffer *buffer)
{
    static const char *const heads[FROM] = {"SNAPSHOT", "STARTED (UTC)", "STATE",
                                            "OBJECTS",  "SIZE",          "NEW"};
    size_t widths[FROM], *firsts = pb_allocate((table->count + 1) * sizeof *firsts);
    for (unsigned i = 0; i < FROM; i++) {
        widths[i] = strlen(heads[i]);
        for (size_t row = 0; row < table->count; row++)
            if (strlen(table->rows[row][i]) > widths[i])
                widths[i] = strlen(table->rows[row][i]);
    }
    for (size_t row = 0; row < table->count; row++)
        firsts[row] = first_of(table, row);
    for (size_t first = 0; first < table->count; first++) {
        if (firsts[first] != first)
            continue;
        pb_buffer_append_format(buffer, "%ssource %s\n", first ? "\n" : "",
                                table->rows[first][FROM]);
        append_row(buffer, heads, widths);
        for (size_t row = first; row < table->count; row++)
            if (firsts[row] == first)
                append_row(buffer, (const char *const *)table->rows[row], widths);
    }
    free(firsts);
}

void pb_table_free(pb_table *table)
{
    for (size_t row = 0; row < table->count; row++)
        for (unsigned i = 0; i < PB_TABLE_COLUMNS; i++)
            free(table->rows[row][i]);
    free(table->rows);
    *table = (pb_table){0};
}
