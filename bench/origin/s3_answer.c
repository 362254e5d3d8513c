#include "bench/origin/s3_answer.h"
#include "base/codec.h"
#include "bench/origin/xml.h"
#include <stdio.h>

static const struct {
    const char *code;
    int status;
    const char *message;
} errors[] = {
    {"AccessDenied", 403, "Access Denied"},
    {"AuthorizationHeaderMalformed", 400, "The authorization header you provided is invalid."},
    {"BadDigest", 400, "The Content-MD5 or checksum you specified did not match what we received."},
    {"BucketAlreadyOwnedByYou", 409,
     "The bucket you tried to create already exists, and you own it."},
    {"BucketNotEmpty", 409, "The bucket you tried to delete is not empty."},
    {"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size."},
    {"EntityTooSmall", 400,
     "Your proposed upload is smaller than the minimum allowed object size."},
    {"ExpiredToken", 400, "The provided token has expired."},
    {"IncompleteBody", 400, "The request body is not framed as its headers say."},
    {"InternalError", 500, "We encountered an internal error. Please try again."},
    {"InvalidAccessKeyId", 403,
     "The AWS Access Key Id you provided does not exist in our records."},
    {"InvalidArgument", 400, "Invalid Argument"},
    {"InvalidBucketName", 400, "The specified bucket is not valid."},
    {"InvalidDigest", 400, "The Content-MD5 you specified is not valid."},
    {"InvalidPart", 400,
     "One or more of the specified parts could not be found. The part may not have been uploaded, "
     "or "
     "the specified entity tag may not match the part's entity tag."},
    {"InvalidPartOrder", 400,
     "The list of parts was not in ascending order. Parts must be ordered by part number."},
    {"InvalidRange", 416, "The requested range is not satisfiable"},
    {"InvalidRequest", 400, "Invalid Request"},
    {"InvalidToken", 400, "The provided token is malformed or otherwise invalid."},
    {"InvalidURI", 400, "Couldn't parse the specified URI."},
    {"KeyTooLongError", 400, "Your key is too long"},
    {"MalformedXML", 400,
     "The XML you provided was not well-formed or did not validate against our published schema"},
    {"MethodNotAllowed", 405, "The specified method is not allowed against this resource."},
    {"MissingContentLength", 411, "You must provide the Content-Length HTTP header."},
    {"MissingSecurityHeader", 400, "Your request was missing a required header"},
    {"NoSuchBucket", 404, "The specified bucket does not exist"},
    {"NoSuchKey", 404, "The specified key does not exist."},
    {"NoSuchUpload", 404,
     "The specified upload does not exist. The upload ID may be invalid, or the upload may have "
     "been "
     "aborted or completed."},
    {"NotImplemented", 501,
     "A header or query you provided implies functionality that is not implemented."},
    {"PermanentRedirect", 301,
     "The bucket you are attempting to access must be addressed using the specified endpoint. "
     "Please "
     "send all future requests to this endpoint."},
    {"PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"},
    {"QuotaExceeded", 403, "The capacity of the store is used up."},
    {"RequestTimeTooSkewed", 403,
     "The difference between the request time and the current time is too large."},
    {"SignatureDoesNotMatch", 403,
     "The request signature we calculated does not match the signature you provided. Check your "
     "key "
     "and signing method."},
    {"SlowDown", 503, "Please reduce your request rate."},
    {"XAmzContentSHA256Mismatch", 400,
     "The provided 'x-amz-content-sha256' header does not match what was computed."},
};

static size_t find_error(const char *code)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(errors[i].code, code) == 0) {
            return i;
        }
    }
    return find_error("InternalError");
}

static void append_error(pb_buffer *buffer, const pb_origin_exchange *exchange, const char *code,
                         const char *message, const char *more_xml)
{
    pb_buffer_append_text(buffer, "<Error>");
    pb_origin_xml_element(buffer, "Code", pb_slice_of(code));
    pb_origin_xml_element(buffer, "Message", pb_slice_of(message));
    if (more_xml) {
        pb_buffer_append_text(buffer, more_xml);
    }
    pb_origin_xml_element(buffer, "RequestId", pb_slice_of(exchange->request_id));
    pb_buffer_append_text(buffer, "</Error>");
}

