#include "copier/store/s3/answer.h"

#include "base/base64.h"
#include "copier/store/s3/request.h"
#include "copier/store/s3/response.h"

void pb_s3_answer_restart(pb_s3_answer *answer)
{
    memset(answer, 0, sizeof *answer);
}

/* Of a redirect's URL only scheme and host are looked at; the key behind them may be long. */
static void keep_start(char *ret_text, size_t capacity, pb_slice value)
{
    if (value.size >= capacity)
        value.size = capacity - 1;
    pb_answer_keep_text(ret_text, capacity, value);
}

static void read_etag(pb_s3_answer *answer, pb_slice value)
{
    pb_slice etag;
    answer->etag_refused = !pb_s3_etag_read(value, &etag);
    if (etag.size)
        memcpy(answer->etag, etag.data, etag.size);
    answer->etag[etag.size] = '\0';
}

bool pb_s3_answer_header(pb_s3_answer *answer, pb_slice name, pb_slice value)
{
    if (pb_slice_is(name, "etag"))
        read_etag(answer, value);
    else if (pb_slice_is(name, "x-amz-bucket-region"))
        pb_answer_keep_text(answer->region, sizeof answer->region, value);
    else if (pb_slice_is(name, "x-amz-request-id"))
        pb_answer_keep_text(answer->request_id, sizeof answer->request_id, value);
    else if (pb_slice_is(name, "location"))
        keep_start(answer->location, sizeof answer->location, value);
    else if (pb_slice_is(name, "x-amz-server-side-encryption"))
        answer->etag_opaque |= pb_slice_starts_with(value, PB_SLICE_LITERAL("aws:kms"));
    else if (pb_slice_is(name, "x-amz-server-side-encryption-customer-algorithm"))
        answer->etag_opaque = true;
    else if (pb_slice_is(name, "x-amz-tagging-count"))
        answer->has_tags = !pb_slice_equal(value, PB_SLICE_LITERAL("0"));
    else if (pb_slice_is(name, "x-amz-checksum-crc32c"))
        answer->has_crc32c = pb_base64_decode_to(value, answer->crc32c, sizeof answer->crc32c);
    else if (pb_slice_is(name, "content-encoding"))
        answer->gzip = pb_slice_equal(value, PB_SLICE_LITERAL("gzip"));
    else
        return false;
    return !pb_slice_is(name, "content-encoding");
}
