#include "copier/store/s3/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void read_file(const char *folder, const char *name, pb_buffer *ret_text)
{
    char path[2048], block[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("%s: cannot be opened", path);
    size_t size;
    while ((size = fread(block, 1, sizeof block, file)) > 0)
        pb_buffer_append(ret_text, block, size);
    fclose(file);
}

static pb_slice take_line(pb_slice *rest)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    pb_slice line = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    size_t used = end ? line.size + 1 : line.size;
    *rest = (pb_slice){rest->data + used, rest->size - used};
    return line;
}

static int compare_pairs(const void *a, const void *b)
{
    return pb_slice_compare(*(const pb_slice *)a, *(const pb_slice *)b);
}

/* The driver writes queries sorted and encoded; the vectors' are neither. */
static void make_query(pb_slice raw, pb_buffer *ret_query)
{
    pb_slice pairs[8];
    size_t count = 0;
    while (raw.size) {
        const char *end = memchr(raw.data, '&', raw.size);
        pairs[count] = (pb_slice){raw.data, end ? (size_t)(end - raw.data) : raw.size};
        size_t used = pairs[count++].size + (end != NULL);
        raw = (pb_slice){raw.data + used, raw.size - used};
    }
    qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < count; i++) {
        const char *equals = memchr(pairs[i].data, '=', pairs[i].size);
        size_t name_size = equals ? (size_t)(equals - pairs[i].data) : pairs[i].size;
        size_t value_at = equals ? name_size + 1 : name_size;
        if (i)
            pb_buffer_append_char(ret_query, '&');
        pb_percent_encode(ret_query, (pb_slice){pairs[i].data, name_size}, false);
        pb_buffer_append_char(ret_query, '=');
        pb_percent_encode(ret_query, (pb_slice){pairs[i].data + value_at, pairs[i].size - value_at},
                          false);
    }
}

typedef struct test_vector {
    pb_buffer request, canonical, to_sign, signature, query, names;
    char method[16];
    pb_slice path;
    pb_s3_header headers[32];
    size_t header_count;
    char payload[2 * PB_SHA256_BYTES + 1];
    char date[PB_TIME_TEXT_MAX];
    json_t *context;
} test_vector;

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void add_header(test_vector *vector, const char *name, const char *value)
{
    vector->headers[vector->header_count++] = (pb_s3_header){pb_slice_of(name), pb_slice_of(value)};
}

static void read_vector(test_vector *vector, const char *folder)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/context.json", folder);
    vector->context = json_load_file(path, 0, NULL);
    assert_non_null(vector->context);
    read_file(folder, "request.txt", &vector->request);
    read_file(folder, "header-canonical-request.txt", &vector->canonical);
    read_file(folder, "header-string-to-sign.txt", &vector->to_sign);
    read_file(folder, "header-signature.txt", &vector->signature);

    pb_slice rest = pb_buffer_slice(&vector->request);
    pb_slice line = take_line(&rest);
    const char *space = memchr(line.data, ' ', line.size);
    snprintf(vector->method, sizeof vector->method, "%.*s", (int)(space - line.data), line.data);
    const char *end = memrchr(line.data, ' ', line.size);
    pb_slice target = {space + 1, (size_t)(end - space) - 1};
    const char *mark = memchr(target.data, '?', target.size);
    vector->path = (pb_slice){target.data, mark ? (size_t)(mark - target.data) : target.size};
    if (mark)
        make_query((pb_slice){mark + 1, target.size - vector->path.size - 1}, &vector->query);

    pb_buffer_reserve(&vector->names, vector->request.size); /* slices into it must not move */
    while (rest.size && (line = take_line(&rest)).size) {
        const char *colon = memchr(line.data, ':', line.size);
        size_t start = vector->names.size, size = (size_t)(colon - line.data);
        for (size_t i = 0; i < size; i++)
            pb_buffer_append_char(&vector->names, (char)(line.data[i] | ' '));
        vector->headers[vector->header_count++] =
            (pb_s3_header){{vector->names.data + start, size}, {colon + 1, line.size - size - 1}};
    }
    uint8_t digest[PB_SHA256_BYTES];
    pb_sha256(rest.data, rest.size, digest);
    pb_hex_encode(digest, sizeof digest, vector->payload);
    int64_t now_ms;
    assert_true(pb_time_parse_rfc3339(pb_slice_of(member(vector->context, "timestamp")), &now_ms));
    pb_time_format_basic(now_ms, vector->date);
    add_header(vector, "x-amz-date", vector->date);
    if (json_is_true(json_object_get(vector->context, "sign_body")))
        add_header(vector, "x-amz-content-sha256", vector->payload);
    const char *token = member(json_object_get(vector->context, "credentials"), "token");
    if (token)
        add_header(vector, "x-amz-security-token", token);
}

