/* SPDX-License-Identifier: Apache-2.0 */
#include "model/zoo/zoo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    fl_architecture *build;
} ARCHITECTURES[] = {
    {"mlp", fl_mlp_build},
    {"lenet", fl_lenet_build},
    {"resnet8", fl_resnet8_build},
    {"resnet18", fl_resnet18_build},
    {"resnet50", fl_resnet50_build},
    {"mobilenetv2", fl_mobilenetv2_build},
    {"mobilenetv2-tiny", fl_mobilenetv2_tiny_build},
    {"mobilenetv3-small", fl_mobilenetv3_small_build},
    {"shufflenetv2", fl_shufflenetv2_build},
    {"siamese", fl_siamese_build},
};

enum { ARCHITECTURE_COUNT = sizeof ARCHITECTURES / sizeof *ARCHITECTURES };

static const double WIDTH_MAX = 8.0;

const char *fl_model_name(size_t i)
{
    return i < ARCHITECTURE_COUNT ? ARCHITECTURES[i].name : NULL;
}

fl_architecture *fl_zoo_find(const char *name)
{
    for (size_t i = 0; i < ARCHITECTURE_COUNT; i++) {
        if (strcmp(ARCHITECTURES[i].name, name) == 0) {
            return ARCHITECTURES[i].build;
        }
    }
    return NULL;
}

/* ---- models ---- */

static fl_err find_architecture(fl_architecture **build, const char *name,
                                fl_reason *why)
{
    char list[192] = "";
    *build = fl_zoo_find(name);
    if (*build) return FL_OK;
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
    if (!(options->width > 0.0 && options->width <= WIDTH_MAX)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "width is %g, it must be above 0 and at most %g",
                             options->width, WIDTH_MAX);
    }
    return FL_OK;
}

static fl_err build_graph(fl_graph *graph, fl_architecture *build,
                          const fl_model_options *options, fl_reason *why)
{
    fl_builder b = {
        .graph = graph,
        .options = options,
        .outputs = options->class_count,
        .why = why,
    };
    uint32_t x = 0;
    const fl_node input = {
        .op = FL_OP_INPUT, .name = "input", .shape = options->input};
    b.err = fl_graph_add(graph, &input, false, NULL, why);
    if (options->mean) {
        x = fl_build_scaling(&b, "sub", x, FL_OP_SUB, options->mean);
        x = fl_build_scaling(&b, "div", x, FL_OP_DIV, options->deviation);
    }
    build(&b, x);
    if (b.err == FL_ERR_FORMAT) {
        return fl_reason_prefix(why, FL_ERR_RANGE,
                                "%s does not fit an input of %ux%ux%u",
                                options->name, options->input.height,
                                options->input.width, options->input.channels);
    }
    return b.err;
}

// Uniform in +-1/sqrt(fan_in), a stream a node: weights, then biases.
static void draw_layer(float *params, const fl_node *node, fl_random *random)
{
    const size_t fan_in = node->weight_count / node->out_count;
    const float bound = (float)(1.0 / sqrt((double)fan_in));
    // Biases lie behind the weights.
    for (size_t k = 0; k < node->weight_count + node->bias_count; k++) {
        params[node->weight_at + k] =
            (2.0F * fl_random_float(random) - 1.0F) * bound;
    }
}

// The identity: weights and variances 1, biases and means 0.
static void set_norm(float *params, const fl_node *node)
{
    const size_t variance_at = node->stats_count / 2;
    for (size_t k = 0; k < node->weight_count; k++) {
        params[node->weight_at + k] = 1.0F;
        params[node->bias_at + k] = 0.0F;
    }
    for (size_t k = 0; k < node->stats_count; k++) {
        params[node->stats_at + k] = k < variance_at ? 0.0F : 1.0F;
    }
}

static void set_params(float *params, const fl_graph *graph, uint64_t seed)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const fl_node *node = &graph->nodes[i];
        fl_random random;
        if (fl_graph_has_weights(node)) {
            fl_random_init(&random, seed, FL_RANDOM_INIT, i);
            draw_layer(params, node, &random);
        } else if (node->weight_count) {
            set_norm(params, node);
        }
    }
}

fl_err fl_model_new(fl_model **model, const fl_model_options *options,
                    fl_reason *why)
{
    fl_architecture *build;
    fl_model_options whole = *options;
    if (whole.width == 0.0) whole.width = 1.0;
    FL_TRY(find_architecture(&build, options->name, why));
    FL_TRY(check_options(&whole, why));
    fl_model *made = calloc(1, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");

    fl_err err = build_graph(&made->graph, build, &whole, why);
    if (err) goto out;
    made->params = malloc(made->graph.param_count * sizeof(float));
    if (!made->params) {
        err = fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu parameters",
                            made->graph.param_count);
        goto out;
    }
    set_params(made->params, &made->graph, options->seed);
    *model = made;
    made = NULL;

out:
    fl_model_free(made);
    return err;
}
