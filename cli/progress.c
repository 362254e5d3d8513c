#include "cli/progress.h"

#include "base/clock.h"
#include "cli/quantity.h"

/* Sooner than this after a phase's begin, rates and the time left would only be guesses. */
enum { RATE_AFTER_MS = 1000, SAMPLE_EVERY_MS = 160 };

/* ---- the meter ---- */

static const pb_event *newest(const pb_meter *meter)
{
    return &meter->samples[(meter->next + PB_PROGRESS_SAMPLES - 1) % PB_PROGRESS_SAMPLES];
}

/* The sample that lies a window before the newest, or the oldest there is. */
static const pb_event *window_begin(const pb_meter *meter)
{
    const pb_event *last = newest(meter), *begin = last;
    for (unsigned i = 1; i < meter->count; i++) {
        unsigned at = (meter->next + 2 * PB_PROGRESS_SAMPLES - 1 - i) % PB_PROGRESS_SAMPLES;
        if (last->elapsed_ms - meter->samples[at].elapsed_ms > PB_PROGRESS_WINDOW_MS)
            break;
        begin = &meter->samples[at];
    }
    return begin;
}

void pb_meter_take(pb_meter *meter, const pb_event *event)
{
    const char *phase = event->phase ? event->phase : "";
    if (event->kind == PB_EVENT_PHASE || strcmp(phase, meter->phase) != 0) {
        memset(meter, 0, sizeof *meter);
        size_t size = strnlen(phase, sizeof meter->phase - 1);
        memcpy(meter->phase, phase, size);
    }
    if (event->kind != PB_EVENT_PROGRESS)
        return;
    meter->down_ms = event->down_ms;
    if (meter->count == 0) /* nothing was done when the phase began */
        meter->samples[meter->next++] = (pb_event){.keys_total = event->keys_total};
    /* The last sample moves along until the next one is due: it is always the newest event. */
    unsigned before = (meter->next + PB_PROGRESS_SAMPLES - 2) % PB_PROGRESS_SAMPLES;
    bool moves =
        meter->count > 1 && event->elapsed_ms - meter->samples[before].elapsed_ms < SAMPLE_EVERY_MS;
    if (moves)
        meter->next = (meter->next + PB_PROGRESS_SAMPLES - 1) % PB_PROGRESS_SAMPLES;
    meter->samples[meter->next] = *event;
    meter->samples[meter->next].phase = NULL;
    meter->next = (meter->next + 1) % PB_PROGRESS_SAMPLES;
    if (!moves)
        meter->count += meter->count == 0 ? 2 : meter->count < PB_PROGRESS_SAMPLES;
}

bool pb_meter_has_figures(const pb_meter *meter)
{
    return meter->count > 0;
}

static void append_moved(pb_buffer *buffer, const pb_event *now)
{
    pb_buffer_append_text(buffer, ", ");
    pb_quantity_count(buffer, now->objects);
    pb_buffer_append_text(buffer, " objects, ");
    pb_quantity_bytes(buffer, now->bytes);
}

static void append_down(pb_buffer *buffer, int64_t down_ms)
{
    if (!down_ms)
        return;
    pb_buffer_append_text(buffer, "down for ");
    pb_quantity_duration(buffer, down_ms);
    pb_buffer_append_text(buffer, "; ");
}

