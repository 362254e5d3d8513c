/* base/log.h - where lower layers say what a user asked to see with -v. Nothing below cli/ prints:
 * a pb_log is handed down in options, and cli/ writes the lines. */
#ifndef PB_BASE_LOG_H
#define PB_BASE_LOG_H

typedef enum pb_log_level { PB_LOG_WARNING, PB_LOG_INFO, PB_LOG_DEBUG } pb_log_level;

typedef struct pb_log {
    pb_log_level level; /* the most talkative level that is written */
    /* Called from any thread with one line, no newline, never holding a secret. */
    void (*write)(void *context, pb_log_level level, const char *line);
    void *context;
} pb_log;

/* Formats and writes when `level` is wanted. log may be NULL. Control characters become '?'. */
void pb_log_line(const pb_log *log, pb_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
