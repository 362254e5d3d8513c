/* bench/origin/xml.h - the little XML that S3 needs: escaping, and scanning request bodies. Pure.
 */
#ifndef PB_BENCH_ORIGIN_XML_H
#define PB_BENCH_ORIGIN_XML_H

#include "base/bytes.h"

/* Appends text with markup and control characters escaped (the latter as S3 does, "&#x1;"). */
void pb_origin_xml_escape(pb_buffer *buffer, pb_slice text);
/* Appends "<name>text</name>" with the text escaped. */
void pb_origin_xml_element(pb_buffer *buffer, const char *name, pb_slice text);

typedef enum pb_origin_xml_event {
    PB_ORIGIN_XML_OPEN,  /* name is set */
    PB_ORIGIN_XML_CLOSE, /* name is set; also follows OPEN for "<name/>" */
    PB_ORIGIN_XML_TEXT,  /* text is set, entities decoded */
    PB_ORIGIN_XML_END,   /* the document is whole */
    PB_ORIGIN_XML_MALFORMED,
} pb_origin_xml_event;

enum { PB_ORIGIN_XML_DEPTH_MAX = 8 };

/* Start with {.rest = document}. No DTD, no CDATA; comments and processing instructions are
 * skipped, prefixes of names are dropped, attributes are skipped. */
typedef struct pb_origin_xml_scanner {
    pb_slice rest;
    pb_slice name;
    pb_buffer text; /* freed by the caller */
    unsigned depth;
    pb_slice open[PB_ORIGIN_XML_DEPTH_MAX];
    bool empty_element;
    bool had_root;
} pb_origin_xml_scanner;

pb_origin_xml_event pb_origin_xml_next(pb_origin_xml_scanner *scanner);

#endif
