#include "bench/origin/xml.h"

void pb_origin_xml_escape(pb_buffer *buffer, pb_slice text)
{
    size_t start = 0;
    if (text.size == 0) {
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '&' && c != '<' && c != '>' && c != '"' && c != 0x7f) {
            continue;
        }
        pb_buffer_append(buffer, text.data + start, i - start);
        start = i + 1;
        switch (c) {
        case '&':
            pb_buffer_append_text(buffer, "&amp;");
            break;
        case '<':
            pb_buffer_append_text(buffer, "&lt;");
            break;
        case '>':
            pb_buffer_append_text(buffer, "&gt;");
            break;
        case '"':
            pb_buffer_append_text(buffer, "&quot;");
            break;
        default:
            pb_buffer_append_format(buffer, "&#x%x;", c);
        }
    }
    pb_buffer_append(buffer, text.data + start, text.size - start);
}

void pb_origin_xml_element(pb_buffer *buffer, const char *name, pb_slice text)
{
    pb_buffer_append_char(buffer, '<');
    pb_buffer_append_text(buffer, name);
    pb_buffer_append_char(buffer, '>');
    pb_origin_xml_escape(buffer, text);
    pb_buffer_append_text(buffer, "</");
    pb_buffer_append_text(buffer, name);
    pb_buffer_append_char(buffer, '>');
}

static void append_utf8(pb_buffer *buffer, uint32_t point)
{
    if (point < 0x80) {
        pb_buffer_append_char(buffer, (char)point);
    } else if (point < 0x800) {
        pb_buffer_append_char(buffer, (char)(0xc0 | point >> 6));
        pb_buffer_append_char(buffer, (char)(0x80 | (point & 0x3f)));
    } else if (point < 0x10000) {
        pb_buffer_append_char(buffer, (char)(0xe0 | point >> 12));
        pb_buffer_append_char(buffer, (char)(0x80 | (point >> 6 & 0x3f)));
        pb_buffer_append_char(buffer, (char)(0x80 | (point & 0x3f)));
    } else {
        pb_buffer_append_char(buffer, (char)(0xf0 | point >> 18));
        pb_buffer_append_char(buffer, (char)(0x80 | (point >> 12 & 0x3f)));
        pb_buffer_append_char(buffer, (char)(0x80 | (point >> 6 & 0x3f)));
        pb_buffer_append_char(buffer, (char)(0x80 | (point & 0x3f)));
    }
}

/* "#10" or "#xA"; 0 is not a character. */
static bool numeric_entity(pb_slice entity, uint32_t *ret_point)
{
    bool is_hex = entity.size > 1 && (entity.data[1] == 'x' || entity.data[1] == 'X');
    size_t i = is_hex ? 2 : 1;
    uint32_t point = 0;
    if (i >= entity.size) {
        return false;
    }
    for (; i < entity.size; i++) {
        char c = entity.data[i];
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if (is_hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            digit = (uint32_t)((c | 0x20) - 'a' + 10);
        } else {
            return false;
        }
        point = point * (is_hex ? 16 : 10) + digit;
        if (point > 0x10ffff) {
            return false;
        }
    }
    *ret_point = point;
    return point != 0 && !(point >= 0xd800 && point <= 0xdfff);
}

static bool append_entity(pb_buffer *buffer, pb_slice entity)
{
    static const struct {
        const char *name;
        char c;
    } named[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (pb_slice_equal(entity, pb_slice_of(named[i].name))) {
            pb_buffer_append_char(buffer, named[i].c);
            return true;
        }
    }
    uint32_t point;
    if (entity.size < 2 || entity.data[0] != '#' || !numeric_entity(entity, &point)) {
        return false;
    }
    append_utf8(buffer, point);
    return true;
}

static void skip(pb_slice *rest, size_t size)
{
    rest->data += size;
    rest->size -= size;
}

