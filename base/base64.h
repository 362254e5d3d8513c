/* base/base64.h - Base64 with padding (RFC 4648), as values of Kubernetes secrets are written. Any
 * thread. */
#ifndef PB_BASE_BASE64_H
#define PB_BASE_BASE64_H

#include "base/bytes.h"

/* Appends the text of `bytes`. */
void pb_base64_encode(pb_buffer *buffer, pb_slice bytes);
/* Appends the bytes of `text`. False (buffer unspecified) where it is not Base64 with its padding;
 * line breaks are refused. */
bool pb_base64_decode(pb_buffer *buffer, pb_slice text);

#endif
