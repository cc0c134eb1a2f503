/*
 * Pruning and INT8 under a guard: what it accepts, what it takes back to the
 * byte, and what a stop leaves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/model/hqp.h"

#include <math.h>
#include <stdlib.h>

#include "compress/model/latency.h"
#include "compress/model/slim.h"
#include "tests/support/tables.h"
#include "tests/test.h"

enum { SIDE = 8, CLASSES = 4, ROWS = 480, GUARD = 120, STEPS_CAP = 64 };

typedef struct {
    fl_model *dense;
    fl_dataset *dataset;
    uint32_t rows[ROWS];  // the guard's first
    fl_random random;
    atomic_bool stop;
    fl_hqp_options options;
    fl_hqp_result result;
    fl_hqp_step steps[STEPS_CAP];  // as they were reported
    uint32_t step_count;
    uint32_t stop_after, harm_after;  // reports; 0: never
    fl_reason why;
} world;

// Training that forgets everything.
static void harm(fl_hqp_options *options)
{
    options->tune.train.optimizer = FL_OPTIMIZER_ADAM;
    options->tune.train.lr = 1.0F;
}

static void on_step(void *self, const fl_hqp_step *step)
{
    world *w = self;
    assert_true(w->step_count < STEPS_CAP);
    w->steps[w->step_count++] = *step;
    if (w->step_count == w->stop_after) w->stop = true;
    if (w->step_count == w->harm_after) harm(&w->options);
}

// From the same start, whatever has run before.
static void world_restart(world *w)
{
    fl_hqp_fini(&w->result);
    fl_random_init(&w->random, 5, FL_RANDOM_SHUFFLE, 0);
    w->step_count = w->stop_after = 0;
    w->stop = false;
}

// A network that knows its pictures.
static void world_open(world *w, const char *name)
{
    const fl_model_options model = {
        .name = name,
        .input = {SIDE, SIDE, 1},
        .class_count = CLASSES,
        .seed = 3,
    };
    *w = (world){.dataset = table_of_pictures(ROWS, SIDE, CLASSES)};
    assert_ok(fl_model_new(&w->dense, &model, NULL));
    for (uint32_t i = 0; i < ROWS; i++)
        w->rows[i] = i;
    w->options = (fl_hqp_options){
        .tune = {.dataset = w->dataset,
                 .rows = w->rows + GUARD,
                 .row_count = ROWS - GUARD,
                 .train = {.batch = 16,
                           .lr = 0.02F,
                           .momentum = 0.9F,
                           .stop = &w->stop},
                 .random = &w->random},
        .guard_rows = w->rows,
        .guard_count = GUARD,
        .max_drop = 1.5,
        .step = 0.2,
        .multiple = 8,
        .importance_count = 64,
        .step_epochs = 1,
        .on_step = on_step,
        .on_step_self = w,
    };
    world_restart(w);
    assert_ok(fl_tune_model(w->dense, &w->options.tune, 4, NULL));
    world_restart(w);
}

static void world_close(world *w)
{
    fl_hqp_fini(&w->result);
    fl_dataset_free(w->dataset);
    fl_model_free(w->dense);
}

static fl_err run(world *w)
{
    return fl_hqp_run(&w->result, w->dense, &w->options, &w->why);
}

/* ---- comparing ---- */

typedef struct {
    uint8_t *bytes;
    size_t len;
} file;

static file file_of(const fl_model *model)
{
    file f = {.len = fl_model_bytes(model)};
    f.bytes = malloc(f.len);
    assert_non_null(f.bytes);
    assert_ok(fl_model_encode(model, f.bytes, f.len));
    return f;
}

static void assert_same_file(const fl_model *a, const fl_model *b)
{
    const file x = file_of(a), y = file_of(b);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.bytes, y.bytes, x.len);
    free(x.bytes);
    free(y.bytes);
}

static double points_lost(const world *w, const fl_metrics *metrics)
{
    return 100.0 *
           ((double)w->result.reference.correct_count -
            (double)metrics->correct_count) /
           GUARD;
}

static uint32_t count_steps(const world *w, const char *name,
                            fl_hqp_verdict verdict)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->step_count; i++)
        count += strncmp(w->steps[i].name, name, strlen(name)) == 0 &&
                 w->steps[i].verdict == verdict;
    return count;
}

