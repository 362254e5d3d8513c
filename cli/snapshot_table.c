#include "cli/snapshot_table.h"

#include "base/clock.h"
#include "base/codec.h"
#include "cli/quantity.h"
#include <stdlib.h>

enum { ID, STARTED, STATE, OBJECTS, SIZE, NEW, FROM };

static void append_harmless(pb_buffer *buffer, const char *text)
{
    char *line = pb_duplicate(pb_slice_of(text));
    pb_text_make_line(line);
    pb_buffer_append_text(buffer, line);
    free(line);
}

const char *pb_snapshot_state(const pb_catalogue_entry *entry)
{
    if (entry->flaw && entry->committed)
        return "unreadable";
    return entry->committed ? "complete" : entry->abandoned ? "abandoned" : "unfinished";
}

static void add_row(pb_snapshot_table *table, char *const *cells)
{
    if ((table->count & (table->count - 1)) == 0)
        table->rows =
            pb_reallocate(table->rows, (table->count ? table->count * 2 : 1) * sizeof *table->rows);
    memcpy(table->rows[table->count++], cells, sizeof *table->rows);
}

void pb_snapshot_table_add(pb_snapshot_table *table, const pb_catalogue_entry *entry)
{
    const pb_snapshot_file *file = entry->file;
    pb_buffer cells[PB_SNAPSHOT_TABLE_COLUMNS] = {{0}};
    char *texts[PB_SNAPSHOT_TABLE_COLUMNS];
    append_harmless(&cells[ID], file->id);
    pb_buffer_append_text(&cells[STATE], pb_snapshot_state(entry));
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
    for (unsigned i = 0; i < PB_SNAPSHOT_TABLE_COLUMNS; i++) {
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
static size_t first_of(const pb_snapshot_table *table, size_t row)
{
    for (size_t first = 0; first < row; first++)
        if (strcmp(table->rows[first][FROM], table->rows[row][FROM]) == 0)
            return first;
    return row;
}

void pb_snapshot_table_append(const pb_snapshot_table *table, pb_buffer *buffer)
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

void pb_snapshot_table_free(pb_snapshot_table *table)
{
    for (size_t row = 0; row < table->count; row++)
        for (unsigned i = 0; i < PB_SNAPSHOT_TABLE_COLUMNS; i++)
            free(table->rows[row][i]);
    free(table->rows);
    *table = (pb_snapshot_table){0};
}
