/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator.h"

#include <stdlib.h>

#include "tests/support/data_files.h"
#include "tests/test.h"

static data_files files;
static fl_reason why;

static int set_up(void **state)
{
    (void)state;
    why = (fl_reason){""};
    data_files_init(&files);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    data_files_fini(&files);
    return 0;
}

// Three columns, two classes.
static fl_dataset *open_table(void)
{
    fl_dataset *dataset = NULL;
    const char *path = data_files_put_text(&files, "table.csv",
                                           "a,b,c,label\n"
                                           "0,1,2,0\n1,1,5,1\n2,1,8,0\n");
    const fl_data_options options = {.spec = path, .test_spec = path};
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TEST, &options, &why));
    return dataset;
}

static void refuse(const fl_federation *federation, const char *word)
{
    assert_err(fl_federation_check(federation, &why), FL_ERR_RANGE);
    assert_reason_names(why, word);
}

TEST(federation_is_sound_when_nothing_is_said)
{
    const fl_federation federation = FL_FEDERATION_INIT;
    assert_ok(fl_federation_check(&federation, &why));
}

TEST(federation_knows_its_schedules)
{
    fl_federation federation = FL_FEDERATION_INIT;
    federation.schedule = "linear";
    refuse(&federation, "--schedule linear");
    federation.schedule = "";
    refuse(&federation, "constant, cosine or step");
    federation.schedule = "constant";
    assert_ok(fl_federation_check(&federation, &why));
}

// Without steps the rate would be divided by 0, or never change.
TEST(federation_asks_for_the_steps_of_a_schedule)
{
    const char *const names[] = {"cosine", "step"};
    for (size_t i = 0; i < 2; i++) {
        fl_federation federation = FL_FEDERATION_INIT;
        federation.schedule = names[i];
        refuse(&federation, names[i]);
        assert_reason_names(why, "--schedule-steps");
        federation.schedule_steps = 1;
        assert_ok(fl_federation_check(&federation, &why));
    }
}

TEST(federation_refuses_a_quorum_that_no_cohort_can_reach)
{
    fl_federation federation = FL_FEDERATION_INIT;
    federation.cohort = 4;
    federation.min_survivors = 4;
    federation.quorum = 4;
    assert_ok(fl_federation_check(&federation, &why));
    federation.quorum = 5;
    refuse(&federation, "--quorum 5");
    assert_reason_names(why, "--cohort 4");
}

static uint32_t quorum_of(uint64_t cohort, uint64_t quorum)
{
    fl_federation federation = FL_FEDERATION_INIT;
    fl_aggregator_options options = {.cohort = 0};
    federation.cohort = cohort;
    federation.quorum = quorum;
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.cohort, cohort);
    return options.quorum;
}

TEST(federation_wants_half_of_the_cohort_when_no_quorum_is_named)
{
    assert_int_equal(quorum_of(1, 0), 1);
    assert_int_equal(quorum_of(2, 0), 1);
    assert_int_equal(quorum_of(3, 0), 2);
    assert_int_equal(quorum_of(10, 0), 5);
    assert_int_equal(quorum_of(10, 7), 7);
}

