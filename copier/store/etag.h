/* copier/store/etag.h - what an S3 ETag says about bytes. Pure, any thread.
 *
 * "<32 hex>" is the MD5 of a single-part object (not under SSE-KMS or SSE-C); "<32 hex>-<n>" is the
 * MD5 of n parts' MD5s, whose length is not in the ETag: the lengths that S3 clients use are tried.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html (ETag). */
#ifndef PB_COPIER_STORE_ETAG_H
#define PB_COPIER_STORE_ETAG_H

#include "base/bytes.h"

enum { PB_ETAG_PARTS_MAX = 10000 };

/* Stores that know no MD5 of an object but its CRC32C are given an ETag that says it: this and 8
 * hex digits (copier/store/gcs). */
#define PB_ETAG_CRC32C "crc32c-"

/* True for such an ETag; the 4 bytes, big-endian, go into *ret_crc32c where that is not NULL. */
bool pb_etag_is_crc32c(pb_slice etag, uint8_t *ret_crc32c);

/* 0 for a plain MD5, the number of parts for "-n" (1 to PB_ETAG_PARTS_MAX), -1 for anything else.
 */
int pb_etag_parts(pb_slice etag);

/* 1: a plain ETag that is the MD5 of the bytes; 0: one of another MD5; -1: of any other form, or
 * empty. */
int pb_etag_of_bytes(pb_slice etag, pb_slice bytes);

/* True for the same ETag. Plain ones and those of parts are MD5s in hex, which some stores write in
 * capitals. */
bool pb_etag_same(pb_slice etag, pb_slice other);

/* The most usual part length that makes `parts` parts of an object of `size` bytes (8 MiB first,
 * then 5, 16, 15, 10, 25, 32, 50, 64, 100, 128, 256, 512 MiB, 1 GiB, and the same in MB); 0 where
 * none does, and for no parts. One part always has a length: `size` itself where no usual one holds
 * it. */
uint64_t pb_etag_part_bytes(uint64_t size, int parts);

/* True where an object with this ETag can be of parts of this length, but the last. */
bool pb_etag_layout_fits(pb_slice etag, uint64_t size, uint64_t part_bytes);

/* Computes, over bytes fed in order, every ETag that could be the one given. */
typedef struct pb_etag_check pb_etag_check;
/* part_bytes is the length of the object's parts where it is known, else 0. NULL where the ETag
 * tells nothing that bytes could be held against (unknown form, unknown layout). */
pb_etag_check *pb_etag_check_new(pb_slice etag, uint64_t size, uint64_t part_bytes);
void pb_etag_check_restart(pb_etag_check *check);
void pb_etag_check_update(pb_etag_check *check, const void *data, size_t size);
/* 1: the bytes have this ETag. 0: they have another, by a plain MD5 or a known layout: other bytes.
 * -1: none of the layouts tried gives it, which proves nothing. Restart the check before it is fed
 * again. */
int pb_etag_check_finish(pb_etag_check *check);
void pb_etag_check_free(pb_etag_check *check); /* NULL allowed */

#endif
