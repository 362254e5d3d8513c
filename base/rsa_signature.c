#include "base/rsa_signature.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>

enum { KEY_BITS_MIN = 2048, KEY_BITS_MAX = 8192, PEM_BYTES_MAX = 64 * 1024 };

struct pb_rsa_key {
    EVP_PKEY *pkey;
};

/* Without it OpenSSL would ask at the terminal. */
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

int pb_rsa_key_parse(pb_slice pem, pb_rsa_key **ret_key, pb_error *error)
{
    EVP_PKEY *pkey = NULL;
    if (pem.size && pem.size <= PEM_BYTES_MAX) {
        BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
        if (!bio)
            abort();
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        BIO_free(bio);
        ERR_clear_error();
    }
    if (!pkey)
        return pb_error_set(error, PB_ERROR_USAGE, "not a private key in PEM without passphrase");
    int bits = EVP_PKEY_get_bits(pkey);
    if (!EVP_PKEY_is_a(pkey, "RSA") || bits < KEY_BITS_MIN || bits > KEY_BITS_MAX) {
        EVP_PKEY_free(pkey);
        return pb_error_set(error, PB_ERROR_USAGE, "not an RSA key of %d to %d bits", KEY_BITS_MIN,
                            KEY_BITS_MAX);
    }
    *ret_key = pb_allocate(sizeof **ret_key);
    (*ret_key)->pkey = pkey;
    return 0;
}

void pb_rsa_key_free(pb_rsa_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey); /* clears the numbers of a private key */
    free(key);
}

int pb_rsa_key_sign(const pb_rsa_key *key, pb_slice data, pb_buffer *ret_signature, pb_error *error)
{
    size_t size = (size_t)EVP_PKEY_get_size(key->pkey);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context)
        abort();
    pb_buffer_reserve(ret_signature, size);
    bool done = EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key->pkey, NULL) == 1 &&
                EVP_DigestSign(context, (unsigned char *)ret_signature->data + ret_signature->size,
                               &size, (const unsigned char *)data.data, data.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (!done)
        return pb_error_set(error, PB_ERROR_USAGE, "the private key does not sign: is it damaged?");
    ret_signature->size += size;
    ret_signature->data[ret_signature->size] = '\0';
    return 0;
}
