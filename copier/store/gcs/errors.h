/* copier/store/gcs/errors.h - what an unsuccessful answer of Google Cloud Storage means. Pure, any
 * thread.
 *
 * Source: https://cloud.google.com/storage/docs/json_api/v1/status-codes */
#ifndef PB_COPIER_STORE_GCS_ERRORS_H
#define PB_COPIER_STORE_GCS_ERRORS_H

#include "copier/store/failure.h"

/* By reason where it is known (empty where the body names none), else by status and message. Never
 * NONE. Bytes that changed on their way (400) are SERVER, worth another try. */
pb_failure_class pb_gcs_classify(int status, pb_slice reason, pb_slice message);

/* True where it is the bucket that does not exist, which the message alone tells. */
bool pb_gcs_is_no_bucket(int status, pb_slice message);

#endif
