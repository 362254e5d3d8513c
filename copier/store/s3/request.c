#include "copier/store/s3/request.h"

#include "base/base64.h"
#include "base/codec.h"
#include "copier/store/header_line.h"
#include "copier/store/s3/response.h"

#define SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define UNSIGNED "UNSIGNED-PAYLOAD"

enum { LIST_KEYS_MAX = 1000, CRC32C_TEXT_MAX = PB_BASE64_CHARACTERS(PB_CRC32C_BYTES) + 1 };

/* A header line in request->text, by place: the buffer moves while it grows. */
typedef struct line {
    size_t start;
    size_t name_size;
    size_t value_start;
    size_t value_size;
} line;

/* One build under way. */
typedef struct builder {
    pb_s3_request *request;
    const pb_store_request *asked;
    const pb_s3_request_frame *frame;
    pb_buffer *text; /* the request's */
    size_t path_size;
    size_t query_start; /* 0 for none */
    size_t query_size;
    line lines[PB_HTTP_HEADERS_MAX];
    size_t line_count;
    bool too_many;
} builder;

void pb_s3_request_restart(pb_s3_request *request)
{
    request->body_made = request->md5_made = false;
}

void pb_s3_request_free(pb_s3_request *request)
{
    pb_buffer_free(&request->text);
    pb_buffer_free(&request->body);
    pb_hash_free(request->md5);
    memset(request, 0, sizeof *request);
}

const char *pb_s3_method(const pb_store_request *asked)
{
    switch (asked->operation) {
    case PB_STORE_CHECK:
    case PB_STORE_HEAD:
        return "HEAD";
    case PB_STORE_LIST:
    case PB_STORE_MULTIPART_FIND:
    case PB_STORE_GET:
        return "GET";
    case PB_STORE_DELETE:
        return asked->key_count == 1 ? "DELETE" : "POST";
    case PB_STORE_MULTIPART_CREATE:
    case PB_STORE_MULTIPART_COMPLETE:
        return "POST";
    case PB_STORE_MULTIPART_ABORT:
        return "DELETE";
    default:
        return "PUT";
    }
}

static bool copies(const pb_store_request *asked)
{
    return asked->operation == PB_STORE_COPY || asked->operation == PB_STORE_MULTIPART_COPY;
}

/* ---- header lines ---- */

static void begin_header(builder *b, const char *name)
{
    if (b->line_count == PB_HTTP_HEADERS_MAX) {
        b->too_many = true;
        b->line_count--; /* written over: the request is not sent */
    }
    line *at = &b->lines[b->line_count++];
    at->start = b->text->size;
    at->name_size = strlen(name);
    pb_buffer_append(b->text, name, at->name_size);
    pb_buffer_append(b->text, ": ", 2);
    at->value_start = b->text->size;
}

static void end_header(builder *b)
{
    line *at = &b->lines[b->line_count - 1];
    at->value_size = b->text->size - at->value_start;
    pb_buffer_append_char(b->text, '\0');
}

static void add_header(builder *b, const char *name, pb_slice value)
{
    begin_header(b, name);
    pb_buffer_append_slice(b->text, value);
    end_header(b);
}

static void add_quoted(builder *b, const char *name, pb_slice etag)
{
    begin_header(b, name);
    pb_buffer_append_char(b->text, '"');
    pb_buffer_append_slice(b->text, etag);
    pb_buffer_append_char(b->text, '"');
    end_header(b);
}

static void add_range(builder *b, const char *name, uint64_t offset, uint64_t length)
{
    begin_header(b, name);
    pb_buffer_append_text(b->text, "bytes=");
    pb_buffer_append_unsigned(b->text, offset);
    pb_buffer_append_char(b->text, '-');
    if (length && length - 1 <= UINT64_MAX - offset)
        pb_buffer_append_unsigned(b->text, offset + length - 1);
    end_header(b);
}

#define META "x-amz-meta-"

bool pb_s3_is_object_header(pb_slice name)
{
    static const char *const names[] = {"content-type",        "cache-control",
                                        "content-disposition", "content-encoding",
                                        "content-language",    "expires"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (pb_slice_equal(name, pb_slice_of(names[i])))
            return true;
    return name.size > sizeof META - 1 && pb_slice_starts_with(name, PB_SLICE_LITERAL(META));
}

/* Stores let pass more than the tokens of RFC 9110. */
static bool is_name(pb_slice name)
{
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == ':')
            return false;
    return true;
}

