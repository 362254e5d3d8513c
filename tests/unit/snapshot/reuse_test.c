/* Which copy of an object is used, cell by cell. */
#include "snapshot/reuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MD5 "0cc175b9c0f1b6a831c399e269772661"
#define OTHER_MD5 "92eb5ffee6ae2fec3ad71c777531578f"
#define PARTS "0cc175b9c0f1b6a831c399e269772661-3"
#define OPAQUE "18ec9a647013dcd5-a-9da95b"

static pb_entry entry(uint64_t size, int64_t mtime_ms, const char *etag)
{
    return (pb_entry){.size = size, .mtime_ms = mtime_ms, .etag = pb_slice_of(etag)};
}

static pb_reuse_kind choose(bool source_md5, bool stored_md5, bool server_side, pb_entry source,
                            pb_entry stored)
{
    const pb_reuse_ends ends = {source_md5, stored_md5, server_side};
    const pb_entry *records[] = {NULL, NULL}, *found[] = {NULL, &stored};
    pb_reuse reuse = pb_reuse_choose(&ends, &source, NULL, records, found, 2);
    assert_int_equal(reuse.donor, reuse.kind == PB_REUSE_MOVE ? 0 : 1);
    return reuse.kind;
}

static void records_go_first_and_the_base_before_all(void **state)
{
    (void)state;
    const pb_reuse_ends ends = {true, true, true};
    pb_entry source = entry(5, 1000, MD5), base = source, record = source, stored = source;
    const pb_entry *records[] = {NULL, &record}, *found[] = {&stored, NULL};
    assert_int_equal(pb_reuse_choose(&ends, &source, &base, records, found, 2).kind, PB_REUSE_KEEP);
    base.size = 6;
    pb_reuse reuse = pb_reuse_choose(&ends, &source, &base, records, found, 2);
    assert_int_equal(reuse.kind, PB_REUSE_TAKE);
    assert_int_equal(reuse.donor, 1);
    record.mtime_ms = 999; /* its metadata may be other */
    reuse = pb_reuse_choose(&ends, &source, &base, records, found, 2);
    assert_int_equal(reuse.kind, PB_REUSE_FOUND);
    assert_int_equal(reuse.donor, 0);
    stored.mtime_ms = 999; /* stored before the last change */
    assert_int_equal(pb_reuse_choose(&ends, &source, &base, records, found, 2).kind, PB_REUSE_MOVE);
    assert_int_equal(pb_reuse_choose(&ends, &source, NULL, NULL, NULL, 0).kind, PB_REUSE_MOVE);
}

static void a_record_holds_only_where_all_is_the_same(void **state)
{
    (void)state;
    pb_entry source = entry(5, 1000, MD5);
    pb_entry others[] = {entry(6, 1000, MD5), entry(5, 1001, MD5), entry(5, 999, MD5),
                         entry(5, 1000, OTHER_MD5), entry(5, 1000, "")};
    assert_true(pb_reuse_unchanged(&source, &source));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(pb_reuse_unchanged(&source, &others[i]));
}

static void what_it_takes_to_prove_a_stored_object(void **state)
{
    (void)state;
    pb_entry source = entry(5, 1000, MD5), file = entry(5, 1000, OPAQUE);
    pb_entry parts = entry(5, 1000, PARTS);
    /* Inside one store, and between two. */
    assert_int_equal(choose(true, true, true, source, entry(5, 2000, MD5)), PB_REUSE_FOUND);
    assert_int_equal(choose(true, true, false, source, entry(5, 2000, MD5)), PB_REUSE_READ_STORED);
    assert_int_equal(choose(true, true, true, source, entry(5, 2000, OTHER_MD5)), PB_REUSE_MOVE);
    assert_int_equal(choose(true, true, true, source, entry(4, 2000, MD5)), PB_REUSE_MOVE);
    /* From a store into a directory, back, and between directories. */
    assert_int_equal(choose(true, false, false, source, entry(5, 2000, OPAQUE)),
                     PB_REUSE_READ_STORED);
    assert_int_equal(choose(false, true, false, file, entry(5, 2000, MD5)), PB_REUSE_READ_SOURCE);
    assert_int_equal(choose(false, false, false, file, entry(5, 2000, OPAQUE)), PB_REUSE_READ_BOTH);
    /* A multipart ETag proves the bytes, but no listing tells the parts that a record should. */
    assert_int_equal(choose(true, true, true, parts, entry(5, 2000, PARTS)), PB_REUSE_MOVE);
    assert_int_equal(choose(true, true, false, parts, entry(5, 2000, PARTS)), PB_REUSE_READ_STORED);
    assert_int_equal(choose(true, true, false, parts, entry(5, 2000, MD5)), PB_REUSE_MOVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_go_first_and_the_base_before_all),
        cmocka_unit_test(a_record_holds_only_where_all_is_the_same),
        cmocka_unit_test(what_it_takes_to_prove_a_stored_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
