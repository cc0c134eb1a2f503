/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/totals.h"

#include <math.h>
#include <stdlib.h>

#include "aggregator/reduction.h"
#include "compress/compress.h"
#include "proto/proto.h"
#include "tests/test.h"

static fl_round_record make_round(uint32_t round, double accuracy)
{
    return (fl_round_record){
        .round = round,
        .attempt = 2,
        .selected_count = 12,
        .update_count = 10,
        .sample_count = 6000,
        .client_loss = 0.5 * round,
        .client_accuracy = 0.25,
        .loss = 1.0 / round,
        .accuracy = accuracy,
        .bytes_up = 1000,
        .bytes_down = 2000,
        .took_ms = 5,
        .aggregation = round % 2 ? 2 : 1,
        .sessions_aborted = 3,
        .bytes_control = 500,
        .codec = FL_CODEC_SKETCH,
        .payload_up = 400,
        .up_support = 100,
        .up_rounded = 50,
        .up_packed = 40,
        .moved = 7,
        .download_1 = 25,
        .download_10 = round > 1 ? 80 : 0,  // nobody can be so far behind
        .download_full = 200,
        .param_count = 80,
        .mac_count = 900,
        .model_bytes = 150,
        .accuracy_before = (double)NAN,
        .accuracy_after = (double)NAN,
        .int8_accuracy = (double)NAN,
    };
}

static fl_totals total(const double *accuracies, uint32_t count)
{
    fl_totals totals;
    fl_totals_init(&totals);
    for (uint32_t i = 0; i < count; i++) {
        const fl_round_record round = make_round(i + 1, accuracies[i]);
        fl_totals_add(&totals, &round);
    }
    return totals;
}

// Takes the object.
static void assert_json(fl_json *line, const char *expected)
{
    char *text = NULL;
    assert_ok(fl_json_text(&text, line));
    assert_string_equal(text, expected);
    free(text);
    fl_json_free(line);
}

TEST(totals_add_up_traffic_and_work)
{
    const fl_totals totals = total((const double[]){0.5, 0.75, 0.625}, 3);
    assert_int_equal(totals.round, 3);
    assert_int_equal(totals.bytes_up, 3000);
    assert_int_equal(totals.bytes_down, 6000);
    assert_int_equal(totals.update_count, 30);
    assert_int_equal(totals.selected_count, 36);
    assert_int_equal(totals.sample_count, 18000);
    assert_int_equal(totals.sessions_aborted, 9);
    assert_int_equal(totals.bytes_control, 1500);
    assert_int_equal(totals.took_ms, 15);
    assert_true(fl_totals_control_each(&totals) == 50.0);
}

TEST(totals_show_the_last_round_and_the_best)
{
    const fl_totals totals = total((const double[]){0.5, 0.75, 0.625}, 3);
    assert_true(totals.accuracy == 0.625);
    assert_true(totals.loss == 1.0 / 3);
    assert_true(totals.client_loss == 1.5);
    assert_true(totals.client_accuracy == 0.25);
    assert_true(totals.best_accuracy == 0.75);
    assert_int_equal(totals.best_round, 2);
}

TEST(totals_name_the_first_of_equally_good_rounds)
{
    const fl_totals totals = total((const double[]){0.5, 0.75, 0.75}, 3);
    assert_int_equal(totals.best_round, 2);
}

// With --evaluate-every 5 four rounds of five are not measured.
TEST(totals_keep_what_was_measured_last)
{
    const double none = (double)NAN;
    const fl_totals totals =
        total((const double[]){none, 0.5, none, 0.25, none}, 5);
    assert_int_equal(totals.round, 5);
    assert_true(totals.accuracy == 0.25);
    assert_true(totals.loss == 0.25);
    assert_true(totals.client_loss == 2.5);  // of the fifth
    assert_true(totals.best_accuracy == 0.5);
    assert_int_equal(totals.best_round, 2);
}

TEST(totals_of_nothing_measured_are_no_numbers)
{
    const fl_totals totals = total((const double[]){(double)NAN}, 1);
    assert_true(isnan(totals.accuracy));
    assert_true(isnan(totals.loss));
    assert_true(isnan(totals.best_accuracy));
    assert_int_equal(totals.best_round, 0);
}

