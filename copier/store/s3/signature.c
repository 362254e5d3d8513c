#include "copier/store/s3/signature.h"

#include "base/codec.h"
#include <stdlib.h>

enum { DAY_SIZE = 8, HEX_SIZE = 2 * PB_SHA256_BYTES };

/* Stable, and cheap where the caller's order is nearly right, which it is. */
static void sort_headers(pb_s3_header *headers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        pb_s3_header header = headers[i];
        size_t at = i;
        for (; at && pb_slice_compare(headers[at - 1].name, header.name) > 0; at--)
            headers[at] = headers[at - 1];
        headers[at] = header;
    }
}

/* Without blanks round it, and each run of blanks inside as one. */
static void append_value(pb_buffer *buffer, pb_slice value)
{
    while (value.size && value.data[0] == ' ')
        value = pb_slice_from(value, 1);
    while (value.size && value.data[value.size - 1] == ' ')
        value.size--;
    const char *pair;
    while (value.size > 2 && (pair = memmem(value.data, value.size, "  ", 2))) {
        size_t kept = (size_t)(pair + 1 - value.data);
        pb_buffer_append(buffer, value.data, kept);
        while (value.data[kept] == ' ')
            kept++;
        value = pb_slice_from(value, kept);
    }
    pb_buffer_append_slice(buffer, value);
}

void pb_s3_canonical_request(pb_buffer *buffer, pb_s3_canonical *canonical,
                             size_t *ret_signed_start, size_t *ret_signed_size)
{
    pb_s3_header *headers = canonical->headers;
    sort_headers(headers, canonical->header_count);
    pb_buffer_append_text(buffer, canonical->method);
    pb_buffer_append_char(buffer, '\n');
    pb_buffer_append_slice(buffer, canonical->path);
    pb_buffer_append_char(buffer, '\n');
    pb_buffer_append_slice(buffer, canonical->query);
    pb_buffer_append_char(buffer, '\n');
    for (size_t i = 0; i < canonical->header_count; i++) {
        bool again = i && pb_slice_equal(headers[i].name, headers[i - 1].name);
        if (again) {
            buffer->size--; /* the line's end: the line goes on */
            pb_buffer_append_char(buffer, ',');
        } else {
            pb_buffer_append_slice(buffer, headers[i].name);
            pb_buffer_append_char(buffer, ':');
        }
        append_value(buffer, headers[i].value);
        pb_buffer_append_char(buffer, '\n');
    }
    pb_buffer_append_char(buffer, '\n');
    *ret_signed_start = buffer->size;
    for (size_t i = 0; i < canonical->header_count; i++) {
        if (i && pb_slice_equal(headers[i].name, headers[i - 1].name))
            continue;
        if (i)
            pb_buffer_append_char(buffer, ';');
        pb_buffer_append_slice(buffer, headers[i].name);
    }
    *ret_signed_size = buffer->size - *ret_signed_start;
    pb_buffer_append_char(buffer, '\n');
    pb_buffer_append_slice(buffer, canonical->payload);
}

void pb_s3_string_to_sign(pb_buffer *buffer, pb_slice date, pb_slice scope,
                          const uint8_t digest[PB_SHA256_BYTES])
{
    char hex[HEX_SIZE + 1];
    pb_hex_encode(digest, PB_SHA256_BYTES, hex);
    pb_buffer_append_text(buffer, "AWS4-HMAC-SHA256\n");
    pb_buffer_append_slice(buffer, date);
    pb_buffer_append_char(buffer, '\n');
    pb_buffer_append_slice(buffer, scope);
    pb_buffer_append_char(buffer, '\n');
    pb_buffer_append(buffer, hex, HEX_SIZE);
}

struct pb_s3_signer {
    char *access_key_id;
    pb_buffer secret; /* "AWS4" and the secret access key */
    char *service;
    pb_hash *hash;
    pb_buffer canonical;
    pb_buffer to_sign;

    pb_buffer scope; /* "20150830/us-east-1/s3/aws4_request" of day_key */
    pb_hmac *day_key;

    int64_t second; /* of date */
    char date[PB_TIME_TEXT_MAX];
    char last[HEX_SIZE + 1];
};

