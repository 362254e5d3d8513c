/* snapshot/manifest_stream.h - a snapshot's records as a stream (copier/shard/stream.h). For this
 * room. */
#ifndef PB_SNAPSHOT_MANIFEST_STREAM_H
#define PB_SNAPSHOT_MANIFEST_STREAM_H

#include "copier/shard/stream.h"
#include "copier/store/store.h"
#include "manifest/snapshot_file.h"

/* Records of `file` (borrowed, as the store, until the stream is closed) with keys in the range;
 * entries' `record` is set. Each part is held against the digest in the description before a byte
 * of it is believed: DAMAGED, code "manifest-damaged". */
pb_stream *pb_manifest_stream_open(pb_store *store, uv_loop_t *loop, const pb_snapshot_file *file,
                                   pb_slice after, pb_slice through, void (*wake)(void *context),
                                   void *context);

#endif
