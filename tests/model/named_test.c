/*
 * Parameters as named tensors are exactly what the ONNX file has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE  // memmem; NOLINT: the system's name
#include <stdlib.h>

#include "model/model.h"
#include "tests/test.h"

static fl_model *make(const char *name)
{
    fl_model *model = NULL;
    const fl_model_options options = {.name = name,
                                      .input = {32, 32, 3},
                                      .class_count = 5,
                                      .mean = (float[]){0.5F, 0.5F, 0.5F},
                                      .deviation = (float[]){2, 2, 2},
                                      .seed = 7};
    assert_ok(fl_model_new(&model, &options, NULL));
    float *params = fl_model_params(model);
    for (size_t i = 0; i < fl_model_param_count(model); i++)
        params[i] = 1.0F + (float)i / 1024;  // each of them another
    return model;
}

static void assert_in_file(const fl_named *tensor, const float *numbers,
                           const uint8_t *file, size_t len)
{
    const uint8_t *name = file;
    // The node says the name too, where it reads the tensor.
    while ((name = memmem(name, len - (size_t)(name - file), tensor->name,
                          strlen(tensor->name)))) {
        const size_t left = len - (size_t)(name - file);
        const size_t size = tensor->count * sizeof(float);
        // Behind the name there are but a tag and a length.
        const size_t window = left < size + 200 ? left : size + 200;
        if (memmem(name, window, numbers, size)) return;
        name++;
    }
    print_error("%s is not in the file as it is named\n", tensor->name);
    fail();
}

static void check(const char *architecture)
{
    fl_named *tensors = NULL;
    size_t count, sum = 0, statistics = 0, variances = 0;
    fl_model *model = make(architecture);
    const size_t param_count = fl_model_param_count(model);
    const float *params = fl_model_get_params(model);
    const size_t len = fl_model_bytes(model);
    uint8_t *file = malloc(len);
    float *numbers = calloc(param_count, sizeof *numbers);
    float *back = calloc(param_count, sizeof *back);
    assert_non_null(file);
    assert_non_null(numbers);
    assert_non_null(back);
    assert_ok(fl_model_encode(model, file, len));
    assert_ok(fl_named_list(&tensors, &count, model, NULL));
    for (size_t i = 0; i < count; i++) {
        size_t product = 1;
        for (uint32_t k = 0; k < tensors[i].dim_count; k++)
            product *= tensors[i].dims[k];
        assert_int_equal(product, tensors[i].count);
        fl_named_get(numbers, &tensors[i], params);
        assert_in_file(&tensors[i], numbers, file, len);
        fl_named_set(back, &tensors[i], numbers);
        sum += tensors[i].count;
        statistics += tensors[i].is_statistic ? tensors[i].count : 0;
        variances += tensors[i].is_variance ? tensors[i].count : 0;
    }
    assert_int_equal(sum, param_count);
    assert_memory_equal(back, params, param_count * sizeof *back);
    assert_int_equal(statistics, 2 * variances);
    assert_int_equal(statistics > 0, strcmp(architecture, "lenet") != 0 &&
                                         strcmp(architecture, "mlp") != 0);
    free(tensors);
    free(back);
    free(numbers);
    free(file);
    fl_model_free(model);
}

TEST(named_tensors_are_those_of_the_onnx_file)
{
    check("mlp");
    check("lenet");
    check("resnet8");
    check("mobilenetv2-tiny");
    check("shufflenetv2");
}

RUN_TESTS(cmocka_unit_test(named_tensors_are_those_of_the_onnx_file))
