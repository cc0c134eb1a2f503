/*
 * docs/format.md, "Updates": the words of summable codecs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/update/update.h"

#include <math.h>
#include <string.h>

#include "compress/update/digits.h"
#include "compress/update/metrics.h"
#include "compress/update/sketch.h"
#include "compress/update/tally.h"

/* ---- form ---- */

float fl_update_density(const fl_codec *codec, fl_group group)
{
    if (codec->kind == FL_CODEC_DENSE) return 1.0F;
    return group == FL_GROUP_LARGE ? codec->density : codec->density_small;
}

static fl_update_section section_of(size_t count, int64_t radix,
                                    unsigned per_word)
{
    return (fl_update_section){count, radix, per_word,
                               fl_digits_count(count, per_word)};
}

fl_update_form fl_update_form_of(const fl_codec *codec)
{
    fl_update_form form;
    const int64_t exact_radix =
        2 * (int64_t)codec->client_cap * FL_UPDATE_EXACT_MAX + 1;
    form.exact = section_of(fl_layout_count(&codec->layout, FL_GROUP_EXACT),
                            exact_radix, fl_digits_per_word(exact_radix));
    size_t kept = 0;
    for (fl_group group = FL_GROUP_LARGE; group <= FL_GROUP_SMALL; group++) {
        form.kept[group] =
            fl_support_kept(fl_layout_count(&codec->layout, group),
                            fl_update_density(codec, group));
        kept += form.kept[group];
    }
    form.sketched =
        section_of(kept, fl_digits_radix(codec->per_word), codec->per_word);
    return form;
}

static size_t form_words(const fl_codec *codec)
{
    const fl_update_form form = fl_update_form_of(codec);
    return FL_UPDATE_METRICS + form.exact.words + form.sketched.words;
}

static bool is_tally(const fl_codec *codec)
{
    return codec->kind == FL_CODEC_TALLY;
}

size_t fl_update_words(const fl_codec *codec)
{
    const size_t words =
        is_tally(codec) ? fl_tally_words(codec) : form_words(codec);
    return words <= FL_UPDATE_BYTES_MAX / sizeof(uint64_t) ? words : 0;
}

// The integers of one group at a time, and beside them whichever is more: a
// block of coordinates, or the order of the integers.
size_t fl_update_scratch(const fl_codec *codec)
{
    if (is_tally(codec)) return 0;
    const fl_update_form form = fl_update_form_of(codec);
    const size_t large = form.kept[FL_GROUP_LARGE];
    const size_t small = form.kept[FL_GROUP_SMALL];
    const size_t most = large > small ? large : small;
    return most + fl_sketch_lift_scratch(most);
}

static float step_of(const fl_codec *codec, fl_group group)
{
    return group == FL_GROUP_LARGE ? codec->step_large : codec->step_small;
}

static double exact_step(const fl_codec *codec)
{
    return (double)codec->clip / FL_UPDATE_EXACT_MAX;
}

/* ---- rounding ---- */

// Where, between two integers, the values of a group are rounded up: each
// client of a cohort in another n-th of the way, in an order that is drawn
// anew for every coordinate. Whoever is off to one side has others that are
// off to the other.
typedef struct {
    fl_random shared;  // the same for all clients
    fl_random *own;
    uint32_t place, clients;
} dither;

static dither dither_of(const fl_codec *codec, fl_group group, uint32_t place,
                        fl_random *own)
{
    dither d = {.own = own, .place = place, .clients = codec->client_cap};
    fl_random_init(&d.shared, codec->seed, FL_RANDOM_DITHER, (uint64_t)group);
    return d;
}

static double draw_dither(dither *d)
{
    const uint32_t turn = fl_random_below(&d->shared, d->clients);
    const double part = (d->place + turn) % d->clients;
    return (part + (double)fl_random_u32(d->own) * 0x1p-32) / d->clients;
}

static int64_t round_to(double x, double most)
{
    if (x >= most) return (int64_t)most;
    if (x <= -most) return -(int64_t)most;
    const int64_t towards_zero = (int64_t)x;
    return towards_zero - ((double)towards_zero > x);
}

/* ---- encode ---- */

static fl_err refuse_tally(const fl_codec *codec, fl_reason *why)
{
    if (!is_tally(codec)) return FL_OK;
    return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                         "a tally has counts; it is no update");
}

fl_err fl_update_check_values(const float *update, size_t count, fl_reason *why)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(update[i])) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "coordinate %zu of the update is %g, not a "
                                 "number; a lower learning rate may help",
                                 i, (double)update[i]);
        }
    }
    return FL_OK;
}

// A client's update, on its way into words.
typedef struct {
    const fl_codec *codec;
    const float *update;
    float share;  // the client's weight, of weight_max
    uint32_t place;
    fl_random *rounding;
} source;

static float value_of(const source *from, size_t i)
{
    const float clip = from->codec->clip;
    return fminf(fmaxf(from->update[i], -clip), clip) * from->share;
}

static void encode_exact(fl_digits_writer *out, const source *from)
{
    const double step = exact_step(from->codec);
    dither d =
        dither_of(from->codec, FL_GROUP_EXACT, from->place, from->rounding);
    fl_layout_walk walk =
        fl_layout_walk_over(&from->codec->layout, FL_GROUP_EXACT);
    size_t first, count;
    while ((count = fl_layout_walk_next(&walk, &first, SIZE_MAX)) > 0) {
        for (size_t i = first; i < first + count; i++) {
            const double x = (double)value_of(from, i) / step + draw_dither(&d);
            fl_digits_put(out, round_to(x, FL_UPDATE_EXACT_MAX));
        }
    }
    fl_digits_writer_finish(out);
}

