/* manifest/timestamp.h - RFC 3339 times at the speed of a manifest: one form only, always 24 bytes,
 * such as "2026-11-23T05:20:49.123Z". base/clock.h has the general functions. Pure, any thread. */
#ifndef PB_MANIFEST_TIMESTAMP_H
#define PB_MANIFEST_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

enum { PB_TIMESTAMP_BYTES = 24 };

/* Writes 24 bytes, no NUL; the same text as pb_time_format_rfc3339, which says what becomes of
 * times outside the years 0000 to 9999. */
void pb_timestamp_write(int64_t utc_ms, char ret_text[PB_TIMESTAMP_BYTES]);

/* Reads 24 bytes of exactly this form. False for anything else, a leap second included: ask
 * pb_time_parse_rfc3339 then. */
bool pb_timestamp_read(const char text[PB_TIMESTAMP_BYTES], int64_t *ret_utc_ms);

#endif