void pb_origin_error_xml(pb_buffer *buffer, const pb_origin_exchange *exchange, const char *code)
{
    append_error(buffer, exchange, code, errors[find_error(code)].message, NULL);
}

void pb_origin_refuse(pb_origin_exchange *exchange, const char *code, const char *message,
                      const char *more_xml)
{
    size_t i = find_error(code);
    pb_origin_response *response = &exchange->response;
    response->status = errors[i].status;
    response->headers.size = 0;
    response->text.size = 0;
    response->text_rest.size = 0;
    pb_origin_content_release(response->content);
    response->content = NULL;
    response->content_size = 0;
    response->announced_bytes = 0;
    if (!response->is_head) {
        pb_buffer *text = pb_origin_answer_xml(exchange);
        response->status = errors[i].status;
        append_error(text, exchange, code, message ? message : errors[i].message, more_xml);
    }
}

pb_buffer *pb_origin_answer_xml(pb_origin_exchange *exchange)
{
    pb_origin_response *response = &exchange->response;
    response->status = 200;
    pb_buffer_append_text(&response->headers, "Content-Type: application/xml\r\n");
    pb_buffer_append_text(&response->text, PB_ORIGIN_XML_START);
    return &response->text;
}

void pb_origin_add_header(pb_origin_exchange *exchange, const char *name, pb_slice value)
{
    pb_buffer *headers = &exchange->response.headers;
    pb_buffer_append_text(headers, name);
    pb_buffer_append(headers, ": ", 2);
    pb_buffer_append_slice(headers, value);
    pb_buffer_append(headers, "\r\n", 2);
}

size_t pb_origin_etag_text(const uint8_t md5[PB_MD5_BYTES], unsigned parts,
                           char ret_text[PB_ORIGIN_ETAG_TEXT_MAX])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < PB_MD5_BYTES; i++) {
        ret_text[2 * i] = digits[md5[i] >> 4];
        ret_text[2 * i + 1] = digits[md5[i] & 15];
    }
    ret_text[2 * PB_MD5_BYTES] = 0;
    if (parts == 0) {
        return 2 * PB_MD5_BYTES;
    }
    return 2 * PB_MD5_BYTES + (size_t)snprintf(ret_text + 2 * PB_MD5_BYTES,
                                               PB_ORIGIN_ETAG_TEXT_MAX - 2 * PB_MD5_BYTES, "-%u",
                                               parts);
}

void pb_origin_etag_element(pb_buffer *buffer, const uint8_t md5[PB_MD5_BYTES], unsigned parts)
{
    char text[PB_ORIGIN_ETAG_TEXT_MAX];
    size_t size = pb_origin_etag_text(md5, parts, text);
    pb_buffer_append_text(buffer, "<ETag>&quot;");
    pb_buffer_append(buffer, text, size);
    pb_buffer_append_text(buffer, "&quot;</ETag>");
}

bool pb_origin_etag_matches(pb_slice condition, const uint8_t md5[PB_MD5_BYTES], unsigned parts)
{
    char text[PB_ORIGIN_ETAG_TEXT_MAX];
    pb_slice etag = {text, pb_origin_etag_text(md5, parts, text)};
    while (condition.size > 0) {
        const char *comma = memchr(condition.data, ',', condition.size);
        size_t size = comma ? (size_t)(comma - condition.data) : condition.size;
        pb_slice one = {condition.data, size};
        condition.data += size + (comma ? 1 : 0);
        condition.size -= size + (comma ? 1 : 0);
        while (one.size > 0 && (one.data[0] == ' ' || one.data[0] == '"')) {
            one.data++;
            one.size--;
        }
        while (one.size > 0 && (one.data[one.size - 1] == ' ' || one.data[one.size - 1] == '"')) {
            one.size--;
        }
        if (pb_slice_equal(one, etag) || pb_slice_equal(one, PB_SLICE_LITERAL("*"))) {
            return true;
        }
    }
    return false;
}

void pb_origin_multipart_md5(const uint8_t (*md5s)[PB_MD5_BYTES], size_t count,
                             uint8_t ret_md5[PB_MD5_BYTES])
{
    pb_hash *hash = pb_hash_new(PB_HASH_MD5);
    pb_hash_update(hash, md5s, count * PB_MD5_BYTES);
    pb_hash_finish(hash, ret_md5);
    pb_hash_free(hash);
}
