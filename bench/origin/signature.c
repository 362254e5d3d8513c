#include "bench/origin/signature.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/hash.h"
#include <openssl/crypto.h>
#include <stdlib.h>

enum { SKEW_MS_MAX = 15 * 60 * 1000, SIGNED_HEADERS_MAX = 64 };

typedef struct accepted_key {
    char *access_key;
    char *secret_key;
    char *token;      /* NULL: none */
    int64_t until_ms; /* 0: for good */
    /* The key for one day, region and service is used by nearly all requests. */
    char scope[96];
    pb_hmac *hmac;
} accepted_key;

struct pb_origin_signer {
    size_t own_count; /* of the options: they come first, and stay */
    size_t count;
    accepted_key *keys;
    pb_buffer canonical;
    pb_buffer to_sign;
};

static void add_key(pb_origin_signer *signer, pb_slice access_key, pb_slice secret_key)
{
    signer->keys = pb_reallocate(signer->keys, (signer->count + 1) * sizeof(*signer->keys));
    signer->keys[signer->count++] = (accepted_key){
        .access_key = pb_duplicate(access_key),
        .secret_key = pb_duplicate(secret_key),
    };
}

static void drop_keys(pb_origin_signer *signer, size_t kept)
{
    while (signer->count > kept) {
        accepted_key *key = &signer->keys[--signer->count];
        free(key->access_key);
        free(key->secret_key);
        free(key->token);
        pb_hmac_free(key->hmac);
    }
}

pb_origin_signer *pb_origin_signer_new(const char *access_key, const char *secret_key)
{
    pb_origin_signer *signer = pb_allocate_zeroed(1, sizeof(*signer));
    if (access_key) {
        add_key(signer, pb_slice_of(access_key), pb_slice_of(secret_key));
    }
    signer->own_count = signer->count;
    return signer;
}

void pb_origin_signer_free(pb_origin_signer *signer)
{
    if (signer) {
        drop_keys(signer, 0);
        free(signer->keys);
        pb_buffer_free(&signer->canonical);
        pb_buffer_free(&signer->to_sign);
        free(signer);
    }
}

/* Cuts `text` at the first `c`; returns what was before it. Without one, all of it. */
static pb_slice cut(pb_slice *text, char c)
{
    const char *found = text->size > 0 ? memchr(text->data, c, text->size) : NULL;
    pb_slice before = {text->data, found ? (size_t)(found - text->data) : text->size};
    size_t gone = before.size + (found ? 1 : 0);
    text->data += gone;
    text->size -= gone;
    return before;
}

static int read_key(pb_origin_signer *signer, pb_slice line, pb_error *error)
{
    pb_slice access_key = cut(&line, ' ');
    pb_slice secret_key = cut(&line, ' ');
    pb_slice token = cut(&line, ' ');
    uint64_t until_ms = 0;
    if (access_key.size == 0 || secret_key.size == 0 ||
        (line.size > 0 && (!pb_parse_unsigned(line, &until_ms) || until_ms > INT64_MAX))) {
        return pb_error_set(error, PB_ERROR_USAGE,
                            "a line of keys is ACCESS_KEY SECRET_KEY [TOKEN [UNTIL_MS]]");
    }
    add_key(signer, access_key, secret_key);
    accepted_key *key = &signer->keys[signer->count - 1];
    key->until_ms = (int64_t)until_ms;
    if (token.size > 0 && !pb_slice_equal(token, PB_SLICE_LITERAL("-"))) {
        key->token = pb_duplicate(token);
    }
    return 0;
}

int pb_origin_signer_replace(pb_origin_signer *signer, pb_slice text, pb_error *error)
{
    drop_keys(signer, signer->own_count);
    while (text.size > 0) {
        pb_slice line = cut(&text, '\n');
        if (line.size > 0 && read_key(signer, line, error) != 0) {
            return -1;
        }
    }
    return 0;
}

