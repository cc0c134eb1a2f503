/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CALIBRATION_ROWS = 128, BATCH = 32 };

/* ---- the layers ---- */

static bool has_weights(const fl_layer_info *layer)
{
    return strcmp(layer->op, "Conv") == 0 || strcmp(layer->op, "Gemm") == 0;
}

// Weights of layers come in the order of the layers.
static fl_err list_layers(fl_sensitivity *made, fl_reason *why)
{
    const fl_model *model = made->folded;
    const uint32_t count = fl_model_layer_count(model);
    made->layers = calloc((size_t)count + 1, sizeof *made->layers);
    if (!made->layers) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    for (uint32_t i = 0; i < count; i++) {
        const fl_layer_info layer = fl_model_layer(model, i);
        if (!has_weights(&layer)) continue;
        made->layers[made->layer_count++].name = layer.name;
    }
    uint32_t at = 0;
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (tensor.role != FL_TENSOR_WEIGHT) continue;
        made->layers[at++].weight_count = tensor.count;
    }
    return FL_OK;
}

// Names with commas in between: all those that `is_named` says yes to.
static fl_err join_names(char **list, const fl_sensitivity *made,
                         bool (*is_named)(const void *self, uint32_t i),
                         const void *self)
{
    size_t len = 0, at = 0;
    for (uint32_t i = 0; i < made->layer_count; i++) {
        len += strlen(made->layers[i].name) + 1;
    }
    char *text = calloc(len + 1, 1);
    if (!text) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < made->layer_count; i++) {
        if (!is_named(self, i)) continue;
        const size_t name_len = strlen(made->layers[i].name);
        if (at > 0) text[at++] = ',';
        memcpy(text + at, made->layers[i].name, name_len);
        at += name_len;
    }
    *list = text;
    return FL_OK;
}

/* ---- measuring ---- */

static fl_err measure(fl_metrics *metrics, const fl_sensitivity *made,
                      const fl_sensitivity_data *data,
                      const fl_int8_options *options, fl_reason *why)
{
    fl_int8_model *quantized = NULL;
    const size_t rows =
        data->row_count < CALIBRATION_ROWS ? data->row_count : CALIBRATION_ROWS;
    if (data->stop && atomic_load(data->stop)) return FL_ERR_CANCELLED;
    FL_TRY(fl_int8_quantize(&quantized, made->folded, data->dataset, data->rows,
                            rows, options, why));
    const fl_err err =
        fl_int8_evaluate(metrics, quantized, BATCH, data->dataset, data->rows,
                         data->row_count, why);
    fl_int8_free(quantized);
    return err;
}

static double mean_loss(const fl_metrics *metrics)
{
    return metrics->loss_sum / (double)metrics->sample_count;
}

static bool is_another(const void *self, uint32_t i)
{
    return *(const uint32_t *)self != i;
}

static fl_err measure_layer(fl_sensitivity *made, uint32_t i,
                            const fl_sensitivity_data *data, fl_reason *why)
{
    fl_sensitivity_layer *layer = &made->layers[i];
    fl_int8_options options = *data->options;
    fl_metrics in_8, in_4;
    char *others = NULL;
    fl_err err = join_names(&others, made, is_another, &i);
    if (err) return fl_reason_set(why, err, "no memory for names");
    options.float_layers = others;
    err = measure(&in_8, made, data, &options, why);
    options.nibble_layers = layer->name;
    if (!err) err = measure(&in_4, made, data, &options, why);
    free(others);
    if (err) return err;
    layer->int8_loss = mean_loss(&in_8) - mean_loss(&made->floats);
    layer->nibble_loss = mean_loss(&in_4) - mean_loss(&made->floats);
    layer->int8_correct = in_8.correct_count;
    layer->nibble_correct = in_4.correct_count;
    return FL_OK;
}

static fl_err measure_all(fl_sensitivity *made, const fl_sensitivity_data *data,
                          fl_reason *why)
{
    fl_int8_options options = *data->options;
    options.float_layers = "*";
    FL_TRY(measure(&made->floats, made, data, &options, why));
    for (uint32_t i = 0; i < made->layer_count; i++) {
        FL_TRY(measure_layer(made, i, data, why));
        if (!data->on_layer) continue;
        data->on_layer(data->on_layer_self, i, made->layer_count);
    }
    return FL_OK;
}

static int compare_layers(const void *left, const void *right)
{
    const fl_sensitivity_layer *a = left, *b = right;
    if (a->int8_loss > b->int8_loss) return -1;
    if (a->int8_loss < b->int8_loss) return 1;
    return strcmp(a->name, b->name);
}

fl_err fl_sensitivity_measure(fl_sensitivity *made, const fl_model *model,
                              const fl_sensitivity_data *data, fl_reason *why)
{
    fl_sensitivity all = {.layer_count = 0};
    FL_TRY(fl_model_fold(&all.folded, model, why));
    fl_err err = list_layers(&all, why);
    if (!err) err = measure_all(&all, data, why);
    if (err) {
        fl_sensitivity_fini(&all);
        return err;
    }
    qsort(all.layers, all.layer_count, sizeof *all.layers, compare_layers);
    *made = all;
    return FL_OK;
}

