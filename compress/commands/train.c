/*
 * fedge-compress train: a model on a dataset, on this machine alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/team.h"
#include "compress/tool.h"

static const char USAGE[] =
    "usage: fedge-compress train MODEL --dataset SPEC --out FILE "
    "[OPTION]...\n\n"
    "Trains a model on a dataset and measures it on the test part after every "
    "epoch.\nCtrl-C ends the training early and keeps what was learned.\n\n"
    "  fedge-compress train r8.onnx --dataset fashion-mnist --epochs 5 --out "
    "r8.onnx\n"
    "  fedge-compress train r8.onnx --dataset csv:x.csv --freeze "
    "'conv*,block1.*' \\\n"
    "                       --norm frozen --threads 2 --out tuned.onnx\n"
    "  fedge-compress train small.onnx --teacher large.onnx --dataset "
    "fashion-mnist \\\n"
    "                       --out small.onnx\n\n";

static const char *const SCHEDULES[] = {"constant", "cosine", "step", NULL};
static const char *const NORMS[] = {"train", "frozen", NULL};
static const char *const OPTIMIZERS[] = {"sgd", "adam", "adamw", NULL};
static const char *const LOSSES[] = {"softmax", "contrastive", "triplet", NULL};

typedef struct {
    const fl_tool *tool;
    fl_model *model, *teacher;
    fl_dataset *train, *test;
    fl_trainer *trainer, *teaching;
    uint32_t *rows;  // of the larger part
    fl_train_options options;
    fl_progress progress;
    uint64_t steps_an_epoch;
} training;

static uint64_t steps_of(const training *t)
{
    return (fl_dataset_row_count(t->train) + t->tool->batch - 1) /
           t->tool->batch;
}

static void show_step(void *self, uint64_t step, const fl_metrics *epoch)
{
    training *t = self;
    const double count = (double)epoch->sample_count;
    const uint64_t number = (step - 1) / t->steps_an_epoch + 1;
    fl_progress_show(&t->progress, step, "epoch %llu, accuracy %.4f, loss %.4f",
                     (unsigned long long)number,
                     (double)epoch->correct_count / count,
                     epoch->loss_sum / count);
}

static fl_err read_options(training *t, fl_reason *why)
{
    const fl_tool *tool = t->tool;
    unsigned schedule, norm, optimizer, loss;
    if (!tool->data.dataset || !tool->out) {
        return fl_reason_set(why, FL_ERR_RANGE, "train needs %s",
                             tool->out ? "--dataset SPEC" : "--out FILE");
    }
    FL_TRY(
        fl_tool_choice(&schedule, "schedule", tool->schedule, SCHEDULES, why));
    FL_TRY(fl_tool_choice(&norm, "norm", tool->norm, NORMS, why));
    FL_TRY(fl_tool_choice(&optimizer, "optimizer", tool->optimizer, OPTIMIZERS,
                          why));
    FL_TRY(fl_tool_choice(&loss, "loss", tool->loss, LOSSES, why));
    t->options = (fl_train_options){
        .epochs = (uint32_t)tool->epochs,
        .batch = (uint32_t)tool->batch,
        .loss = {.kind = (fl_loss_kind)loss,
                 .label_smoothing = (float)tool->label_smoothing,
                 .margin = (float)tool->margin},
        .optimizer = (fl_optimizer_kind)optimizer,
        .lr = (float)tool->lr,
        .nesterov = tool->nesterov,
        .warmup_steps = (uint32_t)tool->warmup_steps,
        .momentum = (float)tool->momentum,
        .weight_decay = (float)tool->weight_decay,
        .clip_norm = (float)tool->clip_norm,
        .schedule = (fl_schedule)schedule,
        .schedule_factor = 0.1F,
        .norm = (fl_norm)norm,
        .stop = &fl_tool_stop,
        .on_step = show_step,
        .on_step_self = t,
    };
    return FL_OK;
}

static fl_err open_teacher(training *t, fl_reason *why)
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

static fl_err open_all(training *t, fl_reason *why)
{
    const fl_tool *tool = t->tool;
    FL_TRY(fl_file_check(tool->out, why));
    FL_TRY(fl_tool_read_float(&t->model, tool->word, why));
    FL_TRY(fl_tool_dataset(&t->train, FL_DATA_TRAIN, tool, why));
    FL_TRY(fl_tool_dataset(&t->test, FL_DATA_TEST, tool, why));
    const uint32_t train_rows = fl_dataset_row_count(t->train);
    const uint32_t test_rows = fl_dataset_row_count(t->test);
    t->rows = fl_tool_rows(train_rows > test_rows ? train_rows : test_rows);
    if (!t->rows) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for the rows");
    }
    t->steps_an_epoch = steps_of(t);
    const uint64_t steps = t->steps_an_epoch * tool->epochs;
    // Constant ignores it; a step is a third of the whole.
    t->options.schedule_steps =
        (uint32_t)(t->options.schedule == FL_SCHEDULE_STEP ? steps / 3 + 1
                                                           : steps);
    const fl_trainer_options trainer = {
        .batch_cap = (uint32_t)tool->batch,
        .thread_count = (uint32_t)tool->threads,
        .with_gradients = true,
        .recompute = tool->recompute,
        .freeze = tool->freeze,
    };
    FL_TRY(fl_trainer_new(&t->trainer, t->model, &trainer, why));
    return tool->teacher ? open_teacher(t, why) : FL_OK;
}

static fl_err report(training *t, fl_reason *why)
{
    fl_metrics m;
    FL_TRY(fl_trainer_measure(t->trainer, &m, &t->options.loss,
                              fl_model_params(t->model), t->test, t->rows,
                              fl_dataset_row_count(t->test), why));
    const double count = (double)m.sample_count;
    printf("%s: accuracy %.2f %%, loss %.4f on %llu test examples\n",
           t->tool->out, 100.0 * (double)m.correct_count / count,
           m.loss_sum / count, (unsigned long long)m.sample_count);
    return FL_OK;
}

static fl_err train(training *t, fl_reason *why)
{
    fl_metrics first;
    fl_random random;
    fl_random_init(&random, t->tool->seed, FL_RANDOM_SHUFFLE, 0);
    fl_progress_start(&t->progress, stderr, "step", 0,
                      t->steps_an_epoch * t->tool->epochs);
    t->progress.is_quiet = t->tool->is_quiet || !t->progress.is_terminal;
    fl_err err = fl_trainer_run(
        t->trainer, fl_model_params(t->model), &first, t->train, t->rows,
        fl_dataset_row_count(t->train), &t->options, &random, why);
    fl_progress_finish(&t->progress);
    const bool is_stopped = err == FL_ERR_CANCELLED;
    if (err && !is_stopped) return err;
    FL_TRY(fl_tool_write(t->model, t->tool->out, why));
    if (is_stopped) return err;
    return t->tool->is_quiet ? FL_OK : report(t, why);
}

static int run(const void *settings, fl_reason *why)
{
    training t = {.tool = settings};
    if (read_options(&t, why)) return FL_EXIT_USAGE;
    fl_err err = open_all(&t, why);
    if (!err) err = train(&t, why);
    fl_trainer_free(t.teaching);
    fl_trainer_free(t.trainer);
    free(t.rows);
    fl_dataset_free(t.test);
    fl_dataset_free(t.train);
    fl_model_free(t.teacher);
    fl_model_free(t.model);
    return fl_program_exit(err);
}

fl_command fl_train_command(fl_tool *tool)
{
    static fl_option table[33];
    const fl_option own[] = {
        {"training", "epochs", FL_OPTION_COUNT, &tool->epochs, 1, 100000, "N",
         "passes over the training rows"},
        {"training", "batch", FL_OPTION_COUNT, &tool->batch, 1, 65536, "N",
         "rows a step"},
        {"training", "lr", FL_OPTION_NUMBER, &tool->lr, 0, 1000, "X",
         "learning rate"},
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
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the order of rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the trained model, ONNX"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "no progress line and no result"},
    };
    const size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    return (fl_command){
        .name = "train",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count =
            fl_tool_options(table, count, own, sizeof own / sizeof *own),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