/* ---- what comes out ---- */

TEST(hqp_gives_a_small_model_that_the_guard_lets_through)
{
    world w;
    world_open(&w, "mlp");
    w.options.final_epochs = 1;
    const file before = file_of(w.dense);
    assert_ok(run(&w));
    const file after = file_of(w.dense);
    assert_memory_equal(before.bytes, after.bytes, before.len);
    free(before.bytes);
    free(after.bytes);

    assert_true(w.result.reference.correct_count > GUARD * 8 / 10);
    assert_int_equal(w.result.reference.sample_count, GUARD);
    assert_true(w.result.step_count > 0);
    assert_true(fl_model_param_count(w.result.model) <
                fl_model_param_count(w.dense) / 2);
    assert_non_null(w.result.quantized);
    assert_true(points_lost(&w, &w.result.metrics) <= 1.5);
    assert_true(points_lost(&w, &w.result.int8_metrics) <= 1.5);

    assert_string_equal(w.steps[0].name, "dense");
    assert_int_equal(w.steps[0].verdict, FL_HQP_MEASURED);
    assert_string_equal(w.steps[1].name, "prune 1");
    assert_int_equal(w.steps[0].cost.param_count,
                     fl_model_param_count(w.dense));
    assert_true(w.steps[1].cost.mac_count < w.steps[0].cost.mac_count);
    assert_int_equal(count_steps(&w, "prune", FL_HQP_ACCEPTED),
                     w.result.step_count);
    assert_int_equal(count_steps(&w, "INT8", FL_HQP_ACCEPTED), 1);
    world_close(&w);
}

TEST(hqp_ends_at_the_target)
{
    world w;
    world_open(&w, "mlp");
    w.options.max_drop = 100.0;
    w.options.target = 0.5;
    w.options.multiple = 1;
    assert_ok(run(&w));
    const double left = (double)fl_model_param_count(w.result.model) /
                        (double)fl_model_param_count(w.dense);
    assert_true(left <= 0.5 && left > 0.49);  // the last step is no larger
    world_close(&w);
}

TEST(hqp_gives_the_same_bytes_again)
{
    world a, b;
    world_open(&a, "resnet8");
    world_open(&b, "resnet8");
    a.options.target = b.options.target = 0.4;
    assert_ok(run(&a));
    assert_ok(run(&b));
    assert_same_file(a.result.model, b.result.model);
    assert_int_equal(a.result.int8_metrics.correct_count,
                     b.result.int8_metrics.correct_count);
    world_close(&a);
    world_close(&b);
}

/* ---- the guard ---- */

TEST(hqp_rolls_back_to_the_dense_model_to_the_byte)
{
    world w;
    world_open(&w, "mlp");
    harm(&w.options);
    w.options.step = 0.4;
    assert_ok(run(&w));
    assert_int_equal(w.result.step_count, 0);
    assert_int_equal(count_steps(&w, "prune 1", FL_HQP_ROLLED_BACK), 2);
    assert_true(w.steps[2].cost.param_count > w.steps[1].cost.param_count);
    assert_same_file(w.result.model, w.dense);
    assert_non_null(w.result.quantized);
    world_close(&w);
}

// A target that one step reaches; then the same step, and only harm after it.
TEST(hqp_rolls_back_to_the_last_accepted_model_to_the_byte)
{
    world one, all;
    world_open(&one, "mlp");
    world_open(&all, "mlp");
    one.options.cost = all.options.cost = FL_PRUNE_MACS;
    one.options.target = 0.01;
    all.harm_after = 2;
    assert_ok(run(&one));
    assert_ok(run(&all));
    assert_int_equal(one.result.step_count, 1);
    assert_int_equal(all.result.step_count, 1);
    assert_int_equal(count_steps(&all, "prune 2", FL_HQP_ROLLED_BACK), 2);
    assert_same_file(one.result.model, all.result.model);
    world_close(&one);
    world_close(&all);
}

