/* base/rsa_signature.h - RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2), "RS256" of RFC
 * 7518: how a service account of Google proves itself. Any thread; a key may sign on several. */
#ifndef PB_BASE_RSA_SIGNATURE_H
#define PB_BASE_RSA_SIGNATURE_H

#include "base/bytes.h"
#include "base/error.h"

typedef struct pb_rsa_key pb_rsa_key;

/* Reads a private key in PEM (PKCS #8 or PKCS #1, not encrypted) of 2048 to 8192 bits. Fails with
 * USAGE, never showing anything of the text. Free with pb_rsa_key_free, which wipes the key. */
int pb_rsa_key_parse(pb_slice pem, pb_rsa_key **ret_key, pb_error *error);
void pb_rsa_key_free(pb_rsa_key *key); /* NULL allowed */

/* Appends the signature of `data`: as many bytes as the key's modulus has. Fails where the key is
 * damaged in itself (USAGE). */
int pb_rsa_key_sign(const pb_rsa_key *key, pb_slice data, pb_buffer *ret_signature,
                    pb_error *error);

#endif
