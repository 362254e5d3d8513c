#include "copier/store/s3/errors.h"

#include "base/clock.h"

#define HINT_RIGHTS "check the bucket's policy and the rights of these credentials"
#define HINT_SECRET "check the secret access key: it does not belong to this access key id"
#define HINT_KEY "check the access key id, and that the endpoint is the store that issued it"
#define HINT_EXPIRED "get new temporary credentials"
#define HINT_CLOCK "set this machine's clock"
#define HINT_BUCKET "check the bucket's name and the endpoint"
#define HINT_ELSEWHERE "check endpoint= and region= in the URL"
#define HINT_ARCHIVED "restore the object from its archive class first"

typedef struct code_class {
    const char *code;
    pb_s3_class class;
} code_class;

static const code_class codes[] = {
    {"SlowDown", {PB_ERROR_THROTTLED, true, ""}},
    {"SlowDownRead", {PB_ERROR_THROTTLED, true, ""}},
    {"SlowDownWrite", {PB_ERROR_THROTTLED, true, ""}},
    {"ServiceUnavailable", {PB_ERROR_THROTTLED, true, ""}},
    {"Throttling", {PB_ERROR_THROTTLED, true, ""}},
    {"ThrottlingException", {PB_ERROR_THROTTLED, true, ""}},
    {"RequestLimitExceeded", {PB_ERROR_THROTTLED, true, ""}},
    {"TooManyRequests", {PB_ERROR_THROTTLED, true, ""}},
    {"InternalError", {PB_ERROR_SERVER, true, ""}},
    {"OperationAborted", {PB_ERROR_SERVER, true, ""}},
    {"RequestTimeout", {PB_ERROR_SERVER, true, ""}},
    /* The body changed or was cut on its way. */
    {"IncompleteBody", {PB_ERROR_SERVER, true, ""}},
    {"BadDigest", {PB_ERROR_SERVER, true, ""}},
    {"XAmzContentSHA256Mismatch", {PB_ERROR_SERVER, true, ""}},
    {"XAmzContentChecksumMismatch", {PB_ERROR_SERVER, true, ""}},

    {"AccessDenied", {PB_ERROR_REFUSED, false, HINT_RIGHTS}},
    {"AllAccessDisabled", {PB_ERROR_REFUSED, false, ""}},
    {"AccountProblem", {PB_ERROR_REFUSED, false, ""}},
    {"SignatureDoesNotMatch", {PB_ERROR_REFUSED, false, HINT_SECRET}},
    {"InvalidAccessKeyId", {PB_ERROR_REFUSED, false, HINT_KEY}},
    {"InvalidSecurity", {PB_ERROR_REFUSED, false, HINT_KEY}},
    {"ExpiredToken", {PB_ERROR_REFUSED, false, HINT_EXPIRED}},
    {"ExpiredTokenException", {PB_ERROR_REFUSED, false, HINT_EXPIRED}},
    {"InvalidToken", {PB_ERROR_REFUSED, false, HINT_EXPIRED}},
    {"TokenRefreshRequired", {PB_ERROR_REFUSED, false, HINT_EXPIRED}},
    {"RequestTimeTooSkewed", {PB_ERROR_REFUSED, false, HINT_CLOCK}},
    {"RequestExpired", {PB_ERROR_REFUSED, false, HINT_CLOCK}},

    {"NoSuchBucket", {PB_ERROR_NOT_FOUND, false, HINT_BUCKET}},
    {"NoSuchKey", {PB_ERROR_NOT_FOUND, false, ""}},
    {"NoSuchUpload", {PB_ERROR_NOT_FOUND, false, ""}},
    {"NoSuchVersion", {PB_ERROR_NOT_FOUND, false, ""}},
    {"PreconditionFailed", {PB_ERROR_EXISTS, false, ""}},
    {"ConditionalRequestConflict", {PB_ERROR_EXISTS, true, ""}},

    {"QuotaExceeded", {PB_ERROR_NO_SPACE, false, ""}},
    {"InsufficientCapacity", {PB_ERROR_NO_SPACE, false, ""}},
    {"XMinioStorageFull", {PB_ERROR_NO_SPACE, false, ""}},
    {"XMinioAdminBucketQuotaExceeded", {PB_ERROR_NO_SPACE, false, ""}},

    {"PermanentRedirect", {PB_ERROR_USAGE, false, HINT_ELSEWHERE}},
    {"AuthorizationHeaderMalformed", {PB_ERROR_USAGE, false, HINT_ELSEWHERE}},
    {"IllegalLocationConstraintException", {PB_ERROR_USAGE, false, HINT_ELSEWHERE}},
    {"InvalidBucketName", {PB_ERROR_USAGE, false, HINT_BUCKET}},
    {"InvalidObjectState", {PB_ERROR_FAILED, false, HINT_ARCHIVED}},
    {"NotImplemented", {PB_ERROR_FAILED, false, ""}},
};

