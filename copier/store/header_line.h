/* copier/store/header_line.h - an object's own headers as the copier carries them from store to
 * store: "name: value\n" for each, names in lower case. Pure, any thread. Source of what values may
 * hold: RFC 9110, section 5.5. */
#ifndef PB_COPIER_STORE_HEADER_LINE_H
#define PB_COPIER_STORE_HEADER_LINE_H

#include "base/bytes.h"

/* Takes the next line from *rest; false at the end. Both point into it, the value right behind the
 * name and ": ". A line without ": " has an empty name and no value. */
bool pb_header_line_next(pb_slice *rest, pb_slice *ret_name, pb_slice *ret_value);

/* False where it holds a control character other than a tab: it could end its line. */
bool pb_header_value_valid(pb_slice value);

#endif
