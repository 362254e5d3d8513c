#include "bench/origin/gcs_answer.h"
#include "base/codec.h"
#include <stdlib.h>

void pb_origin_gcs_append_string(pb_buffer *text, pb_slice value)
{
    if (pb_utf8_valid(value)) {
        pb_json_append_string(text, value);
        return;
    }
    char *line = pb_duplicate(value);
    pb_text_make_lines(line);
    pb_json_append_string(text, pb_slice_of(line));
    free(line);
}

static void append_member(pb_buffer *text, const char *name, const char *value)
{
    pb_buffer_append_format(text, "\"%s\":", name);
    pb_origin_gcs_append_string(text, pb_slice_of(value));
}

pb_buffer *pb_origin_gcs_answer_json(pb_origin_exchange *exchange)
{
    pb_origin_response *response = &exchange->response;
    response->status = 200;
    pb_buffer_append_text(&response->headers, "Content-Type: application/json; charset=UTF-8\r\n");
    return &response->text;
}

void pb_origin_gcs_refuse(pb_origin_exchange *exchange, int status, const char *reason,
                          const char *message, const char *location)
{
    pb_origin_response *response = &exchange->response;
    response->headers.size = 0;
    response->text.size = 0;
    response->text_rest.size = 0;
    pb_origin_content_release(response->content);
    response->content = NULL;
    response->content_size = 0;
    response->announced_bytes = 0;
    pb_buffer *text = pb_origin_gcs_answer_json(exchange);
    response->status = status;
    bool is_quota = strstr(reason, "rateLimit") || strstr(reason, "quota");
    bool is_header = location && strcmp(location, "Authorization") == 0;
    bool is_condition = location && strncmp(location, "If-", 3) == 0;
    pb_buffer_append_format(text, "{\"error\":{\"code\":%d,", status);
    append_member(text, "message", message);
    pb_buffer_append_text(text, ",\"errors\":[{");
    append_member(text, "message", message);
    pb_buffer_append_format(text, ",\"domain\":\"%s\",\"reason\":\"%s\"",
                            is_quota ? "usageLimits" : "global", reason);
    if (location && location[0]) {
        pb_buffer_append_format(text, ",\"locationType\":\"%s\",",
                                is_header || is_condition ? "header" : "parameter");
        append_member(text, "location", location);
    }
    pb_buffer_append_text(text, "}]}}");
    if (status == 401) {
        pb_buffer_append_text(
            &response->headers,
            "WWW-Authenticate: Bearer realm=\"https://accounts.google.com/\"\r\n");
    }
}

void pb_origin_gcs_not_found(pb_origin_exchange *exchange, pb_slice bucket, pb_slice key)
{
    pb_buffer message = {0};
    if (key.size > 0) {
        pb_buffer_append_format(&message, "No such object: %.*s/%.*s", PB_SLICE_FORMAT(bucket),
                                PB_SLICE_FORMAT(key));
    } else {
        pb_buffer_append_text(&message, "The specified bucket does not exist.");
    }
    pb_origin_gcs_refuse(exchange, 404, "notFound", message.data, NULL);
    pb_buffer_free(&message);
}

void pb_origin_gcs_condition_failed(pb_origin_exchange *exchange, const char *location)
{
    pb_origin_gcs_refuse(exchange, 412, "conditionNotMet",
                         "At least one of the pre-conditions you specified did not hold.",
                         location);
}

void pb_origin_gcs_invalid(pb_origin_exchange *exchange, const char *message)
{
    pb_origin_gcs_refuse(exchange, 400, "invalid", message, NULL);
}

pb_slice pb_origin_gcs_body(const pb_origin_exchange *exchange)
{
    return exchange->body ? (pb_slice){exchange->body->data, exchange->body->size}
                          : (pb_slice){NULL, 0};
}
