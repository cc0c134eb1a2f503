/*
 * fedge-compress qat: trains a model on as it will run in INT8.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "compress/calibration.h"
#include "compress/training.h"

static const char USAGE[] =
    "usage: fedge-compress qat MODEL --dataset SPEC --out FILE "
    "[OPTION]...\n\n"
    "Trains a trained model on with the rounding of INT8 in it "
    "(quantisation-aware\ntraining) and writes it quantised, as an ONNX file "
    "in the QDQ form. Batch norms\nare folded into the layers before them "
    "first. Worth its time where quantize\nloses more accuracy than you can "
    "spare.\n\n"
    "  fedge-compress qat m2.onnx --dataset fashion-mnist --out m2-int8.onnx\n"
    "  fedge-compress qat m2.onnx --dataset fashion-mnist --teacher m2.onnx "
    "\\\n"
    "                     --epochs 3 --lr 0.0005 --out m2-int8.onnx\n\n";

typedef struct {
    const fl_tool *tool;
    fl_calibration calibration;
    fl_training training;
    fl_model *model, *prepared;
    fl_range *ranges;
    size_t range_count;
    fl_int8_model *quantized;
} qat;

/* ---- ranges ---- */

static fl_err find_ranges(qat *q, fl_reason *why)
{
    uint32_t *rows = NULL;
    size_t row_count;
    FL_TRY(fl_int8_range_count(&q->range_count, q->model, why));
    // One too many keeps a model without ranges out of malloc(0).
    q->ranges = malloc((q->range_count + 1) * sizeof *q->ranges);
    if (!q->ranges) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    FL_TRY(fl_calibration_rows(&rows, &row_count, q->tool, q->training.train,
                               why));
    const fl_err err = fl_int8_calibrate(q->ranges, q->range_count, q->model,
                                         q->training.train, rows, row_count,
                                         &q->calibration.options, why);
    free(rows);
    return err;
}

/* ---- reports ---- */

static void print_metrics(const char *what, const fl_metrics *m)
{
    const double count = (double)m->sample_count;
    printf("%-20s accuracy %.2f %%, loss %.4f\n", what,
           100.0 * (double)m->correct_count / count, m->loss_sum / count);
}

static fl_err report_int8(const qat *q, const char *what,
                          const fl_int8_model *quantized, fl_reason *why)
{
    fl_metrics m;
    FL_TRY(fl_training_measure_int8(&q->training, &m, quantized, why));
    print_metrics(what, &m);
    return FL_OK;
}

// What there is without this command: float32, and INT8 by the same ranges.
static fl_err report_before(const qat *q, fl_reason *why)
{
    fl_metrics m;
    fl_int8_model *untrained = NULL;
    FL_TRY(fl_training_measure(&q->training, &m, q->model, why));
    print_metrics("float32", &m);
    FL_TRY(fl_int8_quantize_ranges(&untrained, q->model, q->ranges,
                                   q->range_count,
                                   q->calibration.options.is_symmetric, why));
    const fl_err err = report_int8(q, "INT8, not trained on", untrained, why);
    fl_int8_free(untrained);
    return err;
}

static fl_err report_after(const qat *q, fl_reason *why)
{
    FL_TRY(report_int8(q, "INT8, trained on", q->quantized, why));
    printf("%s: %zu bytes, float32 has %zu, %u test examples\n", q->tool->out,
           fl_int8_bytes(q->quantized, q->calibration.profile),
           fl_model_bytes(q->model), fl_dataset_row_count(q->training.test));
    return FL_OK;
}

/* ---- the run ---- */

static fl_err train(qat *q, fl_reason *why)
{
    const fl_tool *tool = q->tool;
    FL_TRY(fl_qat_prepare(&q->prepared, q->model, q->ranges, q->range_count,
                          q->calibration.options.is_symmetric, why));
    const fl_err err =
        fl_training_run(&q->training, q->prepared, (uint32_t)tool->epochs, why);
    const bool is_stopped = err == FL_ERR_CANCELLED;
    if (err && !is_stopped) return err;
    FL_TRY(fl_qat_finish(&q->quantized, q->prepared, why));
    FL_TRY(fl_tool_write_int8(q->quantized, q->calibration.profile, tool->out,
                              why));
    return is_stopped ? err : FL_OK;
}

static fl_err run_all(qat *q, fl_reason *why)
{
    const bool is_quiet = q->tool->is_quiet;
    FL_TRY(fl_file_check(q->tool->out, why));
    FL_TRY(fl_tool_read_float(&q->model, q->tool->word, why));
    FL_TRY(fl_training_open(&q->training, why));
    FL_TRY(find_ranges(q, why));
    if (!is_quiet) FL_TRY(report_before(q, why));
    FL_TRY(train(q, why));
    return is_quiet ? FL_OK : report_after(q, why);
}

static fl_err check(qat *q, fl_reason *why)
{
    FL_TRY(fl_tool_needs_data("qat", q->tool, why));
    FL_TRY(fl_calibration_init(&q->calibration, q->tool, why));
    return fl_training_init(&q->training, q->tool, q->tool->qat_lr, why);
}

static int run(const void *settings, fl_reason *why)
{
    qat q = {.tool = settings};
    if (check(&q, why)) return FL_EXIT_USAGE;
    const fl_err err = run_all(&q, why);
    fl_int8_free(q.quantized);
    fl_model_free(q.prepared);
    free(q.ranges);
    fl_training_close(&q.training);
    fl_model_free(q.model);
    return fl_program_exit(err);
}

fl_command fl_qat_command(fl_tool *tool)
{
    static fl_option table[FL_DATA_SETTINGS_DATASET + FL_TRAINING_OPTIONS +
                           FL_CALIBRATION_OPTIONS + 3];
    const fl_option own[] = {
        {"run", "seed", FL_OPTION_COUNT, &tool->seed, 0, 9e15, "N",
         "of the order of rows, and of those to calibrate with"},
        {"run", "out", FL_OPTION_TEXT, &tool->out, 0, 0, "FILE",
         "the quantised model, ONNX"},
        {"run", "quiet", FL_OPTION_FLAG, &tool->is_quiet, 0, 0, NULL,
         "no progress line and no result"},
    };
    size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_DATASET, &tool->data);
    count = fl_calibration_list(table, count, tool);
    count = fl_training_list(table, count, tool, &tool->qat_lr);
    return (fl_command){
        .name = "qat",
        .run = run,
        .usage = USAGE,
        .options = table,
        .option_count =
            fl_tool_options(table, count, own, sizeof own / sizeof *own),
        .operand = "MODEL",
        .word = &tool->word,
    };
}
