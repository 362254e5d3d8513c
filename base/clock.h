/* base/clock.h - time. Wall-clock times are milliseconds since 1970 UTC; any thread. */
#ifndef PB_BASE_CLOCK_H
#define PB_BASE_CLOCK_H

#include "base/bytes.h"
#include <stdbool.h>
#include <stdint.h>

int64_t pb_clock_utc_ms(void);
/* A clock that only goes forward, for durations; its zero means nothing. */
int64_t pb_clock_monotonic_ms(void);

/* The same, but it goes on while the machine is suspended (CLOCK_BOOTTIME). */
int64_t pb_clock_boottime_ms(void);

enum { PB_TIME_TEXT_MAX = 32 };

/* Times outside the years 0000 to 9999 are written as the nearest one inside. */

/* "20261123T052049Z", as SigV4 and snapshot ids have it. */
void pb_time_format_basic(int64_t utc_ms, char ret_text[PB_TIME_TEXT_MAX]);
/* "2026-11-23T05:20:49.123Z" (RFC 3339). */
void pb_time_format_rfc3339(int64_t utc_ms, char ret_text[PB_TIME_TEXT_MAX]);
/* "05:20:49", the time of the day in UTC. */
void pb_time_format_of_day(int64_t utc_ms, char ret_text[PB_TIME_TEXT_MAX]);
/* "Mon, 23 Nov 2026 05:20:49 GMT" (RFC 9110 section 5.6.7). */
void pb_time_format_http(int64_t utc_ms, char ret_text[PB_TIME_TEXT_MAX]);
/* Reads RFC 3339 in UTC ("Z"), with or without fraction (digits past milliseconds are dropped). */
bool pb_time_parse_rfc3339(pb_slice text, int64_t *ret_utc_ms);
/* Reads the form of pb_time_format_http; that the day of the week fits the date is not checked. */
bool pb_time_parse_http(pb_slice text, int64_t *ret_utc_ms);

#endif
