/*
 * Ranges of values: how many a model has, histograms that add up over
 * clients, and models quantised by ranges that are known.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "model/int8/int8.h"
#include "model/int8/observe.h"
#include "tests/support/nets.h"
#include "tests/support/tables.h"
#include "tests/test.h"

/* ---- bins ---- */

TEST(ranges_put_a_number_between_the_edges_of_its_bin)
{
    for (uint32_t bin = 1; bin < FL_INT8_BINS; bin++) {
        const bool is_first = bin == 1 || bin == 129;
        const float outer = fl_observe_edge(bin);
        const float inner =
            is_first ? copysignf(0x1p-16F, outer) : fl_observe_edge(bin - 1);
        assert_int_equal(fl_observe_bin(inner), bin);
        assert_int_equal(fl_observe_bin(nextafterf(outer, 0.0F)), bin);
        // A quarter of an octave, as exactly as float32 can say it.
        const double ratio = (double)outer / (double)inner;
        assert_true(fabs(log2(ratio) - 0.25) < 1e-6);
    }
}

TEST(ranges_put_what_is_small_into_bin_0)
{
    static const float small[] = {0.0F,     -0.0F,           1e-40F,
                                  -FLT_MIN, 0x1.fffffep-17F, -0x1.fffffep-17F};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++)
        assert_int_equal(fl_observe_bin(small[i]), 0);
    assert_true(fl_observe_edge(0) >= 0.0F && fl_observe_edge(0) <= 0.0F);
}

TEST(ranges_put_what_is_large_into_the_last_bin_of_its_sign)
{
    assert_int_equal(fl_observe_bin(0x1p16F), 128);
    assert_int_equal(fl_observe_bin(FLT_MAX), 128);
    assert_int_equal(fl_observe_bin(-0x1p16F), 256);
    assert_int_equal(fl_observe_bin(-FLT_MAX), 256);
    assert_true(fl_observe_edge(128) >= 65536.0F);
    assert_true(fl_observe_edge(256) <= -65536.0F);
}

TEST(ranges_put_1_where_the_contract_says)
{
    // 16 octaves of four bins below it, and bin 0.
    assert_int_equal(fl_observe_bin(1.0F), 65);
    assert_int_equal(fl_observe_bin(-1.0F), 193);
    assert_int_equal(fl_observe_bin(0x1p-16F), 1);
    assert_int_equal(fl_observe_bin(-0x1p-16F), 129);
}

/* ---- ranges from histograms ---- */

static fl_range range_from(const double *histogram, double percentile)
{
    fl_range range;
    fl_int8_ranges_from(&range, histogram, 1, percentile);
    return range;
}

static void assert_range(fl_range got, float low, float high)
{
    if (got.low >= low && got.low <= low && got.high >= high &&
        got.high <= high) {
        return;
    }
    print_error("%.9g to %.9g, not %.9g to %.9g\n", (double)got.low,
                (double)got.high, (double)low, (double)high);
    fail();
}

TEST(ranges_hold_all_at_100_percent)
{
    double histogram[FL_INT8_BINS] = {0};
    histogram[0] = 1e9;
    histogram[fl_observe_bin(3.0F)] = 1e-3;
    histogram[fl_observe_bin(0.5F)] = 1e6;
    histogram[fl_observe_bin(-0.1F)] = 1.0;
    assert_range(range_from(histogram, 100.0),
                 fl_observe_edge(fl_observe_bin(-0.1F)),
                 fl_observe_edge(fl_observe_bin(3.0F)));
}

TEST(ranges_cut_off_what_is_rare_but_not_more)
{
    double histogram[FL_INT8_BINS] = {0};
    histogram[fl_observe_bin(1000.0F)] = 4.0;
    histogram[fl_observe_bin(10.0F)] = 2.0;
    histogram[fl_observe_bin(1.0F)] = 988.0;
    histogram[fl_observe_bin(-1.0F)] = 6.0;
    // 5 of 1000 on each side: 1000 goes, 10 would be the sixth.
    assert_range(range_from(histogram, 99.0),
                 fl_observe_edge(fl_observe_bin(-1.0F)),
                 fl_observe_edge(fl_observe_bin(10.0F)));
    // 10 on each side: only 1 is left, and of the negatives 0.
    assert_range(range_from(histogram, 98.0), 0.0F,
                 fl_observe_edge(fl_observe_bin(1.0F)));
}

