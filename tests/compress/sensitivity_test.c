/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/sensitivity.h"

#include <stdlib.h>

#include "tests/support/tables.h"
#include "tests/test.h"

enum { ROWS = 40, SIDE = 28, CLASSES = 10 };

typedef struct {
    fl_model *model;
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    fl_int8_options options;
    fl_sensitivity_data data;
} world;

static void begin(world *w, const char *name)
{
    const fl_model_options options = {.name = name,
                                      .input = {SIDE, SIDE, 1},
                                      .class_count = CLASSES,
                                      .seed = 5};
    *w = (world){0};
    assert_ok(fl_model_new(&w->model, &options, NULL));
    w->dataset = table_of_pictures(ROWS, SIDE, CLASSES);
    for (uint32_t i = 0; i < ROWS; i++)
        w->rows[i] = i;
    w->data = (fl_sensitivity_data){.dataset = w->dataset,
                                    .rows = w->rows,
                                    .row_count = ROWS,
                                    .options = &w->options};
}

static void end(world *w)
{
    fl_model_free(w->model);
    fl_dataset_free(w->dataset);
}

static void count_layer(void *self, uint32_t i, uint32_t count)
{
    uint32_t *calls = self;
    assert_int_equal(i, *calls);
    assert_true(i < count);
    (*calls)++;
}

TEST(sensitivity_measures_every_layer_with_weights)
{
    world w;
    uint32_t calls = 0;
    fl_sensitivity made;
    begin(&w, "resnet8");
    w.data.on_layer = count_layer;
    w.data.on_layer_self = &calls;
    assert_ok(fl_sensitivity_measure(&made, w.model, &w.data, NULL));
    assert_int_equal(calls, made.layer_count);
    assert_int_equal(made.floats.sample_count, ROWS);
    size_t weights = 0;
    for (uint32_t i = 0; i < made.layer_count; i++) {
        const fl_sensitivity_layer *layer = &made.layers[i];
        weights += layer->weight_count;
        assert_true(layer->weight_count > 0);
        if (i > 0) assert_true(layer[-1].int8_loss >= layer->int8_loss);
    }
    assert_true(weights > 70000 && weights < 80000);
    fl_sensitivity_fini(&made);
    end(&w);
}

// Until it knows the rows by heart.
static void train(world *w)
{
    const fl_trainer_options plan = {.batch_cap = 8, .with_gradients = true};
    const fl_train_options options = {
        .epochs = 20, .batch = 8, .lr = 0.05F, .momentum = 0.9F};
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    assert_ok(fl_trainer_new(&trainer, w->model, &plan, NULL));
    assert_ok(fl_trainer_run(trainer, fl_model_params(w->model), &metrics,
                             w->dataset, w->rows, ROWS, &options, &random,
                             NULL));
    fl_trainer_free(trainer);
}

TEST(sensitivity_finds_the_layer_that_few_bits_break)
{
    // fc2 has one huge weight an output, behind a unit that is always 0: in
    // float32 it means nothing, in few bits it makes all others 0.
    world w;
    fl_sensitivity made;
    begin(&w, "lenet");
    train(&w);
    float *params = fl_model_params(w.model);
    const size_t tensors = fl_model_tensor_count(w.model);
    const fl_tensor_info weight = fl_model_tensor(w.model, tensors - 2);
    params[fl_model_tensor(w.model, tensors - 3).offset] = -1000.0F;
    for (size_t o = 0; o < weight.row_count; o++)
        params[weight.offset + o * (weight.count / weight.row_count)] = 1000.0F;
    assert_ok(fl_sensitivity_measure(&made, w.model, &w.data, NULL));
    assert_true(made.floats.correct_count > ROWS / 2);
    assert_string_equal(made.layers[0].name, "fc2");
    assert_true(made.layers[0].int8_loss > 0.5);
    assert_true(made.layers[0].int8_correct < made.floats.correct_count / 2);
    assert_true(made.layers[0].nibble_loss > 0.5);
    for (uint32_t i = 1; i < made.layer_count; i++)
        assert_true(made.layers[i].int8_loss < 0.1);
    fl_sensitivity_fini(&made);
    end(&w);
}

TEST(sensitivity_is_the_same_every_time)
{
    world w;
    fl_sensitivity a, b;
    begin(&w, "mlp");
    assert_ok(fl_sensitivity_measure(&a, w.model, &w.data, NULL));
    assert_ok(fl_sensitivity_measure(&b, w.model, &w.data, NULL));
    for (uint32_t i = 0; i < a.layer_count; i++) {
        assert_string_equal(a.layers[i].name, b.layers[i].name);
        assert_memory_equal(&a.layers[i].int8_loss, &b.layers[i].int8_loss,
                            sizeof(double));
    }
    fl_sensitivity_fini(&a);
    fl_sensitivity_fini(&b);
    end(&w);
}

TEST(sensitivity_stops_when_it_is_told_to)
{
    world w;
    fl_sensitivity made;
    const atomic_bool stop = true;
    begin(&w, "mlp");
    w.data.stop = &stop;
    assert_err(fl_sensitivity_measure(&made, w.model, &w.data, NULL),
               FL_ERR_CANCELLED);
    end(&w);
}

