/*
 * Mixed precision: layers in float32 and float16, and weights of 4 bits,
 * inside an INT8 model.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "model/int8/int8.h"
#include "model/int8/precision.h"
#include "model/int8/qplan.h"
#include "tests/support/onnx.h"
#include "tests/support/tables.h"
#include "tests/test.h"

enum { ROWS = 48, SIDE = 28, CLASSES = 10, OUTPUTS_MAX = 64, BATCH = 3 };

static const char *const NETWORKS[] = {
    "mlp",
    "lenet",
    "resnet8",
    "mobilenetv2-tiny",
    "mobilenetv3-small",
    "shufflenetv2",
    "siamese",
};

enum { NETWORK_COUNT = sizeof NETWORKS / sizeof *NETWORKS };

static fl_model *model_of(const char *name)
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
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    return model;
}

static fl_err quantize(fl_int8_model **quantized, const char *name,
                       const fl_int8_options *options, fl_reason *why)
{
    uint32_t rows[ROWS];
    fl_dataset *dataset = table_of_pictures(ROWS, SIDE, CLASSES);
    fl_model *model = model_of(name);
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i] = i;
    const fl_err err =
        fl_int8_quantize(quantized, model, dataset, rows, ROWS, options, why);
    fl_model_free(model);
    fl_dataset_free(dataset);
    return err;
}

static fl_int8_model *quantized_model(const char *name,
                                      const fl_int8_options *options)
{
    fl_int8_model *quantized = NULL;
    fl_reason why = {""};
    const fl_err err = quantize(&quantized, name, options, &why);
    if (err) print_error("%s: %s\n", name, why.text);
    assert_ok(err);
    return quantized;
}

static void fill(float *x)
{
    for (size_t i = 0; i < BATCH * SIDE * SIDE; i++)
        x[i] = (float)(i * 37 % 256) / 255.0F;
}

static void run(float *logits, const fl_int8_model *quantized)
{
    float x[BATCH * SIDE * SIDE];
    fl_runner *runner = NULL;
    fl_reason why = {""};
    fill(x);
    const fl_err err = fl_runner_new_int8(&runner, quantized, BATCH, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    assert_true(fl_runner_class_count(runner) <= OUTPUTS_MAX);
    assert_ok(fl_runner_run(runner, logits, x, BATCH));
    fl_runner_free(runner);
}

/* ---- float32 ---- */

TEST(mixed_precision_of_nothing_but_floats_is_the_float_model)
{
    float x[BATCH * SIDE * SIDE];
    float mixed[BATCH * OUTPUTS_MAX], plain[BATCH * OUTPUTS_MAX];
    fl_model *model = model_of("lenet");
    fl_runner *runner = NULL;
    fill(x);
    assert_ok(fl_runner_new(&runner, model, BATCH, NULL));
    assert_ok(fl_runner_run(runner, plain, x, BATCH));
    fl_int8_model *quantized =
        quantized_model("lenet", &(fl_int8_options){.float_layers = "*"});
    for (uint32_t i = 0; i < quantized->graph.node_count; i++)
        assert_true(quantized->values[i].scale <= 0.0F);
    run(mixed, quantized);
    assert_memory_equal(mixed, plain, BATCH * CLASSES * sizeof *plain);
    fl_int8_free(quantized);
    fl_runner_free(runner);
    fl_model_free(model);
}

static double distance(const float *a, const float *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

TEST(mixed_precision_with_more_floats_is_nearer_to_the_float_model)
{
    float x[BATCH * SIDE * SIDE], plain[BATCH * OUTPUTS_MAX];
    fill(x);
    for (size_t i = 0; i < NETWORK_COUNT; i++) {
        double off[2];
        fl_model *model = model_of(NETWORKS[i]);
        fl_runner *runner = NULL;
        assert_ok(fl_runner_new(&runner, model, BATCH, NULL));
        assert_ok(fl_runner_run(runner, plain, x, BATCH));
        const size_t count = (size_t)BATCH * fl_runner_class_count(runner);
        for (int k = 0; k < 2; k++) {
            float mixed[BATCH * OUTPUTS_MAX];
            const fl_int8_options options = {.float_layers = k ? "*" : NULL};
            fl_int8_model *quantized = quantized_model(NETWORKS[i], &options);
            run(mixed, quantized);
            off[k] = distance(plain, mixed, count);
            fl_int8_free(quantized);
        }
        if (!(off[1] < off[0])) {
            print_error("%s: %g, INT8 %g\n", NETWORKS[i], off[1], off[0]);
            fail();
        }
        fl_runner_free(runner);
        fl_model_free(model);
    }
}

TEST(mixed_precision_knows_the_range_behind_a_flatten)
{
    // Everything up to fc1 is float32, and so is what follows it.
    fl_int8_model *all = quantized_model("lenet", &(fl_int8_options){0});
    fl_int8_model *mixed = quantized_model(
        "lenet", &(fl_int8_options){.float_layers = "conv1,conv2,fc2"});
    for (uint32_t i = 0; i < all->graph.node_count; i++) {
        if (all->graph.nodes[i].op != FL_OP_FLATTEN) continue;
        const float wanted = all->values[i].scale;
        const float got = mixed->values[i].scale;
        assert_true(got >= wanted && got <= wanted);
    }
    fl_int8_free(all);
    fl_int8_free(mixed);
}

/* ---- an oracle in double: mlp with a layer of each kind ---- */

static uint32_t node_named(const fl_int8_model *model, const char *name)
{
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        if (strcmp(model->graph.nodes[i].name, name) == 0) return i;
    }
    fail();
    return 0;
}

