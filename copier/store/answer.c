#include "copier/store/answer.h"

#include "base/clock.h"
#include "base/codec.h"
#include <strings.h>

void pb_answer_restart(pb_answer *answer)
{
    pb_buffer body = answer->body;
    pb_buffer_clear(&body);
    memset(answer, 0, sizeof *answer);
    answer->body = body;
}

void pb_answer_keep_text(char *ret_text, size_t capacity, pb_slice value)
{
    ret_text[0] = '\0';
    if (value.size >= capacity)
        return;
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] < ' ' || value.data[i] > '~')
            return;
    memcpy(ret_text, value.data, value.size);
    ret_text[value.size] = '\0';
}

/* Takes a number from the start of *text up to `end`, which is taken too. */
static bool take_number(pb_slice *text, char end, uint64_t *ret_value)
{
    const char *at = text->size ? memchr(text->data, end, text->size) : NULL;
    if (!at || !pb_parse_unsigned((pb_slice){text->data, (size_t)(at - text->data)}, ret_value))
        return false;
    *text = (pb_slice){at + 1, text->size - (size_t)(at + 1 - text->data)};
    return true;
}

/* "bytes 0-99/1234" */
static void read_range(pb_answer *answer, pb_slice value)
{
    pb_slice unit = PB_SLICE_LITERAL("bytes ");
    if (!pb_slice_starts_with(value, unit))
        return;
    value = pb_slice_from(value, unit.size);
    answer->has_range = take_number(&value, '-', &answer->range_first) &&
                        take_number(&value, '/', &answer->range_last) &&
                        pb_parse_unsigned(value, &answer->range_total) &&
                        answer->range_first <= answer->range_last &&
                        answer->range_last < answer->range_total;
}

void pb_answer_keep_object_header(pb_answer *answer, pb_slice name, pb_slice value,
                                  pb_buffer *object_headers)
{
    if (object_headers->size + name.size + value.size + 3 > PB_OBJECT_HEADERS_MAX) {
        answer->object_headers_refused = true;
        return;
    }
    pb_buffer_append_slice(object_headers, name);
    pb_buffer_append_text(object_headers, ": ");
    pb_buffer_append_slice(object_headers, value);
    pb_buffer_append_char(object_headers, '\n');
}

bool pb_answer_header(pb_answer *answer, pb_slice name, pb_slice value)
{
    if (pb_slice_is(name, "content-length"))
        answer->has_length = pb_parse_unsigned(value, &answer->length);
    else if (pb_slice_is(name, "content-range"))
        read_range(answer, value);
    else if (pb_slice_is(name, "last-modified"))
        pb_time_parse_http(value, &answer->mtime_ms);
    else if (pb_slice_is(name, "date"))
        pb_time_parse_http(value, &answer->date_ms);
    else
        return false;
    return true;
}

bool pb_answer_is_web_page(pb_slice body)
{
    static const char *const starts[] = {"<!doctype html", "<html"};
    while (body.size && memchr(" \t\r\n", body.data[0], 4))
        body = pb_slice_from(body, 1);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (body.size >= strlen(starts[i]) &&
            strncasecmp(body.data, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

int pb_answer_expect(const pb_answer *answer, int status, uint64_t offset, uint64_t length,
                     uint64_t *ret_bytes, uint64_t *ret_size, pb_error *error)
{
    bool ranged = offset || length;
    uint64_t bytes = answer->has_length ? answer->length : UINT64_MAX;
    uint64_t size = bytes;
    if (status == 206) {
        if (!ranged || !answer->has_range)
            return pb_error_set(error, PB_ERROR_FAILED,
                                "a part of the object came (206) that was not asked for");
        size = answer->range_total;
        uint64_t last = size - 1;
        if (length && length <= last && offset <= last - length)
            last = offset + length - 1;
        uint64_t span = answer->range_last - answer->range_first + 1;
        if (answer->range_first != offset || answer->range_last != last ||
            (answer->has_length && answer->length != span))
            return pb_error_set(error, PB_ERROR_FAILED,
                                "other bytes of the object came than were asked for");
        bytes = span;
    } else if (ranged && (offset || !answer->has_length || answer->length > length)) {
        /* A store that does not know ranges sends the whole, which is right where it fits. */
        return pb_error_set(error, PB_ERROR_FAILED,
                            "the whole object came where a range was asked for");
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}
