#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/codec.h"
#include "base/hash.h"
#include "copier/store/etag.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB UINT64_C(1048576)
#define EMPTY_MD5 "d41d8cd98f00b204e9800998ecf8427e"

static void forms_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(pb_etag_parts(PB_SLICE_LITERAL(EMPTY_MD5)), 0);
    assert_int_equal(pb_etag_parts(PB_SLICE_LITERAL(EMPTY_MD5 "-1")), 1);
    assert_int_equal(pb_etag_parts(PB_SLICE_LITERAL(EMPTY_MD5 "-10000")), 10000);
    static const char *const others[] = {
        "",
        "0x8D4BCC2E4835CD0",
        "\"" EMPTY_MD5 "\"",
        "d41d8cd98f00b204e9800998ecf8427",
        "d41d8cd98f00b204e9800998ecf8427g",
        EMPTY_MD5 "0",
        EMPTY_MD5 "-",
        EMPTY_MD5 "-0",
        EMPTY_MD5 "-01",
        EMPTY_MD5 "-10001",
        EMPTY_MD5 "-99999999999999999999",
        EMPTY_MD5 "-2x",
        EMPTY_MD5 "--2",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(pb_etag_parts(pb_slice_of(others[i])), -1);
        assert_null(pb_etag_check_new(pb_slice_of(others[i]), 100, 0));
    }
    assert_int_equal(pb_etag_parts((pb_slice){NULL, 0}), -1);
}

static void the_usual_length_is_found(void **state)
{
    (void)state;
    assert_true(pb_etag_part_bytes(16 * MIB, 2) == 8 * MIB);
    assert_true(pb_etag_part_bytes(16 * MIB + 1, 3) == 8 * MIB);
    assert_true(pb_etag_part_bytes(10 * MIB, 2) == 8 * MIB);
    assert_true(pb_etag_part_bytes(20 * MIB, 4) == 5 * MIB);
    assert_true(pb_etag_part_bytes(1024 * 1024 * MIB, 1024) == 1024 * MIB);
    assert_true(pb_etag_part_bytes(UINT64_C(100000000), 10) == 10 * MIB);
    assert_true(pb_etag_part_bytes(UINT64_C(1000000000), 125) == 8000000);
    assert_true(pb_etag_part_bytes(16 * MIB, 7) == 0);
    assert_true(pb_etag_part_bytes(5 * MIB, 1) == 8 * MIB);
    assert_true(pb_etag_part_bytes(5000 * MIB, 1) == 5000 * MIB);
    assert_true(pb_etag_part_bytes(0, 1) == 8 * MIB);
    assert_true(pb_etag_part_bytes(0, 2) == 0);
    assert_true(pb_etag_part_bytes(5 * MIB, 0) == 0);
    assert_true(pb_etag_part_bytes(5 * MIB, -1) == 0);
    assert_true(pb_etag_part_bytes(UINT64_MAX, 2) == 0);
}

static void a_layout_fits_or_not(void **state)
{
    (void)state;
    pb_slice three = PB_SLICE_LITERAL("d41d8cd98f00b204e9800998ecf8427e-3");
    assert_true(pb_etag_layout_fits(three, 16 * MIB, 6 * MIB));
    assert_true(pb_etag_layout_fits(three, 18 * MIB, 6 * MIB));
    assert_false(pb_etag_layout_fits(three, 18 * MIB + 1, 6 * MIB));
    assert_false(pb_etag_layout_fits(three, 16 * MIB, 8 * MIB));
    assert_false(pb_etag_layout_fits(three, 16 * MIB, 0));
    assert_false(
        pb_etag_layout_fits(PB_SLICE_LITERAL("d41d8cd98f00b204e9800998ecf8427e"), MIB, MIB));
    assert_false(pb_etag_layout_fits(PB_SLICE_LITERAL("whatever"), MIB, MIB));
}

/* The ETag of a multipart upload, computed the plain way. */
static void multipart_etag(const uint8_t *data, size_t size, size_t part_bytes, char ret_etag[64])
{
    pb_hash *part = pb_hash_new(PB_HASH_MD5);
    pb_hash *whole = pb_hash_new(PB_HASH_MD5);
    uint8_t digest[PB_MD5_BYTES];
    char hex[2 * PB_MD5_BYTES + 1];
    int parts = 0;
    do {
        size_t piece = size < part_bytes ? size : part_bytes;
        pb_hash_restart(part);
        pb_hash_update(part, data, piece);
        pb_hash_finish(part, digest);
        pb_hash_update(whole, digest, sizeof(digest));
        data += piece;
        size -= piece;
        parts++;
    } while (size);
    pb_hash_finish(whole, digest);
    pb_hash_free(part);
    pb_hash_free(whole);
    pb_hex_encode(digest, sizeof(digest), hex);
    snprintf(ret_etag, 64, "%s-%d", hex, parts);
}

