#include "base/error.h"

#include "base/codec.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void format_line(char *ret_text, size_t capacity, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void format_line(char *ret_text, size_t capacity, const char *format, va_list arguments)
{
    if (vsnprintf(ret_text, capacity, format, arguments) < 0)
        ret_text[0] = '\0';
    pb_text_make_line(ret_text);
}

/* Formats aside before *error is touched: the arguments may point into it. */
#define FORMAT_LINE(text, format)                                                                  \
    do {                                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        format_line((text), sizeof(text), (format), arguments);                                    \
        va_end(arguments);                                                                         \
    } while (0)

static int set_line(pb_error *error, pb_error_kind kind, const char *line)
{
    memset(error, 0, sizeof(*error));
    error->kind = kind;
    memcpy(error->message, line, strlen(line) + 1);
    return -1;
}

/* Joins two lines with ": ", the second cut where there is no room, never inside a character. */
static void join(char *ret_text, size_t capacity, const char *first, const char *second)
{
    int length = snprintf(ret_text, capacity, "%s: %s", first, second);
    if (length < 0 || (size_t)length >= capacity)
        pb_text_make_line(ret_text);
}

int pb_error_set(pb_error *error, pb_error_kind kind, const char *format, ...)
{
    if (error == NULL)
        return -1;
    char line[sizeof(error->message)];
    FORMAT_LINE(line, format);
    return set_line(error, kind, line);
}

int pb_error_hint(pb_error *error, const char *format, ...)
{
    if (error == NULL)
        return -1;
    char line[sizeof(error->hint)];
    FORMAT_LINE(line, format);
    memcpy(error->hint, line, strlen(line) + 1);
    return -1;
}

int pb_error_context(pb_error *error, const char *format, ...)
{
    if (error == NULL)
        return -1;
    char context[sizeof(error->message)];
    char line[sizeof(error->message)];
    FORMAT_LINE(context, format);
    join(line, sizeof(line), context, error->message);
    memcpy(error->message, line, strlen(line) + 1);
    return -1;
}

static pb_error_kind kind_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return PB_ERROR_NOT_FOUND;
    case EEXIST:
        return PB_ERROR_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return PB_ERROR_NO_SPACE;
    case EACCES:
    case EPERM:
        return PB_ERROR_FORBIDDEN;
    default:
        return PB_ERROR_FAILED;
    }
}

int pb_error_errno(pb_error *error, int errnum, const char *format, ...)
{
    if (error == NULL)
        return -1;
    char context[sizeof(error->message)];
    char line[sizeof(error->message)];
    char reason[128];
    FORMAT_LINE(context, format);
    join(line, sizeof(line), context, strerror_r(errnum, reason, sizeof(reason)));
    return set_line(error, kind_of_errno(errnum), line);
}
