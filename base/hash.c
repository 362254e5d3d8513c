#include "base/hash.h"

#include <endian.h>
#include <isa-l/crc.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHA256_BLOCK_BYTES = 64, CRC32C_RUN_MAX = 1 << 30 };

struct pb_hash {
    crypto_generichash_state blake2b; /* first: wants 64-byte alignment */
    EVP_MD_CTX *evp;                  /* of SHA-256, SHA-1 and MD5, else NULL */
    uint32_t crc;                     /* not inverted yet */
    pb_hash_kind kind;
};

/* A digest of bytes in memory can only fail for a bug or for want of a few bytes. */
static void require(int ok)
{
    if (!ok) {
        fputs("pbcopy: a digest failed in the crypto library\n", stderr);
        abort();
    }
}

/* A started context; it holds its own reference to the fetched algorithm, so that starting it over
 * looks nothing up. */
static EVP_MD_CTX *new_context(const char *algorithm)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_MD *md = EVP_MD_fetch(NULL, algorithm, NULL);
    require(context && md && EVP_DigestInit_ex2(context, md, NULL));
    EVP_MD_free(md);
    return context;
}

pb_hash *pb_hash_new(pb_hash_kind kind)
{
    pb_hash *hash = aligned_alloc(_Alignof(pb_hash), sizeof(*hash));
    require(hash != NULL);
    hash->evp = NULL;
    hash->kind = kind;
    switch (kind) {
    case PB_HASH_SHA256:
        hash->evp = new_context("SHA256");
        break;
    case PB_HASH_MD5:
        hash->evp = new_context("MD5");
        break;
    case PB_HASH_SHA1:
        hash->evp = new_context("SHA1");
        break;
    case PB_HASH_BLAKE2B256:
        require(sodium_init() >= 0); /* picks the fastest code for this CPU; once, thread-safe */
        pb_hash_restart(hash);
        break;
    case PB_HASH_CRC32C:
        pb_hash_restart(hash);
        break;
    }
    return hash;
}

void pb_hash_free(pb_hash *hash)
{
    if (hash == NULL)
        return;
    EVP_MD_CTX_free(hash->evp);
    free(hash);
}

pb_hash *pb_hash_reuse(pb_hash *hash, pb_hash_kind kind)
{
    if (hash && hash->kind == kind) {
        pb_hash_restart(hash);
        return hash;
    }
    pb_hash_free(hash);
    return pb_hash_new(kind);
}

void pb_hash_restart(pb_hash *hash)
{
    if (hash->evp)
        require(EVP_DigestInit_ex2(hash->evp, NULL, NULL));
    else if (hash->kind == PB_HASH_CRC32C)
        hash->crc = UINT32_MAX;
    else
        require(crypto_generichash_init(&hash->blake2b, NULL, 0, PB_BLAKE2B256_BYTES) == 0);
}

/* ISA-L takes an int for the length and inverts neither before nor after. */
static uint32_t update_crc32c(uint32_t crc, const uint8_t *data, size_t size)
{
    while (size) {
        size_t run = size < CRC32C_RUN_MAX ? size : CRC32C_RUN_MAX;
        crc = crc32_iscsi((uint8_t *)data, (int)run, crc);
        data += run;
        size -= run;
    }
    return crc;
}

void pb_hash_update(pb_hash *hash, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (hash->evp)
        require(EVP_DigestUpdate(hash->evp, data, size));
    else if (hash->kind == PB_HASH_CRC32C)
        hash->crc = update_crc32c(hash->crc, data, size);
    else
        require(crypto_generichash_update(&hash->blake2b, data, size) == 0);
}

void pb_hash_finish(pb_hash *hash, uint8_t *ret_digest)
{
    uint32_t crc = htobe32(~hash->crc);
    if (hash->evp)
        require(EVP_DigestFinal_ex(hash->evp, ret_digest, NULL));
    else if (hash->kind == PB_HASH_CRC32C)
        memcpy(ret_digest, &crc, sizeof(crc));
    else
        require(crypto_generichash_final(&hash->blake2b, ret_digest, PB_BLAKE2B256_BYTES) == 0);
}

