#include "cli/console.h"

#include "base/codec.h"
#include <sys/ioctl.h>

enum { WIDTH_ASSUMED = 80 };

void pb_console_init(pb_console *console, FILE *stream, bool interactive)
{
    *console = (pb_console){.stream = stream, .interactive = interactive};
    pthread_mutex_init(&console->lock, NULL);
}

static size_t width_of(FILE *stream)
{
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        return size.ws_col;
    return WIDTH_ASSUMED;
}

static void erase(pb_console *console)
{
    if (console->status.size)
        fputs("\r\033[K", console->stream);
}

/* The last column stays free: a character there makes some terminals wrap. */
static void draw(pb_console *console)
{
    size_t width = width_of(console->stream) - 1;
    size_t size = console->status.size < width ? console->status.size : width;
    if (size)
        fwrite(console->status.data, 1, size, console->stream);
    fflush(console->stream);
}

void pb_console_free(pb_console *console)
{
    pb_console_status(console, "");
    pb_buffer_free(&console->status);
    pthread_mutex_destroy(&console->lock);
}

void pb_console_line(pb_console *console, FILE *stream, const char *start, const char *text)
{
    pb_buffer line = {0};
    pb_buffer_append_text(&line, start);
    pb_buffer_append_text(&line, text);
    pb_text_make_line(line.data);
    line.size = strlen(line.data);
    pb_buffer_append_char(&line, '\n');
    pthread_mutex_lock(&console->lock);
    erase(console);
    if (stream != console->stream)
        fflush(console->stream);
    fwrite(line.data, 1, line.size, stream);
    if (console->status.size) {
        fflush(stream);
        draw(console);
    }
    pthread_mutex_unlock(&console->lock);
    pb_buffer_free(&line);
}

void pb_console_status(pb_console *console, const char *text)
{
    if (!console->interactive)
        return;
    pthread_mutex_lock(&console->lock);
    erase(console);
    pb_buffer_clear(&console->status);
    pb_buffer_append_text(&console->status, text);
    pb_text_make_line(console->status.data);
    console->status.size = strlen(console->status.data);
    draw(console);
    pthread_mutex_unlock(&console->lock);
}
