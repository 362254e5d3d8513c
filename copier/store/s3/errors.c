#include "copier/store/s3/errors.h"

#include <strings.h>

#define HINT_RIGHTS "check the bucket's policy and the rights of these credentials"
#define HINT_PAYER                                                                                 \
    HINT_RIGHTS "; where the requester pays for the bucket, say requestPayer=true in the URL"
#define HINT_SECRET "check the secret access key: it does not belong to this access key id"
#define HINT_KEY "check the access key id, and that the endpoint is the store that issued it"
#define HINT_EXPIRED "get new temporary credentials"
#define HINT_BUCKET "check the bucket's name and the endpoint"
#define HINT_ELSEWHERE "check endpoint= and region= in the URL"
#define HINT_ARCHIVED "restore the object from its archive class first"

typedef struct code_class {
    const char *code;
    pb_error_class class;
} code_class;

static const code_class codes[] = {
    {"SlowDown", {PB_ERROR_THROTTLED, ""}},
    {"SlowDownRead", {PB_ERROR_THROTTLED, ""}},
    {"SlowDownWrite", {PB_ERROR_THROTTLED, ""}},
    {"ServiceUnavailable", {PB_ERROR_THROTTLED, ""}},
    {"Throttling", {PB_ERROR_THROTTLED, ""}},
    {"ThrottlingException", {PB_ERROR_THROTTLED, ""}},
    {"RequestLimitExceeded", {PB_ERROR_THROTTLED, ""}},
    {"TooManyRequests", {PB_ERROR_THROTTLED, ""}},
    {"InternalError", {PB_ERROR_SERVER, ""}},
    {"OperationAborted", {PB_ERROR_SERVER, ""}},
    {"ConditionalRequestConflict", {PB_ERROR_SERVER, ""}}, /* another write is under way */
    {"RequestTimeout", {PB_ERROR_SERVER, ""}},
    /* The body changed or was cut on its way. */
    {"IncompleteBody", {PB_ERROR_SERVER, ""}},
    {"BadDigest", {PB_ERROR_SERVER, ""}},
    {"XAmzContentSHA256Mismatch", {PB_ERROR_SERVER, ""}},
    {"XAmzContentChecksumMismatch", {PB_ERROR_SERVER, ""}},

    {"AccessDenied", {PB_ERROR_FORBIDDEN, HINT_RIGHTS}},
    {"AllAccessDisabled", {PB_ERROR_REFUSED, ""}},
    {"AccountProblem", {PB_ERROR_REFUSED, ""}},
    {"SignatureDoesNotMatch", {PB_ERROR_REFUSED, HINT_SECRET}},
    {"InvalidAccessKeyId", {PB_ERROR_REFUSED, HINT_KEY}},
    {"InvalidSecurity", {PB_ERROR_REFUSED, HINT_KEY}},
    {"ExpiredToken", {PB_ERROR_REFUSED, HINT_EXPIRED}},
    {"ExpiredTokenException", {PB_ERROR_REFUSED, HINT_EXPIRED}},
    {"InvalidToken", {PB_ERROR_REFUSED, HINT_EXPIRED}},
    {"TokenRefreshRequired", {PB_ERROR_REFUSED, HINT_EXPIRED}},
    {"RequestTimeTooSkewed", {PB_ERROR_REFUSED, PB_HINT_CLOCK}},
    {"RequestExpired", {PB_ERROR_REFUSED, PB_HINT_CLOCK}},

    {"NoSuchBucket", {PB_ERROR_NO_BUCKET, HINT_BUCKET}},
    {"NoSuchKey", {PB_ERROR_NOT_FOUND, ""}},
    {"NoSuchUpload", {PB_ERROR_NOT_FOUND, ""}},
    {"NoSuchVersion", {PB_ERROR_NOT_FOUND, ""}},
    {"PreconditionFailed", {PB_ERROR_EXISTS, ""}},

    {"QuotaExceeded", {PB_ERROR_NO_SPACE, ""}},
    {"InsufficientCapacity", {PB_ERROR_NO_SPACE, ""}},
    {"XMinioStorageFull", {PB_ERROR_NO_SPACE, ""}},
    {"XMinioAdminBucketQuotaExceeded", {PB_ERROR_NO_SPACE, ""}},

    {"PermanentRedirect", {PB_ERROR_USAGE, HINT_ELSEWHERE}},
    {"AuthorizationHeaderMalformed", {PB_ERROR_USAGE, HINT_ELSEWHERE}},
    {"IllegalLocationConstraintException", {PB_ERROR_USAGE, HINT_ELSEWHERE}},
    {"InvalidBucketName", {PB_ERROR_USAGE, HINT_BUCKET}},
    {"InvalidObjectState", {PB_ERROR_FAILED, HINT_ARCHIVED}},
    {"NotImplemented", {PB_ERROR_FAILED, ""}},
};

pb_error_class pb_s3_classify(int status, pb_slice code)
{
    /* Some dozens of comparisons, and only for failures. */
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (pb_slice_equal(code, pb_slice_of(codes[i].code)))
            return codes[i].class;
    if (status == 301 || status == 307)
        return (pb_error_class){PB_ERROR_USAGE, HINT_ELSEWHERE};
    return pb_error_class_of_status(status);
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

void pb_s3_suggest_paying(pb_error_class *class)
{
    if (strcmp(class->hint, HINT_RIGHTS) == 0)
        class->hint = HINT_PAYER;
}

void pb_s3_suggest_login(int status, pb_error_class *class)
{
    if (status == 401 || status == 403)
        class->hint =
            "the store refuses requests without a login: leave anonymous=true out of the URL";
}

static bool holds(pb_slice text, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= text.size; i++)
        if (strncasecmp(text.data + i, word, size) == 0)
            return true;
    return false;
}

bool pb_s3_wants_md5(int status, pb_slice code, pb_slice message)
{
    if (status != 400)
        return false;
    return pb_slice_equal(code, PB_SLICE_LITERAL("MissingContentMD5")) ||
           (pb_slice_equal(code, PB_SLICE_LITERAL("InvalidRequest")) &&
            (holds(message, "content-md5") || holds(message, "x-amz-checksum")));
}
