/*
 * fedge-compress sparsify: weights that become zero while a model trains.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/file.h"
#include "compress/model/importance.h"
#include "compress/model/sparsity.h"
#include "compress/pruning.h"
#include "compress/training.h"

static const char USAGE[] =
    "usage: fedge-compress sparsify MODEL --dataset SPEC --sparsity X --out "
    "FILE\n"
    "                               [OPTION]...\n\n"
    "Sets single weights to zero, more and more of them over the first three "
    "quarters of the\ntraining (Zhu and Gupta 2017), and keeps them there. The "
    "file has the same size, but\npacks the better: what a download or flash "
    "with compression takes. Layers compute as\nlong as before; prune makes "
    "them faster.\n\n"
    "  fedge-compress sparsify lenet.onnx --dataset fashion-mnist --sparsity "
    "0.8 --epochs 4 \\\n"
    "                          --out sparse.onnx\n\n";

static const char *const SCORES[] = {"magnitude", "fisher", "obd", NULL};

enum { PRUNINGS = 20, ZSTD_LEVEL = 19 };

typedef struct {
    const fl_tool *tool;
    fl_sparsity_score kind;
    fl_training training;
    fl_model *dense, *sparse;
    bool *mask;
    double *scores, *fisher;  // one a parameter; fisher: NULL for magnitude
    uint32_t *rows;           // to take gradients of
    fl_tune_options shown;    // what would run without pruning
    uint64_t pruning_steps;   // of the run's, until the share is reached
    uint64_t next_step;       // of the next pruning
    atomic_bool stop;
    fl_err err;  // of a pruning; the run stops then
    fl_reason *why;
} sparsifying;

/* ---- pruning while training ---- */

static fl_err score(sparsifying *s)
{
    if (s->kind != FL_SPARSITY_MAGNITUDE) {
        const uint32_t all = fl_dataset_row_count(s->training.train);
        const fl_importance_data data = {
            .dataset = s->training.train,
            .rows = s->rows,
            .row_count =
                s->tool->row_count < all ? (size_t)s->tool->row_count : all,
            .stop = &fl_tool_stop,
        };
        FL_TRY(
            fl_importance_weights(s->fisher, NULL, s->sparse, &data, s->why));
    }
    fl_sparsity_scores(s->scores, s->sparse, s->kind, s->fisher);
    return FL_OK;
}

// The step that has just been taken is the `step`-th.
static fl_err prune(sparsifying *s, uint64_t step)
{
    const double share =
        fl_sparsity_at(s->tool->sparsity, step, s->pruning_steps);
    FL_TRY(score(s));
    FL_TRY(fl_sparsity_mask(s->mask, s->sparse, s->scores, share,
                            !s->tool->is_global, s->why));
    fl_sparsity_apply(s->sparse, s->mask);
    return FL_OK;
}

static void start(void *self, uint32_t epochs, uint64_t step_count)
{
    sparsifying *s = self;
    s->pruning_steps = (3 * step_count + 3) / 4;
    s->next_step = (s->pruning_steps + PRUNINGS - 1) / PRUNINGS;
    s->shown.on_start(s->shown.train.on_step_self, epochs, step_count);
}

static void after_step(void *self, uint64_t step, const fl_metrics *epoch)
{
    sparsifying *s = self;
    s->shown.train.on_step(s->shown.train.on_step_self, step, epoch);
    if (step >= s->next_step && step <= s->pruning_steps) {
        const uint64_t pace = (s->pruning_steps + PRUNINGS - 1) / PRUNINGS;
        s->err = prune(s, step);
        s->next_step = step + pace;
        // The last one comes with the last step that may prune.
        if (s->next_step > s->pruning_steps && step < s->pruning_steps) {
            s->next_step = s->pruning_steps;
        }
    }
    if (s->err || atomic_load(&fl_tool_stop)) atomic_store(&s->stop, true);
}

static fl_err train(sparsifying *s)
{
    fl_tune_options tune = s->shown = fl_training_tune(&s->training);
    tune.train.mask = s->mask;
    tune.train.stop = &s->stop;
    tune.train.on_step = after_step;
    tune.train.on_step_self = s;
    tune.on_start = start;
    const fl_err err =
        fl_tune_model(s->sparse, &tune, (uint32_t)s->tool->epochs, s->why);
    fl_progress_finish(&s->training.progress);
    return s->err ? s->err : err;
}

/* ---- what has become of it ---- */

static fl_err count_packed(size_t *len, const fl_model *model, fl_reason *why)
{
    const size_t plain_len = fl_model_bytes(model);
    const size_t cap = ZSTD_compressBound(plain_len);
    uint8_t *plain = malloc(plain_len), *packed = malloc(cap);
    fl_err err = FL_ERR_MEMORY;
    if (plain && packed) {
        err = fl_model_encode(model, plain, plain_len);
        *len = ZSTD_compress(packed, cap, plain, plain_len, ZSTD_LEVEL);
        if (ZSTD_isError(*len)) err = FL_ERR_MEMORY;
    }
    free(plain);
    free(packed);
    return err ? fl_reason_set(why, err, "no memory to pack the model") : FL_OK;
}

