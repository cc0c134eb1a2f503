/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/fitting.h"

#include <math.h>

enum {
    WIDE_PER_WORD = 3,
    WORD_BITS = 64,
    SPARE_BITS = 3,        // of a field, beside what the sum's growth needs
    EXACT_SPARE_BITS = 4,  // likewise, when it must not wrap
    VALUE_MAX = 1 << 30,
};

static const double WIDE_STEP = 1e-4;  // ranges of +-100, of updates of 0.001
static const double STEP_MIN = 1e-6;
static const double GROWTH = 1.15;  // that a sum may have over the one before
// A normal sum leaves +-3.5 deviations once in 2,000 times.
static const double DEVIATIONS = 7.0;
// A client's numbers, when they must not leave their share of the range.
static const double CLIENT_DEVIATIONS = 4.0;
static const double EDGE_MAX = 0.04;

/* ---- widths ---- */

// Of clients whose updates have little in common a sum grows with the root of
// their number, and wraps where they have much in common are rare and small.
static uint32_t field_bits(const fl_fitting_options *options, uint32_t clients)
{
    const double log_clients = log2((double)clients);
    if (options->kind == FL_CODEC_DENSE) return options->bits;
    if (options->is_overflow_free) {
        return EXACT_SPARE_BITS + (uint32_t)ceil(log_clients);
    }
    return SPARE_BITS + (uint32_t)floor(log_clients / 2.0 + 0.5);
}

static uint32_t fields_per_word(uint32_t bits)
{
    const uint32_t count = WORD_BITS / bits;
    if (count < FL_CODEC_PER_WORD_MIN) return FL_CODEC_PER_WORD_MIN;
    return count > FL_CODEC_PER_WORD_MAX ? FL_CODEC_PER_WORD_MAX : count;
}

/* ---- steps ---- */

static bool is_known(const fl_codec *codec, const fl_master_scale *scale)
{
    for (int group = FL_GROUP_LARGE; group <= FL_GROUP_SMALL; group++) {
        if (fl_layout_count(&codec->layout, (fl_group)group) > 0 &&
            !(scale->rms[group] > 0.0 && isfinite(scale->rms[group]))) {
            return false;
        }
    }
    return scale->clients > 0;
}

static float limit_step(double step)
{
    return (float)(step < STEP_MIN ? STEP_MIN : step);
}

// The step for a sum that is expected to have this deviation.
static float fit_step(const fl_codec *codec, bool is_overflow_free, double rms)
{
    const double clients = (double)codec->client_cap;
    if (is_overflow_free) {
        return limit_step(CLIENT_DEVIATIONS * rms / sqrt(clients) /
                          (double)codec->value_max);
    }
    return limit_step(DEVIATIONS * rms /
                      (double)fl_codec_radix(codec->per_word));
}

static void fit_widths(fl_codec *codec, const fl_fitting_options *options)
{
    codec->per_word = fields_per_word(field_bits(options, codec->client_cap));
    codec->value_max = VALUE_MAX;
    if (!options->is_overflow_free) return;
    const uint64_t half = (fl_codec_radix(codec->per_word) - 1) / 2;
    codec->value_max = (uint32_t)(half / codec->client_cap);
    if (codec->value_max == 0) codec->value_max = 1;
}

static void fit(fl_codec *codec, const fl_fitting_options *options,
                const fl_master_scale *scale)
{
    if (!is_known(codec, scale)) {
        codec->per_word = WIDE_PER_WORD;
        codec->value_max = VALUE_MAX;
        codec->step_large = codec->step_small = (float)WIDE_STEP;
        return;
    }
    fit_widths(codec, options);
    // More clients than in the last sum may all pull in one direction.
    const double more = (double)codec->client_cap / (double)scale->clients;
    const double growth = more > 1.0 ? GROWTH * more : GROWTH;
    codec->step_large = fit_step(codec, options->is_overflow_free,
                                 growth * scale->rms[FL_GROUP_LARGE]);
    codec->step_small = fit_step(codec, options->is_overflow_free,
                                 growth * scale->rms[FL_GROUP_SMALL]);
}

void fl_fitting_codec(fl_codec *codec, const fl_fitting_options *options,
                      const fl_model *model, const fl_master_scale *scale,
                      uint32_t client_cap, uint64_t seed)
{
    *codec = (fl_codec){
        .kind = options->kind,
        .param_count = fl_model_param_count(model),
        .bits = options->bits,
        .density = (float)options->density,
        .density_small = (float)options->density_small,
        .clip = (float)options->clip,
        .weight_max = options->weight_max,
        .client_cap = client_cap,
        .seed = seed,
    };
    fl_layout_init(&codec->layout, model, options->has_frozen_norms);
    if (fl_codec_is_summable(codec->kind)) fit(codec, options, scale);
}

/* ---- what a sum tells ---- */

fl_master_scale fl_fitting_learn(const fl_update_spread *spread,
                                 uint32_t client_count)
{
    return (fl_master_scale){
        .rms = {spread->rms[0], spread->rms[1]},
        .clients = client_count,
    };
}

bool fl_fitting_has_wrapped(const fl_update_spread *spread)
{
    return spread->edge[0] > EDGE_MAX || spread->edge[1] > EDGE_MAX;
}
