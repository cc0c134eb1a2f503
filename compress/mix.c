/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/mix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { BATCH = 32 };

static double percent(uint64_t correct, uint64_t count)
{
    return 100.0 * (double)correct / (double)count;
}

/* ---- finding ---- */

static void on_layer(void *self, uint32_t i, uint32_t count)
{
    const fl_tool *tool = self;
    if (tool->is_quiet || tool->is_json) return;
    fprintf(stderr, "\rlayer %u of %u%s", i + 1, count,
            i + 1 == count ? "\n" : "");
}

// What it is to be compared with.
static fl_err measure_base(fl_mix *mix, const fl_model *model, fl_reason *why)
{
    fl_int8_model *quantized = NULL;
    fl_int8_options options = mix->options;
    if (mix->tool->base_bits == 4) options.nibble_layers = "*";
    FL_TRY(fl_int8_quantize(&quantized, model, mix->dataset, mix->rows,
                            mix->row_count, &options, why));
    mix->base_len = fl_int8_bytes(quantized, FL_QDQ_PLAIN);
    const fl_err err =
        fl_int8_evaluate(&mix->base, quantized, BATCH, mix->dataset, mix->rows,
                         mix->row_count, why);
    fl_int8_free(quantized);
    return err;
}

static fl_err choose(fl_mix *mix, fl_reason *why)
{
    const bool is_nibble = mix->tool->base_bits == 4;
    const fl_sensitivity_limits limits = {
        .base = is_nibble ? FL_PRECISION_NIBBLE : FL_PRECISION_INT8,
        .max_bytes_more = mix->tool->max_bytes_more / 100.0,
    };
    FL_TRY(fl_sensitivity_choose(&mix->chosen, &mix->layers, &limits, why));
    mix->options.half_layers = mix->chosen.half_layers;
    mix->options.nibble_layers = mix->chosen.nibble_layers;
    return FL_OK;
}

fl_err fl_mix_find(fl_mix *mix, const fl_model *model,
                   const fl_dataset *dataset, const uint32_t *rows,
                   size_t row_count, fl_reason *why)
{
    fl_tool tool = *mix->tool;
    const fl_sensitivity_data data = {
        .dataset = dataset,
        .rows = rows,
        .row_count = row_count,
        .options = &mix->options,
        .stop = &fl_tool_stop,
        .on_layer = on_layer,
        .on_layer_self = &tool,
    };
    if (tool.base_bits != 4 && tool.base_bits != 8) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--base-bits %llu: it must be 8 or 4",
                             (unsigned long long)tool.base_bits);
    }
    mix->dataset = dataset;
    mix->rows = rows;
    mix->row_count = row_count;
    FL_TRY(measure_base(mix, model, why));
    FL_TRY(fl_sensitivity_measure(&mix->layers, model, &data, why));
    return choose(mix, why);
}

void fl_mix_fini(fl_mix *mix)
{
    fl_sensitivity_fini(&mix->layers);
    fl_sensitivity_mix_fini(&mix->chosen);
}

/* ---- telling ---- */

// Is it one of the names, which have commas in between?
static bool is_listed(const char *list, const char *name)
{
    const size_t len = strlen(name);
    while (list && *list) {
        const size_t next = strcspn(list, ",");
        if (next == len && memcmp(list, name, len) == 0) return true;
        list += next + (list[next] == ',');
    }
    return false;
}

static fl_precision precision_of(const fl_mix *mix, const char *name)
{
    if (is_listed(mix->chosen.half_layers, name)) return FL_PRECISION_FLOAT16;
    if (is_listed(mix->chosen.nibble_layers, name)) return FL_PRECISION_NIBBLE;
    return FL_PRECISION_INT8;
}

static void print_table(const fl_mix *mix, const fl_metrics *mixed, size_t len)
{
    const uint64_t rows = mixed->sample_count;
    printf("%-32s %10s %12s %12s %9s\n", "layer alone in few bits", "weights",
           "loss, 8 bits", "loss, 4 bits", "becomes");
    for (uint32_t i = 0; i < mix->layers.layer_count; i++) {
        const fl_sensitivity_layer *layer = &mix->layers.layers[i];
        printf("%-32s %10zu %+12.5f %+12.5f %9s\n", layer->name,
               layer->weight_count, layer->int8_loss, layer->nibble_loss,
               fl_precision_name(precision_of(mix, layer->name)));
    }
    printf("\non %llu training rows: float32 %.2f %%, %s %.2f %% (%zu bytes), "
           "mixed %.2f %% (%zu bytes)\n",
           (unsigned long long)rows,
           percent(mix->layers.floats.correct_count, rows),
           mix->tool->base_bits == 4 ? "int4" : "int8",
           percent(mix->base.correct_count, rows), mix->base_len,
           percent(mixed->correct_count, rows), len);
}

static void set_metrics(fl_json *json, const char *key, const fl_metrics *m)
{
    char name[64];
    const double count = (double)m->sample_count;
    snprintf(name, sizeof name, "%s_accuracy", key);
    fl_json_number_set(json, name, (double)m->correct_count / count);
    snprintf(name, sizeof name, "%s_loss", key);
    fl_json_number_set(json, name, m->loss_sum / count);
}

static fl_json *layer_json(const fl_mix *mix, uint32_t i)
{
    const fl_sensitivity_layer *layer = &mix->layers.layers[i];
    const double rows = (double)mix->layers.floats.sample_count;
    fl_json *json = fl_json_new();
    fl_json_text_set(json, "name", layer->name);
    fl_json_count_set(json, "weights", layer->weight_count);
    fl_json_number_set(json, "int8_loss", layer->int8_loss);
    fl_json_number_set(json, "int4_loss", layer->nibble_loss);
    fl_json_number_set(json, "int8_accuracy",
                       (double)layer->int8_correct / rows);
    fl_json_number_set(json, "int4_accuracy",
                       (double)layer->nibble_correct / rows);
    fl_json_text_set(json, "precision",
                     fl_precision_name(precision_of(mix, layer->name)));
    return json;
}

static fl_err write_json(const fl_mix *mix, const fl_metrics *mixed, size_t len,
                         fl_reason *why)
{
    char *text = NULL;
    fl_json *json = fl_json_new();
    fl_json_count_set(json, "rows", mixed->sample_count);
    set_metrics(json, "float32", &mix->layers.floats);
    set_metrics(json, "base", &mix->base);
    set_metrics(json, "mixed", mixed);
    fl_json_count_set(json, "base_bits", mix->tool->base_bits);
    fl_json_count_set(json, "base_bytes", mix->base_len);
    fl_json_count_set(json, "mixed_bytes", len);
    for (uint32_t i = 0; i < mix->layers.layer_count; i++) {
        fl_json_object_add(json, "layers", layer_json(mix, i));
    }
    const fl_err err = fl_json_text(&text, json);
    if (!err) puts(text);
    free(text);
    fl_json_free(json);
    return err ? fl_reason_set(why, err, "no memory for the report") : FL_OK;
}

fl_err fl_mix_report(const fl_mix *mix, const fl_int8_model *quantized,
                     fl_qdq_profile profile, fl_reason *why)
{
    fl_metrics mixed;
    const size_t len = fl_int8_bytes(quantized, profile);
    FL_TRY(fl_int8_evaluate(&mixed, quantized, BATCH, mix->dataset, mix->rows,
                            mix->row_count, why));
    if (mix->tool->is_json) return write_json(mix, &mixed, len, why);
    if (!mix->tool->is_quiet) print_table(mix, &mixed, len);
    return FL_OK;
}