TEST(totals_leave_the_first_model_out)
{
    fl_totals totals;
    const fl_round_record first = {.bytes_up = 9, .accuracy = 0.5};
    fl_totals_init(&totals);
    fl_totals_add(&totals, &first);
    assert_int_equal(totals.bytes_up, 0);
    assert_true(isnan(totals.accuracy));
    assert_true(isnan(totals.client_accuracy));
    assert_true(fl_totals_control_each(&totals) == 0.0);
}

TEST(totals_give_a_program_every_key_of_a_round)
{
    fl_json *line = fl_json_new();
    fl_round_record round = make_round(2, 0.75);
    round.client_loss = (double)NAN;
    fl_totals_round_json(line, &round, 100);
    assert_json(line, "{\"round\":2,\"accuracy\":0.75,\"loss\":0.5,"
                      "\"client_accuracy\":0.25,\"client_loss\":null,"
                      "\"bytes_up\":1000,\"bytes_down\":2000,\"clients\":10,"
                      "\"selected\":12,\"samples\":6000,\"attempt\":2,"
                      "\"aggregation\":\"secure\",\"sessions_aborted\":3,"
                      "\"bytes_control\":500,\"up_support\":100,"
                      "\"up_rounded\":50,\"up_packed\":40,\"moved\":7,"
                      "\"work\":\"train\",\"params\":80,\"macs\":900,"
                      "\"model_bytes\":150,\"sparsity\":0.2,"
                      "\"accuracy_before\":null,\"accuracy_after\":null,"
                      "\"verdict\":null,\"int8_accuracy\":null,"
                      "\"codec\":\"sketch\",\"payload_up_per_client\":40.0,"
                      "\"wire_up_per_client\":100.0,"
                      "\"download_1_behind\":25.0,"
                      "\"download_10_behind\":80.0,\"download_full\":200.0,"
                      "\"ratio_up\":10.0,\"ratio_up_wire\":4.0}");
}

TEST(totals_give_a_program_every_key_of_a_run)
{
    fl_json *line = fl_json_new();
    const fl_totals totals = total((const double[]){0.75, 0.5}, 2);
    fl_totals_json(line, &totals, 100);
    assert_json(line, "{\"round\":2,\"accuracy\":0.5,\"loss\":0.5,"
                      "\"client_accuracy\":0.25,\"client_loss\":1.0,"
                      "\"bytes_up\":2000,\"bytes_down\":4000,\"selected\":24,"
                      "\"updates\":20,\"samples\":12000,"
                      "\"best_accuracy\":0.75,\"best_round\":1,"
                      "\"aggregation\":\"secure\",\"sessions_aborted\":6,"
                      "\"bytes_control\":1000,\"codec\":\"sketch\","
                      "\"payload_up_per_client\":40.0,"
                      "\"wire_up_per_client\":100.0,"
                      "\"download_1_behind\":25.0,"
                      "\"download_10_behind\":80.0,\"download_full\":200.0,"
                      "\"ratio_up\":10.0,\"ratio_up_wire\":4.0,"
                      "\"dense_params\":80,\"dense_accuracy\":0.5,"
                      "\"pruned_params\":80,\"macs\":900,"
                      "\"model_bytes\":150,\"sparsity\":0.0,"
                      "\"int8_accuracy\":null,\"surveys\":0,"
                      "\"survey_bytes_up\":0,\"guard_accepted\":0,"
                      "\"guard_rolled_back\":0}");
}

// A dense model of 100; a step down to 80; its INT8 form.
static void add_step(fl_totals *totals, uint32_t verdict, double int8_accuracy)
{
    fl_round_record round = make_round(3, 0.75);
    totals->dense.params = 100;
    totals->dense.accuracy = 0.5;
    round.work = FL_WORK_MEASURE;
    round.verdict = verdict;
    round.int8_accuracy = int8_accuracy;
    if (verdict == FL_VERDICT_ROLLED_BACK) round.param_count = 100;
    fl_totals_add(totals, &round);
}