TEST(federation_tells_the_machine_all_that_was_said)
{
    const fl_federation federation = {
        .schedule = "step",
        .local_epochs = 2,
        .batch = 16,
        .schedule_steps = 9,
        .lr = 0.5,
        .momentum = 0.25,
        .weight_decay = 0.125,
        .clip_norm = 8.0,
        .schedule_factor = 0.75,
        .round_count = 50,
        .cohort = 6,
        .quorum = 4,
        .evaluate_every = 3,
        .over_select = 0.5,
        .deadline_s = 1.5,
        .seed = 77,
        .aggregation = "secure",
        .value_clip = 0.5,
        .weight_max = 600,
        .min_survivors = 3,
        .phase_s = 2.5,
        .lr_decay = 0.875,
        .codec = "dense:5",
        .density = 0.125,
        .density_small = 0.75,
        .release = 0.375,
        .grid = 0.0625,
        .is_overflow_free = true,
        .prune = 0.25,
        .prune_step = 0.125,
        .prune_start = 7,
        .prune_recover = 4,
        .prune_multiple = 4,
        .prune_importance = "magnitude",
        .prune_cost = "macs",
        .max_drop = 2.5,
        .has_int8 = true,
        .holdout = 0.2,
        .survey_cohort = 60,
        .survey_rows = 99,
    };
    fl_aggregator_options options = {.min_clients = 5};
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.round_count, 50);
    assert_int_equal(options.quorum, 4);
    assert_int_equal(options.evaluate_every, 3);
    assert_true(options.over_select == 0.5);
    assert_int_equal(options.deadline_ms, 1500);
    assert_int_equal(options.seed, 77);
    assert_int_equal(options.aggregation, FL_AGGREGATION_SECURE);
    assert_true(options.value_clip == 0.5);
    assert_int_equal(options.weight_max, 600);
    assert_int_equal(options.min_survivors, 3);
    assert_int_equal(options.phase_ms, 2500);
    assert_true(options.lr_decay == 0.875);
    assert_int_equal(options.codec, FL_CODEC_DENSE);
    assert_int_equal(options.codec_bits, 5);
    assert_true(options.density == 0.125);
    assert_true(options.density_small == 0.75);
    assert_true(options.release == 0.375);
    assert_true(options.grid == 0.0625);
    assert_true(options.is_overflow_free);
    const fl_reduction_options *reduction = &options.reduction;
    assert_true(reduction->prune == 0.25);
    assert_true(reduction->step == 0.125);
    assert_int_equal(reduction->start, 7);
    assert_int_equal(reduction->recover, 4);
    assert_int_equal(reduction->multiple, 4);
    assert_int_equal(reduction->importance, FL_IMPORTANCE_MAGNITUDE);
    assert_int_equal(reduction->cost, FL_PRUNE_MACS);
    assert_true(reduction->max_drop == 0.025);
    assert_true(reduction->has_int8);
    assert_int_equal(reduction->holdout, 5);
    assert_int_equal(reduction->survey_cohort, 60);
    assert_int_equal(reduction->survey_rows, 99);
    assert_int_equal(reduction->round_count, 50);
    assert_int_equal(options.min_clients, 5);  // not a federation's
    assert_int_equal(options.training.local_epochs, 2);
    assert_int_equal(options.training.batch, 16);
    assert_true(options.training.lr == 0.5F);
    assert_true(options.training.momentum == 0.25F);
    assert_true(options.training.weight_decay == 0.125F);
    assert_true(options.training.clip_norm == 8.0F);
    assert_int_equal(options.training.schedule, FL_SCHEDULE_STEP);
    assert_int_equal(options.training.schedule_steps, 9);
    assert_true(options.training.schedule_factor == 0.75F);
}

TEST(federation_sums_in_the_clear_when_told_so)
{
    fl_federation federation = FL_FEDERATION_INIT;
    fl_aggregator_options options = {.round_count = 0};
    federation.aggregation = "clear";
    federation.cohort = 2;
    assert_ok(fl_federation_check(&federation, &why));
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.aggregation, FL_AGGREGATION_CLEAR);
}

static fl_codec_kind codec_of(const fl_federation *federation)
{
    fl_aggregator_options options = {.round_count = 0};
    assert_ok(fl_federation_check(federation, &why));
    fl_federation_apply(federation, &options);
    return options.codec;
}

TEST(federation_sketches_when_no_codec_is_named)
{
    fl_federation federation = FL_FEDERATION_INIT;
    assert_int_equal(codec_of(&federation), FL_CODEC_SKETCH);
    federation.aggregation = "clear";
    assert_int_equal(codec_of(&federation), FL_CODEC_SKETCH1BIT);
    federation.codec = "sketch";
    assert_int_equal(codec_of(&federation), FL_CODEC_SKETCH);
    federation.codec = "topk";
    assert_int_equal(codec_of(&federation), FL_CODEC_TOPK);
}

