/*
 * What the options of a run do to it, and which are refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/options.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/world.h"
#include "tests/test.h"

static void train(world *w, const fl_train_options *options)
{
    fl_metrics metrics;
    fl_reason why = {""};
    fl_trainer *trainer = world_trainer(w, WORLD_ROWS);
    const fl_err err = world_run(trainer, w, &metrics, options, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    fl_trainer_free(trainer);
}

static fl_metrics measure(const world *w, const fl_loss *loss)
{
    fl_metrics metrics;
    fl_trainer *trainer = world_trainer(w, WORLD_ROWS);
    assert_ok(fl_trainer_measure(trainer, &metrics, loss, w->params, w->dataset,
                                 w->rows, WORLD_ROWS, NULL));
    fl_trainer_free(trainer);
    return metrics;
}

static float *copy_params(const world *w)
{
    float *copy = malloc(w->param_count * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, w->params, w->param_count * sizeof *copy);
    return copy;
}

static double distance(const world *w, const float *from)
{
    double sum = 0.0;
    for (size_t i = 0; i < w->param_count; i++) {
        const double way = (double)w->params[i] - (double)from[i];
        sum += way * way;
    }
    return sqrt(sum);
}

/* ---- optimisers ---- */

TEST(options_let_every_optimizer_learn_the_rows_by_heart)
{
    const fl_train_options options[] = {
        {.lr = 0.05F, .momentum = 0.9F, .nesterov = true},
        {.optimizer = FL_OPTIMIZER_ADAM, .lr = 0.002F, .warmup_steps = 10},
        {.optimizer = FL_OPTIMIZER_ADAMW, .lr = 0.002F, .weight_decay = 0.1F},
        {.loss.label_smoothing = 0.1F, .lr = 0.05F, .momentum = 0.9F},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        world w = world_open("mlp");
        fl_train_options o = options[i];
        o.epochs = 60;
        o.batch = 8;
        train(&w, &o);
        assert_int_equal(measure(&w, &(fl_loss){0}).correct_count, WORLD_ROWS);
        world_close(&w);
    }
}

TEST(options_of_fedprox_keep_the_parameters_nearer)
{
    world free_run = world_open("mlp"), near = world_open("mlp");
    world named = world_open("mlp");
    float *start = copy_params(&free_run);
    fl_train_options options = world_steps(30);
    train(&free_run, &options);
    options.prox_mu = 1.0F;
    train(&near, &options);
    assert_true(distance(&near, start) < 0.7 * distance(&free_run, start));
    assert_true(distance(&near, start) > 0.0);
    options.prox_params = start;
    train(&named, &options);
    assert_memory_equal(near.params, named.params,
                        near.param_count * sizeof *start);
    free(start);
    world_close(&free_run);
    world_close(&near);
    world_close(&named);
}

TEST(options_of_scaffold_with_equal_variates_change_nothing)
{
    world plain = world_open("mlp"), corrected = world_open("mlp");
    fl_train_options options = world_steps(10);
    float *control = copy_params(&plain);
    train(&plain, &options);
    options.control_global = options.control_local = control;
    train(&corrected, &options);
    assert_true(distance(&corrected, plain.params) < 1e-5);
    options.control_local = NULL;
    train(&corrected, &options);
    assert_true(distance(&corrected, plain.params) > 0.1);
    free(control);
    world_close(&plain);
    world_close(&corrected);
}

TEST(options_leave_frozen_layers_as_they_are)
{
    world w = world_open("lenet");
    const size_t conv1 = 16 * 25 + 16;
    float *start = copy_params(&w);
    float *control = copy_params(&w);
    fl_train_options cases[] = {
        {.momentum = 0.9F, .control_global = control},
        {.optimizer = FL_OPTIMIZER_ADAM},
        {.optimizer = FL_OPTIMIZER_ADAMW,
         .prox_mu = 1.0F,
         .prox_params = control},
    };
    const fl_trainer_options frozen = {
        .batch_cap = WORLD_ROWS, .with_gradients = true, .freeze = "conv1"};
    for (size_t i = 0; i < w.param_count; i++)
        control[i] = 0.5F;
    fl_trainer *trainer = NULL;
    assert_ok(fl_trainer_new(&trainer, w.model, &frozen, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_metrics metrics;
        fl_train_options *o = &cases[i];
        o->epochs = 3;
        o->batch = WORLD_ROWS;
        o->lr = 0.01F;
        o->weight_decay = 0.5F;
        world_reset(&w);
        assert_ok(world_run(trainer, &w, &metrics, o, NULL));
        assert_memory_equal(w.params, start, conv1 * sizeof *start);
        assert_true(w.params[conv1] != start[conv1]);
    }
    fl_trainer_free(trainer);
    free(start);
    free(control);
    world_close(&w);
}

/* ---- losses ---- */

TEST(options_of_metric_losses_separate_the_classes)
{
    const fl_loss losses[] = {
        {.kind = FL_LOSS_TRIPLET, .margin = 1.0F},
        {.kind = FL_LOSS_CONTRASTIVE, .margin = 2.0F},
    };
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        world w = world_open("mlp");
        const fl_train_options options = {.epochs = 100,
                                          .batch = WORLD_ROWS,
                                          .loss = losses[i],
                                          .optimizer = FL_OPTIMIZER_ADAM,
                                          .lr = 0.005F};
        const fl_metrics before = measure(&w, &losses[i]);
        train(&w, &options);
        const fl_metrics after = measure(&w, &losses[i]);
        assert_true(before.correct_count < WORLD_ROWS / 2);
        assert_true(after.correct_count >= WORLD_ROWS - 2);
        assert_true(after.loss_sum < 0.1 * before.loss_sum);
        world_close(&w);
    }
}

