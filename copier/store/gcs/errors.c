#include "copier/store/gcs/errors.h"

#define HINT_RIGHTS "check that the login has the role that docs/stores.md names on this bucket"
#define HINT_LOGIN "check the login: docs/stores.md says where pbcopy looks for one"
#define HINT_PROJECT "the requester pays for this bucket: add userProject=PROJECT to the URL"
#define HINT_BUCKET "check the bucket's name and the endpoint"
#define HINT_ARCHIVED "wait for the end of the object's retention"

typedef struct reason_class {
    const char *reason;
    pb_error_class class;
} reason_class;

static const reason_class reasons[] = {
    {"rateLimitExceeded", {PB_ERROR_THROTTLED, ""}},
    {"userRateLimitExceeded", {PB_ERROR_THROTTLED, ""}},
    {"backendError", {PB_ERROR_SERVER, ""}},
    {"internalError", {PB_ERROR_SERVER, ""}},
    {"uploadBrokenConnection", {PB_ERROR_SERVER, ""}},
    {"requestTimeout", {PB_ERROR_SERVER, ""}},
    {"authError", {PB_ERROR_REFUSED, HINT_LOGIN}},
    {"required", {PB_ERROR_REFUSED, HINT_LOGIN}},
    {"forbidden", {PB_ERROR_FORBIDDEN, HINT_RIGHTS}},
    {"insufficientPermissions", {PB_ERROR_FORBIDDEN, HINT_RIGHTS}},
    {"userProjectMissing", {PB_ERROR_REFUSED, HINT_PROJECT}},
    {"userProjectAccessDenied", {PB_ERROR_REFUSED, HINT_PROJECT}},
    {"retentionPolicyNotMet", {PB_ERROR_FORBIDDEN, HINT_ARCHIVED}},
    {"objectUnderActiveHold", {PB_ERROR_FORBIDDEN, HINT_ARCHIVED}},
    {"quotaExceeded", {PB_ERROR_NO_SPACE, ""}},
    {"conditionNotMet", {PB_ERROR_EXISTS, ""}},
};

/* Objects may have any words for a name, so that these come first. */
static bool begins(pb_slice message, const char *words)
{
    return pb_slice_starts_with(message, pb_slice_of(words));
}

static bool is_other_digest(int status, pb_slice message)
{
    return status == 400 && begins(message, "Provided ") &&
           memmem(message.data, message.size, "match calculated", strlen("match calculated"));
}

/* The message alone tells that it is the bucket. */
static bool is_no_bucket(int status, pb_slice message)
{
    return status == 404 && begins(message, "The specified bucket does not exist");
}

pb_error_class pb_gcs_classify(int status, pb_slice reason, pb_slice message)
{
    if (is_no_bucket(status, message))
        return (pb_error_class){PB_ERROR_NO_BUCKET, HINT_BUCKET};
    /* 'Provided CRC32C "..." doesn't match calculated CRC32C "..."' */
    if (is_other_digest(status, message))
        return (pb_error_class){PB_ERROR_SERVER, ""};
    /* "required" is said of missing parameters as well. */
    bool known = reason.size && !(status != 401 && pb_slice_equal(reason, pb_slice_of("required")));
    for (size_t i = 0; known && i < sizeof reasons / sizeof *reasons; i++)
        if (pb_slice_equal(reason, pb_slice_of(reasons[i].reason)))
            return reasons[i].class;
    switch (status) {
    case 401:
        return (pb_error_class){PB_ERROR_REFUSED, HINT_LOGIN};
    case 403:
        return (pb_error_class){PB_ERROR_FORBIDDEN, HINT_RIGHTS};
    case 410: /* an upload's session has ended */
        return (pb_error_class){PB_ERROR_NOT_FOUND, ""};
    case 304: /* a condition of reading */
        return (pb_error_class){PB_ERROR_EXISTS, ""};
    default:
        return pb_error_class_of_status(status);
    }
}
