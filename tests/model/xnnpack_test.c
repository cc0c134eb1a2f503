/*
 * INT8 convolutions against XNNPACK's, bit for bit. XNNPACK's bytes are
 * signed: q - 128.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>
#include <xnnpack.h>

#include "model/int8/qplan.h"
#include "tests/support/naive_int8.h"
#include "tests/test.h"

typedef struct {
    fl_shape input;
    uint32_t outputs, groups;
    fl_window window;
    uint32_t dilation;
    bool has_relu;
} layer;

// Bytes of x (H, W, C) as both sides see them.
typedef struct {
    float *x;
    int8_t *input, *output;  // XNNPACK's
    float *y;                // ours
    size_t input_count, output_count;
} arrays;

static fl_int8_model *net_of(const layer *l, fl_random *random)
{
    fl_int8_model *net = int8_net_new(l->input, true, random);
    int8_net_add(net,
                 (fl_node){.op = FL_OP_CONV,
                           .out_count = l->outputs,
                           .window = l->window,
                           .group_count = l->groups,
                           .dilation_h = l->dilation,
                           .dilation_w = l->dilation},
                 true, random);
    if (l->has_relu)
        int8_net_add(net, (fl_node){.op = FL_OP_RELU}, true, random);
    return net;
}

static arrays arrays_for(const fl_int8_model *net, fl_random *random)
{
    const fl_quant quant = net->values[0];
    arrays a = {
        .input_count = fl_shape_size(net->graph.nodes[0].shape),
        .output_count = fl_shape_size(net->graph.nodes[1].shape),
    };
    a.x = calloc(a.input_count, sizeof *a.x);
    a.input = calloc(a.input_count + XNN_EXTRA_BYTES, 1);
    a.output = calloc(a.output_count + XNN_EXTRA_BYTES, 1);
    a.y = calloc(a.output_count, sizeof *a.y);
    assert_true(a.x && a.input && a.output && a.y);
    for (size_t i = 0; i < a.input_count; i++) {
        const int q = (int)fl_random_below(random, 256);
        a.x[i] = (float)(q - quant.zero_point) * quant.scale;
        a.input[i] = (int8_t)(q - 128);
    }
    return a;
}

static void arrays_free(arrays *a)
{
    free(a->x);
    free(a->input);
    free(a->output);
    free(a->y);
}

static void run_xnnpack(const layer *l, const fl_int8_model *net, arrays *a)
{
    const fl_window *w = &l->window;
    const fl_quant x = net->values[0], y = net->values[1];
    const int8_t y_zero = (int8_t)(y.zero_point - 128);
    xnn_operator_t op = NULL;
    assert_int_equal(
        xnn_create_convolution2d_nhwc_qc8(
            w->pad_top, w->pad_right, w->pad_bottom, w->pad_left, w->kernel_h,
            w->kernel_w, w->stride_h, w->stride_w, l->dilation, l->dilation,
            l->groups, l->input.channels / l->groups, l->outputs / l->groups,
            l->input.channels, l->outputs, (int8_t)(x.zero_point - 128),
            x.scale, net->weight_scales, net->weights, net->biases, y_zero,
            y.scale, l->has_relu ? y_zero : -128, 127, 0, &op),
        xnn_status_success);
    assert_int_equal(xnn_setup_convolution2d_nhwc_qc8(op, 1, l->input.height,
                                                      l->input.width, a->input,
                                                      a->output, NULL),
                     xnn_status_success);
    assert_int_equal(xnn_run_operator(op, NULL), xnn_status_success);
    assert_int_equal(xnn_delete_operator(op), xnn_status_success);
}

static void compare(const fl_int8_model *net, const fl_qkernels *kernels,
                    const arrays *a)
{
    const fl_quant quant = net->values[1];
    fl_qplan *plan = NULL;
    assert_ok(fl_qplan_new(&plan, net, kernels, 1, NULL));
    fl_qplan_run(plan, a->y, a->x, 1);
    for (size_t i = 0; i < a->output_count; i++) {
        const long q =
            lrint((double)a->y[i] / (double)quant.scale) + quant.zero_point;
        if (q == a->output[i] + 128) continue;
        print_error("byte %zu with %s is %ld, XNNPACK has %d\n", i,
                    kernels->name, q, a->output[i] + 128);
        fail();
    }
    fl_qplan_free(plan);
}

static void check(layer l)
{
    fl_random random;
    fl_random_init(&random, 21, FL_RANDOM_TEST, 0);
    if (l.dilation == 0) l.dilation = 1;
    fl_int8_model *net = net_of(&l, &random);
    arrays a = arrays_for(net, &random);
    run_xnnpack(&l, net, &a);
    const fl_qkernels *kernels;
    for (unsigned k = 0; (kernels = fl_qkernels_at(k)); k++)
        compare(net, kernels, &a);
    arrays_free(&a);
    fl_int8_free(net);
}

static fl_window square(uint32_t kernel, uint32_t stride, uint32_t pad)
{
    return (fl_window){kernel, kernel, stride, stride, pad, pad, pad, pad};
}

TEST(xnnpack_convolves_as_we_do)
{
    static const uint32_t channels[] = {1, 3, 4, 7, 8, 16, 17, 33, 64};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        const uint32_t c = channels[i];
        check((layer){{9, 8, c}, 16, 1, square(3, 1, 1), 1, true});
        check((layer){{9, 8, 5}, c, 1, square(5, 2, 2), 1, false});
        check((layer){{6, 6, c}, c, 1, square(1, 1, 0), 1, false});
    }
}

TEST(xnnpack_convolves_groups_and_dilated_windows_as_we_do)
{
    check((layer){{8, 8, 12}, 24, 3, square(3, 1, 1), 1, true});
    check((layer){{11, 9, 4}, 6, 1, square(3, 1, 2), 2, false});
    check((layer){{9, 9, 6}, 5, 1, {3, 2, 2, 1, 1, 0, 2, 1}, 1, true});
}

TEST(xnnpack_convolves_each_channel_alone_as_we_do)
{
    static const uint32_t channels[] = {2, 8, 15, 16, 24, 64, 96, 144};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        const uint32_t c = channels[i];
        check((layer){{9, 8, c}, c, c, square(3, 1, 1), 1, true});
        check((layer){{9, 8, c}, c, c, square(3, 2, 1), 1, false});
        check((layer){{9, 11, c}, c, c, square(5, 1, 2), 1, true});
        check((layer){{9, 8, c}, 2 * c, c, square(3, 1, 1), 1, false});
    }
}

static int initialize(void **state __attribute__((unused)))
{
    return xnn_initialize(NULL) == xnn_status_success ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xnnpack_convolves_as_we_do),
        cmocka_unit_test(xnnpack_convolves_groups_and_dilated_windows_as_we_do),
        cmocka_unit_test(xnnpack_convolves_each_channel_alone_as_we_do),
    };
    return cmocka_run_group_tests(tests, initialize, NULL);
}
