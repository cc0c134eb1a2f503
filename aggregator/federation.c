/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

// Of all clients of a session together a count of 32 bits holds them.
enum { SURVEY_ROWS_MAX = 1 << 16 };

void fl_federation_list(fl_option *table, fl_federation *f)
{
    const fl_option options[FL_FEDERATION_OPTIONS] = {
        {"train", "model", FL_OPTION_TEXT, &f->model, 0, 0, "NAME|FILE",
         "a built-in model (lenet, mlp, resnet8, mobilenetv2, ...) or an ONNX "
         "file"},
        {"train", "local-epochs", FL_OPTION_COUNT, &f->local_epochs, 1,
         FL_PROTO_STEPS_MAX, "N",
         "passes over its rows that a client makes in a round", FL_OPTION_LIVE},
        {"train", "batch", FL_OPTION_COUNT, &f->batch, 1, FL_PROTO_STEPS_MAX,
         "N", "rows in one step", FL_OPTION_LIVE},
        {"train", "lr", FL_OPTION_NUMBER, &f->lr, 1e-12, 1e6, "X",
         "learning rate", FL_OPTION_LIVE},
        {"train", "momentum", FL_OPTION_NUMBER, &f->momentum, 0, 0.9999, "X",
         "of SGD", FL_OPTION_LIVE},
        {"train", "weight-decay", FL_OPTION_NUMBER, &f->weight_decay, 0, 1e3,
         "X", "L2 penalty added to the gradient", FL_OPTION_LIVE},
        {"train", "clip-norm", FL_OPTION_NUMBER, &f->clip_norm, 0, 1e9, "X",
         "longest gradient of a step; 0: no limit", FL_OPTION_LIVE},
        {"train", "schedule", FL_OPTION_TEXT, &f->schedule, 0, 0, "NAME",
         "of the learning rate within a round: constant, cosine, step",
         FL_OPTION_LIVE},
        {"train", "schedule-steps", FL_OPTION_COUNT, &f->schedule_steps, 0, 1e9,
         "N", "cosine: steps to 0; step: steps between two changes",
         FL_OPTION_LIVE},
        {"train", "schedule-factor", FL_OPTION_NUMBER, &f->schedule_factor, 0,
         1e3, "X", "step: what the rate is multiplied by", FL_OPTION_LIVE},
        {"train", "lr-decay", FL_OPTION_NUMBER, &f->lr_decay, 1e-3, 1, "X",
         "what the learning rate is multiplied by from round to round"},
        {"train", "norm-rounds", FL_OPTION_COUNT, &f->norm_rounds, 0, 1000000,
         "N",
         "rounds in which the statistics of batch norms follow the data, "
         "before they are frozen; 0: all. They follow it again while a pruned "
         "model recovers"},
        {"rounds", "rounds", FL_OPTION_COUNT, &f->round_count, 0, 1000000, "N",
         "rounds in all"},
        {"rounds", "cohort", FL_OPTION_COUNT, &f->cohort, 1,
         FL_SESSION_CLIENTS_MAX, "N", "clients whose updates make a round"},
        {"rounds", "over-select", FL_OPTION_NUMBER, &f->over_select, 0, 10, "X",
         "ask this share more clients, take the first to answer"},
        {"rounds", "quorum", FL_OPTION_COUNT, &f->quorum, 0,
         FL_SESSION_CLIENTS_MAX, "N",
         "updates without which a round fails; 0: half of the cohort",
         FL_OPTION_LIVE},
        {"rounds", "deadline", FL_OPTION_NUMBER, &f->deadline_s, 0.001, 1e6,
         "S", "seconds that a round may take", FL_OPTION_LIVE},
        {"rounds", "farewell", FL_OPTION_NUMBER, &f->farewell_s, 0, 1e6, "S",
         "seconds at the end, at most, in which clients fetch the last model, "
         "with --prune or --int8",
         FL_OPTION_LIVE},
        {"rounds", "evaluate-every", FL_OPTION_COUNT, &f->evaluate_every, 0,
         1000000, "N",
         "rounds between two measurements on the held-out data; 0: never",
         FL_OPTION_LIVE},
        {"rounds", "seed", FL_OPTION_COUNT, &f->seed, 0, 9e15, "N",
         "of first parameters, cohorts, partitions and the order of rows"},
        {"sum", "aggregation", FL_OPTION_TEXT, &f->aggregation, 0, 0, "NAME",
         "secure: the aggregator learns the sum of a round's updates alone; "
         "clear: the aggregator sees every update"},
        {"sum", "value-clip", FL_OPTION_NUMBER, &f->value_clip, 1e-6, 1e6, "X",
         "largest change of a parameter in a round; larger ones count so"},
        {"sum", "weight-max", FL_OPTION_COUNT, &f->weight_max, 1,
         FL_PROTO_SAMPLES_MAX, "N",
         "a client with more examples counts as one with so many"},
        {"sum", "min-survivors", FL_OPTION_COUNT, &f->min_survivors, 0,
         FL_SESSION_CLIENTS_MAX, "N",
         "secure: fewest clients in a sum; 0: two thirds of the cohort, at "
         "least 8"},
        {"sum", "phase", FL_OPTION_NUMBER, &f->phase_s, 0.001, 1e6, "S",
         "secure: seconds that a phase of a session may take", FL_OPTION_LIVE},
        {"compress", "codec", FL_OPTION_TEXT, &f->codec, 0, 0, "NAME",
         "how updates become bytes: sketch, dense:BITS; in the clear also "
         "sketch1bit, topk, stc, qsgd:BITS, fp16, none (default: sketch, in "
         "the clear sketch1bit)"},
        {"compress", "density", FL_OPTION_NUMBER, &f->density, 1e-6, 1, "X",
         "share of a large matrix that an update sends (default: 0.05, "
         "sketch1bit 0.07)"},
        {"compress", "codec-small", FL_OPTION_NUMBER, &f->density_small, 1e-6,
         1, "X",
         "share of small tensors that is sent (default: 0.25, sketch1bit 1)"},
        {"compress", "release", FL_OPTION_NUMBER, &f->release, 1e-6, 1, "X",
         "share of the published model's parameters that move in a round"},
        {"compress", "grid", FL_OPTION_NUMBER, &f->grid, 0, 1, "X",
         "step of the published model, in root mean squares of a tensor; 0: "
         "none, each round publishes the whole model in float32"},
        {"compress", "overflow-free", FL_OPTION_FLAG, &f->is_overflow_free, 0,
         0, NULL,
         "sums can never wrap, for about 8/5 of the bytes of an update"},
        {"compress-model", "prune", FL_OPTION_NUMBER, &f->prune, 0, 0.95, "X",
         "share of the first model's parameters to remove, whole channels, on "
         "what clients say matters least; 0: none"},
        {"compress-model", "prune-start", FL_OPTION_COUNT, &f->prune_start, 0,
         1000000, "N", "rounds of training before that"},
        {"compress-model", "prune-step", FL_OPTION_NUMBER, &f->prune_step, 0.01,
         0.95, "X", "share of the first model that goes at once"},
        {"compress-model", "prune-recover", FL_OPTION_COUNT, &f->prune_recover,
         1, 1000000, "N", "rounds of training after each step"},
        {"compress-model", "prune-multiple", FL_OPTION_COUNT,
         &f->prune_multiple, 1, 1024, "N",
         "channels of a layer stay a multiple of this, which kernels like"},
        {"compress-model", "prune-importance", FL_OPTION_TEXT,
         &f->prune_importance, 0, 0, "NAME",
         "fisher: clients measure it, on their data; magnitude: the weights "
         "alone"},
        {"compress-model", "prune-cost", FL_OPTION_TEXT, &f->prune_cost, 0, 0,
         "NAME", "what is to shrink: params (bytes) or macs (time)"},
        {"compress-model", "max-drop", FL_OPTION_NUMBER, &f->max_drop, 0, 100,
         "X",
         "percentage points of accuracy that a smaller model, or its INT8 "
         "form, may lose on rows that clients hold out; one that loses more "
         "is taken back"},
        {"compress-model", "int8", FL_OPTION_FLAG, &f->has_int8, 0, 0, NULL,
         "clients measure ranges of values and get the model in INT8 too"},
        {"compress-model", "holdout", FL_OPTION_NUMBER, &f->holdout, 0.0001,
         0.5, "X",
         "share of its rows that a client does not train on, with --prune or "
         "--int8"},
        {"compress-model", "survey-cohort", FL_OPTION_COUNT, &f->survey_cohort,
         0, FL_SESSION_CLIENTS_MAX, "N",
         "clients that are asked to measure; 0: ten times a cohort"},
        {"compress-model", "survey-rows", FL_OPTION_COUNT, &f->survey_rows, 1,
         SURVEY_ROWS_MAX, "N",
         "rows that each of them looks at, at most; of rows that it holds "
         "out a quarter of that"},
    };
    memcpy(table, options, sizeof options);
}

