/* manifest/record.h - one object of a snapshot, and its line. Pure, any thread.
 *
 * A line is a JSON object on one line (NDJSON), members always in this order:
 *   {"key":"chunk/ab","size":8388608,"mtime":"2026-11-23T05:20:49.123Z","etag":"9e107d9d…",
 *    "at":"20261123T052049Z-3f9a","path":"long/…","stored":"…-2","sha256":"…","crc32c":"e3069283",
 *    "part_bytes":8388608,"proof":"etag+sha256"}
 * path, stored, sha256, crc32c and part_bytes are left out where they say nothing. The writer and
 * this reader agree to the byte, which is what makes reading cheap; the reader also takes members
 * in any order, with blanks between and with null for what may be left out, as a JSON tool may have
 * written them. Unknown members are skipped (a newer minor format may add some); they must be JSON
 * all the same. */
#ifndef PB_MANIFEST_RECORD_H
#define PB_MANIFEST_RECORD_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"

/* How the stored bytes are known to be the source's (DESIGN: integrity). Size is always compared.
 * The stronger the proof, the higher its bit. */
enum {
    PB_PROOF_SIZE = 1, /* the sizes are equal: never called verified */
    PB_PROOF_ETAG = 2, /* source and stored ETag are equal */
    /* the CRC32C of the bytes as they passed is in the record, or a checksum that the provider
     * keeps is equal */
    PB_PROOF_CHECKSUM = 4,
    PB_PROOF_SHA256 = 8, /* hashed as they passed; the digest is in the record */
    PB_PROOF_KEY = 16,   /* the key holds the BLAKE2b-256 of the bytes, and it was recomputed */
};

typedef struct pb_record {
    pb_slice key;
    uint64_t size;
    int64_t mtime_ms;
    pb_slice etag; /* the source's; empty where it has none */
    pb_slice at;   /* the snapshot whose data/ holds the bytes */
    pb_slice path; /* where they are, from the repository's root: long/<at>/<64 hex>; empty for
                      data/<at>/<key> */
    pb_slice stored_etag; /* the repository's ETag where it is not the source's; else empty */
    bool has_sha256;
    /* Of the bytes; or, with part_bytes, of the parts' digests in order. */
    uint8_t sha256[PB_SHA256_BYTES];
    bool has_crc32c;
    uint8_t crc32c[PB_CRC32C_BYTES]; /* of the bytes, whatever the parts */
    /* 0, or the length of each part but the last that the object was stored in: of sha256, and of a
     * multipart ETag. */
    uint64_t part_bytes;
    unsigned proof; /* PB_PROOF_* */
} pb_record;

/* What a record may hold at most. All members at their limit and every byte escaped are one line of
 * PB_RECORD_LINE_MAX, the longest that a reader takes. */
enum {
    PB_RECORD_KEY_MAX = 4096, /* bytes; object stores have 1,024, a file's path 4,096 */
    PB_RECORD_ETAG_MAX = 127,
    PB_RECORD_LINE_MAX = 32 * 1024,
};
#define PB_LONG_PREFIX "long/"                     /* of every path */
#define PB_RECORD_NUMBER_MAX ((uint64_t)INT64_MAX) /* of size, part_bytes and their sums */

/* Adds sizes of objects. A sum stops at PB_RECORD_NUMBER_MAX, in writers and readers alike: sizes
 * come from outside and must not wrap. */
static inline uint64_t pb_record_sum(uint64_t a, uint64_t b)
{
    return b > PB_RECORD_NUMBER_MAX - a ? PB_RECORD_NUMBER_MAX : a + b;
}

/* What keeps a key, or a record, out of a manifest, as the end of a sentence ("the key is empty");
 * NULL where nothing does. Ask before an object is copied: what is written must be readable again.
 */
const char *pb_key_flaw(pb_slice key);
const char *pb_record_flaw(const pb_record *record);

/* Appends the line with its newline. The record has no flaw (the caller checked; pb_part_writer_add
 * does). */
void pb_record_append(pb_buffer *buffer, const pb_record *record);

/* Reads one line (without newline). Slices point into `arena` or into `line`, which must both
 * outlive the record. Fails with DAMAGED, saying what is wrong; never reads past the line. */
int pb_record_parse(pb_slice line, pb_arena *arena, pb_record *ret_record, pb_error *error);

#endif
