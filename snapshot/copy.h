/* snapshot/copy.h - `pbcopy copy`: bucket to bucket, without a repository. */
#ifndef PB_SNAPSHOT_COPY_H
#define PB_SNAPSHOT_COPY_H

#include "base/hash.h"
#include "snapshot/session.h"

typedef struct pb_copy_options {
    const char *source;
    const char *destination;
    const char *prefix;    /* only keys that begin with this; NULL or "" for all */
    pb_hash_kind checksum; /* SHA256 or CRC32C: what relayed bytes are hashed with */
} pb_copy_options;

typedef struct pb_copy_result {
    uint64_t objects; /* of the source, looked at */
    uint64_t copied_objects;
    uint64_t copied_bytes;
    uint64_t unchanged_objects; /* in the destination already */
    uint64_t extra_objects;     /* in the destination only: left alone */
    uint64_t failed_objects;
    uint64_t vanished_objects; /* deleted after they were listed: left out */
    uint64_t changed_objects;  /* changed after they were listed: copied as they were then */
    bool server_side;
    int64_t elapsed_ms;
} pb_copy_result;

/* Copies what is new or changed; deletes nothing. Unchanged is an object of equal size and ETag
 * (between stores whose ETags cannot be compared: of equal size) that was written to the
 * destination after the source's last change. Of objects of as many parts whose ETags differ the
 * bytes of both are read and compared. The source may be in use: an object that changes
 * while it is copied is looked at again. */
int pb_copy(pb_session *session, const pb_copy_options *options, pb_copy_result *ret_result,
            pb_error *error);

#endif
