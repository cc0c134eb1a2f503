/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/clear.h"

#include <math.h>
#include <string.h>

#include "compress/update/bits.h"
#include "compress/update/floats.h"
#include "compress/update/metrics.h"
#include "compress/update/update.h"

enum {
    SUM_BITS = 62,  // of a sum of all clients, but for its rounding
    FRACTION_BITS_MAX = 40,
    METRICS = 3,
    METRICS_BYTES_MAX = 3 + 3 + 7,  // 2^20, 2^20, 2^46
};

_Static_assert(FL_CODEC_WEIGHT_MAX <= 1 << 20 && FL_METRICS_LOSS_BITS <= 26,
               "varints of 3 and 7 bytes");

/* ---- sizes ---- */

size_t fl_clear_bound(const fl_codec *codec, const fl_codec_row *row)
{
    return METRICS_BYTES_MAX + row->bound(codec) +
           fl_layout_count(&codec->layout, FL_GROUP_EXACT) * sizeof(float);
}

size_t fl_clear_scratch(const fl_codec *codec, const fl_codec_row *row)
{
    return codec->param_count + (row->scratch ? row->scratch(codec) : 0);
}

size_t fl_clear_sums(const fl_codec *codec)
{
    return METRICS + codec->param_count;
}

/* ---- coordinates ---- */

static void zero(float *values, const fl_layout *layout, unsigned groups)
{
    fl_run run = fl_run_over(layout, groups);
    while (fl_run_next(&run)) {
        memset(values + run.first, 0, run.count * sizeof *values);
    }
}

/* ---- encode ---- */

static fl_err limit(float *values, const float *update, const fl_codec *codec,
                    fl_reason *why)
{
    FL_TRY(fl_update_check_values(update, codec->param_count, why));
    for (size_t i = 0; i < codec->param_count; i++) {
        values[i] = fminf(fmaxf(update[i], -codec->clip), codec->clip);
    }
    return FL_OK;
}

static void put_metrics(fl_writer *out, const fl_metrics_counts *counts)
{
    fl_bits_put_varint(out, counts->weight);
    fl_bits_put_varint(out, counts->correct);
    fl_bits_put_varint(out, counts->loss);
}

// What is not a gradient is not made up for later.
static void keep_residual(float *update, const float *sent,
                          const fl_codec *codec)
{
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        for (size_t i = run.first; i < run.first + run.count; i++) {
            update[i] -= sent[i];
        }
    }
    zero(update, &codec->layout, FL_RUN_EXACT | FL_RUN_SKIPPED);
}

fl_err fl_clear_encode(fl_writer *out, const fl_codec *codec,
                       const fl_codec_row *row, float *update,
                       const fl_update_metrics *metrics, uint32_t place,
                       fl_random *rounding, float *scratch, fl_reason *why)
{
    fl_metrics_counts counts;
    float *values = scratch;
    FL_TRY(fl_metrics_count(&counts, metrics, codec->weight_max, why));
    FL_TRY(limit(values, update, codec, why));
    put_metrics(out, &counts);
    fl_run run = fl_run_over(&codec->layout, FL_RUN_EXACT);
    while (fl_run_next(&run)) {
        fl_floats_put(out, values + run.first, run.count);
    }
    row->encode(out, values, codec, place, rounding,
                scratch + codec->param_count);
    if (row->has_residual) keep_residual(update, values, codec);
    return FL_OK;
}

/* ---- add ---- */

static fl_metrics_counts get_metrics(fl_reader *in)
{
    fl_metrics_counts counts;
    counts.weight = fl_bits_get_varint(in);
    counts.correct = fl_bits_get_varint(in);
    counts.loss = fl_bits_get_varint(in);
    return counts;
}

static fl_err decode_values(float *values, const fl_codec *codec,
                            const fl_codec_row *row, fl_reader *in,
                            float *scratch, fl_reason *why)
{
    fl_run run = fl_run_over(&codec->layout, FL_RUN_EXACT);
    while (fl_run_next(&run)) {
        fl_floats_get(values + run.first, run.count, in);
    }
    zero(values, &codec->layout, FL_RUN_SKIPPED);
    FL_TRY(row->decode(values, in, codec, scratch, why));
    if (fl_reader_finish(in)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the update is not of the length, or not in the "
                             "form, that its codec gives it (%zu bytes left)",
                             in->left);
    }
    return FL_OK;
}

static double largest(const fl_codec *codec, const fl_codec_row *row)
{
    return ldexp((double)codec->clip, (int)row->reach);
}

static fl_err check_values(const float *values, const fl_codec *codec,
                           const fl_codec_row *row, fl_reason *why)
{
    const float most = (float)largest(codec, row);
    for (size_t i = 0; i < codec->param_count; i++) {
        // NaN is not below anything.
        if (!(fabsf(values[i]) <= most)) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "coordinate %zu of the update is %g, not a "
                                 "number within +-%g",
                                 i, (double)values[i], (double)most);
        }
    }
    return FL_OK;
}

// What a value's fixed point is multiplied with, so that the largest values of
// client_cap clients with the largest weights fit.
static int fraction_bits(const fl_codec *codec, const fl_codec_row *row)
{
    int exponent;
    (void)frexp(largest(codec, row) * codec->weight_max * codec->client_cap,
                &exponent);
    const int bits = SUM_BITS - exponent;
    return bits < FRACTION_BITS_MAX ? bits : FRACTION_BITS_MAX;
}

fl_err fl_clear_add(uint64_t *sums, const fl_codec *codec,
                    const fl_codec_row *row, fl_reader *in, float *scratch,
                    fl_reason *why)
{
    fl_update_metrics metrics;
    float *values = scratch;
    const fl_metrics_counts counts = get_metrics(in);
    FL_TRY(fl_metrics_restore(&metrics, &counts, codec->weight_max, 1, why));
    FL_TRY(decode_values(values, codec, row, in, scratch + codec->param_count,
                         why));
    FL_TRY(check_values(values, codec, row, why));

    sums[0] += counts.weight;
    sums[1] += counts.correct;
    sums[2] += counts.loss;
    const double unit = ldexp((double)counts.weight, fraction_bits(codec, row));
    for (size_t i = 0; i < codec->param_count; i++) {
        sums[METRICS + i] += (uint64_t)llrint((double)values[i] * unit);
    }
    return FL_OK;
}

/* ---- decode ---- */

fl_err fl_clear_decode(float *mean, fl_update_metrics *metrics,
                       const fl_codec *codec, const fl_codec_row *row,
                       const uint64_t *sums, uint32_t client_count,
                       fl_reason *why)
{
    const fl_metrics_counts all = {sums[0], sums[1], sums[2]};
    FL_TRY(fl_metrics_restore(metrics, &all, codec->weight_max, client_count,
                              why));
    const double unit = ldexp((double)all.weight, fraction_bits(codec, row));
    // Each client's value was rounded to an integer.
    const double most = largest(codec, row) * unit + client_count;
    for (size_t i = 0; i < codec->param_count; i++) {
        const double sum = (double)(int64_t)sums[METRICS + i];
        if (!(fabs(sum) <= most)) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "the sum of coordinate %zu is beyond what %u "
                                 "clients can have made",
                                 i, client_count);
        }
        mean[i] = (float)(sum / unit);
    }
    return FL_OK;
}
