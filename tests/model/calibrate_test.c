/*
 * From numbers that a network makes to scales and zero points.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/calibrate.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "tests/support/nets.h"
#include "tests/support/tables.h"
#include "tests/test.h"

static double real_of(fl_quant quant, int q)
{
    return (double)quant.scale * (q - quant.zero_point);
}

/* ---- one range ---- */

TEST(calibrate_maps_a_range_to_all_bytes)
{
    static const fl_range ranges[] = {{-1.0F, 1.0F},      {0.0F, 6.0F},
                                      {-3.0F, 0.0F},      {-0.1F, 9.0F},
                                      {-1000.0F, 0.001F}, {-1e-12F, 2e-12F}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const fl_quant quant = fl_calibrate_quant(ranges[i], false);
        // Moving 0 to a byte shifts the ends by half a step at the most.
        const double allowed = 0.501 * (double)quant.scale;
        assert_true(fabs(real_of(quant, 0) - (double)ranges[i].low) <= allowed);
        assert_true(fabs(real_of(quant, 255) - (double)ranges[i].high) <=
                    allowed);
    }
}

TEST(calibrate_puts_one_sided_ranges_on_an_end)
{
    assert_int_equal(
        fl_calibrate_quant((fl_range){0.0F, 3.3F}, false).zero_point, 0);
    assert_int_equal(
        fl_calibrate_quant((fl_range){-3.3F, 0.0F}, false).zero_point, 255);
}

TEST(calibrate_maps_a_symmetric_range_around_128)
{
    static const fl_range ranges[] = {
        {-1.0F, 0.5F}, {-0.5F, 1.0F}, {0.0F, 1.0F}, {-1.0F, 0.0F}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const fl_quant quant = fl_calibrate_quant(ranges[i], true);
        assert_int_equal(quant.zero_point, 128);
        assert_true(quant.scale * 127.0F >= 0.999999F &&
                    quant.scale * 127.0F <= 1.000001F);
    }
}

TEST(calibrate_gives_a_constant_a_usable_scale)
{
    static const fl_range ranges[] = {{0.0F, 0.0F}, {-1e-40F, 1e-30F}};
    for (size_t i = 0; i < 4; i++) {
        const fl_quant quant = fl_calibrate_quant(ranges[i / 2], i % 2);
        assert_true(quant.scale > 0.0039F && quant.scale < 0.0040F);
    }
}

TEST(calibrate_gives_the_largest_range_a_finite_scale)
{
    const fl_range widest = {-FLT_MAX, FLT_MAX};
    for (int i = 0; i < 2; i++)
        assert_true(isfinite(fl_calibrate_quant(widest, i).scale));
}

/* ---- a network ---- */

enum { ROWS = 4000, NODES = 4 };

typedef struct {
    fl_model model;
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    fl_quant values[NODES];
} world;

// n1 DENSE: the two columns as they are; n2 `act`; n3 DENSE: logits.
static world world_open(const float *values, fl_op_kind act)
{
    const float params[] = {1, 0, 0, 1, 0, 0, 1, 2, 3, 4, 0, 0};
    world w = {.dataset = table_of(values, ROWS, 2)};
    w.model.graph = net_over(1, 1, 2);
    net_add_dense(&w.model.graph, 2);
    net_add_plain(&w.model.graph, act);
    net_add_dense(&w.model.graph, 2);
    assert_int_equal(w.model.graph.param_count, sizeof params / sizeof *params);
    w.model.params = malloc(sizeof params);
    assert_non_null(w.model.params);
    memcpy(w.model.params, params, sizeof params);
    for (uint32_t i = 0; i < ROWS; i++)
        w.rows[i] = i;
    return w;
}

static void world_close(world *w)
{
    fl_graph_fini(&w->model.graph);
    free(w->model.params);
    fl_dataset_free(w->dataset);
}

static fl_err calibrate(world *w, const fl_int8_options *options,
                        fl_reason *why)
{
    fl_range ranges[NODES];
    fl_folded folded;
    const fl_sample rows = {w->dataset, w->rows, ROWS};
    assert_ok(fl_folded_init(&folded, &w->model, NULL));
    assert_int_equal(folded.model->graph.node_count, NODES);
    const fl_err err =
        fl_calibrate_ranges(ranges, &folded, &rows, options, why);
    if (!err) {
        fl_calibrate_quants(w->values, &folded, ranges, options->is_symmetric);
    }
    fl_folded_fini(&folded);
    return err;
}

// From -2 to 2 in even steps; the second column half of it.
static world ramp_before(fl_op_kind act, float outlier)
{
    static float values[2 * ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        values[2 * i] = (float)i / 1000.0F - 2.0F;
        values[2 * i + 1] = values[2 * i] / 2.0F;
    }
    values[2 * 77 + 1] = outlier;
    return world_open(values, act);
}

static world ramp_open(float outlier)
{
    return ramp_before(FL_OP_RELU, outlier);
}

static void assert_quant(fl_quant got, double scale, uint8_t zero_point)
{
    if (fabs((double)got.scale / scale - 1.0) < 1e-3 &&
        got.zero_point == zero_point) {
        return;
    }
    print_error("scale %.9g, zero point %u, not %.9g, %u\n", (double)got.scale,
                got.zero_point, scale, zero_point);
    fail();
}

