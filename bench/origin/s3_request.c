#include "bench/origin/s3_request.h"
#include "bench/origin/bucket.h"
#include <stdlib.h>

static const struct {
    const char *name;
    bool writes;
} operations[PB_ORIGIN_OPERATION_COUNT] = {
    [PB_ORIGIN_LIST_BUCKETS] = {"ListBuckets", false},
    [PB_ORIGIN_CREATE_BUCKET] = {"CreateBucket", true},
    [PB_ORIGIN_DELETE_BUCKET] = {"DeleteBucket", true},
    [PB_ORIGIN_HEAD_BUCKET] = {"HeadBucket", false},
    [PB_ORIGIN_GET_BUCKET_LOCATION] = {"GetBucketLocation", false},
    [PB_ORIGIN_GET_BUCKET_VERSIONING] = {"GetBucketVersioning", false},
    [PB_ORIGIN_LIST_OBJECTS] = {"ListObjects", false},
    [PB_ORIGIN_LIST_OBJECTS_V2] = {"ListObjectsV2", false},
    [PB_ORIGIN_LIST_MULTIPART_UPLOADS] = {"ListMultipartUploads", false},
    [PB_ORIGIN_DELETE_OBJECTS] = {"DeleteObjects", true},
    [PB_ORIGIN_GET_OBJECT] = {"GetObject", false},
    [PB_ORIGIN_HEAD_OBJECT] = {"HeadObject", false},
    [PB_ORIGIN_GET_OBJECT_TAGGING] = {"GetObjectTagging", false},
    [PB_ORIGIN_PUT_OBJECT] = {"PutObject", true},
    [PB_ORIGIN_COPY_OBJECT] = {"CopyObject", true},
    [PB_ORIGIN_DELETE_OBJECT] = {"DeleteObject", true},
    [PB_ORIGIN_CREATE_MULTIPART_UPLOAD] = {"CreateMultipartUpload", true},
    [PB_ORIGIN_UPLOAD_PART] = {"UploadPart", true},
    [PB_ORIGIN_UPLOAD_PART_COPY] = {"UploadPartCopy", true},
    [PB_ORIGIN_COMPLETE_MULTIPART_UPLOAD] = {"CompleteMultipartUpload", true},
    [PB_ORIGIN_ABORT_MULTIPART_UPLOAD] = {"AbortMultipartUpload", true},
    [PB_ORIGIN_LIST_PARTS] = {"ListParts", false},
    [PB_ORIGIN_NOT_IMPLEMENTED] = {"NotImplemented", false},
    [PB_ORIGIN_METHOD_NOT_ALLOWED] = {"MethodNotAllowed", false},
    [PB_ORIGIN_BAD_REQUEST] = {"BadRequest", false},
    [PB_ORIGIN_GCS_BUCKETS_GET] = {"buckets.get", false},
    [PB_ORIGIN_GCS_BUCKETS_INSERT] = {"buckets.insert", true},
    [PB_ORIGIN_GCS_OBJECTS_LIST] = {"objects.list", false},
    [PB_ORIGIN_GCS_OBJECTS_GET] = {"objects.get", false},
    [PB_ORIGIN_GCS_OBJECTS_DOWNLOAD] = {"objects.download", false},
    [PB_ORIGIN_GCS_OBJECTS_INSERT] = {"objects.insert", true},
    [PB_ORIGIN_GCS_UPLOAD_START] = {"uploads.start", true},
    [PB_ORIGIN_GCS_UPLOAD_CHUNK] = {"uploads.chunk", true},
    [PB_ORIGIN_GCS_UPLOAD_STATUS] = {"uploads.status", true},
    [PB_ORIGIN_GCS_UPLOAD_CANCEL] = {"uploads.cancel", true},
    [PB_ORIGIN_GCS_OBJECTS_REWRITE] = {"objects.rewrite", true},
    [PB_ORIGIN_GCS_OBJECTS_COMPOSE] = {"objects.compose", true},
    [PB_ORIGIN_GCS_OBJECTS_PATCH] = {"objects.patch", true},
    [PB_ORIGIN_GCS_OBJECTS_DELETE] = {"objects.delete", true},
    [PB_ORIGIN_GCS_BATCH] = {"batch", false}, /* what is in it is looked at one by one */
    [PB_ORIGIN_GCS_REFUSED] = {"gcs-refused", false},
    [PB_ORIGIN_STATISTICS] = {"origin-statistics", false},
    [PB_ORIGIN_STATISTICS_RESET] = {"origin-statistics-reset", false},
    [PB_ORIGIN_FAULTS] = {"origin-faults", false},
    [PB_ORIGIN_KEYS] = {"origin-keys", false},
    [PB_ORIGIN_GCS_TOKENS] = {"origin-gcs-tokens", false},
};

