/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/fitting.h"

#include <math.h>

#include "tests/support/gridded.h"
#include "tests/test.h"

static fl_model *new_lenet(void)
{
    fl_model *model;
    assert_ok(fl_model_new(&model,
                           &(fl_model_options){.name = "lenet",
                                               .input = {28, 28, 1},
                                               .class_count = 10},
                           NULL));
    return model;
}

static fl_fitting_options sketch_options(void)
{
    return (fl_fitting_options){.kind = FL_CODEC_SKETCH,
                                .density = 0.05,
                                .density_small = 0.25,
                                .clip = 4.0,
                                .weight_max = 1000};
}

static fl_codec fit(const fl_fitting_options *options,
                    const fl_master_scale *scale, uint32_t clients)
{
    fl_codec codec;
    fl_model *model = new_lenet();
    fl_fitting_codec(&codec, options, model, scale, clients, 1);
    assert_ok(fl_codec_check(&codec, NULL));
    fl_model_free(model);
    return codec;
}

static const fl_master_scale known = {.rms = {0.5, 0.25}, .clients = 10};

TEST(fitting_takes_wide_fields_while_nothing_is_known)
{
    const fl_fitting_options options = sketch_options();
    const fl_codec codec = fit(&options, &(fl_master_scale){.clients = 0}, 10);
    assert_int_equal(codec.per_word, 3);
    // A cohort's updates of 1 a coordinate, all in one direction.
    assert_true(10.0 < (double)codec.step_large *
                           (double)fl_codec_radix(codec.per_word) / 2);
}

TEST(fitting_makes_a_field_seven_deviations_wide)
{
    const fl_fitting_options options = sketch_options();
    const fl_codec codec = fit(&options, &known, 10);
    assert_int_equal(codec.per_word, 12);
    const double large = 38 * (double)codec.step_large;
    const double small = 38 * (double)codec.step_small;
    assert_true(fabs(large - 7 * 1.15 * 0.5) < 1e-5);
    assert_true(fabs(small - 7 * 1.6 * 0.25) < 1e-5);
}

TEST(fitting_widens_fields_with_the_root_of_the_cohort)
{
    const fl_fitting_options options = sketch_options();
    const uint32_t clients[] = {2, 10, 50, 100, 1000, 10000};
    const uint32_t per_word[] = {16, 12, 10, 10, 8, 6};
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        const fl_codec codec = fit(&options, &known, clients[i]);
        assert_int_equal(codec.per_word, per_word[i]);
    }
}

TEST(fitting_expects_more_of_more_clients)
{
    const fl_fitting_options options = sketch_options();
    const fl_codec ten = fit(&options, &known, 10);
    const fl_codec twelve = fit(&options, &known, 12);
    const fl_codec eight = fit(&options, &known, 8);
    const double more = (double)(twelve.step_large / ten.step_large);
    assert_true(fabs(more - 1.2) < 1e-5);
    assert_true(eight.step_large >= ten.step_large);
}

TEST(fitting_leaves_no_room_to_wrap_when_asked_to)
{
    fl_fitting_options options = sketch_options();
    options.is_overflow_free = true;
    const uint32_t clients[] = {2, 10, 100, 10000};
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        const fl_codec codec = fit(&options, &known, clients[i]);
        assert_true((uint64_t)codec.value_max * clients[i] <=
                    (fl_codec_radix(codec.per_word) - 1) / 2);
        assert_true(codec.value_max >= 3);
    }
    assert_int_equal(fit(&options, &known, 10).per_word, 8);
    options.kind = FL_CODEC_DENSE;  // however few bits it was asked for
    for (options.bits = 2; options.bits <= 20; options.bits++) {
        for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
            const fl_codec codec = fit(&options, &known, clients[i]);
            assert_true((uint64_t)codec.value_max * clients[i] <=
                        (fl_codec_radix(codec.per_word) - 1) / 2);
        }
    }
}

TEST(fitting_gives_dense_the_bits_that_were_asked_for)
{
    fl_fitting_options options = sketch_options();
    options.kind = FL_CODEC_DENSE;
    options.bits = 8;
    assert_int_equal(fit(&options, &known, 10).per_word, 8);
    options.bits = 2;  // what there is
    assert_int_equal(fit(&options, &known, 10).per_word, 16);
    options.bits = 20;
    assert_int_equal(fit(&options, &known, 10).per_word, 3);
}

TEST(fitting_never_rounds_finer_than_clients_accept)
{
    const fl_fitting_options options = sketch_options();
    const fl_master_scale tiny = {.rms = {1e-30, 1e-30}, .clients = 10};
    assert_true(fit(&options, &tiny, 10).step_large >= 1e-7F);
}