static int add_object_headers(builder *b, pb_error *error)
{
    pb_slice rest = b->asked->object_headers, name, value;
    while (pb_header_line_next(&rest, &name, &value)) {
        pb_slice text = {name.data, name.size + 2 + value.size};
        if (!is_name(name) || !pb_s3_is_object_header(name) || !pb_header_value_valid(value))
            return pb_error_set(error, PB_ERROR_USAGE, "not a header of an object: %.*s",
                                PB_SLICE_FORMAT(name));
        bool is_empty = !value.size;
        if (is_empty && !pb_slice_starts_with(name, PB_SLICE_LITERAL(META)))
            continue;
        begin_header(b, "");
        b->text->size -= 2; /* the name is not a literal: begin_header's ": " goes */
        line *at = &b->lines[b->line_count - 1];
        pb_buffer_append_slice(b->text, is_empty ? name : text);
        if (is_empty)
            pb_buffer_append_char(b->text, ';'); /* how libcurl is told to send "name:" */
        at->name_size = name.size;
        at->value_start = is_empty ? b->text->size : at->start + name.size + 2;
        end_header(b);
    }
    return 0;
}

/* ---- target ---- */

static int append_key(builder *b, pb_slice start, pb_slice key, pb_error *error)
{
    /* An empty key would name the bucket itself. */
    if (!key.size)
        return pb_error_set(error, PB_ERROR_USAGE, "an empty key");
    pb_buffer_append_slice(b->text, start);
    pb_percent_encode(b->text, key, true);
    return 0;
}

/* Parameters must be added in order of their names: the signature covers them sorted. */
static void begin_parameter(builder *b, const char *name)
{
    pb_buffer_append_char(b->text, b->query_start ? '&' : '?');
    if (!b->query_start)
        b->query_start = b->text->size;
    pb_buffer_append_text(b->text, name);
    pb_buffer_append_char(b->text, '=');
}

static void add_parameter(builder *b, const char *name, pb_slice value)
{
    begin_parameter(b, name);
    pb_percent_encode(b->text, value, false);
}

static void add_prefix(builder *b, pb_slice store_prefix)
{
    if (!store_prefix.size && !b->asked->list.prefix.size)
        return;
    begin_parameter(b, "prefix");
    pb_percent_encode(b->text, store_prefix, false);
    pb_percent_encode(b->text, b->asked->list.prefix, false);
}

/* https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html */
static void add_find_parameters(builder *b, pb_slice store_prefix)
{
    add_parameter(b, "encoding-type", PB_SLICE_LITERAL("url"));
    add_parameter(b, "max-uploads", PB_SLICE_LITERAL("1"));
    add_prefix(b, store_prefix);
    add_parameter(b, "uploads", PB_SLICE_LITERAL(""));
}

static void add_list_parameters(builder *b, pb_slice store_prefix)
{
    const pb_store_request *asked = b->asked;
    unsigned keys_max = asked->list.keys_max;
    if (!keys_max || keys_max > LIST_KEYS_MAX)
        keys_max = LIST_KEYS_MAX;
    if (asked->list.token.size)
        add_parameter(b, "continuation-token", asked->list.token);
    if (asked->list.delimiter)
        add_parameter(b, "delimiter", (pb_slice){&asked->list.delimiter, 1});
    add_parameter(b, "encoding-type", PB_SLICE_LITERAL("url"));
    add_parameter(b, "list-type", PB_SLICE_LITERAL("2"));
    begin_parameter(b, "max-keys");
    pb_buffer_append_unsigned(b->text, keys_max);
    add_prefix(b, store_prefix);
    if (asked->list.after.size && !asked->list.token.size) {
        begin_parameter(b, "start-after");
        pb_percent_encode(b->text, store_prefix, false);
        pb_percent_encode(b->text, asked->list.after, false);
    }
}

static void add_upload_id(builder *b)
{
    add_parameter(b, "uploadId", b->asked->upload_id);
}

