/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/training.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/team.h"

static const char *const SCHEDULES[] = {"constant", "cosine", "step", NULL};
static const char *const NORMS[] = {"train", "frozen", NULL};
static const char *const OPTIMIZERS[] = {"sgd", "adam", "adamw", NULL};
static const char *const LOSSES[] = {"softmax", "contrastive", "triplet", NULL};

/* ---- options ---- */

size_t fl_training_list(fl_option *table, size_t count, fl_tool *tool,
                        double *lr)
{
    const fl_option own[FL_TRAINING_OPTIONS] = {
        {"training", "epochs", FL_OPTION_COUNT, &tool->epochs, 0, 100000, "N",
         "passes over the training rows; 0: nothing is learned, batch norms "
         "look at the data again"},
        {"training", "batch", FL_OPTION_COUNT, &tool->batch, 1, 65536, "N",
         "rows a step"},
        {"training", "lr", FL_OPTION_NUMBER, lr, 0, 1000, "X", "learning rate"},
        {"training", "schedule", FL_OPTION_TEXT, &tool->schedule, 0, 0, "HOW",
         "of the rate: constant, cosine (to 0), step (a tenth after each "
         "third)"},
        {"training", "warmup-steps", FL_OPTION_COUNT, &tool->warmup_steps, 0,
         1000000, "N", "steps in which the rate rises from 0"},
        {"training", "optimizer", FL_OPTION_TEXT, &tool->optimizer, 0, 0,
         "NAME", "sgd, adam or adamw"},
        {"training", "momentum", FL_OPTION_NUMBER, &tool->momentum, 0, 0.9999,
         "X", "of SGD"},
        {"training", "nesterov", FL_OPTION_FLAG, &tool->nesterov, 0, 0, NULL,
         "SGD: look ahead along the momentum"},
        {"training", "loss", FL_OPTION_TEXT, &tool->loss, 0, 0, "NAME",
         "softmax; for embeddings contrastive or triplet"},
        {"training", "label-smoothing", FL_OPTION_NUMBER,
         &tool->label_smoothing, 0, 0.999, "X",
         "share of each label that all classes get"},
        {"training", "margin", FL_OPTION_NUMBER, &tool->margin, 1e-6, 1e6, "X",
         "of contrastive and triplet"},
        {"training", "teacher", FL_OPTION_TEXT, &tool->teacher, 0, 0, "FILE",
         "a model to learn from as well (distillation), ONNX"},
        {"training", "teacher-share", FL_OPTION_NUMBER, &tool->teacher_share, 0,
         1, "X", "weight of what the teacher says"},
        {"training", "temperature", FL_OPTION_NUMBER, &tool->temperature, 1e-3,
         1e3, "X", "that softens both"},
        {"training", "weight-decay", FL_OPTION_NUMBER, &tool->weight_decay, 0,
         10, "X", "L2 regularisation"},
        {"training", "clip-norm", FL_OPTION_NUMBER, &tool->clip_norm, 0, 1e9,
         "X", "largest norm of a step's gradient; 0: any"},
        {"training", "norm", FL_OPTION_TEXT, &tool->norm, 0, 0, "HOW",
         "batch norms: train, or frozen (running statistics stay)"},
        {"training", "freeze", FL_OPTION_TEXT, &tool->freeze, 0, 0, "LAYERS",
         "layers that do not learn: names with * and ?, separated by commas"},
        {"training", "threads", FL_OPTION_COUNT, &tool->threads, 1, FL_TEAM_MAX,
         "N", "that share each batch"},
        {"training", "recompute", FL_OPTION_FLAG, &tool->recompute, 0, 0, NULL,
         "less memory, a little slower"},
    };
    return fl_tool_options(table, count, own, FL_TRAINING_OPTIONS);
}

fl_err fl_training_init(fl_training *training, const fl_tool *tool, double lr,
                        fl_reason *why)
{
    unsigned schedule, norm, optimizer, loss;
    *training = (fl_training){.tool = tool};
    FL_TRY(
        fl_tool_choice(&schedule, "schedule", tool->schedule, SCHEDULES, why));
    FL_TRY(fl_tool_choice(&norm, "norm", tool->norm, NORMS, why));
    FL_TRY(fl_tool_choice(&optimizer, "optimizer", tool->optimizer, OPTIMIZERS,
                          why));
    FL_TRY(fl_tool_choice(&loss, "loss", tool->loss, LOSSES, why));
    training->options = (fl_train_options){
        .batch = (uint32_t)tool->batch,
        .loss = {.kind = (fl_loss_kind)loss,
                 .label_smoothing = (float)tool->label_smoothing,
                 .margin = (float)tool->margin},
        .optimizer = (fl_optimizer_kind)optimizer,
        .lr = (float)lr,
        .nesterov = tool->nesterov,
        .warmup_steps = (uint32_t)tool->warmup_steps,
        .momentum = (float)tool->momentum,
        .weight_decay = (float)tool->weight_decay,
        .clip_norm = (float)tool->clip_norm,
        .schedule = (fl_schedule)schedule,
        .norm = (fl_norm)norm,
        .stop = &fl_tool_stop,
    };
    fl_random_init(&training->random, tool->seed, FL_RANDOM_SHUFFLE, 0);
    return FL_OK;
}

