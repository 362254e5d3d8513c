/* manifest/findings_file.h - snapshots/<id>/findings.ndjson: objects of a snapshot whose stored
 * copy verify found missing or damaged. The next backup copies them again. Pure; one thread at a
 * time. Format: docs/formats.md. */
#ifndef PB_MANIFEST_FINDINGS_FILE_H
#define PB_MANIFEST_FINDINGS_FILE_H

#include "base/bytes.h"
#include "base/error.h"
#include "manifest/part.h"

enum { PB_FINDINGS_FILE_VERSION = 1, PB_FINDINGS_FILE_BYTES_MAX = 64 * 1024 * 1024 };
#define PB_FINDINGS_FILE "findings.ndjson"

/* Zero it. */
typedef struct pb_findings {
    bool cut; /* there are more than it holds: any object may be damaged */
    pb_slice *keys;
    size_t count, capacity;
    size_t bytes;
    pb_arena arena;
} pb_findings;

void pb_findings_add(pb_findings *findings, pb_slice key); /* copied */
/* Sorts the keys, each once: before they are written or looked for. */
void pb_findings_sort(pb_findings *findings);
/* True for a key that was added, and for any where there are more. They are sorted. */
bool pb_findings_have(const pb_findings *findings, pb_slice key);
void pb_findings_free(pb_findings *findings); /* back to {0} */

/* Appends the document. */
void pb_findings_append(pb_buffer *buffer, const char *id, const pb_findings *findings);
/* Adds those of a document from outside. Fails with DAMAGED, naming the line; with USAGE for a
 * newer version. Nothing is added then. */
int pb_findings_parse(pb_slice text, pb_findings *findings, pb_error *error);

#endif
