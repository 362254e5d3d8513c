/* copier/transfer/upload.h - an object whose length nobody knows beforehand, stored as it comes: a
 * dump on its way out.
 *
 * One loop, its thread. Up to 8 MiB are one PUT, more a multipart upload whose parts grow, so that
 * 10,000 of them hold over a terabyte. At most two parts are in memory. */
#ifndef PB_COPIER_TRANSFER_UPLOAD_H
#define PB_COPIER_TRANSFER_UPLOAD_H

#include "copier/store/store.h"
#include <uv.h>

typedef struct pb_upload pb_upload;

typedef struct pb_upload_options {
    uv_loop_t *loop; /* the store's */
    pb_store *store;
    pb_slice key;
    void (*drained)(void *context); /* pb_upload_is_full is over */
    /* Once, on the loop, never inside a call. Kind NONE: all is stored. Else begun parts were
     * aborted; what was one PUT may be there all the same, so nothing may speak of it. Freed after
     * it. */
    void (*done)(void *context, const pb_upload *upload, const pb_error *error);
    void *context;
} pb_upload_options;

pb_upload *pb_upload_start(const pb_upload_options *options);
/* The bytes are copied. Whoever goes on writing while it is full takes memory for it. */
void pb_upload_write(pb_upload *upload, const void *data, size_t size);
bool pb_upload_is_full(const pb_upload *upload);
void pb_upload_end(pb_upload *upload); /* that was all */
/* Gives it up: `done` follows with *why (copied). After pb_upload_end too. */
void pb_upload_abort(pb_upload *upload, const pb_error *why);
/* Inside `done`: what was stored. */
uint64_t pb_upload_bytes(const pb_upload *upload);
void pb_upload_sha256(const pb_upload *upload, uint8_t ret_digest[PB_SHA256_BYTES]);

#endif
