/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/nets.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/loss.h"
#include "model/model.h"
#include "model/plan.h"
#include "tests/support/naive.h"
#include "tests/test.h"

enum { COUNT = 3, SEED = 7 };  // COUNT: examples of a batch

// Appends a node; without inputs of its own, behind the last one.
uint32_t net_add(fl_graph *net, fl_node node, bool has_bias,
                 const float *constants)
{
    fl_reason why = {""};
    snprintf(node.name, sizeof node.name, "n%u", net->node_count);
    if (node.op != FL_OP_INPUT && node.input_count == 0) {
        node.input_count = 1;
        node.inputs[0] = net->node_count - 1;
    }
    const fl_err err = fl_graph_add(net, &node, has_bias, constants, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    return net->node_count - 1;
}

fl_graph net_over(uint32_t height, uint32_t width, uint32_t channels)
{
    fl_graph net = {0};
    net_add(&net,
            (fl_node){.op = FL_OP_INPUT, .shape = {height, width, channels}},
            false, NULL);
    return net;
}

uint32_t net_add_conv(fl_graph *net, uint32_t channels, fl_window window,
                      bool has_bias)
{
    return net_add(
        net,
        (fl_node){.op = FL_OP_CONV, .out_count = channels, .window = window},
        has_bias, NULL);
}

uint32_t net_add_dense(fl_graph *net, uint32_t outputs)
{
    return net_add(net, (fl_node){.op = FL_OP_DENSE, .out_count = outputs},
                   true, NULL);
}

uint32_t net_add_plain(fl_graph *net, fl_op_kind op)
{
    return net_add(net, (fl_node){.op = op}, false, NULL);
}

uint32_t net_add_pool(fl_graph *net, fl_window window)
{
    return net_add(net, (fl_node){.op = FL_OP_MAXPOOL, .window = window}, false,
                   NULL);
}

fl_window net_square(uint32_t kernel, uint32_t stride, uint32_t pad)
{
    return (fl_window){kernel, kernel, stride, stride, pad, pad, pad, pad};
}

/* ---- comparing ---- */

typedef struct {
    float *params, *grads;
    double *params_exact, *grads_exact;
    double *x;
    uint32_t *labels;
    uint32_t count;
    size_t x_size, classes;
} batch;

static batch batch_for(const fl_graph *graph, uint32_t count)
{
    const fl_node *last = &graph->nodes[graph->node_count - 1];
    batch b = {
        .count = count,
        .x_size = fl_shape_size(graph->nodes[0].shape),
        .classes = fl_shape_size(last->shape),
    };
    b.params = calloc(graph->param_count, sizeof(float));
    b.grads = calloc(graph->param_count, sizeof(float));
    b.params_exact = calloc(graph->param_count, sizeof(double));
    b.grads_exact = calloc(graph->param_count, sizeof(double));
    b.x = calloc(count * b.x_size, sizeof(double));
    b.labels = calloc(count, sizeof *b.labels);
    assert_true(b.params && b.grads && b.params_exact && b.grads_exact && b.x &&
                b.labels);

    fl_random random;
    fl_random_init(&random, SEED, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < graph->param_count; i++) {
        b.params[i] = fl_random_float(&random) - 0.5F;
        b.params_exact[i] = (double)b.params[i];
    }
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        // The second half are variances.
        for (size_t k = node->stats_count / 2; k < node->stats_count; k++) {
            b.params[node->stats_at + k] += 1.0F;
            b.params_exact[node->stats_at + k] += 1.0;
        }
    }
    for (size_t i = 0; i < count * b.x_size; i++)
        b.x[i] = (double)(fl_random_float(&random) - 0.5F);
    for (size_t i = 0; i < count; i++)
        b.labels[i] = fl_random_below(&random, (uint32_t)b.classes);
    return b;
}

static void batch_free(batch *b)
{
    free(b->params);
    free(b->grads);
    free(b->params_exact);
    free(b->grads_exact);
    free(b->x);
    free(b->labels);
}

static void assert_close(const char *what, const char *kernels, size_t i,
                         float got, double expected)
{
    const double allowed = 2e-5 * (1.0 + fabs(expected));
    if (fabs((double)got - expected) <= allowed) return;
    print_error("%s[%zu] with %s is %.9g, not %.9g\n", what, i, kernels,
                (double)got, expected);
    fail();
}

// How a plan is made and run.
typedef struct {
    const fl_kernels *kernels;
    unsigned lanes;
    bool with_gradients, recompute, uses_stats;
} way;

typedef struct {
    fl_plan *plan;
    fl_team *team;
    const way *how;
    batch *data;
    float *logits, *logits_grad;  // (count, classes)
    float *grads;                 // (lanes, param_count)
} trial;

