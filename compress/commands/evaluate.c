/*
 * fedge-compress evaluate: accuracy and loss on the dataset's test part.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "compress/model/pairs.h"
#include "compress/tool.h"

enum { BATCH = 64 };

static const char USAGE[] =
    "usage: fedge-compress evaluate MODEL --dataset SPEC [OPTION]...\n\n"
    "Measures a model, float32 or INT8, on the test part of a dataset.\n\n"
    "  fedge-compress evaluate r8-int8.onnx --dataset fashion-mnist\n"
    "  fedge-compress evaluate r8-int8.onnx --dataset fashion-mnist \\\n"
    "                          --predictions answers.csv\n"
    "  fedge-compress evaluate siamese.onnx --dataset fashion-mnist --pairs "
    "10000\n\n";

// What was measured; no pairs: nothing was asked about them.
typedef struct {
    fl_metrics metrics;
    fl_verification pairs;
} findings;

static void print_pairs(const fl_verification *v)
{
    if (v->count == 0) return;
    printf("%zu pairs, verification accuracy %.2f %% at distance %.4f (of "
           "training pairs %.2f %%)\n",
           v->count, 100.0 * v->accuracy, v->threshold,
           100.0 * v->train_accuracy);
}

static void print_findings(const findings *found, const fl_runner *runner)
{
    const fl_metrics *m = &found->metrics;
    const double count = (double)m->sample_count;
    printf("%llu examples, accuracy %.2f %%, loss %.4f (%s)\n",
           (unsigned long long)m->sample_count,
           100.0 * (double)m->correct_count / count, m->loss_sum / count,
           fl_runner_kernels(runner));
    print_pairs(&found->pairs);
}

static fl_err write_json(const findings *found, fl_reason *why)
{
    const fl_metrics *m = &found->metrics;
    const fl_verification *v = &found->pairs;
    char *text = NULL;
    fl_json *json = fl_json_new();
    const double count = (double)m->sample_count;
    fl_json_count_set(json, "samples", m->sample_count);
    fl_json_number_set(json, "accuracy", (double)m->correct_count / count);
    fl_json_number_set(json, "loss", m->loss_sum / count);
    if (v->count > 0) {
        fl_json_count_set(json, "pairs", v->count);
        fl_json_number_set(json, "verification_accuracy", v->accuracy);
        fl_json_number_set(json, "training_pairs_accuracy", v->train_accuracy);
        fl_json_number_set(json, "threshold", v->threshold);
    }
    const fl_err err = fl_json_text(&text, json);
    if (!err) puts(text);
    free(text);
    fl_json_free(json);
    return err ? fl_reason_set(why, err, "no memory for the report") : FL_OK;
}

/* ---- predictions ---- */

static uint32_t largest(const float *logits, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < count; c++) {
        if (logits[c] > logits[best]) best = c;
    }
    return best;
}

// One line a row: its number, its label, the model's answer.
static bool print_answers(FILE *file, fl_runner *runner, const fl_dataset *test,
                          float *x, float *logits)
{
    const uint32_t count = fl_dataset_row_count(test);
    const uint32_t classes = fl_runner_class_count(runner);
    const uint32_t *labels = fl_dataset_labels(test);
    bool is_whole = fputs("row,label,answer\n", file) >= 0;
    for (uint32_t row = 0; is_whole && row < count; row++) {
        fl_dataset_read(x, test, &row, 1);
        is_whole = !fl_runner_run(runner, logits, x, 1) &&
                   fprintf(file, "%u,%u,%u\n", row, labels[row],
                           largest(logits, classes)) > 0;
    }
    return is_whole;
}

static fl_err write_predictions(const char *path, fl_runner *runner,
                                const fl_dataset *test, fl_reason *why)
{
    FILE *file = fopen(path, "w");
    float *x = malloc(fl_shape_size(fl_runner_input(runner)) * sizeof *x);
    float *logits = malloc(fl_runner_class_count(runner) * sizeof *logits);
    bool is_whole =
        file && x && logits && print_answers(file, runner, test, x, logits);
    if (file && fclose(file)) is_whole = false;
    free(x);
    free(logits);
    if (is_whole) return FL_OK;
    return fl_reason_set(why, FL_ERR_SYSTEM, "%s: cannot be written: %s", path,
                         strerror(errno));
}

/* ---- pairs ---- */

static fl_err verify(fl_verification *result, fl_runner *runner,
                     const fl_dataset *test, const fl_tool *tool,
                     fl_reason *why)
{
    fl_dataset *train = NULL;
    if (tool->pair_count == 0) return FL_OK;
    FL_TRY(fl_tool_dataset(&train, FL_DATA_TRAIN, tool, why));
    const fl_err err = fl_pairs_verify(
        result, runner, train, test, (size_t)tool->pair_count, tool->seed, why);
    fl_dataset_free(train);
    return err;
}

static fl_err evaluate(const fl_tool *tool, fl_reason *why)
{
    fl_tool_model model = {0};
    fl_dataset *test = NULL;
    fl_runner *runner = NULL;
    uint32_t *rows = NULL;
    findings found = {0};
    fl_err err = fl_tool_read(&model, tool->word, why);
    if (!err) err = fl_tool_runner(&runner, &model, BATCH, why);
    if (!err) err = fl_tool_dataset(&test, FL_DATA_TEST, tool, why);
    if (err) goto out;
    rows = fl_tool_rows(fl_dataset_row_count(test));
    if (!rows) {
        err = fl_reason_set(why, FL_ERR_MEMORY, "no memory for the rows");
        goto out;
    }
    err = fl_runner_evaluate(runner, &found.metrics, test, rows,
                             fl_dataset_row_count(test), why);
    if (!err) err = verify(&found.pairs, runner, test, tool, why);
    if (!err && tool->predictions) {
        err = write_predictions(tool->predictions, runner, test, why);
    }
    if (err) goto out;
    if (tool->is_json) {
        err = write_json(&found, why);
    } else {
        print_findings(&found, runner);
    }

out:
    free(rows);
    fl_dataset_free(test);
    fl_runner_free(runner);
    fl_tool_model_fini(&model);
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    const fl_tool *tool = settings;
    if (tool->data.dataset) return fl_program_exit(evaluate(tool, why));
    (void)!fl_reason_set(why, FL_ERR_RANGE, "evaluate needs --dataset SPEC");
    return FL_EXIT_USAGE;
}

fl_command fl_evaluate_command(fl_tool *tool)
{
    static fl_option table[FL_DATA_SETTINGS_DATASET + 4];
    const fl_option own[] = {
        {"data", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the rows that are held out"},
        {"data", "pairs", FL_OPTION_COUNT, &tool->pair_count, 0, FL_PAIRS_MAX,
         "N", "embeddings: also compare so many pairs, half of one class"},
        {"run", "predictions", FL_OPTION_TEXT, &tool->predictions, 0, 0, "FILE",
         "the answer for every test row, CSV"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
    };
    const size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    return (fl_command){
        .name = "evaluate",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, 4),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
