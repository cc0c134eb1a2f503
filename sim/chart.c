/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/chart.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/gnuplot.h"

static void print_head(FILE *script, const char *title)
{
    fl_gnuplot_print_head(script, title);
    fputs("set xlabel 'round'\n", script);
}

/* ---- the learning curve ---- */

static void print_series(FILE *script, const fl_chart_point *points,
                         size_t count, int wants_loss)
{
    for (size_t i = 0; i < count; i++) {
        const double value =
            wants_loss ? points[i].loss : 100.0 * points[i].accuracy;
        if (isfinite(value)) {
            fprintf(script, "%u %.6g\n", points[i].round, value);
        }
    }
    fputs("e\n", script);
}

static bool has_values(const fl_chart_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (isfinite(points[i].accuracy)) return true;
    }
    return false;
}

static void print_curve(FILE *script, const char *title,
                        const fl_chart_point *points, size_t count)
{
    print_head(script, title);
    fputs("set border 11\nset key bottom right\n"
          "set ylabel 'accuracy on held-out data, %'\n"
          "set y2label 'loss'\nset y2tics\nset yrange [0:100]\n"
          "set y2range [0:*]\n",
          script);
    // Without a value gnuplot has no range to draw, and refuses.
    if (!has_values(points, count)) {
        fputs("set xrange [0:1]\nset y2range [0:1]\n", script);
    }
    fputs("plot '-' with lines lw 2 lc rgb '#1f6fb4' title 'accuracy', "
          "'-' axes x1y2 with lines lw 2 lc rgb '#d97706' title 'loss'\n",
          script);
    print_series(script, points, count, 0);
    print_series(script, points, count, 1);
}

/* ---- bytes ---- */

typedef struct {
    size_t offset;  // of the number in an fl_ledger
    const char *title, *color;
    unsigned dash;
} bytes_series;

// In the order of the stages, so that the key reads as what happens.
static const bytes_series SERIES[] = {
    {offsetof(fl_ledger, raw), "float32, up or down", "#555555", 1},
    {offsetof(fl_ledger, support), "up: support", "#9ecae1", 1},
    {offsetof(fl_ledger, rounded), "up: rounded", "#4292c6", 1},
    {offsetof(fl_ledger, packed), "up: packed", "#08519c", 1},
    {offsetof(fl_ledger, wire), "up: on the wire", "#08519c", 2},
    {offsetof(fl_ledger, download_full), "down: whole", "#fdae6b", 1},
    {offsetof(fl_ledger, download_10), "down: ten behind", "#f16913", 1},
    {offsetof(fl_ledger, download_1), "down: one behind", "#a63603", 1},
};

enum { SERIES_COUNT = sizeof SERIES / sizeof *SERIES };

static double bytes_of(const bytes_series *series, const fl_ledger *ledger)
{
    double bytes;
    memcpy(&bytes, (const char *)ledger + series->offset, sizeof bytes);
    return bytes;
}

// A line of the plot, or nothing for what no round has. Returns whether it is
// there.
static bool print_bytes_line(FILE *script, const bytes_series *series,
                             const fl_chart_bytes *points, size_t count,
                             bool is_first)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        known += bytes_of(series, &points[i].ledger) > 0;
    }
    if (known == 0) return false;
    // A line through one point would not be seen.
    fprintf(script, "%s'-' with %s lw 2 dt %u pt 7 lc rgb '%s' title '%s'",
            is_first ? "plot " : ", ", known > 1 ? "lines" : "points",
            series->dash, series->color, series->title);
    return true;
}

static void print_bytes_values(FILE *script, const bytes_series *series,
                               const fl_chart_bytes *points, size_t count)
{
    bool is_there = false;
    for (size_t i = 0; i < count; i++) {
        const double bytes = bytes_of(series, &points[i].ledger);
        if (!(bytes > 0)) continue;
        fprintf(script, "%u %.9g\n", points[i].round, bytes);
        is_there = true;
    }
    if (is_there) fputs("e\n", script);
}

static void print_bytes(FILE *script, const char *title,
                        const fl_chart_bytes *points, size_t count)
{
    bool is_first = true;
    print_head(script, title);
    fputs("set border 3\nset key outside right center\n"
          "set ylabel 'bytes of one client'\n"
          "set logscale y 10\nset format y '%.0s %cB'\n",
          script);
    for (size_t i = 0; i < SERIES_COUNT; i++) {
        if (print_bytes_line(script, &SERIES[i], points, count, is_first)) {
            is_first = false;
        }
    }
    // gnuplot refuses to draw no line at all.
    if (is_first) fputs("set xrange [0:1]\nplot [] [1:10] -1 notitle", script);
    fputc('\n', script);
    for (size_t i = 0; i < SERIES_COUNT; i++) {
        print_bytes_values(script, &SERIES[i], points, count);
    }
}

/* ---- to a file ---- */

fl_err fl_chart_check(fl_reason *why)
{
    return fl_gnuplot_check("--plot, --plot-bytes", why);
}

fl_err fl_chart_write(const char *path, const char *title,
                      const fl_chart_point *points, size_t count,
                      fl_reason *why)
{
    FILE *script;
    FL_TRY(fl_gnuplot_begin(&script, path, why));
    print_curve(script, title, points, count);
    return fl_gnuplot_finish(script, path, why);
}

fl_err fl_chart_write_bytes(const char *path, const char *title,
                            const fl_chart_bytes *points, size_t count,
                            fl_reason *why)
{
    FILE *script;
    FL_TRY(fl_gnuplot_begin(&script, path, why));
    print_bytes(script, title, points, count);
    return fl_gnuplot_finish(script, path, why);
}
