#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "manifest/layout.h"
#include "manifest/snapshot_id.h"
#include <cmocka.h>
#include <stdlib.h>

#define ID PB_SLICE_LITERAL("20261123T052049Z-3f9a")

static void an_id_is_its_time_and_a_tail(void **state)
{
    (void)state;
    char id[PB_SNAPSHOT_ID_SIZE];
    pb_snapshot_id_make(INT64_C(1795411249000), 0x3f9a, id);
    assert_string_equal(id, "20261123T052049Z-3f9a");
    pb_snapshot_id_make(0, 7, id);
    assert_string_equal(id, "19700101T000000Z-0007");
    assert_true(pb_snapshot_id_valid(pb_slice_of(id)));
    pb_snapshot_id_make(INT64_MAX, 0xffff, id);
    assert_true(pb_snapshot_id_valid(pb_slice_of(id)));
}

static void an_id_tells_its_time(void **state)
{
    (void)state;
    int64_t utc_ms;
    assert_true(pb_snapshot_id_time(ID, &utc_ms));
    assert_int_equal(utc_ms, INT64_C(1795411249000));
    assert_false(pb_snapshot_id_time(PB_SLICE_LITERAL("20261332T052049Z-3f9a"), &utc_ms));
}

static void an_id_has_one_form(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "20261123T052049Z-3f9",
        "20261123T052049Z-3f9a0",
        "20261123T052049Z-3F9A",
        "20261123T052049Z-3f9g",
        "2026112 T052049Z-3f9a",
        "20261123 052049Z-3f9a",
        "20261123T05204 Z-3f9a",
        "20261123T052049z-3f9a",
        "20261123T052049Z_3f9a",
        "../../../../etc/passwd",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(pb_snapshot_id_valid(pb_slice_of(bad[i])));
    assert_false(pb_snapshot_id_valid((pb_slice){NULL, 0}));
    assert_true(pb_snapshot_id_valid(ID));
}

static void things_lie_where_the_format_says(void **state)
{
    (void)state;
    pb_buffer text = {0};
    pb_layout_snapshot_prefix(&text, ID);
    pb_buffer_append_char(&text, ' ');
    pb_layout_snapshot_file(&text, ID, "intent.json");
    pb_buffer_append_char(&text, ' ');
    pb_layout_part(&text, ID, "000001.ndjson.zst");
    pb_buffer_append_char(&text, ' ');
    pb_layout_data_prefix(&text, ID);
    assert_string_equal(text.data, "snapshots/20261123T052049Z-3f9a/ "
                                   "snapshots/20261123T052049Z-3f9a/intent.json "
                                   "snapshots/20261123T052049Z-3f9a/manifest/000001.ndjson.zst "
                                   "data/20261123T052049Z-3f9a/");
    pb_buffer_free(&text);
}

static void a_long_key_is_stored_under_its_digest(void **state)
{
    (void)state;
    enum { KEY_MAX = 1024, PREFIX_BYTES = 5 + 21 + 1 };
    char key[KEY_MAX];
    pb_buffer text = {0};
    memset(key, 'k', sizeof(key));
    for (size_t i = 200; i < sizeof(key); i += 200)
        key[i] = '/'; /* no segment is too long by itself */
    assert_false(pb_layout_data_key(&text, ID, (pb_slice){key, KEY_MAX - PREFIX_BYTES}, KEY_MAX));
    assert_int_equal(text.size, KEY_MAX);
    pb_buffer_clear(&text);
    assert_true(
        pb_layout_data_key(&text, ID, (pb_slice){key, KEY_MAX - PREFIX_BYTES + 1}, KEY_MAX));
    assert_int_equal(text.size, PREFIX_BYTES + 64);
    pb_buffer_clear(&text);
    assert_true(pb_layout_data_key(&text, ID, PB_SLICE_LITERAL("abc"), 10));
    assert_string_equal(text.data,
                        "long/20261123T052049Z-3f9a/"
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pb_buffer_free(&text);
}

static void a_key_that_a_path_could_change_is_stored_under_its_digest(void **state)
{
    (void)state;
    static const char *const keys[] = {"a//b", "../../pbcopy.json", "./x",  "a/.", "/lead",
                                       "dir/", "back\\slash",       "a\nb", "\x7f"};
    pb_buffer text = {0};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        pb_slice key = pb_slice_of(keys[i]);
        pb_buffer_clear(&text);
        assert_true(pb_layout_data_key(&text, ID, key, SIZE_MAX));
        pb_record record = {.key = key, .at = ID, .path = pb_buffer_slice(&text)};
        assert_null(pb_record_flaw(&record));
    }
    pb_buffer_clear(&text);
    assert_false(pb_layout_data_key(&text, ID, PB_SLICE_LITERAL("a/b"), SIZE_MAX));
    assert_string_equal(text.data, "data/20261123T052049Z-3f9a/a/b");
    pb_buffer_free(&text);
}

static void a_record_says_where_its_bytes_are(void **state)
{
    (void)state;
    pb_buffer text = {0};
    pb_record record = {.key = PB_SLICE_LITERAL("/a//b/"), .at = ID};
    pb_layout_record_key(&text, &record);
    assert_string_equal(text.data, "data/20261123T052049Z-3f9a//a//b/");
    pb_buffer_clear(&text);
    record.path = PB_SLICE_LITERAL("long/x/y");
    pb_layout_record_key(&text, &record);
    assert_string_equal(text.data, "long/x/y");
    pb_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_its_time_and_a_tail),
        cmocka_unit_test(an_id_tells_its_time),
        cmocka_unit_test(an_id_has_one_form),
        cmocka_unit_test(things_lie_where_the_format_says),
        cmocka_unit_test(a_long_key_is_stored_under_its_digest),
        cmocka_unit_test(a_key_that_a_path_could_change_is_stored_under_its_digest),
        cmocka_unit_test(a_record_says_where_its_bytes_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
