/* cli/result_json.h - results for --json. Pure, any thread. Names are snake_case, sizes bytes,
 * durations milliseconds, times RFC 3339; what is not known is null.
 *
 * Functions with an `object` add members to it; the others return a new value that the caller owns.
 */
#ifndef PB_CLI_RESULT_JSON_H
#define PB_CLI_RESULT_JSON_H

#include "base/error.h"
#include "cli/result_fields.h"
#include "snapshot/choice.h"
#include <jansson.h>

/* Of a result of the structure that the fields are of. */
void pb_result_json(json_t *object, const pb_fields *fields, const void *result,
                    const pb_options *options);
/* "newer_attempts", and "sources" where more than one could be meant. */
void pb_json_add_choice(json_t *object, const pb_choice *choice);

/* null for kind NONE. */
json_t *pb_json_of_error(const pb_error *error);
/* null for 0. */
json_t *pb_json_of_time(int64_t utc_ms);
/* null for NULL. Bytes that are not UTF-8 become '?'. */
json_t *pb_json_of_text(const char *text);

#endif