TEST(federation_names_the_codecs_when_one_is_unknown)
{
    fl_federation federation = FL_FEDERATION_INIT;
    federation.codec = "zip";
    refuse(&federation, "--codec: there is no codec \"zip\"");
    assert_reason_names(why, "sketch");
    federation.codec = "";
    refuse(&federation, "--codec");
    federation.codec = "dense:40";
    refuse(&federation, "--codec: dense:40");
}

TEST(federation_refuses_to_mask_what_cannot_be_summed)
{
    const char *const names[] = {"sketch1bit", "topk", "stc",
                                 "qsgd:4",     "fp16", "none"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        fl_federation federation = FL_FEDERATION_INIT;
        federation.codec = names[i];
        refuse(&federation, names[i]);
        assert_reason_names(why, "one of sketch, dense,");
        assert_reason_names(why, "--aggregation clear (the aggregator sees");
        federation.aggregation = "clear";
        assert_ok(fl_federation_check(&federation, &why));
    }
}

TEST(federation_refuses_a_rate_that_decays_to_nothing)
{
    fl_federation federation = FL_FEDERATION_INIT;
    federation.lr_decay = 0.1;
    federation.round_count = 37;  // 0.05 * 10^-36 is a float, a tenth is not
    assert_ok(fl_federation_check(&federation, &why));
    federation.round_count = 38;
    refuse(&federation, "--lr-decay 0.1");
    assert_reason_names(why, "round 38");
    federation.round_count = 0;
    assert_ok(fl_federation_check(&federation, &why));
}

typedef struct {
    char text[400];
    unsigned stop_after;
} kept;

static fl_err keep(void *self, const char *key, const char *value,
                   fl_reason *reason)
{
    kept *k = self;
    const size_t len = strlen(k->text);
    snprintf(k->text + len, sizeof k->text - len, "%s=%s ", key, value);
    if (--k->stop_after > 0) return FL_OK;
    return fl_reason_set(reason, FL_ERR_STATE, "%s is another", key);
}

TEST(federation_says_what_it_keeps_for_life)
{
    fl_federation federation = FL_FEDERATION_INIT;
    kept all = {.stop_after = 100}, some = {.stop_after = 4};
    federation.seed = 77;
    federation.density = 0.02;
    assert_ok(fl_federation_each_setting(&federation, keep, &all, &why));
    assert_string_equal(all.text,
                        "model=lenet seed=77 codec=sketch density=0.02 "
                        "codec-small=0.25 release=0.04 grid=0.6 "
                        "lr-decay=1 holdout=0 ");
    federation.codec = "dense:5";
    assert_err(fl_federation_each_setting(&federation, keep, &some, &why),
               FL_ERR_STATE);
    assert_string_equal(some.text,
                        "model=lenet seed=77 codec=dense:5 density=0.02 ");
}

TEST(federation_says_what_clear_gives_away)
{
    fl_federation federation = FL_FEDERATION_INIT;
    federation.aggregation = "open";
    refuse(&federation, "--aggregation open");
    assert_reason_names(why, "secure");
    assert_reason_names(why, "the aggregator sees every update");
}

TEST(federation_hides_an_update_among_two_thirds_of_the_cohort)
{
    fl_federation federation = FL_FEDERATION_INIT;
    fl_aggregator_options options = {.round_count = 0};
    federation.aggregation = "secure";
    federation.cohort = 30;
    assert_ok(fl_federation_check(&federation, &why));
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.min_survivors, 20);
    federation.cohort = 8;
    assert_ok(fl_federation_check(&federation, &why));
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.min_survivors, 8);
}

TEST(federation_refuses_a_cohort_that_can_hide_nobody)
{
    fl_federation federation = FL_FEDERATION_INIT;
    federation.aggregation = "secure";
    federation.cohort = 7;
    refuse(&federation, "--cohort 7");
    assert_reason_names(why, "among 8");
    assert_reason_names(why, "--min-survivors N (a sum of fewer");
    assert_reason_names(why, "--aggregation clear (the aggregator sees");

    federation.min_survivors = 7;
    assert_ok(fl_federation_check(&federation, &why));
    federation.min_survivors = 1;
    refuse(&federation, "--min-survivors 1");
    federation.min_survivors = 30;
    refuse(&federation, "among 30");
}

