/* base/base64.h - Base64 with padding (RFC 4648), as values of Kubernetes secrets are written, and
 * its form for URLs and web tokens. Any thread. */
#ifndef PB_BASE_BASE64_H
#define PB_BASE_BASE64_H

#include "base/bytes.h"

/* Appends the text of `bytes`. */
void pb_base64_encode(pb_buffer *buffer, pb_slice bytes);
/* Appends the bytes of `text`. False (buffer unspecified) where it is not Base64 with its padding;
 * line breaks are refused. */
bool pb_base64_decode(pb_buffer *buffer, pb_slice text);
/* Appends the text of `bytes` in the alphabet for URLs, without padding (RFC 4648 section 5, as RFC
 * 7515 section 2 wants it). */
void pb_base64url_encode(pb_buffer *buffer, pb_slice bytes);

#endif
