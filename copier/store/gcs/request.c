#include "copier/store/gcs/request.h"

#include "base/base64.h"
#include "base/codec.h"
#include "copier/store/gcs/object_headers.h"

#define OBJECT_FIELDS "name,size,updated,generation,metageneration,md5Hash,crc32c"

enum { LIST_KEYS_MAX = 1000 };

typedef struct builder {
    pb_gcs_request *request;
    const pb_store_request *asked;
    const pb_gcs_request_frame *frame;
    bool has_query;
    size_t starts[PB_HTTP_HEADERS_MAX]; /* of header lines, in request->text */
    size_t count;
} builder;

void pb_gcs_request_free(pb_gcs_request *request)
{
    pb_buffer_wipe(&request->text);
    pb_buffer_free(&request->body);
}

bool pb_gcs_needs_session(const pb_store_request *asked)
{
    pb_slice type;
    return !pb_gcs_headers_are_a_type(asked->object_headers, &type);
}

bool pb_gcs_needs_source(const pb_store_request *asked)
{
    return asked->operation == PB_STORE_COPY && asked->if_match.size && !asked->if_version.size;
}

const char *pb_gcs_method(const pb_store_request *asked, pb_gcs_stage stage)
{
    switch (asked->operation) {
    case PB_STORE_CHECK:
    case PB_STORE_LIST:
    case PB_STORE_HEAD:
    case PB_STORE_GET:
        return "GET";
    case PB_STORE_PUT:
    case PB_STORE_COPY:
        return stage == PB_GCS_STAGE_SOURCE ? "GET" : "POST";
    case PB_STORE_MULTIPART_CREATE:
        return "POST";
    case PB_STORE_DELETE:
    case PB_STORE_MULTIPART_ABORT:
        return "DELETE";
    default:
        return "PUT";
    }
}

/* ---- target ---- */

static void append_text(builder *b, const char *text)
{
    pb_buffer_append_text(&b->request->text, text);
}

static void begin_parameter(builder *b, const char *name)
{
    pb_buffer_append_char(&b->request->text, b->has_query ? '&' : '?');
    b->has_query = true;
    append_text(b, name);
    append_text(b, "=");
}

static void add_parameter(builder *b, const char *name, pb_slice value)
{
    begin_parameter(b, name);
    pb_percent_encode(&b->request->text, value, false);
}

static void add_key_parameter(builder *b, const char *name, pb_slice key)
{
    begin_parameter(b, name);
    pb_percent_encode(&b->request->text, b->frame->prefix, false);
    pb_percent_encode(&b->request->text, key, false);
}

static int check_key(const builder *b, pb_slice key, pb_error *error)
{
    if (!key.size)
        return pb_error_set(error, PB_ERROR_USAGE, "an empty key");
    if (key.size + b->frame->prefix.size > PB_GCS_NAME_BYTES_MAX)
        return pb_error_set(error, PB_ERROR_FAILED, "a key of more than 1,024 bytes");
    /* https://cloud.google.com/storage/docs/objects#naming */
    if (memchr(key.data, '\n', key.size) || memchr(key.data, '\r', key.size) || !pb_utf8_valid(key))
        return pb_error_set(error, PB_ERROR_FAILED,
                            "a key with a line end, or not UTF-8: the store has no such names");
    return 0;
}

static void append_bucket(builder *b, const char *start, pb_slice bucket)
{
    append_text(b, start);
    pb_percent_encode(&b->request->text, bucket, false);
    append_text(b, "/o");
}

static void append_object(builder *b, pb_slice bucket, pb_slice prefix, pb_slice key,
                          const char *start)
{
    append_bucket(b, start, bucket);
    append_text(b, "/");
    pb_percent_encode(&b->request->text, prefix, false);
    pb_percent_encode(&b->request->text, key, false);
}

pb_slice pb_gcs_split_token(pb_slice token, pb_slice *ret_start)
{
    const char *end = memchr(token.data, '\n', token.size);
    size_t size = end ? (size_t)(end - token.data) : token.size;
    *ret_start = (pb_slice){NULL, 0};
    if (end)
        *ret_start = (pb_slice){end + 1, token.size - size - 1};
    return (pb_slice){token.data, size};
}

static void add_list_parameters(builder *b)
{
    const pb_store_request *asked = b->asked;
    unsigned keys_max = asked->operation == PB_STORE_CHECK ? 1 : asked->list.keys_max;
    if (!keys_max || keys_max > LIST_KEYS_MAX)
        keys_max = LIST_KEYS_MAX;
    if (asked->operation == PB_STORE_CHECK)
        add_parameter(b, "fields", PB_SLICE_LITERAL("nextPageToken"));
    else
        add_parameter(b, "fields",
                      PB_SLICE_LITERAL("kind,nextPageToken,prefixes,items(" OBJECT_FIELDS ")"));
    if (asked->list.delimiter)
        add_parameter(b, "delimiter", (pb_slice){&asked->list.delimiter, 1});
    pb_slice start = asked->list.after, token = asked->list.token;
    if (token.size)
        token = pb_gcs_split_token(token, &start);
    else if (start.size && keys_max < LIST_KEYS_MAX)
        keys_max++; /* startOffset includes the key to begin after */
    begin_parameter(b, "maxResults");
    pb_buffer_append_unsigned(&b->request->text, keys_max);
    if (b->frame->prefix.size || asked->list.prefix.size)
        add_key_parameter(b, "prefix", asked->list.prefix);
    if (token.size)
        add_parameter(b, "pageToken", token);
    if (start.size)
        add_key_parameter(b, "startOffset", start);
}

