#include "base/key_form.h"

#include "base/byte_word.h"

static unsigned byte_forms(pb_slice key)
{
    uint64_t controls = 0, backslashes = 0;
    for (size_t at = 0; at < key.size;) {
        uint64_t word = pb_word_next(key.data, key.size, &at, 'a');
        controls |= pb_word_mark_below(word, 0x20) | pb_word_mark_equal(word, 0x7f);
        backslashes |= pb_word_mark_equal(word, '\\');
    }
    return (controls ? PB_KEY_CONTROL : 0) | (backslashes ? PB_KEY_BACKSLASH : 0);
}

static unsigned segment_forms(pb_slice segment, bool first, bool last)
{
    if (!segment.size)
        return first ? PB_KEY_LEADING_SLASH : last ? PB_KEY_TRAILING_SLASH : PB_KEY_EMPTY_SEGMENT;
    unsigned forms = 0;
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
    unsigned forms = byte_forms(key);
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