static double to_bytes(double x, fl_quant quant)
{
    const double q = nearbyint(x / (double)quant.scale) + quant.zero_point;
    return (fmin(fmax(q, 0.0), 255.0) - quant.zero_point) * (double)quant.scale;
}

// y = W x + b, with the weights that the layer really has.
static void oracle_dense(double *y, const double *x, const fl_int8_model *model,
                         uint32_t i)
{
    const fl_node *node = &model->graph.nodes[i];
    const size_t depth = node->weight_count / node->out_count;
    const double x_scale = (double)model->values[node->inputs[0]].scale;
    for (uint32_t o = 0; o < node->out_count; o++) {
        const bool is_float = fl_int8_is_float_layer(model, i);
        const uint32_t channel = model->channel_at[i] + o;
        const double scale = (double)model->weight_scales[channel];
        double sum = is_float ? (double)model->params[node->bias_at + o]
                              : model->biases[channel] * scale * x_scale;
        for (size_t k = 0; k < depth; k++) {
            const size_t at = node->weight_at + o * depth + k;
            sum += x[k] * (is_float ? (double)model->params[at]
                                    : model->weights[at] * scale);
        }
        y[o] = sum;
    }
}

// fc1, ReLU, fc2, ReLU, fc3 of one picture.
static void oracle_run(double *logits, const fl_int8_model *model,
                       const float *picture)
{
    double x[SIDE * SIDE], a[128], b[64];
    const uint32_t flatten = node_named(model, "flatten");
    for (size_t k = 0; k < SIDE * SIDE; k++)
        x[k] = to_bytes(((double)picture[k] - (double)0.4F) / (double)0.2F,
                        model->values[flatten]);
    oracle_dense(a, x, model, node_named(model, "fc1"));
    for (size_t k = 0; k < 128; k++)
        a[k] = to_bytes(fmax(a[k], 0.0),
                        model->values[node_named(model, "relu1")]);
    oracle_dense(b, a, model, node_named(model, "fc2"));
    const fl_quant middle = model->values[node_named(model, "relu2")];
    for (size_t k = 0; k < 64; k++) {
        b[k] = fmax(b[k], 0.0);
        if (middle.scale > 0.0F) b[k] = to_bytes(b[k], middle);
    }
    oracle_dense(logits, b, model, node_named(model, "fc3"));
}

static void assert_oracle(const fl_int8_options *options)
{
    float x[BATCH * SIDE * SIDE], logits[BATCH * OUTPUTS_MAX];
    fl_int8_model *model = quantized_model("mlp", options);
    fill(x);
    run(logits, model);
    for (size_t i = 0; i < BATCH; i++) {
        double exact[CLASSES];
        oracle_run(exact, model, x + i * SIDE * SIDE);
        for (size_t c = 0; c < CLASSES; c++) {
            // A value on the edge between two bytes may fall to either side.
            const double got = (double)logits[i * CLASSES + c];
            if (fabs(exact[c] - got) <= 2e-3) continue;
            print_error("logit %zu of %zu: %g, not %g\n", c, i, got, exact[c]);
            fail();
        }
    }
    fl_int8_free(model);
}

TEST(mixed_precision_is_that_of_an_oracle_in_double)
{
    assert_oracle(&(fl_int8_options){.float_layers = "fc2"});
    assert_oracle(&(fl_int8_options){.half_layers = "fc2,fc3"});
    assert_oracle(&(fl_int8_options){.nibble_layers = "fc?"});
    assert_oracle(&(fl_int8_options){
        .float_layers = "fc1", .half_layers = "fc3", .nibble_layers = "fc2"});
    assert_oracle(
        &(fl_int8_options){.half_layers = "fc2", .is_symmetric = true});
}

/* ---- every set of kernels ---- */