static fl_err read_schedule(fl_schedule *schedule, const fl_federation *f,
                            fl_reason *why)
{
    static const char *const names[] = {
        [FL_SCHEDULE_CONSTANT] = "constant",
        [FL_SCHEDULE_COSINE] = "cosine",
        [FL_SCHEDULE_STEP] = "step",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(f->schedule, names[i]) != 0) continue;
        *schedule = (fl_schedule)i;
        if (*schedule == FL_SCHEDULE_CONSTANT || f->schedule_steps > 0) {
            return FL_OK;
        }
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--schedule %s needs --schedule-steps", names[i]);
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--schedule %s: not constant, cosine or step",
                         f->schedule);
}

static fl_err read_aggregation(fl_aggregation *aggregation,
                               const fl_federation *f, fl_reason *why)
{
    if (strcmp(f->aggregation, "secure") == 0) {
        *aggregation = FL_AGGREGATION_SECURE;
    } else if (strcmp(f->aggregation, "clear") == 0) {
        *aggregation = FL_AGGREGATION_CLEAR;
    } else {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--aggregation %s: not secure, nor clear (the "
                             "aggregator sees every update)",
                             f->aggregation);
    }
    return FL_OK;
}

static uint32_t fewest_survivors(const fl_federation *f)
{
    return f->min_survivors ? (uint32_t)f->min_survivors
                            : fl_session_client_min((uint32_t)f->cohort);
}

