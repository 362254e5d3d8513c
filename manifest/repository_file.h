/* manifest/repository_file.h - pbcopy.json, which marks a repository. Pure, any thread. Format:
 * docs/formats.md. */
#ifndef PB_MANIFEST_REPOSITORY_FILE_H
#define PB_MANIFEST_REPOSITORY_FILE_H

#include "base/bytes.h"
#include "base/error.h"

enum { PB_REPOSITORY_VERSION = 1 };

typedef struct pb_repository_file {
    char id[33]; /* 32 lower-case hex digits */
    uint64_t version;
    bool create_only;       /* the store honours create-only writes (probed when it was made) */
    bool unordered_listing; /* it lists in an order of its own; likewise */
    bool lists_sources;     /* sources/ names all sources (source_file.h) */
    /* What its store does that others do not (likewise; copier/store/store.h, findings). */
    bool opaque_etags, unkept_etags, refuses_copies, wants_content_md5;
} pb_repository_file;

/* Appends the document; its version is always PB_REPOSITORY_VERSION. */
void pb_repository_file_append(pb_buffer *buffer, const pb_repository_file *file);

/* Reads text from outside. Fails with DAMAGED, naming the member; with USAGE and a hint for a newer
 * version and where "requires" names a feature that this program does not know. Unknown members and
 * unknown features are ignored. */
int pb_repository_file_parse(pb_slice text, pb_repository_file *ret_file, pb_error *error);

#endif
