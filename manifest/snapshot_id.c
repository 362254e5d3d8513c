#include "manifest/snapshot_id.h"

#include "base/clock.h"
#include <stdio.h>

void pb_snapshot_id_make(int64_t utc_ms, uint16_t random, char ret_id[PB_SNAPSHOT_ID_SIZE])
{
    char time[PB_TIME_TEXT_MAX];
    pb_time_format_basic(utc_ms, time);
    snprintf(ret_id, PB_SNAPSHOT_ID_SIZE, "%.16s-%04x", time, (unsigned)random);
}

bool pb_snapshot_id_time(pb_slice id, int64_t *ret_utc_ms)
{
    char text[PB_TIME_TEXT_MAX];
    const char *t = id.data;
    snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", t, t + 4, t + 6, t + 9, t + 11,
             t + 13);
    return pb_time_parse_rfc3339(pb_slice_of(text), ret_utc_ms);
}

static bool digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return true;
}

bool pb_snapshot_id_valid(pb_slice id)
{
    if (id.size != PB_SNAPSHOT_ID_SIZE - 1 || !digits(id.data, 8) || id.data[8] != 'T' ||
        !digits(id.data + 9, 6) || id.data[15] != 'Z' || id.data[16] != '-')
        return false;
    for (size_t i = 17; i < id.size; i++) {
        bool letter = id.data[i] >= 'a' && id.data[i] <= 'f';
        if (!letter && !digits(id.data + i, 1))
            return false;
    }
    return true;
}
