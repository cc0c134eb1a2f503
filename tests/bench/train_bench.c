/*
 * LeNet on Fashion-MNIST, batch 32, one thread: training and evaluation in
 * images a second of CPU time (median of RUNS), and the peak memory of
 * training beyond the data. The peer is train_torch.py, which does the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"

enum { RUNS = 7, TRAIN_ROWS = 9600, TEST_ROWS = 10000, BATCH = 32 };

typedef struct {
    fl_dataset *train, *test;
    fl_model *model;
    fl_trainer *trainer;
    uint32_t *rows;
} bench;

static fl_err bench_open(bench *b, fl_reason *why)
{
    const fl_data_options data = {.spec = "fashion-mnist"};
    FL_TRY(fl_dataset_open(&b->train, FL_DATA_TRAIN, &data, why));
    FL_TRY(fl_dataset_open(&b->test, FL_DATA_TEST, &data, why));
    const fl_model_options model = {
        .name = "lenet", .input = {28, 28, 1}, .class_count = 10, .seed = 1};
    FL_TRY(fl_model_new(&b->model, &model, why));
    FL_TRY(fl_trainer_new(
        &b->trainer, b->model,
        &(fl_trainer_options){.batch_cap = BATCH, .with_gradients = true},
        why));
    b->rows = malloc(TEST_ROWS * sizeof *b->rows);
    if (!b->rows) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < TEST_ROWS; i++)
        b->rows[i] = i;
    return FL_OK;
}

static void bench_close(bench *b)
{
    fl_dataset_free(b->train);
    fl_dataset_free(b->test);
    fl_trainer_free(b->trainer);
    fl_model_free(b->model);
    free(b->rows);
}

/* ---- memory ---- */

// From here on the peak counts anew (proc(5), clear_refs).
static void reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file) return;
    fputs("5", file);
    fclose(file);
}

static double peak_bytes(void)
{
    char line[128];
    double kib = 0.0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0.0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "VmHWM:", 6) == 0) kib = strtod(line + 6, NULL);
    }
    fclose(file);
    return kib * 1024.0;
}

/* ---- time ---- */

static int compare_number(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, RUNS, sizeof *values, compare_number);
    return values[RUNS / 2];
}

static fl_err measure_training(double *images_per_s, bench *b, fl_reason *why)
{
    const fl_train_options options = {
        .epochs = 1, .batch = BATCH, .lr = 0.02F, .momentum = 0.9F};
    double rates[RUNS];
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_SHUFFLE, 0);
    for (size_t i = 0; i < RUNS; i++) {
        fl_metrics metrics;
        const int64_t start_us = fl_clock_cpu_us();
        FL_TRY(fl_trainer_run(b->trainer, fl_model_params(b->model), &metrics,
                              b->train, b->rows, TRAIN_ROWS, &options, &random,
                              why));
        rates[i] = TRAIN_ROWS * 1e6 / (double)(fl_clock_cpu_us() - start_us);
    }
    *images_per_s = median(rates);
    return FL_OK;
}

static fl_err measure_evaluation(double *images_per_s, double *accuracy_pct,
                                 bench *b, fl_reason *why)
{
    double rates[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        fl_metrics metrics;
        const int64_t start_us = fl_clock_cpu_us();
        FL_TRY(fl_trainer_evaluate(b->trainer, &metrics,
                                   fl_model_params(b->model), b->test, b->rows,
                                   TEST_ROWS, why));
        rates[i] = TEST_ROWS * 1e6 / (double)(fl_clock_cpu_us() - start_us);
        *accuracy_pct = 100.0 * (double)metrics.correct_count / TEST_ROWS;
    }
    *images_per_s = median(rates);
    return FL_OK;
}

static fl_err measure(bench *b, fl_reason *why)
{
    double training, evaluation, accuracy_pct;
    const double data_bytes =
        (double)(fl_dataset_bytes(b->train) + fl_dataset_bytes(b->test));
    reset_peak();
    FL_TRY(measure_training(&training, b, why));
    const double beyond = peak_bytes() - data_bytes;
    FL_TRY(measure_evaluation(&evaluation, &accuracy_pct, b, why));
    printf("lenet_train_images_per_s %.0f images/s\n", training);
    printf("lenet_evaluate_images_per_s %.0f images/s\n", evaluation);
    printf("lenet_train_rss_mib %.2f MiB\n", beyond / 1048576.0);
    printf("lenet_train_accuracy_pct %.2f %%\n", accuracy_pct);
    return FL_OK;
}

int main(void)
{
    bench b = {0};
    fl_reason why = {""};
    fl_err err = bench_open(&b, &why);
    if (!err) err = measure(&b, &why);
    if (err) fprintf(stderr, "train_bench: %s\n", why.text);
    bench_close(&b);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