TEST(options_of_metric_losses_take_more_classes_than_outputs)
{
    world w = world_open("mlp");
    const fl_model_options narrow = {
        .name = "mlp", .input = {WORLD_SIDE, WORLD_SIDE, 1}, .class_count = 3};
    fl_metrics metrics;
    fl_train_options options = world_steps(1);
    fl_model_free(w.model);
    assert_ok(fl_model_new(&w.model, &narrow, NULL));
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    assert_err(world_run(trainer, &w, &metrics, &options, NULL), FL_ERR_RANGE);
    options.loss = (fl_loss){.kind = FL_LOSS_TRIPLET, .margin = 1.0F};
    assert_ok(world_run(trainer, &w, &metrics, &options, NULL));
    assert_int_equal(metrics.sample_count, WORLD_ROWS);
    fl_trainer_free(trainer);
    world_close(&w);
}

/* ---- the teacher ---- */

static fl_trainer *teacher_for(const world *w, uint32_t batch_cap,
                               uint32_t threads)
{
    fl_trainer *teacher = NULL;
    assert_ok(fl_trainer_new(
        &teacher, w->model,
        &(fl_trainer_options){.batch_cap = batch_cap, .thread_count = threads},
        NULL));
    return teacher;
}

static void soften(double *p, const float *logits)
{
    double sum = 0.0;
    for (size_t c = 0; c < WORLD_CLASSES; c++)
        sum += p[c] = exp((double)logits[c]);
    for (size_t c = 0; c < WORLD_CLASSES; c++)
        p[c] /= sum;
}

// Mean KL(teacher || student) over all rows.
static double divergence(const world *teacher, const world *student)
{
    static float x[WORLD_ROWS * WORLD_PIXELS];
    float logits[2][WORLD_ROWS * WORLD_CLASSES];
    const world *worlds[] = {teacher, student};
    fl_dataset_read(x, teacher->dataset, teacher->rows, WORLD_ROWS);
    for (size_t i = 0; i < 2; i++) {
        fl_trainer *trainer = teacher_for(worlds[i], WORLD_ROWS, 1);
        assert_ok(fl_trainer_predict(trainer, logits[i], worlds[i]->params, x,
                                     WORLD_ROWS));
        fl_trainer_free(trainer);
    }
    double sum = 0.0;
    for (size_t r = 0; r < WORLD_ROWS; r++) {
        double q[WORLD_CLASSES], p[WORLD_CLASSES];
        soften(q, logits[0] + r * WORLD_CLASSES);
        soften(p, logits[1] + r * WORLD_CLASSES);
        for (size_t c = 0; c < WORLD_CLASSES; c++)
            sum += q[c] * log(q[c] / p[c]);
    }
    return sum / WORLD_ROWS;
}

static void distill(world *student, const world *teacher, uint32_t threads)
{
    fl_trainer *trainer = NULL, *answers = teacher_for(teacher, 9, threads);
    const fl_trainer_options learns = {
        .batch_cap = 9, .thread_count = threads, .with_gradients = true};
    const fl_train_options options = {
        .epochs = 30,
        .batch = 9,  // 24 = 9 + 9 + 6
        .loss.teacher = {.trainer = answers,
                         .params = teacher->params,
                         .weight = 1.0F,
                         .temperature = 2.0F},
        .lr = 0.02F,
        .momentum = 0.9F};
    fl_metrics metrics;
    assert_ok(fl_trainer_new(&trainer, student->model, &learns, NULL));
    assert_ok(world_run(trainer, student, &metrics, &options, NULL));
    fl_trainer_free(trainer);
    fl_trainer_free(answers);
}

