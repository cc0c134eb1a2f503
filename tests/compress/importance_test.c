/*
 * What channels and weights matter: against sums made by hand, and every
 * refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/model/importance.h"

#include <math.h>
#include <stdlib.h>

#include "compress/model/prune.h"
#include "tests/support/tables.h"
#include "tests/test.h"

enum { SIDE = 8, CLASSES = 4, ROWS = 40, HIDDEN = 128 };

typedef struct {
    fl_model *model;
    fl_channels *channels;
    fl_dataset *dataset;
    uint32_t rows[ROWS];
    fl_importance_data data;
    double *scores;
    size_t count, param_count;
    fl_reason why;
} world;

static void world_open(world *w, const char *name)
{
    const fl_model_options options = {
        .name = name,
        .input = {SIDE, SIDE, 1},
        .class_count = CLASSES,
        .tower = "mlp",
        .embedding = 8,
        .seed = 3,
    };
    *w = (world){.dataset = table_of_pictures(ROWS, SIDE, CLASSES)};
    assert_ok(fl_model_new(&w->model, &options, NULL));
    assert_ok(fl_channels_new(&w->channels, w->model, NULL));
    for (uint32_t i = 0; i < ROWS; i++)
        w->rows[i] = ROWS - 1 - i;
    w->data = (fl_importance_data){w->dataset, w->rows, ROWS, NULL};
    w->count = fl_channels_count(w->channels);
    w->param_count = fl_model_param_count(w->model);
    w->scores = calloc(w->count, sizeof *w->scores);
    assert_non_null(w->scores);
}

static void world_close(world *w)
{
    free(w->scores);
    fl_dataset_free(w->dataset);
    fl_channels_free(w->channels);
    fl_model_free(w->model);
}

static void score(world *w, fl_importance_kind kind)
{
    assert_ok(fl_importance_channels(w->scores, NULL, w->model, w->channels,
                                     kind, &w->data, &w->why));
}

/* ---- by hand ---- */

typedef struct {
    fl_trainer *trainer;
    float *grads;
    double *sums, *squares;
} hand;

static hand hand_open(const world *w, size_t count)
{
    hand h = {
        .grads = calloc(w->param_count, sizeof *h.grads),
        .sums = calloc(count, sizeof *h.sums),
        .squares = calloc(count, sizeof *h.squares),
    };
    const fl_trainer_options options = {.batch_cap = 1, .with_gradients = true};
    assert_true(h.grads && h.sums && h.squares);
    assert_ok(fl_trainer_new(&h.trainer, w->model, &options, NULL));
    return h;
}

static void hand_close(hand *h)
{
    fl_trainer_free(h->trainer);
    free(h->grads);
    free(h->sums);
    free(h->squares);
}

static void gradient_of(hand *h, const world *w, uint32_t row)
{
    fl_metrics metrics;
    assert_ok(fl_trainer_gradient(h->trainer, h->grads, &metrics, &(fl_loss){0},
                                  fl_model_get_params(w->model), w->dataset,
                                  &row, 1, NULL));
}

TEST(importance_is_the_mean_of_slopes_and_of_their_squares)
{
    world w;
    world_open(&w, "mlp");
    hand h = hand_open(&w, w.count);
    double *slopes = calloc(w.count, sizeof *slopes);
    assert_non_null(slopes);
    for (size_t i = 0; i < ROWS; i++) {
        gradient_of(&h, &w, w.rows[i]);
        fl_channels_slopes(w.channels, slopes, fl_model_get_params(w.model),
                           h.grads);
        for (size_t c = 0; c < w.count; c++) {
            h.sums[c] += slopes[c];
            h.squares[c] += slopes[c] * slopes[c];
        }
    }
    score(&w, FL_IMPORTANCE_FISHER);
    for (size_t c = 0; c < w.count; c++)
        assert_true(fabs(w.scores[c] - h.squares[c] / ROWS) < 1e-15);
    score(&w, FL_IMPORTANCE_TAYLOR);
    for (size_t c = 0; c < w.count; c++)
        assert_true(fabs(w.scores[c] - fabs(h.sums[c]) / ROWS) < 1e-15);
    free(slopes);
    hand_close(&h);
    world_close(&w);
}