// Whether the cohort can hide anybody.
static fl_err check_survivors(const fl_federation *f, fl_reason *why)
{
    const uint32_t fewest = fewest_survivors(f);
    if (fewest < 2) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--min-survivors %u: a sum of one update is that "
                             "update; 2 is the fewest",
                             fewest);
    }
    if (f->cohort >= fewest) return FL_OK;
    return fl_reason_set(
        why, FL_ERR_RANGE,
        "--cohort %llu: secure aggregation hides an update among %u at least; "
        "take more clients, or lower this with --min-survivors N (a sum of "
        "fewer says more about each), or say --aggregation clear (the "
        "aggregator sees every update)",
        (unsigned long long)f->cohort, fewest);
}

/* ---- codecs ---- */

// The names of those whose sums can be masked, with commas.
static void list_summable(char *dst, size_t dst_cap)
{
    size_t len = 0;
    dst[0] = 0;
    for (unsigned kind = 1; fl_codec_name((fl_codec_kind)kind); kind++) {
        if (!fl_codec_is_summable((fl_codec_kind)kind)) continue;
        if (kind == FL_CODEC_TALLY) continue;  // of surveys, not of updates
        const int added =
            snprintf(dst + len, dst_cap - len, "%s%s", len ? ", " : "",
                     fl_codec_name((fl_codec_kind)kind));
        assert(added > 0 && (size_t)added < dst_cap - len);
        len += (size_t)added;
    }
}

static fl_err read_codec(fl_codec_kind *codec, uint32_t *bits,
                         const fl_federation *f, fl_aggregation aggregation,
                         fl_reason *why)
{
    const bool is_secure = aggregation == FL_AGGREGATION_SECURE;
    if (!f->codec) {
        *codec = is_secure ? FL_CODEC_SKETCH : FL_CODEC_SKETCH1BIT;
        *bits = 0;
        return FL_OK;
    }
    if (fl_codec_parse(codec, bits, f->codec, why)) {
        return fl_reason_prefix(why, FL_ERR_RANGE, "--codec");
    }
    if (!is_secure || fl_codec_is_summable(*codec)) return FL_OK;
    char summable[80];
    list_summable(summable, sizeof summable);
    return fl_reason_set(
        why, FL_ERR_RANGE,
        "--codec %s: secure aggregation needs updates that can be added up "
        "unseen; take one of %s, or say --aggregation clear (the aggregator "
        "sees every update)",
        f->codec, summable);
}

/* ---- options together ---- */

// A rate that is 0 as a float would be refused by every client.
static fl_err check_decay(const fl_federation *f, fl_reason *why)
{
    const double rounds = f->round_count ? (double)f->round_count - 1 : 0;
    if (f->lr * pow(f->lr_decay, rounds) >= (double)FLT_MIN) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--lr-decay %g: in round %llu nothing is left of the "
                         "learning rate; take one nearer to 1",
                         f->lr_decay, (unsigned long long)f->round_count);
}

/* ---- a smaller model ---- */

static fl_err read_name(size_t *found, const char *option, const char *text,
                        const char *const names[2], fl_reason *why)
{
    for (*found = 0; *found < 2; ++*found) {
        if (strcmp(text, names[*found]) == 0) return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE, "--%s %s: not %s, nor %s", option,
                         text, names[0], names[1]);
}

