/*
 * What the engine computes, as few numbers as possible, to compare CPUs:
 *
 *   int8 SET HASH           the logits of random quantised models; the set
 *                           "definition" is tests/support/naive_int8.h
 *   float32 SET NETWORK L HASH
 *                           the loss after a few steps of training, and the
 *                           parameters
 *
 * One line for every set of kernels that this CPU runs. The hashes of INT8 are
 * the same for all sets on all CPUs, those of float32 for the portable set on
 * all CPUs; losses are near each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>

#include "model/int8/qplan.h"
#include "model/loss.h"
#include "model/plan.h"
#include "tests/support/naive_int8.h"
#include "tests/test.h"

/* ---- random quantised models ---- */

enum { NETS = 60, LAYERS = 9, COUNT = 2, CLASSES = 10, SEED = 64 };

typedef struct {
    fl_int8_model *net;
    fl_random random;
} maker;

static uint32_t below(maker *m, uint32_t bound)
{
    return fl_random_below(&m->random, bound);
}

static uint32_t add(maker *m, fl_node node)
{
    return int8_net_add(m->net, node, true, &m->random);
}

static uint32_t last_of(const maker *m)
{
    return m->net->graph.node_count - 1;
}

static fl_shape shape_of(const maker *m, uint32_t node)
{
    return m->net->graph.nodes[node].shape;
}

// A window that fits even into a single pixel.
static fl_window some_window(maker *m, uint32_t stride_cap)
{
    const uint32_t kernel_h = 1 + below(m, 5), kernel_w = 1 + below(m, 5);
    return (fl_window){
        .kernel_h = kernel_h,
        .kernel_w = kernel_w,
        .stride_h = 1 + below(m, stride_cap),
        .stride_w = 1 + below(m, stride_cap),
        .pad_top = kernel_h / 2,
        .pad_left = kernel_w / 2,
        .pad_bottom = kernel_h - 1 - kernel_h / 2,
        .pad_right = kernel_w - 1 - kernel_w / 2,
    };
}

static void add_convolution(maker *m)
{
    add(m, (fl_node){.op = FL_OP_CONV,
                     .out_count = 1 + below(m, 40),
                     .window = some_window(m, 2)});
}

static void add_groups(maker *m)
{
    const uint32_t channels = shape_of(m, last_of(m)).channels;
    uint32_t groups = 1 + below(m, 4);
    while (channels % groups != 0) {
        groups--;
    }
    add(m, (fl_node){.op = FL_OP_CONV,
                     .out_count = groups * (1 + below(m, 9)),
                     .group_count = groups,
                     .window = some_window(m, 1)});
}

static void add_dilated(maker *m)
{
    add(m, (fl_node){.op = FL_OP_CONV,
                     .out_count = 1 + below(m, 24),
                     .window = {3, 3, 1, 1, 2, 3, 2, 3},
                     .dilation_h = 2,
                     .dilation_w = 3});
}

static void add_depthwise(maker *m)
{
    const uint32_t channels = shape_of(m, last_of(m)).channels;
    const uint32_t repeat = channels < 30 ? 1 + below(m, 2) : 1;
    add(m, (fl_node){.op = FL_OP_CONV,
                     .out_count = channels * repeat,
                     .group_count = channels,
                     .window = some_window(m, 2)});
}

static void add_activation(maker *m)
{
    static const fl_op_kind KINDS[] = {
        FL_OP_RELU,         FL_OP_RELU6,   FL_OP_LEAKY_RELU, FL_OP_HARD_SWISH,
        FL_OP_HARD_SIGMOID, FL_OP_SIGMOID, FL_OP_TANH,
    };
    add(m, (fl_node){.op = KINDS[below(m, sizeof KINDS / sizeof *KINDS)],
                     .alpha = 0.2F,
                     .beta = 0.5F});
}

static void add_pool(maker *m)
{
    const fl_op_kind op = below(m, 2) ? FL_OP_MAXPOOL : FL_OP_AVGPOOL;
    add(m, (fl_node){.op = op, .window = some_window(m, 2)});
}

