/* bench/origin/s3_answer.h - the answers that S3 operations share: errors, ETags, XML. */
#ifndef PB_BENCH_ORIGIN_S3_ANSWER_H
#define PB_BENCH_ORIGIN_S3_ANSWER_H

#include "bench/origin/http_connection.h"

#define PB_ORIGIN_XML_START "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define PB_ORIGIN_XML_NAMESPACE " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

enum { PB_ORIGIN_ETAG_TEXT_MAX = 48 };

/* An S3 error by its code; status and message come from a table, the message may be given (NULL:
 * the usual one), and so may further elements for the body (NULL: none). A HEAD gets no body. */
void pb_origin_refuse(pb_origin_exchange *exchange, const char *code, const char *message,
                      const char *more_xml);
/* The elements of an error document alone, for errors inside a 200. */
void pb_origin_error_xml(pb_buffer *buffer, const pb_origin_exchange *exchange, const char *code);

/* Status, Content-Type, and the XML declaration as the start of response.text. */
pb_buffer *pb_origin_answer_xml(pb_origin_exchange *exchange);
void pb_origin_add_header(pb_origin_exchange *exchange, const char *name, pb_slice value);

/* "<32 hex>" or "<32 hex>-N", without quotes; returns its size. */
size_t pb_origin_etag_text(const uint8_t md5[PB_MD5_BYTES], unsigned parts,
                           char ret_text[PB_ORIGIN_ETAG_TEXT_MAX]);
/* <ETag>&quot;...&quot;</ETag> */
void pb_origin_etag_element(pb_buffer *buffer, const uint8_t md5[PB_MD5_BYTES], unsigned parts);
/* Whether a condition (If-Match's value: "*", or ETags with or without quotes, by commas) holds. */
bool pb_origin_etag_matches(pb_slice condition, const uint8_t md5[PB_MD5_BYTES], unsigned parts);

/* The MD5 of the parts' MD5s, one after the other: the hex of a multipart ETag. */
void pb_origin_multipart_md5(const uint8_t (*md5s)[PB_MD5_BYTES], size_t count,
                             uint8_t ret_md5[PB_MD5_BYTES]);

#endif