TEST(importance_of_weights_is_the_mean_of_squared_gradients)
{
    world w;
    world_open(&w, "resnet8");
    hand h = hand_open(&w, w.param_count);
    double *fisher = calloc(w.param_count, sizeof *fisher);
    fl_metrics metrics;
    assert_non_null(fisher);
    assert_ok(fl_importance_weights(fisher, &metrics, w.model, &w.data, NULL));
    assert_int_equal(metrics.sample_count, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        gradient_of(&h, &w, w.rows[i]);
        for (size_t k = 0; k < w.param_count; k++)
            h.squares[k] += (double)h.grads[k] * (double)h.grads[k];
    }
    double sum = 0.0;
    for (size_t k = 0; k < w.param_count; k++) {
        assert_true(fabs(fisher[k] - h.squares[k] / ROWS) < 1e-12);
        sum += fisher[k];
    }
    assert_true(sum > 0.0);
    free(fisher);
    hand_close(&h);
    world_close(&w);
}

/* ---- what it means ---- */

// So that every ReLU lets something through: no other channel scores 0.
static void raise_biases(fl_model *model)
{
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (tensor.role != FL_TENSOR_BIAS) continue;
        for (size_t k = 0; k < tensor.count; k++)
            fl_model_params(model)[tensor.offset + k] = i == 1 ? 2.0F : 20.0F;
    }
}

// Parameters of mlp: fc1 (128, 64), bias, fc2 (64, 128), ...
TEST(importance_of_a_channel_that_nobody_reads_is_0_and_it_goes_first)
{
    enum { UNREAD = 37 };
    world w;
    bool keep[HIDDEN + 64];
    world_open(&w, "mlp");
    const fl_tensor_info fc2 = fl_model_tensor(w.model, 2);
    assert_int_equal(fc2.count, 64 * HIDDEN);
    float *weights = fl_model_params(w.model) + fc2.offset;
    raise_biases(w.model);
    for (size_t o = 0; o < 64; o++)
        weights[o * HIDDEN + UNREAD] = 0.0F;

    const fl_prune_options options = {.remove = 1e-6, .multiple = 1};
    static const fl_importance_kind kinds[] = {FL_IMPORTANCE_FISHER,
                                               FL_IMPORTANCE_TAYLOR};
    assert_int_equal(w.count, sizeof keep);
    for (size_t i = 0; i < 2; i++) {
        score(&w, kinds[i]);
        assert_true(w.scores[UNREAD] == 0.0);
        assert_ok(fl_prune_choose(keep, w.channels, w.scores, &options, NULL));
        assert_false(keep[UNREAD]);
        keep[UNREAD] = true;
        assert_null(memchr(keep, false, sizeof keep));
    }
    world_close(&w);
}

TEST(importance_by_magnitude_needs_no_data)
{
    world w;
    world_open(&w, "resnet8");
    double *norms = calloc(w.count, sizeof *norms);
    fl_metrics metrics = {.sample_count = 7};
    assert_non_null(norms);
    fl_channels_norms(w.channels, norms, fl_model_get_params(w.model));
    assert_ok(fl_importance_channels(w.scores, &metrics, w.model, w.channels,
                                     FL_IMPORTANCE_MAGNITUDE, NULL, NULL));
    assert_memory_equal(w.scores, norms, w.count * sizeof *norms);
    assert_int_equal(metrics.sample_count, 0);
    free(norms);
    world_close(&w);
}

