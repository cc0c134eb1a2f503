/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/pruning.h"

#include <stdio.h>

#include "compress/model/latency.h"

enum { RUNS = 200 };

static const char *const IMPORTANCES[] = {"fisher", "taylor", "magnitude",
                                          NULL};
static const char *const COSTS[] = {"params", "macs", "latency", NULL};

/* ---- options ---- */

size_t fl_pruning_list(fl_option *table, size_t count, fl_tool *tool)
{
    const fl_option own[FL_PRUNING_OPTIONS] = {
        {"pruning", "importance", FL_OPTION_TEXT, &tool->importance, 0, 0,
         "HOW",
         "what a channel matters: fisher, taylor (by gradients) or magnitude "
         "(of weights)"},
        {"pruning", "cost", FL_OPTION_TEXT, &tool->cost, 0, 0, "WHAT",
         "what it is weighed against: params, macs, or latency as measured "
         "here"},
        {"pruning", "multiple", FL_OPTION_COUNT, &tool->multiple, 1, 4096, "N",
         "channels that are left of a group are a multiple of this"},
        {"pruning", "keep-min", FL_OPTION_NUMBER, &tool->keep_min, 0, 1, "X",
         "share of each group's channels that stays whatever happens"},
        {"pruning", "rows", FL_OPTION_COUNT, &tool->row_count, 1, 1 << 24, "N",
         "training rows to measure importance on, and to calibrate with"},
    };
    return fl_tool_options(table, count, own, FL_PRUNING_OPTIONS);
}

fl_err fl_pruning_read(fl_pruning_choices *choices, const fl_tool *tool,
                       fl_reason *why)
{
    unsigned importance, cost;
    FL_TRY(fl_tool_choice(&importance, "importance", tool->importance,
                          IMPORTANCES, why));
    FL_TRY(fl_tool_choice(&cost, "cost", tool->cost, COSTS, why));
    *choices = (fl_pruning_choices){
        .importance = (fl_importance_kind)importance,
        .cost = (fl_prune_cost)cost,
    };
    return FL_OK;
}

fl_err fl_pruning_rows(uint32_t **rows, const fl_dataset *dataset,
                       const fl_tool *tool, fl_reason *why)
{
    return fl_tool_draw_rows(rows, dataset, tool, FL_RANDOM_SPLIT, why);
}

uint32_t fl_pruning_hold_out(fl_tune_options *tune, const uint32_t *rows,
                             double share)
{
    const size_t held = (size_t)(share * (double)tune->row_count + 0.5);
    tune->rows = rows + held;
    tune->row_count -= held;
    return (uint32_t)held;
}

/* ---- measuring ---- */

static fl_err time_row(fl_pruning_row *row, fl_reason *why)
{
    fl_runner *runner = NULL;
    double ns = 0.0;
    fl_err err = row->quantized
                     ? fl_runner_new_int8(&runner, row->quantized, 1, why)
                     : fl_runner_new(&runner, row->model, 1, why);
    if (!err) err = fl_latency_runner(&ns, runner, RUNS, why);
    fl_runner_free(runner);
    row->us = ns / 1e3;
    return err;
}

static fl_err measure(fl_pruning_row *row, const fl_training *training,
                      fl_reason *why)
{
    FL_TRY(time_row(row, why));
    if (row->quantized) {
        row->byte_count = fl_int8_bytes(row->quantized, row->profile);
    } else {
        row->cost = fl_slim_cost(row->model);
        row->byte_count = fl_model_bytes(row->model);
    }
    if (!training->test) return FL_OK;
    if (row->quantized) {
        return fl_training_measure_int8(training, &row->metrics, row->quantized,
                                        why);
    }
    return fl_training_measure(training, &row->metrics, row->model, why);
}

fl_err fl_pruning_measure(fl_pruning_row *rows, size_t count,
                          const fl_training *training, fl_reason *why)
{
    for (size_t i = 0; i < count; i++) {
        FL_TRY(measure(&rows[i], training, why));
    }
    return FL_OK;
}

/* ---- showing ---- */

void fl_pruning_print(const fl_pruning_row *rows, size_t count)
{
    printf("%-16s %10s %12s %12s %12s %10s\n", "", "accuracy", "parameters",
           "bytes", "kMAC", "us");
    for (size_t i = 0; i < count; i++) {
        const fl_pruning_row *row = &rows[i];
        char accuracy[16] = "-";
        if (row->metrics.sample_count > 0) {
            snprintf(accuracy, sizeof accuracy, "%.2f %%",
                     100.0 * (double)row->metrics.correct_count /
                         (double)row->metrics.sample_count);
        }
        printf("%-16s %10s %12zu %12zu %12.1f %10.1f\n", row->name, accuracy,
               row->cost.param_count, row->byte_count,
               (double)row->cost.mac_count / 1e3, row->us);
    }
}

static fl_json *row_json(const fl_pruning_row *row)
{
    fl_json *json = fl_json_new();
    fl_json_text_set(json, "name", row->key);
    if (row->metrics.sample_count > 0) {
        const double count = (double)row->metrics.sample_count;
        fl_json_count_set(json, "samples", row->metrics.sample_count);
        fl_json_number_set(json, "accuracy",
                           (double)row->metrics.correct_count / count);
        fl_json_number_set(json, "loss", row->metrics.loss_sum / count);
    }
    fl_json_count_set(json, "parameters", row->cost.param_count);
    fl_json_count_set(json, "bytes", row->byte_count);
    fl_json_count_set(json, "macs", row->cost.mac_count);
    fl_json_number_set(json, "us", row->us);
    return json;
}

fl_json *fl_pruning_json(const fl_pruning_row *rows, size_t count)
{
    fl_json *json = fl_json_new();
    for (size_t i = 0; i < count; i++) {
        fl_json_object_add(json, "models", row_json(&rows[i]));
    }
    return json;
}
