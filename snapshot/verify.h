/* snapshot/verify.h - `pbcopy verify`: is what a snapshot promises there, and intact? */
#ifndef PB_SNAPSHOT_VERIFY_H
#define PB_SNAPSHOT_VERIFY_H

#include "snapshot/choice.h"
#include "snapshot/session.h"

typedef struct pb_verify_options {
    const char *repository;
    pb_choice_options which; /* snapshot */
    const char *prefix;      /* only keys that begin with this; NULL or "" for all */
    bool read;               /* read every byte; else compare listings with it */
    bool database;           /* check that it lists what the dump needs */
    const char *identity;    /* age's key file, to read an encrypted dump; NULL for none */
} pb_verify_options;

typedef struct pb_verify_result {
    pb_choice choice;
    pb_snapshot_file snapshot;
    uint64_t objects; /* looked at */
    uint64_t orphans; /* in the snapshot's data/, and in no record: no damage */
    uint64_t bytes_read;
    uint64_t proven_sha256;   /* read: by what the bytes were proven */
    uint64_t proven_checksum; /* the CRC32C, and the ETag where it tells */
    uint64_t proven_etag;
    uint64_t proven_key;
    uint64_t unproven; /* read, of the right size, but there is nothing to compare the bytes with */
    uint64_t unread_objects; /* findings "unreadable": nothing is known of them */
    uint64_t artifacts;      /* dumps and captures of a cluster: looked at, or read */
    uint64_t chunks_needed;  /* by the database: all looked for */
    uint64_t findings;       /* each was told as an event, up to PB_FINDINGS_MAX */
    int64_t elapsed_ms;
} pb_verify_result;

/* 0 only without any finding; DAMAGED with findings, or where the manifest cannot be read. Where
 * nothing but reading failed, the error is not damage: UNREACHABLE, or FAILED where another attempt
 * would end alike. */
int pb_verify(pb_session *session, const pb_verify_options *options, pb_verify_result *ret_result,
              pb_error *error);
void pb_verify_result_free(pb_verify_result *result);

#endif
