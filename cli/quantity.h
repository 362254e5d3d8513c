/* cli/quantity.h - numbers as people read them. Pure, any thread. Each appends to *buffer. */
#ifndef PB_CLI_QUANTITY_H
#define PB_CLI_QUANTITY_H

#include "base/bytes.h"

/* "1,234,567". */
void pb_quantity_count(pb_buffer *buffer, uint64_t count);
/* "17 B", "1.50 KiB", "12.3 MiB", "456 GiB": three digits, cut and not rounded up. */
void pb_quantity_bytes(pb_buffer *buffer, uint64_t bytes);
/* "0.4 s", "12.3 s", "5 min 02 s", "3 h 07 min", "2 d 01 h"; a negative one counts as zero. */
void pb_quantity_duration(pb_buffer *buffer, int64_t duration_ms);
/* "87%", cut: 100% is said only when all is done. `whole` 0 counts as done. */
void pb_quantity_percent(pb_buffer *buffer, uint64_t part, uint64_t whole);
/* "3,200 objects/s, 12.5 MiB/s"; nothing at all for a duration of 0. */
void pb_quantity_rate(pb_buffer *buffer, uint64_t objects, uint64_t bytes, int64_t duration_ms);

#endif