// A channel that nobody reads, a million times as large as the others.
static void blow_up_a_channel(fl_model *model)
{
    const fl_tensor_info fc1 = fl_model_tensor(model, 0);
    const fl_tensor_info bias = fl_model_tensor(model, 1);
    const fl_tensor_info fc2 = fl_model_tensor(model, 2);
    float *params = fl_model_params(model);
    const size_t inputs = fc1.count / fc1.row_count;
    for (size_t i = 0; i < inputs; i++)
        params[fc1.offset + i] = 0.0F;
    params[bias.offset] = 1e6F;
    for (size_t o = 0; o < fc2.row_count; o++)
        params[fc2.offset + o * fc1.row_count] = 0.0F;
}

TEST(hqp_refuses_int8_that_loses_too_much)
{
    world w;
    world_open(&w, "mlp");
    blow_up_a_channel(w.dense);
    w.options.keep_min = 1.0;  // else it is the first that goes
    assert_ok(run(&w));
    assert_int_equal(count_steps(&w, "INT8", FL_HQP_ROLLED_BACK), 3);
    assert_null(w.result.quantized);
    assert_same_file(w.result.model, w.dense);
    world_close(&w);
}

TEST(hqp_trains_in_int8_when_no_calibration_is_good_enough)
{
    world w;
    world_open(&w, "mlp");
    blow_up_a_channel(w.dense);
    w.options.keep_min = 1.0;
    w.options.qat_epochs = 1;
    assert_ok(run(&w));
    assert_int_equal(count_steps(&w, "INT8 trained", FL_HQP_ACCEPTED) +
                         count_steps(&w, "INT8 trained", FL_HQP_ROLLED_BACK),
                     1);
    world_close(&w);
}

TEST(hqp_prunes_away_what_int8_suffers_from)
{
    world w;
    world_open(&w, "mlp");
    blow_up_a_channel(w.dense);
    w.options.target = 0.1;
    assert_ok(run(&w));
    assert_non_null(w.result.quantized);
    assert_int_equal(count_steps(&w, "INT8", FL_HQP_ROLLED_BACK), 0);
    world_close(&w);
}

// A recovery that makes it worse is taken back.
TEST(hqp_takes_a_harmful_recovery_back)
{
    world one, two;
    world_open(&one, "mlp");
    world_open(&two, "mlp");
    one.options.target = two.options.target = 0.1;
    one.options.step_epochs = two.options.step_epochs = 0;
    two.options.final_epochs = 1;
    harm(&two.options);
    assert_ok(run(&one));
    assert_ok(run(&two));
    assert_int_equal(count_steps(&two, "recover", FL_HQP_ROLLED_BACK), 1);
    assert_same_file(one.result.model, two.result.model);
    world_close(&one);
    world_close(&two);
}

/* ---- a stop ---- */

TEST(hqp_stopped_gives_the_last_accepted_model)
{
    world one, stopped;
    world_open(&one, "mlp");
    world_open(&stopped, "mlp");
    one.options.target = 0.1;  // one step
    assert_ok(run(&one));
    assert_int_equal(one.result.step_count, 1);
    stopped.options.target = 0.9;
    stopped.options.final_epochs = 3;
    one.options.step = stopped.options.step = 0.1;
    world_restart(&one);
    assert_ok(run(&one));
    stopped.stop_after = 2;  // in the middle of the second step
    assert_err(run(&stopped), FL_ERR_CANCELLED);
    assert_int_equal(stopped.result.step_count, 1);
    assert_same_file(stopped.result.model, one.result.model);
    assert_non_null(stopped.result.quantized);
    assert_int_equal(count_steps(&stopped, "recover", FL_HQP_ACCEPTED), 0);
    world_close(&one);
    world_close(&stopped);
}

TEST(hqp_stopped_at_once_gives_the_dense_model)
{
    world w;
    world_open(&w, "mlp");
    w.stop = true;
    assert_err(run(&w), FL_ERR_CANCELLED);
    assert_int_equal(w.result.step_count, 0);
    assert_same_file(w.result.model, w.dense);
    world_close(&w);
}

/* ---- refusals ---- */

static void assert_refused(world *w, fl_hqp_options options, const char *word)
{
    assert_err(fl_hqp_run(&w->result, w->dense, &options, &w->why),
               FL_ERR_RANGE);
    assert_reason_names(w->why, word);
    assert_null(w->result.model);
}

