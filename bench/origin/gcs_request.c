#include "bench/origin/gcs_request.h"
#include "base/codec.h"
#include "bench/origin/bucket.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEGMENTS_MAX = 10 };

#define CONDITIONS                                                                                 \
    "ifGenerationMatch ifGenerationNotMatch ifMetagenerationMatch ifMetagenerationNotMatch "

/* Parameters that an operation takes beside those of all. */
static const char *const parameters_of[PB_ORIGIN_OPERATION_COUNT] = {
    [PB_ORIGIN_GCS_BUCKETS_GET] = "ifMetagenerationMatch ifMetagenerationNotMatch projection ",
    [PB_ORIGIN_GCS_BUCKETS_INSERT] = "project projection ",
    [PB_ORIGIN_GCS_OBJECTS_LIST] = "prefix delimiter startOffset endOffset pageToken maxResults "
                                   "includeTrailingDelimiter projection versions ",
    [PB_ORIGIN_GCS_OBJECTS_GET] = CONDITIONS "generation projection ",
    [PB_ORIGIN_GCS_OBJECTS_DOWNLOAD] = CONDITIONS "generation projection ",
    [PB_ORIGIN_GCS_OBJECTS_INSERT] = CONDITIONS "uploadType name contentEncoding projection ",
    [PB_ORIGIN_GCS_UPLOAD_START] = CONDITIONS "uploadType name contentEncoding projection ",
    [PB_ORIGIN_GCS_UPLOAD_CHUNK] = CONDITIONS "uploadType upload_id name contentEncoding "
                                              "projection ",
    [PB_ORIGIN_GCS_UPLOAD_STATUS] = CONDITIONS "uploadType upload_id name contentEncoding "
                                               "projection ",
    [PB_ORIGIN_GCS_UPLOAD_CANCEL] = CONDITIONS "uploadType upload_id name contentEncoding "
                                               "projection ",
    [PB_ORIGIN_GCS_OBJECTS_REWRITE] =
        CONDITIONS "ifSourceGenerationMatch ifSourceGenerationNotMatch "
                   "ifSourceMetagenerationMatch ifSourceMetagenerationNotMatch sourceGeneration "
                   "maxBytesRewrittenPerCall rewriteToken projection ",
    [PB_ORIGIN_GCS_OBJECTS_COMPOSE] = "ifGenerationMatch ifMetagenerationMatch ",
    [PB_ORIGIN_GCS_OBJECTS_PATCH] = CONDITIONS "generation projection ",
    [PB_ORIGIN_GCS_OBJECTS_DELETE] = CONDITIONS "generation ",
    [PB_ORIGIN_GCS_BATCH] = "",
};

static const char common_parameters[] = "alt fields key prettyPrint quotaUser userIp userProject ";
/* Google's, but nothing here does what they say. */
static const char unserved_parameters[] =
    "copySourceAcl destinationKmsKeyName destinationPredefinedAcl dropContextGroups "
    "enableObjectRetention filter includeFoldersAsPrefixes kmsKeyName matchGlob predefinedAcl "
    "predefinedDefaultObjectAcl restoreToken softDeleted ";
static const char number_parameters[] =
    CONDITIONS "ifSourceGenerationMatch ifSourceGenerationNotMatch ifSourceMetagenerationMatch "
               "ifSourceMetagenerationNotMatch generation sourceGeneration maxResults "
               "maxBytesRewrittenPerCall ";
static const char boolean_parameters[] = "includeTrailingDelimiter prettyPrint versions ";

/* Whether a name is one of the words, each with a space behind it. */
static bool is_word(pb_slice name, const char *words)
{
    while (words && *words) {
        const char *space = strchr(words, ' ');
        if (pb_slice_equal(name, (pb_slice){words, (size_t)(space - words)})) {
            return true;
        }
        words = space + 1;
    }
    return false;
}

