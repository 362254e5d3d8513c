#include "base/codec.h"
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void assert_digest(const uint8_t *digest, size_t size, const char *wanted)
{
    char text[2 * PB_DIGEST_BYTES_MAX + 1];
    pb_hex_encode(digest, size, text);
    assert_string_equal(text, wanted);
}

static const struct {
    pb_hash_kind kind;
    size_t size;
    const char *text;
    const char *digest;
} vectors[] = {
    {PB_HASH_SHA256, PB_SHA256_BYTES, "",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {PB_HASH_SHA256, PB_SHA256_BYTES, "abc",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {PB_HASH_SHA256, PB_SHA256_BYTES, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {PB_HASH_SHA1, PB_SHA1_BYTES, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {PB_HASH_SHA1, PB_SHA1_BYTES, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {PB_HASH_MD5, PB_MD5_BYTES, "", "d41d8cd98f00b204e9800998ecf8427e"},
    {PB_HASH_MD5, PB_MD5_BYTES, "abc", "900150983cd24fb0d6963f7d28e17f72"},
    {PB_HASH_MD5, PB_MD5_BYTES, "message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
    {PB_HASH_BLAKE2B256, PB_BLAKE2B256_BYTES, "",
     "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"},
    {PB_HASH_BLAKE2B256, PB_BLAKE2B256_BYTES, "abc",
     "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"},
    {PB_HASH_CRC32C, PB_CRC32C_BYTES, "", "00000000"},
    {PB_HASH_CRC32C, PB_CRC32C_BYTES, "123456789", "e3069283"},
};

static void known_digests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        uint8_t digest[PB_DIGEST_BYTES_MAX];
        size_t size = strlen(vectors[i].text);
        pb_hash *hash = pb_hash_new(vectors[i].kind);
        assert_int_equal(pb_hash_bytes(vectors[i].kind), vectors[i].size);
        pb_hash_update(hash, vectors[i].text, size);
        pb_hash_finish(hash, digest);
        assert_digest(digest, vectors[i].size, vectors[i].digest);
        pb_hash_restart(hash);
        for (size_t at = 0; at < size; at++) {
            pb_hash_update(hash, vectors[i].text + at, 1);
            pb_hash_update(hash, NULL, 0);
        }
        pb_hash_finish(hash, digest);
        assert_digest(digest, vectors[i].size, vectors[i].digest);
        pb_hash_free(hash);
    }
    pb_hash_free(NULL);
}

static void restart_forgets_what_was_fed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        uint8_t digest[PB_DIGEST_BYTES_MAX];
        pb_hash *hash = pb_hash_new(vectors[i].kind);
        for (int round = 0; round < 3; round++) {
            pb_hash_update(hash, "left over", 9);
            pb_hash_restart(hash);
            pb_hash_update(hash, vectors[i].text, strlen(vectors[i].text));
            pb_hash_finish(hash, digest);
            assert_digest(digest, vectors[i].size, vectors[i].digest);
            pb_hash_restart(hash);
        }
        pb_hash_free(hash);
    }
}

static void a_kept_context_becomes_any_kind(void **state)
{
    (void)state;
    pb_hash *hash = NULL;
    for (size_t i = 0; i < 3 * COUNT(vectors); i++) {
        uint8_t digest[PB_DIGEST_BYTES_MAX];
        size_t row = i * 5 % COUNT(vectors);
        hash = pb_hash_reuse(hash, vectors[row].kind);
        pb_hash_update(hash, vectors[row].text, strlen(vectors[row].text));
        pb_hash_finish(hash, digest);
        assert_digest(digest, vectors[row].size, vectors[row].digest);
    }
    pb_hash_free(hash);
}

static uint32_t crc32c_of(const uint8_t *data, size_t size)
{
    uint8_t digest[PB_CRC32C_BYTES];
    pb_hash *hash = pb_hash_new(PB_HASH_CRC32C);
    pb_hash_update(hash, data, size);
    pb_hash_finish(hash, digest);
    pb_hash_free(hash);
    return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 |
           digest[3];
}

/* RFC 3720 B.4, whose digests are written there with their bytes reversed. */
static void crc32c_of_iscsi(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c_of(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(crc32c_of(bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c_of(bytes, 32), 0x46dd794e);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c_of(bytes, 32), 0x113fdb5c);
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0, 0,  0, 0, 0, 0,  0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
        0,    0,    0, 20, 0, 0, 0, 24, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(crc32c_of(read_command, 48), 0xd9963a56);
}

/* One bit after the other: the definition itself. */
static uint32_t slow_crc32c(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

/* All lengths and alignments that fast code treats differently; the memory ends with the bytes. */
static void crc32c_of_any_length_and_place(void **state)
{
    (void)state;
    enum { MOST = 3000 };
    for (size_t size = 0; size < MOST; size += size < 300 ? 1 : 97) {
        for (size_t skip = 0; skip < 9 && skip <= size; skip++) {
            uint8_t *bytes = malloc(size ? size : 1);
            assert_non_null(bytes);
            for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t)(i * 131 + i / 7 + size);
            assert_int_equal(crc32c_of(bytes + skip, size - skip),
                             slow_crc32c(bytes + skip, size - skip));
            free(bytes);
        }
    }
}

static void crc32c_of_a_whole_from_its_parts(void **state)
{
    (void)state;
    uint8_t bytes[1000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * i >> 3);
    uint32_t whole = crc32c_of(bytes, sizeof(bytes));
    for (size_t cut = 0; cut <= sizeof(bytes); cut++)
        assert_int_equal(pb_crc32c_combine(crc32c_of(bytes, cut),
                                           crc32c_of(bytes + cut, sizeof(bytes) - cut),
                                           sizeof(bytes) - cut),
                         whole);
    /* Lengths beyond any memory: 2^41 zeros, doubled from one or cut elsewhere. */
    uint8_t zero = 0;
    uint32_t one = crc32c_of(&zero, 1), zeros = one, most = 0;
    for (unsigned power = 0; power < 41; power++) {
        most = pb_crc32c_combine(most, zeros, UINT64_C(1) << power);
        zeros = pb_crc32c_combine(zeros, zeros, UINT64_C(1) << power);
    }
    assert_int_equal(pb_crc32c_combine(most, one, 1), zeros);
    assert_int_equal(pb_crc32c_combine(one, most, (UINT64_C(1) << 41) - 1), zeros);
}

/* A million 'a' (FIPS 180-2, appendix B.3), in pieces across the block borders. */
static void a_million_bytes(void **state)
{
    (void)state;
    char piece[977];
    memset(piece, 'a', sizeof(piece));
    uint8_t digest[PB_SHA256_BYTES];
    pb_hash *hash = pb_hash_new(PB_HASH_SHA256);
    for (size_t left = 1000000; left;) {
        size_t size = left < sizeof(piece) ? left : sizeof(piece);
        pb_hash_update(hash, piece, size);
        left -= size;
    }
    pb_hash_finish(hash, digest);
    assert_digest(digest, sizeof(digest),
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    pb_hash_free(hash);
}

static void sha256_in_one_call(void **state)
{
    (void)state;
    uint8_t digest[PB_SHA256_BYTES];
    pb_sha256("abc", 3, digest);
    assert_digest(digest, sizeof(digest), vectors[1].digest);
    pb_sha256(NULL, 0, digest);
    assert_digest(digest, sizeof(digest), vectors[0].digest);
}

/* RFC 4231 sections 4.2 to 4.8, without the truncated one. */
static void known_hmacs(void **state)
{
    (void)state;
    uint8_t bytes_0b[20];
    uint8_t bytes_aa[131];
    uint8_t bytes_dd[50];
    uint8_t bytes_cd[50];
    uint8_t counting[25];
    memset(bytes_0b, 0x0b, sizeof(bytes_0b));
    memset(bytes_aa, 0xaa, sizeof(bytes_aa));
    memset(bytes_dd, 0xdd, sizeof(bytes_dd));
    memset(bytes_cd, 0xcd, sizeof(bytes_cd));
    for (size_t i = 0; i < sizeof(counting); i++)
        counting[i] = (uint8_t)(i + 1);
    static const char larger[] =
        "This is a test using a larger than block-size key and a larger than block-size data. The "
        "key needs to be hashed before being used by the HMAC algorithm.";
    const struct {
        const void *key;
        size_t key_size;
        const void *data;
        size_t size;
        const char *digest;
    } rows[] = {
        {bytes_0b, 20, "Hi There", 8,
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", 4, "what do ya want for nothing?", 28,
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {bytes_aa, 20, bytes_dd, 50,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {counting, 25, bytes_cd, 50,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {bytes_aa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {bytes_aa, 131, larger, sizeof(larger) - 1,
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
        {NULL, 0, NULL, 0, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t digest[PB_SHA256_BYTES];
        pb_hmac_sha256(rows[i].key, rows[i].key_size, rows[i].data, rows[i].size, digest);
        assert_digest(digest, sizeof(digest), rows[i].digest);
        pb_hmac *hmac = pb_hmac_new(rows[i].key, rows[i].key_size);
        for (int round = 0; round < 3; round++) {
            pb_hmac_compute(hmac, rows[i].data, rows[i].size, digest);
            assert_digest(digest, sizeof(digest), rows[i].digest);
            pb_hmac_compute(hmac, "between", 7, digest);
        }
        pb_hmac_free(hmac);
    }
    pb_hmac_free(NULL);
}

/* A key of exactly one block is used as it is; one byte more and it is hashed first. */
static void hmac_keys_around_the_block_size(void **state)
{
    (void)state;
    uint8_t key[65];
    uint8_t hashed[PB_SHA256_BYTES];
    uint8_t direct[PB_SHA256_BYTES];
    uint8_t other[PB_SHA256_BYTES];
    memset(key, 'k', sizeof(key));
    pb_sha256(key, 64, hashed);
    pb_hmac_sha256(key, 64, "x", 1, direct);
    pb_hmac_sha256(hashed, sizeof(hashed), "x", 1, other);
    assert_memory_not_equal(direct, other, sizeof(direct));
    pb_sha256(key, 65, hashed);
    pb_hmac_sha256(key, 65, "x", 1, direct);
    pb_hmac_sha256(hashed, sizeof(hashed), "x", 1, other);
    assert_memory_equal(direct, other, sizeof(direct));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests),
        cmocka_unit_test(restart_forgets_what_was_fed),
        cmocka_unit_test(a_kept_context_becomes_any_kind),
        cmocka_unit_test(crc32c_of_iscsi),
        cmocka_unit_test(crc32c_of_any_length_and_place),
        cmocka_unit_test(crc32c_of_a_whole_from_its_parts),
        cmocka_unit_test(a_million_bytes),
        cmocka_unit_test(sha256_in_one_call),
        cmocka_unit_test(known_hmacs),
        cmocka_unit_test(hmac_keys_around_the_block_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