bool pb_origin_signature_parse(pb_slice authorization, pb_origin_signature *ret_signature)
{
    pb_origin_signature signature = {0};
    static const char scheme[] = "AWS4-HMAC-SHA256 ";
    if (!pb_slice_starts_with(authorization, PB_SLICE_LITERAL("AWS4-HMAC-SHA256 "))) {
        return false;
    }
    pb_slice rest = {authorization.data + sizeof(scheme) - 1,
                     authorization.size - (sizeof(scheme) - 1)};
    while (rest.size > 0) {
        pb_slice part = cut(&rest, ',');
        while (part.size > 0 && part.data[0] == ' ') {
            part.data++;
            part.size--;
        }
        pb_slice name = cut(&part, '=');
        if (pb_slice_equal(name, PB_SLICE_LITERAL("Credential"))) {
            signature.access_key = cut(&part, '/');
            signature.date = cut(&part, '/');
            signature.region = cut(&part, '/');
            signature.service = cut(&part, '/');
            if (!pb_slice_equal(part, PB_SLICE_LITERAL("aws4_request"))) {
                return false;
            }
        } else if (pb_slice_equal(name, PB_SLICE_LITERAL("SignedHeaders"))) {
            signature.signed_headers = part;
        } else if (pb_slice_equal(name, PB_SLICE_LITERAL("Signature"))) {
            signature.signature = part;
        } else {
            return false;
        }
    }
    *ret_signature = signature;
    return signature.access_key.size > 0 && signature.date.size == 8 && signature.region.size > 0 &&
           signature.signed_headers.size > 0 && signature.signature.size == 64;
}

static int compare_encoded(const void *a, const void *b)
{
    const pb_origin_parameter *left = a;
    const pb_origin_parameter *right = b;
    int order = pb_slice_compare(left->name, right->name);
    return order ? order : pb_slice_compare(left->value, right->value);
}

static void append_canonical_query(pb_buffer *canonical, const pb_origin_s3_request *s3)
{
    pb_origin_parameter sorted[PB_ORIGIN_PARAMETERS_MAX];
    size_t starts[PB_ORIGIN_PARAMETERS_MAX * 2 + 1];
    pb_buffer encoded = {0};
    for (size_t i = 0; i < s3->parameter_count; i++) {
        starts[2 * i] = encoded.size;
        pb_percent_encode(&encoded, s3->parameters[i].name, false);
        starts[2 * i + 1] = encoded.size;
        pb_percent_encode(&encoded, s3->parameters[i].value, false);
        starts[2 * i + 2] = encoded.size;
    }
    for (size_t i = 0; i < s3->parameter_count; i++) {
        const size_t *at = &starts[2 * i];
        sorted[i].name = (pb_slice){encoded.data + at[0], at[1] - at[0]};
        sorted[i].value = (pb_slice){encoded.data + at[1], at[2] - at[1]};
    }
    qsort(sorted, s3->parameter_count, sizeof(sorted[0]), compare_encoded);
    for (size_t i = 0; i < s3->parameter_count; i++) {
        if (i > 0) {
            pb_buffer_append_char(canonical, '&');
        }
        pb_buffer_append_slice(canonical, sorted[i].name);
        pb_buffer_append_char(canonical, '=');
        pb_buffer_append_slice(canonical, sorted[i].value);
    }
    pb_buffer_free(&encoded);
}

/* Runs of blanks count as one. */
static void append_header_value(pb_buffer *canonical, pb_slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] != ' ' || i == 0 || value.data[i - 1] != ' ') {
            pb_buffer_append_char(canonical, value.data[i]);
        }
    }
}

static bool is_signed(pb_slice signed_headers, pb_slice name)
{
    while (signed_headers.size > 0) {
        if (pb_slice_equal(cut(&signed_headers, ';'), name)) {
            return true;
        }
    }
    return false;
}

/* As S3 does: what changes the meaning of a request must be signed. */
static bool headers_are_signed(const pb_origin_request *request, pb_slice signed_headers)
{
    if (!is_signed(signed_headers, PB_SLICE_LITERAL("host"))) {
        return false;
    }
    for (size_t i = 0; i < request->header_count; i++) {
        pb_slice name = request->headers[i].name;
        if (pb_slice_starts_with(name, PB_SLICE_LITERAL("x-amz-")) &&
            !is_signed(signed_headers, name)) {
            return false;
        }
    }
    return true;
}

