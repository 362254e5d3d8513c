/* copier/store/gcs/errors.h - what an unsuccessful answer of Google Cloud Storage means. Pure, any
 * thread.
 *
 * Source: https://cloud.google.com/storage/docs/json_api/v1/status-codes */
#ifndef PB_COPIER_STORE_GCS_ERRORS_H
#define PB_COPIER_STORE_GCS_ERRORS_H

#include "copier/store/error_answer.h"

/* By reason where it is known (empty where the body names none), else by status and message. Never
 * NONE. Bytes that changed on their way (400) are SERVER, worth another try. */
pb_error_class pb_gcs_classify(int status, pb_slice reason, pb_slice message);

#endif
