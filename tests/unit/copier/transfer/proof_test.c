#include "copier/transfer/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

enum { SIZE = 1000, PART = 300, PARTS = 4 };

static void digest_of(pb_hash_kind kind, const uint8_t *data, size_t size, uint8_t *ret_digest)
{
    pb_hash *hash = pb_hash_new(kind);
    pb_hash_update(hash, data, size);
    pb_hash_finish(hash, ret_digest);
    pb_hash_free(hash);
}

/* A relay whose parts are all at the destination. */
typedef struct fixture {
    uint8_t bytes[SIZE];
    uint8_t digests[PARTS * PB_SHA256_BYTES];
    uint8_t expected[PB_DIGEST_BYTES_MAX];
    pb_transfer transfer;
    pb_transfer_run run;
} fixture;

static void set_up(fixture *f, pb_hash_kind kind)
{
    memset(f, 0, sizeof *f);
    for (unsigned i = 0; i < SIZE; i++)
        f->bytes[i] = (uint8_t)(i * 7 + i / 100);
    f->transfer = (pb_transfer){.kind = PB_TRANSFER_RELAY,
                                .size = SIZE,
                                .digest_kind = kind,
                                .expected_digest = f->expected,
                                .expected_part_bytes = PART};
    f->run = (pb_transfer_run){.transfer = &f->transfer, .digests = f->digests};
    f->run.facts = (pb_transfer_facts){
        .kind = PB_TRANSFER_RELAY, .size = SIZE, .part_bytes = PART, .parts = PARTS};
    for (unsigned i = 0; i < PARTS; i++)
        digest_of(kind, f->bytes + i * PART, pb_transfer_part_length(&f->run.facts, i + 1),
                  f->digests + i * pb_hash_bytes(kind));
}

static void a_crc32c_of_parts_is_that_of_the_whole(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, PB_HASH_CRC32C);
    digest_of(PB_HASH_CRC32C, f.bytes, SIZE, f.expected);
    f.transfer.expected_part_bytes = PART + 1; /* says nothing of it */
    assert_true(pb_transfer_check_parts(&f.run));
    assert_false(f.run.facts.again);
    assert_memory_equal(f.transfer.digest, f.expected, PB_CRC32C_BYTES);
    pb_transfer_keep_digest(&f.run, f.transfer.digest, true);
    assert_true(f.transfer.has_digest);
    assert_int_equal(f.transfer.proof, PB_MOVED_CHECKSUM);
}

static void a_sha256_of_parts_is_of_their_digests(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, PB_HASH_SHA256);
    pb_sha256(f.digests, sizeof f.digests, f.expected);
    assert_true(pb_transfer_check_parts(&f.run));
    assert_memory_equal(f.transfer.digest, f.expected, PB_SHA256_BYTES);
    pb_transfer_keep_digest(&f.run, f.transfer.digest, true);
    assert_int_equal(f.transfer.proof, PB_MOVED_SHA256);
}

static void other_bytes_are_moved_once_more_and_then_damage(void **state)
{
    (void)state;
    static const pb_hash_kind kinds[] = {PB_HASH_SHA256, PB_HASH_CRC32C};
    static const char *const names[] = {"SHA-256", "CRC32C"};
    for (unsigned i = 0; i < 2; i++) {
        fixture f;
        set_up(&f, kinds[i]);
        pb_transfer_check_parts(&f.run);
        memcpy(f.expected, f.transfer.digest, sizeof f.expected);
        f.run =
            (pb_transfer_run){.transfer = &f.transfer, .digests = f.digests, .facts = f.run.facts};
        f.run.facts.again = f.run.facts.failed = false;
        free(f.transfer.error);
        f.transfer.error = NULL;
        f.digests[1] ^= 1;
        assert_false(pb_transfer_check_parts(&f.run));
        assert_true(f.run.facts.again);
        assert_null(f.transfer.error);
        assert_false(pb_transfer_check_parts(&f.run));
        assert_true(f.run.facts.failed);
        assert_int_equal(f.transfer.error->kind, PB_ERROR_DAMAGED);
        assert_string_equal(f.transfer.error->code, "mismatch");
        assert_non_null(strstr(f.transfer.error->message, names[i]));
        free(f.transfer.error);
    }
}

static void only_the_bytes_of_a_digest_count(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, PB_HASH_CRC32C);
    uint8_t digest[PB_DIGEST_BYTES_MAX];
    memset(f.expected, 0xaa, sizeof f.expected);
    memset(digest, 0x55, sizeof digest);
    memcpy(digest, f.expected, PB_CRC32C_BYTES);
    assert_true(pb_transfer_digest_holds(&f.run, digest));
    f.transfer.expected_digest = NULL;
    digest[0] ^= 1;
    assert_true(pb_transfer_digest_holds(&f.run, digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crc32c_of_parts_is_that_of_the_whole),
        cmocka_unit_test(a_sha256_of_parts_is_of_their_digests),
        cmocka_unit_test(other_bytes_are_moved_once_more_and_then_damage),
        cmocka_unit_test(only_the_bytes_of_a_digest_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