size_t pb_hash_bytes(pb_hash_kind kind)
{
    static const size_t bytes[] = {
        [PB_HASH_SHA256] = PB_SHA256_BYTES, [PB_HASH_MD5] = PB_MD5_BYTES,
        [PB_HASH_SHA1] = PB_SHA1_BYTES,     [PB_HASH_BLAKE2B256] = PB_BLAKE2B256_BYTES,
        [PB_HASH_CRC32C] = PB_CRC32C_BYTES,
    };
    return bytes[kind];
}

/* Polynomials over GF(2) modulo Castagnoli's, bit-reflected: the highest bit is x^0. */
void pb_crc32c(const void *data, size_t size, uint8_t ret_digest[PB_CRC32C_BYTES])
{
    pb_hash hash = {.kind = PB_HASH_CRC32C};
    pb_hash_restart(&hash);
    pb_hash_update(&hash, data, size);
    pb_hash_finish(&hash, ret_digest);
}

static uint32_t multiply_crc32c(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return product;
}

/* A is moved up by B's bits, that is, multiplied by x^8 for each of B's bytes. */
uint32_t pb_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b)
{
    uint32_t square = UINT32_C(1) << (31 - 8);
    for (; length_b; length_b >>= 1) {
        if (length_b & 1)
            crc_a = multiply_crc32c(crc_a, square);
        square = multiply_crc32c(square, square);
    }
    return crc_a ^ crc_b;
}

void pb_sha256(const void *data, size_t size, uint8_t ret_digest[PB_SHA256_BYTES])
{
    require(EVP_Q_digest(NULL, "SHA256", NULL, data, size, ret_digest, NULL));
}

/* The states after the padded key's block, copied for each message: a fifth faster than EVP_MAC
 * started over with a NULL key (226 against 280 ns for a string to sign of 150 bytes). */
struct pb_hmac {
    EVP_MD_CTX *inner;
    EVP_MD_CTX *outer;
    EVP_MD_CTX *work;
};

pb_hmac *pb_hmac_new(const void *key, size_t key_size)
{
    pb_hmac *hmac = pb_allocate(sizeof(*hmac));
    uint8_t block[SHA256_BLOCK_BYTES] = {0};
    if (key_size > sizeof(block))
        pb_sha256(key, key_size, block);
    else if (key_size)
        memcpy(block, key, key_size);
    hmac->inner = new_context("SHA256");
    hmac->outer = new_context("SHA256");
    hmac->work = new_context("SHA256");
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36;
    require(EVP_DigestUpdate(hmac->inner, block, sizeof(block)));
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36 ^ 0x5c;
    require(EVP_DigestUpdate(hmac->outer, block, sizeof(block)));
    OPENSSL_cleanse(block, sizeof(block));
    return hmac;
}

void pb_hmac_compute(pb_hmac *hmac, const void *data, size_t size,
                     uint8_t ret_digest[PB_SHA256_BYTES])
{
    uint8_t inner[PB_SHA256_BYTES];
    require(EVP_MD_CTX_copy_ex(hmac->work, hmac->inner));
    require(size == 0 || EVP_DigestUpdate(hmac->work, data, size));
    require(EVP_DigestFinal_ex(hmac->work, inner, NULL));
    require(EVP_MD_CTX_copy_ex(hmac->work, hmac->outer));
    require(EVP_DigestUpdate(hmac->work, inner, sizeof(inner)));
    require(EVP_DigestFinal_ex(hmac->work, ret_digest, NULL));
}

void pb_hmac_free(pb_hmac *hmac)
{
    if (hmac == NULL)
        return;
    EVP_MD_CTX_free(hmac->inner);
    EVP_MD_CTX_free(hmac->outer);
    EVP_MD_CTX_free(hmac->work);
    free(hmac);
}

void pb_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                    uint8_t ret_digest[PB_SHA256_BYTES])
{
    pb_hmac *hmac = pb_hmac_new(key, key_size);
    pb_hmac_compute(hmac, data, size, ret_digest);
    pb_hmac_free(hmac);
}