void pb_meter_format(const pb_meter *meter, pb_buffer *buffer)
{
    append_down(buffer, meter->down_ms);
    pb_buffer_append_text(buffer, meter->phase);
    if (!pb_meter_has_figures(meter))
        return;
    const pb_event *now = newest(meter), *begin = window_begin(meter);
    /* The total may be an estimate: once passed, it says nothing. */
    bool total_known = now->keys_total && now->keys <= now->keys_total;
    pb_buffer_append_text(buffer, ": ");
    pb_quantity_count(buffer, now->keys);
    if (total_known) {
        pb_buffer_append_text(buffer, " of ");
        pb_quantity_count(buffer, now->keys_total);
    }
    pb_buffer_append_text(buffer, " keys");
    if (total_known) {
        pb_buffer_append_text(buffer, " (");
        pb_quantity_percent(buffer, now->keys, now->keys_total);
        pb_buffer_append_char(buffer, ')');
    }
    append_moved(buffer, now);
    int64_t window_ms = now->elapsed_ms - begin->elapsed_ms;
    if (now->elapsed_ms < RATE_AFTER_MS || window_ms <= 0)
        return;
    pb_buffer_append_text(buffer, ", ");
    pb_quantity_rate(buffer, now->objects - begin->objects, now->bytes - begin->bytes, window_ms);
    uint64_t keys = now->keys - begin->keys;
    if (!total_known || !keys || now->keys == now->keys_total)
        return;
    double left_ms = (double)(now->keys_total - now->keys) / (double)keys * (double)window_ms;
    if (left_ms > 1000.0 * 86400 * 1000)
        return;
    pb_buffer_append_text(buffer, ", ");
    pb_quantity_duration(buffer, (int64_t)left_ms);
    pb_buffer_append_text(buffer, " left");
}

void pb_meter_format_end(const pb_meter *meter, pb_buffer *buffer)
{
    const pb_event *now = newest(meter);
    pb_buffer_append_format(buffer, "%s: ", meter->phase);
    pb_quantity_count(buffer, now->keys);
    pb_buffer_append_text(buffer, " keys");
    append_moved(buffer, now);
    pb_buffer_append_text(buffer, " in ");
    pb_quantity_duration(buffer, now->elapsed_ms);
}

/* ---- showing it ---- */

void pb_progress_init(pb_progress *progress, pb_console *console, bool shown)
{
    *progress = (pb_progress){.console = console, .shown = shown};
}

static void show(pb_progress *progress, void (*format)(const pb_meter *meter, pb_buffer *buffer))
{
    pb_buffer text = {0};
    format(&progress->meter, &text);
    if (progress->console->interactive)
        pb_console_status(progress->console, text.data);
    else
        pb_console_line(progress->console, progress->console->stream, "pbcopy: ", text.data);
    pb_buffer_free(&text);
}

void pb_progress_end(pb_progress *progress)
{
    if (!progress->shown)
        return;
    if (progress->console->interactive)
        pb_console_status(progress->console, "");
    else if (pb_meter_has_figures(&progress->meter))
        show(progress, pb_meter_format_end);
    progress->meter = (pb_meter){0};
}

/* On a terminal each one, else now and then: it comes once a second. */
static void show_waiting(pb_progress *progress, const pb_event *event, int64_t now_ms)
{
    pb_buffer text = {0};
    append_down(&text, event->down_ms);
    pb_buffer_append_text(&text, event->text);
    if (progress->console->interactive)
        pb_console_status(progress->console, text.data);
    else if (now_ms >= progress->waiting_due_ms)
        pb_console_line(progress->console, progress->console->stream, "pbcopy: ", text.data);
    if (now_ms >= progress->waiting_due_ms)
        progress->waiting_due_ms = now_ms + PB_PROGRESS_WAITING_MS;
    pb_buffer_free(&text);
}

void pb_progress_take(pb_progress *progress, const pb_event *event)
{
    if (!progress->shown)
        return;
    bool interactive = progress->console->interactive, begins = event->kind == PB_EVENT_PHASE;
    int64_t now_ms = pb_clock_monotonic_ms();
    if (event->kind == PB_EVENT_WAITING) {
        show_waiting(progress, event, now_ms);
        return;
    }
    if (begins)
        pb_progress_end(progress);
    pb_meter_take(&progress->meter, event);
    if (begins)
        progress->due_ms = now_ms + (interactive ? 0 : PB_PROGRESS_PLAIN_MS);
    if (now_ms < progress->due_ms)
        return;
    int64_t every_ms = interactive ? PB_PROGRESS_STATUS_MS : PB_PROGRESS_PLAIN_MS;
    /* Counted on from when it was due, so that events as often as that are all shown. */
    progress->due_ms += every_ms;
    if (progress->due_ms < now_ms)
        progress->due_ms = now_ms + every_ms;
    show(progress, pb_meter_format);
}
