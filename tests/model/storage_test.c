/*
 * Float32 models whose files hold fewer bits: what comes back is what was
 * written, rounded once, and files that lie are refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/half.h"
#include "model/graph.h"
#include "model/infer.h"
#include "tests/support/onnx.h"
#include "tests/test.h"

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

static const fl_storage SMALL[] = {FL_STORAGE_FLOAT16, FL_STORAGE_WEIGHTS8};

typedef struct {
    uint8_t *bytes;
    size_t len;
} file;

static fl_model *model_of(const char *name)
{
    const fl_model_options options = {
        .name = name, .input = {28, 28, 1}, .class_count = 10, .seed = 3};
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    return model;
}

static file encode(const fl_model *model, fl_storage storage)
{
    file f = {.len = fl_model_bytes_as(model, storage)};
    f.bytes = malloc(f.len);
    assert_non_null(f.bytes);
    assert_ok(fl_model_encode_as(model, storage, f.bytes, f.len, NULL));
    return f;
}

static fl_model *decode(const file *f)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    const fl_err err = fl_model_decode(&model, f->bytes, f->len, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    return model;
}

static void assert_same_bytes(const file *a, const file *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->bytes, b->bytes, a->len);
}

TEST(storage_gives_the_same_file_when_it_is_written_again)
{
    for (size_t i = 0; i < NETWORK_COUNT; i++) {
        for (size_t k = 0; k < 2; k++) {
            fl_model *model = model_of(NETWORKS[i]);
            file f = encode(model, SMALL[k]);
            fl_model *read = decode(&f);
            file again = encode(read, SMALL[k]);
            assert_same_bytes(&f, &again);
            assert_int_equal(fl_model_storage_of(f.bytes, f.len), SMALL[k]);
            assert_false(fl_int8_is_encoded(f.bytes, f.len));
            free(again.bytes);
            free(f.bytes);
            fl_model_free(read);
            fl_model_free(model);
        }
    }
}

TEST(storage_of_float32_is_what_fl_model_encode_writes)
{
    fl_model *model = model_of("lenet");
    file a = encode(model, FL_STORAGE_FLOAT32);
    file b = {.len = fl_model_bytes(model)};
    b.bytes = malloc(b.len);
    assert_non_null(b.bytes);
    assert_ok(fl_model_encode(model, b.bytes, b.len));
    assert_same_bytes(&a, &b);
    assert_int_equal(fl_model_storage_of(a.bytes, a.len), FL_STORAGE_FLOAT32);
    free(a.bytes);
    free(b.bytes);
    fl_model_free(model);
}

TEST(storage_takes_a_half_and_a_quarter_of_the_bytes)
{
    fl_model *model = model_of("lenet");
    const double whole = (double)fl_model_bytes(model);
    const double half = (double)fl_model_bytes_as(model, FL_STORAGE_FLOAT16);
    const double part = (double)fl_model_bytes_as(model, FL_STORAGE_WEIGHTS8);
    assert_true(half < 0.52 * whole && half > 0.5 * whole);
    assert_true(part < 0.28 * whole && part > 0.25 * whole);
    fl_model_free(model);
}

/* ---- an oracle in double ---- */

static double step_of_half(double x)
{
    int exponent;
    (void)frexp(x, &exponent);
    return ldexp(1.0, (exponent < -13 ? -13 : exponent) - 11);
}

static void assert_near(double got, double wanted, double reach)
{
    if (fabs(got - wanted) <= reach) return;
    print_error("%.9g, not %.9g: off by %g, %g is allowed\n", got, wanted,
                fabs(got - wanted), reach);
    fail();
}

// Weights to the nearest, everything else as it was.
static void assert_rounded(const fl_model *model, const fl_model *read,
                           fl_storage storage)
{
    const float *wanted = fl_model_get_params(model);
    const float *got = fl_model_get_params(read);
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        const size_t depth = tensor.count / tensor.row_count;
        for (size_t k = 0; k < tensor.count; k++) {
            const float *row = wanted + tensor.offset + k / depth * depth;
            const size_t at = tensor.offset + k;
            double reach = 0.0;
            if (tensor.role == FL_TENSOR_WEIGHT &&
                storage == FL_STORAGE_FLOAT16) {
                reach = step_of_half((double)wanted[at]) / 2.0;
            } else if (tensor.role == FL_TENSOR_WEIGHT) {
                for (size_t j = 0; j < depth; j++)
                    reach = fmax(reach, fabs((double)row[j]));
                reach *= 0.50001 / 127.0;
            }
            assert_near((double)got[at], (double)wanted[at], reach);
        }
    }
}