TEST(ranges_do_not_depend_on_the_unit_of_histograms)
{
    double histogram[FL_INT8_BINS] = {0}, other[FL_INT8_BINS];
    for (uint32_t bin = 0; bin < FL_INT8_BINS; bin++)
        histogram[bin] = (bin * 37) % 101;
    for (uint32_t bin = 0; bin < FL_INT8_BINS; bin++)
        other[bin] = histogram[bin] * 0x1p20;
    for (double p = 50.0; p <= 100.0; p += 12.5) {
        const fl_range range = range_from(histogram, p);
        assert_range(range_from(other, p), range.low, range.high);
    }
}

TEST(ranges_of_zeros_are_nothing_but_0)
{
    double histogram[FL_INT8_BINS] = {0};
    assert_range(range_from(histogram, 99.99), 0.0F, 0.0F);
    histogram[0] = 5.0;
    assert_range(range_from(histogram, 100.0), 0.0F, 0.0F);
}

/* ---- models ---- */

enum { ROWS = 64, SIDE = 28, CLASSES = 10, MANY = 64 };

typedef struct {
    fl_model *model;
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    size_t count;
    fl_range ranges[MANY];
    fl_int8_model *quantized;
} world;

static world world_open(const char *name)
{
    const float mean = 0.4F, deviation = 0.2F;
    const fl_model_options options = {
        .name = name,
        .input = {SIDE, SIDE, 1},
        .class_count = CLASSES,
        .mean = &mean,
        .deviation = &deviation,
        .seed = 12,
    };
    world w = {.dataset = table_of_pictures(ROWS, SIDE, CLASSES)};
    assert_ok(fl_model_new(&w.model, &options, NULL));
    assert_ok(fl_int8_range_count(&w.count, w.model, NULL));
    assert_in_range(w.count, 1, MANY);
    for (uint32_t i = 0; i < ROWS; i++)
        w.rows[i] = i;
    return w;
}

static void world_close(world *w)
{
    fl_int8_free(w->quantized);
    fl_model_free(w->model);
    fl_dataset_free(w->dataset);
}

static fl_err calibrate(world *w, fl_calibrate how)
{
    return fl_int8_calibrate(w->ranges, w->count, w->model, w->dataset, w->rows,
                             ROWS, &(fl_int8_options){.calibrate = how}, NULL);
}

static fl_err quantize(world *w, fl_reason *why)
{
    fl_int8_free(w->quantized);
    w->quantized = NULL;
    return fl_int8_quantize_ranges(&w->quantized, w->model, w->ranges, w->count,
                                   false, why);
}

static uint8_t *file_of(const fl_int8_model *quantized, size_t *len)
{
    *len = fl_int8_bytes(quantized, FL_QDQ_PLAIN);
    uint8_t *bytes = malloc(*len);
    assert_non_null(bytes);
    assert_ok(fl_int8_encode(quantized, FL_QDQ_PLAIN, bytes, *len));
    return bytes;
}

static void assert_same_file(const fl_int8_model *a, const fl_int8_model *b)
{
    size_t a_len, b_len;
    uint8_t *a_bytes = file_of(a, &a_len), *b_bytes = file_of(b, &b_len);
    assert_int_equal(a_len, b_len);
    assert_memory_equal(a_bytes, b_bytes, a_len);
    free(a_bytes);
    free(b_bytes);
}

TEST(ranges_are_one_for_each_group_of_values)
{
    world w = world_open("lenet");
    // The normalised input, conv1, conv2, fc1; the logits have none.
    assert_int_equal(w.count, 4);
    world_close(&w);
}