TEST(sensitivity_passes_on_what_cannot_be_quantised)
{
    world w;
    fl_sensitivity made;
    fl_reason why = {""};
    begin(&w, "mlp");
    w.data.row_count = 0;
    assert_err(fl_sensitivity_measure(&made, w.model, &w.data, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "rows");
    end(&w);
}

/* ---- choosing ---- */

static fl_sensitivity_layer layers[] = {
    {.name = "large", .weight_count = 1000, .int8_loss = .5, .nibble_loss = .9},
    {.name = "small", .weight_count = 100, .int8_loss = .2, .nibble_loss = .6},
    {.name = "tiny", .weight_count = 10, .int8_loss = .1, .nibble_loss = .1},
    {.name = "robust",
     .weight_count = 890,
     .int8_loss = -.05,
     .nibble_loss = -.1},
};

static const fl_sensitivity FOUR = {.layers = layers, .layer_count = 4};

static fl_sensitivity_mix choose(fl_precision base, double more, double loss)
{
    fl_sensitivity_mix mix;
    const fl_sensitivity_limits limits = {base, more, loss};
    assert_ok(fl_sensitivity_choose(&mix, &FOUR, &limits, NULL));
    return mix;
}

TEST(sensitivity_takes_what_is_worth_most_a_byte)
{
    // 110 of 2000 bytes are enough for tiny and small, not for large.
    fl_sensitivity_mix mix = choose(FL_PRECISION_INT8, 0.1, 0.0);
    assert_string_equal(mix.half_layers, "small,tiny");
    assert_null(mix.nibble_layers);
    assert_int_equal(mix.base_bytes, 2000);
    assert_int_equal(mix.mixed_bytes, 2110);
    fl_sensitivity_mix_fini(&mix);
    mix = choose(FL_PRECISION_INT8, 0.05, 0.0);
    assert_string_equal(mix.half_layers, "tiny");
    fl_sensitivity_mix_fini(&mix);
}

TEST(sensitivity_leaves_alone_what_gains_nothing)
{
    fl_sensitivity_mix mix = choose(FL_PRECISION_INT8, 16.0, 0.0);
    assert_string_equal(mix.half_layers, "large,small,tiny");
    assert_true(mix.loss <= 0.0);
    fl_sensitivity_mix_fini(&mix);
    // More bits for the robust one would even cost.
    mix = choose(FL_PRECISION_NIBBLE, 16.0, 0.0);
    assert_string_equal(mix.half_layers, "large,small,tiny");
    assert_string_equal(mix.nibble_layers, "robust");
    fl_sensitivity_mix_fini(&mix);
}

TEST(sensitivity_climbs_from_4_bits_through_8)
{
    // 1000 bytes; 60 more take small to 8 bits, not to 16.
    fl_sensitivity_mix mix = choose(FL_PRECISION_NIBBLE, 0.06, 0.0);
    assert_null(mix.half_layers);
    assert_string_equal(mix.nibble_layers, "large,tiny,robust");
    assert_int_equal(mix.mixed_bytes, 1050);
    fl_sensitivity_mix_fini(&mix);
}

TEST(sensitivity_stops_when_the_loss_is_low_enough)
{
    fl_sensitivity_mix mix = choose(FL_PRECISION_INT8, 0.0, 0.7);
    assert_string_equal(mix.half_layers, "tiny");
    assert_true(mix.loss > 0.69 && mix.loss < 0.71);
    fl_sensitivity_mix_fini(&mix);
    mix = choose(FL_PRECISION_INT8, 0.0, 0.8);
    assert_null(mix.half_layers);
    fl_sensitivity_mix_fini(&mix);
}

TEST(sensitivity_refuses_limits_that_are_none)
{
    const fl_sensitivity_limits limits[] = {
        {FL_PRECISION_INT8, 0.0, 0.0},
        {FL_PRECISION_INT8, -0.1, 0.0},
        {FL_PRECISION_INT8, 17.0, 0.0},
        {FL_PRECISION_INT8, __builtin_nan(""), 0.0},
        {FL_PRECISION_INT8, 0.1, -1.0},
        {FL_PRECISION_FLOAT16, 0.1, 0.0},
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        fl_sensitivity_mix mix;
        fl_reason why = {""};
        assert_err(fl_sensitivity_choose(&mix, &FOUR, &limits[i], &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "a mix");
    }
}

RUN_TESTS(cmocka_unit_test(sensitivity_measures_every_layer_with_weights),
          cmocka_unit_test(sensitivity_finds_the_layer_that_few_bits_break),
          cmocka_unit_test(sensitivity_is_the_same_every_time),
          cmocka_unit_test(sensitivity_stops_when_it_is_told_to),
          cmocka_unit_test(sensitivity_passes_on_what_cannot_be_quantised),
          cmocka_unit_test(sensitivity_takes_what_is_worth_most_a_byte),
          cmocka_unit_test(sensitivity_leaves_alone_what_gains_nothing),
          cmocka_unit_test(sensitivity_climbs_from_4_bits_through_8),
          cmocka_unit_test(sensitivity_stops_when_the_loss_is_low_enough),
          cmocka_unit_test(sensitivity_refuses_limits_that_are_none))