static fl_err show(sparsifying *s, fl_pruning_row rows[2],
                   const size_t packed[2])
{
    const fl_sparsity now = fl_sparsity_of(s->sparse);
    if (s->tool->is_json) {
        fl_json *json = fl_pruning_json(rows, 2);
        fl_json_count_set(json, "weights", now.weight_count);
        fl_json_count_set(json, "zeros", now.zero_count);
        fl_json_count_set(json, "packed_bytes_before", packed[0]);
        fl_json_count_set(json, "packed_bytes", packed[1]);
        return fl_tool_print_json(json, s->why);
    }
    fl_pruning_print(rows, 2);
    printf("\n%zu of %zu weights are 0 (%.1f %%); packed with zstd %zu bytes, "
           "before %zu\n",
           now.zero_count, now.weight_count,
           100.0 * (double)now.zero_count / (double)now.weight_count, packed[1],
           packed[0]);
    return FL_OK;
}

static fl_err report(sparsifying *s)
{
    fl_pruning_row rows[2] = {
        {.name = "dense", .key = "dense", .model = s->dense},
        {.name = "sparse", .key = "sparse", .model = s->sparse},
    };
    size_t packed[2] = {0};
    FL_TRY(fl_pruning_measure(rows, 2, &s->training, s->why));
    for (size_t i = 0; i < 2; i++) {
        FL_TRY(count_packed(&packed[i], rows[i].model, s->why));
    }
    return show(s, rows, packed);
}

/* ---- the run ---- */

static fl_err allocate(sparsifying *s)
{
    const size_t count = fl_model_param_count(s->sparse) + 1;
    s->mask = malloc(count * sizeof *s->mask);
    s->scores = malloc(count * sizeof *s->scores);
    s->fisher = malloc(count * sizeof *s->fisher);
    if (!s->mask || !s->scores || !s->fisher) {
        return fl_reason_set(s->why, FL_ERR_MEMORY,
                             "no memory for a mask of %zu parameters", count);
    }
    memset(s->mask, true, count * sizeof *s->mask);
    return FL_OK;
}

static fl_err sparsify(sparsifying *s)
{
    const fl_tool *tool = s->tool;
    FL_TRY(fl_file_check(tool->out, s->why));
    FL_TRY(fl_tool_read_float(&s->dense, tool->word, s->why));
    FL_TRY(fl_tool_read_float(&s->sparse, tool->word, s->why));
    FL_TRY(fl_training_open(&s->training, s->why));
    FL_TRY(fl_pruning_rows(&s->rows, s->training.train, tool, s->why));
    FL_TRY(allocate(s));
    const fl_err err = train(s);
    const bool is_stopped = err == FL_ERR_CANCELLED;
    if (err && !is_stopped) return err;
    FL_TRY(fl_tool_write(s->sparse, tool->out, s->why));
    if (is_stopped || tool->is_quiet) return err;
    return report(s);
}

static fl_err check(sparsifying *s)
{
    unsigned kind;
    const fl_tool *tool = s->tool;
    FL_TRY(fl_tool_needs_data("sparsify", tool, s->why));
    FL_TRY(fl_tool_choice(&kind, "score", tool->score, SCORES, s->why));
    s->kind = (fl_sparsity_score)kind;
    if (tool->epochs == 0) {
        return fl_reason_set(s->why, FL_ERR_RANGE,
                             "sparsify prunes while it trains: --epochs must "
                             "be at least 1");
    }
    return fl_training_init(&s->training, tool, tool->sparse_lr, s->why);
}

static int run(const void *settings, fl_reason *why)
{
    sparsifying s = {.tool = settings, .why = why};
    if (check(&s)) return FL_EXIT_USAGE;
    const fl_err err = sparsify(&s);
    free(s.mask);
    free(s.scores);
    free(s.fisher);
    free(s.rows);
    fl_training_close(&s.training);
    fl_model_free(s.sparse);
    fl_model_free(s.dense);
    return fl_program_exit(err);
}

fl_command fl_sparsify_command(fl_tool *tool)
{
    const fl_option own[] = {
        {"sparsity", "sparsity", FL_OPTION_NUMBER, &tool->sparsity, 0, 0.999,
         "X", "share of the weights that become zero"},
        {"sparsity", "score", FL_OPTION_TEXT, &tool->score, 0, 0, "HOW",
         "what goes first is low in: magnitude, fisher or obd"},
        {"sparsity", "global", FL_OPTION_FLAG, &tool->is_global, 0, 0, NULL,
         "one threshold for all layers, not the same share of each"},
        {"sparsity", "rows", FL_OPTION_COUNT, &tool->row_count, 1, 1 << 24, "N",
         "training rows that fisher and obd look at, each time"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the order of rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the sparse model, ONNX"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "no progress line and no result"},
    };
    enum { OWN = sizeof own / sizeof *own };
    static fl_option
        table[FL_DATA_SETTINGS_DATASET + FL_TRAINING_OPTIONS + OWN];
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_training_list(table, count, tool, &tool->sparse_lr);
    return (fl_command){
        .name = "sparsify",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, OWN),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