// fit() checks the codec.
TEST(fitting_makes_a_codec_however_large_sums_are)
{
    fl_fitting_options options = sketch_options();
    const fl_master_scale huge = {.rms = {1e300, 1e20}, .clients = 10};
    assert_true(fit(&options, &huge, 10).step_large > 1000.0F);
    options.clip = FL_CODEC_CLIP_MAX;
    const fl_master_scale unknown = {.clients = 0};
    assert_true(fit(&options, &unknown, FL_CODEC_CLIENTS_MAX).step_large > 0);
}

TEST(fitting_takes_what_is_no_number_for_unknown)
{
    const fl_fitting_options options = sketch_options();
    const fl_master_scale broken[] = {
        {.rms = {NAN, 1}, .clients = 10},
        {.rms = {1, (double)INFINITY}, .clients = 10},
        {.rms = {0, 1}, .clients = 10},
        {.rms = {1, 1}, .clients = 0},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        assert_int_equal(fit(&options, &broken[i], 10).per_word, 3);
    }
}

TEST(fitting_has_room_for_the_largest_updates_while_nothing_is_known)
{
    fl_fitting_options options = sketch_options();
    const fl_master_scale unknown = {.clients = 0};
    const uint32_t clients[] = {2, 100, 10000};
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        options.is_overflow_free = false;
        const fl_codec codec = fit(&options, &unknown, clients[i]);
        const double radix = (double)fl_codec_radix(codec.per_word);
        assert_true(4 * options.clip * clients[i] <=
                    1.0001 * (double)codec.step_large * radix / 2);
        options.is_overflow_free = true;
        const fl_codec exact = fit(&options, &unknown, clients[i]);
        assert_true((uint64_t)exact.value_max * clients[i] <
                    fl_codec_radix(exact.per_word) / 2);
    }
}

// A client with a --min-step need not mind a group that is not there.
TEST(fitting_gives_groups_of_nothing_a_plain_step)
{
    const fl_fitting_options options = sketch_options();
    const fl_master_scale scale = {.rms = {0, 0.25}, .clients = 10};
    fl_codec codec;
    fl_model *model = fl_gridded_tiny();
    fl_fitting_codec(&codec, &options, model, &scale, 10, 1);
    fl_model_free(model);
    assert_true(codec.step_large == 1e-4F);
    assert_true(codec.step_small > 0.01F);
}

static const fl_update_spread quiet = {.rms = {0.1, 0.3}, .edge = {0, 0}};

TEST(fitting_remembers_that_sums_have_been_larger)
{
    const fl_master_scale next = fl_fitting_learn(&known, &quiet, 7);
    assert_true(fabs(next.rms[0] - 0.4) < 1e-9);
    assert_true(fabs(next.rms[1] - 0.3) < 1e-9);
    assert_int_equal(next.clients, 7);
    const fl_master_scale nothing = {.rms = {9, 9}, .clients = 0};
    const fl_master_scale first = fl_fitting_learn(&nothing, &quiet, 7);
    assert_true(first.rms[0] == 0.1 && first.rms[1] == 0.3);
}

TEST(fitting_tells_a_sum_that_has_wrapped)
{
    // Of a normal sum 3 in 10,000 lie in the outer tenth; of noise one in ten.
    assert_false(fl_fitting_has_wrapped(
        &(fl_update_spread){.rms = {1, 1}, .edge = {0.0003, 0.01}}));
    assert_true(fl_fitting_has_wrapped(
        &(fl_update_spread){.rms = {1, 1}, .edge = {0.1, 0}}));
    assert_true(fl_fitting_has_wrapped(
        &(fl_update_spread){.rms = {1, 1}, .edge = {0, 0.1}}));
}

RUN_TESTS(cmocka_unit_test(fitting_takes_wide_fields_while_nothing_is_known),
          cmocka_unit_test(fitting_makes_a_field_seven_deviations_wide),
          cmocka_unit_test(fitting_widens_fields_with_the_root_of_the_cohort),
          cmocka_unit_test(fitting_expects_more_of_more_clients),
          cmocka_unit_test(fitting_leaves_no_room_to_wrap_when_asked_to),
          cmocka_unit_test(fitting_gives_dense_the_bits_that_were_asked_for),
          cmocka_unit_test(fitting_never_rounds_finer_than_clients_accept),
          cmocka_unit_test(fitting_makes_a_codec_however_large_sums_are),
          cmocka_unit_test(fitting_takes_what_is_no_number_for_unknown),
          cmocka_unit_test(
              fitting_has_room_for_the_largest_updates_while_nothing_is_known),
          cmocka_unit_test(fitting_gives_groups_of_nothing_a_plain_step),
          cmocka_unit_test(fitting_remembers_that_sums_have_been_larger),
          cmocka_unit_test(fitting_tells_a_sum_that_has_wrapped))
