#include "copier/store/etag.h"

#include "base/codec.h"
#include "base/hash.h"
#include <stdlib.h>

enum { MD5_HEX = 2 * PB_MD5_BYTES };

#define MIB UINT64_C(1048576)
#define MB UINT64_C(1000000)

/* Most usual first. */
static const uint64_t part_lengths[] = {
    8 * MIB,  5 * MIB,  16 * MIB,  15 * MIB,  10 * MIB,  25 * MIB,  32 * MIB,
    50 * MIB, 64 * MIB, 100 * MIB, 128 * MIB, 256 * MIB, 512 * MIB, 1024 * MIB,
    8 * MB,   5 * MB,   16 * MB,   15 * MB,   10 * MB,   25 * MB,   32 * MB,
    50 * MB,  64 * MB,  100 * MB,  128 * MB,  256 * MB,  512 * MB,  1000 * MB,
};
enum { PART_LENGTH_COUNT = sizeof(part_lengths) / sizeof(part_lengths[0]) };

bool pb_etag_is_crc32c(pb_slice etag, uint8_t *ret_crc32c)
{
    uint8_t crc32c[PB_CRC32C_BYTES];
    pb_slice start = PB_SLICE_LITERAL(PB_ETAG_CRC32C);
    if (!pb_slice_starts_with(etag, start) ||
        !pb_hex_decode(pb_slice_from(etag, start.size), crc32c, sizeof crc32c))
        return false;
    if (ret_crc32c)
        memcpy(ret_crc32c, crc32c, sizeof crc32c);
    return true;
}

int pb_etag_parts(pb_slice etag)
{
    uint8_t digest[PB_MD5_BYTES];
    uint64_t parts;
    if (etag.size < MD5_HEX || !pb_hex_decode((pb_slice){etag.data, MD5_HEX}, digest, PB_MD5_BYTES))
        return -1;
    if (etag.size == MD5_HEX)
        return 0;
    pb_slice number = {etag.data + MD5_HEX + 1, etag.size - MD5_HEX - 1};
    if (etag.data[MD5_HEX] != '-' || !pb_parse_unsigned(number, &parts) || number.data[0] == '0' ||
        parts > PB_ETAG_PARTS_MAX)
        return -1;
    return (int)parts;
}

int pb_etag_of_bytes(pb_slice etag, pb_slice bytes)
{
    uint8_t wanted[PB_MD5_BYTES], digest[PB_MD5_BYTES];
    if (pb_etag_parts(etag) != 0)
        return -1;
    pb_hex_decode(etag, wanted, sizeof wanted);
    pb_hash *hash = pb_hash_new(PB_HASH_MD5);
    pb_hash_update(hash, bytes.data, bytes.size);
    pb_hash_finish(hash, digest);
    pb_hash_free(hash);
    return memcmp(wanted, digest, sizeof wanted) == 0;
}

bool pb_etag_same(pb_slice etag, pb_slice other)
{
    if (pb_slice_equal(etag, other))
        return true;
    uint8_t digest[PB_MD5_BYTES], other_digest[PB_MD5_BYTES];
    int parts = pb_etag_parts(etag);
    if (parts < 0 || parts != pb_etag_parts(other))
        return false;
    pb_hex_decode((pb_slice){etag.data, MD5_HEX}, digest, sizeof digest);
    pb_hex_decode((pb_slice){other.data, MD5_HEX}, other_digest, sizeof other_digest);
    return memcmp(digest, other_digest, sizeof digest) == 0;
}

static bool makes_parts(uint64_t size, uint64_t length, int parts)
{
    uint64_t whole = size / length + (size % length != 0);
    return whole == (uint64_t)parts || (size == 0 && parts == 1); /* one empty part is a part */
}

/* The next usual length that makes these parts, from *index on; 0 where none is left. */
static uint64_t next_length(uint64_t size, int parts, size_t *index)
{
    while (*index < PART_LENGTH_COUNT) {
        uint64_t length = part_lengths[(*index)++];
        if (makes_parts(size, length, parts))
            return length;
    }
    return 0;
}

uint64_t pb_etag_part_bytes(uint64_t size, int parts)
{
    size_t index = 0;
    if (parts <= 0)
        return 0;
    uint64_t length = next_length(size, parts, &index);
    return length == 0 && parts == 1 ? size : length;
}

bool pb_etag_layout_fits(pb_slice etag, uint64_t size, uint64_t part_bytes)
{
    int parts = pb_etag_parts(etag);
    return parts > 0 && part_bytes && makes_parts(size, part_bytes, parts);
}

/* One layout that is tried; a plain MD5 is one part without end. */
typedef struct layout {
    uint64_t part_bytes;
    uint64_t filled; /* bytes of the part now open */
    pb_hash *part;
    pb_hash *whole; /* of the parts' digests; NULL for a plain MD5 */
    bool any_part;  /* a part was ended */
} layout;

