#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND_MS INT64_C(1000)
#define DAY_MS (INT64_C(86400) * SECOND_MS)

/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what four digits of year can say. */
#define EARLIEST_MS (INT64_C(-62167219200) * SECOND_MS)
#define LATEST_MS (INT64_C(253402300800) * SECOND_MS - 1)

static const char week_days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

typedef struct civil {
    unsigned year, month, day; /* month and day from 1 */
    unsigned hour, minute, second, millisecond;
    unsigned week_day; /* 0 is Sunday */
} civil;

static int64_t read_clock_ms(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0)
        abort(); /* these clocks exist on every system this builds for */
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

int64_t pb_clock_utc_ms(void)
{
    return read_clock_ms(CLOCK_REALTIME);
}

int64_t pb_clock_monotonic_ms(void)
{
    return read_clock_ms(CLOCK_MONOTONIC);
}

int64_t pb_clock_boottime_ms(void)
{
    return read_clock_ms(CLOCK_BOOTTIME);
}

/* Days in the Gregorian years before March of `year`; years begin in March here, so that the leap
 * day is the last of its year and needs no case of its own. */
static int64_t days_before_march(int64_t year)
{
    return 365 * year + year / 4 - year / 100 + year / 400;
}

static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
    /* One era of 400 years up: no negative numbers to divide. The constant makes 1970-01-01 day 0.
     */
    int64_t march_year = (int64_t)year + 400 - (month <= 2);
    unsigned march_month = (month + 9) % 12;
    return days_before_march(march_year) + (153 * march_month + 2) / 5 + day - 1 - 719468 - 146097;
}

static civil civil_from_ms(int64_t utc_ms)
{
    if (utc_ms < EARLIEST_MS)
        utc_ms = EARLIEST_MS;
    if (utc_ms > LATEST_MS)
        utc_ms = LATEST_MS;
    int64_t days = utc_ms / DAY_MS - (utc_ms % DAY_MS < 0);
    unsigned in_day_ms = (unsigned)(utc_ms - days * DAY_MS);
    int64_t shifted = days + 719468 + 146097;
    int64_t march_year = shifted * 400 / 146097;
    while (days_before_march(march_year) > shifted)
        march_year--;
    while (days_before_march(march_year + 1) <= shifted)
        march_year++;
    unsigned in_year = (unsigned)(shifted - days_before_march(march_year));
    unsigned march_month = (5 * in_year + 2) / 153;
    civil ret = {
        .month = march_month < 10 ? march_month + 3 : march_month - 9,
        .day = in_year - (153 * march_month + 2) / 5 + 1,
        .hour = in_day_ms / 3600000,
        .minute = in_day_ms / 60000 % 60,
        .second = in_day_ms / 1000 % 60,
        .millisecond = in_day_ms % 1000,
        /* Day 0 was a Thursday; whole weeks on top keep the sum positive. */
        .week_day = (unsigned)((days + 4 + 7 * INT64_C(200000)) % 7),
    };
    ret.year = (unsigned)(march_year - 400 + (ret.month <= 2));
    return ret;
}

void pb_time_format_basic(int64_t utc_ms, char ret_text[PB_TIME_TEXT_MAX])
{
    civil at = civil_from_ms(utc_ms);
    snprintf(ret_text, PB_TIME_TEXT_MAX, "%04u%02u%02uT%02u%02u%02uZ", at.year, at.month, at.day,
             at.hour, at.minute, at.second);
}

void pb_time_format_rfc3339(int64_t utc_ms, char ret_text[PB_TIME_TEXT_MAX])
{
    civil at = civil_from_ms(utc_ms);
    snprintf(ret_text, PB_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", at.year, at.month,
             at.day, at.hour, at.minute, at.second, at.millisecond);
}

void pb_time_format_of_day(int64_t utc_ms, char ret_text[PB_TIME_TEXT_MAX])
{
    civil at = civil_from_ms(utc_ms);
    snprintf(ret_text, PB_TIME_TEXT_MAX, "%02u:%02u:%02u", at.hour, at.minute, at.second);
}

