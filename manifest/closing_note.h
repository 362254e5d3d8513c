/* manifest/closing_note.h - what stands at an attempt's commit key, snapshots/<id>/snapshot.json,
 * in place of a commit: that the attempt is abandoned and never can commit. Pure, any thread.
 * Format: docs/formats.md. */
#ifndef PB_MANIFEST_CLOSING_NOTE_H
#define PB_MANIFEST_CLOSING_NOTE_H

#include "base/error.h"
#include "manifest/snapshot_id.h"

enum { PB_CLOSED_BY_SIZE = 128, PB_CLOSING_NOTE_BYTES_MAX = 4096 };

/* Appends the note that the run `by` ("" where it has no id yet) writes on `host` for attempt `id`.
 */
void pb_closing_note_append(pb_buffer *buffer, const char *id, const char *by, const char *host,
                            int64_t when_ms);

/* True where the text is such a note, whatever its other members say (but no longer than
 * PB_CLOSING_NOTE_BYTES_MAX). ret_by (PB_CLOSED_BY_SIZE
 * bytes, NULL allowed) gets who wrote it, as a message has it: "run 2026... on HOST". */
bool pb_closing_note_parse(pb_slice text, char *ret_by);

#endif