void fl_sensitivity_fini(fl_sensitivity *made)
{
    fl_model_free(made->folded);
    free(made->layers);
    *made = (fl_sensitivity){.layer_count = 0};
}

/* ---- choosing ---- */

// From few bits to many.
typedef enum { NIBBLE, INT8, HALF } level;

static const size_t HALF_BYTES[] = {[NIBBLE] = 1, [INT8] = 2, [HALF] = 4};

typedef struct {
    const fl_sensitivity *made;
    level *levels;  // one a layer
    level wanted;   // for the lists
} chooser;

static double loss_at(const fl_sensitivity_layer *layer, level at)
{
    if (at == HALF) return 0.0;
    return at == INT8 ? layer->int8_loss : layer->nibble_loss;
}

static size_t bytes_at(const fl_sensitivity_layer *layer, level at)
{
    return (layer->weight_count * HALF_BYTES[at] + 1) / 2;
}

static size_t bytes_of(const chooser *c)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < c->made->layer_count; i++) {
        sum += bytes_at(&c->made->layers[i], c->levels[i]);
    }
    return sum;
}

static double loss_of(const chooser *c)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < c->made->layer_count; i++) {
        sum += fmax(loss_at(&c->made->layers[i], c->levels[i]), 0.0);
    }
    return sum;
}

typedef struct {
    uint32_t layer;
    level to;
    double worth;  // loss that a byte takes away; 0: there is no step
} step;

// The best of all steps that cost no more than `room`.
static step best_step(const chooser *c, size_t room)
{
    step best = {.worth = 0.0};
    for (uint32_t i = 0; i < c->made->layer_count; i++) {
        const fl_sensitivity_layer *layer = &c->made->layers[i];
        const level from = c->levels[i];
        for (level to = from; to++ < HALF;) {
            const size_t cost = bytes_at(layer, to) - bytes_at(layer, from);
            const double gain = loss_at(layer, from) - loss_at(layer, to);
            const double worth = gain / (double)cost;
            if (cost <= room && worth > best.worth) {
                best = (step){i, to, worth};
            }
        }
    }
    return best;
}

static void climb(const chooser *c, const fl_sensitivity_limits *limits)
{
    const size_t base = bytes_of(c);
    const double room = limits->max_bytes_more * (double)base;
    const size_t most =
        limits->max_bytes_more > 0.0 ? base + (size_t)room : SIZE_MAX;
    for (;;) {
        if (limits->max_loss > 0.0 && loss_of(c) <= limits->max_loss) return;
        const step next = best_step(c, most - bytes_of(c));
        if (next.worth <= 0.0) return;
        c->levels[next.layer] = next.to;
    }
}

static bool is_wanted(const void *self, uint32_t i)
{
    const chooser *c = self;
    return c->levels[i] == c->wanted;
}

static fl_err list_level(char **list, chooser *c, level wanted)
{
    c->wanted = wanted;
    FL_TRY(join_names(list, c->made, is_wanted, c));
    if (**list) return FL_OK;
    free(*list);
    *list = NULL;
    return FL_OK;
}

static fl_err check_limits(const fl_sensitivity_limits *limits, fl_reason *why)
{
    const double more = limits->max_bytes_more, loss = limits->max_loss;
    if (limits->base != FL_PRECISION_INT8 &&
        limits->base != FL_PRECISION_NIBBLE) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a mix begins with 8 or 4 bits everywhere");
    }
    if (isfinite(more) && isfinite(loss) && more >= 0.0 && loss >= 0.0 &&
        more <= 16.0 && more + loss > 0.0) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "a mix needs a limit: bytes to add (0 to 16 times "
                         "those of the weights), or a loss to get below");
}

static fl_err list_all(fl_sensitivity_mix *mix, chooser *c)
{
    mix->mixed_bytes = bytes_of(c);
    mix->loss = loss_of(c);
    FL_TRY(list_level(&mix->half_layers, c, HALF));
    return list_level(&mix->nibble_layers, c, NIBBLE);
}

fl_err fl_sensitivity_choose(fl_sensitivity_mix *mix,
                             const fl_sensitivity *made,
                             const fl_sensitivity_limits *limits,
                             fl_reason *why)
{
    FL_TRY(check_limits(limits, why));
    fl_sensitivity_mix chosen = {NULL, NULL, 0, 0, 0.0};
    chooser c = {.made = made};
    c.levels = calloc((size_t)made->layer_count + 1, sizeof *c.levels);
    if (!c.levels) return fl_reason_set(why, FL_ERR_MEMORY, "no memory");
    for (uint32_t i = 0; i < made->layer_count; i++) {
        c.levels[i] = limits->base == FL_PRECISION_INT8 ? INT8 : NIBBLE;
    }
    chosen.base_bytes = bytes_of(&c);
    climb(&c, limits);
    const fl_err err = list_all(&chosen, &c);
    free(c.levels);
    if (err) {
        fl_sensitivity_mix_fini(&chosen);
        return fl_reason_set(why, err, "no memory for names");
    }
    *mix = chosen;
    return FL_OK;
}

void fl_sensitivity_mix_fini(fl_sensitivity_mix *mix)
{
    free(mix->half_layers);
    free(mix->nibble_layers);
    *mix = (fl_sensitivity_mix){NULL, NULL, 0, 0, 0.0};
}
