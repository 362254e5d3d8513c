#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t pb_base64_write(const void *bytes, size_t size, char *ret_text)
{
    const uint8_t *at = bytes;
    char *out = ret_text;
    for (size_t left = size; left; left -= left < 3 ? left : 3, at += 3) {
        uint32_t group = (uint32_t)at[0] << 16;
        if (left > 1)
            group |= (uint32_t)at[1] << 8;
        if (left > 2)
            group |= at[2];
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = left > 1 ? digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[group & 63] : '=';
    }
    *out = '\0';
    return (size_t)(out - ret_text);
}

void pb_base64_encode(pb_buffer *buffer, pb_slice bytes)
{
    pb_buffer_reserve(buffer, PB_BASE64_CHARACTERS(bytes.size));
    buffer->size += pb_base64_write(bytes.data, bytes.size, buffer->data + buffer->size);
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
static int value_of(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many bytes the text stands for, if it is one. */
static size_t decoded_size(pb_slice text)
{
    if (text.size < 4)
        return 0;
    const char *last = text.data + text.size - 1;
    size_t padding = *last != '=' ? 0 : last[-1] == '=' ? 2 : 1;
    return text.size / 4 * 3 - padding;
}

/* Writes decoded_size(text) bytes. */
static bool decode(pb_slice text, char *out)
{
    if (text.size % 4 != 0)
        return false;
    const char *end = out + decoded_size(text);
    for (size_t at = 0; at < text.size; at += 4) {
        size_t size = end - out < 3 ? (size_t)(end - out) : 3;
        uint32_t group = 0;
        for (size_t i = 0; i < 4; i++) {
            int value = i <= size ? value_of((unsigned char)text.data[at + i]) : 0;
            if (value < 0)
                return false;
            group = group << 6 | (uint32_t)value;
        }
        if (group & UINT32_C(0xffffff) >> 8 * size)
            return false; /* bits that no encoder leaves there */
        for (size_t i = 0; i < size; i++)
            *out++ = (char)(group >> (16 - 8 * i) & 0xff);
    }
    return true;
}

bool pb_base64_decode(pb_buffer *buffer, pb_slice text)
{
    size_t size = decoded_size(text);
    pb_buffer_reserve(buffer, size);
    if (!decode(text, buffer->data + buffer->size))
        return false;
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
    return true;
}

bool pb_base64_decode_to(pb_slice text, void *ret_bytes, size_t size)
{
    return decoded_size(text) == size && decode(text, ret_bytes);
}
