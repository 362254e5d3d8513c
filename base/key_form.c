#include "base/key_form.h"

static unsigned byte_forms(pb_slice segment)
{
    unsigned forms = 0;
    for (size_t i = 0; i < segment.size; i++) {
        unsigned char byte = (unsigned char)segment.data[i];
        if (byte < 0x20 || byte == 0x7f)
            forms |= PB_KEY_CONTROL;
        else if (byte == '\\')
            forms |= PB_KEY_BACKSLASH;
    }
    return forms;
}

static unsigned segment_forms(pb_slice segment, bool first, bool last)
{
    if (!segment.size)
        return first ? PB_KEY_LEADING_SLASH : last ? PB_KEY_TRAILING_SLASH : PB_KEY_EMPTY_SEGMENT;
    unsigned forms = byte_forms(segment);
    if (segment.data[0] == '.' && segment.size == 1)
        forms |= PB_KEY_DOT_SEGMENT;
    if (segment.data[0] == '.' && segment.size == 2 && segment.data[1] == '.')
        forms |= PB_KEY_PARENT_SEGMENT;
    if (segment.size > PB_KEY_SEGMENT_BYTES_MAX)
        forms |= PB_KEY_LONG_SEGMENT;
    return forms;
}

unsigned pb_key_forms(pb_slice key)
{
    unsigned forms = 0;
    for (bool first = true, last = !key.size; !last; first = false) {
        const char *slash = key.size ? memchr(key.data, '/', key.size) : NULL;
        last = !slash;
        pb_slice segment = {key.data, slash ? (size_t)(slash - key.data) : key.size};
        forms |= segment_forms(segment, first, last);
        if (slash)
            key = (pb_slice){slash + 1, key.size - segment.size - 1};
    }
    return forms;
}

const char *pb_key_form_text(unsigned forms)
{
    static const struct {
        pb_key_form form;
        const char *text;
    } texts[] = {
        {PB_KEY_PARENT_SEGMENT, "a \"..\" segment"},
        {PB_KEY_DOT_SEGMENT, "a \".\" segment"},
        {PB_KEY_EMPTY_SEGMENT, "an empty segment (\"//\")"},
        {PB_KEY_LEADING_SLASH, "a leading slash"},
        {PB_KEY_TRAILING_SLASH, "a trailing slash"},
        {PB_KEY_LONG_SEGMENT, "a segment over 255 bytes"},
        {PB_KEY_CONTROL, "a control character"},
        {PB_KEY_BACKSLASH, "a backslash"},
        {PB_KEY_CASE, "the name of another but for the case of letters"},
        {PB_KEY_UNICODE, "the name of another in a different Unicode form"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (forms & texts[i].form)
            return texts[i].text;
    return "a plain name";
}