TEST(importance_measures_the_rows_that_it_looks_at)
{
    world w;
    fl_metrics metrics, expected;
    fl_runner *runner = NULL;
    world_open(&w, "mlp");
    assert_ok(fl_importance_channels(w.scores, &metrics, w.model, w.channels,
                                     FL_IMPORTANCE_FISHER, &w.data, NULL));
    assert_ok(fl_runner_new(&runner, w.model, 8, NULL));
    assert_ok(
        fl_runner_evaluate(runner, &expected, w.dataset, w.rows, ROWS, NULL));
    assert_int_equal(metrics.sample_count, ROWS);
    assert_int_equal(metrics.correct_count, expected.correct_count);
    assert_true(fabs(metrics.loss_sum - expected.loss_sum) < 1e-3);
    fl_runner_free(runner);
    world_close(&w);
}

TEST(importance_is_the_same_again)
{
    world a, b;
    world_open(&a, "resnet8");
    world_open(&b, "resnet8");
    score(&a, FL_IMPORTANCE_FISHER);
    score(&b, FL_IMPORTANCE_FISHER);
    assert_memory_equal(a.scores, b.scores, a.count * sizeof *a.scores);
    world_close(&a);
    world_close(&b);
}

// An embedding has a loss only among others.
TEST(importance_of_embeddings_is_measured_in_batches)
{
    world w;
    double sum = 0.0;
    world_open(&w, "siamese");
    score(&w, FL_IMPORTANCE_FISHER);
    for (size_t c = 0; c < w.count; c++)
        sum += w.scores[c];
    assert_true(w.count > 0 && sum > 0.0);
    world_close(&w);
}

/* ---- refusals ---- */

TEST(importance_refuses_no_rows)
{
    world w;
    double fisher;
    world_open(&w, "mlp");
    w.data.row_count = 0;
    assert_err(fl_importance_channels(w.scores, NULL, w.model, w.channels,
                                      FL_IMPORTANCE_FISHER, &w.data, &w.why),
               FL_ERR_RANGE);
    assert_reason_names(w.why, "rows");
    assert_err(fl_importance_weights(&fisher, NULL, w.model, NULL, NULL),
               FL_ERR_RANGE);
    world_close(&w);
}

TEST(importance_refuses_data_of_another_shape)
{
    world w;
    world_open(&w, "mlp");
    fl_dataset *other = table_of_pictures(ROWS, SIDE + 1, CLASSES);
    w.data.dataset = other;
    assert_err(fl_importance_channels(w.scores, NULL, w.model, w.channels,
                                      FL_IMPORTANCE_TAYLOR, &w.data, &w.why),
               FL_ERR_RANGE);
    assert_reason_names(w.why, "9x9x1");
    fl_dataset_free(other);
    world_close(&w);
}

TEST(importance_stops_when_it_is_told_to)
{
    world w;
    const atomic_bool stop = true;
    world_open(&w, "mlp");
    w.data.stop = &stop;
    assert_err(fl_importance_channels(w.scores, NULL, w.model, w.channels,
                                      FL_IMPORTANCE_FISHER, &w.data, &w.why),
               FL_ERR_CANCELLED);
    double *fisher = calloc(w.param_count, sizeof *fisher);
    assert_non_null(fisher);
    assert_err(fl_importance_weights(fisher, NULL, w.model, &w.data, NULL),
               FL_ERR_CANCELLED);
    free(fisher);
    world_close(&w);
}

RUN_TESTS(
    cmocka_unit_test(importance_is_the_mean_of_slopes_and_of_their_squares),
    cmocka_unit_test(importance_of_weights_is_the_mean_of_squared_gradients),
    cmocka_unit_test(
        importance_of_a_channel_that_nobody_reads_is_0_and_it_goes_first),
    cmocka_unit_test(importance_by_magnitude_needs_no_data),
    cmocka_unit_test(importance_measures_the_rows_that_it_looks_at),
    cmocka_unit_test(importance_is_the_same_again),
    cmocka_unit_test(importance_of_embeddings_is_measured_in_batches),
    cmocka_unit_test(importance_refuses_no_rows),
    cmocka_unit_test(importance_refuses_data_of_another_shape),
    cmocka_unit_test(importance_stops_when_it_is_told_to))