TEST(calibrate_by_minmax_sees_every_row)
{
    world w = ramp_open(8.0F);
    assert_ok(calibrate(&w, &(fl_int8_options){0}, NULL));
    assert_quant(w.values[0], 10.0 / 255.0, 51);
    // The dense layer has its activation's range, which begins at 0.
    assert_quant(w.values[1], 8.0 / 255.0, 0);
    assert_quant(w.values[2], 8.0 / 255.0, 0);
    assert_true(w.values[3].scale <= 0.0F);  // logits
    world_close(&w);
}

// A float plan would compute both in one step and show only the second.
TEST(calibrate_sees_what_goes_into_an_activation)
{
    world w = ramp_before(FL_OP_HARD_SWISH, 0.0F);
    assert_ok(calibrate(&w, &(fl_int8_options){0}, NULL));
    assert_quant(w.values[1], 3.999 / 255.0, 128);
    // From -3/8, at -3/2, to nearly 2 * (2 + 3) / 6.
    assert_quant(w.values[2], (0.375 + 1.6655) / 255.0, 47);
    world_close(&w);
}

TEST(calibrate_symmetrically_centres_every_value)
{
    world w = ramp_open(8.0F);
    for (int i = 0; i < 3; i++) {
        assert_ok(calibrate(&w,
                            &(fl_int8_options){.calibrate = (fl_calibrate)i,
                                               .is_symmetric = true},
                            NULL));
        assert_int_equal(w.values[0].zero_point, 128);
        assert_int_equal(w.values[2].zero_point, 128);
        if (i == 0) assert_quant(w.values[2], 8.0 / 127.0, 128);
    }
    world_close(&w);
}

TEST(calibrate_by_percentile_ignores_an_outlier)
{
    world w = ramp_open(8.0F);
    const fl_int8_options options = {.calibrate = FL_CALIBRATE_PERCENTILE,
                                     .percentile = 99.9};
    assert_ok(calibrate(&w, &options, NULL));
    assert_true(w.values[0].scale < 4.1F / 255.0F);
    assert_true(w.values[0].scale > 3.9F / 255.0F);
    assert_true(w.values[2].scale < 2.1F / 255.0F);
    world_close(&w);
}

TEST(calibrate_by_percentile_takes_99_99_unless_told)
{
    world w = ramp_open(8.0F);
    const fl_int8_options usual = {.calibrate = FL_CALIBRATE_PERCENTILE};
    fl_int8_options told = usual;
    told.percentile = 99.99;
    assert_ok(calibrate(&w, &usual, NULL));
    const fl_quant expected = w.values[0];
    assert_ok(calibrate(&w, &told, NULL));
    assert_quant(w.values[0], (double)expected.scale, expected.zero_point);
    world_close(&w);
}

TEST(calibrate_by_entropy_ignores_an_outlier)
{
    world w = ramp_open(8.0F);
    const fl_int8_options options = {.calibrate = FL_CALIBRATE_ENTROPY};
    assert_ok(calibrate(&w, &options, NULL));
    assert_true(w.values[2].scale < 4.0F / 255.0F);
    assert_true(w.values[2].scale > 1.0F / 255.0F);
    world_close(&w);
}

TEST(calibrate_survives_values_that_are_always_0)
{
    world w = ramp_open(0.5F);
    memset(w.model.params, 0, 6 * sizeof(float));
    for (int i = 0; i < 3; i++) {
        const fl_int8_options options = {.calibrate = (fl_calibrate)i};
        assert_ok(calibrate(&w, &options, NULL));
        assert_quant(w.values[2], 1.0 / 255.0, 0);
    }
    world_close(&w);
}

TEST(calibrate_refuses_numbers_that_overflow)
{
    world w = ramp_open(0.5F);
    fl_reason why = {""};
    w.model.params[0] = FLT_MAX;  // times 2
    assert_err(calibrate(&w, &(fl_int8_options){0}, &why), FL_ERR_RANGE);
    assert_reason_names(why, "n1");
    // What stays float32 is looked at too.
    w.model.params[0] = 1.0F;
    w.model.params[6] = NAN;
    assert_err(calibrate(&w, &(fl_int8_options){0}, &why), FL_ERR_RANGE);
    assert_reason_names(why, "n3");
    world_close(&w);
}

RUN_TESTS(cmocka_unit_test(calibrate_maps_a_range_to_all_bytes),
          cmocka_unit_test(calibrate_puts_one_sided_ranges_on_an_end),
          cmocka_unit_test(calibrate_maps_a_symmetric_range_around_128),
          cmocka_unit_test(calibrate_gives_a_constant_a_usable_scale),
          cmocka_unit_test(calibrate_gives_the_largest_range_a_finite_scale),
          cmocka_unit_test(calibrate_by_minmax_sees_every_row),
          cmocka_unit_test(calibrate_sees_what_goes_into_an_activation),
          cmocka_unit_test(calibrate_symmetrically_centres_every_value),
          cmocka_unit_test(calibrate_by_percentile_ignores_an_outlier),
          cmocka_unit_test(calibrate_by_percentile_takes_99_99_unless_told),
          cmocka_unit_test(calibrate_by_entropy_ignores_an_outlier),
          cmocka_unit_test(calibrate_survives_values_that_are_always_0),
          cmocka_unit_test(calibrate_refuses_numbers_that_overflow))