TEST(federation_holds_rows_out_when_the_model_is_to_be_smaller)
{
    fl_federation federation = FL_FEDERATION_INIT;
    fl_aggregator_options options = {.round_count = 0};
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.reduction.holdout, 0);
    federation.has_int8 = true;
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.reduction.holdout, 10);
    federation.has_int8 = false;
    federation.prune = 0.5;
    federation.holdout = 0.3;
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.reduction.holdout, 3);
    kept all = {.stop_after = 100};
    assert_ok(fl_federation_each_setting(&federation, keep, &all, &why));
    assert_non_null(strstr(all.text, "holdout=3 "));
}

TEST(federation_refuses_a_reduction_that_does_not_fit_into_its_rounds)
{
    fl_federation federation = FL_FEDERATION_INIT;
    federation.cohort = 20;
    federation.prune = 0.5;
    federation.has_int8 = true;
    federation.round_count = 43;  // 20 + 1 + 4 * (1 + 3 + 1) + 2
    assert_ok(fl_federation_check(&federation, &why));
    federation.round_count = 42;
    refuse(&federation, "--rounds 42");
    assert_reason_names(why, "takes 43");
    assert_reason_names(why, "--prune-start 20");
    federation.prune = 0.0;
    federation.round_count = 2;
    refuse(&federation, "takes 3");
}

TEST(federation_refuses_words_that_reduce_nothing)
{
    fl_federation federation = FL_FEDERATION_INIT;
    federation.cohort = 20;
    federation.prune_importance = "taylor";
    refuse(&federation, "--prune-importance taylor");
    assert_reason_names(why, "magnitude");
    federation.prune_importance = "magnitude";
    federation.prune_cost = "watts";
    refuse(&federation, "--prune-cost watts");
    federation.prune_cost = "macs";
    federation.has_int8 = true;
    federation.survey_cohort = 19;
    refuse(&federation, "--survey-cohort 19");
    federation.survey_cohort = 20;
    assert_ok(fl_federation_check(&federation, &why));
}

TEST(federation_options_are_bound_to_the_federation)
{
    fl_option table[FL_FEDERATION_OPTIONS];
    fl_federation federation = FL_FEDERATION_INIT;
    fl_federation_list(table, &federation);
    const char *const first = (const char *)&federation;
    for (size_t i = 0; i < FL_FEDERATION_OPTIONS; i++) {
        const char *at = table[i].value;
        assert_true(at >= first && at < first + sizeof federation);
        for (size_t k = 0; k < i; k++) {
            assert_ptr_not_equal(table[i].value, table[k].value);
            assert_string_not_equal(table[i].key, table[k].key);
        }
    }
}

TEST(federation_makes_a_model_for_its_dataset)
{
    fl_federation federation = FL_FEDERATION_INIT;
    fl_model *model = NULL;
    fl_dataset *dataset = open_table();
    federation.model = "mlp";
    assert_ok(fl_federation_model(&federation, &model, dataset, &why));
    assert_int_equal(fl_model_input(model).channels, 3);
    assert_int_equal(fl_model_class_count(model), 2);
    fl_model_free(model);

    federation.model = "transformer";
    assert_err(fl_federation_model(&federation, &model, dataset, &why),
               FL_ERR_NOT_FOUND);
    assert_reason_names(why, "transformer");
    federation.model = "lenet";  // takes pictures
    assert_err(fl_federation_model(&federation, &model, dataset, &why),
               FL_ERR_RANGE);
    fl_dataset_free(dataset);
}

