/*
 * Surveys: what a client counts, and every refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "client/local.h"
#include "client/rows.h"
#include "tests/support/board.h"
#include "tests/test.h"

enum { CAP = 100 };  // of rows, unless a test says something else

static fl_err run(fl_board_kit *kit)
{
    const bool with_ranges = fl_local_has_ranges(&kit->plan);
    const fl_local_data data = fl_board_kit_data(kit, with_ranges);
    fl_result_fini(&kit->result);
    kit->why.text[0] = 0;
    return fl_local_work(&kit->result, &kit->plan, &data, &kit->why);
}

static uint32_t count_at(const fl_result *result, size_t i)
{
    return fl_bytes_get_u32(result->update + 4 * i);
}

static uint32_t count_max(const fl_board_kit *kit)
{
    fl_codec codec;
    fl_local_codec(&codec, &kit->plan);
    return fl_tally_max(&codec);
}

// By hand, another way than the client's.
static fl_metrics measure(const fl_board_kit *kit, bool is_int8,
                          const uint32_t *rows, uint32_t count)
{
    fl_metrics metrics;
    fl_runner *runner;
    fl_int8_model *form = NULL;
    if (is_int8) {
        assert_ok(fl_int8_quantize_ranges(&form, kit->model, kit->ranges,
                                          kit->range_count, false, NULL));
        assert_ok(fl_runner_new_int8(&runner, form, 1, NULL));
    } else {
        assert_ok(fl_runner_new(&runner, kit->model, 1, NULL));
    }
    assert_ok(
        fl_runner_evaluate(runner, &metrics, kit->dataset, rows, count, NULL));
    fl_runner_free(runner);
    fl_int8_free(form);
    return metrics;
}

static uint32_t take_held_out(const fl_board_kit *kit, uint32_t *rows)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < BOARD_ROWS; i++) {
        if (i % kit->plan.holdout == kit->plan.holdout - 1)
            rows[count++] = kit->rows[i];
    }
    return count;
}

// The rows that this client draws for the plan: three quarters of `count`.
static uint32_t draw(const fl_board_kit *kit, uint32_t *rows, uint32_t count)
{
    fl_random random;
    const fl_local_data data = fl_board_kit_data(kit, false);
    fl_random_init(&random, fl_local_seed(&kit->plan), FL_RANDOM_SURVEY,
                   data.client);
    return fl_rows_sample(rows, count, count - count / 4, &random);
}

static uint32_t draw_of_all(const fl_board_kit *kit, uint32_t *rows)
{
    memcpy(rows, kit->rows, sizeof kit->rows);
    return draw(kit, rows, BOARD_ROWS);
}

static void init(fl_board_kit *kit, fl_work work, size_t count,
                 bool with_ranges)
{
    fl_board_kit_init(kit);
    fl_board_kit_survey(kit, work, count, with_ranges);
    kit->plan.row_cap = CAP;
}

/* ---- MEASURE ---- */

TEST(survey_measures_the_model_on_held_out_rows_alone)
{
    fl_board_kit kit;
    uint32_t rows[BOARD_ROWS];
    init(&kit, FL_WORK_MEASURE, 1, false);
    kit.plan.holdout = 4;
    const uint32_t count = draw(&kit, rows, take_held_out(&kit, rows));
    assert_ok(run(&kit));
    const fl_metrics expected = measure(&kit, false, rows, count);
    assert_int_equal(kit.result.sample_count, 12);
    assert_int_equal(kit.result.correct_count, expected.correct_count);
    assert_true(fabs((double)kit.result.loss_sum_micro * 1e-6 -
                     expected.loss_sum) < 1e-3);
    assert_int_equal(kit.result.update_len, 4);
    assert_int_equal(count_at(&kit.result, 0), 0);
    fl_board_kit_fini(&kit);
}

TEST(survey_measures_the_int8_form_beside_the_float_model)
{
    fl_board_kit kit;
    init(&kit, FL_WORK_MEASURE, 1, true);
    // So narrow that both differ.
    for (size_t i = 0; i < kit.range_count; i++)
        kit.ranges[i].high *= 0.02F;
    fl_board_kit_encode(&kit);
    assert_ok(run(&kit));
    uint32_t rows[BOARD_ROWS];
    const uint32_t count = draw_of_all(&kit, rows);
    const fl_metrics whole = measure(&kit, false, rows, count);
    const fl_metrics form = measure(&kit, true, rows, count);
    assert_true(form.correct_count != whole.correct_count);
    assert_int_equal(kit.result.sample_count, count);
    assert_int_equal(kit.result.correct_count, form.correct_count);
    assert_int_equal(count_at(&kit.result, 0), whole.correct_count);
    fl_board_kit_fini(&kit);
}