// A residual block, and one that is weighed by its own mean.
static void add_pair(maker *m)
{
    const uint32_t from = last_of(m);
    const fl_shape shape = shape_of(m, from);
    const bool is_gate = below(m, 2);
    if (is_gate) add(m, (fl_node){.op = FL_OP_GLOBALPOOL});
    const uint32_t branch =
        add(m, (fl_node){.op = FL_OP_CONV,
                         .out_count = shape.channels,
                         .window = {1, 1, 1, 1, 0, 0, 0, 0}});
    add(m, (fl_node){.op = is_gate ? FL_OP_MUL : FL_OP_ADD,
                     .inputs = {from, branch},
                     .input_count = 2});
}

// Channels cut apart, put together again and mixed.
static void add_moves(maker *m)
{
    const uint32_t from = last_of(m);
    const uint32_t channels = shape_of(m, from).channels;
    if (channels < 2) return;
    const uint32_t cut = 1 + below(m, channels - 1);
    const uint32_t low = add(m, (fl_node){.op = FL_OP_SLICE, .out_count = cut});
    const uint32_t high = add(m, (fl_node){.op = FL_OP_SLICE,
                                           .first = cut,
                                           .out_count = channels - cut,
                                           .inputs = {from},
                                           .input_count = 1});
    add(m,
        (fl_node){.op = FL_OP_CONCAT, .inputs = {high, low}, .input_count = 2});
    add(m, (fl_node){.op = FL_OP_SHUFFLE,
                     .group_count = channels % 2 == 0 ? 2 : channels});
}

static fl_int8_model *some_net(uint32_t number)
{
    static void (*const ADDERS[])(maker *) = {
        add_convolution, add_groups, add_dilated, add_depthwise,
        add_activation,  add_pool,   add_pair,    add_moves,
    };
    maker m = {0};
    fl_random_init(&m.random, SEED, FL_RANDOM_TEST, number);
    const fl_shape shape = {2 + below(&m, 11), 2 + below(&m, 11),
                            1 + below(&m, 20)};
    const bool is_normalized = number % 2;
    m.net = int8_net_new(shape, !is_normalized, &m.random);
    if (is_normalized) {
        int8_net_add(m.net, (fl_node){.op = FL_OP_SUB}, false, &m.random);
        add(&m, (fl_node){.op = FL_OP_DIV});
    }
    for (unsigned i = 0; i < LAYERS; i++)
        ADDERS[below(&m, sizeof ADDERS / sizeof *ADDERS)](&m);
    if (number % 3 == 0) add(&m, (fl_node){.op = FL_OP_FLATTEN});
    const fl_node dense = {.op = FL_OP_DENSE, .out_count = CLASSES};
    int8_net_add(m.net, dense, false, &m.random);
    const fl_node norm = {.op = FL_OP_L2NORM, .epsilon = 1e-6F};
    if (number % 4 == 0) int8_net_add(m.net, norm, false, &m.random);
    return m.net;
}

/* ---- hashing their logits ---- */

#define START UINT64_C(0xCBF29CE484222325)

static uint64_t hash_floats(uint64_t hash, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash = (hash ^ bits) * UINT64_C(0x100000001B3);  // FNV-1a, by words
    }
    return hash;
}

// `set`: NULL for the definition.
static void run_net(float *logits, const fl_int8_model *net, const float *x,
                    const fl_qkernels *set)
{
    if (!set) {
        naive_int8_run(logits, net, x, COUNT);
        return;
    }
    fl_qplan *plan = NULL;
    fl_reason why = {""};
    if (fl_qplan_new(&plan, net, set, COUNT, &why)) {
        print_error("%s\n", why.text);
        fail();
    }
    fl_qplan_run(plan, logits, x, COUNT);
    fl_qplan_free(plan);
}

