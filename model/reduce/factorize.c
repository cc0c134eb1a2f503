/*
 * Low rank: a layer as the product of two thinner ones.
 *
 * With O outputs, and K inputs of each (a window's height times width times
 * channels), the weights W (O, K) have the singular value decomposition
 * W = U S V^T. Of its r largest singular values
 *
 *   NAME.u  has weights sqrt(S) V^T (r, K), no bias, the layer's window
 *   NAME.v  has weights U sqrt(S) (O, r), the layer's bias, a window of 1x1
 *
 * which is the nearest matrix of rank r (Eckart and Young 1936). Both halves
 * get the same share of S, so that neither is harder to train or to quantise.
 *
 * The decomposition is LAPACK's, in double and in one thread. The same build
 * of it on the same CPU gives the same bits; another one may differ in the
 * last bits of float32, and more where singular values are equal, as any
 * rotation of their vectors is then as good. U and V are unique up to signs:
 * the largest entry of each column of U is made positive.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <assert.h>
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/graph.h"
#include "model/pick.h"
#include "model/reduce.h"

// A layer's decomposition; R = min(O, K) singular values.
typedef struct {
    size_t outputs, depth, full_rank;  // O, K, R
    double *u, *values, *v;            // (O, R), (R) falling, (R, K)
    size_t rank;                       // that is kept; 0: the layer stays
} factors;

typedef struct {
    const fl_model *model;
    const fl_factorize_options *options;
    bool *selected;     // nodes that are to be factored
    factors *layers;    // one a node
    uint32_t *numbers;  // of a node's value in the new graph
    fl_model *made;
    fl_reason *why;
} factorization;

static fl_err say_no_memory(fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory to factor a model");
}

/* ---- which layers ---- */

static bool is_matrix(const fl_node *node)
{
    return fl_graph_has_weights(node) && node->group_count == 1;
}

// Whether the list has the layer's whole name, not just a pattern that fits.
static bool is_named(const char *list, const char *name)
{
    const size_t name_len = strlen(name);
    for (;;) {
        const size_t len = strcspn(list, ",");
        if (len == name_len && memcmp(list, name, len) == 0) return true;
        if (list[len] == '\0') return false;
        list += len + 1;
    }
}

static fl_err check_options(const fl_factorize_options *options, fl_reason *why)
{
    const double energy = options->energy, budget = options->budget;
    if (!(energy >= 0.0 && energy <= 1.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "energy is %g, it must be above 0 and at most 1",
                             energy);
    }
    if (!(budget >= 0.0 && budget < 1.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "budget is %g, it must be above 0 and below 1",
                             budget);
    }
    if ((energy > 0.0) != (budget > 0.0)) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "give energy or budget, one of the two");
}

// A layer with groups is passed over, unless it was asked for by its name.
static fl_err select_layers(factorization *f)
{
    static const fl_pick pick = {"layers", "convolution or dense layer",
                                 fl_graph_has_weights};
    const fl_graph *graph = &f->model->graph;
    const char *list = f->options->layers ? f->options->layers : "*";
    FL_TRY(fl_pick_nodes(f->selected, graph, list, &pick, f->why));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (!f->selected[i] || is_matrix(node)) continue;
        if (is_named(list, node->name)) {
            return fl_reason_set(f->why, FL_ERR_UNSUPPORTED,
                                 "layer \"%s\" has %u groups: each is a "
                                 "matrix of its own, and too thin to factor; "
                                 "leave it out",
                                 node->name, node->group_count);
        }
        f->selected[i] = false;
    }
    return FL_OK;
}

/* ---- decomposition ---- */

static double *new_doubles(size_t a, size_t b)
{
    size_t len;
    if (fl_size_mul(&len, a, b) || fl_size_mul(&len, len, sizeof(double))) {
        return NULL;
    }
    return malloc(len);
}

// The largest entry of each column of U is positive; the first of equal ones.
static void fix_signs(factors *l)
{
    const size_t r = l->full_rank;
    for (size_t j = 0; j < r; j++) {
        double largest = 0.0;
        for (size_t o = 0; o < l->outputs; o++) {
            const double entry = l->u[o * r + j];
            if (fabs(entry) > fabs(largest)) largest = entry;
        }
        if (largest >= 0.0) continue;
        for (size_t o = 0; o < l->outputs; o++) {
            l->u[o * r + j] = -l->u[o * r + j];
        }
        for (size_t k = 0; k < l->depth; k++) {
            l->v[j * l->depth + k] = -l->v[j * l->depth + k];
        }
    }
}

static fl_err allocate_factors(factors *l, const fl_node *node, fl_reason *why)
{
    l->outputs = node->out_count;
    l->depth = node->weight_count / l->outputs;
    l->full_rank = l->outputs < l->depth ? l->outputs : l->depth;
    l->u = new_doubles(l->outputs, l->full_rank);
    l->values = new_doubles(l->full_rank, 1);
    l->v = new_doubles(l->full_rank, l->depth);
    return l->u && l->values && l->v ? FL_OK : say_no_memory(why);
}

