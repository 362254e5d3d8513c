#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void system_bytes_fill_all(void **state)
{
    (void)state;
    /* A byte that stays zero in 16 fills is a byte that is not written: chance 2^-128 each. */
    uint8_t seen[600] = {0};
    uint8_t bytes[600];
    for (int round = 0; round < 16; round++) {
        pb_random_bytes(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        assert_int_not_equal(seen[i], 0);
    uint8_t guard = 7;
    pb_random_bytes(&guard, 0);
    assert_int_equal(guard, 7);
}

/* The reference output of splitmix64 for seed 1234567. */
static void splitmix64_is_the_known_one(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {
        UINT64_C(6457827717110365317),  UINT64_C(3203168211198807973),
        UINT64_C(9817491932198370423),  UINT64_C(4593380528125082431),
        UINT64_C(16408922859458223821),
    };
    pb_random random = {.state = 1234567};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        assert_true(pb_random_next(&random) == wanted[i]);
}

static void bounds_hold(void **state)
{
    (void)state;
    pb_random random = {.state = 1};
    assert_true(pb_random_below(&random, 0) == 0);
    for (int i = 0; i < 100; i++) {
        assert_true(pb_random_below(&random, 1) == 0);
        assert_true(pb_random_below(&random, UINT64_MAX) < UINT64_MAX);
    }
    unsigned counts[6] = {0};
    for (int i = 0; i < 60000; i++)
        counts[pb_random_below(&random, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(counts[i], 9500, 10500);
}

/* With a bound of three quarters of the range, a plain remainder would give the lower third twice.
 */
static void large_bounds_are_uniform(void **state)
{
    (void)state;
    pb_random random = {.state = 2};
    uint64_t bound = UINT64_C(3) << 62;
    unsigned low = 0;
    for (int i = 0; i < 30000; i++)
        low += pb_random_below(&random, bound) < bound / 3;
    assert_in_range(low, 9500, 10500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_bytes_fill_all),
        cmocka_unit_test(splitmix64_is_the_known_one),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(large_bounds_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