TEST(options_of_a_teacher_bring_its_answers_nearer)
{
    world teacher = world_open("lenet");
    // Larger weights make it surer of what it says.
    for (size_t i = 0; i < teacher.param_count; i++)
        teacher.params[i] *= 1.75F;
    float *taught = copy_params(&teacher);
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        world student = world_open("mlp");
        const double before = divergence(&teacher, &student);
        distill(&student, &teacher, threads);
        assert_true(divergence(&teacher, &student) < 0.1 * before);
        world_close(&student);
    }
    assert_memory_equal(taught, teacher.params,
                        teacher.param_count * sizeof *taught);
    free(taught);
    world_close(&teacher);
}

// Mean squared distance of the embeddings of all rows.
static double apart(const world *a, const world *b)
{
    enum { WIDTH = 64 };
    float x[WORLD_ROWS * WORLD_PIXELS], points[2][WORLD_ROWS * WIDTH];
    const world *worlds[] = {a, b};
    double sum = 0.0;
    fl_dataset_read(x, a->dataset, a->rows, WORLD_ROWS);
    for (size_t i = 0; i < 2; i++) {
        fl_trainer *trainer = teacher_for(worlds[i], WORLD_ROWS, 1);
        assert_ok(fl_trainer_predict(trainer, points[i], worlds[i]->params, x,
                                     WORLD_ROWS));
        fl_trainer_free(trainer);
    }
    for (size_t k = 0; k < WORLD_ROWS * WIDTH; k++)
        sum += pow((double)points[0][k] - (double)points[1][k], 2.0);
    return sum / WORLD_ROWS;
}

// The student hears nothing of labels, only where the teacher puts rows.
TEST(options_of_a_teacher_of_embeddings_draw_the_student_to_them)
{
    world teacher = world_open("siamese"), student = world_open("siamese");
    for (size_t i = 0; i < teacher.param_count; i += 2)
        teacher.params[i] *= -1.5F;
    fl_trainer *answers = teacher_for(&teacher, 8, 1);
    const double before = apart(&teacher, &student);
    train(&student,
          &(fl_train_options){.epochs = 40,
                              .batch = 8,
                              .loss = {.kind = FL_LOSS_TRIPLET,
                                       .margin = 0.2F,
                                       .teacher = {.trainer = answers,
                                                   .params = teacher.params,
                                                   .weight = 1.0F}},
                              .lr = 0.05F,
                              .momentum = 0.9F});
    assert_true(apart(&teacher, &student) < 0.1 * before);
    fl_trainer_free(answers);
    world_close(&student);
    world_close(&teacher);
}