static pb_s3_class classify_status(int status)
{
    switch (status) {
    case 301:
    case 307:
        return (pb_s3_class){PB_ERROR_USAGE, false, HINT_ELSEWHERE};
    case 401:
    case 403:
        return (pb_s3_class){PB_ERROR_REFUSED, false,
                             "check the credentials, their rights and this machine's clock"};
    case 404:
        return (pb_s3_class){PB_ERROR_NOT_FOUND, false, ""};
    case 408:
        return (pb_s3_class){PB_ERROR_SERVER, true, ""};
    case 412:
        return (pb_s3_class){PB_ERROR_EXISTS, false, ""};
    case 429:
    case 503:
        return (pb_s3_class){PB_ERROR_THROTTLED, true, ""};
    case 501:
    case 505:
        return (pb_s3_class){PB_ERROR_FAILED, false, ""};
    case 507:
        return (pb_s3_class){PB_ERROR_NO_SPACE, false, ""};
    default:
        return status >= 500 ? (pb_s3_class){PB_ERROR_SERVER, true, ""}
                             : (pb_s3_class){PB_ERROR_FAILED, false, ""};
    }
}

pb_s3_class pb_s3_classify(int status, pb_slice code)
{
    /* Some dozens of comparisons, and only for failures. */
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (pb_slice_equal(code, pb_slice_of(codes[i].code)))
            return codes[i].class;
    return classify_status(status);
}

bool pb_s3_says_elsewhere(int status, pb_slice code)
{
    return status == 301 || status == 307 ||
           pb_slice_equal(code, PB_SLICE_LITERAL("PermanentRedirect")) ||
           pb_slice_equal(code, PB_SLICE_LITERAL("TemporaryRedirect")) ||
           pb_slice_equal(code, PB_SLICE_LITERAL("AuthorizationHeaderMalformed")) ||
           pb_slice_equal(code, PB_SLICE_LITERAL("IllegalLocationConstraintException")) ||
           /* HEAD of a bucket in another region may answer so, without a body. */
           (status == 400 && !code.size);
}

static void copy_text(char *ret_text, size_t capacity, pb_slice text)
{
    size_t size = text.size < capacity - 1 ? text.size : capacity - 1;
    for (size_t i = 0; i < size; i++)
        ret_text[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
    ret_text[size] = '\0';
}

void pb_s3_error_fill(pb_error *error, const pb_s3_failure *failure, pb_s3_class class)
{
    enum { SHOWN = 600 };
    pb_slice message = failure->message, code = failure->code;
    if (message.size > SHOWN)
        message.size = SHOWN;
    if (code.size > sizeof error->code - 1)
        code.size = sizeof error->code - 1;
    if (code.size)
        pb_error_set(error, class.kind, "%s: %.*s%s%.*s", failure->what, PB_SLICE_FORMAT(code),
                     message.size ? ": " : "", PB_SLICE_FORMAT(message));
    else
        pb_error_set(error, class.kind, "%s: HTTP status %d", failure->what, failure->status);
    error->status = failure->status;
    copy_text(error->code, sizeof error->code, code);
    copy_text(error->request_id, sizeof error->request_id, failure->request_id);
    if (strcmp(class.hint, HINT_CLOCK) == 0 && failure->store_now_ms) {
        char ours[PB_TIME_TEXT_MAX], theirs[PB_TIME_TEXT_MAX];
        pb_time_format_http(failure->our_now_ms, ours);
        pb_time_format_http(failure->store_now_ms, theirs);
        pb_error_hint(error, "%s: it says %s, the store says %s", class.hint, ours, theirs);
    } else if (class.hint[0]) {
        pb_error_hint(error, "%s", class.hint);
    }
}
