/*
 * Sparse ternary compression (Sattler et al. 2019): the largest values count
 * as +-mu, the mean of their sizes, for each run its own. What was not sent is
 * the client's residual.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "compress/update/bits.h"
#include "compress/update/narrow.h"
#include "compress/update/sparse.h"

enum { VALUE_BITS = 1, RUN_BYTES = 2 + 1 };  // mu, and the last byte of signs

static size_t bound(const fl_codec *codec)
{
    return fl_sparse_bound(codec, VALUE_BITS, RUN_BYTES);
}

static void encode_run(fl_writer *out, float *x, size_t len)
{
    double sum = 0.0;
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        sum += (double)fabsf(x[i]);
        kept += x[i] != 0.0F;
    }
    const float mean = (float)(sum / (double)kept);
    const uint16_t top = fl_narrow_encode_top(mean, FL_NARROW_NEAREST);
    const float mu = fl_narrow_decode_top(top);
    fl_writer_u16(out, top);

    fl_bits_writer signs = fl_bits_writer_over(out);
    for (size_t i = 0; i < len; i++) {
        if (x[i] == 0.0F) continue;
        fl_bits_put(&signs, x[i] < 0.0F, 1);
        x[i] = x[i] < 0.0F ? -mu : mu;
    }
    fl_bits_end(&signs);
}

static void encode(fl_writer *out, float *values, const fl_codec *codec,
                   uint32_t place, fl_random *rounding, float *scratch)
{
    (void)place, (void)rounding, (void)scratch;
    fl_sparse_encode(out, values, codec, encode_run);
}

static fl_err decode_run(float *x, size_t len, fl_reader *in, fl_reason *why)
{
    const uint16_t top = fl_reader_u16(in);
    if (top >= FL_NARROW_TOP_INFINITY) {
        return fl_reason_set(why, FL_ERR_FORMAT, "a mean size of %g is none",
                             (double)fl_narrow_decode_top(top));
    }
    const float mu = fl_narrow_decode_top(top);
    fl_bits_reader signs = fl_bits_reader_over(in);
    for (size_t i = 0; i < len; i++) {
        if (x[i] != 0.0F) x[i] = fl_bits_get(&signs, 1) ? -mu : mu;
    }
    fl_bits_close(&signs);
    return FL_OK;
}

static fl_err decode(float *values, fl_reader *in, const fl_codec *codec,
                     float *scratch, fl_reason *why)
{
    (void)scratch;
    return fl_sparse_decode(values, in, codec, decode_run, why);
}

// A mean of equal sizes may be rounded up.
const fl_codec_row fl_codec_stc = {
    .name = "stc",
    .kind = FL_CODEC_STC,
    .has_density = true,
    .has_residual = true,
    .kept = fl_sparse_kept,
    .value_bits = VALUE_BITS,
    .bound = bound,
    .encode = encode,
    .decode = decode,
    .reach = 1,
};
