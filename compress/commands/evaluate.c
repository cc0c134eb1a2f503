/*
 * fedge-compress evaluate: accuracy and loss on the dataset's test part.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "compress/tool.h"

enum { BATCH = 64 };

static const char USAGE[] =
    "usage: fedge-compress evaluate MODEL --dataset SPEC [OPTION]...\n\n"
    "Measures a model, float32 or INT8, on the test part of a dataset.\n\n"
    "  fedge-compress evaluate r8-int8.onnx --dataset fashion-mnist\n\n";

static void print_metrics(const fl_metrics *m, const fl_runner *runner)
{
    const double count = (double)m->sample_count;
    printf("%llu examples, accuracy %.2f %%, loss %.4f (%s)\n",
           (unsigned long long)m->sample_count,
           100.0 * (double)m->correct_count / count, m->loss_sum / count,
           fl_runner_kernels(runner));
}

static fl_err write_json(const fl_metrics *m, fl_reason *why)
{
    char *text = NULL;
    fl_json *json = fl_json_new();
    const double count = (double)m->sample_count;
    fl_json_count_set(json, "samples", m->sample_count);
    fl_json_number_set(json, "accuracy", (double)m->correct_count / count);
    fl_json_number_set(json, "loss", m->loss_sum / count);
    const fl_err err = fl_json_text(&text, json);
    if (!err) puts(text);
    free(text);
    fl_json_free(json);
    return err ? fl_reason_set(why, err, "no memory for the report") : FL_OK;
}

static fl_err evaluate(const fl_tool *tool, fl_reason *why)
{
    fl_tool_model model = {0};
    fl_dataset *test = NULL;
    fl_runner *runner = NULL;
    uint32_t *rows = NULL;
    fl_metrics metrics;
    fl_err err = fl_tool_read(&model, tool->word, why);
    if (!err) err = fl_tool_runner(&runner, &model, BATCH, why);
    if (!err) err = fl_tool_dataset(&test, FL_DATA_TEST, tool, why);
    if (err) goto out;
    rows = fl_tool_rows(fl_dataset_row_count(test));
    if (!rows) {
        err = fl_reason_set(why, FL_ERR_MEMORY, "no memory for the rows");
        goto out;
    }
    err = fl_runner_evaluate(runner, &metrics, test, rows,
                             fl_dataset_row_count(test), why);
    if (err) goto out;
    if (tool->is_json) {
        err = write_json(&metrics, why);
    } else {
        print_metrics(&metrics, runner);
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
    static fl_option table[6];
    const fl_option own[] = {
        {"data", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the rows that are held out"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
    };
    const size_t count = fl_data_settings_list(table, 4, &tool->data);
    return (fl_command){
        .name = "evaluate",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, 2),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