void pb_time_format_http(int64_t utc_ms, char ret_text[PB_TIME_TEXT_MAX])
{
    civil at = civil_from_ms(utc_ms);
    snprintf(ret_text, PB_TIME_TEXT_MAX, "%s, %02u %s %04u %02u:%02u:%02u GMT",
             week_days[at.week_day], at.day, months[at.month - 1], at.year, at.hour, at.minute,
             at.second);
}

static bool is_leap_year(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool civil_to_ms(const civil *at, int64_t *ret_utc_ms)
{
    static const uint8_t month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (at->month < 1 || at->month > 12)
        return false;
    bool leap_day = at->month == 2 && is_leap_year(at->year);
    unsigned days = month_days[at->month - 1] + (leap_day ? 1u : 0u);
    if (at->day < 1 || at->day > days || at->hour > 23 || at->minute > 59)
        return false;
    /* Both formats know the leap second; it counts as the second after it. */
    bool leap_second = at->second == 60 && at->hour == 23 && at->minute == 59;
    if (at->second > 59 && !leap_second)
        return false;
    *ret_utc_ms = days_from_civil(at->year, at->month, at->day) * DAY_MS +
                  (at->hour * 3600 + at->minute * 60 + at->second) * SECOND_MS + at->millisecond;
    return true;
}

static bool take_digits(pb_slice *text, size_t count, unsigned *ret_value)
{
    unsigned value = 0;
    if (text->size < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(uint8_t)text->data[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *text = (pb_slice){text->data + count, text->size - count};
    *ret_value = value;
    return true;
}

static bool take_character(pb_slice *text, char wanted)
{
    if (!text->size || text->data[0] != wanted)
        return false;
    *text = (pb_slice){text->data + 1, text->size - 1};
    return true;
}

static bool take(pb_slice *text, const char *wanted)
{
    pb_slice start = pb_slice_of(wanted);
    if (!pb_slice_starts_with(*text, start))
        return false;
    *text = (pb_slice){text->data + start.size, text->size - start.size};
    return true;
}

static bool take_name(pb_slice *text, const char names[][4], unsigned count, unsigned *ret_index)
{
    for (unsigned i = 0; i < count; i++) {
        if (take(text, names[i])) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool take_time_of_day(pb_slice *text, civil *at)
{
    return take_digits(text, 2, &at->hour) && take_character(text, ':') &&
           take_digits(text, 2, &at->minute) && take_character(text, ':') &&
           take_digits(text, 2, &at->second);
}

bool pb_time_parse_rfc3339(pb_slice text, int64_t *ret_utc_ms)
{
    civil at = {0};
    if (!take_digits(&text, 4, &at.year) || !take_character(&text, '-') ||
        !take_digits(&text, 2, &at.month) || !take_character(&text, '-') ||
        !take_digits(&text, 2, &at.day) || !take_character(&text, 'T') ||
        !take_time_of_day(&text, &at))
        return false;
    if (take_character(&text, '.')) {
        unsigned digit;
        unsigned weight = 100;
        if (!take_digits(&text, 1, &digit))
            return false;
        do {
            at.millisecond += digit * weight;
            weight /= 10;
        } while (take_digits(&text, 1, &digit));
    }
    return pb_slice_equal(text, PB_SLICE_LITERAL("Z")) && civil_to_ms(&at, ret_utc_ms);
}

bool pb_time_parse_http(pb_slice text, int64_t *ret_utc_ms)
{
    civil at = {0};
    unsigned month;
    if (!take_name(&text, week_days, 7, &at.week_day) || !take(&text, ", ") ||
        !take_digits(&text, 2, &at.day) || !take(&text, " ") ||
        !take_name(&text, months, 12, &month) || !take(&text, " ") ||
        !take_digits(&text, 4, &at.year) || !take(&text, " ") || !take_time_of_day(&text, &at) ||
        !pb_slice_equal(text, PB_SLICE_LITERAL(" GMT")))
        return false;
    at.month = month + 1;
    return civil_to_ms(&at, ret_utc_ms);
}