static int write_target(builder *b, pb_error *error)
{
    const pb_store_request *asked = b->asked;
    const pb_s3_endpoint *endpoint = b->frame->endpoint;
    bool of_bucket = asked->operation == PB_STORE_CHECK || asked->operation == PB_STORE_LIST ||
                     asked->operation == PB_STORE_MULTIPART_FIND ||
                     (asked->operation == PB_STORE_DELETE && asked->key_count != 1);
    if (of_bucket) {
        pb_buffer_append_slice(b->text, endpoint->list_path);
    } else {
        pb_slice key = asked->operation == PB_STORE_DELETE ? asked->keys[0] : asked->key;
        if (append_key(b, endpoint->key_path, key, error))
            return -1;
        if (key.size + endpoint->prefix.size > PB_S3_KEY_BYTES_MAX)
            return pb_error_set(error, PB_ERROR_USAGE, "a key of more than 1,024 bytes");
    }
    b->path_size = b->text->size;
    switch (asked->operation) {
    case PB_STORE_LIST:
        add_list_parameters(b, endpoint->prefix);
        break;
    case PB_STORE_MULTIPART_FIND:
        add_find_parameters(b, endpoint->prefix);
        break;
    case PB_STORE_DELETE:
        if (of_bucket)
            add_parameter(b, "delete", PB_SLICE_LITERAL(""));
        break;
    case PB_STORE_HEAD:
        if (asked->part_number) {
            begin_parameter(b, "partNumber");
            pb_buffer_append_unsigned(b->text, asked->part_number);
        }
        break;
    case PB_STORE_MULTIPART_CREATE:
        add_parameter(b, "uploads", PB_SLICE_LITERAL(""));
        break;
    case PB_STORE_MULTIPART_PUT:
    case PB_STORE_MULTIPART_COPY:
        begin_parameter(b, "partNumber");
        pb_buffer_append_unsigned(b->text, asked->part_number);
        add_upload_id(b);
        break;
    case PB_STORE_MULTIPART_COMPLETE:
    case PB_STORE_MULTIPART_ABORT:
        add_upload_id(b);
        break;
    default:
        break;
    }
    if (b->query_start)
        b->query_size = b->text->size - b->query_start;
    pb_buffer_append_char(b->text, '\0');
    return 0;
}

/* ---- body ---- */

bool pb_s3_key_fits_xml(pb_slice key)
{
    for (size_t i = 0; i < key.size; i++) {
        unsigned char c = (unsigned char)key.data[i];
        if (c < ' ' && c != '\t' && c != '\n' && c != '\r')
            return false;
        /* U+FFFE and U+FFFF */
        if (c == 0xef && key.size - i >= 3 && (unsigned char)key.data[i + 1] == 0xbf &&
            (unsigned char)key.data[i + 2] >= 0xbe)
            return false;
    }
    return pb_utf8_valid(key);
}

static void append_xml(pb_buffer *body, pb_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '&':
            pb_buffer_append_text(body, "&amp;");
            break;
        case '<':
            pb_buffer_append_text(body, "&lt;");
            break;
        case '>':
            pb_buffer_append_text(body, "&gt;");
            break;
        case '"':
            pb_buffer_append_text(body, "&quot;");
            break;
        case '\t': /* line ends and tabs as such would be normalised */
        case '\n':
        case '\r':
            pb_buffer_append_format(body, "&#%d;", text.data[i]);
            break;
        default:
            pb_buffer_append_char(body, text.data[i]);
        }
    }
}

static int write_delete(builder *b, pb_error *error)
{
    const pb_store_request *asked = b->asked;
    pb_s3_request *request = b->request;
    pb_buffer *body = &request->body;
    pb_buffer_append_text(body, "<Delete><Quiet>true</Quiet>");
    for (size_t i = 0; i < asked->key_count; i++) {
        if (!asked->keys[i].size || !pb_s3_key_fits_xml(asked->keys[i]))
            return pb_error_set(error, PB_ERROR_USAGE, "a key that XML can't hold");
        pb_buffer_append_text(body, "<Object><Key>");
        append_xml(body, b->frame->endpoint->prefix);
        append_xml(body, asked->keys[i]);
        pb_buffer_append_text(body, "</Key></Object>");
    }
    pb_buffer_append_text(body, "</Delete>");
    return 0;
}

static void write_complete(builder *b)
{
    const pb_store_request *asked = b->asked;
    pb_buffer *body = &b->request->body;
    pb_buffer_append_text(body, "<CompleteMultipartUpload>");
    for (unsigned i = 0; i < asked->part_count; i++) {
        pb_buffer_append_text(body, "<Part><PartNumber>");
        pb_buffer_append_unsigned(body, i + 1);
        pb_buffer_append_text(body, "</PartNumber><ETag>&quot;");
        append_xml(body, pb_slice_of(asked->part_etags[i]));
        pb_buffer_append_text(body, "&quot;</ETag>");
        if (asked->part_crc32cs) {
            char text[CRC32C_TEXT_MAX];
            pb_base64_write(asked->part_crc32cs[i], PB_CRC32C_BYTES, text);
            pb_buffer_append_format(body, "<ChecksumCRC32C>%s</ChecksumCRC32C>", text);
        }
        pb_buffer_append_text(body, "</Part>");
    }
    pb_buffer_append_text(body, "</CompleteMultipartUpload>");
}

