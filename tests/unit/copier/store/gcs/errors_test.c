#include "copier/store/gcs/errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

typedef struct example {
    int status;
    const char *reason;
    pb_error_kind kind;
    bool retry;
    const char *hint; /* a part of it */
} example;

static void check(const example *e, const char *message)
{
    pb_failure_class class =
        pb_gcs_classify(e->status, pb_slice_of(e->reason), pb_slice_of(message));
    if (class.kind != e->kind || class.retry != e->retry || !strstr(class.hint, e->hint))
        fail_msg("%d %s: kind %d, retry %d, hint '%s'", e->status, e->reason, class.kind,
                 class.retry, class.hint);
}

static void reasons_and_statuses(void **state)
{
    (void)state;
    static const example examples[] = {
        {401, "authError", PB_ERROR_REFUSED, false, "login"},
        {401, "required", PB_ERROR_REFUSED, false, "login"},
        {400, "required", PB_ERROR_FAILED, false, ""}, /* a parameter, not a login */
        {401, "", PB_ERROR_REFUSED, false, "login"},
        {403, "forbidden", PB_ERROR_REFUSED, false, "role"},
        {403, "insufficientPermissions", PB_ERROR_REFUSED, false, "role"},
        {403, "", PB_ERROR_REFUSED, false, "role"},
        {403, "rateLimitExceeded", PB_ERROR_THROTTLED, true, ""},
        {403, "userRateLimitExceeded", PB_ERROR_THROTTLED, true, ""},
        {403, "quotaExceeded", PB_ERROR_NO_SPACE, false, ""},
        {403, "retentionPolicyNotMet", PB_ERROR_REFUSED, false, "retention"},
        {400, "userProjectMissing", PB_ERROR_REFUSED, false, "userProject"},
        {404, "notFound", PB_ERROR_NOT_FOUND, false, ""},
        {410, "", PB_ERROR_NOT_FOUND, false, ""},
        {412, "conditionNotMet", PB_ERROR_EXISTS, false, ""},
        {412, "", PB_ERROR_EXISTS, false, ""},
        {304, "", PB_ERROR_EXISTS, false, ""},
        {408, "", PB_ERROR_SERVER, true, ""},
        {429, "", PB_ERROR_THROTTLED, true, ""},
        {429, "rateLimitExceeded", PB_ERROR_THROTTLED, true, ""},
        {500, "backendError", PB_ERROR_SERVER, true, ""},
        {500, "", PB_ERROR_SERVER, true, ""},
        {502, "a word that is new", PB_ERROR_SERVER, true, ""},
        {503, "", PB_ERROR_THROTTLED, true, ""},
        {501, "", PB_ERROR_FAILED, false, ""},
        {400, "invalid", PB_ERROR_FAILED, false, ""},
        {302, "", PB_ERROR_FAILED, false, ""}, /* redirects are not followed: there are none */
        {307, "", PB_ERROR_FAILED, false, ""},
        {100, "", PB_ERROR_FAILED, false, ""},
        {0, "", PB_ERROR_FAILED, false, ""},
        {999, "", PB_ERROR_SERVER, true, ""},
    };
    for (size_t i = 0; i < COUNT(examples); i++)
        check(&examples[i], "");
}

static void messages(void **state)
{
    (void)state;
    const example broken = {400, "invalid", PB_ERROR_SERVER, true, ""};
    check(&broken, "Provided CRC32C \"AAAAAA==\" doesn't match calculated CRC32C \"AQIDBA==\".");
    check(&broken, "Provided MD5 hash \"x\" doesn't match calculated MD5 hash \"y\".");
    const example bucket = {404, "notFound", PB_ERROR_NOT_FOUND, false, "bucket's name"};
    check(&bucket, "The specified bucket does not exist.");
    const char *words = "The specified bucket does not exist.";
    assert_true(pb_gcs_is_no_bucket(404, pb_slice_of(words)));
    assert_false(pb_gcs_is_no_bucket(403, pb_slice_of(words)));
    assert_false(pb_gcs_is_no_bucket(404, PB_SLICE_LITERAL("No such object: b/o")));
    assert_false(pb_gcs_is_no_bucket(404, (pb_slice){NULL, 0}));
    /* Objects may be called so. */
    assert_false(pb_gcs_is_no_bucket(
        404, PB_SLICE_LITERAL("No such object: b/The specified bucket does not exist")));
    const example named = {400, "invalid", PB_ERROR_FAILED, false, ""};
    check(&named, "Invalid name: match calculated");
    const example object = {412, "conditionNotMet", PB_ERROR_EXISTS, false, ""};
    check(&object, "match calculated");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasons_and_statuses),
        cmocka_unit_test(messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
