#include "bench/origin/gcs_fields.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BIT(member) ((uint64_t)1 << (member))

static pb_origin_gcs_fields parse(const char *text, pb_origin_gcs_shape shape)
{
    pb_origin_gcs_fields fields;
    pb_slice wrong;
    assert_true(pb_origin_gcs_fields_parse(pb_slice_of(text), shape, &fields, &wrong));
    return fields;
}

static void reads_masks_of_objects(void **state)
{
    (void)state;
    pb_origin_gcs_fields fields = parse("name,md5Hash", PB_ORIGIN_GCS_SHAPE_OBJECT);
    assert_int_equal(fields.object, BIT(PB_ORIGIN_GCS_NAME) | BIT(PB_ORIGIN_GCS_MD5_HASH));
    assert_true(parse("*", PB_ORIGIN_GCS_SHAPE_OBJECT).object == UINT64_MAX);
    /* Known at Google's, though nothing here has it. */
    fields = parse("timeDeleted", PB_ORIGIN_GCS_SHAPE_OBJECT);
    assert_true(fields.object >= BIT(PB_ORIGIN_GCS_MEMBER_COUNT));
}

static void reads_masks_with_resources_inside(void **state)
{
    (void)state;
    static const char *const same[] = {"items(name,size),nextPageToken",
                                       "nextPageToken,items/name,items/size"};
    for (int i = 0; i < 2; i++) {
        pb_origin_gcs_fields fields = parse(same[i], PB_ORIGIN_GCS_SHAPE_LIST);
        assert_int_equal(fields.object, BIT(PB_ORIGIN_GCS_NAME) | BIT(PB_ORIGIN_GCS_SIZE));
        assert_int_equal(fields.outer,
                         BIT(PB_ORIGIN_GCS_LIST_ITEMS) | BIT(PB_ORIGIN_GCS_LIST_NEXT_PAGE_TOKEN));
    }
    pb_origin_gcs_fields fields = parse("done,resource", PB_ORIGIN_GCS_SHAPE_REWRITE);
    assert_true(fields.object == UINT64_MAX);
    assert_int_equal(fields.outer,
                     BIT(PB_ORIGIN_GCS_REWRITE_DONE) | BIT(PB_ORIGIN_GCS_REWRITE_RESOURCE));
    assert_true(parse("items(*)", PB_ORIGIN_GCS_SHAPE_LIST).object == UINT64_MAX);
    assert_true(parse("*", PB_ORIGIN_GCS_SHAPE_LIST).outer == UINT64_MAX);
}

static void refuses_what_is_no_mask(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        pb_origin_gcs_shape shape;
    } cases[] = {
        {"", PB_ORIGIN_GCS_SHAPE_OBJECT},           {"Name", PB_ORIGIN_GCS_SHAPE_OBJECT},
        {"name,", PB_ORIGIN_GCS_SHAPE_OBJECT},      {"name size", PB_ORIGIN_GCS_SHAPE_OBJECT},
        {"name/x", PB_ORIGIN_GCS_SHAPE_OBJECT},     {"items", PB_ORIGIN_GCS_SHAPE_OBJECT},
        {"name", PB_ORIGIN_GCS_SHAPE_LIST},         {"items(", PB_ORIGIN_GCS_SHAPE_LIST},
        {"items()", PB_ORIGIN_GCS_SHAPE_LIST},      {"items(name", PB_ORIGIN_GCS_SHAPE_LIST},
        {"items(name))", PB_ORIGIN_GCS_SHAPE_LIST}, {"items(name)size", PB_ORIGIN_GCS_SHAPE_LIST},
        {"kind(name)", PB_ORIGIN_GCS_SHAPE_LIST},   {"name(x)", PB_ORIGIN_GCS_SHAPE_BUCKET},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pb_origin_gcs_fields fields = {7, 7};
        pb_slice wrong;
        assert_false(pb_origin_gcs_fields_parse(pb_slice_of(cases[i].text), cases[i].shape, &fields,
                                                &wrong));
        assert_int_equal(fields.outer, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_masks_of_objects),
        cmocka_unit_test(reads_masks_with_resources_inside),
        cmocka_unit_test(refuses_what_is_no_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