static int check(const char *etag, const uint8_t *data, size_t size, size_t piece)
{
    pb_etag_check *check = pb_etag_check_new(pb_slice_of(etag), size, 0);
    assert_non_null(check);
    pb_etag_check_update(check, "not this", 8);
    pb_etag_check_restart(check);
    for (size_t at = 0; at < size; at += piece)
        pb_etag_check_update(check, data + at, size - at < piece ? size - at : piece);
    int result = pb_etag_check_finish(check);
    pb_etag_check_free(check);
    return result;
}

static void plain_md5s_decide(void **state)
{
    (void)state;
    assert_int_equal(check(EMPTY_MD5, NULL, 0, 1), 1);
    assert_int_equal(check("900150983cd24fb0d6963f7d28e17f72", (const uint8_t *)"abc", 3, 1), 1);
    assert_int_equal(check("900150983CD24FB0D6963F7D28E17F72", (const uint8_t *)"abc", 3, 2), 1);
    assert_int_equal(check("900150983cd24fb0d6963f7d28e17f72", (const uint8_t *)"abd", 3, 1), 0);
    assert_int_equal(check("59adb24ef3cdbe0297f05b395827453f-1", NULL, 0, 1), 1);
    pb_etag_check_free(NULL);
}

static void multipart_etags_are_recognised(void **state)
{
    (void)state;
    enum { SIZE = 17 * 1048576 + 5 };
    uint8_t *data = pb_allocate(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    static const size_t part_lengths[] = {8 * 1048576,  5 * 1048576, 16 * 1048576, 10 * 1048576,
                                          25 * 1048576, 8000000,     5000000};
    static const size_t sizes[] = {1, 5000000, 8 * 1048576, 8 * 1048576 + 1, 16 * 1048576, SIZE};
    char etag[64];
    for (size_t i = 0; i < sizeof(part_lengths) / sizeof(part_lengths[0]); i++) {
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            multipart_etag(data, sizes[j], part_lengths[i], etag);
            assert_int_equal(check(etag, data, sizes[j], 1000003), 1);
        }
    }
    /* A length that nobody uses, but the number of parts fits one that is: nothing is proven. */
    multipart_etag(data, SIZE, 9 * 1048576, etag);
    assert_int_equal(check(etag, data, SIZE, SIZE), -1);
    /* No usual length makes seven parts of it. */
    multipart_etag(data, SIZE, SIZE / 6, etag);
    assert_null(pb_etag_check_new(pb_slice_of(etag), SIZE, 0));
    multipart_etag(data, SIZE, 8 * 1048576, etag);
    data[SIZE / 2] ^= 1;
    assert_int_equal(check(etag, data, SIZE, 65536), -1);
    free(data);
}

static void a_known_layout_is_certain(void **state)
{
    (void)state;
    /* Two parts of 7 bytes and 3: MD5 of the MD5s of "1234567" and "890". */
    static const char text[] = "1234567890";
    uint8_t digests[2 * PB_MD5_BYTES], whole[PB_MD5_BYTES];
    char etag[64];
    pb_hash *md5 = pb_hash_new(PB_HASH_MD5);
    pb_hash_update(md5, text, 7);
    pb_hash_finish(md5, digests);
    pb_hash_restart(md5);
    pb_hash_update(md5, text + 7, 3);
    pb_hash_finish(md5, digests + PB_MD5_BYTES);
    pb_hash_restart(md5);
    pb_hash_update(md5, digests, sizeof(digests));
    pb_hash_finish(md5, whole);
    pb_hash_free(md5);
    pb_hex_encode(whole, sizeof(whole), etag);
    strcat(etag, "-2");
    for (int flipped = 0; flipped < 2; flipped++) {
        pb_etag_check *check = pb_etag_check_new(pb_slice_of(etag), 10, 7);
        assert_non_null(check);
        pb_etag_check_update(check, flipped ? "0" : "1", 1);
        pb_etag_check_update(check, text + 1, 9);
        assert_int_equal(pb_etag_check_finish(check), !flipped);
        pb_etag_check_free(check);
    }
    /* A length that does not make so many parts says nothing. */
    assert_null(pb_etag_check_new(pb_slice_of(etag), 10, 3));
}