TEST(ranges_of_a_calibration_give_what_quantize_gives)
{
    world w = world_open("lenet");
    for (int how = FL_CALIBRATE_MINMAX; how <= FL_CALIBRATE_ENTROPY; how++) {
        const fl_int8_options options = {.calibrate = (fl_calibrate)how};
        fl_int8_model *direct = NULL;
        assert_ok(fl_int8_quantize(&direct, w.model, w.dataset, w.rows, ROWS,
                                   &options, NULL));
        assert_ok(calibrate(&w, options.calibrate));
        assert_ok(quantize(&w, NULL));
        assert_same_file(w.quantized, direct);
        fl_int8_free(direct);
    }
    world_close(&w);
}

TEST(ranges_are_in_the_order_of_the_graph)
{
    // input sub div | conv relu pool | conv relu pool flatten | fc relu |
    static const uint8_t groups[] = {0, 0, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 0};
    world w = world_open("lenet");
    for (size_t i = 0; i < w.count; i++)
        w.ranges[i] = (fl_range){0.0F, 255.0F * (float)(i + 1)};
    assert_ok(quantize(&w, NULL));
    assert_int_equal(w.quantized->graph.node_count, sizeof groups);
    for (size_t i = 0; i < sizeof groups; i++)
        assert_int_equal(lrintf(w.quantized->values[i].scale), groups[i]);
    world_close(&w);
}

/* ---- what is observed ---- */

static double *observe(const world *w, const uint32_t *rows, size_t row_count)
{
    double *shares = malloc(w->count * FL_INT8_BINS * sizeof *shares);
    assert_non_null(shares);
    assert_ok(
        fl_int8_observe(shares, w->model, w->dataset, rows, row_count, NULL));
    return shares;
}

TEST(ranges_are_observed_as_shares_of_1)
{
    world w = world_open("mobilenetv2-tiny");
    double *shares = observe(&w, w.rows, ROWS);
    for (size_t i = 0; i < w.count; i++) {
        double sum = 0.0;
        for (uint32_t bin = 0; bin < FL_INT8_BINS; bin++)
            sum += shares[i * FL_INT8_BINS + bin];
        assert_true(fabs(sum - 1.0) < 1e-12);
    }
    free(shares);
    world_close(&w);
}

TEST(ranges_observed_hold_what_minmax_sees)
{
    world w = world_open("lenet");
    fl_range observed[MANY];
    double *shares = observe(&w, w.rows, ROWS);
    fl_int8_ranges_from(observed, shares, w.count, 100.0);
    assert_ok(calibrate(&w, FL_CALIBRATE_MINMAX));
    for (size_t i = 0; i < w.count; i++) {
        const fl_range a = observed[i], b = w.ranges[i];
        assert_true(a.low <= b.low && a.low >= b.low * 1.1893F - 0x1p-16F);
        assert_true(a.high >= b.high && a.high <= b.high * 1.1893F + 0x1p-16F);
    }
    free(shares);
    world_close(&w);
}

// What the federation relies on: the mean of two halves is the whole.
TEST(ranges_observed_by_two_add_up_to_those_of_all)
{
    world w = world_open("lenet");
    double *a = observe(&w, w.rows, ROWS / 2);
    double *b = observe(&w, w.rows + ROWS / 2, ROWS / 2);
    double *both = observe(&w, w.rows, ROWS);
    for (size_t i = 0; i < w.count * FL_INT8_BINS; i++)
        assert_true(fabs((a[i] + b[i]) / 2.0 - both[i]) < 1e-12);
    free(a);
    free(b);
    free(both);
    world_close(&w);
}

/* ---- refusals ---- */

TEST(ranges_are_refused_when_they_are_another_models)
{
    world w = world_open("lenet");
    fl_reason why = {""};
    assert_ok(calibrate(&w, FL_CALIBRATE_MINMAX));
    w.count--;
    assert_err(quantize(&w, &why), FL_ERR_RANGE);
    assert_reason_names(why, "4 ranges");
    assert_err(calibrate(&w, FL_CALIBRATE_MINMAX), FL_ERR_RANGE);
    assert_null(w.quantized);
    world_close(&w);
}

