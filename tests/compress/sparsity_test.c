/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/sparsity.h"

#include <math.h>
#include <stdlib.h>
#include <zstd.h>

#include "model/int8/int8.h"
#include "tests/support/world.h"
#include "tests/test.h"

static fl_reason why;

typedef struct {
    fl_model *model;
    size_t count;
    double *scores, *fisher;
    bool *mask;
} bench;

static bench open_bench(void)
{
    const fl_model_options options = {
        .name = "lenet", .input = {28, 28, 1}, .class_count = 10, .seed = 3};
    bench b = {0};
    assert_ok(fl_model_new(&b.model, &options, NULL));
    b.count = fl_model_param_count(b.model);
    b.scores = malloc(b.count * sizeof *b.scores);
    b.fisher = malloc(b.count * sizeof *b.fisher);
    b.mask = malloc(b.count * sizeof *b.mask);
    assert_true(b.scores && b.fisher && b.mask);
    memset(b.mask, true, b.count * sizeof *b.mask);
    for (size_t i = 0; i < b.count; i++)
        b.fisher[i] = (double)(i * 7919 % 104729);
    fl_sparsity_scores(b.scores, b.model, FL_SPARSITY_MAGNITUDE, NULL);
    return b;
}

static void close_bench(bench *b)
{
    fl_model_free(b->model);
    free(b->scores);
    free(b->fisher);
    free(b->mask);
}

/* ---- the schedule ---- */

// s_f - s_f (1 - t / n)^3, equation 1 with s_i = 0.
TEST(sparsity_rises_as_the_paper_says)
{
    assert_float_equal(fl_sparsity_at(0.8, 0, 100), 0.0, 1e-12);
    assert_float_equal(fl_sparsity_at(0.8, 50, 100), 0.7, 1e-6);
    assert_float_equal(fl_sparsity_at(0.8, 25, 100), 0.4625, 1e-6);
    assert_float_equal(fl_sparsity_at(0.8, 100, 100), 0.8, 1e-6);
    assert_float_equal(fl_sparsity_at(0.8, 1000, 100), 0.8, 1e-6);
    for (uint64_t step = 0; step < 100; step++) {
        assert_true(fl_sparsity_at(0.5, step, 100) <
                    fl_sparsity_at(0.5, step + 1, 100));
    }
}

/* ---- scores ---- */

TEST(sparsity_scores_are_those_of_their_papers)
{
    bench b = open_bench();
    const float *params = fl_model_get_params(b.model);
    for (size_t i = 0; i < b.count; i++)
        assert_true(b.scores[i] == fabs((double)params[i]));
    fl_sparsity_scores(b.scores, b.model, FL_SPARSITY_FISHER, b.fisher);
    assert_memory_equal(b.scores, b.fisher, b.count * sizeof *b.scores);
    fl_sparsity_scores(b.scores, b.model, FL_SPARSITY_OBD, b.fisher);
    for (size_t i = 0; i < b.count; i++) {
        const double w = (double)params[i];
        const double expected = b.fisher[i] * w * w / 2.0;
        assert_true(fabs(b.scores[i] - expected) <= 1e-12 * expected);
    }
    close_bench(&b);
}

/* ---- masks ---- */

// Of one tensor: how many are cleared, and that nothing lower stays.
static size_t check_tensor(const bench *b, fl_tensor_info tensor)
{
    double highest_cleared = -1.0, lowest_kept = INFINITY;
    size_t cleared = 0;
    for (size_t i = tensor.offset; i < tensor.offset + tensor.count; i++) {
        if (b->mask[i]) {
            lowest_kept = fmin(lowest_kept, b->scores[i]);
        } else {
            highest_cleared = fmax(highest_cleared, b->scores[i]);
            cleared++;
        }
    }
    assert_true(highest_cleared <= lowest_kept);
    return cleared;
}

