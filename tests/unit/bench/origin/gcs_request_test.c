#include "bench/origin/gcs_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static pb_origin_s3_request s3;
static pb_origin_gcs_request gcs;

static pb_origin_operation read_request(const char *method, const char *target,
                                        const char *more_headers)
{
    static char head[4096];
    static pb_origin_request request;
    int size = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n", method, target,
                        more_headers);
    assert_int_equal(pb_origin_request_parse(head, (size_t)size, &request), 0);
    assert_true(pb_origin_gcs_takes(request.path));
    pb_origin_gcs_request_read(&s3, &gcs, &request);
    return s3.operation;
}

static void assert_slice(pb_slice slice, const char *text)
{
    assert_int_equal(slice.size, strlen(text));
    assert_memory_equal(slice.data ? slice.data : "", text, slice.size);
}

static void tells_the_api_by_its_paths(void **state)
{
    (void)state;
    assert_true(pb_origin_gcs_takes(pb_slice_of("/storage/v1/b")));
    assert_true(pb_origin_gcs_takes(pb_slice_of("/upload/storage/v1/b/x/o")));
    assert_true(pb_origin_gcs_takes(pb_slice_of("/download/storage/v1/b/x/o/y")));
    assert_true(pb_origin_gcs_takes(pb_slice_of("/batch/storage/v1")));
    assert_false(pb_origin_gcs_takes(pb_slice_of("/")));
    assert_false(pb_origin_gcs_takes(pb_slice_of("/storage")));
    assert_false(pb_origin_gcs_takes(pb_slice_of("/storage/v2/b")));
    assert_false(pb_origin_gcs_takes(pb_slice_of("/source/storage/v1/b")));
}

static void finds_operations(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *target;
        pb_origin_operation operation;
    } cases[] = {
        {"GET", "/storage/v1/b/x", PB_ORIGIN_GCS_BUCKETS_GET},
        {"POST", "/storage/v1/b?project=p", PB_ORIGIN_GCS_BUCKETS_INSERT},
        {"GET", "/storage/v1/b/x/o?prefix=a%2Fb", PB_ORIGIN_GCS_OBJECTS_LIST},
        {"GET", "/storage/v1/b/x/o/y", PB_ORIGIN_GCS_OBJECTS_GET},
        {"GET", "/storage/v1/b/x/o/y?alt=json", PB_ORIGIN_GCS_OBJECTS_GET},
        {"GET", "/storage/v1/b/x/o/y?alt=media", PB_ORIGIN_GCS_OBJECTS_DOWNLOAD},
        {"GET", "/download/storage/v1/b/x/o/y?alt=media", PB_ORIGIN_GCS_OBJECTS_DOWNLOAD},
        {"DELETE", "/storage/v1/b/x/o/y", PB_ORIGIN_GCS_OBJECTS_DELETE},
        {"PATCH", "/storage/v1/b/x/o/y", PB_ORIGIN_GCS_OBJECTS_PATCH},
        {"POST", "/storage/v1/b/x/o/y/compose", PB_ORIGIN_GCS_OBJECTS_COMPOSE},
        {"POST", "/storage/v1/b/x/o/y/rewriteTo/b/z/o/w", PB_ORIGIN_GCS_OBJECTS_REWRITE},
        {"POST", "/upload/storage/v1/b/x/o?uploadType=media&name=n", PB_ORIGIN_GCS_OBJECTS_INSERT},
        {"POST", "/upload/storage/v1/b/x/o?uploadType=multipart", PB_ORIGIN_GCS_OBJECTS_INSERT},
        {"POST", "/upload/storage/v1/b/x/o?uploadType=resumable", PB_ORIGIN_GCS_UPLOAD_START},
        {"PUT", "/upload/storage/v1/b/x/o?uploadType=resumable&upload_id=1",
         PB_ORIGIN_GCS_UPLOAD_CHUNK},
        {"DELETE", "/upload/storage/v1/b/x/o?upload_id=1", PB_ORIGIN_GCS_UPLOAD_CANCEL},
        {"POST", "/batch/storage/v1", PB_ORIGIN_GCS_BATCH},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_request(cases[i].method, cases[i].target, ""), cases[i].operation);
    }
    assert_int_equal(
        read_request("PUT", "/upload/storage/v1/b/x/o?upload_id=1", "Content-Range: bytes */9\r\n"),
        PB_ORIGIN_GCS_UPLOAD_STATUS);
}

