/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/chart.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { SVG_CAP = 1 << 20 };

static const fl_chart_point POINTS[] = {
    {1, 0.25, 2.0}, {2, NAN, NAN}, {3, 0.5, 1.0}, {4, 0.75, 0.5}};

// Without gnuplot there is nothing to test but the refusal.
static bool has_gnuplot(void)
{
    fl_reason why = {""};
    const fl_err err = fl_chart_check(&why);
    if (!err) return true;
    assert_int_equal(err, FL_ERR_NOT_FOUND);
    assert_reason_names(why, "apt-get install");
    return false;
}

typedef struct {
    char folder[FL_SCRATCH_CAP];
    char path[FL_SCRATCH_CAP + 16];
    uint8_t *svg;
    size_t len;
} drawing;

static void draw(drawing *d, const char *title, const fl_chart_point *points,
                 size_t count)
{
    *d = (drawing){0};
    assert_true(fl_scratch_make(d->folder));
    snprintf(d->path, sizeof d->path, "%s/curve.svg", d->folder);
    assert_ok(fl_chart_write(d->path, title, points, count, NULL));
    assert_ok(fl_file_read(&d->svg, &d->len, d->path, SVG_CAP, NULL));
    assert_non_null(strstr((const char *)d->svg, "<svg"));
    assert_non_null(strstr((const char *)d->svg, "</svg>"));
}

static bool shows(const drawing *d, const char *text)
{
    return strstr((const char *)d->svg, text) != NULL;
}

static void put_away(drawing *d)
{
    fl_scratch_remove(d->folder);
    free(d->svg);
}

TEST(chart_draws_accuracy_and_loss_over_rounds)
{
    drawing d;
    if (!has_gnuplot()) return;
    draw(&d, "lenet on fashion-mnist", POINTS, 4);
    assert_true(shows(&d, "lenet on fashion-mnist"));
    assert_true(shows(&d, "accuracy"));
    assert_true(shows(&d, "loss"));
    put_away(&d);
}

TEST(chart_title_is_shown_and_never_run)
{
    static const char *const titles[] = {
        "it's a 'title'",
        "a \"title\" $(touch ran) `touch ran`",
        "x'; system('touch ran'); set title 'y",
        "x\n'; system('touch ran')\nset title 'y",
        "back\\slash\\",
        "a_b^c {/Bold d} @macro",
    };
    if (!has_gnuplot()) return;
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) {
        drawing d;
        draw(&d, titles[i], POINTS, 4);
        assert_int_equal(access("ran", F_OK), -1);
        if (i == 0) assert_true(shows(&d, "it's a 'title'"));
        if (i == 4) assert_true(shows(&d, "back\\slash\\"));
        if (i == 5) assert_true(shows(&d, "a_b^c {/Bold d} @macro"));
        put_away(&d);
    }
}

TEST(chart_is_drawn_when_little_or_nothing_was_measured)
{
    const fl_chart_point nothing[] = {{1, NAN, NAN}, {2, NAN, NAN}};
    drawing d;
    if (!has_gnuplot()) return;
    draw(&d, "one round", POINTS, 1);
    put_away(&d);
    draw(&d, "never evaluated", nothing, 2);
    put_away(&d);
    draw(&d, "stopped at once", NULL, 0);
    assert_true(shows(&d, "stopped at once"));
    put_away(&d);
}

// Of a client of 1,000 parameters; zeros are unknown.
static const fl_chart_bytes BYTES[] = {
    {1, {4000, 200, 30, 40, 90, 35, 0, 600}},
    {2, {4000, 200, 30, 40, 95, 36, 0, 610}},
    {3, {4000, 200, 30, 40, 90, 34, 170, 620}}};

static void draw_bytes(drawing *d, const fl_chart_bytes *points, size_t count)
{
    *d = (drawing){0};
    assert_true(fl_scratch_make(d->folder));
    snprintf(d->path, sizeof d->path, "%s/bytes.svg", d->folder);
    assert_ok(fl_chart_write_bytes(d->path, "it's bytes", points, count, NULL));
    assert_ok(fl_file_read(&d->svg, &d->len, d->path, SVG_CAP, NULL));
    assert_true(shows(d, "</svg>"));
    assert_true(shows(d, "it's bytes"));
}

TEST(chart_draws_bytes_of_every_stage_and_direction)
{
    drawing d;
    if (!has_gnuplot()) return;
    draw_bytes(&d, BYTES, 3);
    assert_true(shows(&d, "float32"));
    assert_true(shows(&d, "up: support"));
    assert_true(shows(&d, "up: rounded"));
    assert_true(shows(&d, "up: packed"));
    assert_true(shows(&d, "up: on the wire"));
    assert_true(shows(&d, "down: one behind"));
    assert_true(shows(&d, "down: ten behind"));
    assert_true(shows(&d, "down: whole"));
    put_away(&d);
}

TEST(chart_of_bytes_leaves_out_what_is_unknown)
{
    const fl_chart_bytes nothing[] = {{.round = 1}, {.round = 2}};
    drawing d;
    if (!has_gnuplot()) return;
    draw_bytes(&d, BYTES, 1);
    assert_true(shows(&d, "down: one behind"));
    assert_false(shows(&d, "down: ten behind"));
    put_away(&d);
    draw_bytes(&d, nothing, 2);
    assert_false(shows(&d, "up:"));
    put_away(&d);
    draw_bytes(&d, NULL, 0);
    put_away(&d);
}

TEST(chart_says_where_it_cannot_be_written)
{
    fl_reason why = {""};
    if (!has_gnuplot()) return;
    assert_err(fl_chart_write("/nonexistent/curve.svg", "x", POINTS, 4, &why),
               FL_ERR_SYSTEM);
    assert_reason_names(why, "/nonexistent/curve.svg");
    assert_err(fl_chart_write_bytes("/nonexistent/b.svg", "x", BYTES, 3, &why),
               FL_ERR_SYSTEM);
    assert_reason_names(why, "/nonexistent/b.svg");
}

TEST(chart_needs_gnuplot_and_says_so)
{
    char *path = strdup(getenv("PATH"));
    fl_reason why = {""};
    assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
    const fl_err err = fl_chart_check(&why);
    assert_int_equal(setenv("PATH", path, 1), 0);
    free(path);
    assert_int_equal(err, FL_ERR_NOT_FOUND);
    assert_reason_names(why, "gnuplot");
    assert_reason_names(why, "apt-get install");
}

RUN_TESTS(cmocka_unit_test(chart_draws_accuracy_and_loss_over_rounds),
          cmocka_unit_test(chart_title_is_shown_and_never_run),
          cmocka_unit_test(chart_is_drawn_when_little_or_nothing_was_measured),
          cmocka_unit_test(chart_draws_bytes_of_every_stage_and_direction),
          cmocka_unit_test(chart_of_bytes_leaves_out_what_is_unknown),
          cmocka_unit_test(chart_says_where_it_cannot_be_written),
          cmocka_unit_test(chart_needs_gnuplot_and_says_so))
