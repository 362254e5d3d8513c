/* manifest/run_file.h - sources/<id of the source>/run.json: the lease of a source, which names the
 * run that is active. Pure, any thread. Format: docs/formats.md. */
#ifndef PB_MANIFEST_RUN_FILE_H
#define PB_MANIFEST_RUN_FILE_H

#include "base/error.h"
#include "base/process.h"
#include "manifest/snapshot_id.h"

enum { PB_RUN_FILE_VERSION = 1, PB_SOURCE_ID_SIZE = 33 };

/* Texts are UTF-8. */
typedef struct pb_run_file {
    char run[PB_SNAPSHOT_ID_SIZE]; /* the snapshot that it makes */
    char *source;                  /* identity of the source, and its prefix */
    char *prefix;
    pb_process process;
    uint64_t counter; /* the run raises it while it lives */
    bool over;        /* it has ended: the lease is free */
    char *program;
} pb_run_file;

/* Appends the document. Text that is not UTF-8 is a bug of the caller, and aborts. */
void pb_run_file_append(pb_buffer *buffer, const pb_run_file *file);

/* Reads text from outside. Fails with DAMAGED, naming the member; with USAGE and a hint for a newer
 * version. Unknown members are ignored. *ret_file is set on success only, freed with
 * pb_run_file_free. */
int pb_run_file_parse(pb_slice text, pb_run_file *ret_file, pb_error *error);
void pb_run_file_free(pb_run_file *file); /* back to {0} */

/* The id of a source: 32 hex digits of the SHA-256 of its identity, a zero byte and the prefix. */
void pb_source_id(const char *source, const char *prefix, char ret_id[PB_SOURCE_ID_SIZE]);

#endif