static void build_canonical(pb_buffer *canonical, const pb_origin_request *request,
                            const pb_origin_s3_request *s3, pb_slice signed_headers,
                            pb_slice content_sha256)
{
    pb_buffer_clear(canonical);
    pb_buffer_append_slice(canonical, request->method);
    pb_buffer_append_char(canonical, '\n');
    pb_percent_encode(canonical, s3->path, true);
    pb_buffer_append_char(canonical, '\n');
    append_canonical_query(canonical, s3);
    pb_buffer_append_char(canonical, '\n');
    for (pb_slice names = signed_headers; names.size > 0;) {
        pb_slice name = cut(&names, ';');
        pb_buffer_append_slice(canonical, name);
        pb_buffer_append_char(canonical, ':');
        bool is_first = true;
        for (size_t i = 0; i < request->header_count; i++) {
            if (pb_slice_equal(request->headers[i].name, name)) {
                if (!is_first) {
                    pb_buffer_append_char(canonical, ',');
                }
                append_header_value(canonical, request->headers[i].value);
                is_first = false;
            }
        }
        pb_buffer_append_char(canonical, '\n');
    }
    pb_buffer_append_char(canonical, '\n');
    pb_buffer_append_slice(canonical, signed_headers);
    pb_buffer_append_char(canonical, '\n');
    pb_buffer_append_slice(canonical, content_sha256);
}

static void use_scope(accepted_key *key, const pb_origin_signature *signature)
{
    char scope[96];
    size_t size = signature->date.size + 1 + signature->region.size;
    if (size >= sizeof(scope)) {
        size = 0; /* too long to be remembered */
    } else {
        memcpy(scope, signature->date.data, signature->date.size);
        scope[signature->date.size] = '/';
        memcpy(scope + signature->date.size + 1, signature->region.data, signature->region.size);
    }
    scope[size] = 0;
    if (size > 0 && key->hmac && strcmp(scope, key->scope) == 0) {
        return;
    }
    uint8_t derived[PB_SHA256_BYTES];
    uint8_t next[PB_SHA256_BYTES];
    pb_buffer secret = {0};
    pb_buffer_append_text(&secret, "AWS4");
    pb_buffer_append_text(&secret, key->secret_key);
    pb_hmac_sha256(secret.data, secret.size, signature->date.data, signature->date.size, derived);
    pb_hmac_sha256(derived, sizeof(derived), signature->region.data, signature->region.size, next);
    pb_hmac_sha256(next, sizeof(next), "s3", 2, derived);
    pb_hmac_sha256(derived, sizeof(derived), "aws4_request", 12, next);
    pb_buffer_free(&secret);
    pb_hmac_free(key->hmac);
    key->hmac = pb_hmac_new(next, sizeof(next));
    memcpy(key->scope, scope, size + 1);
}

/* "20261123T052049Z" to milliseconds. */
static bool parse_basic_time(pb_slice text, int64_t *ret_utc_ms)
{
    if (text.size != 16 || text.data[8] != 'T' || text.data[15] != 'Z') {
        return false;
    }
    const char *t = text.data;
    char spread[] = {t[0], t[1], t[2],  t[3], '-',   t[4],  t[5], '-',   t[6],  t[7],
                     'T',  t[9], t[10], ':',  t[11], t[12], ':',  t[13], t[14], 'Z'};
    return pb_time_parse_rfc3339((pb_slice){spread, sizeof(spread)}, ret_utc_ms);
}

static bool fault(pb_origin_signature_fault *ret_fault, const char *code, const char *message)
{
    ret_fault->code = code;
    ret_fault->message = message;
    return false;
}

static accepted_key *find_key(pb_origin_signer *signer, pb_slice access_key)
{
    for (size_t i = 0; i < signer->count; i++) {
        if (pb_slice_equal(access_key, pb_slice_of(signer->keys[i].access_key))) {
            return &signer->keys[i];
        }
    }
    return NULL;
}

/* Keys without a token take no notice of one. */
static bool token_fits(const accepted_key *key, pb_slice token)
{
    return !key->token || pb_slice_equal(token, pb_slice_of(key->token));
}

