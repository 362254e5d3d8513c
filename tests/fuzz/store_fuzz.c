/* libFuzzer: the first byte picks a parser of the store room, the rest is its input: S3's XML
 * answers, answer headers, URLs, credential files, and names on a disk. */
#include "base/codec.h"
#include "copier/store/credentials/aws_answer.h"
#include "copier/store/credentials/aws_profiles.h"
#include "copier/store/credentials/aws_sts_answer.h"
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

static void fuzz_logins(pb_slice input, bool config)
{
    pb_aws_profiles *profiles = pb_aws_profiles_new();
    const pb_aws_section *section = NULL;
    pb_credential keys = {0};
    pb_error error;
    bool found;
    if (!pb_aws_profiles_add(profiles, input, "file",
                             config ? PB_AWS_FILE_CONFIG : PB_AWS_FILE_CREDENTIALS, &error) &&
        !pb_aws_profiles_find(profiles, PB_AWS_SECTION_PROFILE, "default", &section, &error)) {
        pb_aws_section_keys(section, &keys, &found, &error);
        pb_credential_clear(&keys);
    }
    pb_aws_profiles_free(profiles);
    for (int form = PB_AWS_ANSWER_ENDPOINT; form <= PB_AWS_ANSWER_SSO; form++)
        if (!pb_aws_answer_read(input, (pb_aws_answer_form)form, 0, &keys, &error))
            pb_credential_clear(&keys);
    if (!pb_aws_sts_read(200, input, 0, NULL, &keys, &error))
        pb_credential_clear(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    pb_slice input = {(const char *)data + 1, size - 1};
    pb_s3_parser *parser = pb_s3_parser_new();
    pb_s3_document document;
    pb_page *page;
    pb_buffer decoded = {0};
    pb_error error;
    switch (data[0] % 5) {
    case 0:
        fuzz_list(parser, input);
        break;
    case 1:
        pb_s3_parse_document(parser, input, &document, &error);
        if (!pb_s3_parse_upload(parser, input, &(pb_s3_list_asked){0}, &page, &error))
            pb_page_release(page);
        break;
    case 2:
        fuzz_location(input);
        break;
    case 3:
        fuzz_logins(input, data[0] & 8);
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