// One of three rows that are held out would be told by a sum of two.
TEST(survey_holds_no_row_out_of_a_client_with_too_few)
{
    for (uint32_t held = 0; held <= 3; held++) {
        fl_board_kit kit;
        init(&kit, FL_WORK_MEASURE, 1, false);
        kit.plan.holdout = BOARD_ROWS / (held + 1) + 1;
        assert_int_equal(BOARD_ROWS / kit.plan.holdout, held);
        assert_ok(run(&kit));
        assert_int_equal(kit.result.sample_count, 45);
        fl_board_kit_fini(&kit);
    }
}

TEST(survey_measures_no_more_rows_than_a_weight_can_say)
{
    fl_board_kit kit;
    init(&kit, FL_WORK_MEASURE, 1, true);
    kit.plan.weight_max = 20;
    assert_ok(run(&kit));
    assert_int_equal(kit.result.sample_count, 20);
    assert_in_range(count_at(&kit.result, 0), 0, 20);
    fl_board_kit_fini(&kit);
}

/* ---- IMPORTANCE ---- */

static size_t channel_count(const fl_board_kit *kit)
{
    fl_channels *channels;
    assert_ok(fl_channels_new(&channels, kit->model, NULL));
    const size_t count = fl_channels_count(channels);
    fl_channels_free(channels);
    return count;
}

TEST(survey_weighs_channels_by_their_share_of_the_fisher_information)
{
    fl_board_kit kit;
    fl_channels *channels;
    init(&kit, FL_WORK_IMPORTANCE, 0, false);
    const size_t count = kit.plan.param_count = channel_count(&kit);
    double *scores = calloc(count, sizeof *scores), sum = 0.0, told = 0.0;
    uint32_t rows[BOARD_ROWS];
    const uint32_t row_count = draw_of_all(&kit, rows);
    const fl_importance_data data = {
        .dataset = kit.dataset, .rows = rows, .row_count = row_count};
    assert_non_null(scores);
    assert_ok(fl_channels_new(&channels, kit.model, NULL));
    assert_ok(fl_importance_channels(scores, NULL, kit.model, channels,
                                     FL_IMPORTANCE_FISHER, &data, NULL));
    for (size_t i = 0; i < count; i++)
        sum += scores[i];
    assert_true(sum > 0);
    assert_ok(run(&kit));
    assert_int_equal(kit.result.update_len, 4 * count);
    assert_int_equal(kit.result.sample_count, row_count);
    const double say = (double)count_max(&kit) * row_count / CAP;
    for (size_t i = 0; i < count; i++) {
        assert_true(fabs(count_at(&kit.result, i) - scores[i] / sum * say) <
                    0.51);
        told += count_at(&kit.result, i);
    }
    assert_true(fabs(told - say) <= (double)count);
    fl_channels_free(channels);
    free(scores);
    fl_board_kit_fini(&kit);
}

TEST(survey_looks_at_rows_that_are_trained_on_and_not_at_others)
{
    fl_board_kit kit;
    init(&kit, FL_WORK_IMPORTANCE, 0, false);
    kit.plan.param_count = channel_count(&kit);
    kit.plan.holdout = 4;
    assert_ok(run(&kit));
    assert_int_equal(kit.result.sample_count, 34);  // of 45
    kit.plan.row_cap = 10;
    assert_ok(run(&kit));
    assert_int_equal(kit.result.sample_count, 10);
    fl_board_kit_fini(&kit);
}

TEST(survey_gives_no_client_more_than_a_full_say)
{
    fl_board_kit kit;
    init(&kit, FL_WORK_IMPORTANCE, 0, false);
    const size_t count = kit.plan.param_count = channel_count(&kit);
    kit.plan.row_cap = 0;  // then weight_max rows are a full say
    kit.plan.weight_max = 10;
    assert_ok(run(&kit));
    double told = 0.0;
    for (size_t i = 0; i < count; i++) {
        assert_true(count_at(&kit.result, i) <= count_max(&kit));
        told += count_at(&kit.result, i);
    }
    assert_true(fabs(told - count_max(&kit)) <= (double)count);
    fl_board_kit_fini(&kit);
}

