/*
 * Quantised models as files: what is written comes back, to the bit, and what
 * is not a quantised model of ours is refused by name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "model/int8/int8.h"
#include "tests/support/onnx.h"
#include "tests/support/tables.h"
#include "tests/test.h"

enum { ROWS = 64, SIDE = 28, CLASSES = 10 };

typedef struct {
    uint8_t *bytes;
    size_t len;
} file;

static fl_int8_model *quantized_model(const char *name, bool is_symmetric)
{
    const float mean = 0.4F, deviation = 0.2F;
    const fl_model_options options = {
        .name = name,
        .input = {SIDE, SIDE, 1},
        .class_count = CLASSES,
        .mean = &mean,
        .deviation = &deviation,
        .seed = 5,
    };
    const fl_int8_options int8 = {.is_symmetric = is_symmetric};
    fl_dataset *dataset = table_of_pictures(ROWS, SIDE, CLASSES);
    fl_model *model = NULL;
    fl_int8_model *quantized = NULL;
    uint32_t rows[ROWS];
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i;
    assert_ok(fl_model_new(&model, &options, NULL));
    assert_ok(
        fl_int8_quantize(&quantized, model, dataset, rows, ROWS, &int8, NULL));
    fl_model_free(model);
    fl_dataset_free(dataset);
    return quantized;
}

static file encode(const fl_int8_model *quantized, fl_qdq_profile profile)
{
    file f = {.len = fl_int8_bytes(quantized, profile)};
    f.bytes = malloc(f.len);
    assert_non_null(f.bytes);
    assert_ok(fl_int8_encode(quantized, profile, f.bytes, f.len));
    return f;
}

static fl_int8_model *decode(const file *f)
{
    fl_int8_model *quantized = NULL;
    fl_reason why = {""};
    const fl_err err = fl_int8_decode(&quantized, f->bytes, f->len, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    return quantized;
}

/* ---- out and in ---- */

static void assert_same_but_biases(const fl_int8_model *a,
                                   const fl_int8_model *b)
{
    assert_int_equal(a->graph.node_count, b->graph.node_count);
    assert_int_equal(a->graph.param_count, b->graph.param_count);
    assert_int_equal(a->channel_count, b->channel_count);
    for (uint32_t i = 0; i < a->graph.node_count; i++) {
        assert_string_equal(a->graph.nodes[i].name, b->graph.nodes[i].name);
        assert_memory_equal(&a->values[i].scale, &b->values[i].scale,
                            sizeof(float));
        assert_int_equal(a->values[i].zero_point, b->values[i].zero_point);
    }
    assert_memory_equal(a->weights, b->weights, a->graph.param_count);
    assert_memory_equal(a->weight_scales, b->weight_scales,
                        a->channel_count * sizeof *a->weight_scales);
}

static void assert_same_numbers(const fl_int8_model *a, const fl_int8_model *b)
{
    assert_same_but_biases(a, b);
    assert_memory_equal(a->biases, b->biases,
                        a->channel_count * sizeof *a->biases);
}

// What two runners say to the same pictures.
static void assert_same_logits(const fl_int8_model *a, const fl_int8_model *b)
{
    enum { OUTPUTS_MAX = 64 };
    float x[SIDE * SIDE], left[OUTPUTS_MAX], right[OUTPUTS_MAX];
    fl_runner *runners[2] = {NULL, NULL};
    assert_ok(fl_runner_new_int8(&runners[0], a, 1, NULL));
    assert_ok(fl_runner_new_int8(&runners[1], b, 1, NULL));
    for (size_t i = 0; i < SIDE * SIDE; i++)
        x[i] = (float)(i * 37 % 256) / 255.0F;
    assert_ok(fl_runner_run(runners[0], left, x, 1));
    assert_ok(fl_runner_run(runners[1], right, x, 1));
    assert_memory_equal(left, right,
                        fl_runner_class_count(runners[0]) * sizeof *left);
    fl_runner_free(runners[0]);
    fl_runner_free(runners[1]);
}

static const char *const NETWORKS[] = {
    "mlp",
    "lenet",
    "resnet8",
    "mobilenetv2-tiny",
    "mobilenetv3-small",
    "shufflenetv2",
    "siamese",
};