/* "GENERATION/METAGENERATION", as answers make versions: the first is what bytes depend on. */
static pb_slice generation_of(pb_slice version)
{
    const char *slash = version.size ? memchr(version.data, '/', version.size) : NULL;
    return slash ? (pb_slice){version.data, (size_t)(slash - version.data)} : version;
}

static void add_create_only(builder *b)
{
    if (b->asked->create_only)
        add_parameter(b, "ifGenerationMatch", PB_SLICE_LITERAL("0"));
}

static int write_upload_target(builder *b, const char *kind, pb_error *error)
{
    if (check_key(b, b->asked->key, error))
        return -1;
    append_bucket(b, "/upload/storage/v1/b/", b->frame->bucket);
    add_parameter(b, "uploadType", pb_slice_of(kind));
    add_key_parameter(b, "name", b->asked->key);
    add_parameter(b, "fields", PB_SLICE_LITERAL(OBJECT_FIELDS));
    add_create_only(b);
    return 0;
}

static int write_copy_target(builder *b, pb_error *error)
{
    const pb_store_request *asked = b->asked;
    const pb_gcs_request_frame *frame = b->frame;
    if (check_key(b, asked->key, error) || check_key(b, asked->source_key, error))
        return -1;
    append_object(b, frame->source_bucket, frame->source_prefix, asked->source_key,
                  "/storage/v1/b/");
    if (frame->stage == PB_GCS_STAGE_SOURCE) {
        add_parameter(b, "fields", PB_SLICE_LITERAL(OBJECT_FIELDS));
        return 0;
    }
    append_object(b, frame->bucket, frame->prefix, asked->key, "/rewriteTo/b/");
    add_parameter(
        b, "fields",
        PB_SLICE_LITERAL("done,rewriteToken,totalBytesRewritten,resource(" OBJECT_FIELDS ")"));
    if (asked->if_version.size)
        add_parameter(b, "ifSourceGenerationMatch", generation_of(asked->if_version));
    add_create_only(b);
    if (frame->rewrite_token.size)
        add_parameter(b, "rewriteToken", frame->rewrite_token);
    return 0;
}

static int write_target(builder *b, pb_error *error)
{
    const pb_store_request *asked = b->asked;
    const pb_gcs_request_frame *frame = b->frame;
    pb_slice key = asked->operation == PB_STORE_DELETE ? asked->keys[0] : asked->key;
    switch (asked->operation) {
    case PB_STORE_CHECK:
    case PB_STORE_LIST:
        append_bucket(b, "/storage/v1/b/", frame->bucket);
        add_list_parameters(b);
        break;
    case PB_STORE_HEAD:
    case PB_STORE_GET:
    case PB_STORE_DELETE:
        if (check_key(b, key, error))
            return -1;
        append_object(b, frame->bucket, frame->prefix, key, "/storage/v1/b/");
        if (asked->operation == PB_STORE_GET)
            add_parameter(b, "alt", PB_SLICE_LITERAL("media"));
        if (asked->operation != PB_STORE_DELETE && asked->if_version.size)
            add_parameter(b, "ifGenerationMatch", generation_of(asked->if_version));
        if (asked->operation == PB_STORE_HEAD)
            add_parameter(b, "fields",
                          PB_SLICE_LITERAL(OBJECT_FIELDS
                                           ",contentType,cacheControl,contentDisposition,"
                                           "contentEncoding,contentLanguage,metadata"));
        break;
    case PB_STORE_PUT:
        if (write_upload_target(b, frame->stage == PB_GCS_STAGE_SESSION ? "resumable" : "media",
                                error))
            return -1;
        break;
    case PB_STORE_COPY:
        if (write_copy_target(b, error))
            return -1;
        break;
    case PB_STORE_MULTIPART_CREATE:
        if (write_upload_target(b, "resumable", error))
            return -1;
        break;
    case PB_STORE_MULTIPART_PUT:
    case PB_STORE_MULTIPART_COMPLETE:
    case PB_STORE_MULTIPART_ABORT:
        /* The session's own target, parameters and all. */
        pb_buffer_append_slice(&b->request->text, asked->upload_id);
        pb_buffer_append_char(&b->request->text, '\0');
        return 0;
    default:
        return pb_error_set(error, PB_ERROR_USAGE, "no such operation");
    }
    if (frame->user_project.size)
        add_parameter(b, "userProject", frame->user_project);
    pb_buffer_append_char(&b->request->text, '\0');
    return 0;
}

