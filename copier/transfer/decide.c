#include "copier/transfer/decide.h"

pb_transfer_action pb_transfer_next(const pb_transfer_facts *facts)
{
    if (facts->failed) {
        if (facts->in_flight)
            return PB_TRANSFER_WAIT;
        if (facts->upload_begun && !facts->abort_done && !facts->moved)
            return PB_TRANSFER_ABORT;
        return facts->undo_needed && !facts->undo_done ? PB_TRANSFER_UNDO : PB_TRANSFER_FINISH;
    }
    if (facts->again) {
        if (facts->in_flight)
            return PB_TRANSFER_WAIT;
        return facts->abort_done ? PB_TRANSFER_START_OVER : PB_TRANSFER_ABORT;
    }
    if (facts->moved) {
        if (facts->in_flight)
            return PB_TRANSFER_WAIT;
        if (facts->doubtful && !facts->source_checked)
            return PB_TRANSFER_CHECK_SOURCE;
        return facts->doubtful && !facts->size_known ? PB_TRANSFER_CHECK_SIZE : PB_TRANSFER_FINISH;
    }
    if (!facts->part_bytes)
        return facts->in_flight ? PB_TRANSFER_WAIT : PB_TRANSFER_MOVE;
    if (!facts->headers_known)
        return facts->in_flight ? PB_TRANSFER_WAIT : PB_TRANSFER_READ_HEADERS;
    if (!facts->upload_begun)
        return facts->in_flight ? PB_TRANSFER_WAIT : PB_TRANSFER_BEGIN_UPLOAD;
    if (facts->parts_begun < facts->parts)
        return facts->in_flight < facts->parts_wanted_in_flight ? PB_TRANSFER_BEGIN_PART
                                                                : PB_TRANSFER_WAIT;
    if (facts->parts_done < facts->parts || facts->in_flight)
        return PB_TRANSFER_WAIT;
    return PB_TRANSFER_COMPLETE;
}

void pb_transfer_lay_out(pb_transfer_facts *facts, uint64_t part_bytes_default,
                         uint64_t layout_bytes, uint64_t single_bytes_max, unsigned parts_max,
                         uint64_t part_bytes_min)
{
    facts->part_bytes = 0;
    facts->parts = 0;
    if (!layout_bytes && facts->size <= single_bytes_max)
        return;
    uint64_t part_bytes = layout_bytes ? layout_bytes : part_bytes_default;
    if (part_bytes < part_bytes_min && part_bytes < facts->size)
        part_bytes = part_bytes_min;
    const uint64_t mebibyte = 1024 * 1024;
    if ((facts->size + part_bytes - 1) / part_bytes > parts_max) {
        part_bytes = (facts->size + parts_max - 1) / parts_max;
        part_bytes = (part_bytes + mebibyte - 1) / mebibyte * mebibyte;
    }
    facts->part_bytes = part_bytes;
    facts->parts = (unsigned)((facts->size + part_bytes - 1) / part_bytes);
    if (!facts->parts)
        facts->parts = 1;
}

uint64_t pb_transfer_part_length(const pb_transfer_facts *facts, unsigned number)
{
    uint64_t offset = (uint64_t)(number - 1) * facts->part_bytes;
    uint64_t left = facts->size - offset;
    return left < facts->part_bytes ? left : facts->part_bytes;
}