static void bytes_have_their_md5_or_not(void **state)
{
    (void)state;
    pb_slice hello = PB_SLICE_LITERAL("hello"), none = {NULL, 0};
#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"
    assert_int_equal(pb_etag_of_bytes(PB_SLICE_LITERAL(HELLO_MD5), hello), 1);
    assert_int_equal(pb_etag_of_bytes(PB_SLICE_LITERAL("5D41402ABC4B2A76B9719D911017C592"), hello),
                     1);
    assert_int_equal(pb_etag_of_bytes(PB_SLICE_LITERAL(HELLO_MD5), PB_SLICE_LITERAL("hellp")), 0);
    assert_int_equal(pb_etag_of_bytes(PB_SLICE_LITERAL(EMPTY_MD5), none), 1);
    assert_int_equal(pb_etag_of_bytes(PB_SLICE_LITERAL(HELLO_MD5 "-1"), hello), -1);
    assert_int_equal(pb_etag_of_bytes(PB_SLICE_LITERAL("object.1"), hello), -1);
    assert_int_equal(pb_etag_of_bytes(none, hello), -1);
}

static void capitals_make_no_other_etag(void **state)
{
    (void)state;
    static const struct {
        const char *etag, *other;
        bool same;
    } cases[] = {
        {HELLO_MD5, HELLO_MD5, true},
        {HELLO_MD5, "5D41402abc4b2a76b9719d911017c592", true},
        {HELLO_MD5 "-2", "5D41402ABC4b2a76b9719d911017c592-2", true},
        {HELLO_MD5 "-2", "5D41402ABC4b2a76b9719d911017c592-3", false},
        {HELLO_MD5, HELLO_MD5 "-1", false},
        {HELLO_MD5, EMPTY_MD5, false},
        {"object.1", "object.1", true},
        {"object.a", "object.A", false},
        {"", "", true},
        {"", HELLO_MD5, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_slice etag = pb_slice_of(cases[i].etag), other = pb_slice_of(cases[i].other);
        assert_int_equal(pb_etag_same(etag, other), cases[i].same);
        assert_int_equal(pb_etag_same(other, etag), cases[i].same);
    }
}

static void crc32c_etags(void **state)
{
    (void)state;
    uint8_t crc32c[PB_CRC32C_BYTES] = {9, 9, 9, 9};
    static const char *const none[] = {"",
                                       "crc32c-",
                                       "crc32c-e306928",
                                       "crc32c-e3069283a",
                                       "crc32c-e306928g",
                                       "e3069283",
                                       "CRC32C-e3069283",
                                       "crc32c-e3069283-1",
                                       "crc32c_e3069283",
                                       " crc32c-e3069283",
                                       "crc32c",
                                       "\"crc32c-e3069283",
                                       "d41d8cd98f00b204e98",
                                       "crc32c--e306928"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_false(pb_etag_is_crc32c(pb_slice_of(none[i]), crc32c));
    assert_memory_equal(crc32c, "\x09\x09\x09\x09", 4);
    /* Of "123456789", as RFC 3720 has it. */
    pb_slice etag = PB_SLICE_LITERAL("crc32c-e3069283");
    assert_true(pb_etag_is_crc32c(etag, NULL));
    assert_true(pb_etag_is_crc32c(etag, crc32c));
    assert_memory_equal(crc32c, "\xe3\x06\x92\x83", 4);
    /* It is no MD5, and of no parts. */
    assert_int_equal(pb_etag_parts(etag), -1);
    assert_false(pb_etag_layout_fits(etag, 9, 9));
    pb_etag_check *check = pb_etag_check_new(etag, 9, 5);
    assert_non_null(check);
    for (int round = 0; round < 3; round++) {
        pb_etag_check_update(check, round == 1 ? "02345" : "12345", 5);
        pb_etag_check_update(check, "6789", 4);
        /* Other bytes, not another layout. */
        assert_int_equal(pb_etag_check_finish(check), round != 1);
        pb_etag_check_restart(check);
    }
    pb_etag_check_free(check);
    check = pb_etag_check_new(PB_SLICE_LITERAL("crc32c-00000000"), 0, 0);
    assert_int_equal(pb_etag_check_finish(check), 1);
    pb_etag_check_free(check);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_layout_is_certain),
        cmocka_unit_test(forms_are_told_apart),
        cmocka_unit_test(the_usual_length_is_found),
        cmocka_unit_test(plain_md5s_decide),
        cmocka_unit_test(multipart_etags_are_recognised),
        cmocka_unit_test(a_layout_fits_or_not),
        cmocka_unit_test(bytes_have_their_md5_or_not),
        cmocka_unit_test(capitals_make_no_other_etag),
        cmocka_unit_test(crc32c_etags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
