#include "manifest/source_file.h"

#include "manifest/document.h"
#include "manifest/layout.h"
#include "manifest/run_file.h"
#include <stdlib.h>

static const char what[] = "source.json";

void pb_source_file_key(pb_buffer *buffer, const pb_source_file *file)
{
    char id[PB_SOURCE_ID_SIZE];
    pb_source_id(file->source, file->prefix, id);
    pb_layout_source_file(buffer, id, "source");
    pb_buffer_append_format(buffer, "%s%s.json", file->name_space[0] ? "-" : "", file->name_space);
}

bool pb_source_file_is_key(pb_slice key)
{
    const pb_slice folder = PB_SLICE_LITERAL(PB_SOURCES_PREFIX), name = PB_SLICE_LITERAL("/source");
    size_t id_size = PB_SOURCE_ID_SIZE - 1;
    if (!pb_slice_starts_with(key, folder) || key.size < folder.size + id_size)
        return false;
    key = (pb_slice){key.data + folder.size + id_size, key.size - folder.size - id_size};
    return pb_slice_starts_with(key, name) && pb_slice_ends_with(key, PB_SLICE_LITERAL(".json"));
}

void pb_source_file_append(pb_buffer *buffer, const pb_source_file *file)
{
    pb_document_begin(buffer, "source", PB_SOURCE_FILE_VERSION);
    pb_document_add_text(buffer, "source", file->source);
    pb_document_add_text(buffer, "prefix", file->prefix);
    pb_document_add_text(buffer, "namespace", file->name_space);
    pb_buffer_append_text(buffer, "}\n");
}

int pb_source_file_parse(pb_slice text, pb_source_file *ret_file, pb_error *error)
{
    json_t *object;
    pb_source_file file = {0};
    if (pb_document_parse(text, "source", PB_SOURCE_FILE_VERSION, what, &object, error) != 0)
        return -1;
    bool whole = pb_document_text(object, "source", what, &file.source, error) == 0 &&
                 pb_document_text(object, "prefix", what, &file.prefix, error) == 0 &&
                 pb_document_text(object, "namespace", what, &file.name_space, error) == 0;
    json_decref(object);
    if (whole)
        *ret_file = file;
    else
        pb_source_file_free(&file);
    return whole ? 0 : -1;
}

void pb_source_file_free(pb_source_file *file)
{
    free(file->source);
    free(file->prefix);
    free(file->name_space);
    *file = (pb_source_file){0};
}
