/* copier/store/s3/list_reader.h - the usual ListObjectsV2 answer, read without libxml2. Pure.
 *
 * Listing is the hot path of a run that finds nothing changed, and libxml2's names and callbacks
 * were two fifths of its CPU time. Stores write these answers in one shape, which is read here in
 * one pass. It is no XML parser: whatever is not surely that shape is refused, and the caller lets
 * libxml2 judge it. What is accepted means the same there, byte for byte; the tests and the fuzzer
 * hold the two together.
 *
 * The shape: an XML declaration or none (version 1.0, encoding UTF-8 or none), <ListBucketResult>
 * with an xmlns or nothing, flat elements, <Contents> with children in any order of which unknown
 * ones may have plain children (Owner), <CommonPrefixes> of one <Prefix>, blanks in between.
 *
 * Refused: comments, CDATA, processing instructions, document types, any other attribute, single
 * quotes around one (Google writes them), any name but of ASCII letters and digits (so namespace
 * prefixes), blanks within a tag, a known element that closes itself (<Key/>), references but to
 * the five predefined entities and quotes as numbers (MinIO), '>' in a text (it might end "]]>"),
 * carriage returns (XML makes them line feeds) and whatever XML has not as a character, bytes that
 * are not UTF-8, known elements twice, other text between elements, anything but blanks after the
 * root. And what would be an error: an entry without a Key, a Size that is a number or a
 * LastModified that is a time: libxml2's path says what is wrong. */
#ifndef PB_COPIER_STORE_S3_LIST_READER_H
#define PB_COPIER_STORE_S3_LIST_READER_H

#include "base/bytes.h"

/* The text of one element, in the list's `text` (which moves while it grows). */
typedef struct pb_s3_span {
    size_t start;
    size_t size;
    bool seen;
} pb_s3_span;

/* One <Contents>, as it was found. */
typedef struct pb_s3_found_entry {
    pb_s3_span key;
    pb_s3_span etag; /* not seen where there is none */
    uint64_t size;
    int64_t mtime_ms;
} pb_s3_found_entry;

/* A list as it stands in the XML, texts without entities but otherwise raw; whoever reads it.
 * {0} is an empty one. Its memory is kept from one list to the next. */
typedef struct pb_s3_found_list {
    pb_buffer text;
    pb_s3_span truncated; /* IsTruncated */
    pb_s3_span token;     /* NextContinuationToken */
    pb_s3_span encoding;  /* EncodingType */
    pb_s3_found_entry *entries;
    size_t entry_count, entry_capacity;
    pb_s3_span *prefixes;
    size_t prefix_count, prefix_capacity;
} pb_s3_found_list;

void pb_s3_found_list_clear(pb_s3_found_list *list); /* empty, memory kept */
void pb_s3_found_list_free(pb_s3_found_list *list);
/* A new one at the end, not filled; valid until the next. */
pb_s3_found_entry *pb_s3_found_list_add(pb_s3_found_list *list);
pb_s3_span *pb_s3_found_list_add_prefix(pb_s3_found_list *list);

/* Reads `body` into `list`, whose memory grows to the size of the body: the caller bounds it. False
 * where it is not this shape; the list is unspecified then. */
bool pb_s3_list_read(pb_slice body, pb_s3_found_list *list);

#endif