static bool widen(double *matrix, const float *weights, size_t count)
{
    bool is_finite = true;
    for (size_t i = 0; i < count; i++) {
        matrix[i] = (double)weights[i];
        is_finite = is_finite && isfinite(weights[i]);
    }
    return is_finite;
}

/*
 * LAPACK wants columns one after the other: it is given W^T = V S U^T, whose
 * columns are our rows, and its answers come out the way we hold them. It
 * destroys the matrix.
 */
static lapack_int call_lapack(factors *l, double *matrix)
{
    const lapack_int k = (lapack_int)l->depth, o = (lapack_int)l->outputs;
    return LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', k, o, matrix, k, l->values,
                          l->v, k, l->u, (lapack_int)l->full_rank);
}

static fl_err decompose(factors *l, const fl_node *node, const float *weights,
                        fl_reason *why)
{
    FL_TRY(allocate_factors(l, node, why));
    double *matrix = new_doubles(l->outputs, l->depth);
    if (!matrix) return say_no_memory(why);
    lapack_int info = 1;
    if (widen(matrix, weights, node->weight_count)) {
        info = call_lapack(l, matrix);
    }
    free(matrix);
    if (info == LAPACK_WORK_MEMORY_ERROR) return say_no_memory(why);
    if (info != 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the weights of layer \"%s\" have no singular "
                             "values: one is NaN or infinite",
                             node->name);
    }
    fix_signs(l);
    return FL_OK;
}

/* ---- ranks ---- */

static size_t weights_at(const factors *l, size_t rank)
{
    return rank * (l->outputs + l->depth);
}

static size_t whole_weights(const factors *l)
{
    return l->outputs * l->depth;
}

// The least rank that keeps this share of the squared singular values.
static size_t rank_of(const factors *l, double energy)
{
    double all = 0.0, kept = 0.0;
    if (energy >= 1.0) return l->full_rank;
    for (size_t j = l->full_rank; j-- > 0;) {
        all += l->values[j] * l->values[j];
    }
    for (size_t j = 0; j < l->full_rank; j++) {
        kept += l->values[j] * l->values[j];
        if (kept >= energy * all) return j + 1;
    }
    return l->full_rank;
}

static bool is_smaller(const factors *l, size_t rank)
{
    return weights_at(l, rank) < whole_weights(l);
}

// Weights of all selected layers when each keeps `energy`.
static size_t weights_for(const factorization *f, double energy)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < f->model->graph.node_count; i++) {
        const factors *l = &f->layers[i];
        if (!f->selected[i]) continue;
        const size_t rank = rank_of(l, energy);
        sum += is_smaller(l, rank) ? weights_at(l, rank) : whole_weights(l);
    }
    return sum;
}

// The most energy, the same of all layers, with which they fit the budget.
static fl_err find_energy(double *energy, const factorization *f)
{
    enum { HALVINGS = 52 };  // as many as a double tells apart
    double all = 0.0, high = 1.0;
    for (uint32_t i = 0; i < f->model->graph.node_count; i++) {
        if (f->selected[i]) all += (double)whole_weights(&f->layers[i]);
    }
    const double room = f->options->budget * all;
    *energy = 0.0;
    if ((double)weights_for(f, 0.0) > room) {
        return fl_reason_set(f->why, FL_ERR_RANGE,
                             "budget is %g, but rank 1 takes %g of these "
                             "layers' weights already",
                             f->options->budget,
                             (double)weights_for(f, 0.0) / all);
    }
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = 0.5 * (*energy + high);
        if ((double)weights_for(f, middle) <= room) {
            *energy = middle;
        } else {
            high = middle;
        }
    }
    return FL_OK;
}

static fl_err choose_ranks(factorization *f)
{
    const fl_factorize_options *options = f->options;
    const bool takes_all = options->layers && options->energy >= 1.0;
    double energy = options->energy;
    size_t count = 0;
    if (options->budget > 0.0) FL_TRY(find_energy(&energy, f));
    for (uint32_t i = 0; i < f->model->graph.node_count; i++) {
        factors *l = &f->layers[i];
        if (!f->selected[i]) continue;
        const size_t rank = rank_of(l, energy);
        if (!takes_all && !is_smaller(l, rank)) continue;
        l->rank = rank;
        count++;
    }
    if (count > 0) return FL_OK;
    return fl_reason_set(f->why, FL_ERR_RANGE,
                         "no layer gets smaller with energy %g; ask for less",
                         energy);
}

static fl_err decompose_all(factorization *f)
{
    const fl_graph *graph = &f->model->graph;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (!f->selected[i]) continue;
        FL_TRY(decompose(&f->layers[i], node,
                         f->model->params + node->weight_at, f->why));
    }
    return FL_OK;
}

