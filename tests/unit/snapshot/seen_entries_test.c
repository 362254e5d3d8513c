#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/seen_entries.h"
#include <cmocka.h>
#include <stdio.h>

static pb_entry entry_of(char *memory, unsigned number)
{
    int size = snprintf(memory, 32, "key-%06u", number);
    return (pb_entry){.key = {memory, (size_t)size},
                      .size = number % 7,
                      .mtime_ms = 1000 + number % 11,
                      .etag = PB_SLICE_LITERAL("etag")};
}

static void what_was_added_is_known_again(void **state)
{
    (void)state;
    pb_seen_entries *seen = pb_seen_entries_new();
    char memory[32];
    enum { ADDED = 50000 };
    for (unsigned i = 0; i < ADDED; i++) {
        pb_entry entry = entry_of(memory, i);
        pb_seen_entries_add(seen, &entry);
    }
    unsigned wrong = 0;
    for (unsigned i = 0; i < ADDED; i++) {
        pb_entry entry = entry_of(memory, i);
        assert_true(pb_seen_entries_have(seen, &entry));
        entry = entry_of(memory, i + ADDED);
        wrong += pb_seen_entries_have(seen, &entry);
    }
    assert_in_range(wrong, 0, ADDED / 1000);
    pb_seen_entries_free(seen);
}

static void all_of_an_entry_counts(void **state)
{
    (void)state;
    pb_seen_entries *seen = pb_seen_entries_new();
    const pb_entry entry = {
        .key = PB_SLICE_LITERAL("key"), .size = 3, .mtime_ms = 5, .etag = PB_SLICE_LITERAL("etag")};
    assert_false(pb_seen_entries_have(seen, &entry));
    pb_seen_entries_add(seen, &entry);
    assert_true(pb_seen_entries_have(seen, &entry));
    pb_entry other = entry;
    other.key = PB_SLICE_LITERAL("Key");
    assert_false(pb_seen_entries_have(seen, &other));
    other = entry;
    other.size++;
    assert_false(pb_seen_entries_have(seen, &other));
    other = entry;
    other.mtime_ms++;
    assert_false(pb_seen_entries_have(seen, &other));
    other = entry;
    other.etag = PB_SLICE_LITERAL("");
    assert_false(pb_seen_entries_have(seen, &other));
    other.key = PB_SLICE_LITERAL("keyetag"); /* where one ends and the other begins counts, too */
    assert_false(pb_seen_entries_have(seen, &other));
    pb_seen_entries_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_known_again),
        cmocka_unit_test(all_of_an_entry_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
