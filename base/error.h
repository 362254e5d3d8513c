/* base/error.h - one error value for the whole program.
 *
 * A function that can fail returns 0 or -1 and fills a pb_error; on success the error is untouched.
 * Each layer prepends its own context ("what was being done"), so that the line printed at the top
 * reads from the outside in. What a kind means is failure.h's. Any thread; no shared state. */
#ifndef PB_BASE_ERROR_H
#define PB_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

typedef enum pb_error_kind {
    PB_ERROR_NONE = 0,
    PB_ERROR_FAILED,    /* anything without a kind of its own */
    PB_ERROR_USAGE,     /* wrong option, URL, configuration, repository format */
    PB_ERROR_DAMAGED,   /* stored bytes are not what the manifest says, or cannot be read as such */
    PB_ERROR_REFUSED,   /* credentials, signature, clock: whoever asks */
    PB_ERROR_FORBIDDEN, /* a right to this object, key, file or kind */
    PB_ERROR_UNREACHABLE, /* name, connection, TLS, time-outs */
    PB_ERROR_BUSY,        /* another run holds what this one needs */
    PB_ERROR_NOT_FOUND,   /* key, file or snapshot does not exist */
    PB_ERROR_NO_BUCKET,   /* the bucket does not exist */
    PB_ERROR_CANCELLED,   /* SIGINT, SIGTERM */
    PB_ERROR_EXISTS,      /* a create-only write or an If-Match condition did not hold */
    PB_ERROR_THROTTLED, /* 503 SlowDown, 429: retried below, seen above only when retries ran out */
    PB_ERROR_SERVER,    /* 5xx and broken transfers: retried below likewise */
    PB_ERROR_NO_SPACE,  /* full disk or quota */
    PB_ERROR_KINDS,     /* how many there are */
} pb_error_kind;

typedef struct pb_error {
    pb_error_kind kind;
    int status;          /* HTTP status, 0 where there was none */
    char code[48];       /* the provider's error code, "" where there was none */
    char request_id[80]; /* the provider's request id, "" where there was none */
    char message[1536];  /* one line, no newline; cut at its end when too long */
    char hint[256];      /* what to do about it, "" where there is nothing to say */
} pb_error;

/* Fills *error with a kind and a formatted message and clears its other fields. Control characters
 * in the message become '?': a key or a server's text can't forge a second line. Returns -1, so
 * that `return pb_error_set(...)` reads well. error may be NULL: the error is dropped. */
int pb_error_set(pb_error *error, pb_error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sets the hint. Returns -1. error may be NULL. */
int pb_error_hint(pb_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the message. Returns -1. error may be NULL. */
int pb_error_context(pb_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fills *error from errno: ENOENT is NOT_FOUND, EEXIST is EXISTS, ENOSPC and EDQUOT are NO_SPACE,
 * EACCES and EPERM are FORBIDDEN, all else FAILED. Message "<formatted>: <strerror>". Returns -1.
 */
int pb_error_errno(pb_error *error, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
