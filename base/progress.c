/* SPDX-License-Identifier: Apache-2.0 */
#include "base/progress.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    REDRAW_US = 100000,
    BAR_CELLS = 10,
    COLUMNS_DEFAULT = 80,
    LINE_CAP = 512,
};

typedef struct {
    char text[LINE_CAP];
    size_t len;
} line_buffer;

static void append(line_buffer *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append_list(line_buffer *line, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

// As much as fits.
static void append_list(line_buffer *line, const char *format, va_list args)
{
    const size_t room = LINE_CAP - line->len;
    const int len = vsnprintf(line->text + line->len, room, format, args);
    if (len > 0) line->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void append(line_buffer *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append_list(line, format, args);
    va_end(args);
}

void fl_progress_start(fl_progress *progress, FILE *out, const char *unit,
                       uint64_t done, uint64_t total)
{
    *progress = (fl_progress){
        .out = out,
        .is_terminal = isatty(fileno(out)) == 1,
        .unit = unit,
        .total = total,
        .start_us = fl_clock_monotonic_us(),
        .first = done,
    };
}

static void append_bar(line_buffer *line, uint64_t done, uint64_t total)
{
    char bar[BAR_CELLS + 1] = "";
    const double share = (double)done / (double)total;
    const int full = (int)(BAR_CELLS * fmin(share, 1.0));
    for (int i = 0; i < BAR_CELLS; i++) {
        bar[i] = i < full ? '#' : '-';
    }
    append(line, " [%s]", bar);
}

// How long a step takes, and all that are left.
static void append_pace(line_buffer *line, const fl_progress *progress,
                        uint64_t done, int64_t now_us)
{
    if (done <= progress->first) return;
    const double step_s = (double)(now_us - progress->start_us) / 1e6 /
                          (double)(done - progress->first);
    char text[16];
    if (step_s < 1.0) {
        append(line, " %.3g ms/%s", step_s * 1000.0, progress->unit);
    } else {
        fl_duration_text(text, step_s);
        append(line, " %s/%s", text, progress->unit);
    }
    if (done >= progress->total) return;
    fl_duration_text(text, step_s * (double)(progress->total - done));
    append(line, " ETA %s", text);
}

static int terminal_columns(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) || size.ws_col == 0) {
        return COLUMNS_DEFAULT;
    }
    return size.ws_col;
}

// Over the line before it, with blanks where that was longer.
static void redraw(fl_progress *progress, const line_buffer *line)
{
    // The last column stays free: a full line makes some terminals scroll.
    const int columns = terminal_columns(progress->out) - 1;
    const int len = (int)line->len < columns ? (int)line->len : columns;
    int blanks = progress->drawn_len - len;
    if (blanks < 0) blanks = 0;
    fprintf(progress->out, "\r%.*s%*s", len, line->text, blanks, "");
    fflush(progress->out);
    progress->drawn_len = len;
}

void fl_progress_show(fl_progress *progress, uint64_t done, const char *format,
                      ...)
{
    if (progress->is_quiet) return;
    const int64_t now_us = fl_clock_monotonic_us();
    const bool is_last = done >= progress->total && progress->total > 0;
    if (progress->is_terminal && !is_last && progress->drawn_us > 0 &&
        now_us - progress->drawn_us < REDRAW_US) {
        return;
    }
    progress->drawn_us = now_us;

    line_buffer line = {.len = 0};
    append(&line, "%s %llu", progress->unit, (unsigned long long)done);
    if (progress->total > 0) {
        append(&line, "/%llu", (unsigned long long)progress->total);
        if (progress->is_terminal) append_bar(&line, done, progress->total);
    }
    append(&line, " ");
    va_list args;
    va_start(args, format);
    append_list(&line, format, args);
    va_end(args);
    append_pace(&line, progress, done, now_us);

    if (progress->is_terminal) {
        redraw(progress, &line);
    } else {
        fprintf(progress->out, "%s\n", line.text);
        fflush(progress->out);
    }
}

void fl_progress_finish(fl_progress *progress)
{
    if (progress->drawn_len == 0) return;
    fputc('\n', progress->out);
    fflush(progress->out);
    progress->drawn_len = 0;
}

void fl_bytes_text(char dst[16], double bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    enum { LAST = sizeof units / sizeof *units - 1 };
    if (fabs(bytes) < 999.5) {
        snprintf(dst, 16, "%.0f B", bytes);
        return;
    }
    double scaled = bytes / 1000.0;
    size_t i = 0;
    while (i < LAST && fabs(scaled) >= 999.95) {  // would be shown as 1000.0
        scaled /= 1000.0;
        i++;
    }
    snprintf(dst, 16, fabs(scaled) < 1e6 ? "%.1f %s" : "%.3g %s", scaled,
             units[i]);
}

void fl_duration_text(char dst[16], double seconds)
{
    if (!(seconds < 1e9)) {  // 30 years, infinite, or not a number
        snprintf(dst, 16, "long");
        return;
    }
    // Rounded before the unit is chosen, so that nothing reads "60 s".
    seconds = fmax(seconds, 0.0);
    const unsigned whole_s = (unsigned)lround(seconds);
    const unsigned minutes = (unsigned)lround(seconds / 60.0);
    if (seconds < 9.95) {
        snprintf(dst, 16, "%.1f s", seconds);
    } else if (whole_s < 60) {
        snprintf(dst, 16, "%u s", whole_s);
    } else if (minutes < 60) {
        snprintf(dst, 16, "%um", minutes);
    } else if (minutes < 24 * 60) {
        snprintf(dst, 16, "%uh %02um", minutes / 60, minutes % 60);
    } else {
        const unsigned hours = (unsigned)lround(seconds / 3600.0);
        snprintf(dst, 16, "%ud %02uh", hours / 24, hours % 24);
    }
}
