#include "cluster/edits/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/support/quoted_json.h"
#include <cmocka.h>

#define SECRET(data)                                                                               \
    "[{'kind':'Secret','metadata':{'name':'pachyderm-storage-secret'},'data':{" data "}}]"

static void expect(const char *credentials, const char *before, const char *after)
{
    json_t *given = json(credentials), *objects = json(before), *wanted = json(after);
    pb_error error = {0};
    assert_int_equal(pb_edits_check_credentials(given, "file", &error), 0);
    assert_int_equal(pb_edits_credentials(given, objects, &error), 0);
    assert_true(json_equal(objects, wanted));
    json_decref(given);
    json_decref(objects);
    json_decref(wanted);
}

/* "bmV3" is "new", "b2xk" is "old". */
static void the_new_take_the_place_of_all_old_ones(void **state)
{
    (void)state;
    expect("{'AMAZON_ID':'new','AMAZON_SECRET':'new'}",
           SECRET("'AMAZON_ID':'b2xk','AMAZON_TOKEN':'b2xk','AWS_SESSION_TOKEN':'b2xk',"
                  "'AMAZON_BUCKET':'b2xk'"),
           SECRET("'AMAZON_ID':'bmV3','AMAZON_SECRET':'bmV3','AMAZON_BUCKET':'b2xk'"));
    /* Both names of one, where the secret has both. */
    expect("{'AMAZON_ID':'new'}", SECRET("'AMAZON_ID':'b2xk','AWS_ACCESS_KEY_ID':'b2xk'"),
           SECRET("'AMAZON_ID':'bmV3','AWS_ACCESS_KEY_ID':'bmV3'"));
    expect("{'MICROSOFT_SECRET':'new'}", SECRET("'AZURE_STORAGE_KEY':'b2xk'"),
           SECRET("'AZURE_STORAGE_KEY':'bmV3','MICROSOFT_SECRET':'bmV3'"));
    expect("{'GOOGLE_CRED':'new'}", SECRET("'AMAZON_SECRET':'b2xk'"),
           SECRET("'GOOGLE_CRED':'bmV3'"));
}

static void what_is_no_credential_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *credentials, *says;
    } cases[] = {
        {"{}", "names no credential"},
        {"{'':'x'}", "is no credential of a bucket"},
        {"{'AMAZON_BUCKET':'marked'}", "\"AMAZON_BUCKET\" is no credential of a bucket"},
        {"{'AMAZON_ID':7}", "the value of AMAZON_ID is no text"},
        {"{'AMAZON_ID':''}", "the value of AMAZON_ID is no text"},
        {"{'AMAZON_ID':['marked']}", "the value of AMAZON_ID is no text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *given = json(cases[i].credentials);
        pb_error error = {0};
        assert_int_equal(pb_edits_check_credentials(given, "file", &error), -1);
        assert_int_equal(error.kind, PB_ERROR_USAGE);
        assert_non_null(strstr(error.message, cases[i].says));
        assert_null(strstr(error.message, "marked"));
        json_decref(given);
    }
    json_t *given = json("{'AMAZON_ID':'x'}"), *none = json("[]");
    pb_error error = {0};
    assert_int_equal(pb_edits_credentials(given, none, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_FAILED);
    json_decref(given);
    json_decref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_new_take_the_place_of_all_old_ones),
        cmocka_unit_test(what_is_no_credential_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
