#include "base/hash.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHA256_BLOCK_BYTES = 64 };

struct pb_hash {
    crypto_generichash_state blake2b; /* first: wants 64-byte alignment */
    EVP_MD_CTX *evp;                  /* NULL for BLAKE2b */
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
    switch (kind) {
    case PB_HASH_SHA256:
        hash->evp = new_context("SHA256");
        break;
    case PB_HASH_MD5:
        hash->evp = new_context("MD5");
        break;
    case PB_HASH_BLAKE2B256:
        require(sodium_init() >= 0); /* picks the fastest code for this CPU; once, thread-safe */
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

void pb_hash_restart(pb_hash *hash)
{
    if (hash->evp)
        require(EVP_DigestInit_ex2(hash->evp, NULL, NULL));
    else
        require(crypto_generichash_init(&hash->blake2b, NULL, 0, PB_BLAKE2B256_BYTES) == 0);
}

void pb_hash_update(pb_hash *hash, const void *data, size_t size)
{
    if (size == 0)
        return;
    if (hash->evp)
        require(EVP_DigestUpdate(hash->evp, data, size));
    else
        require(crypto_generichash_update(&hash->blake2b, data, size) == 0);
}

void pb_hash_finish(pb_hash *hash, uint8_t *ret_digest)
{
    if (hash->evp)
        require(EVP_DigestFinal_ex(hash->evp, ret_digest, NULL));
    else
        require(crypto_generichash_final(&hash->blake2b, ret_digest, PB_BLAKE2B256_BYTES) == 0);
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
