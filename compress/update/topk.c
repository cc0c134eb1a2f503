/*
 * The largest values: where they are, and a byte for each, which is its sign
 * and one of 128 steps between the smallest and the largest of its run. What
 * was not sent is the client's residual (Stich et al. 2018).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "compress/update/narrow.h"
#include "compress/update/sparse.h"

enum { VALUE_BITS = 8, STEPS = 127, SIGN = 128, RANGE_BYTES = 4 };

typedef struct {
    uint16_t low, high;  // as tops
} span;

static size_t bound(const fl_codec *codec)
{
    return fl_sparse_bound(codec, VALUE_BITS, RANGE_BYTES);
}

static span span_of(const float *x, size_t len)
{
    float low = INFINITY, high = 0.0F;
    for (size_t i = 0; i < len; i++) {
        const float size = fabsf(x[i]);
        if (size > 0.0F && size < low) low = size;
        if (size > high) high = size;
    }
    return (span){fl_narrow_encode_top(low, FL_NARROW_BELOW),
                  fl_narrow_encode_top(high, FL_NARROW_ABOVE)};
}

// The step of a size within it.
static uint8_t step_of(float size, const span *between)
{
    const double low = (double)fl_narrow_decode_top(between->low);
    const double high = (double)fl_narrow_decode_top(between->high);
    if (!(high > low)) return 0;
    return (uint8_t)lround(((double)size - low) / (high - low) * STEPS);
}

static float value_of(uint8_t byte, const span *between)
{
    const double low = (double)fl_narrow_decode_top(between->low);
    const double high = (double)fl_narrow_decode_top(between->high);
    const double size = low + (high - low) * (byte & (SIGN - 1)) / STEPS;
    return (float)(byte & SIGN ? -size : size);
}

static void encode_run(fl_writer *out, float *x, size_t len)
{
    const span between = span_of(x, len);
    fl_writer_u16(out, between.low);
    fl_writer_u16(out, between.high);
    for (size_t i = 0; i < len; i++) {
        if (x[i] == 0.0F) continue;
        const uint8_t step = step_of(fabsf(x[i]), &between);
        const uint8_t byte = (uint8_t)(x[i] < 0.0F ? step | SIGN : step);
        fl_writer_u8(out, byte);
        x[i] = value_of(byte, &between);
    }
}

static void encode(fl_writer *out, float *values, const fl_codec *codec,
                   uint32_t place, fl_random *rounding, float *scratch)
{
    (void)place, (void)rounding, (void)scratch;
    fl_sparse_encode(out, values, codec, encode_run);
}

static fl_err decode_run(float *x, size_t len, fl_reader *in, fl_reason *why)
{
    const uint16_t low = fl_reader_u16(in), high = fl_reader_u16(in);
    const span between = {low, high};
    // Without a sign larger floats have larger tops.
    if (low > high || high >= FL_NARROW_TOP_INFINITY) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "values between %g and %g are none",
                             (double)fl_narrow_decode_top(low),
                             (double)fl_narrow_decode_top(high));
    }
    for (size_t i = 0; i < len; i++) {
        if (x[i] != 0.0F) x[i] = value_of(fl_reader_u8(in), &between);
    }
    return FL_OK;
}

static fl_err decode(float *values, fl_reader *in, const fl_codec *codec,
                     float *scratch, fl_reason *why)
{
    (void)scratch;
    return fl_sparse_decode(values, in, codec, decode_run, why);
}

// The largest of a run is rounded up.
const fl_codec_row fl_codec_topk = {
    .name = "topk",
    .kind = FL_CODEC_TOPK,
    .has_density = true,
    .has_residual = true,
    .kept = fl_sparse_kept,
    .value_bits = VALUE_BITS,
    .bound = bound,
    .encode = encode,
    .decode = decode,
    .reach = 1,
};
