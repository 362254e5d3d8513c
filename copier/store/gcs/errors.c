#include "copier/store/gcs/errors.h"

#define HINT_RIGHTS "check that the login has the role that docs/stores.md names on this bucket"
#define HINT_LOGIN "check the login: docs/stores.md says where pbcopy looks for one"
#define HINT_PROJECT "the requester pays for this bucket: add userProject=PROJECT to the URL"
#define HINT_BUCKET "check the bucket's name and the endpoint"
#define HINT_ARCHIVED "wait for the end of the object's retention"

typedef struct reason_class {
    const char *reason;
    pb_failure_class class;
} reason_class;

static const reason_class reasons[] = {
    {"rateLimitExceeded", {PB_ERROR_THROTTLED, true, ""}},
    {"userRateLimitExceeded", {PB_ERROR_THROTTLED, true, ""}},
    {"backendError", {PB_ERROR_SERVER, true, ""}},
    {"internalError", {PB_ERROR_SERVER, true, ""}},
    {"uploadBrokenConnection", {PB_ERROR_SERVER, true, ""}},
    {"requestTimeout", {PB_ERROR_SERVER, true, ""}},
    {"authError", {PB_ERROR_REFUSED, false, HINT_LOGIN}},
    {"required", {PB_ERROR_REFUSED, false, HINT_LOGIN}},
    {"forbidden", {PB_ERROR_REFUSED, false, HINT_RIGHTS}},
    {"insufficientPermissions", {PB_ERROR_REFUSED, false, HINT_RIGHTS}},
    {"userProjectMissing", {PB_ERROR_REFUSED, false, HINT_PROJECT}},
    {"userProjectAccessDenied", {PB_ERROR_REFUSED, false, HINT_PROJECT}},
    {"retentionPolicyNotMet", {PB_ERROR_REFUSED, false, HINT_ARCHIVED}},
    {"objectUnderActiveHold", {PB_ERROR_REFUSED, false, HINT_ARCHIVED}},
    {"quotaExceeded", {PB_ERROR_NO_SPACE, false, ""}},
    {"conditionNotMet", {PB_ERROR_EXISTS, false, ""}},
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

bool pb_gcs_is_no_bucket(int status, pb_slice message)
{
    return status == 404 && begins(message, "The specified bucket does not exist");
}

pb_failure_class pb_gcs_classify(int status, pb_slice reason, pb_slice message)
{
    if (pb_gcs_is_no_bucket(status, message))
        return (pb_failure_class){PB_ERROR_NOT_FOUND, false, HINT_BUCKET};
    /* 'Provided CRC32C "..." doesn't match calculated CRC32C "..."' */
    if (is_other_digest(status, message))
        return (pb_failure_class){PB_ERROR_SERVER, true, ""};
    /* "required" is said of missing parameters as well. */
    bool known = reason.size && !(status != 401 && pb_slice_equal(reason, pb_slice_of("required")));
    for (size_t i = 0; known && i < sizeof reasons / sizeof *reasons; i++)
        if (pb_slice_equal(reason, pb_slice_of(reasons[i].reason)))
            return reasons[i].class;
    switch (status) {
    case 401:
        return (pb_failure_class){PB_ERROR_REFUSED, false, HINT_LOGIN};
    case 403:
        return (pb_failure_class){PB_ERROR_REFUSED, false, HINT_RIGHTS};
    case 410: /* an upload's session has ended */
        return (pb_failure_class){PB_ERROR_NOT_FOUND, false, ""};
    case 304: /* a condition of reading */
        return (pb_failure_class){PB_ERROR_EXISTS, false, ""};
    default:
        return pb_failure_of_status(status);
    }
}
