/* cli/result_text.h - a result as text for people. Pure, any thread. */
#ifndef PB_CLI_RESULT_TEXT_H
#define PB_CLI_RESULT_TEXT_H

#include "cli/result_fields.h"

/* Appends whole lines: of a result of the structure that the fields are of. What comes from a
 * repository is made harmless. */
void pb_result_text(pb_buffer *buffer, const pb_fields *fields, const void *result,
                    const pb_options *options);

#endif
