/*
 * fedge-compress advise: what suits a device, by trying it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/gnuplot.h"
#include "base/json.h"
#include "compress/plans.h"

static const char USAGE[] =
    "usage: fedge-compress advise MODEL --dataset SPEC [OPTION]...\n\n"
    "Tries ways to make a trained model smaller: float16, INT8 by each "
    "calibration, fewer\nchannels or thinner layers and then INT8, HQP. "
    "Measures each on the test part and\non this machine, and prints them, "
    "the best first: of those within all limits the\none whose bytes times "
    "milliseconds are least. Ctrl-C ends it with what was tried.\n\n"
    "  fedge-compress advise r8.onnx --dataset fashion-mnist --max-bytes "
    "100000 \\\n"
    "                        --max-drop 1 --plot advice.svg --out "
    "best.onnx\n\n";

typedef struct {
    const fl_tool *tool;
    fl_training training;
    fl_model *model;
    fl_advice_limits limits;
    fl_advice results[FL_PLANS_MAX];
    size_t count;
    fl_advice best;
    uint8_t *best_bytes;  // the file of `best`
    size_t best_len;
} advise;

/* ---- results as they come ---- */

static fl_err keep_best(advise *a, const fl_advice *advice,
                        const uint8_t *bytes, size_t len)
{
    if (a->best_bytes && !fl_advice_is_better(advice, &a->best, &a->limits)) {
        return FL_OK;
    }
    uint8_t *copy = malloc(len);
    if (!copy) return FL_ERR_MEMORY;
    memcpy(copy, bytes, len);
    free(a->best_bytes);
    a->best = *advice;
    a->best_bytes = copy;
    a->best_len = len;
    return FL_OK;
}

static fl_err take_result(void *self, const fl_advice *advice,
                          const uint8_t *bytes, size_t len)
{
    advise *a = self;
    assert(a->count < FL_PLANS_MAX);
    // The first one is the model as it is.
    if (a->count == 0) a->limits.accuracy = advice->accuracy;
    a->results[a->count++] = *advice;
    if (!a->tool->is_quiet) {
        fl_progress_finish(&a->training.progress);
        fprintf(stderr, "%-22s %7.2f %% %10zu bytes %9.3f ms\n", advice->name,
                100.0 * advice->accuracy, advice->file_bytes,
                advice->latency_ms);
    }
    return keep_best(a, advice, bytes, len);
}

static void take_skip(void *self, const char *name, const char *reason)
{
    const advise *a = self;
    if (!a->tool->is_quiet) fprintf(stderr, "%-22s %s\n", name, reason);
}

/* ---- the report ---- */

static bool fits(const advise *a, const fl_advice *r)
{
    return fl_advice_excess(r, &a->limits) <= 1.0;
}

static void print_table(const advise *a)
{
    char verdict[FL_ADVICE_TEXT_CAP];
    printf("%-22s %10s %12s %10s %12s  %s\n", "plan", "accuracy", "bytes", "ms",
           "memory", "");
    for (size_t i = 0; i < a->count; i++) {
        const fl_advice *r = &a->results[i];
        fl_advice_verdict(verdict, r, &a->limits);
        printf("%-22s %8.2f %% %12zu %10.3f %12zu  %s\n", r->name,
               100.0 * r->accuracy, r->file_bytes, r->latency_ms,
               r->memory_bytes, verdict);
    }
}

static fl_json *result_json(const advise *a, const fl_advice *r)
{
    char verdict[FL_ADVICE_TEXT_CAP];
    fl_json *json = fl_json_new();
    fl_advice_verdict(verdict, r, &a->limits);
    fl_json_text_set(json, "plan", r->name);
    fl_json_number_set(json, "accuracy", r->accuracy);
    fl_json_count_set(json, "bytes", r->file_bytes);
    fl_json_number_set(json, "p50_ms", r->latency_ms);
    fl_json_count_set(json, "memory_bytes", r->memory_bytes);
    fl_json_bool_set(json, "fits", fits(a, r));
    fl_json_text_set(json, "verdict", verdict);
    return json;
}