bool pb_origin_signature_check(pb_origin_signer *signer, const pb_origin_request *request,
                               const pb_origin_s3_request *s3, pb_slice region, int64_t now_ms,
                               pb_origin_signature_fault *ret_fault)
{
    pb_origin_signature signature;
    pb_slice authorization = pb_origin_request_header(request, "authorization");
    if (!authorization.data) {
        return fault(ret_fault, "AccessDenied", NULL);
    }
    if (!pb_origin_signature_parse(authorization, &signature) ||
        !pb_slice_equal(signature.service, PB_SLICE_LITERAL("s3"))) {
        return fault(ret_fault, "AuthorizationHeaderMalformed", NULL);
    }
    accepted_key *key = find_key(signer, signature.access_key);
    if (!key) {
        return fault(ret_fault, "InvalidAccessKeyId", NULL);
    }
    if (!token_fits(key, pb_origin_request_header(request, "x-amz-security-token"))) {
        return fault(ret_fault, "InvalidToken", NULL);
    }
    if (key->until_ms != 0 && now_ms >= key->until_ms) {
        return fault(ret_fault, "ExpiredToken", NULL);
    }
    if (!pb_slice_equal(signature.region, region)) {
        return fault(ret_fault, "AuthorizationHeaderMalformed",
                     "The authorization header is malformed; the region is wrong");
    }
    pb_slice content_sha256 = pb_origin_request_header(request, "x-amz-content-sha256");
    if (!content_sha256.data) {
        return fault(ret_fault, "MissingSecurityHeader",
                     "Your request is missing the header x-amz-content-sha256");
    }
    pb_slice date_text = pb_origin_request_header(request, "x-amz-date");
    int64_t date_ms;
    char basic_date[PB_TIME_TEXT_MAX];
    if (!date_text.data) {
        if (!pb_time_parse_http(pb_origin_request_header(request, "date"), &date_ms)) {
            return fault(ret_fault, "AccessDenied",
                         "AWS authentication requires a valid Date or x-amz-date header");
        }
        pb_time_format_basic(date_ms, basic_date);
        date_text = pb_slice_of(basic_date);
    } else if (!parse_basic_time(date_text, &date_ms)) {
        return fault(ret_fault, "AccessDenied",
                     "AWS authentication requires a valid Date or x-amz-date header");
    }
    if (date_ms > now_ms + SKEW_MS_MAX || date_ms < now_ms - SKEW_MS_MAX) {
        return fault(ret_fault, "RequestTimeTooSkewed", NULL);
    }
    if (memcmp(date_text.data, signature.date.data, 8) != 0) {
        return fault(ret_fault, "AuthorizationHeaderMalformed",
                     "The date of the credential scope is not that of the request");
    }
    if (!headers_are_signed(request, signature.signed_headers)) {
        return fault(ret_fault, "AccessDenied",
                     "There were headers present in the request which were not signed");
    }
    build_canonical(&signer->canonical, request, s3, signature.signed_headers, content_sha256);
    uint8_t digest[PB_SHA256_BYTES];
    char hex[2 * PB_SHA256_BYTES + 1];
    pb_sha256(signer->canonical.data, signer->canonical.size, digest);
    pb_hex_encode(digest, sizeof(digest), hex);
    pb_buffer *to_sign = &signer->to_sign;
    pb_buffer_clear(to_sign);
    pb_buffer_append_text(to_sign, "AWS4-HMAC-SHA256\n");
    pb_buffer_append_slice(to_sign, date_text);
    pb_buffer_append_char(to_sign, '\n');
    pb_buffer_append_slice(to_sign, signature.date);
    pb_buffer_append_char(to_sign, '/');
    pb_buffer_append_slice(to_sign, signature.region);
    pb_buffer_append_text(to_sign, "/s3/aws4_request\n");
    pb_buffer_append_text(to_sign, hex);
    use_scope(key, &signature);
    pb_hmac_compute(key->hmac, to_sign->data, to_sign->size, digest);
    pb_hex_encode(digest, sizeof(digest), hex);
    if (CRYPTO_memcmp(hex, signature.signature.data, 64) != 0) {
        pb_buffer_append_slice(&ret_fault->canonical_request, pb_buffer_slice(&signer->canonical));
        pb_buffer_append_slice(&ret_fault->string_to_sign, pb_buffer_slice(to_sign));
        return fault(ret_fault, "SignatureDoesNotMatch", NULL);
    }
    return true;
}