static pb_origin_operation refuse(pb_origin_gcs_request *gcs, int status, const char *reason,
                                  pb_slice location, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static pb_origin_operation refuse(pb_origin_gcs_request *gcs, int status, const char *reason,
                                  pb_slice location, const char *format, ...)
{
    pb_origin_gcs_refusal *refusal = &gcs->refusal;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(refusal->message, sizeof(refusal->message), format, arguments);
    va_end(arguments);
    pb_text_make_line(refusal->message);
    snprintf(refusal->location, sizeof(refusal->location), "%.*s", PB_SLICE_FORMAT(location));
    pb_text_make_line(refusal->location);
    refusal->status = status;
    refusal->reason = reason;
    return PB_ORIGIN_GCS_REFUSED;
}

static const pb_slice nowhere = {NULL, 0};

pb_slice pb_origin_gcs_value(const pb_origin_s3_request *s3, const char *name)
{
    const pb_origin_parameter *parameter = pb_origin_s3_parameter(s3, name);
    return parameter ? parameter->value : nowhere;
}

const char *pb_origin_gcs_name_fault(pb_slice name)
{
    if (name.size == 0) {
        return "Required";
    }
    if (name.size > PB_ORIGIN_KEY_BYTES_MAX) {
        return "The specified object name is too long: at most 1024 bytes of UTF-8.";
    }
    if (!pb_utf8_valid(name) || memchr(name.data, '\r', name.size) ||
        memchr(name.data, '\n', name.size) || pb_slice_equal(name, PB_SLICE_LITERAL(".")) ||
        pb_slice_equal(name, PB_SLICE_LITERAL("..")) ||
        pb_slice_starts_with(name, PB_SLICE_LITERAL(".well-known/acme-challenge/"))) {
        return "Disallowed unicode characters or form in the object name.";
    }
    return NULL;
}

static bool is_boolean(pb_slice value)
{
    return pb_slice_equal(value, PB_SLICE_LITERAL("true")) ||
           pb_slice_equal(value, PB_SLICE_LITERAL("false"));
}

/* Names and values of all parameters. */
static bool check_parameters(const pb_origin_s3_request *s3, pb_origin_gcs_request *gcs,
                             pb_origin_operation operation)
{
    for (size_t i = 0; i < s3->parameter_count; i++) {
        pb_slice name = s3->parameters[i].name;
        pb_slice value = s3->parameters[i].value;
        uint64_t number;
        bool is_sound = true;
        if (is_word(name, unserved_parameters)) {
            refuse(gcs, 501, "notImplemented", name, "origin does not serve \"%.*s\".",
                   PB_SLICE_FORMAT(name));
            return false;
        }
        if (!is_word(name, common_parameters) && !is_word(name, parameters_of[operation])) {
            refuse(gcs, 400, "invalidParameter", name, "Unknown parameter \"%.*s\".",
                   PB_SLICE_FORMAT(name));
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (pb_slice_equal(s3->parameters[j].name, name)) {
                refuse(gcs, 400, "invalidParameter", name, "\"%.*s\" is given twice.",
                       PB_SLICE_FORMAT(name));
                return false;
            }
        }
        if (is_word(name, number_parameters)) {
            is_sound = pb_parse_unsigned(value, &number) && number <= INT64_MAX;
            if (pb_slice_equal(name, PB_SLICE_LITERAL("maxResults"))) {
                is_sound = is_sound && number >= 1 && number <= INT32_MAX;
            }
        } else if (is_word(name, boolean_parameters)) {
            is_sound = is_boolean(value);
        } else if (pb_slice_equal(name, PB_SLICE_LITERAL("projection"))) {
            is_sound = pb_slice_equal(value, PB_SLICE_LITERAL("full")) ||
                       pb_slice_equal(value, PB_SLICE_LITERAL("noAcl"));
        } else if (pb_slice_equal(name, PB_SLICE_LITERAL("alt"))) {
            is_sound = pb_slice_equal(value, PB_SLICE_LITERAL("json")) ||
                       operation == PB_ORIGIN_GCS_OBJECTS_DOWNLOAD;
        }
        if (!is_sound) {
            refuse(gcs, 400, "invalidParameter", name, "Invalid value for %.*s: \"%.*s\"",
                   PB_SLICE_FORMAT(name), PB_SLICE_FORMAT(value));
            return false;
        }
    }
    return true;
}

static bool check_fields(const pb_origin_s3_request *s3, pb_origin_gcs_request *gcs,
                         pb_origin_operation operation)
{
    const pb_origin_parameter *fields = pb_origin_s3_parameter(s3, "fields");
    if (!fields || operation == PB_ORIGIN_GCS_OBJECTS_DOWNLOAD) {
        return true;
    }
    pb_origin_gcs_shape shape = PB_ORIGIN_GCS_SHAPE_OBJECT;
    if (operation == PB_ORIGIN_GCS_OBJECTS_LIST) {
        shape = PB_ORIGIN_GCS_SHAPE_LIST;
    } else if (operation == PB_ORIGIN_GCS_OBJECTS_REWRITE) {
        shape = PB_ORIGIN_GCS_SHAPE_REWRITE;
    } else if (operation == PB_ORIGIN_GCS_BUCKETS_GET ||
               operation == PB_ORIGIN_GCS_BUCKETS_INSERT) {
        shape = PB_ORIGIN_GCS_SHAPE_BUCKET;
    }
    pb_slice wrong;
    if (!pb_origin_gcs_fields_parse(fields->value, shape, &gcs->fields, &wrong)) {
        refuse(gcs, 400, "invalidParameter", PB_SLICE_LITERAL("fields"),
               "Invalid field selection %.*s", PB_SLICE_FORMAT(wrong));
        return false;
    }
    return true;
}

static pb_origin_gcs_condition condition_of(const pb_origin_s3_request *s3, const char *name)
{
    pb_origin_gcs_condition condition = {false, 0};
    pb_slice value = pb_origin_gcs_value(s3, name);
    condition.asked = value.data && pb_parse_unsigned(value, &condition.value);
    return condition;
}

static void read_conditions(const pb_origin_s3_request *s3, pb_origin_gcs_request *gcs)
{
    gcs->conditions = (pb_origin_gcs_conditions){
        .generation_match = condition_of(s3, "ifGenerationMatch"),
        .generation_not_match = condition_of(s3, "ifGenerationNotMatch"),
        .metageneration_match = condition_of(s3, "ifMetagenerationMatch"),
        .metageneration_not_match = condition_of(s3, "ifMetagenerationNotMatch"),
        .generation = condition_of(s3, "generation"),
    };
    gcs->source_conditions = (pb_origin_gcs_conditions){
        .generation_match = condition_of(s3, "ifSourceGenerationMatch"),
        .generation_not_match = condition_of(s3, "ifSourceGenerationNotMatch"),
        .metageneration_match = condition_of(s3, "ifSourceMetagenerationMatch"),
        .metageneration_not_match = condition_of(s3, "ifSourceMetagenerationNotMatch"),
        .generation = condition_of(s3, "sourceGeneration"),
    };
}

static bool is_segment(pb_slice segment, const char *text)
{
    return pb_slice_equal(segment, pb_slice_of(text));
}

/* What the path and the method mean. Segments are decoded one by one: a slash inside a name comes
 * as %2F, and an object's name that brings a bare one is another path. */
static pb_origin_operation find_storage(pb_origin_s3_request *s3, pb_origin_gcs_request *gcs,
                                        pb_slice method, const pb_slice *segments, size_t count)
{
    bool gets = is_segment(method, "GET");
    bool posts = is_segment(method, "POST");
    if (count == 0 || !is_segment(segments[0], "b") ||
        (count > 2 && !is_segment(segments[2], "o"))) {
        return refuse(gcs, 404, "notFound", nowhere, "Not Found");
    }
    s3->bucket = count > 1 ? segments[1] : nowhere;
    s3->key = count > 3 ? segments[3] : nowhere;
    if (count == 1 && posts) {
        return PB_ORIGIN_GCS_BUCKETS_INSERT;
    }
    if (count == 2 && gets) {
        return PB_ORIGIN_GCS_BUCKETS_GET;
    }
    if (count == 3 && gets) {
        return PB_ORIGIN_GCS_OBJECTS_LIST;
    }
    if (count == 4 && gets) {
        return is_segment(pb_origin_gcs_value(s3, "alt"), "media") ? PB_ORIGIN_GCS_OBJECTS_DOWNLOAD
                                                                   : PB_ORIGIN_GCS_OBJECTS_GET;
    }
    if (count == 4 && is_segment(method, "DELETE")) {
        return PB_ORIGIN_GCS_OBJECTS_DELETE;
    }
    if (count == 4 && is_segment(method, "PATCH")) {
        return PB_ORIGIN_GCS_OBJECTS_PATCH;
    }
    if (count == 5 && posts && is_segment(segments[4], "compose")) {
        return PB_ORIGIN_GCS_OBJECTS_COMPOSE;
    }
    if (count == 9 && posts && is_segment(segments[4], "rewriteTo") &&
        is_segment(segments[5], "b") && is_segment(segments[7], "o")) {
        gcs->target_bucket = segments[6];
        gcs->target_key = segments[8];
        return PB_ORIGIN_GCS_OBJECTS_REWRITE;
    }
    if ((count == 4 && is_segment(method, "PUT")) ||
        (count == 9 && is_segment(segments[4], "copyTo"))) {
        return refuse(gcs, 501, "notImplemented", nowhere, "origin has no objects.update and copy");
    }
    return count <= 4 ? refuse(gcs, 405, "httpMethodNotAllowed", nowhere, "Method Not Allowed")
                      : refuse(gcs, 404, "notFound", nowhere, "Not Found");
}

static pb_origin_operation find_upload(pb_origin_s3_request *s3, pb_origin_gcs_request *gcs,
                                       const pb_origin_request *request, const pb_slice *segments,
                                       size_t count)
{
    if (count != 3 || !is_segment(segments[0], "b") || !is_segment(segments[2], "o")) {
        return refuse(gcs, 404, "notFound", nowhere, "Not Found");
    }
    s3->bucket = segments[1];
    pb_slice type = pb_origin_gcs_value(s3, "uploadType");
    gcs->upload_id = pb_origin_gcs_value(s3, "upload_id");
    bool is_resumable = is_segment(type, "resumable");
    if (gcs->upload_id.data) {
        if (is_segment(request->method, "DELETE")) {
            return PB_ORIGIN_GCS_UPLOAD_CANCEL;
        }
        if (!is_segment(request->method, "PUT")) {
            return refuse(gcs, 405, "httpMethodNotAllowed", nowhere, "Method Not Allowed");
        }
        pb_slice range = pb_origin_request_header(request, "content-range");
        bool asks = request->content_length == 0 && !request->is_chunked &&
                    pb_slice_starts_with(range, PB_SLICE_LITERAL("bytes */"));
        return asks ? PB_ORIGIN_GCS_UPLOAD_STATUS : PB_ORIGIN_GCS_UPLOAD_CHUNK;
    }
    if (!is_segment(request->method, "POST")) {
        return refuse(gcs, 405, "httpMethodNotAllowed", nowhere, "Method Not Allowed");
    }
    if (is_resumable) {
        return PB_ORIGIN_GCS_UPLOAD_START;
    }
    if (!is_segment(type, "media") && !is_segment(type, "multipart")) {
        return refuse(gcs, 400, "invalidParameter", PB_SLICE_LITERAL("uploadType"),
                      "Invalid upload type: \"%.*s\"", PB_SLICE_FORMAT(type));
    }
    return PB_ORIGIN_GCS_OBJECTS_INSERT;
}

static pb_origin_operation find_operation(pb_origin_s3_request *s3, pb_origin_gcs_request *gcs,
                                          const pb_origin_request *request)
{
    char *memory = s3->memory;
    if (!pb_origin_read_parameters(s3, request->query, memory)) {
        return refuse(gcs, 400, "invalid", nowhere, "The query is no query of a URL.");
    }
    memory += request->query.size;
    pb_slice path = request->path;
    if (pb_slice_starts_with(path, PB_SLICE_LITERAL("/batch/"))) {
        if (!is_segment(path, "/batch/storage/v1")) {
            return refuse(gcs, 404, "notFound", nowhere, "Not Found");
        }
        return is_segment(request->method, "POST")
                   ? PB_ORIGIN_GCS_BATCH
                   : refuse(gcs, 405, "httpMethodNotAllowed", nowhere, "Method Not Allowed");
    }
    char kind = path.data[1];
    size_t skip = kind == 's'   ? sizeof("/storage/v1/") - 1
                  : kind == 'u' ? sizeof("/upload/storage/v1/") - 1
                                : sizeof("/download/storage/v1/") - 1;
    pb_slice rest = {path.data + skip, path.size - skip};
    pb_slice segments[SEGMENTS_MAX];
    size_t count = 0;
    for (bool more = true; more;) {
        const char *slash = rest.size > 0 ? memchr(rest.data, '/', rest.size) : NULL;
        pb_slice raw = {rest.data, slash ? (size_t)(slash - rest.data) : rest.size};
        more = slash != NULL;
        rest = (pb_slice){rest.data + raw.size + more, rest.size - raw.size - more};
        if (count == SEGMENTS_MAX) {
            return refuse(gcs, 404, "notFound", nowhere, "Not Found");
        }
        if (!pb_origin_decode(raw, false, memory, &segments[count])) {
            return refuse(gcs, 400, "invalid", nowhere, "The path has a broken escape.");
        }
        memory += raw.size;
        count++;
    }
    if (kind == 'u') {
        return find_upload(s3, gcs, request, segments, count);
    }
    pb_origin_operation operation = find_storage(s3, gcs, request->method, segments, count);
    if (kind == 'd' && operation != PB_ORIGIN_GCS_OBJECTS_DOWNLOAD &&
        operation != PB_ORIGIN_GCS_REFUSED) {
        return refuse(gcs, 400, "invalidParameter", PB_SLICE_LITERAL("alt"),
                      "A download wants alt=media.");
    }
    return operation;
}

static bool has_key(pb_origin_operation operation)
{
    return operation == PB_ORIGIN_GCS_OBJECTS_GET || operation == PB_ORIGIN_GCS_OBJECTS_DOWNLOAD ||
           operation == PB_ORIGIN_GCS_OBJECTS_REWRITE ||
           operation == PB_ORIGIN_GCS_OBJECTS_COMPOSE || operation == PB_ORIGIN_GCS_OBJECTS_PATCH ||
           operation == PB_ORIGIN_GCS_OBJECTS_DELETE;
}

void pb_origin_gcs_request_read(pb_origin_s3_request *s3, pb_origin_gcs_request *gcs,
                                const pb_origin_request *request)
{
    size_t needed = request->path.size + request->query.size + 1;
    if (needed > s3->memory_bytes) {
        s3->memory_bytes = needed + 512;
        free(s3->memory);
        s3->memory = pb_allocate(s3->memory_bytes);
    }
    *gcs = (pb_origin_gcs_request){.fields = PB_ORIGIN_GCS_ALL_FIELDS};
    s3->code = NULL;
    s3->bucket = s3->key = s3->path = nowhere;
    s3->parameter_count = 0;
    s3->is_head = pb_slice_equal(request->method, PB_SLICE_LITERAL("HEAD"));
    pb_origin_operation operation = find_operation(s3, gcs, request);
    if (operation != PB_ORIGIN_GCS_REFUSED &&
        (!check_parameters(s3, gcs, operation) || !check_fields(s3, gcs, operation))) {
        operation = PB_ORIGIN_GCS_REFUSED;
    }
    if (operation != PB_ORIGIN_GCS_REFUSED && has_key(operation)) {
        const char *fault = pb_origin_gcs_name_fault(s3->key);
        if (!fault && operation == PB_ORIGIN_GCS_OBJECTS_REWRITE) {
            fault = pb_origin_gcs_name_fault(gcs->target_key);
        }
        if (fault) {
            operation = refuse(gcs, 400, "invalid", nowhere, "%s", fault);
        }
    }
    read_conditions(s3, gcs);
    s3->operation = operation;
}

bool pb_origin_gcs_range_parse(pb_slice text, pb_origin_gcs_range *ret_range)
{
    *ret_range = (pb_origin_gcs_range){0};
    if (!pb_slice_starts_with(text, PB_SLICE_LITERAL("bytes "))) {
        return false;
    }
    text = pb_slice_from(text, 6);
    const char *slash = text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
    if (!slash) {
        return false;
    }
    pb_slice bytes = {text.data, (size_t)(slash - text.data)};
    pb_slice total = {slash + 1, text.size - bytes.size - 1};
    if (!is_segment(total, "*")) {
        if (!pb_parse_unsigned(total, &ret_range->total) || ret_range->total > INT64_MAX) {
            return false;
        }
        ret_range->has_total = true;
    }
    if (is_segment(bytes, "*")) {
        return true;
    }
    const char *dash = bytes.size > 0 ? memchr(bytes.data, '-', bytes.size) : NULL;
    if (!dash) {
        return false;
    }
    pb_slice first = {bytes.data, (size_t)(dash - bytes.data)};
    pb_slice last = {dash + 1, bytes.size - first.size - 1};
    ret_range->has_bytes = true;
    return pb_parse_unsigned(first, &ret_range->first) &&
           pb_parse_unsigned(last, &ret_range->last) && ret_range->last < INT64_MAX &&
           ret_range->first <= ret_range->last &&
           (!ret_range->has_total || ret_range->last < ret_range->total);
}
