/* libFuzzer: the first byte picks a parser of what Google Cloud Storage answers, the rest is its
 * input: listings, objects, rewrites, errors, headers, an object's own headers. */
#include "base/json.h"
#include "copier/store/etag.h"
#include "copier/store/gcs/answer.h"
#include "copier/store/gcs/errors.h"
#include "copier/store/gcs/list_reader.h"
#include "copier/store/gcs/object_headers.h"
#include "copier/store/gcs/request.h"
#include "copier/store/gcs/response.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void fuzz_list(pb_slice input)
{
    const pb_gcs_list_asked asked = {.store_prefix = PB_SLICE_LITERAL("p/"),
                                     .after = PB_SLICE_LITERAL("b")};
    pb_page *page = NULL;
    pb_error error = {0};
    if (pb_gcs_parse_list(input, &asked, &page, &error)) {
        require(!page && error.kind);
        return;
    }
    for (size_t i = 0; i < page->count; i++) {
        const pb_entry *entry = &page->entries[i];
        require(entry->key.size && entry->key.size <= PB_GCS_NAME_BYTES_MAX &&
                !pb_slice_equal(entry->key, asked.after));
        require(!entry->etag.size || pb_etag_parts(entry->etag) == 0 ||
                pb_etag_is_crc32c(entry->etag, NULL));
    }
    pb_slice start;
    pb_gcs_split_token(page->token, &start);
    require(page->more == (page->token.size > 0));
    require(!page->more || pb_slice_equal(start, asked.after));
    pb_page_release(page);
}

/* Headers that were read of a resource can be written as one, and say the same. */
static void fuzz_object(pb_slice input)
{
    pb_gcs_object object = {0};
    pb_buffer headers = {0}, again = {0}, text = {0};
    json_t *resource;
    pb_error error = {0};
    if (!pb_gcs_parse_object(input, &object, &headers, &error)) {
        pb_gcs_object_may_be(&object, PB_SLICE_LITERAL("crc32c-00000000"));
        require(!pb_gcs_headers_to_resource(pb_buffer_slice(&headers), &text, &error));
        require(!pb_json_parse(pb_buffer_slice(&text), "it", &resource, &error));
        require(!pb_gcs_headers_of_resource(resource, &again, &error));
        require(pb_slice_equal(pb_buffer_slice(&headers), pb_buffer_slice(&again)));
        json_decref(resource);
    }
    pb_buffer_free(&headers);
    pb_buffer_free(&again);
    pb_buffer_free(&text);
}

static void fuzz_rewrite(pb_slice input)
{
    bool done = false;
    uint64_t bytes;
    pb_gcs_object object = {0};
    pb_buffer token = {0};
    pb_error error = {0};
    if (!pb_gcs_parse_rewrite(input, &done, &object, &bytes, &token, &error))
        require(done || token.size);
    pb_buffer_free(&token);
}

static void fuzz_error(pb_slice input)
{
    pb_buffer reason = {0}, message = {0};
    pb_gcs_parse_error(input, &reason, &message);
    require(pb_gcs_classify(400 + (int)(input.size % 120), pb_buffer_slice(&reason),
                            pb_buffer_slice(&message))
                .kind != PB_ERROR_NONE);
    pb_buffer_free(&reason);
    pb_buffer_free(&message);
}

/* "name: value" lines. */
static void fuzz_headers(pb_slice input)
{
    static pb_gcs_answer answer;
    pb_gcs_answer_restart(&answer);
    while (input.size) {
        const char *end = memchr(input.data, '\n', input.size);
        pb_slice line = {input.data, end ? (size_t)(end - input.data) : input.size};
        size_t used = end ? line.size + 1 : line.size;
        input = (pb_slice){input.data + used, input.size - used};
        const char *colon = memmem(line.data, line.size, ": ", 2);
        if (colon)
            pb_gcs_answer_header(
                &answer, (pb_slice){line.data, (size_t)(colon - line.data)},
                (pb_slice){colon + 2, line.size - 2 - (size_t)(colon - line.data)});
    }
    require(!answer.session[0] || answer.session[0] == '/');
    pb_gcs_content_matches(&answer, PB_SLICE_LITERAL("crc32c-00000000"));
}

static void fuzz_object_headers(pb_slice input)
{
    pb_buffer text = {0};
    json_t *resource;
    pb_slice type;
    pb_error error = {0};
    pb_gcs_headers_are_a_type(input, &type);
    /* A resource is JSON, whatever the headers; a name that comes twice is one there. */
    if (!pb_gcs_headers_to_resource(input, &text, &error)) {
        resource = json_loadb(text.data, text.size, JSON_ALLOW_NUL, NULL);
        require(resource != NULL);
        json_decref(resource);
    }
    pb_buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(pb_slice) = {fuzz_list,  fuzz_object,  fuzz_rewrite,
                                                fuzz_error, fuzz_headers, fuzz_object_headers};
    if (size)
        parsers[data[0] % (sizeof parsers / sizeof *parsers)](
            (pb_slice){(const char *)data + 1, size - 1});
    return 0;
}