TEST(storage_rounds_weights_to_the_nearest_and_nothing_else)
{
    for (size_t i = 0; i < NETWORK_COUNT; i++) {
        for (size_t k = 0; k < 2; k++) {
            fl_model *model = model_of(NETWORKS[i]);
            file f = encode(model, SMALL[k]);
            fl_model *read = decode(&f);
            assert_rounded(model, read, SMALL[k]);
            free(f.bytes);
            fl_model_free(read);
            fl_model_free(model);
        }
    }
}

TEST(storage_keeps_zeros_and_what_is_very_small)
{
    for (size_t k = 0; k < 2; k++) {
        fl_model *model = model_of("mlp");
        const fl_tensor_info tensor = fl_model_tensor(model, 0);
        float *params = fl_model_params(model);
        for (size_t i = 0; i < tensor.count; i++)
            params[i] = i % 3 == 0 ? 0.0F : 1e-38F;
        file f = encode(model, SMALL[k]);
        fl_model *read = decode(&f);
        for (size_t i = 0; i < tensor.count; i++)
            assert_true(fabsf(fl_model_get_params(read)[i]) <= 1e-18F);
        free(f.bytes);
        fl_model_free(read);
        fl_model_free(model);
    }
}

/* ---- refusals ---- */

static void assert_not_written(float weight, fl_storage storage)
{
    fl_model *model = model_of("mlp");
    const size_t len = fl_model_bytes_as(model, storage);
    uint8_t *bytes = malloc(len);
    fl_reason why = {""};
    fl_model_params(model)[7] = weight;
    assert_non_null(bytes);
    assert_err(fl_model_encode_as(model, storage, bytes, len, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "fc1");
    assert_reason_names(why, "weight 7");
    free(bytes);
    fl_model_free(model);
}

TEST(storage_refuses_weights_that_it_cannot_hold)
{
    assert_not_written(65505.0F, FL_STORAGE_FLOAT16);
    assert_not_written(-1e30F, FL_STORAGE_FLOAT16);
    for (size_t k = 0; k < 2; k++) {
        assert_not_written(NAN, SMALL[k]);
        assert_not_written(-INFINITY, SMALL[k]);
    }
}

TEST(storage_refuses_too_little_room)
{
    fl_model *model = model_of("mlp");
    for (size_t k = 0; k < 2; k++) {
        const size_t len = fl_model_bytes_as(model, SMALL[k]);
        uint8_t *bytes = malloc(len);
        fl_reason why = {""};
        assert_non_null(bytes);
        assert_err(fl_model_encode_as(model, SMALL[k], bytes, len - 1, &why),
                   FL_ERR_SPACE);
        assert_reason_names(why, "room");
        free(bytes);
    }
    fl_model_free(model);
}

static Onnx__ModelProto *open_mlp(fl_storage storage)
{
    fl_model *model = model_of("mlp");
    file f = encode(model, storage);
    Onnx__ModelProto *edited = onnx__model_proto__unpack(NULL, f.len, f.bytes);
    assert_non_null(edited);
    free(f.bytes);
    fl_model_free(model);
    return edited;
}

static void assert_refused(Onnx__ModelProto *edited, fl_err expected,
                           const char *word)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    assert_err(fl_onnx_edit_decode(&model, edited, &why), expected);
    assert_null(model);
    assert_reason_names(why, word);
    fl_onnx_edit_free(edited);
}

