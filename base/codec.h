/* base/codec.h - text forms of bytes: hex, percent, JSON strings, UTF-8, numbers. Any thread. */
#ifndef PB_BASE_CODEC_H
#define PB_BASE_CODEC_H

#include "base/bytes.h"
#include "base/error.h"

/* Lower-case hex of `size` bytes, 2 * size characters and a NUL into `ret_text`. */
void pb_hex_encode(const void *data, size_t size, char *ret_text);
/* Decodes exactly `size` bytes from 2 * size hex digits (either case). False where text is not
 * that. */
bool pb_hex_decode(pb_slice text, void *ret_data, size_t size);

/* Appends `slice` percent-encoded as RFC 3986 and SigV4 want it: unreserved characters (A-Z a-z 0-9
 * - . _ ~) stay, all else is %XX in upper case; '/' stays where keep_slash is set. */
void pb_percent_encode(pb_buffer *buffer, pb_slice slice, bool keep_slash);
/* Appends `slice` decoded: %XX to its byte and, where plus_is_space, '+' to a space. False (buffer
 * unspecified) on a cut or non-hex escape. */
bool pb_percent_decode(pb_buffer *buffer, pb_slice slice, bool plus_is_space);

/* Appends a JSON string with its quotes (RFC 8259): escapes ", \ and control characters; valid
 * UTF-8 is passed through. The slice must be valid UTF-8. */
void pb_json_append_string(pb_buffer *buffer, pb_slice slice);

/* True where the bytes are UTF-8 (RFC 3629: no overlong form, no surrogate, at most U+10FFFF). NUL
 * is a character. */
bool pb_utf8_valid(pb_slice slice);

/* Makes NUL-terminated text one harmless line, in place: each control character (C0, DEL, C1), line
 * or paragraph separator and byte that is not UTF-8 becomes '?'; a character cut in two at the very
 * end is dropped. The text never grows. */
void pb_text_make_line(char *text);
/* The same for text of many lines: newlines stay. */
void pb_text_make_lines(char *text);

/* A decimal number without sign, leading blank or overflow. False where it is not one. */
bool pb_parse_unsigned(pb_slice text, uint64_t *ret_value);
/* A size in bytes: decimal digits and an optional suffix K M G T (powers of 1024; an "iB" or "B"
 * may follow; a plain "B" too). False where it is not one. */
bool pb_parse_size(pb_slice text, uint64_t *ret_bytes);
/* A duration in whole seconds: decimal digits and an optional suffix s, m, h or d. False where it
 * is not one. */
bool pb_parse_duration(pb_slice text, uint64_t *ret_seconds);

#endif
