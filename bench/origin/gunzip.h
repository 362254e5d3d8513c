/* bench/origin/gunzip.h - takes gzip's coding off a content. One thread. */
#ifndef PB_BENCH_ORIGIN_GUNZIP_H
#define PB_BENCH_ORIGIN_GUNZIP_H

#include "bench/origin/content.h"

#define PB_ORIGIN_GUNZIP_BYTES_MAX ((uint64_t)1 << 30)

/* The decoded bytes, which the caller releases. NULL where they are not gzip (RFC 1952), cut short,
 * or decode to more than PB_ORIGIN_GUNZIP_BYTES_MAX. */
pb_origin_content *pb_origin_gunzip(const pb_origin_content *content);

#endif
