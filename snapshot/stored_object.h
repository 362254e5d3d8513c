/* snapshot/stored_object.h - what a record lets one expect of the stored object. For this room. */
#ifndef PB_SNAPSHOT_STORED_OBJECT_H
#define PB_SNAPSHOT_STORED_OBJECT_H

#include "copier/transfer/transfer.h"
#include "manifest/record.h"

/* The ETag that the stored object has, where its store keeps ETags; empty where unknown. */
pb_slice pb_stored_etag(const pb_record *record);

/* An ETag that is made of the MD5 of the bytes: the stored object's, or the source's where it was
 * proven; empty for none. */
pb_slice pb_proven_etag(const pb_store *repository, const pb_record *record);

/* Fills a transfer that reads the stored object (source, source_key, name, size, what to hold the
 * bytes against); kind and destination are the caller's. The record outlives the transfer. */
void pb_expect_stored(pb_transfer *transfer, pb_store *repository, const pb_record *record,
                      pb_arena *arena);

#endif
