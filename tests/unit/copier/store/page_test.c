#include "copier/store/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static void grows_and_keeps_order(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    pb_page *page = pb_page_new();
    for (unsigned i = 0; i < COUNT; i++) {
        char key[16];
        int size = snprintf(key, sizeof key, "key%06u", i);
        pb_slice copy = pb_arena_copy(&page->arena, (pb_slice){key, (size_t)size});
        pb_entry *entry = pb_page_add(page);
        assert_null(entry->key.data);
        assert_null(entry->record);
        entry->key = copy;
        entry->size = i;
        if (i % 3 == 0)
            pb_page_add_prefix(page, copy);
    }
    assert_int_equal(page->count, COUNT);
    assert_int_equal(page->prefix_count, COUNT / 3);
    for (unsigned i = 1; i < COUNT; i++) {
        assert_true(pb_slice_compare(page->entries[i - 1].key, page->entries[i].key) < 0);
        assert_int_equal(page->entries[i].size, i);
    }
    assert_true(pb_slice_equal(page->prefixes[1], PB_SLICE_LITERAL("key000003")));
    pb_page_release(page);
}

static void lives_with_its_last_reference(void **state)
{
    (void)state;
    pb_page *page = pb_page_new();
    pb_page_add(page)->key = pb_arena_copy(&page->arena, PB_SLICE_LITERAL("key"));
    assert_ptr_equal(pb_page_keep(page), page);
    pb_page_release(page);
    assert_true(pb_slice_equal(page->entries[0].key, PB_SLICE_LITERAL("key")));
    pb_page_release(page);
    pb_page_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_keeps_order),
        cmocka_unit_test(lives_with_its_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
