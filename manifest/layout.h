/* manifest/layout.h - where things lie in a repository. Pure, any thread. Picture: docs/formats.md.
 *
 * Every function appends a key, relative to the repository's root, to *buffer. */
#ifndef PB_MANIFEST_LAYOUT_H
#define PB_MANIFEST_LAYOUT_H

#include "manifest/record.h"

#define PB_REPOSITORY_FILE "pbcopy.json"
#define PB_SNAPSHOTS_PREFIX "snapshots/"
#define PB_MANIFEST_FOLDER "manifest/"
#define PB_SOURCES_PREFIX "sources/"

void pb_layout_snapshot_prefix(pb_buffer *buffer, pb_slice id); /* snapshots/<id>/ */
void pb_layout_snapshot_file(pb_buffer *buffer, pb_slice id,
                             const char *name); /* snapshots/<id>/<name> */
/* sources/<source_id>/<name> */
void pb_layout_source_file(pb_buffer *buffer, const char *source_id, const char *name);
/* snapshots/<id>/manifest/<part_name> */
void pb_layout_part(pb_buffer *buffer, pb_slice id, const char *part_name);
void pb_layout_data_prefix(pb_buffer *buffer, pb_slice id); /* data/<id>/ */
void pb_layout_long_prefix(pb_buffer *buffer, pb_slice id); /* long/<id>/ */

/* Where an object's bytes go: data/<id>/<key>, or long/<id>/<hex sha256 of the key> where the first
 * is longer than key_bytes_max, or where a path could change the key (base/key_form.h). True for
 * the latter, which the record's path must then hold. */
bool pb_layout_data_key(pb_buffer *buffer, pb_slice id, pb_slice key, size_t key_bytes_max);

/* Where they go when that place is taken: long/<id>/<hex sha256 of the key, a zero byte and
 * `number`>. */
void pb_layout_other_key(pb_buffer *buffer, pb_slice id, pb_slice key, unsigned number);

/* Where a record's bytes are: its path, or data/<at>/<key> whatever the key, as older versions
 * wrote it. */
void pb_layout_record_key(pb_buffer *buffer, const pb_record *record);

#endif
