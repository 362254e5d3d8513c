#include "base/log.h"

#include "base/codec.h"
#include <stdarg.h>
#include <stdio.h>

enum { LINE_BYTES_MAX = 4096 };

void pb_log_line(const pb_log *log, pb_log_level level, const char *format, ...)
{
    if (log == NULL || level > log->level)
        return;
    char line[LINE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    pb_text_make_line(line);
    log->write(log->context, level, line);
}
