#include "bench/origin/gcs_tokens.h"
#include "base/codec.h"
#include <stdlib.h>

static int parse_line(pb_slice line, int64_t now_ms, pb_origin_gcs_tokens *tokens, pb_error *error)
{
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    if (line.size == 0) {
        return 0;
    }
    if (tokens->count == PB_ORIGIN_GCS_TOKENS_MAX) {
        return pb_error_set(error, PB_ERROR_USAGE, "too many tokens");
    }
    const char *space = memchr(line.data, ' ', line.size);
    pb_slice text = {line.data, space ? (size_t)(space - line.data) : line.size};
    pb_origin_gcs_token token = {NULL, INT64_MAX};
    uint64_t seconds = 0;
    if (space) {
        if (!pb_parse_unsigned((pb_slice){space + 1, line.size - text.size - 1}, &seconds) ||
            seconds > 1000000000) {
            return pb_error_set(error, PB_ERROR_USAGE, "a line is \"TOKEN [SECONDS]\"");
        }
        token.ends_ms = now_ms + (int64_t)seconds * 1000;
    }
    token.text = pb_duplicate(text);
    tokens->tokens[tokens->count++] = token;
    return 0;
}

int pb_origin_gcs_tokens_parse(pb_slice text, int64_t now_ms, pb_origin_gcs_tokens *ret_tokens,
                               pb_error *error)
{
    pb_origin_gcs_tokens made = {.checks = true};
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        pb_slice line = {text.data, end ? (size_t)(end - text.data) : text.size};
        if (parse_line(line, now_ms, &made, error) != 0) {
            pb_origin_gcs_tokens_free(&made);
            return -1;
        }
        size_t used = line.size + (end ? 1 : 0);
        text = pb_slice_from(text, used);
    }
    pb_origin_gcs_tokens_free(ret_tokens);
    *ret_tokens = made;
    return 0;
}

void pb_origin_gcs_tokens_free(pb_origin_gcs_tokens *tokens)
{
    for (size_t i = 0; i < tokens->count; i++) {
        free(tokens->tokens[i].text);
    }
    *tokens = (pb_origin_gcs_tokens){0};
}

bool pb_origin_gcs_tokens_accept(const pb_origin_gcs_tokens *tokens, pb_slice authorization,
                                 int64_t now_ms)
{
    if (!pb_slice_starts_with(authorization, PB_SLICE_LITERAL("Bearer "))) {
        return false;
    }
    pb_slice text = {authorization.data + 7, authorization.size - 7};
    for (size_t i = 0; i < tokens->count; i++) {
        if (pb_slice_equal(text, pb_slice_of(tokens->tokens[i].text))) {
            return now_ms < tokens->tokens[i].ends_ms;
        }
    }
    return false;
}