TEST(totals_tell_the_dense_model_from_the_pruned_one)
{
    fl_totals totals;
    fl_totals_init(&totals);
    add_step(&totals, FL_VERDICT_ACCEPTED, 0.625);
    assert_int_equal(totals.dense.params, 100);
    assert_true(totals.dense.accuracy == 0.5);
    assert_int_equal(totals.pruned.params, 80);
    assert_true(totals.pruned.accuracy == 0.75);
    assert_true(totals.int8_accuracy == 0.625);
    assert_int_equal(totals.accepted_count, 1);
    // A survey is no update, and says nothing of training.
    assert_int_equal(totals.ledger_updates, 0);
    assert_true(isnan(totals.client_accuracy));
    assert_int_equal(totals.update_count, 0);
    assert_int_equal(totals.survey_count, 1);
    assert_int_equal(totals.answer_count, 10);
    assert_int_equal(totals.survey_up, totals.bytes_up);
    assert_true(fl_totals_control_each(&totals) == 0.0);
    assert_true(fl_totals_ledger(&totals, 80).wire == 0.0);
    add_step(&totals, FL_VERDICT_ROLLED_BACK, (double)NAN);
    assert_int_equal(totals.rolled_back_count, 1);
    assert_int_equal(totals.pruned.params, 0);
}

static void assert_sizes(const fl_totals *totals, const char *expected)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    const fl_totals_forms forms = {
        .int8_bytes = 90, .dense_us = 12.34, .int8_us = 2.5};
    fl_totals_print_sizes(out, totals, &forms);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
}

TEST(totals_print_a_line_for_each_form_of_the_model)
{
    fl_totals totals = total((const double[]){0.75, 0.5}, 2);
    assert_sizes(&totals, "");
    add_step(&totals, FL_VERDICT_ACCEPTED, 0.625);
    assert_sizes(&totals,
                 "\n                     accuracy   parameters        bytes"
                 "   an example\n"
                 "  dense float32       50.00 %          100        400 B"
                 "      12.3 us\n"
                 "  pruned              75.00 %           80        320 B"
                 "            -\n"
                 "  pruned + INT8       62.50 %           80         90 B"
                 "       2.5 us\n\n");
}

TEST(totals_name_what_rounds_were_for)
{
    assert_string_equal(fl_totals_work_name(FL_WORK_TRAIN), "train");
    assert_string_equal(fl_totals_work_name(FL_WORK_MEASURE), "measure");
    assert_string_equal(fl_totals_work_name(FL_WORK_IMPORTANCE), "importance");
    assert_string_equal(fl_totals_work_name(FL_WORK_RANGES), "ranges");
    assert_null(fl_totals_work_name(4));
}

TEST(totals_name_how_the_last_round_was_summed)
{
    const fl_totals totals = total((const double[]){0.5, 0.5, 0.5}, 3);
    assert_int_equal(totals.aggregation, 2);
    assert_string_equal(fl_totals_aggregation_name(1), "secure");
    assert_string_equal(fl_totals_aggregation_name(2), "clear");
    assert_null(fl_totals_aggregation_name(0));
    assert_null(fl_totals_aggregation_name(3));
}

TEST(totals_say_null_before_the_first_round)
{
    fl_totals totals;
    fl_json *line = fl_json_new();
    fl_totals_init(&totals);
    fl_totals_json(line, &totals, 100);
    assert_json(line, "{\"round\":0,\"accuracy\":null,\"loss\":null,"
                      "\"client_accuracy\":null,\"client_loss\":null,"
                      "\"bytes_up\":0,\"bytes_down\":0,\"selected\":0,"
                      "\"updates\":0,\"samples\":0,\"best_accuracy\":null,"
                      "\"best_round\":0,\"aggregation\":null,"
                      "\"sessions_aborted\":0,\"bytes_control\":0,"
                      "\"codec\":null,\"payload_up_per_client\":0.0,"
                      "\"wire_up_per_client\":0.0,\"download_1_behind\":0.0,"
                      "\"download_10_behind\":0.0,\"download_full\":0.0,"
                      "\"ratio_up\":null,\"ratio_up_wire\":null,"
                      "\"dense_params\":0,\"dense_accuracy\":null,"
                      "\"pruned_params\":0,\"macs\":0,\"model_bytes\":0,"
                      "\"sparsity\":null,\"int8_accuracy\":null,"
                      "\"surveys\":0,\"survey_bytes_up\":0,"
                      "\"guard_accepted\":0,\"guard_rolled_back\":0}");
}

