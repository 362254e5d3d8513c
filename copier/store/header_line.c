#include "copier/store/header_line.h"

bool pb_header_line_next(pb_slice *rest, pb_slice *ret_name, pb_slice *ret_value)
{
    if (!rest->size)
        return false;
    const char *end = memchr(rest->data, '\n', rest->size);
    pb_slice text = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
    *rest = pb_slice_from(*rest, end ? text.size + 1 : text.size);
    const char *colon = memmem(text.data, text.size, ": ", 2);
    *ret_name = (pb_slice){text.data, colon ? (size_t)(colon - text.data) : 0};
    *ret_value = colon ? pb_slice_from(text, ret_name->size + 2) : (pb_slice){NULL, 0};
    return true;
}

bool pb_header_value_valid(pb_slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}
