/* manifest/source_file.h - sources/<id of the source>/source.json, or source-<namespace>.json of a
 * cluster: that the repository has attempts of this source. So that a command knows all sources
 * without reading every attempt. Pure, any thread. Format: docs/formats.md. */
#ifndef PB_MANIFEST_SOURCE_FILE_H
#define PB_MANIFEST_SOURCE_FILE_H

#include "base/bytes.h"
#include "base/error.h"

enum { PB_SOURCE_FILE_VERSION = 1 };

/* Texts are UTF-8. */
typedef struct pb_source_file {
    char *source; /* identity of the source */
    char *prefix;
    char *name_space; /* of the cluster, "" for a bucket alone */
} pb_source_file;

/* Appends the key. */
void pb_source_file_key(pb_buffer *buffer, const pb_source_file *file);
/* True for a key that pb_source_file_key makes. */
bool pb_source_file_is_key(pb_slice key);

/* Appends the document. Text that is not UTF-8 is a bug of the caller, and aborts. */
void pb_source_file_append(pb_buffer *buffer, const pb_source_file *file);

/* Reads text from outside. Fails with DAMAGED, naming the member; with USAGE and a hint for a newer
 * version. Unknown members are ignored. *ret_file is set on success only, freed with
 * pb_source_file_free. */
int pb_source_file_parse(pb_slice text, pb_source_file *ret_file, pb_error *error);
void pb_source_file_free(pb_source_file *file); /* back to {0} */

#endif
