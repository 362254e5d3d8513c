/* manifest/part.h - a manifest part: the records of one key range, compressed. Pure, any thread.
 *
 * A part covers the keys k with after < k <= through, in order: a range is open below and closed
 * above, as `start-after` of S3's listing has it, so that neighbours meet without a made-up key.
 * The file is two zstd frames: a header line, then the records; `zstdcat` gives plain NDJSON.
 * Header:
 *   {"pbcopy":"manifest-part","version":1,"snapshot":"…","after":"…","through":"…","records":N,
 *    "bytes":N,"sha256":"…"}
 * where "after" is "" for a range that begins before all keys, "through" is null for one that is
 * open above, bytes is the sum of the objects' sizes and sha256 is of the records' text (all lines
 * behind the header). A reader takes any number of frames. */
#ifndef PB_MANIFEST_PART_H
#define PB_MANIFEST_PART_H

#include "base/range.h"
#include "manifest/record.h"
#include "manifest/snapshot_id.h"

enum { PB_PART_VERSION = 1 };

typedef struct pb_part {
    char name[32]; /* "000017.ndjson.zst" */
    pb_range range;
    uint64_t records;
    uint64_t bytes;                         /* of the objects */
    uint64_t stored_bytes;                  /* of the part as stored */
    uint8_t stored_sha256[PB_SHA256_BYTES]; /* of the part as stored */
    uint8_t sha256[PB_SHA256_BYTES];        /* of the records' text, the header line left out */
    char *last_key; /* in memory alone: of a part that a resumed run read; NULL: unknown, or none */
} pb_part;
/* Orders two pb_part by where their ranges begin; for qsort. */
int pb_part_compare(const void *a, const void *b);
void pb_part_free(pb_part *part); /* what it owns; back to {0} */

/* Writer: one at a time open, reused part after part. About 1 MiB of its own, plus the compressed
 * bytes of the part. */
typedef struct pb_part_writer pb_part_writer;
pb_part_writer *pb_part_writer_new(void);
void pb_part_writer_free(pb_part_writer *writer); /* NULL allowed */
/* Adds a record (nothing of it is kept). Keys strictly increase and pb_record_flaw says NULL: all
 * else is a bug of the caller, and aborts. */
void pb_part_writer_add(pb_part_writer *writer, const pb_record *record);
uint64_t pb_part_writer_records(const pb_part_writer *writer);
/* Compressed bytes so far, about. */
size_t pb_part_writer_size(const pb_part_writer *writer);
/* Ends the part for the range: fills *ret_part but for its name, and *ret_body (appended) with the
 * bytes to store. The writer is empty again. The range is copied; it holds all keys added (aborts).
 */
void pb_part_writer_finish(pb_part_writer *writer, pb_slice snapshot, const pb_range *range,
                           pb_part *ret_part, pb_buffer *ret_body);

/* Reader over a whole stored part in memory (borrowed until free). Its own memory is under 1 MiB
 * for parts of this writer, and bounded by 9 MiB for any. */
typedef struct pb_part_reader pb_part_reader;
/* Reads the header. Fails with DAMAGED; with USAGE for a newer version. Decompression is bounded: a
 * line over PB_RECORD_LINE_MAX is DAMAGED, a window over 8 MiB likewise. *ret_reader is set on
 * success only. */
int pb_part_reader_open(pb_slice stored, pb_part_reader **ret_reader, pb_error *error);
void pb_part_reader_free(pb_part_reader *reader); /* NULL allowed */
/* The header's word, and stored_bytes and stored_sha256 as computed; name empty. What the header
 * says of the records is proven when pb_part_reader_next has answered 0. */
const pb_part *pb_part_reader_part(const pb_part_reader *reader);
pb_slice pb_part_reader_snapshot(const pb_part_reader *reader);
/* Holds the part against what its snapshot.json says of it: all but the name, and the snapshot's
 * id; the listed range may end later (docs/formats.md). Fails with DAMAGED: another part, or one
 * that was changed. */
int pb_part_reader_expect(const pb_part_reader *reader, pb_slice snapshot, const pb_part *listed,
                          pb_error *error);
/* The next record: 1, its slices in `arena`; 0 at the proper end (counts, sums and digest agreed
 * with the header); -1 with DAMAGED: out of order, outside of the range, cut, more or fewer than
 * announced. After 0 or -1 the answer stays the same. */
int pb_part_reader_next(pb_part_reader *reader, pb_arena *arena, pb_record *ret_record,
                        pb_error *error);

#endif