static bool body_is_ours(const pb_store_request *asked)
{
    return (asked->operation == PB_STORE_DELETE && asked->key_count != 1) ||
           asked->operation == PB_STORE_MULTIPART_COMPLETE;
}

static pb_slice body_of(const builder *b)
{
    if (body_is_ours(b->asked))
        return pb_buffer_slice(&b->request->body);
    if (b->asked->operation == PB_STORE_PUT || b->asked->operation == PB_STORE_MULTIPART_PUT)
        return b->asked->body;
    return (pb_slice){NULL, 0};
}

static bool needs_md5(const builder *b)
{
    pb_store_operation operation = b->asked->operation;
    if (operation == PB_STORE_DELETE)
        return b->asked->key_count != 1;
    return b->frame->content_md5 &&
           (operation == PB_STORE_PUT || operation == PB_STORE_MULTIPART_PUT);
}

static void write_md5(builder *b)
{
    pb_s3_request *request = b->request;
    pb_slice body = body_of(b);
    uint8_t digest[PB_MD5_BYTES];
    if (!request->md5)
        request->md5 = pb_hash_new(PB_HASH_MD5);
    pb_hash_restart(request->md5);
    pb_hash_update(request->md5, body.data, body.size);
    pb_hash_finish(request->md5, digest);
    pb_base64_write(digest, sizeof digest, request->content_md5);
    request->md5_made = true;
}

static void write_payload(builder *b)
{
    char *payload = b->request->payload;
    pb_slice body = body_of(b);
    uint8_t digest[PB_SHA256_BYTES];
    if (body.size && b->asked->body_sha256) {
        pb_hex_encode(b->asked->body_sha256, PB_SHA256_BYTES, payload);
    } else if (b->frame->endpoint->https || b->frame->unsigned_payload ||
               (body.size && b->asked->body_crc32c)) {
        memcpy(payload, UNSIGNED, sizeof UNSIGNED);
    } else if (!body.size) {
        memcpy(payload, SHA256_OF_NOTHING, sizeof SHA256_OF_NOTHING);
    } else {
        pb_sha256(body.data, body.size, digest);
        pb_hex_encode(digest, sizeof digest, payload);
    }
}

static int write_body(builder *b, pb_error *error)
{
    if (b->request->body_made)
        return 0;
    pb_buffer_clear(&b->request->body);
    if (b->asked->operation == PB_STORE_MULTIPART_COMPLETE)
        write_complete(b);
    else if (body_is_ours(b->asked) && write_delete(b, error))
        return -1;
    if (b->frame->signer)
        write_payload(b);
    b->request->body_made = true;
    return 0;
}

/* ---- headers ---- */

static int add_conditions(builder *b, pb_error *error)
{
    const pb_store_request *asked = b->asked;
    bool may_match = asked->operation == PB_STORE_GET || copies(asked);
    if (may_match && asked->if_match.size) {
        if (!pb_header_value_valid(asked->if_match))
            return pb_error_set(error, PB_ERROR_USAGE, "an ETag with control characters");
        add_quoted(b, copies(asked) ? "x-amz-copy-source-if-match" : "if-match", asked->if_match);
    }
    if (asked->operation == PB_STORE_PUT && asked->create_only)
        add_header(b, "if-none-match", PB_SLICE_LITERAL("*"));
    if (b->frame->requester_pays)
        add_header(b, "x-amz-request-payer", PB_SLICE_LITERAL("requester"));
    return 0;
}

static int add_source(builder *b, pb_error *error)
{
    const pb_store_request *asked = b->asked;
    begin_header(b, "x-amz-copy-source");
    int failed = append_key(b, b->frame->source_path, asked->source_key, error);
    end_header(b);
    if (failed || asked->operation != PB_STORE_MULTIPART_COPY || (!asked->offset && !asked->length))
        return failed;
    if (!asked->length || asked->length - 1 > UINT64_MAX - asked->offset)
        return pb_error_set(error, PB_ERROR_USAGE, "a part is copied from a range with an end");
    add_range(b, "x-amz-copy-source-range", asked->offset, asked->length);
    return 0;
}

