#include "copier/store/gcs/answer.h"

#include "base/base64.h"
#include "base/codec.h"
#include "copier/store/etag.h"

void pb_gcs_answer_restart(pb_gcs_answer *answer)
{
    char *session = answer->session;
    session[0] = '\0'; /* four kilobytes that need no zeroes */
    answer->has_md5 = answer->has_crc32c = answer->is_decoded = false;
    answer->has_position = answer->session_refused = false;
    answer->position = 0;
    answer->request_id[0] = '\0';
}

/* "crc32c=AAAAAA==,md5=..."; the header may also come once for each. */
static void read_hashes(pb_gcs_answer *answer, pb_slice value)
{
    pb_slice crc32c = PB_SLICE_LITERAL("crc32c="), md5 = PB_SLICE_LITERAL("md5=");
    while (value.size) {
        const char *comma = memchr(value.data, ',', value.size);
        pb_slice one = {value.data, comma ? (size_t)(comma - value.data) : value.size};
        size_t used = comma ? one.size + 1 : one.size;
        value = pb_slice_from(value, used);
        while (one.size && one.data[0] == ' ')
            one = pb_slice_from(one, 1);
        if (pb_slice_starts_with(one, crc32c))
            answer->has_crc32c = pb_base64_decode_to(pb_slice_from(one, crc32c.size),
                                                     answer->crc32c, sizeof answer->crc32c);
        else if (pb_slice_starts_with(one, md5))
            answer->has_md5 =
                pb_base64_decode_to(pb_slice_from(one, md5.size), answer->md5, sizeof answer->md5);
    }
}

/* Of the session's URL path and query are kept: requests go to the host that was named to us. */
static void read_session(pb_gcs_answer *answer, pb_slice value)
{
    const char *host = memmem(value.data, value.size, "://", 3);
    const char *end = value.data + value.size;
    const char *path = host ? memchr(host + 3, '/', (size_t)(end - host - 3)) : NULL;
    if (path)
        pb_answer_keep_text(answer->session, sizeof answer->session,
                            (pb_slice){path, (size_t)(end - path)});
    answer->session_refused = !answer->session[0];
}

/* "bytes=0-42"; where nothing came there is no such header. */
static void read_position(pb_gcs_answer *answer, pb_slice value)
{
    pb_slice start = PB_SLICE_LITERAL("bytes=0-");
    uint64_t last;
    answer->has_position = pb_slice_starts_with(value, start) &&
                           pb_parse_unsigned(pb_slice_from(value, start.size), &last) &&
                           last < UINT64_MAX;
    if (answer->has_position)
        answer->position = last + 1;
}

bool pb_gcs_answer_header(pb_gcs_answer *answer, pb_slice name, pb_slice value)
{
    if (pb_slice_is(name, "x-goog-hash"))
        read_hashes(answer, value);
    else if (pb_slice_is(name, "location"))
        read_session(answer, value);
    else if (pb_slice_is(name, "range"))
        read_position(answer, value);
    else if (pb_slice_is(name, "x-guploader-uploadid"))
        pb_answer_keep_text(answer->request_id, sizeof answer->request_id, value);
    else if (pb_slice_is(name, "x-guploader-response-body-transformations") ||
             pb_slice_is(name, "warning"))
        /* https://cloud.google.com/storage/docs/transcoding: "gunzipped", or 214 UploadServer. */
        answer->is_decoded |= memmem(value.data, value.size, "unzipped", 8) != NULL ||
                              pb_slice_starts_with(value, PB_SLICE_LITERAL("214 "));
    else
        return false;
    return true;
}

bool pb_gcs_content_matches(const pb_gcs_answer *answer, pb_slice etag)
{
    uint8_t crc32c[PB_CRC32C_BYTES];
    char own[PB_ETAG_TEXT_MAX];
    if (answer->has_crc32c && pb_etag_is_crc32c(etag, crc32c))
        return memcmp(crc32c, answer->crc32c, sizeof crc32c) == 0;
    pb_gcs_content_etag(answer->has_md5 ? answer->md5 : NULL,
                        answer->has_crc32c ? answer->crc32c : NULL, own);
    return !etag.size || !own[0] || pb_slice_equal(etag, pb_slice_of(own));
}

void pb_gcs_content_etag(const uint8_t *md5, const uint8_t *crc32c, char *ret_etag)
{
    ret_etag[0] = '\0';
    if (md5) {
        pb_hex_encode(md5, PB_MD5_BYTES, ret_etag);
    } else if (crc32c) {
        memcpy(ret_etag, PB_ETAG_CRC32C, sizeof PB_ETAG_CRC32C - 1);
        pb_hex_encode(crc32c, PB_CRC32C_BYTES, ret_etag + sizeof PB_ETAG_CRC32C - 1);
    }
}