/* ---- the new model ---- */

static fl_err append(factorization *f, const fl_node *node, bool has_bias)
{
    return fl_graph_add(&f->made->graph, node, has_bias,
                        f->model->graph.constants + node->constant_at, f->why);
}

// `part` is 'u' or 'v'; a long name loses its end, not what tells them apart.
static void name_part(fl_node *part, const fl_node *node, char letter)
{
    snprintf(part->name, sizeof part->name, "%.*s.%c", FL_NODE_NAME_CAP - 3,
             node->name, letter);
}

static fl_err append_factors(factorization *f, fl_node node, size_t rank)
{
    fl_node u = node, v = node;
    name_part(&u, &node, 'u');
    name_part(&v, &node, 'v');
    u.out_count = (uint32_t)rank;
    FL_TRY(append(f, &u, false));
    v.inputs[0] = f->made->graph.node_count - 1;
    v.dilation_h = v.dilation_w = 1;
    if (v.op == FL_OP_CONV) v.window = (fl_window){1, 1, 1, 1, 0, 0, 0, 0};
    return append(f, &v, node.bias_count > 0);
}

static fl_err append_nodes(factorization *f)
{
    const fl_graph *graph = &f->model->graph;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        fl_node node = graph->nodes[i];
        const size_t rank = f->layers[i].rank;
        for (uint32_t k = 0; k < node.input_count; k++) {
            node.inputs[k] = f->numbers[node.inputs[k]];
        }
        FL_TRY(rank ? append_factors(f, node, rank)
                    : append(f, &node, node.bias_count > 0));
        f->numbers[i] = f->made->graph.node_count - 1;
    }
    return FL_OK;
}

static void write_factors(float *u_weight, float *v_weight, const factors *l)
{
    for (size_t j = 0; j < l->rank; j++) {
        const double root = sqrt(l->values[j]);
        for (size_t k = 0; k < l->depth; k++) {
            *u_weight++ = (float)(root * l->v[j * l->depth + k]);
        }
    }
    for (size_t o = 0; o < l->outputs; o++) {
        for (size_t j = 0; j < l->rank; j++) {
            const double root = sqrt(l->values[j]);
            *v_weight++ = (float)(root * l->u[o * l->full_rank + j]);
        }
    }
}

static void write_params(const factorization *f, uint32_t i)
{
    const fl_node *from = &f->model->graph.nodes[i];
    const fl_node *to = &f->made->graph.nodes[f->numbers[i]];
    const float *source = f->model->params;
    float *params = f->made->params;
    if (f->layers[i].rank) {
        write_factors(params + to[-1].weight_at, params + to->weight_at,
                      &f->layers[i]);
    } else {
        memcpy(params + to->weight_at, source + from->weight_at,
               from->weight_count * sizeof *params);
        memcpy(params + to->stats_at, source + from->stats_at,
               from->stats_count * sizeof *params);
    }
    memcpy(params + to->bias_at, source + from->bias_at,
           from->bias_count * sizeof *params);
}

static fl_err make_model(factorization *f)
{
    f->made = calloc(1, sizeof *f->made);
    if (!f->made) return say_no_memory(f->why);
    FL_TRY(append_nodes(f));
    // One float too many keeps a graph without parameters out of malloc(0).
    f->made->params = malloc((f->made->graph.param_count + 1) * sizeof(float));
    if (!f->made->params) return say_no_memory(f->why);
    for (uint32_t i = 0; i < f->model->graph.node_count; i++) {
        write_params(f, i);
    }
    return FL_OK;
}

/* ---- the front ---- */

static fl_err allocate(factorization *f)
{
    const uint32_t count = f->model->graph.node_count;
    assert(count > 0);
    f->selected = calloc(count, sizeof *f->selected);
    f->layers = calloc(count, sizeof *f->layers);
    f->numbers = calloc(count, sizeof *f->numbers);
    if (f->selected && f->layers && f->numbers) return FL_OK;
    return say_no_memory(f->why);
}

static void release(factorization *f)
{
    for (uint32_t i = 0; f->layers && i < f->model->graph.node_count; i++) {
        free(f->layers[i].u);
        free(f->layers[i].values);
        free(f->layers[i].v);
    }
    free(f->selected);
    free(f->layers);
    free(f->numbers);
    fl_model_free(f->made);
}

fl_err fl_model_factorize(fl_model **factored, const fl_model *model,
                          const fl_factorize_options *options, fl_reason *why)
{
    factorization f = {.model = model, .options = options, .why = why};
    FL_TRY(check_options(options, why));
    openblas_set_num_threads(1);
    fl_err err = allocate(&f);
    if (!err) err = select_layers(&f);
    if (!err) err = decompose_all(&f);
    if (!err) err = choose_ranks(&f);
    if (!err) err = make_model(&f);
    if (!err) {
        *factored = f.made;
        f.made = NULL;
    }
    release(&f);
    return err;
}
