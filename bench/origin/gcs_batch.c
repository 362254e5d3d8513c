/* Several requests in one: https://cloud.google.com/storage/docs/batch */
#include "bench/origin/gcs_operations.h"
#include "bench/origin/mime_parts.h"
#include <stdlib.h>

enum { BATCH_MAX = 100 };

/* The head of a request inside, with the line ends that the parser wants. */
static void make_head(pb_slice text, pb_buffer *ret_head)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\n' && (i == 0 || text.data[i - 1] != '\r')) {
            pb_buffer_append_char(ret_head, '\r');
        }
        pb_buffer_append_char(ret_head, c);
    }
    if (text.size > 0 && text.data[text.size - 1] != '\n') {
        pb_buffer_append_text(ret_head, "\r\n");
    }
    pb_buffer_append_text(ret_head, "\r\n");
}

/* Headers of the batch hold for each request in it that has no such header of its own. */
static void inherit(pb_origin_request *request, const pb_origin_request *outer)
{
    static const char *const names[] = {"authorization", "host", "x-goog-user-project"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        pb_slice value = pb_origin_request_header(outer, names[i]);
        if (value.data && !pb_origin_request_header(request, names[i]).data &&
            request->header_count < PB_ORIGIN_HEADERS_MAX) {
            request->headers[request->header_count++] =
                (pb_origin_header){pb_slice_of(names[i]), value};
        }
    }
}

static bool is_served(pb_origin_operation operation)
{
    return operation == PB_ORIGIN_GCS_OBJECTS_DELETE || operation == PB_ORIGIN_GCS_OBJECTS_GET ||
           operation == PB_ORIGIN_GCS_OBJECTS_PATCH || operation == PB_ORIGIN_GCS_OBJECTS_REWRITE ||
           operation == PB_ORIGIN_GCS_OBJECTS_COMPOSE || operation == PB_ORIGIN_GCS_BUCKETS_GET ||
           operation == PB_ORIGIN_GCS_OBJECTS_LIST || operation == PB_ORIGIN_GCS_REFUSED;
}

static void serve(pb_origin *origin, const pb_origin_exchange *outer, pb_slice part,
                  pb_origin_exchange *inner)
{
    pb_slice head;
    pb_slice body;
    pb_buffer text = {0};
    pb_origin_call *call = inner->state;
    pb_origin_mime_split(part, &head, &body);
    make_head(head, &text);
    if (pb_origin_request_parse(text.data, text.size, &inner->request) != 0 ||
        !pb_origin_gcs_takes(inner->request.path)) {
        pb_origin_gcs_invalid(inner, "Failed to parse a request of the batch.");
        pb_buffer_free(&text);
        return;
    }
    inherit(&inner->request, &outer->request);
    if (body.size > 0) {
        inner->body = pb_origin_content_new_bytes(body.size);
        inner->body = pb_origin_content_append(inner->body, body.data, body.size);
    }
    pb_origin_gcs_request_read(&call->s3, &call->gcs, &inner->request);
    if (!is_served(call->s3.operation)) {
        pb_origin_gcs_invalid(inner, "A batch holds no uploads, downloads and batches.");
    } else if (pb_origin_gcs_admit(origin, inner, call)) {
        pb_origin_gcs_perform(origin, inner, call);
    }
    origin->statistics.refused += inner->response.status >= 400;
    pb_buffer_free(&text);
}

static void append_answer(pb_buffer *text, const char *boundary, pb_slice id,
                          const pb_origin_response *response)
{
    pb_buffer_append_format(text, "--%s\r\nContent-Type: application/http\r\n", boundary);
    if (id.size > 1 && id.data[0] == '<') {
        pb_buffer_append_format(text, "Content-ID: <response-%.*s\r\n", (int)id.size - 1,
                                id.data + 1);
    } else if (id.size > 0) {
        pb_buffer_append_format(text, "Content-ID: response-%.*s\r\n", PB_SLICE_FORMAT(id));
    }
    pb_buffer_append_format(text, "\r\nHTTP/1.1 %s\r\n", pb_origin_status_text(response->status));
    pb_buffer_append(text, response->headers.data, response->headers.size);
    pb_buffer_append_format(text, "Content-Length: %zu\r\n\r\n",
                            response->text.size + response->text_rest.size);
    pb_buffer_append(text, response->text.data, response->text.size);
    pb_buffer_append(text, response->text_rest.data, response->text_rest.size);
    pb_buffer_append_text(text, "\r\n");
}

static void response_free(pb_origin_response *response)
{
    pb_buffer_free(&response->headers);
    pb_buffer_free(&response->text);
    pb_buffer_free(&response->text_rest);
    pb_origin_content_release(response->content);
}

/* Counts the parts. -1: the body is broken. */
static int count_parts(pb_slice body, pb_slice boundary)
{
    pb_slice headers;
    pb_slice part;
    int count = 0;
    int found;
    while ((found = pb_origin_mime_next(&body, boundary, &headers, &part)) == 1) {
        count++;
    }
    return found == 0 ? count : -1;
}

void pb_origin_gcs_batch(pb_origin *origin, pb_origin_exchange *exchange, pb_origin_call *call)
{
    (void)call;
    pb_slice boundary;
    pb_slice type = pb_origin_request_header(&exchange->request, "content-type");
    pb_slice rest = pb_origin_gcs_body(exchange);
    if (!pb_origin_mime_boundary(type, "multipart/mixed", &boundary)) {
        pb_origin_gcs_invalid(exchange, "A batch is multipart/mixed with a boundary.");
        return;
    }
    int count = count_parts(rest, boundary);
    if (count < 1 || count > BATCH_MAX) {
        pb_origin_gcs_invalid(exchange, count > BATCH_MAX
                                            ? "The batch has more than 100 requests."
                                            : "Failed to parse the batch: no parts, or no end.");
        return;
    }
    char id_text[33];
    char answer_boundary[40];
    pb_origin_gcs_make_id(id_text);
    snprintf(answer_boundary, sizeof(answer_boundary), "batch_%s", id_text);
    pb_buffer *text = &exchange->response.text_rest;
    pb_slice headers;
    pb_slice part;
    while (pb_origin_mime_next(&rest, boundary, &headers, &part) == 1) {
        pb_origin_exchange *inner = pb_allocate_zeroed(1, sizeof(*inner));
        pb_origin_call *inner_call = pb_allocate_zeroed(1, sizeof(*inner_call));
        inner->state = inner_call;
        if (pb_slice_starts_with(pb_origin_mime_header(headers, "content-type"),
                                 PB_SLICE_LITERAL("application/http"))) {
            serve(origin, exchange, part, inner);
        } else {
            pb_origin_gcs_invalid(inner, "A part of a batch must be application/http.");
        }
        append_answer(text, answer_boundary, pb_origin_mime_header(headers, "content-id"),
                      &inner->response);
        exchange->response.delay_ms += inner->response.delay_ms;
        response_free(&inner->response);
        pb_origin_content_release(inner->body);
        pb_origin_s3_request_free(&inner_call->s3);
        free(inner_call);
        free(inner);
    }
    pb_buffer_append_format(text, "--%s--\r\n", answer_boundary);
    exchange->response.status = 200;
    pb_buffer_append_format(&exchange->response.headers,
                            "Content-Type: multipart/mixed; boundary=%s\r\n", answer_boundary);
}