static fl_err print_json(const advise *a, fl_reason *why)
{
    fl_json *json = fl_json_new();
    fl_json_text_set(json, "model", a->tool->word);
    fl_json_text_set(json, "best", a->best.name);
    for (size_t i = 0; i < a->count; i++) {
        fl_json_object_add(json, "plans", result_json(a, &a->results[i]));
    }
    return fl_tool_print_json(json, why);
}

/* ---- the picture ---- */

// Names would lie on each other: points have numbers, a list the names.
static void print_points(FILE *script, const advise *a)
{
    fputs("$plans << end\n", script);
    for (size_t i = 0; i < a->count; i++) {
        const fl_advice *r = &a->results[i];
        fprintf(script, "%zu %.9g %.6g %d %zu\n", r->file_bytes, r->latency_ms,
                100.0 * r->accuracy, fits(a, r), i + 1);
    }
    fputs("end\n", script);
}

static void print_panel(FILE *script, unsigned column, const char *label)
{
    fprintf(script,
            "set xlabel '%s'\n"
            "plot $plans using ($4>0?$%u:NaN):3 with points pt 7 ps 0.8 "
            "lc rgb '#1f6fb4', "
            "'' using ($4>0?NaN:$%u):3 with points pt 6 ps 0.8 "
            "lc rgb '#999999', "
            "'' using %u:3:5 with labels left offset 0.6,0.4 font ',11'\n",
            label, column, column, column);
}

static void print_list(FILE *script, const advise *a)
{
    fputs("unset border\nunset tics\nunset grid\nunset xlabel\n"
          "unset logscale\nset offsets 0,0,0,0\n"
          "set key left center Left reverse noenhanced font ',12' "
          "title 'filled: within all limits'\nplot ",
          script);
    for (size_t i = 0; i < a->count; i++) {
        const bool is_good = fits(a, &a->results[i]);
        fprintf(script,
                "%s2 with points pt %d ps 0.8 lc rgb '%s' title "
                "'%zu  %s'",
                i ? "" : "[0:1] [0:1] ", is_good ? 7 : 6,
                is_good ? "#1f6fb4" : "#999999", i + 1, a->results[i].name);
        fputs(i + 1 < a->count ? ", " : "\n", script);
    }
}

static fl_err write_picture(const advise *a, fl_reason *why)
{
    FILE *script;
    const char *path = a->tool->plot;
    FL_TRY(fl_gnuplot_begin(&script, path, why));
    fl_gnuplot_print_head(script, a->tool->word);
    print_points(script, a);
    // Room for the numbers, and above a single accuracy.
    fputs("set border 3\nunset key\nset logscale x\nset format x '%.0s%c'\n"
          "set offsets graph 0.05, graph 0.1, 1, 1\n"
          "set ylabel 'accuracy on the test part, %'\n"
          "set multiplot layout 1,3\n",
          script);
    print_panel(script, 1, "bytes of the file");
    fputs("unset title\nunset ylabel\nset format x '%g'\n", script);
    print_panel(script, 2, "milliseconds an example");
    print_list(script, a);
    fputs("unset multiplot\n", script);
    return fl_gnuplot_finish(script, path, why);
}

/* ---- the run ---- */

static fl_err write_best(const advise *a, fl_reason *why)
{
    const fl_tool *tool = a->tool;
    if (!fits(a, &a->best)) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND,
                             "no plan is within all limits, the nearest is "
                             "%s: %s is not written; widen a limit, or try "
                             "more --epochs",
                             a->best.name, tool->out);
    }
    return fl_file_write(tool->out, a->best_bytes, a->best_len, 0644, why);
}

static fl_err report(advise *a, fl_reason *why)
{
    fl_advice_sort(a->results, a->count, &a->limits);
    if (a->tool->is_json) {
        FL_TRY(print_json(a, why));
    } else if (!a->tool->is_quiet) {
        print_table(a);
    }
    if (a->tool->plot) FL_TRY(write_picture(a, why));
    return a->tool->out ? write_best(a, why) : FL_OK;
}

