#include "bench/origin/http_request.h"
#include "base/codec.h"

enum { TARGET_BYTES_MAX = 16384 };

size_t pb_origin_request_head_size(const char *data, size_t size, size_t *scanned)
{
    size_t from = *scanned > 3 ? *scanned - 3 : 0;
    const char *end = size > from ? memmem(data + from, size - from, "\r\n\r\n", 4) : NULL;
    *scanned = size;
    return end ? (size_t)(end - data) + 4 : 0;
}

/* RFC 9110 token characters; upper case maps to lower, anything else to 0. */
static char token_character(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c | 0x20);
    }
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') {
        return (char)c;
    }
    return c && strchr("!#$%&'*+.^_`|~", c) ? (char)c : 0;
}

static bool equal_ignoring_case(pb_slice text, const char *lower)
{
    size_t size = strlen(lower);
    if (text.size != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = text.data[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != lower[i]) {
            return false;
        }
    }
    return true;
}

static int parse_target(pb_origin_request *request)
{
    pb_slice target = request->target;
    static const char scheme[] = "http://";
    if (pb_slice_starts_with(target, PB_SLICE_LITERAL("http://"))) {
        /* The absolute form, as a proxy's client sends it. */
        const char *start = target.data + sizeof(scheme) - 1;
        const char *end = target.data + target.size;
        const char *slash = memchr(start, '/', (size_t)(end - start));
        if (!slash) {
            return 400;
        }
        target = (pb_slice){slash, (size_t)(end - slash)};
    }
    if (target.size == 0 || target.data[0] != '/') {
        return 400;
    }
    const char *mark = memchr(target.data, '?', target.size);
    request->path = target;
    if (mark) {
        request->path.size = (size_t)(mark - target.data);
        request->query = (pb_slice){mark + 1, target.size - request->path.size - 1};
    }
    return 0;
}

static int parse_request_line(pb_origin_request *request, const char *line, size_t size)
{
    const char *blank = memchr(line, ' ', size);
    if (!blank || blank == line || blank - line > 16) {
        return 400;
    }
    request->method = (pb_slice){line, (size_t)(blank - line)};
    for (size_t i = 0; i < request->method.size; i++) {
        if (line[i] < 'A' || line[i] > 'Z') {
            return 400;
        }
    }
    const char *start = blank + 1;
    size_t rest = size - request->method.size - 1;
    const char *second = memchr(start, ' ', rest);
    if (!second) {
        return 400;
    }
    request->target = (pb_slice){start, (size_t)(second - start)};
    if (request->target.size > TARGET_BYTES_MAX) {
        return 414;
    }
    for (size_t i = 0; i < request->target.size; i++) {
        unsigned char c = (unsigned char)start[i];
        if (c <= 0x20 || c == 0x7f) {
            return 400;
        }
    }
    pb_slice version = {second + 1, rest - request->target.size - 1};
    if (pb_slice_equal(version, PB_SLICE_LITERAL("HTTP/1.1"))) {
        request->keeps_alive = true;
    } else if (!pb_slice_equal(version, PB_SLICE_LITERAL("HTTP/1.0"))) {
        bool is_other = version.size == 8 && memcmp(version.data, "HTTP/", 5) == 0;
        return is_other ? 505 : 400;
    }
    return parse_target(request);
}

/* Headers that frame the message: wrong or doubled ones are refused, not guessed at. */
static int take_framing(pb_origin_request *request, const pb_origin_header *header)
{
    pb_slice name = header->name;
    if (pb_slice_equal(name, PB_SLICE_LITERAL("content-length"))) {
        uint64_t length;
        if (request->has_length || !pb_parse_unsigned(header->value, &length) ||
            length > INT64_MAX) {
            return 400;
        }
        request->has_length = true;
        request->content_length = length;
    } else if (pb_slice_equal(name, PB_SLICE_LITERAL("transfer-encoding"))) {
        if (request->is_chunked) {
            return 400;
        }
        if (!equal_ignoring_case(header->value, "chunked")) {
            return 501;
        }
        request->is_chunked = true;
    } else if (pb_slice_equal(name, PB_SLICE_LITERAL("connection"))) {
        if (equal_ignoring_case(header->value, "close")) {
            request->keeps_alive = false;
        } else if (equal_ignoring_case(header->value, "keep-alive")) {
            request->keeps_alive = true;
        }
    } else if (pb_slice_equal(name, PB_SLICE_LITERAL("expect"))) {
        if (!equal_ignoring_case(header->value, "100-continue")) {
            return 417;
        }
        request->expects_continue = true;
    }
    return 0;
}

int pb_origin_request_parse(char *head, size_t size, pb_origin_request *ret_request)
{
    pb_origin_request *request = ret_request;
    /* The array of headers is large and filled as it goes: it is not cleared. */
    memset(request, 0, offsetof(pb_origin_request, headers));
    request->has_length = request->is_chunked = false;
    request->keeps_alive = request->expects_continue = false;
    request->content_length = 0;
    char *end = head + size;
    char *line_end = memchr(head, '\r', size);
    if (!line_end || line_end + 1 >= end || line_end[1] != '\n') {
        return 400;
    }
    int status = parse_request_line(request, head, (size_t)(line_end - head));
    if (status) {
        return status;
    }
    for (char *at = line_end + 2;; at = line_end + 2) {
        line_end = at < end ? memchr(at, '\r', (size_t)(end - at)) : NULL;
        if (!line_end || line_end + 1 >= end || line_end[1] != '\n') {
            return 400;
        }
        if (line_end == at) {
            break;
        }
        if (request->header_count == PB_ORIGIN_HEADERS_MAX) {
            return 431;
        }
        char *name_end = at;
        for (char lower; name_end < line_end; name_end++) {
            lower = token_character((unsigned char)*name_end);
            if (!lower) {
                break;
            }
            *name_end = lower;
        }
        /* No blank before the colon and no folded line: both are ways to smuggle. */
        if (name_end == at || name_end == line_end || *name_end != ':') {
            return 400;
        }
        char *value = name_end + 1;
        char *value_end = line_end;
        while (value < value_end && (*value == ' ' || *value == '\t')) {
            value++;
        }
        while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) {
            value_end--;
        }
        for (const char *c = value; c < value_end; c++) {
            if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f) {
                return 400;
            }
        }
        pb_origin_header *header = &request->headers[request->header_count++];
        header->name = (pb_slice){at, (size_t)(name_end - at)};
        header->value = (pb_slice){value, (size_t)(value_end - value)};
        status = take_framing(request, header);
        if (status) {
            return status;
        }
    }
    return request->has_length && request->is_chunked ? 400 : 0;
}

pb_slice pb_origin_request_header(const pb_origin_request *request, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < request->header_count; i++) {
        const pb_origin_header *header = &request->headers[i];
        if (header->name.size == size && memcmp(header->name.data, name, size) == 0) {
            return header->value;
        }
    }
    return (pb_slice){NULL, 0};
}