/* A CRC32C is enough for the store to check the body, and the signature covers it. The upload must
 * say beforehand what its parts will have; FULL_OBJECT makes the store keep the CRC32C of the
 * whole, not one of the parts' CRC32Cs. */
static void add_checksum(builder *b)
{
    const pb_store_request *asked = b->asked;
    if (asked->operation == PB_STORE_MULTIPART_CREATE && asked->parts_have_crc32c) {
        add_header(b, "x-amz-checksum-algorithm", PB_SLICE_LITERAL("CRC32C"));
        add_header(b, "x-amz-checksum-type", PB_SLICE_LITERAL("FULL_OBJECT"));
    }
    bool has_body = asked->operation == PB_STORE_PUT || asked->operation == PB_STORE_MULTIPART_PUT;
    if (has_body && asked->body_crc32c) {
        char text[CRC32C_TEXT_MAX];
        pb_base64_write(asked->body_crc32c, PB_CRC32C_BYTES, text);
        add_header(b, "x-amz-checksum-crc32c", pb_slice_of(text));
    }
}

static int add_headers(builder *b, pb_error *error)
{
    const pb_store_request *asked = b->asked;
    bool makes_object =
        asked->operation == PB_STORE_PUT || asked->operation == PB_STORE_MULTIPART_CREATE;
    if (needs_md5(b)) { /* known only now: a store may ask for it after the first attempt */
        if (!b->request->md5_made)
            write_md5(b);
        add_header(b, "content-md5", pb_slice_of(b->request->content_md5));
    }
    if (makes_object && add_object_headers(b, error))
        return -1;
    add_checksum(b);
    if (asked->operation == PB_STORE_GET && (asked->offset || asked->length))
        add_range(b, "range", asked->offset, asked->length);
    if (copies(asked) && add_source(b, error))
        return -1;
    return add_conditions(b, error);
}

/* All that was added is signed. */
static void sign(builder *b)
{
    const pb_s3_request_frame *frame = b->frame;
    pb_slice date = pb_s3_signer_date(frame->signer, frame->now_ms);
    add_header(b, "x-amz-content-sha256", pb_slice_of(b->request->payload));
    add_header(b, "x-amz-date", date);
    if (frame->session_token.size)
        add_header(b, "x-amz-security-token", frame->session_token);
    size_t count = b->line_count;
    begin_header(b, "authorization");

    pb_s3_header headers[PB_HTTP_HEADERS_MAX + 1];
    headers[0] = (pb_s3_header){PB_SLICE_LITERAL("host"), pb_slice_of(frame->endpoint->host)};
    for (size_t i = 0; i < count; i++) {
        const line *at = &b->lines[i];
        headers[i + 1] = (pb_s3_header){{b->text->data + at->start, at->name_size},
                                        {b->text->data + at->value_start, at->value_size}};
    }
    pb_s3_canonical canonical = {
        .method = pb_s3_method(b->asked),
        .path = {b->text->data, b->path_size},
        .query = {b->text->data + b->query_start, b->query_size},
        .headers = headers,
        .header_count = count + 1,
        .payload = pb_slice_of(b->request->payload),
    };
    pb_s3_sign(frame->signer, frame->endpoint->region, date, &canonical, b->text);
    end_header(b);
}

int pb_s3_request_build(pb_s3_request *request, const pb_store_request *asked,
                        const pb_s3_request_frame *frame, pb_http_attempt *ret_attempt,
                        pb_error *error)
{
    builder b = {.request = request, .asked = asked, .frame = frame, .text = &request->text};
    pb_buffer_clear(b.text);
    if (asked->operation == PB_STORE_DELETE && !asked->key_count)
        return pb_error_set(error, PB_ERROR_USAGE, "no keys to delete");
    if (write_target(&b, error) || write_body(&b, error) || add_headers(&b, error))
        return -1;
    if (frame->signer)
        sign(&b);
    if ((asked->operation == PB_STORE_GET || asked->operation == PB_STORE_HEAD) && !frame->no_gzip)
        add_header(&b, "accept-encoding", PB_SLICE_LITERAL("gzip"));
    if (b.too_many)
        return pb_error_set(error, PB_ERROR_USAGE, "an object with too many headers of its own");
    ret_attempt->base_url = frame->endpoint->base_url;
    ret_attempt->target = b.text->data;
    for (size_t i = 0; i < b.line_count; i++)
        ret_attempt->headers[i] = b.text->data + b.lines[i].start;
    ret_attempt->header_count = b.line_count;
    ret_attempt->body = body_of(&b);
    return 0;
}
