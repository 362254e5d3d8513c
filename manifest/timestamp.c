#include "manifest/timestamp.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)
#define EARLIEST_MS (INT64_C(-62167219200) * 1000)   /* 0000-01-01T00:00:00.000Z */
#define LATEST_MS (INT64_C(253402300800) * 1000 - 1) /* 9999-12-31T23:59:59.999Z */

/* Days are counted from 1 March of the year -400, so that the leap day ends its year and no count
 * is negative; the method is Howard Hinnant's (chrono-compatible low-level date algorithms). */
enum { ERA_DAYS = 146097, DAYS_TO_1970 = 719468 + ERA_DAYS };

static void put_two(char *out, unsigned value)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
}

void pb_timestamp_write(int64_t utc_ms, char ret_text[PB_TIMESTAMP_BYTES])
{
    if (utc_ms < EARLIEST_MS)
        utc_ms = EARLIEST_MS;
    if (utc_ms > LATEST_MS)
        utc_ms = LATEST_MS;
    uint64_t shifted_ms = (uint64_t)(utc_ms + DAYS_TO_1970 * DAY_MS);
    unsigned days = (unsigned)(shifted_ms / DAY_MS);
    unsigned in_day_ms = (unsigned)(shifted_ms % DAY_MS);

    unsigned era = days / ERA_DAYS;
    unsigned in_era = days % ERA_DAYS;
    unsigned era_year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * era_year + era_year / 4 - era_year / 100);
    unsigned march_month = (5 * in_year + 2) / 153;
    unsigned month = march_month < 10 ? march_month + 3 : march_month - 9;
    unsigned year = era * 400 + era_year + (month <= 2) - 400;
    unsigned second = in_day_ms / 1000;
    unsigned millisecond = in_day_ms % 1000;

    memcpy(ret_text, "0000-00-00T00:00:00.000Z", PB_TIMESTAMP_BYTES);
    put_two(ret_text, year / 100);
    put_two(ret_text + 2, year % 100);
    put_two(ret_text + 5, month);
    put_two(ret_text + 8, in_year - (153 * march_month + 2) / 5 + 1);
    put_two(ret_text + 11, second / 3600);
    put_two(ret_text + 14, second / 60 % 60);
    put_two(ret_text + 17, second % 60);
    put_two(ret_text + 20, millisecond / 10);
    ret_text[22] = (char)('0' + millisecond % 10);
}

/* The number in two digits; 100 or more where they are none. */
static unsigned two(const char *text)
{
    unsigned high = (unsigned)(uint8_t)text[0] - '0';
    unsigned low = (unsigned)(uint8_t)text[1] - '0';
    return high <= 9 && low <= 9 ? high * 10 + low : 100;
}

bool pb_timestamp_read(const char text[PB_TIMESTAMP_BYTES], int64_t *ret_utc_ms)
{
    static const uint8_t month_days[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
        text[19] != '.' || text[23] != 'Z')
        return false;
    unsigned century = two(text);
    unsigned in_century = two(text + 2);
    unsigned month = two(text + 5);
    unsigned day = two(text + 8);
    unsigned hour = two(text + 11);
    unsigned minute = two(text + 14);
    unsigned second = two(text + 17);
    unsigned centisecond = two(text + 20);
    unsigned last = (unsigned)(uint8_t)text[22] - '0';
    if (century > 99 || in_century > 99 || month < 1 || month > 12 || hour > 23 || minute > 59 ||
        second > 59 || centisecond > 99 || last > 9)
        return false;
    unsigned year = century * 100 + in_century;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day < 1 || day > month_days[month] + (month == 2 && leap ? 1u : 0u))
        return false;

    unsigned march_year = year + 400 - (month <= 2);
    unsigned march_month = month > 2 ? month - 3 : month + 9;
    unsigned days = 365 * march_year + march_year / 4 - march_year / 100 + march_year / 400 +
                    (153 * march_month + 2) / 5 + day - 1;
    *ret_utc_ms = ((int64_t)days - DAYS_TO_1970) * DAY_MS +
                  ((int64_t)(hour * 3600 + minute * 60 + second) * 1000) + centisecond * 10 + last;
    return true;
}