/* Subresources of S3 that are not served here: answered 501 rather than taken for something else.
 */
static const char *const unserved[] = {
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "tagging",
    "torrent",
    "versions",
    "website",
};

const char *pb_origin_operation_name(pb_origin_operation operation)
{
    return operations[operation].name;
}

bool pb_origin_operation_parse(pb_slice name, pb_origin_operation *ret_operation)
{
    for (int i = 0; i < PB_ORIGIN_OPERATION_COUNT; i++) {
        if (pb_slice_equal(name, pb_slice_of(operations[i].name))) {
            *ret_operation = (pb_origin_operation)i;
            return true;
        }
    }
    return false;
}

bool pb_origin_operation_writes(pb_origin_operation operation)
{
    return operations[operation].writes;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool pb_origin_decode(pb_slice text, bool plus_is_space, char *memory, pb_slice *ret_decoded)
{
    char *out = memory;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *out++ = c;
    }
    *ret_decoded = (pb_slice){memory, (size_t)(out - memory)};
    return true;
}

const pb_origin_parameter *pb_origin_s3_parameter(const pb_origin_s3_request *s3, const char *name)
{
    pb_slice wanted = pb_slice_of(name);
    for (size_t i = 0; i < s3->parameter_count; i++) {
        if (pb_slice_equal(s3->parameters[i].name, wanted)) {
            return &s3->parameters[i];
        }
    }
    return NULL;
}

bool pb_origin_read_parameters(pb_origin_s3_request *s3, pb_slice query, char *memory)
{
    while (query.size > 0) {
        const char *end = memchr(query.data, '&', query.size);
        size_t size = end ? (size_t)(end - query.data) : query.size;
        pb_slice pair = {query.data, size};
        query.data += size + (end ? 1 : 0);
        query.size -= size + (end ? 1 : 0);
        if (size == 0) {
            continue;
        }
        if (s3->parameter_count == PB_ORIGIN_PARAMETERS_MAX) {
            return false;
        }
        const char *equals = memchr(pair.data, '=', pair.size);
        pb_slice name = {pair.data, equals ? (size_t)(equals - pair.data) : pair.size};
        pb_slice value = {NULL, 0};
        if (equals) {
            value = (pb_slice){equals + 1, pair.size - name.size - 1};
        }
        pb_origin_parameter *parameter = &s3->parameters[s3->parameter_count++];
        if (!pb_origin_decode(name, true, memory, &parameter->name) ||
            !pb_origin_decode(value, true, memory + name.size, &parameter->value)) {
            return false;
        }
        memory += pair.size;
    }
    return true;
}

/* The bucket of a virtual-host style Host; empty where the request is path style. */
static pb_slice host_bucket(const pb_origin_request *request, const char *virtual_host)
{
    pb_slice host = pb_origin_request_header(request, "host");
    const char *colon = host.size > 0 ? memchr(host.data, ':', host.size) : NULL;
    if (colon) {
        host.size = (size_t)(colon - host.data);
    }
    size_t domain = strlen(virtual_host);
    if (host.size <= domain + 1 || host.data[host.size - domain - 1] != '.' ||
        memcmp(host.data + host.size - domain, virtual_host, domain) != 0) {
        return (pb_slice){NULL, 0};
    }
    return (pb_slice){host.data, host.size - domain - 1};
}

