/*
 * One example a call, one thread: microseconds a call in float32 and in INT8
 * of the files that infer_models_once_bench left in build/bench, through the
 * interface that programs use. The peers are infer_ort.js, which reads the same
 * files, and infer_xnnpack.c.
 *
 *   infer_bench NETWORK
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "model/model.h"
#include "tests/support/measure.h"

enum { PATH_CAP = 256, PIXELS = 28 * 28, CLASSES = 10 };

typedef fl_err open_runner(fl_runner **runner, const uint8_t *src,
                           size_t src_len, fl_reason *why);

static fl_err open_fp32(fl_runner **runner, const uint8_t *src, size_t src_len,
                        fl_reason *why)
{
    fl_model *model;
    FL_TRY(fl_model_decode(&model, src, src_len, why));
    const fl_err err = fl_runner_new(runner, model, 1, why);
    fl_model_free(model);
    return err;
}

static fl_err open_int8(fl_runner **runner, const uint8_t *src, size_t src_len,
                        fl_reason *why)
{
    fl_int8_model *quantized;
    FL_TRY(fl_int8_decode(&quantized, src, src_len, why));
    const fl_err err = fl_runner_new_int8(runner, quantized, 1, why);
    fl_int8_free(quantized);
    return err;
}

static void call(void *self)
{
    static float x[PIXELS], logits[CLASSES];
    for (size_t i = 0; x[1] == 0.0F && i < PIXELS; i++)
        x[i] = (float)(i % 256) / 255.0F;
    if (fl_runner_run(self, logits, x, 1)) abort();
}

static fl_err measure(const char *name, const char *ending, const char *type,
                      open_runner *open, fl_reason *why)
{
    char path[PATH_CAP];
    uint8_t *bytes;
    size_t len;
    fl_runner *runner = NULL;
    snprintf(path, sizeof path, "build/bench/%s%s.onnx", name, ending);
    FL_TRY(fl_file_read(&bytes, &len, path, FL_MODEL_BYTES_MAX, why));
    const fl_err err = open(&runner, bytes, len, why);
    if (!err) {
        printf("%s_%s_us %.2f us\n", name, type, measure_call_us(call, runner));
        printf("%s_%s_memory_kib %.1f KiB\n", name, type,
               (double)fl_runner_bytes(runner) / 1024.0);
        fprintf(stderr, "infer_bench: %s in %s: %s kernels\n", name, type,
                fl_runner_kernels(runner));
    }
    fl_runner_free(runner);
    free(bytes);
    return err;
}

int main(int argc, char **argv)
{
    fl_reason why = {"name a network"};
    fl_err err = FL_ERR_RANGE;
    if (argc == 2) {
        err = measure(argv[1], "", "fp32", open_fp32, &why);
        if (!err) err = measure(argv[1], "-int8", "int8", open_int8, &why);
    }
    if (err) fprintf(stderr, "infer_bench: %s\n", why.text);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
