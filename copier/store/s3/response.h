/* copier/store/s3/response.h - S3's XML answers, from bytes. Pure; a parser is for one thread.
 *
 * Every byte is distrusted: a document type declaration is refused (so that no entity can be
 * declared), nothing is fetched, nesting is bounded by libxml2, and sizes by the caller, who caps
 * the body at PB_S3_BODY_BYTES_MAX. Sources: the API reference's ListObjectsV2, DeleteObjects,
 * CopyObject, UploadPartCopy, CreateMultipartUpload, CompleteMultipartUpload and "Error responses",
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ */
#ifndef PB_COPIER_STORE_S3_RESPONSE_H
#define PB_COPIER_STORE_S3_RESPONSE_H

#include "base/error.h"
#include "copier/store/page.h"

enum {
    PB_S3_BODY_BYTES_MAX = 8 * 1024 * 1024,
    PB_S3_KEY_BYTES_MAX = 1024,
};

typedef struct pb_s3_parser pb_s3_parser;

/* What parsing needs and keeps from one answer to the next. */
pb_s3_parser *pb_s3_parser_new(void);
void pb_s3_parser_free(pb_s3_parser *parser); /* NULL allowed */

/* What was asked, to hold the answer to it. */
typedef struct pb_s3_list_asked {
    pb_slice store_prefix; /* the location's: taken off each key */
    pb_slice prefix;       /* of the request, relative to it */
} pb_s3_list_asked;

/* Reads a ListBucketResult into a new page: keys and prefixes decoded (EncodingType) and relative,
 * ETags without quotes and empty where weak or missing. An object whose whole key is the store's
 * prefix (a folder's marker) is not in the folder: left out; page->has_own where it holds bytes.
 * A body that is XML but for raw control characters outside of encoded keys (Ceph RGW) is read too,
 * its token left out. Whether keys increase, and from where on, is the caller's to check. Fails
 * with SERVER where the body is not well-formed XML (worth another try) and FAILED where it breaks
 * the protocol: another root, no Key, Size or LastModified, a key outside the prefix, not UTF-8,
 * too long. */
int pb_s3_parse_list(pb_s3_parser *parser, pb_slice body, const pb_s3_list_asked *asked,
                     pb_page **ret_page, pb_error *error);
/* For tests: lists are read by libxml2 even where list_reader.h could. */
void pb_s3_parser_use_only_libxml(pb_s3_parser *parser, bool only);

/* Any of the small answers. Slices are empty where there is no such element, and the parser's until
 * it parses again. */
typedef struct pb_s3_document {
    pb_slice root;       /* "Error", "CopyObjectResult"... */
    pb_slice code;       /* Error; DeleteResult: of the first key that failed */
    pb_slice message;    /* likewise */
    pb_slice key;        /* DeleteResult: the first key that failed */
    pb_slice request_id; /* Error */
    pb_slice region;     /* Error */
    pb_slice endpoint;   /* Error */
    pb_slice etag;       /* with its quotes */
    pb_slice upload_id;
    size_t failed_keys; /* DeleteResult: how many, a missing key not being a failure */
} pb_s3_document;

/* Fails with SERVER where the body is not well-formed XML, FAILED where an element that is read
 * holds other elements. */
int pb_s3_parse_document(pb_s3_parser *parser, pb_slice body, pb_s3_document *ret_document,
                         pb_error *error);

/* Reads a ListMultipartUploadsResult: the first upload of it as the only entry of a new page, its
 * key as pb_s3_parse_list has it and its id as `version`; no entry where there is none. Fails
 * likewise. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html */
int pb_s3_parse_upload(pb_s3_parser *parser, pb_slice body, const pb_s3_list_asked *asked,
                       pb_page **ret_page, pb_error *error);

/* True where the root element is the one of this result ("CopyObject"): AWS writes
 * CopyObjectResult, some stores CopyObjectResponse. */
bool pb_s3_root_is(pb_slice root, const char *result);

/* The ETag in a header or element: without quotes; empty where weak ("W/...") or missing. False
 * where it is PB_ETAG_TEXT_MAX or longer, or not printable ASCII. */
bool pb_s3_etag_read(pb_slice text, pb_slice *ret_etag);

#endif