pb_s3_signer *pb_s3_signer_new(const char *access_key_id, const char *secret_access_key,
                               const char *service)
{
    pb_s3_signer *signer = pb_allocate_zeroed(1, sizeof *signer);
    signer->access_key_id = pb_duplicate(pb_slice_of(access_key_id));
    /* Reserved at once, so that growing leaves no copy of the secret behind. */
    pb_buffer_reserve(&signer->secret, 4 + strlen(secret_access_key));
    pb_buffer_append_text(&signer->secret, "AWS4");
    pb_buffer_append_text(&signer->secret, secret_access_key);
    signer->service = pb_duplicate(pb_slice_of(service));
    signer->hash = pb_hash_new(PB_HASH_SHA256);
    return signer;
}

void pb_s3_signer_free(pb_s3_signer *signer)
{
    if (!signer)
        return;
    pb_buffer_wipe(&signer->secret);
    free(signer->access_key_id);
    free(signer->service);
    pb_hash_free(signer->hash);
    pb_hmac_free(signer->day_key);
    pb_buffer_free(&signer->canonical);
    pb_buffer_free(&signer->to_sign);
    pb_buffer_free(&signer->scope);
    free(signer);
}

pb_slice pb_s3_signer_date(pb_s3_signer *signer, int64_t now_ms)
{
    int64_t second = now_ms / 1000;
    if (!signer->date[0] || second != signer->second) {
        signer->second = second;
        pb_time_format_basic(now_ms, signer->date);
    }
    return pb_slice_of(signer->date);
}

/* True where the scope's day and region are these already. */
static bool scope_fits(const pb_s3_signer *signer, pb_slice region, pb_slice date)
{
    return signer->day_key && signer->scope.size > DAY_SIZE + 1 + region.size &&
           memcmp(signer->scope.data, date.data, DAY_SIZE) == 0 &&
           memcmp(signer->scope.data + DAY_SIZE + 1, region.data, region.size) == 0 &&
           signer->scope.data[DAY_SIZE + 1 + region.size] == '/';
}

static void make_day_key(pb_s3_signer *signer, pb_slice region, pb_slice date)
{
    uint8_t key[PB_SHA256_BYTES];
    pb_slice service = pb_slice_of(signer->service), end = PB_SLICE_LITERAL("aws4_request");
    pb_hmac_sha256(signer->secret.data, signer->secret.size, date.data, DAY_SIZE, key);
    pb_hmac_sha256(key, sizeof key, region.data, region.size, key);
    pb_hmac_sha256(key, sizeof key, service.data, service.size, key);
    pb_hmac_sha256(key, sizeof key, end.data, end.size, key);
    pb_hmac_free(signer->day_key);
    signer->day_key = pb_hmac_new(key, sizeof key);
    explicit_bzero(key, sizeof key);
    pb_buffer_clear(&signer->scope);
    pb_buffer_append_format(&signer->scope, "%.*s/%.*s/%s/aws4_request", (int)DAY_SIZE, date.data,
                            PB_SLICE_FORMAT(region), signer->service);
}

void pb_s3_sign(pb_s3_signer *signer, const char *region, pb_slice date, pb_s3_canonical *canonical,
                pb_buffer *authorization)
{
    pb_slice region_slice = pb_slice_of(region);
    if (!scope_fits(signer, region_slice, date))
        make_day_key(signer, region_slice, date);

    uint8_t digest[PB_SHA256_BYTES];
    size_t signed_start, signed_size;
    pb_buffer_clear(&signer->canonical);
    pb_s3_canonical_request(&signer->canonical, canonical, &signed_start, &signed_size);
    pb_hash_restart(signer->hash);
    pb_hash_update(signer->hash, signer->canonical.data, signer->canonical.size);
    pb_hash_finish(signer->hash, digest);
    pb_buffer_clear(&signer->to_sign);
    pb_s3_string_to_sign(&signer->to_sign, date, pb_buffer_slice(&signer->scope), digest);
    pb_hmac_compute(signer->day_key, signer->to_sign.data, signer->to_sign.size, digest);
    pb_hex_encode(digest, sizeof digest, signer->last);

    pb_buffer_append_text(authorization, "AWS4-HMAC-SHA256 Credential=");
    pb_buffer_append_text(authorization, signer->access_key_id);
    pb_buffer_append_char(authorization, '/');
    pb_buffer_append_slice(authorization, pb_buffer_slice(&signer->scope));
    pb_buffer_append_text(authorization, ", SignedHeaders=");
    pb_buffer_append(authorization, signer->canonical.data + signed_start, signed_size);
    pb_buffer_append_text(authorization, ", Signature=");
    pb_buffer_append(authorization, signer->last, HEX_SIZE);
}

const char *pb_s3_signer_last(const pb_s3_signer *signer)
{
    return signer->last;
}