TEST(storage_refuses_halves_that_lie)
{
    static const uint8_t tops[] = {0x7c, 0xfc, 0x7e};  // inf, -inf, NaN
    Onnx__ModelProto *edited = open_mlp(FL_STORAGE_FLOAT16);
    fl_onnx_edit_tensor(edited, "fc1.weight_half")->raw_data.len--;
    assert_refused(edited, FL_ERR_FORMAT, "fc1.weight_half");
    for (size_t i = 0; i < sizeof tops; i++) {
        edited = open_mlp(FL_STORAGE_FLOAT16);
        uint8_t *raw =
            fl_onnx_edit_tensor(edited, "fc1.weight_half")->raw_data.data;
        raw[8] = 0;
        raw[9] = tops[i];
        assert_refused(edited, FL_ERR_FORMAT, "number 4");
    }
    // A half that nothing casts is no weight.
    edited = open_mlp(FL_STORAGE_FLOAT16);
    fl_onnx_edit_set_text(&fl_onnx_edit_node(edited, "Gemm")->input[1],
                          "fc1.weight_half");
    assert_refused(edited, FL_ERR_UNSUPPORTED, "float16");
    edited = open_mlp(FL_STORAGE_FLOAT16);
    fl_onnx_edit_tensor(edited, "fc1.weight_half")->data_type =
        ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "bfloat16");
}

static void set_scale(const Onnx__ModelProto *edited, float scale)
{
    memcpy(fl_onnx_edit_tensor(edited, "fc1.weight_scale")->raw_data.data + 8,
           &scale, sizeof scale);
}

TEST(storage_refuses_scales_that_lie)
{
    static const float scales[] = {0.0F, -1.0F, NAN, INFINITY};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        Onnx__ModelProto *edited = open_mlp(FL_STORAGE_WEIGHTS8);
        set_scale(edited, scales[i]);
        assert_refused(edited, FL_ERR_FORMAT, "scale");
    }
    Onnx__ModelProto *edited = open_mlp(FL_STORAGE_WEIGHTS8);
    set_scale(edited, 3e38F);
    assert_refused(edited, FL_ERR_FORMAT, "infinite");
    edited = open_mlp(FL_STORAGE_WEIGHTS8);
    Onnx__TensorProto *tensor = fl_onnx_edit_tensor(edited, "fc1.weight_scale");
    tensor->dims[0]--;
    tensor->raw_data.len -= 4;
    assert_refused(edited, FL_ERR_UNSUPPORTED, "output channels");
    edited = open_mlp(FL_STORAGE_WEIGHTS8);
    fl_onnx_edit_set_int(fl_onnx_edit_node(edited, "DequantizeLinear"), "axis",
                         1);
    assert_refused(edited, FL_ERR_UNSUPPORTED, "output channels");
}

TEST(storage_reads_halves_in_a_list)
{
    Onnx__ModelProto *edited = open_mlp(FL_STORAGE_FLOAT16);
    Onnx__TensorProto *tensor = fl_onnx_edit_tensor(edited, "fc3.weight_half");
    const size_t count = tensor->raw_data.len / 2;
    int32_t *numbers = malloc(count * sizeof *numbers);
    assert_non_null(numbers);
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, tensor->raw_data.data + 2 * i, sizeof half);
        numbers[i] = half;
    }
    fl_model *wanted = NULL, *got = NULL;
    assert_ok(fl_onnx_edit_decode(&wanted, edited, NULL));
    free(tensor->raw_data.data);
    tensor->raw_data = (ProtobufCBinaryData){0};
    tensor->has_raw_data = false;
    tensor->int32_data = numbers;
    tensor->n_int32_data = count;
    assert_ok(fl_onnx_edit_decode(&got, edited, NULL));
    assert_memory_equal(fl_model_get_params(got), fl_model_get_params(wanted),
                        fl_model_param_count(got) * sizeof(float));
    fl_model_free(wanted);
    fl_model_free(got);
    fl_onnx_edit_free(edited);
}

RUN_TESTS(
    cmocka_unit_test(storage_gives_the_same_file_when_it_is_written_again),
    cmocka_unit_test(storage_of_float32_is_what_fl_model_encode_writes),
    cmocka_unit_test(storage_takes_a_half_and_a_quarter_of_the_bytes),
    cmocka_unit_test(storage_rounds_weights_to_the_nearest_and_nothing_else),
    cmocka_unit_test(storage_keeps_zeros_and_what_is_very_small),
    cmocka_unit_test(storage_refuses_weights_that_it_cannot_hold),
    cmocka_unit_test(storage_refuses_too_little_room),
    cmocka_unit_test(storage_refuses_halves_that_lie),
    cmocka_unit_test(storage_refuses_scales_that_lie),
    cmocka_unit_test(storage_reads_halves_in_a_list))
