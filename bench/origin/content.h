/* bench/origin/content.h - the bytes of objects, shared by reference counts. One thread.
 *
 * A content is plain bytes, or synthetic (made again from an index whenever it is read, so that
 * millions of objects cost no memory), or pieces of other contents (multipart uploads and ranged
 * copies share). */
#ifndef PB_BENCH_ORIGIN_CONTENT_H
#define PB_BENCH_ORIGIN_CONTENT_H

#include "base/bytes.h"
#include "base/hash.h"

typedef enum pb_origin_content_kind {
    PB_ORIGIN_CONTENT_BYTES,
    PB_ORIGIN_CONTENT_SYNTHETIC,
    PB_ORIGIN_CONTENT_PIECES,
} pb_origin_content_kind;

typedef struct pb_origin_piece {
    struct pb_origin_content *content; /* never itself of kind PIECES */
    uint64_t offset;                   /* in that content */
    uint64_t size;
    uint64_t start; /* in the whole */
} pb_origin_piece;

typedef struct pb_origin_content {
    uint32_t references;
    uint8_t kind;
    bool md5_known;
    uint8_t md5[PB_MD5_BYTES];
    uint64_t size;
    union {
        uint64_t synthetic_index;
        uint64_t capacity; /* of data, for BYTES */
        size_t piece_count;
    };
    pb_origin_piece *pieces;
    char data[];
} pb_origin_content;

/* Each returns a content with one reference. Bytes start empty with room for `capacity`. */
pb_origin_content *pb_origin_content_new_bytes(uint64_t capacity);
pb_origin_content *pb_origin_content_new_synthetic(uint64_t index, uint64_t size);
pb_origin_content *pb_origin_content_new_pieces(void);

pb_origin_content *pb_origin_content_hold(pb_origin_content *content);
void pb_origin_content_release(pb_origin_content *content); /* NULL allowed */

/* Appends to BYTES with a single holder; the content may move. NULL where memory is short (the
 * content is then as it was). */
pb_origin_content *pb_origin_content_append(pb_origin_content *content, const void *data,
                                            size_t size);

/* Appends a range of `source` (any kind) to PIECES; holds what it refers to. */
void pb_origin_content_append_piece(pb_origin_content *content, pb_origin_content *source,
                                    uint64_t offset, uint64_t size);

/* The longest run of bytes at `offset` that lies in one place, at most `size` and at least 1 byte.
 * Synthetic bytes are made into `scratch`; *ret_scratch tells that they were. */
pb_slice pb_origin_content_window(const pb_origin_content *content, uint64_t offset, uint64_t size,
                                  char *scratch, size_t scratch_size, bool *ret_scratch);

/* The MD5 of all bytes, kept once computed. */
void pb_origin_content_md5(pb_origin_content *content, uint8_t ret_md5[PB_MD5_BYTES]);

/* Bytes [offset, offset + size) of the synthetic content `index`. */
void pb_origin_synthetic_bytes(uint64_t index, uint64_t offset, size_t size, char *ret_bytes);

#endif
