/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/fitting.h"

#include <math.h>

enum {
    WIDE_PER_WORD = 3,
    WORD_BITS = 64,
    SPARE_BITS = 3,        // of a field, beside what the sum's growth needs
    EXACT_SPARE_BITS = 4,  // likewise, when it must not wrap
    SIGN_BITS = 2,         // the least for that: a client says -1, 0 or 1
    VALUE_MAX = 1 << 30,
};

static const double WIDE_STEP = 1e-4;  // ranges of +-100, of updates of 0.001
static const double WIDE_DEVIATIONS = 4.0;  // to either side, of such sums
static const double STEP_MIN = 1e-6;
// What a sum may have grown by since the one before. Sums of few numbers differ
// more from round to round, and beside the noise of a sketch a coarser step is
// nothing.
static const double GROWTH[] = {
    [FL_GROUP_LARGE] = 1.15, [FL_GROUP_SMALL] = 1.6};
// A normal sum leaves +-3.5 deviations once in 2,000 times.
static const double DEVIATIONS = 7.0;
// A client's numbers, when they must not leave their share of the range.
static const double CLIENT_DEVIATIONS = 4.0;
static const double EDGE_MAX = 0.04;
static const double MEMORY = 0.8;  // what has been large may be so again

/* ---- widths ---- */

// Of clients whose updates have little in common a sum grows with the root of
// their number, and wraps where they have much in common are rare and small.
static uint32_t field_bits(const fl_fitting_options *options, uint32_t clients)
{
    const double log_clients = log2((double)clients);
    const uint32_t exact = (uint32_t)ceil(log_clients);
    if (options->kind == FL_CODEC_DENSE) {
        const uint32_t least =
            options->is_overflow_free ? exact + SIGN_BITS : 1;
        return options->bits > least ? options->bits : least;
    }
    if (options->is_overflow_free) return EXACT_SPARE_BITS + exact;
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

// The deviation that the next sum may have.
static double expect(const fl_codec *codec, const fl_master_scale *scale,
                     fl_group group)
{
    // More clients than in the last sum may all pull in one direction.
    const double more = (double)codec->client_cap / (double)scale->clients;
    return GROWTH[group] * fmax(more, 1.0) * scale->rms[group];
}

static float fit_step(const fl_codec *codec, const fl_fitting_options *options,
                      const fl_master_scale *scale, fl_group group)
{
    const double rms = expect(codec, scale, group);
    if (rms == 0.0) return (float)WIDE_STEP;  // there are none in this group
    const double step =
        options->is_overflow_free
            ? CLIENT_DEVIATIONS * rms / sqrt((double)codec->client_cap) /
                  (double)codec->value_max
            : DEVIATIONS * rms / (double)fl_codec_radix(codec->per_word);
    return (float)fmin(fmax(step, STEP_MIN), FL_CODEC_CLIP_MAX);
}

static void limit_values(fl_codec *codec, const fl_fitting_options *options)
{
    codec->value_max = VALUE_MAX;
    if (!options->is_overflow_free) return;
    const uint64_t half = (fl_codec_radix(codec->per_word) - 1) / 2;
    codec->value_max = (uint32_t)(half / codec->client_cap);
    if (codec->value_max == 0) codec->value_max = 1;
}

// Nothing is known: all clients may send their largest updates.
static void fit_wide(fl_codec *codec, const fl_fitting_options *options)
{
    codec->per_word = WIDE_PER_WORD;
    limit_values(codec, options);
    const double most = (double)codec->clip * (double)codec->client_cap;
    const double step =
        2.0 * WIDE_DEVIATIONS * most / (double)fl_codec_radix(WIDE_PER_WORD);
    codec->step_large = codec->step_small = (float)fmax(step, WIDE_STEP);
}

static void fit(fl_codec *codec, const fl_fitting_options *options,
                const fl_master_scale *scale)
{
    if (!is_known(codec, scale)) {
        fit_wide(codec, options);
        return;
    }
    codec->per_word = fields_per_word(field_bits(options, codec->client_cap));
    limit_values(codec, options);
    codec->step_large = fit_step(codec, options, scale, FL_GROUP_LARGE);
    codec->step_small = fit_step(codec, options, scale, FL_GROUP_SMALL);
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

fl_master_scale fl_fitting_learn(const fl_master_scale *before,
                                 const fl_update_spread *spread,
                                 uint32_t client_count)
{
    fl_master_scale scale = {.clients = client_count};
    for (size_t i = 0; i < 2; i++) {
        const double remembered =
            before->clients > 0 ? MEMORY * before->rms[i] : 0.0;
        scale.rms[i] = fmax(spread->rms[i], remembered);
    }
    return scale;
}

bool fl_fitting_has_wrapped(const fl_update_spread *spread)
{
    return spread->edge[0] > EDGE_MAX || spread->edge[1] > EDGE_MAX;
}
