/* bench/origin/chunk_decoder.h - takes chunked framing off a body. Pure.
 *
 * HTTP's chunked transfer coding and S3's aws-chunked content coding are framed alike: a hex size
 * with extensions (aws-chunked: ";chunk-signature=..."), the data, and trailers after the chunk of
 * size 0. */
#ifndef PB_BENCH_ORIGIN_CHUNK_DECODER_H
#define PB_BENCH_ORIGIN_CHUNK_DECODER_H

#include "base/bytes.h"

enum {
    PB_ORIGIN_CHUNK_LINE_BYTES_MAX = 4096,
    PB_ORIGIN_CHUNK_TRAILER_BYTES_MAX = 16384,
};

/* {0} is a decoder at the start of a body. */
typedef struct pb_origin_chunk_decoder {
    int state;
    bool has_digit;
    uint64_t remaining; /* of the chunk's data */
    size_t line_bytes;
    size_t trailer_bytes;
} pb_origin_chunk_decoder;

typedef enum pb_origin_chunk_result {
    PB_ORIGIN_CHUNK_MORE,      /* call again with what is left and what comes */
    PB_ORIGIN_CHUNK_END,       /* the body is whole */
    PB_ORIGIN_CHUNK_MALFORMED, /* and stays so */
} pb_origin_chunk_result;

/* Consumes *ret_used bytes of `data` and gives at most one run of the body, which points into it.
 * With size > 0, something is consumed unless the result is MALFORMED. */
pb_origin_chunk_result pb_origin_chunk_decode(pb_origin_chunk_decoder *decoder, const char *data,
                                              size_t size, size_t *ret_used, pb_slice *ret_body);

/* True once the chunk of size 0 has been read: clients exist that omit the last blank line. */
bool pb_origin_chunk_saw_last(const pb_origin_chunk_decoder *decoder);

#endif
