/* base/hash.h - digests. Contexts are for one thread at a time and are meant to be reused. */
#ifndef PB_BASE_HASH_H
#define PB_BASE_HASH_H

#include "base/bytes.h"

enum {
    PB_SHA256_BYTES = 32,
    PB_MD5_BYTES = 16,
    PB_SHA1_BYTES = 20,
    PB_BLAKE2B256_BYTES = 32,
    PB_CRC32C_BYTES = 4,
    PB_DIGEST_BYTES_MAX = 32,
};

typedef enum pb_hash_kind {
    PB_HASH_SHA256,
    PB_HASH_MD5,
    PB_HASH_SHA1, /* for names alone, never as a proof */
    PB_HASH_BLAKE2B256,
    PB_HASH_CRC32C, /* Castagnoli; the digest is big-endian, as AWS has it */
} pb_hash_kind;

typedef struct pb_hash pb_hash;

/* A context for one kind of digest, started. Freed with pb_hash_free (NULL allowed). */
pb_hash *pb_hash_new(pb_hash_kind kind);
void pb_hash_free(pb_hash *hash);
/* Makes of a kept context (NULL allowed) one of this kind, started: the same where it can be. */
pb_hash *pb_hash_reuse(pb_hash *hash, pb_hash_kind kind);
/* Starts over, whatever was fed before. */
void pb_hash_restart(pb_hash *hash);
void pb_hash_update(pb_hash *hash, const void *data, size_t size);
/* Writes the digest (pb_hash_bytes of it); restart the context before it is fed again. */
void pb_hash_finish(pb_hash *hash, uint8_t *ret_digest);
size_t pb_hash_bytes(pb_hash_kind kind);

/* One call for bytes in memory. */
void pb_sha256(const void *data, size_t size, uint8_t ret_digest[PB_SHA256_BYTES]);
void pb_crc32c(const void *data, size_t size, uint8_t ret_digest[PB_CRC32C_BYTES]);
/* The CRC32C of A followed by B, from theirs and B's length: parts may be hashed in any order.
 * Takes time by the logarithm of the length. */
uint32_t pb_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b);
/* HMAC-SHA256 (RFC 2104). */
void pb_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                    uint8_t ret_digest[PB_SHA256_BYTES]);

/* HMAC-SHA256 with the key's state kept, so that a signature a request does not pay for the key
 * schedule each time. One thread at a time. */
typedef struct pb_hmac pb_hmac;
pb_hmac *pb_hmac_new(const void *key, size_t key_size);
void pb_hmac_compute(pb_hmac *hmac, const void *data, size_t size,
                     uint8_t ret_digest[PB_SHA256_BYTES]);
void pb_hmac_free(pb_hmac *hmac); /* NULL allowed */

#endif
