/*
 * What bench-infer runs: the networks of the zoo, trained a little, left in
 * build/bench as NETWORK.onnx and, quantised, as NETWORK-int8.onnx. Prints the
 * accuracy of both on Fashion-MNIST's test pictures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/folder.h"
#include "model/model.h"

enum {
    TRAIN_ROWS = 20000,
    CALIBRATION_ROWS = 500,
    TEST_ROWS = 10000,
    TRAIN_BATCH = 32,
    TEST_BATCH = 100,
    PATH_CAP = 256,
};

static const char *const NETWORKS[] = {"lenet", "resnet8", "mobilenetv2-tiny"};

typedef struct {
    fl_dataset *train, *test;
    uint32_t rows[TRAIN_ROWS];  // 0, 1, 2, ...
} bench;

static fl_err bench_open(bench *b, fl_reason *why)
{
    const fl_data_options data = {.spec = "fashion-mnist"};
    for (uint32_t i = 0; i < TRAIN_ROWS; i++)
        b->rows[i] = i;
    FL_TRY(fl_dataset_open(&b->train, FL_DATA_TRAIN, &data, why));
    FL_TRY(fl_dataset_open(&b->test, FL_DATA_TEST, &data, why));
    return fl_folder_make("build/bench", 0755, why);
}

static fl_err train(fl_model *model, const bench *b, fl_reason *why)
{
    const fl_train_options options = {
        .epochs = 1, .batch = TRAIN_BATCH, .lr = 0.02F, .momentum = 0.9F};
    const fl_trainer_options needs = {.batch_cap = TRAIN_BATCH,
                                      .with_gradients = true};
    fl_trainer *trainer;
    fl_metrics metrics;
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_SHUFFLE, 0);
    FL_TRY(fl_trainer_new(&trainer, model, &needs, why));
    const fl_err err =
        fl_trainer_run(trainer, fl_model_params(model), &metrics, b->train,
                       b->rows, TRAIN_ROWS, &options, &random, why);
    fl_trainer_free(trainer);
    return err;
}

/* ---- files ---- */

static fl_err write_file(const char *name, const char *ending,
                         const uint8_t *bytes, size_t len, fl_reason *why)
{
    char path[PATH_CAP];
    snprintf(path, sizeof path, "build/bench/%s%s.onnx", name, ending);
    return fl_file_write(path, bytes, len, 0644, why);
}

static fl_err save_model(const fl_model *model, const char *name,
                         fl_reason *why)
{
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len);
    if (!bytes) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_model_encode(model, bytes, len);
    if (!err) err = write_file(name, "", bytes, len, why);
    free(bytes);
    return err;
}

static fl_err save_quantized(const fl_int8_model *quantized, const char *name,
                             fl_reason *why)
{
    const size_t len = fl_int8_bytes(quantized, FL_QDQ_PLAIN);
    uint8_t *bytes = malloc(len);
    if (!bytes) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    fl_err err = fl_int8_encode(quantized, FL_QDQ_PLAIN, bytes, len);
    if (!err) err = write_file(name, "-int8", bytes, len, why);
    free(bytes);
    return err;
}

/* ---- figures ---- */

// Of the runner, which it frees.
static fl_err measure_accuracy(double *accuracy_pct, fl_runner *runner,
                               const bench *b, fl_reason *why)
{
    fl_metrics metrics = {0};
    const fl_err err =
        fl_runner_evaluate(runner, &metrics, b->test, b->rows, TEST_ROWS, why);
    *accuracy_pct = 100.0 * (double)metrics.correct_count / TEST_ROWS;
    fl_runner_free(runner);
    return err;
}

static fl_err compare_accuracy(const fl_model *model,
                               const fl_int8_model *quantized, const char *name,
                               const bench *b, fl_reason *why)
{
    // What 10,000 pictures can tell apart; a ratio cannot be against zero.
    const double least_pct = 100.0 / TEST_ROWS;
    fl_runner *runner;
    double fp32_pct, int8_pct;
    FL_TRY(fl_runner_new(&runner, model, TEST_BATCH, why));
    FL_TRY(measure_accuracy(&fp32_pct, runner, b, why));
    FL_TRY(fl_runner_new_int8(&runner, quantized, TEST_BATCH, why));
    FL_TRY(measure_accuracy(&int8_pct, runner, b, why));

    const double lost_pct = fp32_pct - int8_pct;
    printf("%s_fp32_accuracy_pct %.2f %%\n", name, fp32_pct);
    printf("%s_int8_accuracy_pct %.2f %%\n", name, int8_pct);
    printf("%s_int8_points_lost %.2f points\n", name,
           lost_pct > least_pct ? lost_pct : least_pct);
    return FL_OK;
}

static fl_err count_folded(const fl_model *model, const char *name,
                           fl_reason *why)
{
    fl_model *folded;
    FL_TRY(fl_model_fold(&folded, model, why));
    printf("%s_folded_params %zu floats\n", name, fl_model_param_count(folded));
    fl_model_free(folded);
    return FL_OK;
}

static fl_err make_files(const char *name, const bench *b, fl_reason *why)
{
    const fl_model_options options = {
        .name = name, .input = {28, 28, 1}, .class_count = 10, .seed = 1};
    const fl_int8_options minmax = {.calibrate = FL_CALIBRATE_MINMAX};
    fl_model *model = NULL;
    fl_int8_model *quantized = NULL;
    fl_err err = fl_model_new(&model, &options, why);
    if (!err) err = train(model, b, why);
    if (!err) err = count_folded(model, name, why);
    if (!err) err = save_model(model, name, why);
    if (!err) {
        err = fl_int8_quantize(&quantized, model, b->train, b->rows,
                               CALIBRATION_ROWS, &minmax, why);
    }
    if (!err) err = save_quantized(quantized, name, why);
    if (!err) err = compare_accuracy(model, quantized, name, b, why);
    fl_int8_free(quantized);
    fl_model_free(model);
    return err;
}

int main(void)
{
    static bench b;
    fl_reason why = {""};
    fl_err err = bench_open(&b, &why);
    for (size_t i = 0; !err && i < sizeof NETWORKS / sizeof *NETWORKS; i++)
        err = make_files(NETWORKS[i], &b, &why);
    if (err) fprintf(stderr, "infer_models_once_bench: %s\n", why.text);
    fl_dataset_free(b.train);
    fl_dataset_free(b.test);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
