/* bench/origin/gcs_tokens.h - the bearer tokens that the JSON API accepts, each for a time. Pure.
 */
#ifndef PB_BENCH_ORIGIN_GCS_TOKENS_H
#define PB_BENCH_ORIGIN_GCS_TOKENS_H

#include "base/bytes.h"
#include "base/error.h"

enum { PB_ORIGIN_GCS_TOKENS_MAX = 256 };

typedef struct pb_origin_gcs_token {
    char *text;
    int64_t ends_ms; /* INT64_MAX: never */
} pb_origin_gcs_token;

/* {0} looks at no token; once some are set, or none of them, all others are refused. */
typedef struct pb_origin_gcs_tokens {
    bool checks;
    size_t count;
    pb_origin_gcs_token tokens[PB_ORIGIN_GCS_TOKENS_MAX];
} pb_origin_gcs_tokens;

/* Replaces them by lines "TOKEN [SECONDS]", valid for so long from `now_ms`. On failure (USAGE)
 * they are as they were. */
int pb_origin_gcs_tokens_parse(pb_slice text, int64_t now_ms, pb_origin_gcs_tokens *ret_tokens,
                               pb_error *error);
void pb_origin_gcs_tokens_free(pb_origin_gcs_tokens *tokens); /* back to {0} */

/* Whether an Authorization header is "Bearer TOKEN" with one of them that has not ended. */
bool pb_origin_gcs_tokens_accept(const pb_origin_gcs_tokens *tokens, pb_slice authorization,
                                 int64_t now_ms);

#endif