static fl_err read_reduction(fl_reduction_options *options,
                             const fl_federation *f, fl_reason *why)
{
    static const char *const importances[2] = {"fisher", "magnitude"};
    static const char *const costs[2] = {"params", "macs"};
    size_t importance, cost;
    FL_TRY(read_name(&importance, "prune-importance", f->prune_importance,
                     importances, why));
    FL_TRY(read_name(&cost, "prune-cost", f->prune_cost, costs, why));
    *options = (fl_reduction_options){
        .prune = f->prune,
        .step = f->prune_step,
        .start = (uint32_t)f->prune_start,
        .recover = (uint32_t)f->prune_recover,
        .multiple = (uint32_t)f->prune_multiple,
        .importance =
            importance ? FL_IMPORTANCE_MAGNITUDE : FL_IMPORTANCE_FISHER,
        .cost = cost ? FL_PRUNE_MACS : FL_PRUNE_PARAMS,
        .max_drop = f->max_drop / 100.0,
        .has_int8 = f->has_int8,
        .survey_cohort = (uint32_t)f->survey_cohort,
        .survey_rows = (uint32_t)f->survey_rows,
        .round_count = (uint32_t)f->round_count,
    };
    if (fl_reduction_is_wanted(options)) {
        options->holdout = (uint32_t)lround(1.0 / f->holdout);
    }
    return FL_OK;
}

static fl_err check_reduction(const fl_federation *f, fl_reason *why)
{
    fl_reduction_options options;
    FL_TRY(read_reduction(&options, f, why));
    if (!fl_reduction_is_wanted(&options)) return FL_OK;
    const uint64_t needed = fl_reduction_rounds(&options);
    if (needed > f->round_count) {
        return fl_reason_set(
            why, FL_ERR_RANGE,
            "--rounds %llu: making the model smaller takes %llu (--prune %g in "
            "steps of --prune-step %g with --prune-recover %llu after each, "
            "behind --prune-start %llu%s); take more rounds, larger steps or "
            "an earlier start",
            (unsigned long long)f->round_count, (unsigned long long)needed,
            f->prune, f->prune_step, (unsigned long long)f->prune_recover,
            (unsigned long long)f->prune_start,
            f->has_int8 ? ", then two for --int8" : "");
    }
    if (f->survey_cohort == 0 || f->survey_cohort >= f->cohort) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--survey-cohort %llu: fewer than the --cohort %llu "
                         "of training say too little; 0 asks ten times as many",
                         (unsigned long long)f->survey_cohort,
                         (unsigned long long)f->cohort);
}

fl_err fl_federation_check(const fl_federation *f, fl_reason *why)
{
    fl_schedule schedule;
    fl_aggregation aggregation = FL_AGGREGATION_SECURE;
    fl_codec_kind codec;
    uint32_t bits;
    FL_TRY(read_schedule(&schedule, f, why));
    FL_TRY(read_aggregation(&aggregation, f, why));
    FL_TRY(read_codec(&codec, &bits, f, aggregation, why));
    FL_TRY(check_decay(f, why));
    FL_TRY(check_reduction(f, why));
    if (f->quorum > f->cohort) {
        return fl_reason_set(
            why, FL_ERR_RANGE, "--quorum %llu is above --cohort %llu",
            (unsigned long long)f->quorum, (unsigned long long)f->cohort);
    }
    if (aggregation == FL_AGGREGATION_SECURE) return check_survivors(f, why);
    return FL_OK;
}

// A sign is cheap, so that more of them fit.
static void choose_density(const fl_federation *f,
                           fl_aggregator_options *options)
{
    const bool is_signs = options->codec == FL_CODEC_SKETCH1BIT;
    options->density = f->density > 0.0 ? f->density : is_signs ? 0.07 : 0.05;
    options->density_small = f->density_small > 0.0 ? f->density_small
                             : is_signs             ? 1.0
                                                    : 0.25;
}