static pb_origin_operation own_call(pb_slice method, const pb_origin_s3_request *s3)
{
    bool puts = pb_slice_equal(method, PB_SLICE_LITERAL("PUT"));
    if (pb_origin_s3_parameter(s3, "origin-statistics")) {
        return puts ? PB_ORIGIN_STATISTICS_RESET : PB_ORIGIN_STATISTICS;
    }
    if (puts && pb_origin_s3_parameter(s3, "origin-faults")) {
        return PB_ORIGIN_FAULTS;
    }
    if (puts && pb_origin_s3_parameter(s3, "origin-keys")) {
        return PB_ORIGIN_KEYS;
    }
    if (puts && pb_origin_s3_parameter(s3, "origin-gcs-tokens")) {
        return PB_ORIGIN_GCS_TOKENS;
    }
    return PB_ORIGIN_OPERATION_COUNT;
}

static pb_origin_operation bucket_operation(char method, const pb_origin_s3_request *s3)
{
    switch (method) {
    case 'G':
        if (pb_origin_s3_parameter(s3, "location")) {
            return PB_ORIGIN_GET_BUCKET_LOCATION;
        }
        if (pb_origin_s3_parameter(s3, "versioning")) {
            return PB_ORIGIN_GET_BUCKET_VERSIONING;
        }
        if (pb_origin_s3_parameter(s3, "uploads")) {
            return PB_ORIGIN_LIST_MULTIPART_UPLOADS;
        }
        return pb_origin_s3_parameter(s3, "list-type") ? PB_ORIGIN_LIST_OBJECTS_V2
                                                       : PB_ORIGIN_LIST_OBJECTS;
    case 'H':
        return PB_ORIGIN_HEAD_BUCKET;
    case 'P': /* PUT */
        return pb_origin_s3_parameter(s3, "versioning") ? PB_ORIGIN_NOT_IMPLEMENTED
                                                        : PB_ORIGIN_CREATE_BUCKET;
    case 'O': /* POST */
        return pb_origin_s3_parameter(s3, "delete") ? PB_ORIGIN_DELETE_OBJECTS
                                                    : PB_ORIGIN_NOT_IMPLEMENTED;
    case 'D':
        return PB_ORIGIN_DELETE_BUCKET;
    default:
        return PB_ORIGIN_METHOD_NOT_ALLOWED;
    }
}

static pb_origin_operation object_operation(char method, const pb_origin_s3_request *s3,
                                            bool is_copy)
{
    bool has_upload = pb_origin_s3_parameter(s3, "uploadId") != NULL;
    switch (method) {
    case 'G':
        return has_upload ? PB_ORIGIN_LIST_PARTS : PB_ORIGIN_GET_OBJECT;
    case 'H':
        return PB_ORIGIN_HEAD_OBJECT;
    case 'P':
        if (has_upload || pb_origin_s3_parameter(s3, "partNumber")) {
            return is_copy ? PB_ORIGIN_UPLOAD_PART_COPY : PB_ORIGIN_UPLOAD_PART;
        }
        return is_copy ? PB_ORIGIN_COPY_OBJECT : PB_ORIGIN_PUT_OBJECT;
    case 'O':
        if (pb_origin_s3_parameter(s3, "uploads")) {
            return PB_ORIGIN_CREATE_MULTIPART_UPLOAD;
        }
        return has_upload ? PB_ORIGIN_COMPLETE_MULTIPART_UPLOAD : PB_ORIGIN_NOT_IMPLEMENTED;
    case 'D':
        return has_upload ? PB_ORIGIN_ABORT_MULTIPART_UPLOAD : PB_ORIGIN_DELETE_OBJECT;
    default:
        return PB_ORIGIN_METHOD_NOT_ALLOWED;
    }
}

static pb_origin_operation bad(pb_origin_s3_request *s3, const char *code)
{
    s3->code = code;
    return PB_ORIGIN_BAD_REQUEST;
}

static char method_letter(pb_slice method)
{
    static const struct {
        const char *name;
        char letter;
    } methods[] = {{"GET", 'G'}, {"PUT", 'P'}, {"HEAD", 'H'}, {"POST", 'O'}, {"DELETE", 'D'}};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (pb_slice_equal(method, pb_slice_of(methods[i].name))) {
            return methods[i].letter;
        }
    }
    return 0;
}