static void assert_teacher_refused(fl_trainer *teacher, world *w,
                                   const char *word)
{
    fl_trainer *trainer = world_trainer(w, WORLD_ROWS);
    fl_train_options options = world_steps(1);
    fl_metrics metrics;
    fl_reason why = {""};
    options.loss.teacher =
        (fl_teacher){.trainer = teacher, .params = w->params, .temperature = 1};
    assert_err(world_run(trainer, w, &metrics, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, word);
    fl_trainer_free(trainer);
    fl_trainer_free(teacher);
}

TEST(options_refuse_a_teacher_that_does_not_fit)
{
    world w = world_open("mlp"), other = world_open("mlp");
    const fl_model_options of_nine = {
        .name = "mlp", .input = {WORLD_SIDE, WORLD_SIDE, 1}, .class_count = 9};
    const fl_model_options of_small = {
        .name = "mlp", .input = {9, 9, 1}, .class_count = WORLD_CLASSES};
    assert_teacher_refused(world_trainer(&w, WORLD_ROWS), &w, "gradients");
    assert_teacher_refused(teacher_for(&w, WORLD_ROWS - 1, 1), &w, "23");
    assert_teacher_refused(teacher_for(&w, WORLD_ROWS, 2), &w, "2 threads");
    fl_model_free(other.model);
    assert_ok(fl_model_new(&other.model, &of_nine, NULL));
    assert_teacher_refused(teacher_for(&other, WORLD_ROWS, 1), &w, "9 outputs");
    fl_model_free(other.model);
    assert_ok(fl_model_new(&other.model, &of_small, NULL));
    assert_teacher_refused(teacher_for(&other, WORLD_ROWS, 1), &w, "9x9x1");
    world_close(&w);
    world_close(&other);
}

/* ---- refusals ---- */

#define RUN .epochs = 1, .batch = 1

TEST(options_outside_their_ranges_are_refused_by_name)
{
    const float control = 0.0F;
    // Never asked: what is said of a teacher is checked before it is met.
    fl_trainer *const somebody = (fl_trainer *)(uintptr_t)&control;
    const struct {
        const char *named;
        fl_train_options options;
    } cases[] = {
        {"epochs", {.epochs = 0, .batch = 1}},
        {"batch", {.epochs = 1, .batch = 0}},
        {"batch", {.epochs = 1, .batch = WORLD_ROWS + 1}},
        {"optimizer", {RUN, .optimizer = (fl_optimizer_kind)3}},
        {"lr", {RUN, .lr = -1.0F}},
        {"lr", {RUN, .lr = INFINITY}},
        {"momentum", {RUN, .momentum = 1.0F}},
        {"momentum", {RUN, .momentum = -0.1F}},
        {"momentum", {RUN, .momentum = NAN}},
        {"nesterov", {RUN, .nesterov = true}},
        {"beta1", {RUN, .optimizer = FL_OPTIMIZER_ADAM, .beta1 = 1.0F}},
        {"beta2", {RUN, .optimizer = FL_OPTIMIZER_ADAMW, .beta2 = -1.0F}},
        {"epsilon", {RUN, .optimizer = FL_OPTIMIZER_ADAM, .epsilon = NAN}},
        {"weight_decay", {RUN, .weight_decay = NAN}},
        {"clip_norm", {RUN, .clip_norm = -1.0F}},
        {"schedule_steps", {RUN, .schedule = FL_SCHEDULE_COSINE}},
        {"schedule_factor",
         {RUN, .schedule = FL_SCHEDULE_STEP, .schedule_steps = 1,
          .schedule_factor = -1.0F}},
        {"schedule", {RUN, .schedule = (fl_schedule)7}},
        {"prox_mu", {RUN, .prox_mu = -1.0F}},
        {"control_global",
         {RUN, .optimizer = FL_OPTIMIZER_ADAM, .control_global = &control}},
        {"control_local",
         {RUN, .optimizer = FL_OPTIMIZER_ADAMW, .control_local = &control}},
        {"loss", {RUN, .loss.kind = (fl_loss_kind)3}},
        {"label_smoothing", {RUN, .loss.label_smoothing = 1.0F}},
        {"label_smoothing", {RUN, .loss.label_smoothing = NAN}},
        {"margin", {RUN, .loss.kind = FL_LOSS_TRIPLET}},
        {"margin",
         {RUN, .loss = {.kind = FL_LOSS_CONTRASTIVE, .margin = INFINITY}}},
        {"teacher.params", {RUN, .loss.teacher.trainer = somebody}},
        {"teacher.weight",
         {RUN, .loss.teacher = {somebody, &control, 1.5F, 1.0F}}},
        {"teacher.temperature",
         {RUN, .loss.teacher = {somebody, &control, 0.5F, 0.0F}}},
        {"teacher.weight",
         {RUN, .loss = {.kind = FL_LOSS_TRIPLET,
                        .margin = 1.0F,
                        .teacher = {somebody, &control, 1.5F, 0.0F}}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_reason why = {""};
        assert_err(fl_options_check(&cases[i].options, WORLD_ROWS, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, cases[i].named);
    }
}

TEST(options_are_checked_before_a_run_and_a_measurement)
{
    world w = world_open("mlp");
    fl_trainer *trainer = world_trainer(&w, WORLD_ROWS);
    const fl_train_options options = {RUN, .lr = -1.0F};
    const fl_loss loss = {.kind = FL_LOSS_TRIPLET};
    fl_metrics metrics;
    fl_reason why = {""};
    assert_err(world_run(trainer, &w, &metrics, &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "lr");
    assert_err(fl_trainer_measure(trainer, &metrics, &loss, w.params, w.dataset,
                                  w.rows, WORLD_ROWS, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "margin");
    fl_trainer_free(trainer);
    world_close(&w);
}

RUN_TESTS(
    cmocka_unit_test(options_let_every_optimizer_learn_the_rows_by_heart),
    cmocka_unit_test(options_of_fedprox_keep_the_parameters_nearer),
    cmocka_unit_test(options_of_scaffold_with_equal_variates_change_nothing),
    cmocka_unit_test(options_leave_frozen_layers_as_they_are),
    cmocka_unit_test(options_of_metric_losses_separate_the_classes),
    cmocka_unit_test(options_of_metric_losses_take_more_classes_than_outputs),
    cmocka_unit_test(options_of_a_teacher_bring_its_answers_nearer),
    cmocka_unit_test(
        options_of_a_teacher_of_embeddings_draw_the_student_to_them),
    cmocka_unit_test(options_refuse_a_teacher_that_does_not_fit),
    cmocka_unit_test(options_outside_their_ranges_are_refused_by_name),
    cmocka_unit_test(options_are_checked_before_a_run_and_a_measurement))