static fl_err open_all(advise *a, fl_reason *why)
{
    const fl_tool *tool = a->tool;
    if (tool->out) FL_TRY(fl_file_check(tool->out, why));
    if (tool->plot) FL_TRY(fl_file_check(tool->plot, why));
    if (tool->plot) FL_TRY(fl_gnuplot_check("--plot", why));
    FL_TRY(fl_tool_read_float(&a->model, tool->word, why));
    return fl_training_open(&a->training, why);
}

static fl_err try_plans(advise *a, fl_reason *why)
{
    const fl_plans plans = {
        .training = &a->training,
        .model = a->model,
        .epochs = (uint32_t)a->tool->epochs,
        .calibrate_count = (size_t)a->tool->row_count,
        .max_drop = a->tool->max_drop,
        .holdout = a->tool->holdout,
        .on_result = take_result,
        .on_skip = take_skip,
        .self = a,
    };
    const fl_err err = fl_plans_try(&plans, why);
    if (err && (err != FL_ERR_CANCELLED || a->count == 0)) return err;
    FL_TRY(report(a, why));
    return err;
}

static int run(const void *settings, fl_reason *why)
{
    const fl_tool *tool = settings;
    advise a = {
        .tool = tool,
        .limits = {.file_bytes = (size_t)tool->max_bytes,
                   .memory_bytes = (size_t)tool->max_memory,
                   .latency_ms = tool->max_latency_ms,
                   .drop = tool->max_drop},
    };
    if (!tool->data.dataset) {
        (void)!fl_reason_set(why, FL_ERR_RANGE, "advise needs --dataset SPEC");
        return FL_EXIT_USAGE;
    }
    if (fl_training_init(&a.training, tool, tool->prune_lr, why)) {
        return FL_EXIT_USAGE;
    }
    fl_err err = open_all(&a, why);
    if (!err) err = try_plans(&a, why);
    free(a.best_bytes);
    fl_training_close(&a.training);
    fl_model_free(a.model);
    return fl_program_exit(err);
}

fl_command fl_advise_command(fl_tool *tool)
{
    const fl_option own[] = {
        {"limits", "max-bytes", FL_OPTION_COUNT, &tool->max_bytes, 0, 9e15, "N",
         "of the file; 0: any"},
        {"limits", "max-latency-ms", FL_OPTION_NUMBER, &tool->max_latency_ms, 0,
         1e9, "X", "median of one example, on this machine; 0: any"},
        {"limits", "max-drop", FL_OPTION_NUMBER, &tool->max_drop, 0, 100, "X",
         "points of accuracy that may be lost"},
        {"limits", "max-memory", FL_OPTION_COUNT, &tool->max_memory, 0, 9e15,
         "N", "bytes at work; 0: any"},
        {"data", "rows", FL_OPTION_COUNT, &tool->row_count, 1, 1 << 24, "N",
         "training rows that calibration and ranking look at"},
        {"data", "holdout", FL_OPTION_NUMBER, &tool->holdout, 0.001, 0.9, "X",
         "share of the training rows that only the guard of HQP sees"},
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the order of rows"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the best plan's model, ONNX"},
        {"run", "plot", FL_OPTION_TEXT, &tool->plot, 0, 0, "FILE",
         "accuracy against bytes and time, SVG"},
        {"run", "json", FL_OPTION_FLAG, &tool->is_json, 0, 0, NULL,
         "print one JSON object"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "no progress and no table"},
    };
    enum { OWN = sizeof own / sizeof *own };
    static fl_option
        table[FL_DATA_SETTINGS_DATASET + FL_TRAINING_OPTIONS + OWN];
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_training_list(table, count, tool, &tool->prune_lr);
    return (fl_command){
        .name = "advise",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count = fl_tool_options(table, count, own, OWN),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
