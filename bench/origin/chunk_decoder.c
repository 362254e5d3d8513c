#include "bench/origin/chunk_decoder.h"

enum {
    STATE_SIZE,
    STATE_EXTENSION,
    STATE_SIZE_NEWLINE,
    STATE_DATA,
    STATE_DATA_RETURN,
    STATE_DATA_NEWLINE,
    STATE_TRAILER_START,
    STATE_TRAILER,
    STATE_TRAILER_NEWLINE,
    STATE_LAST_NEWLINE,
    STATE_END,
    STATE_MALFORMED,
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of framing; returns the next state. */
static int step(pb_origin_chunk_decoder *decoder, char c)
{
    switch (decoder->state) {
    case STATE_SIZE: {
        int digit = hex_digit(c);
        if (digit >= 0) {
            if (decoder->remaining >> 58) {
                return STATE_MALFORMED;
            }
            decoder->remaining = decoder->remaining << 4 | (unsigned)digit;
            decoder->has_digit = true;
            return ++decoder->line_bytes > 16 ? STATE_MALFORMED : STATE_SIZE;
        }
        if (!decoder->has_digit) {
            return STATE_MALFORMED;
        }
        return c == ';' ? STATE_EXTENSION : c == '\r' ? STATE_SIZE_NEWLINE : STATE_MALFORMED;
    }
    case STATE_EXTENSION:
        if (c == '\r') {
            return STATE_SIZE_NEWLINE;
        }
        if (c == '\n' || ++decoder->line_bytes > PB_ORIGIN_CHUNK_LINE_BYTES_MAX) {
            return STATE_MALFORMED;
        }
        return STATE_EXTENSION;
    case STATE_SIZE_NEWLINE:
        if (c != '\n') {
            return STATE_MALFORMED;
        }
        return decoder->remaining > 0 ? STATE_DATA : STATE_TRAILER_START;
    case STATE_DATA_RETURN:
        return c == '\r' ? STATE_DATA_NEWLINE : STATE_MALFORMED;
    case STATE_DATA_NEWLINE:
        decoder->has_digit = false;
        decoder->line_bytes = 0;
        return c == '\n' ? STATE_SIZE : STATE_MALFORMED;
    case STATE_TRAILER_START:
    case STATE_TRAILER:
        if (c == '\n' || ++decoder->trailer_bytes > PB_ORIGIN_CHUNK_TRAILER_BYTES_MAX) {
            return STATE_MALFORMED;
        }
        if (c != '\r') {
            return STATE_TRAILER;
        }
        return decoder->state == STATE_TRAILER_START ? STATE_LAST_NEWLINE : STATE_TRAILER_NEWLINE;
    case STATE_TRAILER_NEWLINE:
        return c == '\n' ? STATE_TRAILER_START : STATE_MALFORMED;
    case STATE_LAST_NEWLINE:
        return c == '\n' ? STATE_END : STATE_MALFORMED;
    default:
        return STATE_MALFORMED;
    }
}

pb_origin_chunk_result pb_origin_chunk_decode(pb_origin_chunk_decoder *decoder, const char *data,
                                              size_t size, size_t *ret_used, pb_slice *ret_body)
{
    *ret_used = 0;
    *ret_body = (pb_slice){NULL, 0};
    size_t used = 0;
    while (used < size && decoder->state < STATE_END) {
        if (decoder->state == STATE_DATA) {
            size_t run = size - used;
            if (run > decoder->remaining) {
                run = (size_t)decoder->remaining;
            }
            *ret_body = (pb_slice){data + used, run};
            decoder->remaining -= run;
            if (decoder->remaining == 0) {
                decoder->state = STATE_DATA_RETURN;
            }
            *ret_used = used + run;
            return PB_ORIGIN_CHUNK_MORE;
        }
        decoder->state = step(decoder, data[used]);
        used++;
    }
    *ret_used = used;
    if (decoder->state == STATE_MALFORMED) {
        return PB_ORIGIN_CHUNK_MALFORMED;
    }
    return decoder->state == STATE_END ? PB_ORIGIN_CHUNK_END : PB_ORIGIN_CHUNK_MORE;
}

bool pb_origin_chunk_saw_last(const pb_origin_chunk_decoder *decoder)
{
    return decoder->state >= STATE_TRAILER_START && decoder->state <= STATE_END;
}
