/* base/json.h - reading JSON documents that come from outside, on jansson.
 *
 * Readers name the document and the member in their error, so that a damaged or newer file is told
 * in words. Records of the manifest do not come this way (manifest/record.h): this is for documents
 * of a few kilobytes. */
#ifndef PB_BASE_JSON_H
#define PB_BASE_JSON_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

/* Parses one object; duplicate members and trailing bytes are refused. `what` names the document.
 * The caller owns *ret_object (json_decref). Fails with PB_ERROR_DAMAGED. */
int pb_json_parse(pb_slice text, const char *what, json_t **ret_object, pb_error *error);

/* The same for a document that holds secrets: messages show the place of a fault, nothing of the
 * text. Release *ret_object with pb_json_wipe. */
int pb_json_parse_secret(pb_slice text, const char *what, json_t **ret_object, pb_error *error);
/* Overwrites the texts of a document and releases it: the caller's must be the last reference. NULL
 * allowed. (What the parser used while it read is beyond reach.) */
void pb_json_wipe(json_t *object);

/* Members of an object; each fails with PB_ERROR_DAMAGED, naming `what` and the member, where the
 * member is missing or of another type. Strings and arrays are borrowed from the object.
 * Numbers are whole, 0 to 2^63 - 1. */
int pb_json_string(const json_t *object, const char *name, const char *what, const char **ret_text,
                   pb_error *error);
int pb_json_unsigned(const json_t *object, const char *name, const char *what, uint64_t *ret_value,
                     pb_error *error);
int pb_json_array(const json_t *object, const char *name, const char *what, json_t **ret_array,
                  pb_error *error);
/* The same, but a missing or null member leaves *ret_text as it is. */
int pb_json_string_if(const json_t *object, const char *name, const char *what,
                      const char **ret_text, pb_error *error);

/* Appends the compact text of a value and a newline. */
void pb_json_append(pb_buffer *buffer, const json_t *value);

#endif