/* ---- life ---- */

static fl_err open_teacher(fl_training *t, fl_reason *why)
{
    const fl_tool *tool = t->tool;
    const fl_trainer_options options = {
        .batch_cap = (uint32_t)tool->batch,
        .thread_count = (uint32_t)tool->threads,
    };
    FL_TRY(fl_tool_read_float(&t->teacher, tool->teacher, why));
    FL_TRY(fl_trainer_new(&t->teaching, t->teacher, &options, why));
    t->options.loss.teacher = (fl_teacher){
        .trainer = t->teaching,
        .params = fl_model_params(t->teacher),
        .weight = (float)tool->teacher_share,
        .temperature = (float)tool->temperature,
    };
    return FL_OK;
}

fl_err fl_training_open(fl_training *training, fl_reason *why)
{
    const fl_tool *tool = training->tool;
    FL_TRY(fl_tool_dataset(&training->train, FL_DATA_TRAIN, tool, why));
    FL_TRY(fl_tool_dataset(&training->test, FL_DATA_TEST, tool, why));
    const uint32_t train_rows = fl_dataset_row_count(training->train);
    const uint32_t test_rows = fl_dataset_row_count(training->test);
    training->rows =
        fl_tool_rows(train_rows > test_rows ? train_rows : test_rows);
    if (!training->rows) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for the rows");
    }
    return tool->teacher ? open_teacher(training, why) : FL_OK;
}

void fl_training_close(fl_training *training)
{
    fl_trainer_free(training->teaching);
    fl_model_free(training->teacher);
    free(training->rows);
    fl_dataset_free(training->test);
    fl_dataset_free(training->train);
}

/* ---- running ---- */

static void start_line(void *self, uint32_t epochs, uint64_t step_count)
{
    fl_training *t = self;
    fl_progress_finish(&t->progress);
    fl_progress_start(&t->progress, stderr, "step", 0, step_count);
    t->progress.is_quiet = t->tool->is_quiet || !t->progress.is_terminal;
    t->steps_an_epoch = step_count / epochs;
}

static void show_step(void *self, uint64_t step, const fl_metrics *epoch)
{
    fl_training *t = self;
    const double count = (double)epoch->sample_count;
    const uint64_t number = (step - 1) / t->steps_an_epoch + 1;
    fl_progress_show(&t->progress, step, "epoch %llu, accuracy %.4f, loss %.4f",
                     (unsigned long long)number,
                     (double)epoch->correct_count / count,
                     epoch->loss_sum / count);
}

fl_tune_options fl_training_tune(fl_training *training)
{
    fl_tune_options tune = {
        .dataset = training->train,
        .rows = training->rows,
        .row_count = fl_dataset_row_count(training->train),
        .train = training->options,
        .thread_count = (uint32_t)training->tool->threads,
        .recompute = training->tool->recompute,
        .freeze = training->tool->freeze,
        .random = &training->random,
        .on_start = start_line,
    };
    tune.train.on_step = show_step;
    tune.train.on_step_self = training;
    return tune;
}

fl_err fl_training_run(fl_training *training, fl_model *model, uint32_t epochs,
                       fl_reason *why)
{
    const fl_tune_options tune = fl_training_tune(training);
    const fl_err err = fl_tune_model(model, &tune, epochs, why);
    fl_progress_finish(&training->progress);
    return err;
}

fl_err fl_training_recover(fl_training *training, fl_model *model,
                           bool *is_stopped, fl_reason *why)
{
    if (!training->train) return FL_OK;
    const fl_err err =
        fl_training_run(training, model, (uint32_t)training->tool->epochs, why);
    *is_stopped = err == FL_ERR_CANCELLED;
    return *is_stopped ? FL_OK : err;
}

/* ---- measuring ---- */

fl_err fl_training_measure(const fl_training *training, fl_metrics *metrics,
                           const fl_model *model, fl_reason *why)
{
    const fl_trainer_options options = {
        .batch_cap = training->options.batch,
        .thread_count = (uint32_t)training->tool->threads,
    };
    fl_trainer *trainer = NULL;
    FL_TRY(fl_trainer_new(&trainer, model, &options, why));
    const fl_err err = fl_trainer_measure(
        trainer, metrics, &training->options.loss, fl_model_get_params(model),
        training->test, training->rows, fl_dataset_row_count(training->test),
        why);
    fl_trainer_free(trainer);
    return err;
}

fl_err fl_training_measure_int8(const fl_training *training,
                                fl_metrics *metrics,
                                const fl_int8_model *quantized, fl_reason *why)
{
    return fl_int8_evaluate(metrics, quantized, training->options.batch,
                            training->test, training->rows,
                            fl_dataset_row_count(training->test), why);
}