struct pb_etag_check {
    uint8_t wanted[PB_MD5_BYTES]; /* or a CRC32C, in its first bytes */
    pb_hash *crc32c;              /* of an ETag that is one; then there are no layouts */
    bool plain;
    bool certain; /* there is but one way to make the ETag */
    size_t layout_count;
    layout layouts[PART_LENGTH_COUNT];
};

static void add_layout(pb_etag_check *check, uint64_t part_bytes)
{
    check->layouts[check->layout_count++] = (layout){
        .part_bytes = part_bytes,
        .part = pb_hash_new(PB_HASH_MD5),
        .whole = check->plain ? NULL : pb_hash_new(PB_HASH_MD5),
    };
}

pb_etag_check *pb_etag_check_new(pb_slice etag, uint64_t size, uint64_t part_bytes)
{
    uint8_t crc32c[PB_CRC32C_BYTES];
    if (pb_etag_is_crc32c(etag, crc32c)) {
        pb_etag_check *check = pb_allocate_zeroed(1, sizeof(*check));
        memcpy(check->wanted, crc32c, sizeof(crc32c));
        check->crc32c = pb_hash_new(PB_HASH_CRC32C);
        return check;
    }
    int parts = pb_etag_parts(etag);
    bool known =
        parts > 1 && part_bytes && size / part_bytes + (size % part_bytes != 0) == (uint64_t)parts;
    if (parts < 0 || (parts > 0 && !known && pb_etag_part_bytes(size, parts) == 0))
        return NULL;
    pb_etag_check *check = pb_allocate_zeroed(1, sizeof(*check));
    pb_hex_decode((pb_slice){etag.data, MD5_HEX}, check->wanted, PB_MD5_BYTES);
    check->plain = parts == 0;
    check->certain = parts <= 1 || known;
    if (known) {
        add_layout(check, part_bytes);
        return check;
    }
    if (parts <= 1) {
        /* All in one part, whatever its length is called. */
        add_layout(check, UINT64_MAX);
        return check;
    }
    size_t index = 0;
    uint64_t length;
    while ((length = next_length(size, parts, &index)) != 0)
        add_layout(check, length);
    return check;
}

void pb_etag_check_restart(pb_etag_check *check)
{
    if (check->crc32c)
        pb_hash_restart(check->crc32c);
    for (size_t i = 0; i < check->layout_count; i++) {
        layout *tried = &check->layouts[i];
        pb_hash_restart(tried->part);
        if (tried->whole)
            pb_hash_restart(tried->whole);
        tried->filled = 0;
        tried->any_part = false;
    }
}

static void end_part(layout *tried)
{
    uint8_t digest[PB_MD5_BYTES];
    pb_hash_finish(tried->part, digest);
    pb_hash_update(tried->whole, digest, sizeof(digest));
    pb_hash_restart(tried->part);
    tried->filled = 0;
    tried->any_part = true;
}

void pb_etag_check_update(pb_etag_check *check, const void *data, size_t size)
{
    if (check->crc32c)
        pb_hash_update(check->crc32c, data, size);
    for (size_t i = 0; i < check->layout_count; i++) {
        layout *tried = &check->layouts[i];
        const uint8_t *at = data;
        size_t left = size;
        while (left) {
            uint64_t room = tried->part_bytes - tried->filled;
            size_t piece = left < room ? left : (size_t)room;
            pb_hash_update(tried->part, at, piece);
            tried->filled += piece;
            at += piece;
            left -= piece;
            if (tried->filled == tried->part_bytes)
                end_part(tried);
        }
    }
}

int pb_etag_check_finish(pb_etag_check *check)
{
    bool found = false;
    if (check->crc32c) {
        uint8_t crc32c[PB_CRC32C_BYTES];
        pb_hash_finish(check->crc32c, crc32c);
        return memcmp(crc32c, check->wanted, sizeof(crc32c)) == 0;
    }
    for (size_t i = 0; i < check->layout_count; i++) {
        layout *tried = &check->layouts[i];
        uint8_t digest[PB_MD5_BYTES];
        if (tried->whole && (tried->filled || !tried->any_part))
            end_part(tried);
        pb_hash_finish(tried->whole ? tried->whole : tried->part, digest);
        found = found || memcmp(digest, check->wanted, sizeof(digest)) == 0;
    }
    if (found)
        return 1;
    return check->certain ? 0 : -1;
}

void pb_etag_check_free(pb_etag_check *check)
{
    if (check == NULL)
        return;
    for (size_t i = 0; i < check->layout_count; i++) {
        pb_hash_free(check->layouts[i].part);
        pb_hash_free(check->layouts[i].whole);
    }
    pb_hash_free(check->crc32c);
    free(check);
}