TEST(mixed_precision_is_the_same_with_every_set_of_integer_kernels)
{
    float x[BATCH * SIDE * SIDE];
    fill(x);
    const fl_int8_options nibbles = {.nibble_layers = "*"};
    for (size_t i = 0; i < NETWORK_COUNT; i++) {
        float first[BATCH * OUTPUTS_MAX];
        fl_int8_model *model = quantized_model(NETWORKS[i], &nibbles);
        for (unsigned k = 0; fl_qkernels_at(k); k++) {
            float logits[BATCH * OUTPUTS_MAX];
            fl_qplan *plan = NULL;
            assert_ok(
                fl_qplan_new(&plan, model, fl_qkernels_at(k), BATCH, NULL));
            fl_qplan_run(plan, k == 0 ? first : logits, x, BATCH);
            if (k > 0) assert_memory_equal(logits, first, BATCH * CLASSES * 4);
            fl_qplan_free(plan);
        }
        fl_int8_free(model);
    }
}

/* ---- options ---- */

TEST(mixed_precision_refuses_names_that_fit_no_layer)
{
    const fl_int8_options options[] = {{.float_layers = "fc1,relu1"},
                                       {.half_layers = "fc9"},
                                       {.nibble_layers = "*x*"}};
    const char *const words[] = {"relu1", "fc9", "nibble_layers"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        fl_int8_model *quantized = NULL;
        fl_reason why = {""};
        assert_err(quantize(&quantized, "mlp", &options[i], &why),
                   FL_ERR_NOT_FOUND);
        assert_reason_names(why, words[i]);
    }
}

TEST(mixed_precision_refuses_a_layer_in_two_lists)
{
    fl_int8_model *quantized = NULL;
    fl_reason why = {""};
    const fl_int8_options options = {.float_layers = "fc1",
                                     .nibble_layers = "fc?"};
    assert_err(quantize(&quantized, "mlp", &options, &why), FL_ERR_RANGE);
    assert_reason_names(why, "fc1");
}

TEST(mixed_precision_keeps_weights_of_4_bits_within_7)
{
    fl_int8_model *model =
        quantized_model("lenet", &(fl_int8_options){.nibble_layers = "fc1"});
    const uint32_t i = node_named(model, "fc1");
    const fl_node *node = &model->graph.nodes[i];
    int largest = 0;
    for (size_t k = 0; k < node->weight_count; k++) {
        const int weight = abs(model->weights[node->weight_at + k]);
        if (weight > largest) largest = weight;
    }
    assert_int_equal(largest, 7);
    assert_int_equal(fl_int8_precision(model, i), FL_PRECISION_NIBBLE);
    fl_int8_free(model);
}

/* ---- out and in ---- */

typedef struct {
    uint8_t *bytes;
    size_t len;
} file;

static file encode(const fl_int8_model *quantized, fl_qdq_profile profile)
{
    file f = {.len = fl_int8_bytes(quantized, profile)};
    f.bytes = malloc(f.len);
    assert_non_null(f.bytes);
    assert_ok(fl_int8_encode(quantized, profile, f.bytes, f.len));
    return f;
}

static void assert_comes_back(const char *name, const fl_int8_options *options)
{
    float before[BATCH * OUTPUTS_MAX], after[BATCH * OUTPUTS_MAX];
    const fl_qdq_profile profile =
        options->is_symmetric ? FL_QDQ_TENSORRT : FL_QDQ_PLAIN;
    fl_int8_model *model = quantized_model(name, options), *read = NULL;
    file f = encode(model, profile);
    fl_reason why = {""};
    const fl_err err = fl_int8_decode(&read, f.bytes, f.len, &why);
    if (err) print_error("%s: %s\n", name, why.text);
    assert_ok(err);
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        assert_int_equal(fl_int8_precision(model, i),
                         fl_int8_precision(read, i));
        assert_memory_equal(&model->values[i].scale, &read->values[i].scale,
                            sizeof(float));
    }
    run(before, model);
    run(after, read);
    const size_t outputs =
        fl_shape_size(model->graph.nodes[model->graph.node_count - 1].shape);
    // TensorRT's biases are floats: some bits of the integers are lost.
    if (!options->is_symmetric)
        assert_memory_equal(before, after, BATCH * outputs * sizeof(float));
    file again = encode(read, profile);
    if (!options->is_symmetric) {
        assert_int_equal(again.len, f.len);
        assert_memory_equal(again.bytes, f.bytes, f.len);
    }
    free(again.bytes);
    free(f.bytes);
    fl_int8_free(read);
    fl_int8_free(model);
}