TEST(qdq_gives_back_every_network_to_the_bit)
{
    for (size_t i = 0; i < sizeof NETWORKS / sizeof *NETWORKS; i++) {
        fl_int8_model *before = quantized_model(NETWORKS[i], false);
        file f = encode(before, FL_QDQ_PLAIN);
        assert_true(fl_int8_is_encoded(f.bytes, f.len));
        fl_int8_model *after = decode(&f);
        assert_same_numbers(before, after);
        assert_same_logits(before, after);
        file again = encode(after, FL_QDQ_PLAIN);
        assert_int_equal(again.len, f.len);
        assert_memory_equal(again.bytes, f.bytes, f.len);
        free(again.bytes);
        free(f.bytes);
        fl_int8_free(before);
        fl_int8_free(after);
    }
}

TEST(qdq_for_tensorrt_has_signed_bytes_and_float_biases)
{
    for (size_t i = 0; i < sizeof NETWORKS / sizeof *NETWORKS; i++) {
        fl_int8_model *before = quantized_model(NETWORKS[i], true);
        file f = encode(before, FL_QDQ_TENSORRT);
        fl_int8_model *after = decode(&f);
        assert_same_but_biases(before, after);
        for (size_t c = 0; c < before->channel_count; c++) {
            // 24 bits of a float are what is left of them.
            const double bias = before->biases[c], got = after->biases[c];
            if (fabs(bias - got) <= fabs(bias) * 0x1p-22) continue;
            print_error("%s, channel %zu: bias %.0f, not %.0f, scale %g\n",
                        NETWORKS[i], c, got, bias,
                        (double)before->weight_scales[c]);
            fail();
        }
        free(f.bytes);
        fl_int8_free(before);
        fl_int8_free(after);
    }
}

TEST(qdq_for_tensorrt_refuses_zero_points)
{
    fl_int8_model *quantized = quantized_model("lenet", false);
    uint8_t byte;
    assert_err(fl_int8_encode(quantized, FL_QDQ_TENSORRT, &byte, 1),
               FL_ERR_UNSUPPORTED);
    fl_int8_free(quantized);
}

TEST(qdq_refuses_too_little_room)
{
    fl_int8_model *quantized = quantized_model("mlp", false);
    file f = {.len = fl_int8_bytes(quantized, FL_QDQ_PLAIN)};
    f.bytes = malloc(f.len);
    assert_non_null(f.bytes);
    assert_err(fl_int8_encode(quantized, FL_QDQ_PLAIN, f.bytes, f.len - 1),
               FL_ERR_SPACE);
    free(f.bytes);
    fl_int8_free(quantized);
}

TEST(qdq_is_not_read_as_a_model_to_train)
{
    fl_int8_model *quantized = quantized_model("mlp", false);
    file f = encode(quantized, FL_QDQ_PLAIN);
    fl_model *model = NULL;
    fl_reason why = {""};
    assert_err(fl_model_decode(&model, f.bytes, f.len, &why),
               FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "quantised");
    free(f.bytes);
    fl_int8_free(quantized);
}

/* ---- files of others ---- */

// A file of ours, opened for a change.
static Onnx__ModelProto *open_mlp(void)
{
    fl_int8_model *quantized = quantized_model("mlp", false);
    file f = encode(quantized, FL_QDQ_PLAIN);
    Onnx__ModelProto *edited = onnx__model_proto__unpack(NULL, f.len, f.bytes);
    assert_non_null(edited);
    free(f.bytes);
    fl_int8_free(quantized);
    return edited;
}

static void assert_refused(Onnx__ModelProto *edited, fl_err expected,
                           const char *word)
{
    file f = {.len = onnx__model_proto__get_packed_size(edited)};
    f.bytes = malloc(f.len);
    assert_non_null(f.bytes);
    onnx__model_proto__pack(edited, f.bytes);
    fl_int8_model *quantized = NULL;
    fl_reason why = {""};
    assert_err(fl_int8_decode(&quantized, f.bytes, f.len, &why), expected);
    assert_null(quantized);
    assert_reason_names(why, word);
    free(f.bytes);
    fl_onnx_edit_free(edited);
}

static void set_float(Onnx__TensorProto *tensor, size_t i, float value)
{
    memcpy(tensor->raw_data.data + i * sizeof value, &value, sizeof value);
}

TEST(qdq_refuses_scales_that_are_none)
{
    static const float scales[] = {0.0F, -1.0F, __builtin_nanf(""),
                                   __builtin_inff()};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        Onnx__ModelProto *edited = open_mlp();
        set_float(fl_onnx_edit_tensor(edited, "div.scale"), 0, scales[i]);
        assert_refused(edited, FL_ERR_FORMAT, "scale");
        edited = open_mlp();
        set_float(fl_onnx_edit_tensor(edited, "fc2.weight_scale"), 3,
                  scales[i]);
        assert_refused(edited, FL_ERR_FORMAT, "scale");
    }
}

