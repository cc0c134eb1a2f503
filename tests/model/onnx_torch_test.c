/* Models that PyTorch exported, against what PyTorch computes from them:
 * tests/vectors/onnx/make.py and make_architectures.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "model/model.h"
#include "tests/support/onnx.h"
#include "tests/test.h"

#define FOLDER "tests/vectors/onnx/"

enum { ROWS = 4, LOGITS_CAP = 64 };

static fl_model *decode_file(const char *path)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    size_t len;
    uint8_t *bytes = fl_onnx_edit_read(&len, path);
    const fl_err err = fl_model_decode(&model, bytes, len, &why);
    if (err) fail_msg("%s: %s", path, why.text);
    free(bytes);
    return model;
}

static fl_model *decode_again(const fl_model *model)
{
    fl_model *again = NULL;
    fl_reason why = {""};
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    assert_ok(fl_model_encode(model, bytes, len));
    if (fl_model_decode(&again, bytes, len, &why)) fail_msg("%s", why.text);
    free(bytes);
    return again;
}

static void assert_computes(fl_model *model, const float *x,
                            const float *expected)
{
    float logits[LOGITS_CAP];
    const size_t count = (size_t)ROWS * fl_model_class_count(model);
    assert_true(count <= LOGITS_CAP);
    fl_trainer *trainer = NULL;
    fl_reason why = {""};
    assert_ok(fl_trainer_new(&trainer, model,
                             &(fl_trainer_options){.batch_cap = ROWS}, &why));
    assert_ok(
        fl_trainer_predict(trainer, logits, fl_model_params(model), x, ROWS));
    for (size_t i = 0; i < count; i++)
        assert_float_equal(logits[i], expected[i], 1e-5);
    fl_trainer_free(trainer);
}

// The model as it was read, and as it is after one more write and read.
static void assert_agrees(const char *onnx_path, const char *numbers_path)
{
    fl_model *model = decode_file(onnx_path);
    fl_model *again = decode_again(model);
    size_t len;
    uint8_t *bytes = fl_onnx_edit_read(&len, numbers_path);
    const size_t inputs = ROWS * fl_shape_size(fl_model_input(model));
    const size_t outputs = (size_t)ROWS * fl_model_class_count(model);
    assert_int_equal(len, (inputs + outputs) * sizeof(float));
    float *numbers = malloc(len);
    assert_non_null(numbers);
    memcpy(numbers, bytes, len);

    assert_computes(model, numbers, numbers + inputs);
    assert_computes(again, numbers, numbers + inputs);
    assert_int_equal(fl_model_param_count(again), fl_model_param_count(model));
    assert_memory_equal(fl_model_params(again), fl_model_params(model),
                        fl_model_param_count(model) * sizeof(float));
    free(numbers);
    free(bytes);
    fl_model_free(again);
    fl_model_free(model);
}

TEST(onnx_reads_a_conv_net_from_pytorch)
{
    assert_agrees(FOLDER "cnn.onnx", FOLDER "cnn.f32");
}

TEST(onnx_reads_a_conv_net_of_opset_11)
{
    assert_agrees(FOLDER "cnn-11.onnx", FOLDER "cnn.f32");
}

TEST(onnx_reads_a_conv_net_of_opset_17)
{
    assert_agrees(FOLDER "cnn-17.onnx", FOLDER "cnn.f32");
}

TEST(onnx_follows_a_view_that_computes_its_shape)
{
    assert_agrees(FOLDER "cnn-11-batch.onnx", FOLDER "cnn.f32");
    assert_agrees(FOLDER "cnn-17-batch.onnx", FOLDER "cnn.f32");
}

TEST(onnx_reads_an_mlp_from_pytorch)
{
    assert_agrees(FOLDER "mlp.onnx", FOLDER "mlp.f32");
    assert_agrees(FOLDER "mlp-11.onnx", FOLDER "mlp.f32");
    assert_agrees(FOLDER "mlp-17.onnx", FOLDER "mlp.f32");
}

TEST(onnx_reads_initializers_that_are_inputs_too)
{
    assert_agrees(FOLDER "mlp-11-inputs.onnx", FOLDER "mlp.f32");
}

TEST(onnx_reads_products_of_matrices)
{
    assert_agrees(FOLDER "product.onnx", FOLDER "product.f32");
}

TEST(onnx_reads_a_model_of_table_rows)
{
    assert_agrees(FOLDER "table.onnx", FOLDER "table.f32");
}

/* ---- networks of the edge: make_architectures.py ---- */