TEST(sparsity_by_layer_takes_the_same_share_of_each)
{
    bench b = open_bench();
    assert_ok(fl_sparsity_mask(b.mask, b.model, b.scores, 0.8, true, &why));
    for (size_t i = 0; i < fl_model_tensor_count(b.model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(b.model, i);
        const size_t cleared = check_tensor(&b, tensor);
        const bool is_weight = tensor.role == FL_TENSOR_WEIGHT;
        assert_int_equal(
            cleared, is_weight ? (size_t)ceil(0.8 * (double)tensor.count) : 0);
    }
    close_bench(&b);
}

TEST(sparsity_over_all_layers_has_one_threshold)
{
    bench b = open_bench();
    assert_ok(fl_sparsity_mask(b.mask, b.model, b.scores, 0.7, false, &why));
    double highest_cleared = -1.0, lowest_kept = INFINITY;
    size_t cleared = 0, weights = 0;
    for (size_t i = 0; i < fl_model_tensor_count(b.model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(b.model, i);
        if (tensor.role != FL_TENSOR_WEIGHT) continue;
        weights += tensor.count;
        for (size_t k = tensor.offset; k < tensor.offset + tensor.count; k++) {
            if (b.mask[k]) {
                lowest_kept = fmin(lowest_kept, b.scores[k]);
            } else {
                highest_cleared = fmax(highest_cleared, b.scores[k]);
                cleared++;
            }
        }
    }
    assert_true(highest_cleared <= lowest_kept);
    assert_int_equal(cleared, (size_t)ceil(0.7 * (double)weights));
    close_bench(&b);
}

// What went stays away, even if it would score high now.
TEST(sparsity_only_grows)
{
    bench b = open_bench();
    assert_ok(fl_sparsity_mask(b.mask, b.model, b.scores, 0.3, false, &why));
    bool *before = malloc(b.count * sizeof *before);
    assert_non_null(before);
    memcpy(before, b.mask, b.count * sizeof *before);
    for (size_t i = 0; i < b.count; i++)
        b.scores[i] = b.mask[i] ? 1.0 : 9.0;
    assert_ok(fl_sparsity_mask(b.mask, b.model, b.scores, 0.5, false, &why));
    for (size_t i = 0; i < b.count; i++)
        assert_false(!before[i] && b.mask[i]);
    assert_ok(fl_sparsity_mask(b.mask, b.model, b.scores, 0.1, false, &why));
    fl_sparsity_apply(b.model, b.mask);
    const fl_sparsity now = fl_sparsity_of(b.model);
    assert_int_equal(now.zero_count, (now.weight_count + 1) / 2);
    free(before);
    close_bench(&b);
}

TEST(sparsity_takes_the_first_of_equal_scores)
{
    bench b = open_bench();
    for (size_t i = 0; i < b.count; i++)
        b.scores[i] = 1.0;
    assert_ok(fl_sparsity_mask(b.mask, b.model, b.scores, 0.01, true, &why));
    const fl_tensor_info first = fl_model_tensor(b.model, 0);
    const size_t wanted = (size_t)ceil(0.01 * (double)first.count);
    for (size_t i = 0; i < first.count; i++)
        assert_int_equal(b.mask[first.offset + i], i >= wanted);
    close_bench(&b);
}

TEST(sparsity_refuses_shares_and_scores_that_are_none)
{
    static const double shares[] = {-0.1, 1.0, (double)NAN};
    bench b = open_bench();
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        assert_err(
            fl_sparsity_mask(b.mask, b.model, b.scores, shares[i], true, &why),
            FL_ERR_RANGE);
        assert_reason_names(why, "sparsity");
    }
    b.scores[17] = (double)NAN;
    assert_err(fl_sparsity_mask(b.mask, b.model, b.scores, 0.5, true, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "17");
    close_bench(&b);
}

/* ---- what it is good for ---- */

static size_t packed_bytes(const fl_model *model)
{
    const size_t len = fl_model_bytes(model), cap = ZSTD_compressBound(len);
    uint8_t *plain = malloc(len), *packed = malloc(cap);
    assert_true(plain && packed);
    assert_ok(fl_model_encode(model, plain, len));
    const size_t packed_len = ZSTD_compress(packed, cap, plain, len, 19);
    assert_false(ZSTD_isError(packed_len));
    free(plain);
    free(packed);
    return packed_len;
}

TEST(sparsity_makes_the_packed_file_smaller)
{
    bench b = open_bench();
    const size_t dense = packed_bytes(b.model);
    assert_ok(fl_sparsity_mask(b.mask, b.model, b.scores, 0.8, true, &why));
    fl_sparsity_apply(b.model, b.mask);
    // A fifth of the numbers, and where they are.
    assert_true((double)packed_bytes(b.model) < 0.32 * (double)dense);
    close_bench(&b);
}

TEST(sparsity_survives_quantisation)
{
    bench b = open_bench();
    fl_dataset *dataset = world_dataset(28);
    uint32_t rows[WORLD_ROWS];
    for (uint32_t i = 0; i < WORLD_ROWS; i++)
        rows[i] = i;
    assert_ok(fl_sparsity_mask(b.mask, b.model, b.scores, 0.8, true, &why));
    fl_sparsity_apply(b.model, b.mask);
    fl_int8_model *quantized = NULL;
    const fl_int8_options options = {.calibrate = FL_CALIBRATE_MINMAX};
    assert_ok(fl_int8_quantize(&quantized, b.model, dataset, rows, WORLD_ROWS,
                               &options, &why));
    // Without norms, folding moves no parameter.
    assert_int_equal(quantized->graph.param_count, b.count);
    const float *params = fl_model_get_params(b.model);
    for (size_t i = 0; i < b.count; i++) {
        if (!b.mask[i]) assert_int_equal(quantized->weights[i], 0);
        assert_true(b.mask[i] || fpclassify(params[i]) == FP_ZERO);
    }
    fl_int8_free(quantized);
    fl_dataset_free(dataset);
    close_bench(&b);
}

RUN_TESTS(cmocka_unit_test(sparsity_rises_as_the_paper_says),
          cmocka_unit_test(sparsity_scores_are_those_of_their_papers),
          cmocka_unit_test(sparsity_by_layer_takes_the_same_share_of_each),
          cmocka_unit_test(sparsity_over_all_layers_has_one_threshold),
          cmocka_unit_test(sparsity_only_grows),
          cmocka_unit_test(sparsity_takes_the_first_of_equal_scores),
          cmocka_unit_test(sparsity_refuses_shares_and_scores_that_are_none),
          cmocka_unit_test(sparsity_makes_the_packed_file_smaller),
          cmocka_unit_test(sparsity_survives_quantisation))
