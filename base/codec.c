#include "base/codec.h"

#include "base/byte_word.h"

static const char lower_hex[] = "0123456789abcdef";
static const char upper_hex[] = "0123456789ABCDEF";

/* The value of a hex digit plus one; 0 for what is no hex digit. */
static const uint8_t hex_value_plus_one[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

void pb_hex_encode(const void *data, size_t size, char *ret_text)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        *ret_text++ = lower_hex[bytes[i] >> 4];
        *ret_text++ = lower_hex[bytes[i] & 15];
    }
    *ret_text = '\0';
}

static bool hex_byte(const char *text, uint8_t *ret_byte)
{
    uint8_t high = hex_value_plus_one[(uint8_t)text[0]];
    uint8_t low = hex_value_plus_one[(uint8_t)text[1]];
    if (high == 0 || low == 0)
        return false;
    *ret_byte = (uint8_t)((high - 1) << 4 | (low - 1));
    return true;
}

bool pb_hex_decode(pb_slice text, void *ret_data, size_t size)
{
    uint8_t *bytes = ret_data;
    if (text.size % 2 != 0 || text.size / 2 != size)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!hex_byte(text.data + 2 * i, &bytes[i]))
            return false;
    }
    return true;
}

enum { URL_UNRESERVED = 1, URL_SLASH = 2 };

/* clang-format off */
static const uint8_t url_class[256] = {
    ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1, ['/'] = 2,
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1,
    ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,
    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1,
    ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1,
    ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1,
    ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1,
    ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
    ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1,
    ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
};
/* clang-format on */

void pb_percent_encode(pb_buffer *buffer, pb_slice slice, bool keep_slash)
{
    uint8_t kept = keep_slash ? URL_UNRESERVED | URL_SLASH : URL_UNRESERVED;
    /* Room for the worst case first, so that the loop only writes. */
    pb_buffer_reserve(buffer, slice.size * 3);
    char *out = buffer->data + buffer->size;
    for (size_t i = 0; i < slice.size; i++) {
        uint8_t byte = (uint8_t)slice.data[i];
        if (url_class[byte] & kept) {
            *out++ = (char)byte;
        } else {
            *out++ = '%';
            *out++ = upper_hex[byte >> 4];
            *out++ = upper_hex[byte & 15];
        }
    }
    *out = '\0';
    buffer->size = (size_t)(out - buffer->data);
}

bool pb_percent_decode(pb_buffer *buffer, pb_slice slice, bool plus_is_space)
{
    pb_buffer_reserve(buffer, slice.size);
    char *out = buffer->data + buffer->size;
    for (size_t i = 0; i < slice.size; i++) {
        char c = slice.data[i];
        if (c == '%') {
            uint8_t byte;
            if (slice.size - i < 3 || !hex_byte(slice.data + i + 1, &byte))
                return false;
            *out++ = (char)byte;
            i += 2;
        } else {
            *out++ = c == '+' && plus_is_space ? ' ' : c;
        }
    }
    *out = '\0';
    buffer->size = (size_t)(out - buffer->data);
    return true;
}

/* The letter after the backslash for the short escapes, 'u' for \u00XX, 0 for what stays. */
static const char json_escape[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',           'n', 'u',
    'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',           'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\',
};

void pb_json_append_string(pb_buffer *buffer, pb_slice slice)
{
    size_t clean_from = 0;
    pb_buffer_reserve(buffer, slice.size + 2);
    pb_buffer_append_char(buffer, '"');
    for (size_t i = 0; i < slice.size; i++) {
        uint8_t byte = (uint8_t)slice.data[i];
        char letter = json_escape[byte];
        if (letter == 0)
            continue;
        pb_buffer_append(buffer, slice.data + clean_from, i - clean_from);
        clean_from = i + 1;
        if (letter == 'u') {
            char escape[6] = {'\\', 'u', '0', '0', lower_hex[byte >> 4], lower_hex[byte & 15]};
            pb_buffer_append(buffer, escape, sizeof(escape));
        } else {
            char escape[2] = {'\\', letter};
            pb_buffer_append(buffer, escape, sizeof(escape));
        }
    }
    if (clean_from < slice.size)
        pb_buffer_append(buffer, slice.data + clean_from, slice.size - clean_from);
    pb_buffer_append_char(buffer, '"');
}

/* What may follow a lead byte: the whole length and the range of the second byte, which is where
 * overlong forms, surrogates and code points past U+10FFFF show (RFC 3629 section 4). */
typedef struct utf8_lead {
    uint8_t size;
    uint8_t second_low;
    uint8_t second_high;
} utf8_lead;

