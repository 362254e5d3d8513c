/* bench/origin/http_request.h - the head of an HTTP/1.1 request, from bytes. Pure. */
#ifndef PB_BENCH_ORIGIN_HTTP_REQUEST_H
#define PB_BENCH_ORIGIN_HTTP_REQUEST_H

#include "base/bytes.h"

enum {
    PB_ORIGIN_HEAD_BYTES_MAX = 32768,
    PB_ORIGIN_HEADERS_MAX = 96,
};

typedef struct pb_origin_header {
    pb_slice name;  /* lower case */
    pb_slice value; /* without blanks round it */
} pb_origin_header;

typedef struct pb_origin_request {
    pb_slice method;
    pb_slice target; /* as sent */
    pb_slice path;   /* of the target, still percent-encoded; starts with '/' */
    pb_slice query;  /* after '?', still percent-encoded */
    size_t header_count;
    pb_origin_header headers[PB_ORIGIN_HEADERS_MAX];
    bool has_length;
    uint64_t content_length;
    bool is_chunked;
    bool keeps_alive;
    bool expects_continue;
} pb_origin_request;

/* Where the head that starts `data` ends, its blank line included; 0 where it does not yet.
 * *scanned (0 at first) remembers how far a longer call may skip. */
size_t pb_origin_request_head_size(const char *data, size_t size, size_t *scanned);

/* Parses a whole head in place (header names become lower case); slices point into it. Returns 0,
 * or the HTTP status to answer before closing: 400, 414, 417, 431, 501, 505. */
int pb_origin_request_parse(char *head, size_t size, pb_origin_request *ret_request);

/* The value of a header (name in lower case), {NULL, 0} where it is absent. */
pb_slice pb_origin_request_header(const pb_origin_request *request, const char *name);

#endif
