/* copier/store/gcs/object_headers.h - an object's own headers, as stores exchange them ("name:
 * value\n", x-amz-meta-*), and the members of Google's object resource. Pure, any thread.
 *
 * Source: https://cloud.google.com/storage/docs/json_api/v1/objects#resource */
#ifndef PB_COPIER_STORE_GCS_OBJECT_HEADERS_H
#define PB_COPIER_STORE_GCS_OBJECT_HEADERS_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

/* True where the headers are nothing but a content type, or nothing: *ret_type is it, or empty. */
bool pb_gcs_headers_are_a_type(pb_slice headers, pb_slice *ret_type);

/* Appends the JSON of a resource with these headers. `expires` has no member there and is left out.
 * Fails with USAGE where one is not an object's own, or not UTF-8. */
int pb_gcs_headers_to_resource(pb_slice headers, pb_buffer *buffer, pb_error *error);

/* Appends the headers that a resource has. Fails with FAILED where a value is not one line, a key
 * of the metadata cannot be a header's name, or all are more than PB_OBJECT_HEADERS_MAX: an object
 * that is relayed must not lose any. */
int pb_gcs_headers_of_resource(const json_t *resource, pb_buffer *headers, pb_error *error);

#endif