TEST(totals_take_means_of_what_there_is)
{
    fl_totals totals;
    fl_totals_init(&totals);
    fl_round_record round = make_round(1, 0.5);
    fl_totals_add(&totals, &round);
    round = make_round(2, 0.5);
    round.update_count = 30;  // more clients weigh more
    round.payload_up = 30 * 80;
    round.up_support = 300;
    round.up_rounded = 90;
    round.download_1 = 75;
    round.codec = FL_CODEC_TOPK;
    fl_totals_add(&totals, &round);
    const fl_ledger ledger = fl_totals_ledger(&totals, 1000);
    assert_int_equal(totals.codec, FL_CODEC_TOPK);
    assert_true(ledger.raw == 4000);
    assert_true(ledger.support == 250);
    assert_true(ledger.rounded == 80);
    assert_true(ledger.packed == 70);
    assert_true(ledger.wire == 50);
    assert_true(ledger.download_1 == 50);
    assert_true(ledger.download_10 == 80);  // the second round alone has it
    assert_true(ledger.download_full == 200);
}

// As state folders of earlier versions have them.
TEST(totals_leave_rounds_without_a_ledger_out_of_its_means)
{
    fl_totals totals;
    fl_totals_init(&totals);
    fl_round_record round = make_round(1, 0.5);
    fl_totals_add(&totals, &round);
    round = (fl_round_record){
        .round = 2, .update_count = 10, .bytes_up = 3000, .accuracy = 0.5};
    fl_totals_add(&totals, &round);
    const fl_ledger ledger = fl_totals_ledger(&totals, 1000);
    assert_int_equal(totals.codec, FL_CODEC_SKETCH);
    assert_true(ledger.packed == 40);
    assert_true(ledger.support == 100);
    assert_true(ledger.wire == 200);  // known of all rounds
    assert_true(ledger.download_full == 200);
}

TEST(totals_compare_with_nothing_when_the_model_is_unknown)
{
    fl_json *line = fl_json_new();
    char *text = NULL;
    const fl_totals totals = total((const double[]){0.5}, 1);
    fl_totals_json(line, &totals, 0);
    assert_ok(fl_json_text(&text, line));
    assert_non_null(strstr(text, "\"ratio_up\":null,\"ratio_up_wire\":null"));
    assert_non_null(strstr(text, "\"payload_up_per_client\":40.0"));
    free(text);
    fl_json_free(line);
}

TEST(totals_show_ratios_as_fractions)
{
    char text[FL_TOTALS_RATIO_CAP];
    fl_totals_ratio_text(text, 320808, 2814);
    assert_string_equal(text, "1/114");
    fl_totals_ratio_text(text, 320808, 45000);
    assert_string_equal(text, "1/7.1");
    fl_totals_ratio_text(text, 100, 125);
    assert_string_equal(text, "1/0.8");
    fl_totals_ratio_text(text, 100, 0);
    assert_string_equal(text, "-");
    fl_totals_ratio_text(text, 0, 100);
    assert_string_equal(text, "-");
}

RUN_TESTS(
    cmocka_unit_test(totals_add_up_traffic_and_work),
    cmocka_unit_test(totals_show_the_last_round_and_the_best),
    cmocka_unit_test(totals_name_the_first_of_equally_good_rounds),
    cmocka_unit_test(totals_keep_what_was_measured_last),
    cmocka_unit_test(totals_of_nothing_measured_are_no_numbers),
    cmocka_unit_test(totals_leave_the_first_model_out),
    cmocka_unit_test(totals_give_a_program_every_key_of_a_round),
    cmocka_unit_test(totals_give_a_program_every_key_of_a_run),
    cmocka_unit_test(totals_tell_the_dense_model_from_the_pruned_one),
    cmocka_unit_test(totals_print_a_line_for_each_form_of_the_model),
    cmocka_unit_test(totals_name_what_rounds_were_for),
    cmocka_unit_test(totals_name_how_the_last_round_was_summed),
    cmocka_unit_test(totals_say_null_before_the_first_round),
    cmocka_unit_test(totals_take_means_of_what_there_is),
    cmocka_unit_test(totals_leave_rounds_without_a_ledger_out_of_its_means),
    cmocka_unit_test(totals_compare_with_nothing_when_the_model_is_unknown),
    cmocka_unit_test(totals_show_ratios_as_fractions))