static void decodes_names_segment_by_segment(void **state)
{
    (void)state;
    read_request("POST", "/storage/v1/b/x/o/a%2Fb%20c/rewriteTo/b/z/o/%2F?ifGenerationMatch=0", "");
    assert_int_equal(s3.operation, PB_ORIGIN_GCS_OBJECTS_REWRITE);
    assert_slice(s3.bucket, "x");
    assert_slice(s3.key, "a/b c");
    assert_slice(gcs.target_bucket, "z");
    assert_slice(gcs.target_key, "/");
    assert_true(gcs.conditions.generation_match.asked);
    assert_int_equal(gcs.conditions.generation_match.value, 0);
    assert_false(gcs.source_conditions.generation_match.asked);
}

static void refuses_what_is_not_the_apis(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *target;
        int status;
        const char *location;
    } cases[] = {
        {"GET", "/storage/v1/x", 404, ""},
        {"GET", "/storage/v1/b/x/o/a/b", 404, ""},
        {"GET", "/storage/v1/b/x/o/1/2/3/4/5/6/7/8/9", 404, ""},
        {"PUT", "/storage/v1/b/x/o/y", 501, ""},
        {"HEAD", "/storage/v1/b/x/o/y", 405, ""},
        {"GET", "/storage/v1/b/x/o/%zz", 400, ""},
        {"GET", "/storage/v1/b/x/o/", 400, ""},
        {"GET", "/storage/v1/b/x/o/..", 400, ""},
        {"GET", "/storage/v1/b/x/o/%ff", 400, ""},
        {"GET", "/storage/v1/b/x/o/a%0Ab", 400, ""},
        {"GET", "/storage/v1/b/x/o?list-type=2", 400, "list-type"},
        {"GET", "/storage/v1/b/x/o?alt=xml", 400, "alt"},
        {"GET", "/storage/v1/b/x/o?matchGlob=a", 501, "matchGlob"},
        {"GET", "/storage/v1/b/x/o?fields=item", 400, "fields"},
        {"GET", "/storage/v1/b/x/o?maxResults=0", 400, "maxResults"},
        {"GET", "/storage/v1/b/x/o?versions=2", 400, "versions"},
        {"GET", "/storage/v1/b/x/o?prefix=a&prefix=a", 400, "prefix"},
        {"GET", "/storage/v1/b/x/o/y?ifGenerationMatch=-1", 400, "ifGenerationMatch"},
        {"GET", "/storage/v1/b/x/o/y?generation=9223372036854775808", 400, "generation"},
        {"GET", "/download/storage/v1/b/x/o/y", 400, "alt"},
        {"POST", "/upload/storage/v1/b/x/o", 400, "uploadType"},
        {"GET", "/batch/storage/v1x", 404, ""},
        {"GET", "/batch/storage/v1", 405, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_request(cases[i].method, cases[i].target, ""), PB_ORIGIN_GCS_REFUSED);
        assert_int_equal(gcs.refusal.status, cases[i].status);
        assert_string_equal(gcs.refusal.location, cases[i].location);
        assert_true(gcs.refusal.message[0] != 0);
    }
}

static void reads_ranges_of_chunks(void **state)
{
    (void)state;
    pb_origin_gcs_range range;
    assert_true(pb_origin_gcs_range_parse(PB_SLICE_LITERAL("bytes 5-9/20"), &range));
    assert_true(range.has_bytes && range.has_total);
    assert_int_equal(range.first, 5);
    assert_int_equal(range.last, 9);
    assert_int_equal(range.total, 20);
    assert_true(pb_origin_gcs_range_parse(PB_SLICE_LITERAL("bytes 0-0/*"), &range));
    assert_true(range.has_bytes && !range.has_total);
    assert_true(pb_origin_gcs_range_parse(PB_SLICE_LITERAL("bytes */7"), &range));
    assert_true(!range.has_bytes && range.has_total);
    assert_true(pb_origin_gcs_range_parse(PB_SLICE_LITERAL("bytes */*"), &range));
    static const char *const wrong[] = {"",
                                        "bytes ",
                                        "bytes 0-1",
                                        "0-1/2",
                                        "bytes 2-1/5",
                                        "bytes 0-5/5",
                                        "bytes -5/9",
                                        "bytes 0-/9",
                                        "bytes 0-1/-2",
                                        "bytes 0-9223372036854775807/*",
                                        "bytes 0-99999999999999999999/*"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(pb_origin_gcs_range_parse(pb_slice_of(wrong[i]), &range));
    }
}

static int free_requests(void **state)
{
    (void)state;
    pb_origin_s3_request_free(&s3);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_api_by_its_paths),
        cmocka_unit_test(finds_operations),
        cmocka_unit_test(decodes_names_segment_by_segment),
        cmocka_unit_test(refuses_what_is_not_the_apis),
        cmocka_unit_test(reads_ranges_of_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, free_requests);
}
