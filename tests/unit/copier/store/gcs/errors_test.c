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
    const char *hint; /* a part of it */
} example;

static void check(const example *e, const char *message)
{
    pb_error_class class = pb_gcs_classify(e->status, pb_slice_of(e->reason), pb_slice_of(message));
    if (class.kind != e->kind || !strstr(class.hint, e->hint))
        fail_msg("%d %s: kind %d, hint '%s'", e->status, e->reason, class.kind, class.hint);
}

static void reasons_and_statuses(void **state)
{
    (void)state;
    static const example examples[] = {
        {401, "authError", PB_ERROR_REFUSED, "login"},
        {401, "required", PB_ERROR_REFUSED, "login"},
        {400, "required", PB_ERROR_FAILED, ""}, /* a parameter, not a login */
        {401, "", PB_ERROR_REFUSED, "login"},
        {403, "forbidden", PB_ERROR_FORBIDDEN, "role"},
        {403, "insufficientPermissions", PB_ERROR_FORBIDDEN, "role"},
        {403, "", PB_ERROR_FORBIDDEN, "role"},
        {403, "rateLimitExceeded", PB_ERROR_THROTTLED, ""},
        {403, "userRateLimitExceeded", PB_ERROR_THROTTLED, ""},
        {403, "quotaExceeded", PB_ERROR_NO_SPACE, ""},
        {403, "retentionPolicyNotMet", PB_ERROR_FORBIDDEN, "retention"},
        {400, "userProjectMissing", PB_ERROR_REFUSED, "userProject"},
        {404, "notFound", PB_ERROR_NOT_FOUND, ""},
        {410, "", PB_ERROR_NOT_FOUND, ""},
        {412, "conditionNotMet", PB_ERROR_EXISTS, ""},
        {412, "", PB_ERROR_EXISTS, ""},
        {304, "", PB_ERROR_EXISTS, ""},
        {408, "", PB_ERROR_SERVER, ""},
        {429, "", PB_ERROR_THROTTLED, ""},
        {429, "rateLimitExceeded", PB_ERROR_THROTTLED, ""},
        {500, "backendError", PB_ERROR_SERVER, ""},
        {500, "", PB_ERROR_SERVER, ""},
        {502, "a word that is new", PB_ERROR_SERVER, ""},
        {503, "", PB_ERROR_THROTTLED, ""},
        {501, "", PB_ERROR_FAILED, ""},
        {400, "invalid", PB_ERROR_FAILED, ""},
        {302, "", PB_ERROR_FAILED, ""}, /* redirects are not followed: there are none */
        {307, "", PB_ERROR_FAILED, ""},
        {100, "", PB_ERROR_FAILED, ""},
        {0, "", PB_ERROR_FAILED, ""},
        {999, "", PB_ERROR_SERVER, ""},
    };
    for (size_t i = 0; i < COUNT(examples); i++)
        check(&examples[i], "");
}

static void messages(void **state)
{
    (void)state;
    const example broken = {400, "invalid", PB_ERROR_SERVER, ""};
    check(&broken, "Provided CRC32C \"AAAAAA==\" doesn't match calculated CRC32C \"AQIDBA==\".");
    check(&broken, "Provided MD5 hash \"x\" doesn't match calculated MD5 hash \"y\".");
    const example bucket = {404, "notFound", PB_ERROR_NO_BUCKET, "bucket's name"};
    check(&bucket, "The specified bucket does not exist.");
    const example refused = {403, "", PB_ERROR_FORBIDDEN, "role"};
    check(&refused, "The specified bucket does not exist.");
    /* Objects may be called so. */
    const example no_object = {404, "notFound", PB_ERROR_NOT_FOUND, ""};
    check(&no_object, "No such object: b/The specified bucket does not exist");
    check(&no_object, "");
    const example named = {400, "invalid", PB_ERROR_FAILED, ""};
    check(&named, "Invalid name: match calculated");
    const example object = {412, "conditionNotMet", PB_ERROR_EXISTS, ""};
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
