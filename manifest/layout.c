#include "manifest/layout.h"

#include "base/codec.h"
#include "base/key_form.h"

#define DATA_PREFIX "data/"

void pb_layout_snapshot_prefix(pb_buffer *buffer, pb_slice id)
{
    pb_layout_snapshot_file(buffer, id, "");
}

void pb_layout_snapshot_file(pb_buffer *buffer, pb_slice id, const char *name)
{
    pb_buffer_append_text(buffer, PB_SNAPSHOTS_PREFIX);
    pb_buffer_append_slice(buffer, id);
    pb_buffer_append_char(buffer, '/');
    pb_buffer_append_text(buffer, name);
}

void pb_layout_part(pb_buffer *buffer, pb_slice id, const char *folder, const char *part_name)
{
    pb_layout_snapshot_file(buffer, id, folder ? folder : PB_MANIFEST_FOLDER);
    pb_buffer_append_text(buffer, part_name);
}

void pb_layout_data_prefix(pb_buffer *buffer, pb_slice id)
{
    pb_buffer_append_text(buffer, DATA_PREFIX);
    pb_buffer_append_slice(buffer, id);
    pb_buffer_append_char(buffer, '/');
}

bool pb_layout_data_key(pb_buffer *buffer, pb_slice id, pb_slice key, size_t key_bytes_max)
{
    size_t plain_size = sizeof(DATA_PREFIX) - 1 + id.size + 1 + key.size;
    if (plain_size <= key_bytes_max && !pb_key_forms(key)) {
        pb_layout_data_prefix(buffer, id);
        pb_buffer_append_slice(buffer, key);
        return false;
    }
    uint8_t digest[PB_SHA256_BYTES];
    char hex[2 * PB_SHA256_BYTES + 1];
    pb_sha256(key.data, key.size, digest);
    pb_hex_encode(digest, sizeof(digest), hex);
    pb_buffer_append_text(buffer, PB_LONG_PREFIX);
    pb_buffer_append_slice(buffer, id);
    pb_buffer_append_char(buffer, '/');
    pb_buffer_append_text(buffer, hex);
    return true;
}

void pb_layout_record_key(pb_buffer *buffer, const pb_record *record)
{
    if (record->path.size) {
        pb_buffer_append_slice(buffer, record->path);
        return;
    }
    pb_layout_data_prefix(buffer, record->at);
    pb_buffer_append_slice(buffer, record->key);
}
