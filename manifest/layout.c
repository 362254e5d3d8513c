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

void pb_layout_source_file(pb_buffer *buffer, const char *source_id, const char *name)
{
    pb_buffer_append_format(buffer, "%s%s/%s", PB_SOURCES_PREFIX, source_id, name);
}

void pb_layout_part(pb_buffer *buffer, pb_slice id, const char *part_name)
{
    pb_layout_snapshot_file(buffer, id, PB_MANIFEST_FOLDER);
    pb_buffer_append_text(buffer, part_name);
}

void pb_layout_data_prefix(pb_buffer *buffer, pb_slice id)
{
    pb_buffer_append_text(buffer, DATA_PREFIX);
    pb_buffer_append_slice(buffer, id);
    pb_buffer_append_char(buffer, '/');
}

void pb_layout_long_prefix(pb_buffer *buffer, pb_slice id)
{
    pb_buffer_append_text(buffer, PB_LONG_PREFIX);
    pb_buffer_append_slice(buffer, id);
    pb_buffer_append_char(buffer, '/');
}

static void append_digest_key(pb_buffer *buffer, pb_slice id, pb_slice digested)
{
    uint8_t digest[PB_SHA256_BYTES];
    char hex[2 * PB_SHA256_BYTES + 1];
    pb_sha256(digested.data, digested.size, digest);
    pb_hex_encode(digest, sizeof(digest), hex);
    pb_layout_long_prefix(buffer, id);
    pb_buffer_append_text(buffer, hex);
}

bool pb_layout_data_key(pb_buffer *buffer, pb_slice id, pb_slice key, size_t key_bytes_max)
{
    size_t plain_size = sizeof(DATA_PREFIX) - 1 + id.size + 1 + key.size;
    if (plain_size <= key_bytes_max && !pb_key_forms(key)) {
        pb_layout_data_prefix(buffer, id);
        pb_buffer_append_slice(buffer, key);
        return false;
    }
    append_digest_key(buffer, id, key);
    return true;
}

void pb_layout_other_key(pb_buffer *buffer, pb_slice id, pb_slice key, unsigned number)
{
    pb_buffer digested = {0};
    pb_buffer_append_slice(&digested, key);
    pb_buffer_append_char(&digested, '\0');
    pb_buffer_append_unsigned(&digested, number);
    append_digest_key(buffer, id, pb_buffer_slice(&digested));
    pb_buffer_free(&digested);
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
