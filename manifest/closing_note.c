#include "manifest/closing_note.h"

#include "manifest/document.h"
#include <stdio.h>

static const char kind[] = "abandoned";

void pb_closing_note_append(pb_buffer *buffer, const char *id, const char *by, const char *host,
                            int64_t when_ms)
{
    pb_document_begin(buffer, kind, 1);
    pb_document_add_text(buffer, "id", id);
    pb_document_add_text(buffer, "by", by);
    pb_document_add_text(buffer, "host", host);
    pb_document_add_time(buffer, "when", when_ms);
    pb_buffer_append_text(buffer, "}\n");
}

/* What is odd in a note is not said. */
static void name_closer(const json_t *object, char *ret_by)
{
    const char *by = json_string_value(json_object_get(object, "by"));
    const char *host = json_string_value(json_object_get(object, "host"));
    bool is_id = by && pb_snapshot_id_valid(pb_slice_of(by));
    snprintf(ret_by, PB_CLOSED_BY_SIZE, "%s%s%s%.64s", is_id ? "run " : "another run",
             is_id ? by : "", host ? " on " : "", host ? host : "");
}

bool pb_closing_note_parse(pb_slice text, char *ret_by)
{
    json_t *object;
    pb_error ignored;
    if (text.size > PB_CLOSING_NOTE_BYTES_MAX ||
        pb_json_parse(text, "snapshot.json", &object, &ignored))
        return false;
    const char *found = json_string_value(json_object_get(object, "pbcopy"));
    bool is_note = found && strcmp(found, kind) == 0;
    if (is_note && ret_by)
        name_closer(object, ret_by);
    json_decref(object);
    return is_note;
}