/* clang-format off */
#define LEAD_2 {2, 0x80, 0xbf}
#define LEAD_3 {3, 0x80, 0xbf}
/* Lead bytes 0xc0 to 0xff; size 0 for what can't begin a character. */
static const utf8_lead utf8_leads[64] = {
    {0, 0, 0}, {0, 0, 0}, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2,
    LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2,
    LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2,
    LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2, LEAD_2,
    {3, 0xa0, 0xbf}, LEAD_3, LEAD_3, LEAD_3, LEAD_3, LEAD_3, LEAD_3, LEAD_3,
    LEAD_3, LEAD_3, LEAD_3, LEAD_3, LEAD_3, {3, 0x80, 0x9f}, LEAD_3, LEAD_3,
    {4, 0x90, 0xbf}, {4, 0x80, 0xbf}, {4, 0x80, 0xbf}, {4, 0x80, 0xbf}, {4, 0x80, 0x8f},
};
/* clang-format on */

/* The length of the character that begins at `text`, 0 where none does. */
static size_t utf8_size(const uint8_t *text, size_t left)
{
    if (text[0] < 0x80)
        return 1;
    if (text[0] < 0xc0)
        return 0;
    utf8_lead lead = utf8_leads[text[0] - 0xc0];
    if (lead.size == 0 || left < lead.size || text[1] < lead.second_low ||
        text[1] > lead.second_high)
        return 0;
    for (size_t i = 2; i < lead.size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    return lead.size;
}

bool pb_utf8_valid(pb_slice slice)
{
    const uint8_t *text = (const uint8_t *)slice.data;
    size_t left = slice.size;
    while (left) {
        uint64_t word;
        while (left >= sizeof(word)) {
            memcpy(&word, text, sizeof(word));
            if (word & PB_WORD_MARKS)
                break;
            text += sizeof(word);
            left -= sizeof(word);
        }
        /* One character at a time up to the next ASCII one after what broke the fast path. */
        while (left) {
            bool ascii = text[0] < 0x80;
            size_t size = utf8_size(text, left);
            if (size == 0)
                return false;
            text += size;
            left -= size;
            if (!ascii && left >= sizeof(word) && text[0] < 0x80)
                break;
        }
    }
    return true;
}

/* Line ends and what steers a terminal: C0, DEL, C1 (U+0080 to U+009F), U+2028 and U+2029. */
static bool breaks_line(const uint8_t *text, size_t size)
{
    switch (size) {
    case 1:
        return text[0] < 0x20 || text[0] == 0x7f;
    case 2:
        return text[0] == 0xc2 && text[1] < 0xa0;
    case 3:
        return text[0] == 0xe2 && text[1] == 0x80 && (text[2] == 0xa8 || text[2] == 0xa9);
    default:
        return false;
    }
}

/* True where the bytes left could be the beginning of a character whose end was cut off. */
static bool cut_character(const uint8_t *text, size_t left)
{
    if (text[0] < 0xc0 || left >= utf8_leads[text[0] - 0xc0].size)
        return false;
    for (size_t i = 1; i < left; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return false;
    }
    return true;
}

static void make_harmless(char *text, bool keeps_newlines)
{
    const uint8_t *in = (const uint8_t *)text;
    char *out = text;
    size_t left = strlen(text);
    while (left) {
        size_t size = utf8_size(in, left);
        if (size == 0 && cut_character(in, left))
            break;
        bool is_kept = keeps_newlines && *in == '\n';
        if (size == 0 || (breaks_line(in, size) && !is_kept)) {
            *out++ = '?';
        } else {
            memmove(out, in, size);
            out += size;
        }
        in += size ? size : 1;
        left -= size ? size : 1;
    }
    *out = '\0';
}

void pb_text_make_line(char *text)
{
    make_harmless(text, false);
}

void pb_text_make_lines(char *text)
{
    make_harmless(text, true);
}

bool pb_parse_unsigned(pb_slice text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(uint8_t)text.data[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool pb_parse_size(pb_slice text, uint64_t *ret_bytes)
{
    static const char suffixes[] = "KMGT";
    unsigned shift = 0;
    size_t size = text.size;
    bool long_form = size >= 2 && text.data[size - 2] == 'i' && text.data[size - 1] == 'B';
    if (long_form)
        size -= 2;
    else if (size && text.data[size - 1] == 'B')
        size--;
    const char *suffix = size ? memchr(suffixes, text.data[size - 1], sizeof(suffixes) - 1) : NULL;
    if (suffix) {
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        size--;
    } else if (long_form) {
        return false;
    }
    uint64_t value;
    if (!pb_parse_unsigned((pb_slice){text.data, size}, &value) || value > UINT64_MAX >> shift)
        return false;
    *ret_bytes = value << shift;
    return true;
}

bool pb_parse_duration(pb_slice text, uint64_t *ret_seconds)
{
    static const struct {
        char suffix;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 60 * 60}, {'d', 24 * 60 * 60}};
    uint64_t value, unit = 1;
    for (size_t i = 0; i < sizeof units / sizeof *units && text.size; i++)
        if (text.data[text.size - 1] == units[i].suffix) {
            unit = units[i].seconds;
            text.size--;
            break;
        }
    if (!pb_parse_unsigned(text, &value) || value > UINT64_MAX / unit)
        return false;
    *ret_seconds = value * unit;
    return true;
}