static void encode_group(fl_digits_writer *out, const source *from,
                         fl_group group, float *scratch)
{
    const fl_codec *codec = from->codec;
    fl_sketch sketch;
    fl_sketch_init(&sketch, &codec->layout, group,
                   fl_update_density(codec, group), codec->seed);
    const size_t kept = sketch.support.kept;
    float *sent = scratch;
    fl_sketch_apply(&sketch, sent, from->update, codec->clip, from->share,
                    scratch + kept);

    const double step = (double)step_of(codec, group);
    dither d = dither_of(codec, group, from->place, from->rounding);
    for (size_t i = 0; i < kept; i++) {
        const double x = (double)sent[i] / step + draw_dither(&d);
        fl_digits_put(out, round_to(x, codec->value_max));
    }
}

fl_err fl_update_encode(uint64_t *words, const fl_codec *codec,
                        const float *update, const fl_update_metrics *metrics,
                        uint32_t place, fl_random *rounding, float *scratch,
                        fl_reason *why)
{
    fl_metrics_counts counts;
    FL_TRY(refuse_tally(codec, why));
    FL_TRY(fl_metrics_count(&counts, metrics, codec->weight_max, why));
    FL_TRY(fl_update_check_values(update, codec->param_count, why));
    *words++ = counts.weight;
    *words++ = counts.correct;
    *words++ = counts.loss;

    const source from = {
        .codec = codec,
        .update = update,
        .share = (float)((double)counts.weight / codec->weight_max),
        .place = place,
        .rounding = rounding,
    };
    const fl_update_form form = fl_update_form_of(codec);
    fl_digits_writer exact =
        fl_digits_writer_over(words, form.exact.radix, form.exact.per_word);
    encode_exact(&exact, &from);
    fl_digits_writer sketched = fl_digits_writer_over(
        words + form.exact.words, form.sketched.radix, form.sketched.per_word);
    encode_group(&sketched, &from, FL_GROUP_LARGE, scratch);
    encode_group(&sketched, &from, FL_GROUP_SMALL, scratch);
    fl_digits_writer_finish(&sketched);
    return FL_OK;
}

/* ---- decode ---- */

static void decode_exact(fl_digits_reader *in, float *mean,
                         const fl_codec *codec, double factor)
{
    const double step = exact_step(codec);
    fl_layout_walk walk = fl_layout_walk_over(&codec->layout, FL_GROUP_EXACT);
    size_t first, count;
    while ((count = fl_layout_walk_next(&walk, &first, SIZE_MAX)) > 0) {
        for (size_t i = first; i < first + count; i++) {
            mean[i] = (float)((double)fl_digits_get(in) * step * factor);
        }
    }
}

// The outer tenth of a range of +-radix / 2.
static bool is_at_edge(int64_t sum, int64_t radix)
{
    return fabs((double)sum) > 0.45 * (double)radix;
}

static void decode_group(fl_digits_reader *in, float *mean,
                         fl_update_spread *spread, const fl_codec *codec,
                         fl_group group, double factor, float *scratch)
{
    fl_sketch sketch;
    fl_sketch_init(&sketch, &codec->layout, group,
                   fl_update_density(codec, group), codec->seed);
    const size_t kept = sketch.support.kept;
    if (kept == 0) return;
    const double step = (double)step_of(codec, group);
    double squares = 0.0;
    size_t edge = 0;
    float *sent = scratch;
    for (size_t i = 0; i < kept; i++) {
        const int64_t sum = fl_digits_get(in);
        const double value = (double)sum * step;
        squares += value * value;
        edge += is_at_edge(sum, in->radix);
        sent[i] = (float)value;
    }
    spread->rms[group] = sqrt(squares / (double)kept);
    spread->edge[group] = (double)edge / (double)kept;
    fl_sketch_lift(&sketch, mean, sent, factor, scratch + kept);
}

fl_err fl_update_decode(float *mean, fl_update_metrics *metrics,
                        fl_update_spread *spread, const fl_codec *codec,
                        const uint64_t *sums, uint32_t client_count,
                        float *scratch, fl_reason *why)
{
    FL_TRY(refuse_tally(codec, why));
    if (client_count < 1 || client_count > codec->client_cap) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a sum of %u clients: at least 1 and at most %u",
                             client_count, codec->client_cap);
    }
    const fl_metrics_counts counts = {sums[0], sums[1], sums[2]};
    FL_TRY(fl_metrics_restore(metrics, &counts, codec->weight_max, client_count,
                              why));
    const double factor = (double)codec->weight_max / (double)counts.weight;
    const fl_update_form form = fl_update_form_of(codec);
    *spread = (fl_update_spread){{0}, {0}};
    memset(mean, 0, codec->param_count * sizeof *mean);  // what is SKIPPED

    sums += FL_UPDATE_METRICS;
    fl_digits_reader exact =
        fl_digits_reader_over(sums, form.exact.radix, form.exact.per_word);
    decode_exact(&exact, mean, codec, factor);
    fl_digits_reader sketched = fl_digits_reader_over(
        sums + form.exact.words, form.sketched.radix, form.sketched.per_word);
    decode_group(&sketched, mean, spread, codec, FL_GROUP_LARGE, factor,
                 scratch);
    decode_group(&sketched, mean, spread, codec, FL_GROUP_SMALL, factor,
                 scratch);
    return FL_OK;
}
