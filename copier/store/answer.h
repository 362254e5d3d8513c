/* copier/store/answer.h - one HTTP answer of a store as it comes in: what its headers say whatever
 * the store, and its body where that is not an object's bytes. Pure; one thread. */
#ifndef PB_COPIER_STORE_ANSWER_H
#define PB_COPIER_STORE_ANSWER_H

#include "copier/store/store.h"

enum { PB_OBJECT_HEADERS_MAX = 16 * 1024 };

/* Zero it once; pb_answer_restart before each answer. Texts are "" and numbers 0 where a header did
 * not come or is not what it should be. Source: RFC 9110. */
typedef struct pb_answer {
    bool has_length;
    uint64_t length; /* Content-Length */
    bool has_range;  /* Content-Range: bytes first-last/total */
    uint64_t range_first, range_last, range_total;
    int64_t mtime_ms;            /* Last-Modified */
    int64_t date_ms;             /* Date: the store's clock */
    bool object_headers_refused; /* more than PB_OBJECT_HEADERS_MAX */
    pb_buffer body;
} pb_answer;

/* Forgets the answer before; the body's memory is kept. */
void pb_answer_restart(pb_answer *answer);

/* Takes one header (`name` in lower case). False where it is none of these. */
bool pb_answer_header(pb_answer *answer, pb_slice name, pb_slice value);

/* Appends "name: value\n" to `object_headers`, unless that grows too long. */
void pb_answer_keep_object_header(pb_answer *answer, pb_slice name, pb_slice value,
                                  pb_buffer *object_headers);

/* Copies a header's text: "" where it does not fit or is not printable ASCII. */
void pb_answer_keep_text(char *ret_text, size_t capacity, pb_slice value);

/* True where a body begins as HTML does. */
bool pb_answer_is_web_page(pb_slice body);

/* A GET of [offset, offset + length) (length 0: to the end; both 0: no range was asked) answered
 * with `status` 200 or 206: how many bytes must come, and the whole object's size; UINT64_MAX for
 * both where the store does not say. Fails with FAILED where the answer is not to what was asked.
 */
int pb_answer_expect(const pb_answer *answer, int status, uint64_t offset, uint64_t length,
                     uint64_t *ret_bytes, uint64_t *ret_size, pb_error *error);

#endif