TEST(survey_of_a_model_that_learns_nothing_has_nothing_to_say)
{
    fl_board_kit kit;
    init(&kit, FL_WORK_IMPORTANCE, 0, false);
    kit.plan.param_count = channel_count(&kit);
    memset(fl_model_params(kit.model), 0,
           fl_model_param_count(kit.model) * sizeof(float));
    fl_board_kit_encode(&kit);
    assert_ok(run(&kit));
    for (size_t i = 0; i < kit.plan.param_count; i++)
        assert_int_equal(count_at(&kit.result, i), 0);
    fl_board_kit_fini(&kit);
}

/* ---- RANGES ---- */

TEST(survey_counts_how_values_spread_over_the_bins)
{
    fl_board_kit kit;
    init(&kit, FL_WORK_RANGES, 0, false);
    const size_t count = kit.plan.param_count = kit.range_count * FL_INT8_BINS;
    double *shares = calloc(count, sizeof *shares);
    assert_non_null(shares);
    uint32_t rows[BOARD_ROWS];
    const uint32_t row_count = draw_of_all(&kit, rows);
    assert_ok(
        fl_int8_observe(shares, kit.model, kit.dataset, rows, row_count, NULL));
    assert_ok(run(&kit));
    assert_int_equal(kit.result.update_len, 4 * count);
    const double say = (double)count_max(&kit) * row_count / CAP;
    for (size_t i = 0; i < count; i++)
        assert_true(fabs(count_at(&kit.result, i) - shares[i] * say) < 1.0);
    assert_int_equal(kit.result.correct_count,
                     measure(&kit, false, rows, row_count).correct_count);
    free(shares);
    fl_board_kit_fini(&kit);
}

/* ---- all of them ---- */

static void prepare(fl_board_kit *kit, fl_work work)
{
    size_t count = 1;
    init(kit, work, 1, work == FL_WORK_MEASURE);
    if (work == FL_WORK_IMPORTANCE) count = channel_count(kit);
    if (work == FL_WORK_RANGES) count = kit->range_count * FL_INT8_BINS;
    kit->plan.param_count = count;
}

static void assert_draws_anew(fl_work work, uint32_t row_cap)
{
    fl_board_kit kit;
    prepare(&kit, work);
    kit.plan.row_cap = row_cap;
    assert_ok(run(&kit));
    fl_result first = kit.result;
    kit.result = (fl_result){0};
    assert_ok(run(&kit));
    assert_int_equal(first.loss_sum_micro, kit.result.loss_sum_micro);
    assert_memory_equal(first.update, kit.result.update, first.update_len);
    kit.plan.number++;  // other rows
    assert_ok(run(&kit));
    assert_int_not_equal(first.loss_sum_micro, kit.result.loss_sum_micro);
    fl_result_fini(&first);
    fl_board_kit_fini(&kit);
}

// Also where the plan would look at all rows.
TEST(survey_is_a_function_of_plan_and_client)
{
    for (fl_work work = FL_WORK_MEASURE; work <= FL_WORK_RANGES; work++) {
        assert_draws_anew(work, 15);
        assert_draws_anew(work, CAP);
        assert_draws_anew(work, 0);
    }
}

TEST(survey_refuses_a_number_of_counts_that_is_not_the_models)
{
    for (fl_work work = FL_WORK_MEASURE; work <= FL_WORK_RANGES; work++) {
        fl_board_kit kit;
        prepare(&kit, work);
        kit.plan.param_count++;
        assert_err(run(&kit), FL_ERR_RANGE);
        assert_reason_names(kit.why, "counts");
        assert_null(kit.result.update);
        fl_board_kit_fini(&kit);
    }
}

TEST(survey_ends_when_it_is_told_to)
{
    for (fl_work work = FL_WORK_MEASURE; work <= FL_WORK_RANGES; work++) {
        fl_board_kit kit;
        atomic_bool stop = true;
        prepare(&kit, work);
        fl_local_data data = fl_board_kit_data(&kit, true);
        data.stop = &stop;
        assert_err(fl_local_work(&kit.result, &kit.plan, &data, &kit.why),
                   FL_ERR_CANCELLED);
        assert_null(kit.result.update);
        fl_board_kit_fini(&kit);
    }
}

