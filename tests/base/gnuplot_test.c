/*
 * Pictures by gnuplot; tests/sim/chart_test.c looks at what is in them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdbool.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/gnuplot.h"
#include "tests/support/scratch.h"
#include "tests/test.h"

enum { SVG_CAP = 1 << 20 };

static bool is_missing(void)
{
    fl_reason why = {""};
    const fl_err err = fl_gnuplot_check("--plot", &why);
    if (!err) return false;
    assert_int_equal(err, FL_ERR_NOT_FOUND);
    assert_reason_names(why, "--plot");
    assert_reason_names(why, "apt-get install");
    return true;
}

TEST(gnuplot_draws_a_script)
{
    char folder[FL_SCRATCH_CAP], path[FL_SCRATCH_CAP + 16];
    uint8_t *svg = NULL;
    size_t len;
    FILE *script;
    if (is_missing()) return;
    assert_true(fl_scratch_make(folder));
    snprintf(path, sizeof path, "%s/line.svg", folder);
    assert_ok(fl_gnuplot_begin(&script, path, NULL));
    fl_gnuplot_print_head(script, "it's a title");
    fputs("plot [0:1] x title 'line'\n", script);
    assert_ok(fl_gnuplot_finish(script, path, NULL));
    assert_ok(fl_file_read(&svg, &len, path, SVG_CAP, NULL));
    assert_non_null(strstr((const char *)svg, "</svg>"));
    assert_non_null(strstr((const char *)svg, "title"));
    free(svg);
    fl_scratch_remove(folder);
}

TEST(gnuplot_refuses_a_script_that_it_does_not_understand)
{
    FILE *script;
    fl_reason why = {""};
    if (is_missing()) return;
    assert_ok(fl_gnuplot_begin(&script, "never.svg", NULL));
    fputs("plot nonsense(\n", script);
    assert_err(fl_gnuplot_finish(script, "never.svg", &why), FL_ERR_SYSTEM);
    assert_reason_names(why, "never.svg");
}

RUN_TESTS(
    cmocka_unit_test(gnuplot_draws_a_script),
    cmocka_unit_test(gnuplot_refuses_a_script_that_it_does_not_understand))