TEST(ranges_are_refused_without_0_or_without_an_end)
{
    static const fl_range broken[] = {{0.5F, 1.0F},      {-1.0F, -0.5F},
                                      {NAN, 1.0F},       {-1.0F, NAN},
                                      {-INFINITY, 1.0F}, {0.0F, INFINITY}};
    world w = world_open("lenet");
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        fl_reason why = {""};
        assert_ok(calibrate(&w, FL_CALIBRATE_MINMAX));
        w.ranges[2] = broken[i];
        assert_err(quantize(&w, &why), FL_ERR_RANGE);
        assert_reason_names(why, "range 2");
    }
    world_close(&w);
}

TEST(ranges_are_refused_of_what_has_no_integer_form)
{
    fl_model model = {.graph = net_over(8, 8, 4)};
    net_add_conv(&model.graph, 4, net_square(3, 1, 1), true);
    net_add(
        &model.graph,
        (fl_node){.op = FL_OP_GROUPNORM, .group_count = 2, .epsilon = 1e-5F},
        false, NULL);
    net_add_dense(&model.graph, 2);
    model.params = calloc(model.graph.param_count, sizeof(float));
    assert_non_null(model.params);
    size_t count;
    fl_reason why = {""};
    assert_err(fl_int8_range_count(&count, &model, &why), FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "GroupNormalization");
    fl_graph_fini(&model.graph);
    free(model.params);
}

TEST(ranges_are_not_observed_on_rows_that_do_not_fit)
{
    double shares[4 * FL_INT8_BINS];
    world w = world_open("lenet");
    fl_reason why = {""};
    assert_err(fl_int8_observe(shares, w.model, w.dataset, w.rows, 0, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "no rows");
    w.rows[3] = ROWS;
    assert_err(fl_int8_observe(shares, w.model, w.dataset, w.rows, ROWS, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "row 64");
    world_close(&w);
}

TEST(ranges_are_not_observed_of_a_broken_model)
{
    double shares[4 * FL_INT8_BINS];
    world w = world_open("lenet");
    fl_reason why = {""};
    fl_model_params(w.model)[0] = NAN;
    assert_err(fl_int8_observe(shares, w.model, w.dataset, w.rows, ROWS, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "NaN");
    world_close(&w);
}

RUN_TESTS(
    cmocka_unit_test(ranges_put_a_number_between_the_edges_of_its_bin),
    cmocka_unit_test(ranges_put_what_is_small_into_bin_0),
    cmocka_unit_test(ranges_put_what_is_large_into_the_last_bin_of_its_sign),
    cmocka_unit_test(ranges_put_1_where_the_contract_says),
    cmocka_unit_test(ranges_hold_all_at_100_percent),
    cmocka_unit_test(ranges_cut_off_what_is_rare_but_not_more),
    cmocka_unit_test(ranges_do_not_depend_on_the_unit_of_histograms),
    cmocka_unit_test(ranges_of_zeros_are_nothing_but_0),
    cmocka_unit_test(ranges_are_one_for_each_group_of_values),
    cmocka_unit_test(ranges_of_a_calibration_give_what_quantize_gives),
    cmocka_unit_test(ranges_are_in_the_order_of_the_graph),
    cmocka_unit_test(ranges_are_observed_as_shares_of_1),
    cmocka_unit_test(ranges_observed_hold_what_minmax_sees),
    cmocka_unit_test(ranges_observed_by_two_add_up_to_those_of_all),
    cmocka_unit_test(ranges_are_refused_when_they_are_another_models),
    cmocka_unit_test(ranges_are_refused_without_0_or_without_an_end),
    cmocka_unit_test(ranges_are_refused_of_what_has_no_integer_form),
    cmocka_unit_test(ranges_are_not_observed_on_rows_that_do_not_fit),
    cmocka_unit_test(ranges_are_not_observed_of_a_broken_model))