static bool skip_past(pb_slice *rest, const char *end)
{
    size_t size = strlen(end);
    const char *found = memmem(rest->data, rest->size, end, size);
    if (!found) {
        return false;
    }
    skip(rest, (size_t)(found - rest->data) + size);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static pb_origin_xml_event scan_text(pb_origin_xml_scanner *scanner)
{
    pb_slice *rest = &scanner->rest;
    pb_buffer_clear(&scanner->text);
    while (rest->size > 0 && rest->data[0] != '<') {
        if (rest->data[0] != '&') {
            size_t run = 1;
            while (run < rest->size && rest->data[run] != '<' && rest->data[run] != '&') {
                run++;
            }
            pb_buffer_append(&scanner->text, rest->data, run);
            skip(rest, run);
            continue;
        }
        const char *end = memchr(rest->data, ';', rest->size < 12 ? rest->size : 12);
        if (!end) {
            return PB_ORIGIN_XML_MALFORMED;
        }
        pb_slice entity = {rest->data + 1, (size_t)(end - rest->data) - 1};
        if (!append_entity(&scanner->text, entity)) {
            return PB_ORIGIN_XML_MALFORMED;
        }
        skip(rest, entity.size + 2);
    }
    return PB_ORIGIN_XML_TEXT;
}

static pb_slice without_prefix(pb_slice name)
{
    const char *colon = memchr(name.data, ':', name.size);
    if (colon) {
        skip(&name, (size_t)(colon - name.data) + 1);
    }
    return name;
}

static pb_origin_xml_event scan_tag(pb_origin_xml_scanner *scanner)
{
    pb_slice *rest = &scanner->rest;
    skip(rest, 1);
    bool closes = rest->size > 0 && rest->data[0] == '/';
    if (closes) {
        skip(rest, 1);
    }
    size_t size = 0;
    while (size < rest->size && !is_blank(rest->data[size]) && rest->data[size] != '>' &&
           rest->data[size] != '/' && rest->data[size] != '<') {
        size++;
    }
    pb_slice full_name = {rest->data, size};
    skip(rest, size);
    /* Attributes are skipped; a quoted one may hold '>'. */
    char quote = 0;
    char last = 0;
    while (rest->size > 0 && (quote || rest->data[0] != '>')) {
        char c = rest->data[0];
        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '<') {
            return PB_ORIGIN_XML_MALFORMED;
        } else if (c == '"' || c == '\'') {
            quote = c;
        }
        last = c;
        skip(rest, 1);
    }
    if (rest->size == 0 || full_name.size == 0) {
        return PB_ORIGIN_XML_MALFORMED;
    }
    skip(rest, 1);
    scanner->name = without_prefix(full_name);
    if (closes) {
        if ((last && !is_blank(last)) || scanner->depth == 0 ||
            !pb_slice_equal(scanner->open[scanner->depth - 1], full_name)) {
            return PB_ORIGIN_XML_MALFORMED;
        }
        scanner->depth--;
        return PB_ORIGIN_XML_CLOSE;
    }
    if (scanner->depth == PB_ORIGIN_XML_DEPTH_MAX || (scanner->depth == 0 && scanner->had_root)) {
        return PB_ORIGIN_XML_MALFORMED;
    }
    scanner->had_root = true;
    scanner->empty_element = last == '/';
    scanner->open[scanner->depth++] = full_name;
    return PB_ORIGIN_XML_OPEN;
}

pb_origin_xml_event pb_origin_xml_next(pb_origin_xml_scanner *scanner)
{
    pb_slice *rest = &scanner->rest;
    if (scanner->empty_element) {
        scanner->empty_element = false;
        scanner->depth--;
        return PB_ORIGIN_XML_CLOSE;
    }
    if (!scanner->had_root && pb_slice_starts_with(*rest, PB_SLICE_LITERAL("\xef\xbb\xbf"))) {
        skip(rest, 3);
    }
    while (rest->size > 0) {
        if (pb_slice_starts_with(*rest, PB_SLICE_LITERAL("<!--"))) {
            if (!skip_past(rest, "-->")) {
                return PB_ORIGIN_XML_MALFORMED;
            }
        } else if (pb_slice_starts_with(*rest, PB_SLICE_LITERAL("<?"))) {
            if (!skip_past(rest, "?>")) {
                return PB_ORIGIN_XML_MALFORMED;
            }
        } else if (pb_slice_starts_with(*rest, PB_SLICE_LITERAL("<!"))) {
            return PB_ORIGIN_XML_MALFORMED;
        } else if (rest->data[0] == '<') {
            return scan_tag(scanner);
        } else if (scanner->depth > 0) {
            return scan_text(scanner);
        } else if (is_blank(rest->data[0])) {
            skip(rest, 1);
        } else {
            return PB_ORIGIN_XML_MALFORMED;
        }
    }
    return scanner->had_root && scanner->depth == 0 ? PB_ORIGIN_XML_END : PB_ORIGIN_XML_MALFORMED;
}