static void run_lane(unsigned lane, void *context)
{
    const trial *t = context;
    const batch *b = t->data;
    const size_t params = fl_plan_graph(t->plan)->param_count;
    const fl_plan_batch whole = {.count = b->count,
                                 .draw = NAIVE_DRAW,
                                 .uses_stats = t->how->uses_stats};
    const uint32_t first = fl_plan_share(t->plan, b->count, lane);
    const uint32_t count = fl_plan_share(t->plan, b->count, lane + 1) - first;
    for (size_t i = 0; i < count * b->x_size; i++)
        fl_plan_input(t->plan, lane)[i] = (float)b->x[first * b->x_size + i];
    fl_plan_load(t->plan, lane, b->params);
    fl_plan_forward(t->plan, lane, &whole);
    memcpy(t->logits + first * b->classes, fl_plan_logits(t->plan, lane),
           count * b->classes * sizeof(float));
    if (!t->how->with_gradients) return;

    fl_team_wait(t->team);
    if (lane == 0) {
        fl_metrics metrics = {0};
        const fl_loss_batch logits = {.outputs = t->logits,
                                      .labels = b->labels,
                                      .count = b->count,
                                      .width = (uint32_t)b->classes,
                                      .grad = t->logits_grad};
        fl_loss_add(&metrics, &(fl_loss){0}, &logits);
    }
    fl_team_wait(t->team);
    memcpy(fl_plan_logits_grad(t->plan, lane),
           t->logits_grad + first * b->classes,
           count * b->classes * sizeof(float));
    fl_plan_backward(t->plan, lane, t->grads + lane * params, &whole);
}

static bool is_statistic(const fl_graph *graph, size_t param)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (param >= node->stats_at &&
            param - node->stats_at < node->stats_count)
            return true;
    }
    return false;
}

static void compare(const trial *t)
{
    const batch *b = t->data;
    const fl_graph *graph = fl_plan_graph(t->plan);
    char name[80];
    snprintf(name, sizeof name, "%s, %u lanes%s%s", t->how->kernels->name,
             t->how->lanes, t->how->recompute ? ", recomputing" : "",
             t->how->uses_stats ? ", running statistics" : "");
    double *logits = calloc(b->count * b->classes, sizeof *logits);
    assert_non_null(logits);
    naive_forward(logits, graph, b->params_exact, b->x, b->count,
                  t->how->uses_stats);
    for (size_t i = 0; i < b->count * b->classes; i++)
        assert_close("logit", name, i, t->logits[i], logits[i]);
    free(logits);
    for (size_t i = 0; t->how->with_gradients && i < graph->param_count; i++) {
        float sum = 0.0F;
        if (is_statistic(graph, i)) continue;
        for (unsigned lane = 0; lane < t->how->lanes; lane++)
            sum += t->grads[lane * graph->param_count + i];
        assert_close("gradient", name, i, sum, b->grads_exact[i]);
    }
}

static void try_way(const fl_graph *net, batch *b, const way *how)
{
    trial t = {.how = how, .data = b};
    t.logits = calloc(b->count * b->classes, sizeof(float));
    t.logits_grad = calloc(b->count * b->classes, sizeof(float));
    t.grads = calloc(how->lanes * net->param_count + 1, sizeof(float));
    assert_true(t.logits && t.logits_grad && t.grads);
    assert_ok(fl_team_new(&t.team, how->lanes));
    // One example more than is used: a plan is for "up to" a batch.
    const fl_plan_options options = {
        .batch_cap = b->count + 1,
        .team = t.team,
        .with_gradients = how->with_gradients,
        .recompute = how->recompute,
    };
    assert_ok(fl_plan_new(&t.plan, net, how->kernels, &options, NULL));
    fl_team_run(t.team, run_lane, &t);
    compare(&t);
    fl_plan_free(t.plan);
    fl_team_free(t.team);
    free(t.logits);
    free(t.logits_grad);
    free(t.grads);
}

static bool has_statistics(const fl_graph *net)
{
    for (uint32_t i = 0; i < net->node_count; i++) {
        if (net->nodes[i].stats_count > 0) return true;
    }
    return false;
}

static void check_gradients(const fl_graph *net, batch *b, bool uses_stats)
{
    const fl_kernels *kernels;
    naive_gradient(b->grads_exact, net, b->params_exact, b->x, b->labels,
                   b->count, uses_stats);
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++) {
        const way ways[] = {
            {kernels, 1, true, false, uses_stats},
            {kernels, 2, true, true, uses_stats},
            {kernels, COUNT + 1, true, false, uses_stats},
        };
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
            try_way(net, b, &ways[i]);
    }
}

void net_check(fl_graph *net)
{
    net_check_batch(net, COUNT);
}

void net_check_batch(fl_graph *net, uint32_t count)
{
    batch b = batch_for(net, count);
    const fl_kernels *kernels;
    check_gradients(net, &b, false);
    if (has_statistics(net)) check_gradients(net, &b, true);
    for (unsigned k = 0; (kernels = fl_kernels_at(k)); k++)
        try_way(net, &b, &(way){kernels, 1, false, false, true});
    batch_free(&b);
    fl_graph_fini(net);
}
