/* copier/store/credentials/aws_answer.h - keys in the JSON that login endpoints and programs answer
 * with. Pure, any thread. No message shows a byte of the text, which may be a secret.
 *
 * Sources: https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html,
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html,
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html,
 * https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_ANSWER_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_ANSWER_H

#include "copier/store/credentials/source.h"

typedef enum pb_aws_answer_form {
    PB_AWS_ANSWER_ENDPOINT, /* container and instance metadata: Token */
    PB_AWS_ANSWER_PROCESS,  /* credential_process: Version 1, SessionToken */
    PB_AWS_ANSWER_SSO,      /* roleCredentials, expiration in milliseconds */
} pb_aws_answer_form;

/* Reads keys; the caller clears *ret_keys. Fails with SERVER where the text is not of this form or
 * the keys have ended already (worth another try), REFUSED where it says an error (`Code`). */
int pb_aws_answer_read(pb_slice text, pb_aws_answer_form form, int64_t now_ms,
                       pb_credential *ret_keys, pb_error *error);

/* What an answer's status means where it is not 200: REFUSED for 4xx and for a redirect, which is
 * never followed; THROTTLED for 429; SERVER for the rest. `what` is who answered. Fills the error,
 * with the `code` and `message` or `Message` of a JSON body where they are plain text without any
 * of `secrets` (NULL after the last; NULL for none). Returns -1. */
int pb_aws_answer_refused(const char *what, int status, pb_slice body, const char *const *secrets,
                          pb_error *error);

/* Appends what a server says as far as it may be shown: printable, at most 300 bytes, and not where
 * one of the secrets (NULL after the last; NULL for none) is in it. True where something was. */
bool pb_aws_answer_show(pb_buffer *buffer, pb_slice text, const char *const *secrets);

#endif
