/*
 * A network on Fashion-MNIST, batch 32: training and evaluation on one thread
 * in images a second of CPU time, training on one and on two threads in images
 * a second by the wall clock, each the median of RUNS; and the peak memory of
 * training on one thread, beyond the data. The peer is train_torch.py, which
 * does the same.
 *
 *   train_bench NETWORK
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/model.h"
#include "tests/support/measure.h"

enum { RUNS = 7, BATCH = 32 };

static const struct {
    const char *name;
    size_t row_count;  // that one run trains on, and evaluates
} NETWORKS[] = {
    {"lenet", 9600},
    {"resnet8", 1920},
    {"mobilenetv2-tiny", 1920},
};

typedef struct {
    fl_dataset *train, *test;
    fl_model *model;
    uint32_t *rows;
    size_t row_count;
} bench;

typedef struct {
    double cpu_images_per_s, wall_images_per_s;
} rates;

static fl_err bench_open(bench *b, const char *name, fl_reason *why)
{
    const fl_data_options data = {.spec = "fashion-mnist"};
    FL_TRY(fl_dataset_open(&b->train, FL_DATA_TRAIN, &data, why));
    FL_TRY(fl_dataset_open(&b->test, FL_DATA_TEST, &data, why));
    const fl_model_options model = {
        .name = name, .input = {28, 28, 1}, .class_count = 10, .seed = 1};
    FL_TRY(fl_model_new(&b->model, &model, why));
    b->rows = malloc(b->row_count * sizeof *b->rows);
    if (!b->rows) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    for (uint32_t i = 0; i < b->row_count; i++)
        b->rows[i] = i;
    return FL_OK;
}

static void bench_close(bench *b)
{
    fl_dataset_free(b->train);
    fl_dataset_free(b->test);
    fl_model_free(b->model);
    free(b->rows);
}

/* ---- time ---- */

typedef fl_err activity(fl_trainer *trainer, bench *b, fl_metrics *metrics,
                        fl_reason *why);

static fl_err train(fl_trainer *trainer, bench *b, fl_metrics *metrics,
                    fl_reason *why)
{
    const fl_train_options options = {
        .epochs = 1, .batch = BATCH, .lr = 0.02F, .momentum = 0.9F};
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_SHUFFLE, 0);
    return fl_trainer_run(trainer, fl_model_params(b->model), metrics, b->train,
                          b->rows, b->row_count, &options, &random, why);
}

static fl_err evaluate(fl_trainer *trainer, bench *b, fl_metrics *metrics,
                       fl_reason *why)
{
    return fl_trainer_evaluate(trainer, metrics, fl_model_params(b->model),
                               b->test, b->rows, b->row_count, why);
}

static fl_err measure_rates(rates *r, activity *work, fl_trainer *trainer,
                            bench *b, fl_metrics *metrics, fl_reason *why)
{
    double cpu[RUNS], wall[RUNS];
    for (size_t i = 0; i < RUNS; i++) {
        const int64_t cpu_us = fl_clock_cpu_us();
        const int64_t wall_us = fl_clock_monotonic_us();
        FL_TRY(work(trainer, b, metrics, why));
        const double images = (double)b->row_count * 1e6;
        cpu[i] = images / (double)(fl_clock_cpu_us() - cpu_us);
        wall[i] = images / (double)(fl_clock_monotonic_us() - wall_us);
    }
    r->cpu_images_per_s = measure_median(cpu, RUNS);
    r->wall_images_per_s = measure_median(wall, RUNS);
    return FL_OK;
}

/* ---- figures ---- */

static fl_err open_trainer(fl_trainer **trainer, const bench *b,
                           uint32_t thread_count, fl_reason *why)
{
    const fl_trainer_options options = {.batch_cap = BATCH,
                                        .thread_count = thread_count,
                                        .with_gradients = true,
                                        .recompute = true};
    return fl_trainer_new(trainer, b->model, &options, why);
}

static fl_err measure_one_thread(bench *b, const char *name, fl_reason *why)
{
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    rates training, evaluation;
    double beyond;
    const double data_bytes =
        (double)(fl_dataset_bytes(b->train) + fl_dataset_bytes(b->test));
    measure_reset_peak();
    fl_err err = open_trainer(&trainer, b, 1, why);
    if (err) goto out;
    err = measure_rates(&training, train, trainer, b, &metrics, why);
    if (err) goto out;
    beyond = measure_peak_bytes() - data_bytes;
    err = measure_rates(&evaluation, evaluate, trainer, b, &metrics, why);
    if (err) goto out;

    printf("%s_params %zu floats\n", name, fl_model_param_count(b->model));
    printf("%s_train_images_per_s %.0f images/s\n", name,
           training.cpu_images_per_s);
    printf("%s_train_1_thread_images_per_s %.0f images/s\n", name,
           training.wall_images_per_s);
    printf("%s_evaluate_images_per_s %.0f images/s\n", name,
           evaluation.cpu_images_per_s);
    printf("%s_train_rss_mib %.2f MiB\n", name, beyond / 1048576.0);
    printf("%s_train_accuracy_pct %.2f %%\n", name,
           100.0 * (double)metrics.correct_count / (double)b->row_count);

out:
    fl_trainer_free(trainer);
    return err;
}

static fl_err measure_two_threads(bench *b, const char *name, fl_reason *why)
{
    fl_trainer *trainer = NULL;
    fl_metrics metrics;
    rates training;
    FL_TRY(open_trainer(&trainer, b, 2, why));
    const fl_err err =
        measure_rates(&training, train, trainer, b, &metrics, why);
    if (!err) {
        printf("%s_train_2_threads_images_per_s %.0f images/s\n", name,
               training.wall_images_per_s);
    }
    fl_trainer_free(trainer);
    return err;
}

static fl_err find_network(size_t *index, int argc, char **argv, fl_reason *why)
{
    for (*index = 0; *index < sizeof NETWORKS / sizeof *NETWORKS; (*index)++) {
        if (argc == 2 && strcmp(argv[1], NETWORKS[*index].name) == 0) {
            return FL_OK;
        }
    }
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "name one of lenet, resnet8, mobilenetv2-tiny");
}

int main(int argc, char **argv)
{
    bench b = {0};
    fl_reason why = {""};
    size_t network;
    fl_err err = find_network(&network, argc, argv, &why);
    if (err) goto out;
    b.row_count = NETWORKS[network].row_count;
    err = bench_open(&b, NETWORKS[network].name, &why);
    if (err) goto out;
    err = measure_one_thread(&b, NETWORKS[network].name, &why);
    if (err) goto out;
    err = measure_two_threads(&b, NETWORKS[network].name, &why);

out:
    if (err) fprintf(stderr, "train_bench: %s\n", why.text);
    bench_close(&b);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
