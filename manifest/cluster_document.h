/* manifest/cluster_document.h - snapshot.json's member "cluster" as text. Pure, any thread. For
 * this room. Format: docs/formats.md. */
#ifndef PB_MANIFEST_CLUSTER_DOCUMENT_H
#define PB_MANIFEST_CLUSTER_DOCUMENT_H

#include "manifest/cluster_record.h"

/* Appends the member's value. Text that is not UTF-8 is a bug of the caller, and aborts. */
void pb_cluster_document_append(pb_buffer *buffer, const pb_cluster_record *record);
/* Reads it into a zeroed record, which is the caller's to free in any case. DAMAGED, naming the
 * member. */
int pb_cluster_document_parse(const json_t *object, pb_cluster_record *record, pb_error *error);

#endif