static void assert_network_agrees(const char *name)
{
    static const char *const exports[] = {"11", "13", "17"};
    char onnx_path[96], numbers_path[96];
    snprintf(numbers_path, sizeof numbers_path, FOLDER "%s.f32", name);
    for (size_t i = 0; i < 3; i++) {
        snprintf(onnx_path, sizeof onnx_path, FOLDER "%s-%s.onnx", name,
                 exports[i]);
        assert_agrees(onnx_path, numbers_path);
    }
}

TEST(onnx_reads_lenet)
{
    assert_network_agrees("lenet");
}

TEST(onnx_reads_resnet8)
{
    assert_network_agrees("resnet8");
}

TEST(onnx_reads_resnet18)
{
    assert_network_agrees("resnet18");
}

TEST(onnx_reads_mobilenetv2)
{
    assert_network_agrees("mobilenetv2");
}

TEST(onnx_reads_mobilenetv3)
{
    assert_network_agrees("mobilenetv3");
}

TEST(onnx_reads_mobilenetv3_with_its_activations_written_out)
{
    assert_network_agrees("mobilenetv3-old");
}

TEST(onnx_reads_shufflenetv2)
{
    assert_network_agrees("shufflenetv2");
}

TEST(onnx_reads_siamese_towers)
{
    assert_network_agrees("siamese");
    assert_network_agrees("siamese-norm");
}

TEST(onnx_reads_operators_that_no_architecture_has)
{
    assert_network_agrees("mixed");
}

// Exported in training mode: batch norms have outputs that nothing reads.
TEST(onnx_reads_a_network_exported_for_training)
{
    assert_agrees(FOLDER "resnet8-training.onnx",
                  FOLDER "resnet8-training.f32");
}

// All batch norms have the same numbers, and PyTorch wrote them once.
TEST(onnx_reads_a_network_before_training)
{
    assert_agrees(FOLDER "fresh.onnx", FOLDER "fresh.f32");
}

RUN_TESTS(
    cmocka_unit_test(onnx_reads_a_conv_net_from_pytorch),
    cmocka_unit_test(onnx_reads_a_conv_net_of_opset_11),
    cmocka_unit_test(onnx_reads_a_conv_net_of_opset_17),
    cmocka_unit_test(onnx_follows_a_view_that_computes_its_shape),
    cmocka_unit_test(onnx_reads_an_mlp_from_pytorch),
    cmocka_unit_test(onnx_reads_initializers_that_are_inputs_too),
    cmocka_unit_test(onnx_reads_products_of_matrices),
    cmocka_unit_test(onnx_reads_a_model_of_table_rows),
    cmocka_unit_test(onnx_reads_lenet), cmocka_unit_test(onnx_reads_resnet8),
    cmocka_unit_test(onnx_reads_resnet18),
    cmocka_unit_test(onnx_reads_mobilenetv2),
    cmocka_unit_test(onnx_reads_mobilenetv3),
    cmocka_unit_test(onnx_reads_mobilenetv3_with_its_activations_written_out),
    cmocka_unit_test(onnx_reads_shufflenetv2),
    cmocka_unit_test(onnx_reads_siamese_towers),
    cmocka_unit_test(onnx_reads_operators_that_no_architecture_has),
    cmocka_unit_test(onnx_reads_a_network_exported_for_training),
    cmocka_unit_test(onnx_reads_a_network_before_training))