/* ---- headers ---- */

static void begin_header(builder *b, const char *name)
{
    b->starts[b->count++] = b->request->text.size;
    append_text(b, name);
    append_text(b, ": ");
}

static void end_header(builder *b)
{
    pb_buffer_append_char(&b->request->text, '\0');
}

static void add_header(builder *b, const char *name, pb_slice value)
{
    begin_header(b, name);
    pb_buffer_append_slice(&b->request->text, value);
    end_header(b);
}

static void add_read_range(builder *b)
{
    uint64_t offset = b->asked->offset, length = b->asked->length;
    if (!offset && !length)
        return;
    begin_header(b, "Range");
    append_text(b, "bytes=");
    pb_buffer_append_unsigned(&b->request->text, offset);
    append_text(b, "-");
    if (length && length - 1 <= UINT64_MAX - offset)
        pb_buffer_append_unsigned(&b->request->text, offset + length - 1);
    end_header(b);
}

/* First, last and total; a star stands for the total before the last chunk, and for first and last
 * where there are no bytes. */
static void add_content_range(builder *b, uint64_t first, uint64_t bytes, bool last)
{
    pb_buffer *text = &b->request->text;
    begin_header(b, "Content-Range");
    append_text(b, "bytes ");
    if (bytes) {
        pb_buffer_append_unsigned(text, first);
        append_text(b, "-");
        pb_buffer_append_unsigned(text, first + bytes - 1);
    } else {
        append_text(b, "*");
    }
    append_text(b, "/");
    if (last)
        pb_buffer_append_unsigned(text, first + bytes);
    else
        append_text(b, "*");
    end_header(b);
}

/* X-Goog-Hash: the object is not made where its bytes have another. */
static void add_crc32c(builder *b, const uint8_t *crc32c)
{
    if (!crc32c)
        return;
    begin_header(b, "X-Goog-Hash");
    append_text(b, "crc32c=");
    pb_base64_encode(&b->request->text, (pb_slice){(const char *)crc32c, PB_CRC32C_BYTES});
    end_header(b);
}

static int write_headers(builder *b, pb_slice *ret_body, pb_error *error)
{
    const pb_store_request *asked = b->asked;
    pb_slice type;
    if (b->frame->bearer_token.size) {
        begin_header(b, "Authorization");
        append_text(b, "Bearer ");
        pb_buffer_append_slice(&b->request->text, b->frame->bearer_token);
        end_header(b);
    }
    switch (asked->operation) {
    case PB_STORE_GET:
        /* Else an object that is stored as gzip comes decoded:
         * https://cloud.google.com/storage/docs/transcoding */
        add_header(b, "Accept-Encoding", PB_SLICE_LITERAL("gzip"));
        add_read_range(b);
        return 0;
    case PB_STORE_PUT:
        if (b->frame->stage == PB_GCS_STAGE_ONLY) {
            pb_gcs_headers_are_a_type(asked->object_headers, &type);
            add_header(b, "Content-Type",
                       type.size ? type : PB_SLICE_LITERAL("application/octet-stream"));
            add_crc32c(b, b->frame->body_crc32c);
            *ret_body = asked->body;
            return 0;
        }
        break;
    case PB_STORE_MULTIPART_CREATE:
        break;
    case PB_STORE_MULTIPART_PUT:
        if (b->frame->stage == PB_GCS_STAGE_POSITION) {
            add_header(b, "Content-Range", PB_SLICE_LITERAL("bytes */*"));
            return 0;
        }
        add_content_range(b, asked->part_offset, asked->body.size, asked->part_last);
        if (asked->part_last)
            add_crc32c(b, asked->object_crc32c);
        *ret_body = asked->body;
        return 0;
    case PB_STORE_MULTIPART_COMPLETE:
        add_content_range(b, asked->upload_bytes, 0, true);
        add_crc32c(b, asked->object_crc32c);
        return 0;
    default:
        return 0;
    }
    /* A session begins with what the object is to be. */
    add_header(b, "Content-Type", PB_SLICE_LITERAL("application/json"));
    pb_buffer_clear(&b->request->body);
    if (pb_gcs_headers_to_resource(asked->object_headers, &b->request->body, error))
        return -1;
    *ret_body = pb_buffer_slice(&b->request->body);
    return 0;
}

int pb_gcs_request_build(pb_gcs_request *request, const pb_store_request *asked,
                         const pb_gcs_request_frame *frame, pb_http_attempt *ret_attempt,
                         pb_error *error)
{
    builder b = {.request = request, .asked = asked, .frame = frame};
    pb_slice body = {NULL, 0};
    pb_buffer_clear(&request->text);
    if (write_target(&b, error) || write_headers(&b, &body, error))
        return -1;
    *ret_attempt = (pb_http_attempt){
        .base_url = frame->base_url,
        .target = request->text.data,
        .header_count = b.count,
        .body = body,
    };
    for (size_t i = 0; i < b.count; i++)
        ret_attempt->headers[i] = request->text.data + b.starts[i];
    return 0;
}