TEST(hqp_refuses_what_makes_no_sense)
{
    world w;
    world_open(&w, "mlp");
    fl_hqp_options o = w.options;
    o.step = 0.0;
    assert_refused(&w, o, "step is 0");
    o.step = 1.0;
    assert_refused(&w, o, "step is 1");
    o = w.options;
    o.target = 1.0;
    assert_refused(&w, o, "target is 1");
    o.target = NAN;
    assert_refused(&w, o, "target");
    o = w.options;
    o.max_drop = -1.0;
    assert_refused(&w, o, "max_drop is -1");
    o.max_drop = 101.0;
    assert_refused(&w, o, "max_drop is 101");
    o = w.options;
    o.guard_count = 0;
    assert_refused(&w, o, "0 for the guard");
    o = w.options;
    o.tune.row_count = 0;
    assert_refused(&w, o, "0 rows to learn from");
    o = w.options;
    o.tune.train.batch = 0;
    assert_refused(&w, o, "batch");
    world_close(&w);
}

/* ---- its parts ---- */

TEST(slim_says_when_nothing_can_go)
{
    world w;
    world_open(&w, "mlp");
    fl_model *smaller = w.dense;
    const fl_slim_options options = {
        .importance = FL_IMPORTANCE_MAGNITUDE,
        .choosing = {.remove = 0.5, .multiple = 128},
    };
    assert_ok(fl_slim_model(&smaller, NULL, w.dense, &options, NULL));
    assert_null(smaller);
    world_close(&w);
}

TEST(slim_removes_by_measured_latency)
{
    world w;
    world_open(&w, "resnet8");
    fl_model *smaller = NULL;
    const fl_slim_options options = {
        .importance = FL_IMPORTANCE_MAGNITUDE,
        .choosing = {.cost = FL_PRUNE_LATENCY, .remove = 0.3},
    };
    assert_ok(fl_slim_model(&smaller, NULL, w.dense, &options, NULL));
    // How much goes is up to this machine, that something does is not.
    assert_non_null(smaller);
    assert_true(fl_slim_cost(smaller).mac_count <
                fl_slim_cost(w.dense).mac_count);
    fl_model_free(smaller);
    world_close(&w);
}

TEST(slim_copies_to_the_byte)
{
    world w;
    world_open(&w, "resnet8");
    fl_model *copy = NULL;
    assert_ok(fl_slim_copy(&copy, w.dense, NULL));
    assert_same_file(copy, w.dense);
    fl_model_free(copy);
    world_close(&w);
}

TEST(latency_stops_when_it_is_told_to)
{
    world w;
    double ns[16];
    fl_channels *channels = NULL;
    world_open(&w, "mlp");
    assert_ok(fl_channels_new(&channels, w.dense, NULL));
    w.stop = true;
    assert_err(fl_latency_groups(ns, w.dense, channels, &w.stop, &w.why),
               FL_ERR_CANCELLED);
    fl_channels_free(channels);
    world_close(&w);
}

RUN_TESTS(
    cmocka_unit_test(hqp_gives_a_small_model_that_the_guard_lets_through),
    cmocka_unit_test(hqp_ends_at_the_target),
    cmocka_unit_test(hqp_gives_the_same_bytes_again),
    cmocka_unit_test(hqp_rolls_back_to_the_dense_model_to_the_byte),
    cmocka_unit_test(hqp_rolls_back_to_the_last_accepted_model_to_the_byte),
    cmocka_unit_test(hqp_refuses_int8_that_loses_too_much),
    cmocka_unit_test(hqp_trains_in_int8_when_no_calibration_is_good_enough),
    cmocka_unit_test(hqp_prunes_away_what_int8_suffers_from),
    cmocka_unit_test(hqp_takes_a_harmful_recovery_back),
    cmocka_unit_test(hqp_stopped_gives_the_last_accepted_model),
    cmocka_unit_test(hqp_stopped_at_once_gives_the_dense_model),
    cmocka_unit_test(hqp_refuses_what_makes_no_sense),
    cmocka_unit_test(slim_says_when_nothing_can_go),
    cmocka_unit_test(slim_removes_by_measured_latency),
    cmocka_unit_test(slim_copies_to_the_byte),
    cmocka_unit_test(latency_stops_when_it_is_told_to))