static void free_vector(test_vector *vector)
{
    pb_buffer *buffers[] = {&vector->request,   &vector->canonical, &vector->to_sign,
                            &vector->signature, &vector->query,     &vector->names};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        pb_buffer_free(buffers[i]);
    json_decref(vector->context);
}

static void check_vector(const char *folder)
{
    test_vector vector = {0};
    read_vector(&vector, folder);
    pb_s3_canonical canonical = {
        .method = vector.method,
        .path = vector.path,
        .query = pb_buffer_slice(&vector.query),
        .headers = vector.headers,
        .header_count = vector.header_count,
        .payload = pb_slice_of(vector.payload),
    };
    pb_buffer text = {0};
    size_t start, size;
    pb_s3_canonical_request(&text, &canonical, &start, &size);
    assert_string_equal(text.data, vector.canonical.data);

    const json_t *credentials = json_object_get(vector.context, "credentials");
    const char *region = member(vector.context, "region"),
               *service = member(vector.context, "service");
    char scope[128];
    uint8_t digest[PB_SHA256_BYTES];
    snprintf(scope, sizeof scope, "%.8s/%s/%s/aws4_request", vector.date, region, service);
    pb_sha256(text.data, text.size, digest);
    pb_buffer_clear(&text);
    pb_s3_string_to_sign(&text, pb_slice_of(vector.date), pb_slice_of(scope), digest);
    assert_string_equal(text.data, vector.to_sign.data);

    pb_s3_signer *signer = pb_s3_signer_new(member(credentials, "access_key_id"),
                                            member(credentials, "secret_access_key"), service);
    for (int again = 0; again < 2; again++) { /* the second time with the day's key kept */
        pb_buffer_clear(&text);
        pb_s3_sign(signer, region, pb_slice_of(vector.date), &canonical, &text);
        assert_string_equal(pb_s3_signer_last(signer), vector.signature.data);
        assert_non_null(strstr(text.data, vector.signature.data));
        assert_non_null(strstr(text.data, scope));
    }
    pb_s3_signer_free(signer);
    pb_buffer_free(&text);
    free_vector(&vector);
}

static void all_vectors_pass(void **state)
{
    (void)state;
    char folder[512], path[1024];
    unsigned count = 0;
    const char *root = getenv("SOURCE_DIR");
    snprintf(folder, sizeof folder, "%s/tests/data/aws-sig-v4", root ? root : ".");
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "README.md") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        check_vector(path);
        count++;
    }
    closedir(directory);
    assert_int_equal(count, 20);
}

