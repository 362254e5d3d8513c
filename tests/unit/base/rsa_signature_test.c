#include "base/rsa_signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "tests/support/data_file.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* tests/data/google/README.md says how it was made. */
static const char signed_text[] = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0";

static void both_forms_of_a_key_sign_as_openssl_does(void **state)
{
    (void)state;
    static const char *const names[] = {"google/private_key.pem", "google/private_key_pkcs1.pem"};
    char *expected = read_data_file("google/signature.hex"), hex[513];
    for (size_t i = 0; i < COUNT(names); i++) {
        char *pem = read_data_file(names[i]);
        pb_rsa_key *key = NULL;
        pb_buffer signature = {0};
        assert_int_equal(pb_rsa_key_parse(pb_slice_of(pem), &key, NULL), 0);
        assert_int_equal(pb_rsa_key_sign(key, pb_slice_of(signed_text), &signature, NULL), 0);
        assert_int_equal(signature.size, 256);
        pb_hex_encode(signature.data, 256, hex);
        assert_string_equal(hex, expected);
        /* Again: what is there stays. */
        assert_int_equal(pb_rsa_key_sign(key, pb_slice_of(signed_text), &signature, NULL), 0);
        assert_int_equal(signature.size, 512);
        assert_memory_equal(signature.data, signature.data + 256, 256);
        pb_rsa_key_free(key);
        pb_buffer_free(&signature);
        free(pem);
    }
    free(expected);
    pb_rsa_key_free(NULL);
}

static void refuse(pb_slice pem, const char *part)
{
    pb_rsa_key *key = NULL;
    pb_error error = {0};
    assert_int_equal(pb_rsa_key_parse(pem, &key, &error), -1);
    assert_null(key);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    assert_non_null(strstr(error.message, part));
    assert_null(strstr(error.message, "MII"));
}

static void all_else_is_refused(void **state)
{
    (void)state;
    char *pem = read_data_file("google/private_key.pem");
    char *public = read_data_file("google/public_key.pem");
    size_t size = strlen(pem);
    refuse(pb_slice_of(""), "not a private key");
    refuse((pb_slice){NULL, 0}, "not a private key");
    refuse(pb_slice_of("-----BEGIN PRIVATE KEY-----\nMIIhush\n-----END PRIVATE KEY-----\n"),
           "not a private key");
    refuse(pb_slice_of(public), "not a private key");
    refuse((pb_slice){pem, size / 2}, "not a private key");
    memset(pem + size / 2, 'A', 40);
    pem[size / 2 + 3] = '\n';
    pb_rsa_key *damaged = NULL;
    pb_error error = {0};
    if (!pb_rsa_key_parse((pb_slice){pem, size}, &damaged, &error))
        pb_rsa_key_free(damaged); /* numbers are checked where they are used */
    else
        assert_int_equal(error.kind, PB_ERROR_USAGE);
    free(pem);
    free(public);
    /* Of 65 KiB: not even looked at. */
    char *huge = pb_allocate(65 * 1024);
    memset(huge, 'A', 65 * 1024);
    refuse((pb_slice){huge, 65 * 1024}, "not a private key");
    free(huge);
}

/* openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256, and rsa_keygen_bits:1024. */
static void keys_of_other_kinds_are_refused(void **state)
{
    (void)state;
    char *curve = read_data_file("google/curve_key.pem");
    char *small = read_data_file("google/small_key.pem");
    char *locked = read_data_file("google/locked_key.pem");
    refuse(pb_slice_of(curve), "not an RSA key");
    refuse(pb_slice_of(small), "not an RSA key");
    refuse(pb_slice_of(locked), "without passphrase"); /* and nobody is asked for it */
    free(curve);
    free(small);
    free(locked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_of_a_key_sign_as_openssl_does),
        cmocka_unit_test(all_else_is_refused),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