TEST(mixed_precision_comes_back_from_a_file_to_the_bit)
{
    for (int symmetric = 0; symmetric < 2; symmetric++) {
        const bool is_symmetric = symmetric;
        assert_comes_back("mlp",
                          &(fl_int8_options){.is_symmetric = is_symmetric,
                                             .float_layers = "fc1",
                                             .half_layers = "fc2",
                                             .nibble_layers = "fc3"});
        assert_comes_back("lenet",
                          &(fl_int8_options){.is_symmetric = is_symmetric,
                                             .float_layers = "conv1,conv2",
                                             .half_layers = "fc2"});
        for (size_t i = 2; i < NETWORK_COUNT - 1; i++) {
            assert_comes_back(NETWORKS[i],
                              &(fl_int8_options){.is_symmetric = is_symmetric,
                                                 .half_layers = "*1*"});
            assert_comes_back(NETWORKS[i],
                              &(fl_int8_options){.is_symmetric = is_symmetric,
                                                 .nibble_layers = "*1*"});
        }
        assert_comes_back("siamese",
                          &(fl_int8_options){.is_symmetric = is_symmetric,
                                             .half_layers = "fc*"});
    }
}

/* ---- files of others ---- */

// lenet with halves in conv1, opened for a change.
static Onnx__ModelProto *open_lenet(void)
{
    fl_int8_model *model =
        quantized_model("lenet", &(fl_int8_options){.half_layers = "conv1"});
    file f = encode(model, FL_QDQ_PLAIN);
    Onnx__ModelProto *edited = onnx__model_proto__unpack(NULL, f.len, f.bytes);
    assert_non_null(edited);
    free(f.bytes);
    fl_int8_free(model);
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

TEST(mixed_precision_refuses_halves_of_the_wrong_length)
{
    Onnx__ModelProto *edited = open_lenet();
    fl_onnx_edit_tensor(edited, "conv1.weight_half")->raw_data.len -= 2;
    assert_refused(edited, FL_ERR_FORMAT, "conv1.weight_half");
}

TEST(mixed_precision_refuses_halves_that_are_no_numbers)
{
    static const uint8_t tops[] = {0x7c, 0xfc, 0x7e};  // inf, -inf, NaN
    for (size_t i = 0; i < sizeof tops; i++) {
        Onnx__ModelProto *edited = open_lenet();
        uint8_t *raw =
            fl_onnx_edit_tensor(edited, "conv1.weight_half")->raw_data.data;
        raw[6] = 0;
        raw[7] = tops[i];
        assert_refused(edited, FL_ERR_FORMAT, "number 3");
    }
}

TEST(mixed_precision_refuses_weights_of_a_type_it_does_not_know)
{
    Onnx__ModelProto *edited = open_lenet();
    fl_onnx_edit_tensor(edited, "conv1.weight_half")->data_type =
        ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "bfloat16");
}

TEST(mixed_precision_refuses_integers_that_read_floats)
{
    // What conv1 makes stays float32, though conv2 wants bytes of it.
    Onnx__ModelProto *edited = open_lenet();
    for (size_t i = 0; i < edited->graph->n_node; i++) {
        Onnx__NodeProto *node = edited->graph->node[i];
        if (strcmp(node->op_type, "Conv") != 0) continue;
        char plain[80];
        snprintf(plain, sizeof plain, "%.*s", (int)strcspn(node->input[0], "/"),
                 node->input[0]);
        fl_onnx_edit_set_text(&node->input[0], plain);
    }
    assert_refused(edited, FL_ERR_UNSUPPORTED, "quantised");
}

RUN_TESTS(
    cmocka_unit_test(mixed_precision_of_nothing_but_floats_is_the_float_model),
    cmocka_unit_test(
        mixed_precision_with_more_floats_is_nearer_to_the_float_model),
    cmocka_unit_test(mixed_precision_knows_the_range_behind_a_flatten),
    cmocka_unit_test(mixed_precision_is_that_of_an_oracle_in_double),
    cmocka_unit_test(
        mixed_precision_is_the_same_with_every_set_of_integer_kernels),
    cmocka_unit_test(mixed_precision_refuses_names_that_fit_no_layer),
    cmocka_unit_test(mixed_precision_refuses_a_layer_in_two_lists),
    cmocka_unit_test(mixed_precision_keeps_weights_of_4_bits_within_7),
    cmocka_unit_test(mixed_precision_comes_back_from_a_file_to_the_bit),
    cmocka_unit_test(mixed_precision_refuses_halves_of_the_wrong_length),
    cmocka_unit_test(mixed_precision_refuses_halves_that_are_no_numbers),
    cmocka_unit_test(
        mixed_precision_refuses_weights_of_a_type_it_does_not_know),
    cmocka_unit_test(mixed_precision_refuses_integers_that_read_floats))
