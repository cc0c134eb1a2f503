/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/shrinking.h"

#include <stdlib.h>

#include "base/random.h"
#include "model/reduce/channels.h"
#include "tests/test.h"

/* ---- models ---- */

static void draw_params(fl_model *model, uint64_t seed)
{
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_TEST, 0);
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        float *norm = model->params + node->weight_at;
        float *stats = model->params + node->stats_at;
        const bool is_matrix =
            node->op == FL_OP_CONV || node->op == FL_OP_DENSE;
        for (size_t k = 0; !is_matrix && k < node->weight_count; k++)
            norm[k] = 0.5F + fl_random_float(&random);
        for (size_t k = 0; k < node->bias_count; k++)
            model->params[node->bias_at + k] =
                0.2F * (fl_random_float(&random) - 0.5F);
        for (size_t k = 0; k < node->stats_count; k++)
            stats[k] = k < node->stats_count / 2
                           ? fl_random_float(&random) - 0.5F
                           : 0.1F + fl_random_float(&random);
    }
}

fl_model *shrinking_net(fl_graph net, uint64_t seed)
{
    fl_model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->graph = net;
    model->params = calloc(net.param_count + 1, sizeof(float));
    assert_non_null(model->params);
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_TEST, 1);
    for (size_t i = 0; i < net.param_count; i++)
        model->params[i] = fl_random_float(&random) - 0.5F;
    draw_params(model, seed);
    return model;
}

fl_model *shrinking_zoo(const char *name, uint32_t side, uint64_t seed)
{
    fl_model *model = NULL;
    fl_reason why = {""};
    const fl_model_options options = {.name = name,
                                      .input = {side, side, 1},
                                      .class_count = 10,
                                      .seed = seed};
    const fl_err err = fl_model_new(&model, &options, &why);
    if (err) print_error("%s: %s\n", name, why.text);
    assert_ok(err);
    draw_params(model, seed);
    return model;
}

/* ---- channels ---- */

fl_channels *shrinking_channels(const fl_model *model)
{
    fl_channels *channels = NULL;
    assert_ok(fl_channels_new(&channels, model, NULL));
    return channels;
}

static bool *drawn_mask(const fl_channels *channels, uint64_t seed)
{
    bool *keep = calloc(fl_channels_count(channels) + 1, sizeof *keep);
    fl_random random;
    assert_non_null(keep);
    fl_random_init(&random, seed, FL_RANDOM_TEST, 2);
    for (size_t c = 0; c < fl_channels_count(channels); c++)
        keep[c] = fl_random_below(&random, 2);
    return keep;
}

bool *shrinking_mask(const fl_channels *channels, uint32_t least, uint64_t seed)
{
    bool *keep = drawn_mask(channels, seed);
    uint32_t *kept = shrinking_kept(channels, keep);
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        for (uint32_t c = 0; c < group.count && kept[i] < least; c++) {
            kept[i] += !keep[group.first + c];
            keep[group.first + c] = true;
        }
    }
    free(kept);
    return keep;
}

uint32_t *shrinking_kept(const fl_channels *channels, const bool *keep)
{
    const uint32_t count = fl_channels_group_count(channels);
    uint32_t *kept = calloc(count + 1, sizeof *kept);
    assert_non_null(kept);
    for (uint32_t i = 0; i < count; i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        for (uint32_t c = 0; c < group.count; c++)
            kept[i] += keep[group.first + c];
    }
    return kept;
}

fl_model *shrinking_shrink(const fl_model *model, uint32_t **from,
                           const bool *keep)
{
    fl_channels *channels = shrinking_channels(model);
    fl_model *smaller = NULL;
    fl_reason why = {""};
    const fl_err err =
        fl_model_shrink(&smaller, from, model, channels, keep, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    fl_channels_free(channels);
    return smaller;
}

/* ---- zeros ---- */

static void silence_channel(fl_model *model, const fl_node *node, uint32_t c)
{
    const size_t row = node->weight_count / node->shape.channels;
    for (size_t k = 0; k < row; k++)
        model->params[node->weight_at + c * row + k] = 0.0F;
    if (node->bias_count) model->params[node->bias_at + c] = 0.0F;
}

void shrinking_silence(fl_model *model, const bool *keep)
{
    fl_channels *channels = shrinking_channels(model);
    const fl_coupling *coupling = &channels->coupling;
    for (uint32_t i = 0; i < model->graph.node_count; i++) {
        const fl_node *node = &model->graph.nodes[i];
        const uint32_t *units = coupling->units + coupling->at[i];
        for (uint32_t c = 0; c < node->shape.channels; c++) {
            if (units[c] == FL_UNIT_NONE || keep[units[c]]) continue;
            silence_channel(model, node, c);
        }
    }
    fl_channels_free(channels);
}

/* ---- running ---- */

float *shrinking_logits(const fl_model *model, uint32_t count)
{
    const size_t x_count = count * fl_shape_size(fl_model_input(model));
    float *x = calloc(x_count, sizeof *x);
    float *logits =
        calloc(count * (size_t)fl_model_class_count(model), sizeof *logits);
    fl_trainer *trainer = NULL;
    fl_random random;
    assert_true(x && logits);
    fl_random_init(&random, 1, FL_RANDOM_TEST, 3);
    for (size_t i = 0; i < x_count; i++)
        x[i] = fl_random_float(&random) - 0.25F;
    assert_ok(fl_trainer_new(&trainer, model,
                             &(fl_trainer_options){.batch_cap = count}, NULL));
    assert_ok(fl_trainer_predict(trainer, logits, fl_model_get_params(model), x,
                                 count));
    fl_trainer_free(trainer);
    free(x);
    return logits;
}
