/* copier/store/credentials/aws_process.h - keys that a program writes (credential_process).
 *
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_PROCESS_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_PROCESS_H

#include "copier/store/credentials/source.h"

/* Runs `command` by sh -c, in a process group of its own, with nothing on standard input. At most
 * 64 KiB of output are taken, and `timeout_ms` waited; then the group is killed. What it writes to
 * standard error is shown where it is short and printable. `name` and `command` are copied. */
pb_credential_source *pb_aws_process_source(const char *command, const char *name,
                                            uint32_t timeout_ms);

enum { PB_AWS_PROCESS_TIMEOUT_MS = 60 * 1000 };

#endif