TEST(survey_refuses_bytes_that_are_no_model)
{
    fl_board_kit kit;
    prepare(&kit, FL_WORK_MEASURE);
    kit.len /= 2;
    assert_err(run(&kit), FL_ERR_FORMAT);
    fl_board_kit_fini(&kit);
}

TEST(survey_refuses_ranges_that_are_malformed_or_of_another_model)
{
    fl_board_kit kit;
    prepare(&kit, FL_WORK_MEASURE);
    kit.range_bytes[kit.range_len - 1] = 0xff;  // NaN, or a low above 0
    kit.range_bytes[kit.range_len - 2] = 0xff;
    assert_err(run(&kit), FL_ERR_FORMAT);
    kit.range_count--;
    fl_board_kit_encode(&kit);
    assert_err(run(&kit), FL_ERR_FORMAT);
    assert_null(kit.result.update);
    fl_board_kit_fini(&kit);
}

TEST(survey_refuses_a_plan_whose_ranges_are_not_here)
{
    fl_board_kit kit;
    prepare(&kit, FL_WORK_MEASURE);
    const fl_local_data data = fl_board_kit_data(&kit, false);
    assert_err(fl_local_work(&kit.result, &kit.plan, &data, &kit.why),
               FL_ERR_RANGE);
    assert_reason_names(kit.why, "not here");
    fl_board_kit_fini(&kit);
}

TEST(survey_refuses_a_holdout_that_leaves_no_row)
{
    fl_board_kit kit;
    prepare(&kit, FL_WORK_IMPORTANCE);
    kit.plan.holdout = 1;
    assert_err(run(&kit), FL_ERR_RANGE);
    assert_reason_names(kit.why, "holdout");
    fl_board_kit_fini(&kit);
}

TEST(survey_refuses_work_that_it_does_not_know)
{
    fl_board_kit kit;
    prepare(&kit, FL_WORK_RANGES);
    kit.plan.work = (fl_work)(FL_WORK_RANGES + 1);
    assert_err(run(&kit), FL_ERR_UNSUPPORTED);
    fl_board_kit_fini(&kit);
}

TEST(survey_leaves_held_out_rows_to_nobody_elses_training)
{
    fl_board_kit kit;
    fl_board_kit_init(&kit);
    kit.plan.holdout = 4;
    assert_ok(run(&kit));
    assert_int_equal(kit.result.sample_count, BOARD_ROWS - 15);
    fl_board_kit_fini(&kit);
}

RUN_TESTS(
    cmocka_unit_test(survey_measures_the_model_on_held_out_rows_alone),
    cmocka_unit_test(survey_measures_the_int8_form_beside_the_float_model),
    cmocka_unit_test(survey_holds_no_row_out_of_a_client_with_too_few),
    cmocka_unit_test(survey_measures_no_more_rows_than_a_weight_can_say),
    cmocka_unit_test(
        survey_weighs_channels_by_their_share_of_the_fisher_information),
    cmocka_unit_test(
        survey_looks_at_rows_that_are_trained_on_and_not_at_others),
    cmocka_unit_test(survey_gives_no_client_more_than_a_full_say),
    cmocka_unit_test(survey_of_a_model_that_learns_nothing_has_nothing_to_say),
    cmocka_unit_test(survey_counts_how_values_spread_over_the_bins),
    cmocka_unit_test(survey_is_a_function_of_plan_and_client),
    cmocka_unit_test(survey_refuses_a_number_of_counts_that_is_not_the_models),
    cmocka_unit_test(survey_ends_when_it_is_told_to),
    cmocka_unit_test(survey_refuses_bytes_that_are_no_model),
    cmocka_unit_test(
        survey_refuses_ranges_that_are_malformed_or_of_another_model),
    cmocka_unit_test(survey_refuses_a_plan_whose_ranges_are_not_here),
    cmocka_unit_test(survey_refuses_a_holdout_that_leaves_no_row),
    cmocka_unit_test(survey_refuses_work_that_it_does_not_know),
    cmocka_unit_test(survey_leaves_held_out_rows_to_nobody_elses_training))
