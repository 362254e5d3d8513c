/* manifest/document.h - what all documents of a repository have in common: they are JSON objects
 * that begin {"pbcopy":"<kind>","version":<n>. For the rooms' own files; writers are by hand and
 * exact to the byte, readers go through base/json.h. Pure, any thread. */
#ifndef PB_MANIFEST_DOCUMENT_H
#define PB_MANIFEST_DOCUMENT_H

#include "base/json.h"
#include "manifest/part.h"

/* Parses a document of this kind. Fails with DAMAGED, and with USAGE where its version is above
 * `version`. The caller owns *ret_object (json_decref). `what` names the document in errors, here
 * and below. */
int pb_document_parse(pb_slice text, const char *kind, uint64_t version, const char *what,
                      json_t **ret_object, pb_error *error);

/* Members; each fails with DAMAGED, naming it, where it is missing or not of its form. */
int pb_document_text(const json_t *object, const char *name, const char *what, char **ret_text,
                     pb_error *error); /* a copy, freed by the caller */
int pb_document_time(const json_t *object, const char *name, const char *what, int64_t *ret_utc_ms,
                     pb_error *error);
int pb_document_digest(const json_t *object, const char *name, const char *what,
                       uint8_t ret_digest[PB_SHA256_BYTES], pb_error *error);
int pb_document_snapshot_id(const json_t *object, const char *name, const char *what,
                            char ret_id[PB_SNAPSHOT_ID_SIZE], pb_error *error);
/* "base" and "base_sha256": both there, or both null or missing and then "". */
int pb_document_base(const json_t *object, const char *what, char ret_id[PB_SNAPSHOT_ID_SIZE],
                     char ret_sha256[2 * PB_SHA256_BYTES + 1], pb_error *error);
/* "after" and "through"; *ret_range is the caller's to free. */
int pb_document_range(const json_t *object, const char *what, pb_range *ret_range, pb_error *error);

/* Writing: begin with the opening brace, kind and version; each add_ writes a comma first. Texts
 * are UTF-8 (aborts); NULL is "". */
void pb_document_begin(pb_buffer *buffer, const char *kind, uint64_t version);
void pb_document_add_text(pb_buffer *buffer, const char *name, const char *text);
void pb_document_add_text_or_null(pb_buffer *buffer, const char *name,
                                  const char *text); /* "": null */
void pb_document_add_number(pb_buffer *buffer, const char *name, uint64_t value);
void pb_document_add_time(pb_buffer *buffer, const char *name, int64_t utc_ms);
void pb_document_add_digest(pb_buffer *buffer, const char *name,
                            const uint8_t digest[PB_SHA256_BYTES]);
void pb_document_add_range(pb_buffer *buffer, const pb_range *range);

#endif
