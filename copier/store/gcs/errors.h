/* copier/store/gcs/errors.h - what an unsuccessful answer of Google Cloud Storage means. Pure, any
 * thread.
 *
 * Source: https://cloud.google.com/storage/docs/json_api/v1/status-codes */
#ifndef PB_COPIER_STORE_GCS_ERRORS_H
#define PB_COPIER_STORE_GCS_ERRORS_H

#include "copier/store/failure.h"

/* By reason where it is known (empty where the body names none), else by status. Never NONE. */
pb_failure_class pb_gcs_classify(int status, pb_slice reason);

#endif
