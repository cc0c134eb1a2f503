/* SPDX-License-Identifier: Apache-2.0 */
#include "model/zoo/zoo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    void (*build)(fl_chain *chain, const fl_model_options *options);
} ARCHITECTURES[] = {
    {"mlp", fl_mlp_build},
    {"lenet", fl_lenet_build},
};

enum { ARCHITECTURE_COUNT = sizeof ARCHITECTURES / sizeof *ARCHITECTURES };

/* ---- chains ---- */

static void append(fl_chain *chain, fl_node node, const char *name,
                   bool has_bias, const float *constants)
{
    if (chain->err) return;
    strncpy(node.name, name, sizeof node.name - 1);
    if (node.op != FL_OP_INPUT) {
        node.input_count = 1;
        node.inputs[0] = chain->graph->node_count - 1;
    }
    chain->err =
        fl_graph_add(chain->graph, &node, has_bias, constants, chain->why);
}

void fl_chain_conv(fl_chain *chain, const char *name, uint32_t channels,
                   uint32_t kernel)
{
    const fl_node node = {
        .op = FL_OP_CONV,
        .out_count = channels,
        .window = {kernel, kernel, 1, 1, 0, 0, 0, 0},
    };
    append(chain, node, name, true, NULL);
}

void fl_chain_dense(fl_chain *chain, const char *name, uint32_t outputs)
{
    const fl_node node = {.op = FL_OP_DENSE, .out_count = outputs};
    append(chain, node, name, true, NULL);
}

void fl_chain_relu(fl_chain *chain, const char *name)
{
    append(chain, (fl_node){.op = FL_OP_RELU}, name, false, NULL);
}

void fl_chain_pool(fl_chain *chain, const char *name, uint32_t kernel)
{
    const fl_node node = {
        .op = FL_OP_MAXPOOL,
        .window = {kernel, kernel, kernel, kernel, 0, 0, 0, 0},
    };
    append(chain, node, name, false, NULL);
}

void fl_chain_flatten(fl_chain *chain, const char *name)
{
    append(chain, (fl_node){.op = FL_OP_FLATTEN}, name, false, NULL);
}

/* ---- models ---- */

static fl_err find_architecture(size_t *index, const char *name, fl_reason *why)
{
    for (*index = 0; *index < ARCHITECTURE_COUNT; (*index)++) {
        if (strcmp(ARCHITECTURES[*index].name, name) == 0) return FL_OK;
    }
    char list[128] = "";
    for (size_t i = 0; i < ARCHITECTURE_COUNT; i++) {
        strncat(list, i ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, ARCHITECTURES[i].name, sizeof list - strlen(list) - 1);
    }
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "there is no built-in model \"%s\"; there are: %s",
                         name, list);
}

static fl_err check_options(const fl_model_options *options, fl_reason *why)
{
    if (options->class_count < 2 ||
        options->class_count > FL_DATA_CLASSES_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "class_count is %u, it must be 2 to %u",
                             options->class_count, FL_DATA_CLASSES_MAX);
    }
    if (!options->mean != !options->deviation) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "mean and deviation come together or not at all");
    }
    return FL_OK;
}

static fl_err build_graph(fl_graph *graph, size_t index,
                          const fl_model_options *options, fl_reason *why)
{
    fl_chain chain = {.graph = graph, .why = why};
    append(&chain, (fl_node){.op = FL_OP_INPUT, .shape = options->input},
           "input", false, NULL);
    if (options->mean) {
        append(&chain, (fl_node){.op = FL_OP_SUB}, "sub", false, options->mean);
        append(&chain, (fl_node){.op = FL_OP_DIV}, "div", false,
               options->deviation);
    }
    ARCHITECTURES[index].build(&chain, options);
    if (chain.err == FL_ERR_FORMAT) {
        return fl_reason_prefix(why, FL_ERR_RANGE,
                                "%s does not fit an input of %ux%ux%u",
                                options->name, options->input.height,
                                options->input.width, options->input.channels);
    }
    return chain.err;
}

// Uniform in +-1/sqrt(fan_in), a stream a node: weights, then biases.
static void draw_params(float *params, const fl_graph *graph, uint64_t seed)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        if (node->weight_count == 0) continue;
        const size_t fan_in = node->weight_count / node->out_count;
        const float bound = (float)(1.0 / sqrt((double)fan_in));
        fl_random random;
        fl_random_init(&random, seed, FL_RANDOM_INIT, i);
        // Biases lie behind the weights.
        for (size_t k = 0; k < node->weight_count + node->bias_count; k++) {
            params[node->weight_at + k] =
                (2.0F * fl_random_float(&random) - 1.0F) * bound;
        }
    }
}

fl_err fl_model_new(fl_model **model, const fl_model_options *options,
                    fl_reason *why)
{
    size_t index;
    FL_TRY(find_architecture(&index, options->name, why));
    FL_TRY(check_options(options, why));
    fl_model *made = calloc(1, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");

    fl_err err = build_graph(&made->graph, index, options, why);
    if (err) goto out;
    made->params = malloc(made->graph.param_count * sizeof(float));
    if (!made->params) {
        err = fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu parameters",
                            made->graph.param_count);
        goto out;
    }
    draw_params(made->params, &made->graph, options->seed);
    *model = made;
    made = NULL;

out:
    fl_model_free(made);
    return err;
}
