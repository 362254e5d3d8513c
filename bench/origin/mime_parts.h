/* bench/origin/mime_parts.h - bodies of several parts (RFC 2046), as uploads and batches of
 * Google's JSON APIs have them. Pure. */
#ifndef PB_BENCH_ORIGIN_MIME_PARTS_H
#define PB_BENCH_ORIGIN_MIME_PARTS_H

#include "base/bytes.h"

/* The boundary of "multipart/related; boundary=..." (with or without quotes), where `type` is
 * "multipart/related". False where it is not that. */
bool pb_origin_mime_boundary(pb_slice content_type, const char *type, pb_slice *ret_boundary);

/* Takes the next part off *rest, which is the whole body at first. 1: there was one; 0: this was
 * the end, rightly marked; -1: broken. Lines may end with LF alone. */
int pb_origin_mime_next(pb_slice *rest, pb_slice boundary, pb_slice *ret_headers,
                        pb_slice *ret_body);

/* The value of one of the part's headers (name in lower case); {NULL, 0} where it is absent. */
pb_slice pb_origin_mime_header(pb_slice headers, const char *name);

/* Splits at the first empty line; the body is empty where there is none. */
void pb_origin_mime_split(pb_slice text, pb_slice *ret_headers, pb_slice *ret_body);

#endif