static uint64_t hash_net(uint64_t hash, uint32_t number, const fl_qkernels *set)
{
    fl_int8_model *net = some_net(number);
    const size_t x_size = COUNT * fl_shape_size(net->graph.nodes[0].shape);
    float *x = calloc(x_size, sizeof *x);
    assert_non_null(x);
    fl_random random;
    fl_random_init(&random, SEED + 1, FL_RANDOM_TEST, number);
    for (size_t i = 0; i < x_size; i++)
        x[i] = 8.0F * fl_random_float(&random) - 4.0F;
    float logits[COUNT * CLASSES];
    run_net(logits, net, x, set);
    free(x);
    fl_int8_free(net);
    return hash_floats(hash, logits, COUNT * CLASSES);
}

static void print_hash(const fl_qkernels *set)
{
    uint64_t hash = START;
    for (uint32_t i = 0; i < NETS; i++)
        hash = hash_net(hash, i, set);
    printf("int8 %s %016" PRIx64 "\n", set ? set->name : "definition", hash);
}

/* ---- a few steps of training ---- */

enum { BATCH = 4, STEPS = 6 };

typedef struct {
    fl_model *model;
    fl_plan *plan;
    size_t count;  // parameters
    float *grads, *momenta;
} training;

static double train_step(const training *t, const fl_kernels *kernels)
{
    const fl_plan_batch batch = {.count = BATCH};
    fl_plan_load(t->plan, 0, fl_model_params(t->model));
    fl_plan_forward(t->plan, 0, &batch);
    const uint32_t labels[BATCH] = {3, 1, 4, 1};
    fl_metrics metrics = {0};
    const fl_loss_batch outputs = {.outputs = fl_plan_logits(t->plan, 0),
                                   .labels = labels,
                                   .count = BATCH,
                                   .width = CLASSES,
                                   .grad = fl_plan_logits_grad(t->plan, 0)};
    const double loss = fl_loss_add(&metrics, &(fl_loss){0}, &outputs) / BATCH;
    memset(t->grads, 0, t->count * sizeof *t->grads);
    fl_plan_backward(t->plan, 0, t->grads, &batch);
    const fl_update update = {.params = fl_model_params(t->model),
                              .first = t->momenta,
                              .grads = t->grads,
                              .count = t->count,
                              .scale = 1.0F,
                              .lr = 0.02F,
                              .momentum = 0.9F};
    assert_true(kernels->update(&update));
    return loss;
}

static void print_loss(const fl_kernels *kernels, const char *network)
{
    const fl_model_options options = {.name = network,
                                      .input = {16, 16, 3},
                                      .class_count = CLASSES,
                                      .seed = SEED};
    training t = {0};
    assert_ok(fl_model_new(&t.model, &options, NULL));
    t.count = fl_model_param_count(t.model);
    t.grads = calloc(t.count, sizeof *t.grads);
    t.momenta = calloc(t.count, sizeof *t.momenta);
    assert_true(t.grads && t.momenta);
    const fl_plan_options plan = {.batch_cap = BATCH, .with_gradients = true};
    assert_ok(fl_plan_new(&t.plan, &t.model->graph, kernels, &plan, NULL));
    fl_random random;
    fl_random_init(&random, SEED + 2, FL_RANDOM_TEST, 0);
    const size_t x_size = BATCH * fl_shape_size(options.input);
    double loss = 0.0;
    for (unsigned step = 0; step < STEPS; step++) {
        for (size_t i = 0; i < x_size; i++)
            fl_plan_input(t.plan, 0)[i] = fl_random_float(&random);
        loss = train_step(&t, kernels);
    }
    const uint64_t hash = hash_floats(START, fl_model_params(t.model), t.count);
    printf("float32 %s %s %.6f %016" PRIx64 "\n", kernels->name, network, loss,
           hash);
    fl_plan_free(t.plan);
    free(t.grads);
    free(t.momenta);
    fl_model_free(t.model);
}

int main(void)
{
    static const char *const NETWORKS[] = {"lenet", "mobilenetv2-tiny"};
    print_hash(NULL);
    const fl_qkernels *set;
    for (unsigned k = 0; (set = fl_qkernels_at(k)); k++)
        print_hash(set);
    const fl_kernels *kernels;
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        for (size_t i = 0; i < sizeof NETWORKS / sizeof *NETWORKS; i++)
            print_loss(kernels, NETWORKS[i]);
    }
    return EXIT_SUCCESS;
}
