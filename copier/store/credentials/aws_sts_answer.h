/* copier/store/credentials/aws_sts_answer.h - what AWS STS is asked and answers, as bytes. Pure,
 * any thread. The only user of libxml2 in this room.
 *
 * Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and
 * API_AssumeRoleWithWebIdentity.html */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_STS_ANSWER_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_STS_ANSWER_H

#include "copier/store/credentials/source.h"

typedef struct pb_aws_sts_question {
    const char *role_arn;
    const char *session_name;
    const char *external_id;   /* NULL for none */
    uint64_t duration_seconds; /* 0: what the role's default is (an hour) */
    pb_slice web_identity;     /* the token: AssumeRoleWithWebIdentity. Empty: AssumeRole */
} pb_aws_sts_question;

/* Appends the body of the POST (application/x-www-form-urlencoded) in one piece, so that a token is
 * not left behind by growing. */
void pb_aws_sts_body(pb_buffer *body, const pb_aws_sts_question *question);

/* Appends the header lines of the POST, each with its NUL, signed for `service` "sts" where `keys`
 * is given (NULL: unsigned); *ret_count of them, six at most. `host` is "host[:port]". */
void pb_aws_sts_headers(pb_buffer *lines, pb_slice body, const char *host, const char *region,
                        const pb_credential *keys, int64_t now_ms, unsigned *ret_count);

/* Reads the answer of either. Fails with REFUSED (with STS's code, and a hint where one is known),
 * THROTTLED or SERVER (worth another try). `secrets` as of pb_aws_answer_show. */
int pb_aws_sts_read(int status, pb_slice text, int64_t now_ms, const char *const *secrets,
                    pb_credential *ret_keys, pb_error *error);

#endif