TEST(qdq_refuses_constants_that_are_not_centred)
{
    Onnx__ModelProto *edited = open_mlp();
    fl_onnx_edit_tensor(edited, "fc1.weight_zero_point")->raw_data.data[5] = 1;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "fc1.weight_zero_point");
}

TEST(qdq_refuses_a_weight_that_has_no_opposite)
{
    Onnx__ModelProto *edited = open_mlp();
    fl_onnx_edit_tensor(edited, "fc3.weight_quantized")->raw_data.data[0] =
        0x80;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "fc3");
}

TEST(qdq_refuses_a_bias_with_a_scale_of_its_own)
{
    Onnx__ModelProto *edited = open_mlp();
    set_float(fl_onnx_edit_tensor(edited, "fc1.bias_scale"), 0, 0.5F);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "fc1");
}

TEST(qdq_refuses_a_value_that_is_not_quantised)
{
    // fc1 reads what Sub and Div make, past the pair behind them.
    Onnx__ModelProto *edited = open_mlp();
    for (size_t i = 0; i < edited->graph->n_node; i++) {
        Onnx__NodeProto *node = edited->graph->node[i];
        if (strcmp(node->op_type, "Flatten") != 0) continue;
        const char *from = node->input[0];
        char plain[80];
        snprintf(plain, sizeof plain, "%.*s", (int)strcspn(from, "/"), from);
        fl_onnx_edit_set_text(&node->input[0], plain);
    }
    assert_refused(edited, FL_ERR_UNSUPPORTED, "quantised");
}

TEST(qdq_refuses_a_pair_that_disagrees)
{
    Onnx__ModelProto *edited = open_mlp();
    for (size_t i = 0; i < edited->graph->n_node; i++) {
        Onnx__NodeProto *node = edited->graph->node[i];
        if (strcmp(node->op_type, "DequantizeLinear") != 0) continue;
        if (strcmp(node->input[1], "div.scale") != 0) continue;
        fl_onnx_edit_set_text(&node->input[1], "relu1.scale");
    }
    assert_refused(edited, FL_ERR_UNSUPPORTED, "differ");
}

TEST(qdq_refuses_shared_numbers_with_different_scales)
{
    // A Flatten moves bytes: both sides must mean the same by them.
    Onnx__ModelProto *edited = open_mlp();
    set_float(fl_onnx_edit_tensor(edited, "flatten.scale"), 0, 3.0F);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "flatten");
}

TEST(qdq_tells_its_files_from_others)
{
    const uint8_t junk[] = "not a model";
    assert_false(fl_int8_is_encoded(junk, sizeof junk));
    size_t len;
    uint8_t *bytes = fl_onnx_edit_read(&len, "tests/vectors/onnx/mlp.onnx");
    assert_false(fl_int8_is_encoded(bytes, len));
    fl_int8_model *quantized = NULL;
    fl_reason why = {""};
    assert_err(fl_int8_decode(&quantized, bytes, len, &why),
               FL_ERR_UNSUPPORTED);
    assert_reason_names(why, "not quantised");
    free(bytes);
}

RUN_TESTS(cmocka_unit_test(qdq_gives_back_every_network_to_the_bit),
          cmocka_unit_test(qdq_for_tensorrt_has_signed_bytes_and_float_biases),
          cmocka_unit_test(qdq_for_tensorrt_refuses_zero_points),
          cmocka_unit_test(qdq_refuses_too_little_room),
          cmocka_unit_test(qdq_is_not_read_as_a_model_to_train),
          cmocka_unit_test(qdq_refuses_scales_that_are_none),
          cmocka_unit_test(qdq_refuses_constants_that_are_not_centred),
          cmocka_unit_test(qdq_refuses_a_weight_that_has_no_opposite),
          cmocka_unit_test(qdq_refuses_a_bias_with_a_scale_of_its_own),
          cmocka_unit_test(qdq_refuses_a_value_that_is_not_quantised),
          cmocka_unit_test(qdq_refuses_a_pair_that_disagrees),
          cmocka_unit_test(qdq_refuses_shared_numbers_with_different_scales),
          cmocka_unit_test(qdq_tells_its_files_from_others))