static pb_origin_operation
find_operation(pb_origin_s3_request *s3, const pb_origin_request *request, const char *virtual_host)
{
    bool is_query_sound =
        pb_origin_read_parameters(s3, request->query, s3->memory + request->path.size);
    if (!pb_origin_decode(request->path, false, s3->memory, &s3->path) || !is_query_sound) {
        return bad(s3, "InvalidURI");
    }
    if (s3->path.size == 1) {
        pb_origin_operation own = own_call(request->method, s3);
        if (own != PB_ORIGIN_OPERATION_COUNT) {
            return own;
        }
    }
    s3->key = pb_slice_from(s3->path, 1);
    if (virtual_host) {
        s3->bucket = host_bucket(request, virtual_host);
    }
    if (s3->bucket.size == 0) {
        const char *slash = s3->key.size > 0 ? memchr(s3->key.data, '/', s3->key.size) : NULL;
        s3->bucket = s3->key;
        s3->key = (pb_slice){NULL, 0};
        if (slash) {
            s3->bucket.size = (size_t)(slash - s3->bucket.data);
            s3->key = (pb_slice){slash + 1, s3->path.size - 2 - s3->bucket.size};
        }
    }
    char method = method_letter(request->method);
    if (!method) {
        return PB_ORIGIN_METHOD_NOT_ALLOWED;
    }
    if (s3->bucket.size == 0) {
        if (s3->key.size > 0) {
            return bad(s3, "InvalidBucketName");
        }
        return method == 'G' ? PB_ORIGIN_LIST_BUCKETS : PB_ORIGIN_METHOD_NOT_ALLOWED;
    }
    if (s3->key.size > PB_ORIGIN_KEY_BYTES_MAX) {
        return bad(s3, "KeyTooLongError");
    }
    if (method == 'G' && s3->key.size > 0 && pb_origin_s3_parameter(s3, "tagging")) {
        return PB_ORIGIN_GET_OBJECT_TAGGING;
    }
    for (size_t i = 0; i < s3->parameter_count; i++) {
        for (size_t j = 0; j < sizeof(unserved) / sizeof(unserved[0]); j++) {
            if (pb_slice_equal(s3->parameters[i].name, pb_slice_of(unserved[j]))) {
                return PB_ORIGIN_NOT_IMPLEMENTED;
            }
        }
    }
    if (s3->key.size == 0) {
        return bucket_operation(method, s3);
    }
    bool is_copy = method == 'P' && pb_origin_request_header(request, "x-amz-copy-source").data;
    return object_operation(method, s3, is_copy);
}

void pb_origin_s3_request_read(pb_origin_s3_request *s3, const pb_origin_request *request,
                               const char *virtual_host)
{
    size_t needed = request->path.size + request->query.size + 1;
    if (needed > s3->memory_bytes) {
        s3->memory_bytes = needed + 512;
        free(s3->memory);
        s3->memory = pb_allocate(s3->memory_bytes);
    }
    s3->code = NULL;
    s3->bucket = s3->key = s3->path = (pb_slice){NULL, 0};
    s3->parameter_count = 0;
    s3->is_head = pb_slice_equal(request->method, PB_SLICE_LITERAL("HEAD"));
    s3->operation = find_operation(s3, request, virtual_host);
}

void pb_origin_s3_request_free(pb_origin_s3_request *s3)
{
    free(s3->memory);
    *s3 = (pb_origin_s3_request){0};
}

bool pb_origin_copy_source(pb_slice source, char *memory, pb_slice *ret_bucket, pb_slice *ret_key)
{
    const char *mark = source.size > 0 ? memchr(source.data, '?', source.size) : NULL;
    if (mark) {
        pb_slice version = {mark, source.size - (size_t)(mark - source.data)};
        if (!pb_slice_equal(version, PB_SLICE_LITERAL("?versionId=null"))) {
            return false;
        }
        source.size = (size_t)(mark - source.data);
    }
    pb_slice decoded;
    if (!pb_origin_decode(source, false, memory, &decoded)) {
        return false;
    }
    if (decoded.size > 0 && decoded.data[0] == '/') {
        decoded.data++;
        decoded.size--;
    }
    const char *slash = decoded.size > 0 ? memchr(decoded.data, '/', decoded.size) : NULL;
    if (!slash || slash == decoded.data) {
        return false;
    }
    *ret_bucket = (pb_slice){decoded.data, (size_t)(slash - decoded.data)};
    *ret_key = (pb_slice){slash + 1, decoded.size - ret_bucket->size - 1};
    return ret_key->size > 0 && ret_key->size <= PB_ORIGIN_KEY_BYTES_MAX;
}
