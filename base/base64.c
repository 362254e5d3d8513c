#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void pb_base64_encode(pb_buffer *buffer, pb_slice bytes)
{
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t group = (uint32_t)(unsigned char)bytes.data[at] << 16;
        if (left > 1)
            group |= (uint32_t)(unsigned char)bytes.data[at + 1] << 8;
        if (left > 2)
            group |= (unsigned char)bytes.data[at + 2];
        pb_buffer_append_char(buffer, digits[group >> 18]);
        pb_buffer_append_char(buffer, digits[group >> 12 & 63]);
        pb_buffer_append_char(buffer, left > 1 ? digits[group >> 6 & 63] : '=');
        pb_buffer_append_char(buffer, left > 2 ? digits[group & 63] : '=');
    }
}

void pb_base64url_encode(pb_buffer *buffer, pb_slice bytes)
{
    size_t start = buffer->size;
    pb_base64_encode(buffer, bytes);
    while (buffer->size > start && buffer->data[buffer->size - 1] == '=')
        buffer->data[--buffer->size] = '\0';
    for (size_t i = start; i < buffer->size; i++)
        buffer->data[i] = buffer->data[i] == '+'   ? '-'
                          : buffer->data[i] == '/' ? '_'
                                                   : buffer->data[i];
}

/* The value of a digit, -1 of all else. */
static int value_of(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool pb_base64_decode(pb_buffer *buffer, pb_slice text)
{
    if (text.size % 4 != 0)
        return false;
    for (size_t at = 0; at < text.size; at += 4) {
        bool last = at + 4 == text.size;
        size_t padding = !last                                                  ? 0
                         : text.data[at + 2] == '=' && text.data[at + 3] == '=' ? 2
                         : text.data[at + 3] == '='                             ? 1
                                                                                : 0;
        uint32_t group = 0;
        for (size_t i = 0; i < 4; i++) {
            int value = i < 4 - padding ? value_of(text.data[at + i]) : 0;
            if (value < 0)
                return false;
            group = group << 6 | (uint32_t)value;
        }
        if (group & (padding == 2 ? 0xffff : padding == 1 ? 0xff : 0))
            return false; /* bits that no encoder leaves there */
        for (size_t i = 0; i < 3 - padding; i++)
            pb_buffer_append_char(buffer, (char)(group >> (16 - 8 * i) & 0xff));
    }
    return true;
}
