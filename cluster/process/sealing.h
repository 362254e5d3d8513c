/* cluster/process/sealing.h - how dumps and captures are stored: compressed with zstd, then
 * encrypted in the age format by the program `age` (https://age-encryption.org/v1), so that
 * ordinary tools read them: `age --decrypt --identity KEY FILE | zstdcat`. */
#ifndef PB_CLUSTER_PROCESS_SEALING_H
#define PB_CLUSTER_PROCESS_SEALING_H

#include "base/bytes.h"
#include "base/error.h"
#include <uv.h>

typedef struct pb_sealing {
    const char *const *recipients; /* age or ssh public keys */
    size_t recipient_count;        /* 0: not encrypted */
} pb_sealing;

/* A pipe of bytes that compresses (and encrypts), or the other way round. Written to in order; its
 * output comes in callbacks of the loop, never inside a call. */
typedef struct pb_seal pb_seal;

typedef struct pb_seal_options {
    bool opens;           /* decrypts and expands; else compresses and encrypts */
    pb_sealing sealing;   /* to seal */
    bool encrypted;       /* to open: age is outside */
    const char *identity; /* to open an encrypted one: age's key file */
    int (*write)(void *context, const void *data, size_t size, pb_error *error); /* -1 ends it */
    void (*drained)(void *context); /* pb_seal_pending went low; may be NULL */
    void (*done)(void *context,
                 const pb_error *error); /* once; freed after it. DAMAGED: cut or broken */
    void *context;
} pb_seal_options;

int pb_seal_start(uv_loop_t *loop, const pb_seal_options *options, pb_seal **ret_seal,
                  pb_error *error);
void pb_seal_write(pb_seal *seal, const void *data, size_t size);
void pb_seal_end(pb_seal *seal);
size_t pb_seal_pending(const pb_seal *seal);
void pb_seal_pause(pb_seal *seal, bool paused); /* gives no output meanwhile */
void pb_seal_kill(pb_seal *seal, const pb_error *why);

/* Refuses recipients that age would not take (USAGE), before anything is begun. Runs the loop. */
int pb_sealing_check(uv_loop_t *loop, const pb_sealing *sealing, pb_error *error);

#endif
