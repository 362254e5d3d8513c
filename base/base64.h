/* base/base64.h - Base64 with padding (RFC 4648), as values of Kubernetes secrets are written, and
 * its form for URLs and web tokens. Any thread. */
#ifndef PB_BASE_BASE64_H
#define PB_BASE_BASE64_H

#include "base/bytes.h"

/* Characters that the text of so many bytes has. */
#define PB_BASE64_CHARACTERS(bytes) (((bytes) + 2) / 3 * 4)

/* Writes the text of `size` bytes and a NUL to `ret_text`; returns its length without the NUL. */
size_t pb_base64_write(const void *bytes, size_t size, char *ret_text);
/* Appends the text of `bytes`. */
void pb_base64_encode(pb_buffer *buffer, pb_slice bytes);
/* Appends the bytes of `text`. False (buffer unspecified) where it is not Base64 with its padding;
 * line breaks are refused. */
bool pb_base64_decode(pb_buffer *buffer, pb_slice text);
/* The same of a text that stands for exactly `size` bytes, a digest for one; elsewhere false, the
 * bytes unspecified. */
bool pb_base64_decode_to(pb_slice text, void *ret_bytes, size_t size);
/* Appends the text of `bytes` in the alphabet for URLs, without padding (RFC 4648 section 5, as RFC
 * 7515 section 2 wants it). */
void pb_base64url_encode(pb_buffer *buffer, pb_slice bytes);

#endif
