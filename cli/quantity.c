#include "cli/quantity.h"

#include <inttypes.h>
#include <stdio.h>

void pb_quantity_count(pb_buffer *buffer, uint64_t count)
{
    char digits[24];
    size_t size = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, count);
    for (size_t i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0)
            pb_buffer_append_char(buffer, ',');
        pb_buffer_append_char(buffer, digits[i]);
    }
}

void pb_quantity_bytes(pb_buffer *buffer, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    uint64_t whole = bytes, rest = 0; /* bytes = (whole + rest / 1024) units, or a little more */
    for (; whole >= 1024; unit++) {
        rest = whole % 1024;
        whole /= 1024;
    }
    pb_buffer_append_unsigned(buffer, whole);
    if (unit && whole < 10)
        pb_buffer_append_format(buffer, ".%02u", (unsigned)(rest * 100 / 1024));
    else if (unit && whole < 100)
        pb_buffer_append_format(buffer, ".%u", (unsigned)(rest * 10 / 1024));
    pb_buffer_append_format(buffer, " %s", units[unit]);
}

void pb_quantity_duration(pb_buffer *buffer, int64_t duration_ms)
{
    int64_t ms = duration_ms < 0 ? 0 : duration_ms, s = ms / 1000, min = s / 60, h = min / 60;
    if (s < 60)
        pb_buffer_append_format(buffer, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
    else if (min < 60)
        pb_buffer_append_format(buffer, "%" PRId64 " min %02" PRId64 " s", min, s % 60);
    else if (h < 24)
        pb_buffer_append_format(buffer, "%" PRId64 " h %02" PRId64 " min", h, min % 60);
    else
        pb_buffer_append_format(buffer, "%" PRId64 " d %02" PRId64 " h", h / 24, h % 24);
}

void pb_quantity_percent(pb_buffer *buffer, uint64_t part, uint64_t whole)
{
    uint64_t percent = part >= whole ? 100 : (uint64_t)((double)part / (double)whole * 100);
    if (part < whole && percent > 99)
        percent = 99;
    pb_buffer_append_format(buffer, "%" PRIu64 "%%", percent);
}

void pb_quantity_rate(pb_buffer *buffer, uint64_t objects, uint64_t bytes, int64_t duration_ms)
{
    if (duration_ms <= 0)
        return;
    double seconds = (double)duration_ms / 1000;
    pb_quantity_count(buffer, (uint64_t)((double)objects / seconds));
    pb_buffer_append_text(buffer, " objects/s, ");
    pb_quantity_bytes(buffer, (uint64_t)((double)bytes / seconds));
    pb_buffer_append_text(buffer, "/s");
}