/* The example "GET Object" of the S3 documentation. */
static void signs_as_s3_documents_it(void **state)
{
    (void)state;
    pb_s3_header headers[] = {
        {PB_SLICE_LITERAL("host"), PB_SLICE_LITERAL("examplebucket.s3.amazonaws.com")},
        {PB_SLICE_LITERAL("range"), PB_SLICE_LITERAL("bytes=0-9")},
        {PB_SLICE_LITERAL("x-amz-content-sha256"),
         PB_SLICE_LITERAL("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")},
        {PB_SLICE_LITERAL("x-amz-date"), PB_SLICE_LITERAL("20130524T000000Z")},
    };
    pb_s3_canonical canonical = {
        .method = "GET",
        .path = PB_SLICE_LITERAL("/test.txt"),
        .headers = headers,
        .header_count = 4,
        .payload = headers[2].value,
    };
    pb_s3_signer *signer =
        pb_s3_signer_new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "s3");
    pb_buffer text = {0};
    pb_slice date = pb_s3_signer_date(signer, INT64_C(1369353600000));
    assert_string_equal(date.data, "20130524T000000Z");
    pb_s3_sign(signer, "us-east-1", date, &canonical, &text);
    assert_string_equal(
        text.data,
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    pb_buffer_free(&text);
    pb_s3_signer_free(signer);
}

static void folds_blanks_in_values(void **state)
{
    (void)state;
    pb_s3_header headers[] = {
        {PB_SLICE_LITERAL("b"), PB_SLICE_LITERAL("   x   y  z ")},
        {PB_SLICE_LITERAL("a"), PB_SLICE_LITERAL("   ")},
        {PB_SLICE_LITERAL("c"), {NULL, 0}},
    };
    pb_s3_canonical canonical = {
        .method = "PUT",
        .path = PB_SLICE_LITERAL("/"),
        .headers = headers,
        .header_count = 3,
        .payload = PB_SLICE_LITERAL("UNSIGNED-PAYLOAD"),
    };
    pb_buffer text = {0};
    size_t start, size;
    pb_s3_canonical_request(&text, &canonical, &start, &size);
    assert_string_equal(text.data, "PUT\n/\n\na:\nb:x y z\nc:\n\na;b;c\nUNSIGNED-PAYLOAD");
    assert_int_equal(size, 5);
    assert_memory_equal(text.data + start, "a;b;c", 5);
    pb_buffer_free(&text);
}

static void makes_a_new_key_for_each_day_and_region(void **state)
{
    (void)state;
    static const struct {
        const char *region;
        int64_t now_ms;
    } cases[] = {
        {"us-east-1", INT64_C(1369353600000)},    {"us-east-1", INT64_C(1369439999000)},
        {"us-east-1", INT64_C(1369440000000)},    {"us-east-10", INT64_C(1369440000000)},
        {"eu-central-1", INT64_C(1369440000000)}, {"us-east-1", INT64_C(1369353600000)},
    };
    pb_s3_signer *kept = pb_s3_signer_new("AKID", "secret", "s3");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pb_s3_signer *fresh = pb_s3_signer_new("AKID", "secret", "s3");
        pb_s3_signer *signers[] = {kept, fresh};
        pb_buffer texts[2] = {{0}, {0}};
        for (int s = 0; s < 2; s++) {
            pb_slice date = pb_s3_signer_date(signers[s], cases[i].now_ms);
            pb_s3_header header = {PB_SLICE_LITERAL("x-amz-date"), date};
            pb_s3_canonical canonical = {.method = "GET",
                                         .path = PB_SLICE_LITERAL("/"),
                                         .headers = &header,
                                         .header_count = 1,
                                         .payload = PB_SLICE_LITERAL("UNSIGNED-PAYLOAD")};
            pb_s3_sign(signers[s], cases[i].region, date, &canonical, &texts[s]);
        }
        assert_string_equal(texts[0].data, texts[1].data);
        pb_buffer_free(&texts[0]);
        pb_buffer_free(&texts[1]);
        pb_s3_signer_free(fresh);
    }
    pb_s3_signer_free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_vectors_pass),
        cmocka_unit_test(signs_as_s3_documents_it),
        cmocka_unit_test(folds_blanks_in_values),
        cmocka_unit_test(makes_a_new_key_for_each_day_and_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
