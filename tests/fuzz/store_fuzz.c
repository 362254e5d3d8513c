/* libFuzzer: the first byte picks a parser of the store room, the rest is its input: S3's XML
 * answers, answer headers, URLs, credential files, and names on a disk. */
#include "base/codec.h"
#include "copier/store/etag.h"
#include "copier/store/location.h"
#include "copier/store/s3/response.h"
#include "tests/support/both_list_readers.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_list(pb_s3_parser *parser, pb_slice input)
{
    pb_s3_list_asked asked = {.store_prefix = PB_SLICE_LITERAL("p/")};
    pb_page *page = NULL;
    const char *difference;
    parse_list_both_ways(parser, input, &asked, &page, NULL, &difference);
    if (difference) {
        fprintf(stderr, "the readers of lists differ in %s\n", difference);
        abort();
    }
    pb_page_release(page);
}

static void fuzz_location(pb_slice input)
{
    char *text = pb_duplicate(input);
    pb_location location = {0};
    pb_error error;
    if (!pb_location_parse(text, &location, &error)) {
        free(pb_location_identity(&location));
        if (!pb_location_overlaps(&location, &location))
            abort();
        pb_location_free(&location);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    pb_slice input = {(const char *)data + 1, size - 1};
    pb_s3_parser *parser = pb_s3_parser_new();
    pb_s3_document document;
    pb_s3_credentials credentials = {0};
    bool found;
    pb_buffer decoded = {0};
    pb_error error;
    switch (data[0] % 5) {
    case 0:
        fuzz_list(parser, input);
        break;
    case 1:
        pb_s3_parse_document(parser, input, &document, &error);
        break;
    case 2:
        fuzz_location(input);
        break;
    case 3:
        pb_s3_profile_read(input, "file", data[0] & 8 ? PB_S3_FILE_CONFIG : PB_S3_FILE_CREDENTIALS,
                           "default", &credentials, &found, &error);
        pb_s3_credentials_free(&credentials);
        break;
    case 4:
        pb_percent_decode(&decoded, input, true);
        pb_etag_parts(input);
        break;
    }
    pb_buffer_free(&decoded);
    pb_s3_parser_free(parser);
    return 0;
}