TEST(federation_asks_for_the_dataset_of_a_model_that_is_built_in)
{
    const fl_federation federation = FL_FEDERATION_INIT;
    fl_model *model = NULL;
    assert_err(fl_federation_model(&federation, &model, NULL, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "--model lenet");
    assert_reason_names(why, "--dataset");
    assert_null(model);
}

TEST(federation_reads_a_model_from_a_file)
{
    fl_federation federation = FL_FEDERATION_INIT;
    fl_model *made = NULL, *model = NULL;
    fl_dataset *dataset = open_table();
    federation.model = "mlp";
    assert_ok(fl_federation_model(&federation, &made, dataset, &why));
    const size_t len = fl_model_bytes(made);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    assert_ok(fl_model_encode(made, bytes, len));
    federation.model = data_files_put(&files, "model.onnx", bytes, len);
    assert_ok(fl_federation_model(&federation, &model, NULL, &why));
    assert_int_equal(fl_model_param_count(model), fl_model_param_count(made));
    assert_memory_equal(fl_model_params(model), fl_model_params(made),
                        fl_model_param_count(made) * sizeof(float));
    fl_model_free(model);

    // The extension does not matter to one who gives a path.
    federation.model = data_files_put(&files, "damaged", bytes, len / 2);
    assert_err(fl_federation_model(&federation, &model, NULL, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, federation.model);
    free(bytes);
    fl_model_free(made);
    fl_dataset_free(dataset);
}

TEST(federation_names_a_model_file_that_is_not_there)
{
    fl_federation federation = FL_FEDERATION_INIT;
    fl_model *model = NULL;
    const char *const paths[] = {"fl_none.onnx", "/nowhere/model"};
    for (size_t i = 0; i < 2; i++) {
        federation.model = paths[i];
        assert_err(fl_federation_model(&federation, &model, NULL, &why),
                   FL_ERR_NOT_FOUND);
        assert_reason_names(why, paths[i]);
    }
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

TEST(federation_takes_the_shares_that_suit_its_codec)
{
    fl_federation federation = FL_FEDERATION_INIT;
    fl_aggregator_options options = {.round_count = 0};
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.codec, FL_CODEC_SKETCH);
    assert_true(options.density == 0.05 && options.density_small == 0.25);
    federation.aggregation = "clear";
    fl_federation_apply(&federation, &options);
    assert_int_equal(options.codec, FL_CODEC_SKETCH1BIT);
    assert_true(options.density == 0.07 && options.density_small == 1.0);
    federation.density = federation.density_small = 0.5;
    fl_federation_apply(&federation, &options);
    assert_true(options.density == 0.5 && options.density_small == 0.5);
}

RUN_TESTS(
    cmocka_unit_test(federation_takes_the_shares_that_suit_its_codec),
    cmocka_unit_test(federation_is_sound_when_nothing_is_said),
    cmocka_unit_test(federation_knows_its_schedules),
    cmocka_unit_test(federation_asks_for_the_steps_of_a_schedule),
    cmocka_unit_test(federation_refuses_a_quorum_that_no_cohort_can_reach),
    cmocka_unit_test(
        federation_wants_half_of_the_cohort_when_no_quorum_is_named),
    cmocka_unit_test(federation_tells_the_machine_all_that_was_said),
    cmocka_unit_test(federation_sums_in_the_clear_when_told_so),
    cmocka_unit_test(federation_sketches_when_no_codec_is_named),
    cmocka_unit_test(federation_names_the_codecs_when_one_is_unknown),
    cmocka_unit_test(federation_refuses_to_mask_what_cannot_be_summed),
    cmocka_unit_test(federation_refuses_a_rate_that_decays_to_nothing),
    cmocka_unit_test(federation_says_what_it_keeps_for_life),
    cmocka_unit_test(federation_says_what_clear_gives_away),
    cmocka_unit_test(federation_hides_an_update_among_two_thirds_of_the_cohort),
    cmocka_unit_test(federation_refuses_a_cohort_that_can_hide_nobody),
    cmocka_unit_test(federation_holds_rows_out_when_the_model_is_to_be_smaller),
    cmocka_unit_test(
        federation_refuses_a_reduction_that_does_not_fit_into_its_rounds),
    cmocka_unit_test(federation_refuses_words_that_reduce_nothing),
    cmocka_unit_test(federation_options_are_bound_to_the_federation),
    WITH_FILES(federation_makes_a_model_for_its_dataset),
    cmocka_unit_test(
        federation_asks_for_the_dataset_of_a_model_that_is_built_in),
    WITH_FILES(federation_reads_a_model_from_a_file),
    cmocka_unit_test(federation_names_a_model_file_that_is_not_there))