void fl_federation_apply(const fl_federation *f, fl_aggregator_options *options)
{
    fl_schedule schedule = FL_SCHEDULE_CONSTANT;
    fl_aggregation aggregation = FL_AGGREGATION_SECURE;
    (void)!read_schedule(&schedule, f, NULL);  // fl_federation_check has
    (void)!read_aggregation(&aggregation, f, NULL);
    (void)!read_codec(&options->codec, &options->codec_bits, f, aggregation,
                      NULL);
    (void)!read_reduction(&options->reduction, f, NULL);
    options->round_count = (uint32_t)f->round_count;
    options->cohort = (uint32_t)f->cohort;
    options->quorum = (uint32_t)(f->quorum ? f->quorum : (f->cohort + 1) / 2);
    options->over_select = f->over_select;
    options->deadline_ms = (int64_t)(f->deadline_s * 1e3);
    options->farewell_ms = (int64_t)(f->farewell_s * 1e3);
    options->evaluate_every = (uint32_t)f->evaluate_every;
    options->norm_rounds =
        f->norm_rounds ? (uint32_t)f->norm_rounds : UINT32_MAX;
    options->seed = f->seed;
    options->aggregation = aggregation;
    options->value_clip = f->value_clip;
    options->weight_max = (uint32_t)f->weight_max;
    options->min_survivors = fewest_survivors(f);
    options->phase_ms = (uint32_t)(f->phase_s * 1e3);
    choose_density(f, options);
    options->release = f->release;
    options->grid = f->grid;
    options->is_overflow_free = f->is_overflow_free;
    options->lr_decay = f->lr_decay;
    options->training = (fl_plan){
        .local_epochs = (uint32_t)f->local_epochs,
        .batch = (uint32_t)f->batch,
        .lr = (float)f->lr,
        .momentum = (float)f->momentum,
        .weight_decay = (float)f->weight_decay,
        .clip_norm = (float)f->clip_norm,
        .schedule = schedule,
        .schedule_steps = (uint32_t)f->schedule_steps,
        .schedule_factor = (float)f->schedule_factor,
    };
}

/* ---- for life ---- */

typedef struct {
    const char *key;
    double value;
} number_setting;

// As it is used: what was not said is named too.
static void codec_text(char *dst, size_t dst_cap, const fl_federation *f)
{
    fl_aggregator_options options = {.round_count = 0};
    fl_federation_apply(f, &options);
    const char *name = fl_codec_name(options.codec);
    if (options.codec_bits > 0) {
        snprintf(dst, dst_cap, "%s:%u", name, options.codec_bits);
    } else {
        snprintf(dst, dst_cap, "%s", name);
    }
}

fl_err fl_federation_each_setting(const fl_federation *f,
                                  fl_federation_keep keep, void *self,
                                  fl_reason *why)
{
    fl_aggregator_options options = {.round_count = 0};
    fl_federation_apply(f, &options);
    const number_setting numbers[] = {
        {"density", options.density}, {"codec-small", options.density_small},
        {"release", f->release},      {"grid", f->grid},
        {"lr-decay", f->lr_decay},    {"holdout", options.reduction.holdout},
    };
    char text[32];
    FL_TRY(keep(self, "model", f->model, why));
    snprintf(text, sizeof text, "%llu", (unsigned long long)f->seed);
    FL_TRY(keep(self, "seed", text, why));
    codec_text(text, sizeof text, f);
    FL_TRY(keep(self, "codec", text, why));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(text, sizeof text, "%.9g", numbers[i].value);
        FL_TRY(keep(self, numbers[i].key, text, why));
    }
    return FL_OK;
}

/* ---- the first model ---- */

static bool is_file_name(const char *model)
{
    const size_t len = strlen(model);
    return strchr(model, '/') ||
           (len > 5 && strcmp(model + len - 5, ".onnx") == 0);
}

static fl_err read_model(fl_model **model, const char *path, fl_reason *why)
{
    uint8_t *bytes = NULL;
    size_t len;
    FL_TRY(fl_file_read(&bytes, &len, path, FL_MODEL_BYTES_MAX, why));
    const fl_err err = fl_model_decode(model, bytes, len, why);
    free(bytes);
    return err ? fl_reason_prefix(why, err, "%s", path) : FL_OK;
}

static fl_err make_model(fl_model **model, const fl_federation *f,
                         const fl_dataset *dataset, fl_reason *why)
{
    const fl_shape shape = fl_dataset_shape(dataset);
    float *moments = calloc(2 * (size_t)shape.channels, sizeof *moments);
    if (!moments) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %u columns",
                             shape.channels);
    }
    fl_dataset_moments(moments, moments + shape.channels, dataset);
    const fl_model_options options = {
        .name = f->model,
        .input = shape,
        .class_count = fl_dataset_class_count(dataset),
        .mean = moments,
        .deviation = moments + shape.channels,
        .seed = f->seed,
    };
    const fl_err err = fl_model_new(model, &options, why);
    free(moments);
    return err;
}

fl_err fl_federation_model(const fl_federation *f, fl_model **model,
                           const fl_dataset *dataset, fl_reason *why)
{
    if (is_file_name(f->model)) return read_model(model, f->model, why);
    if (!dataset) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--model %s is made for a dataset: name one with "
                             "--dataset, or give an ONNX file",
                             f->model);
    }
    return make_model(model, f, dataset, why);
}
