/*
 * QSGD (Alistarh et al. 2017): buckets of 512 values, each rounded at random
 * to a multiple of its bucket's largest size / levels, so that it is exact on
 * average. Most multiples are small, so an adaptive coder follows, unless what
 * it makes is not smaller than `bits` a value.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "compress/model/coder.h"
#include "compress/update/bits.h"
#include "compress/update/codec_table.h"
#include "compress/update/narrow.h"

enum { BUCKET = 512, PLAIN = 0, CODED = 1 };

// Sizes of a value are 0 to this.
static uint32_t levels_of(const fl_codec *codec)
{
    return (UINT32_C(1) << (codec->bits - 1)) - 1;
}

static size_t plain_bytes(const fl_codec *codec)
{
    return (fl_run_total(&codec->layout) * codec->bits + 7) / 8;
}

static size_t bucket_len(const fl_run *run, size_t at)
{
    return run->count - at < BUCKET ? run->count - at : BUCKET;
}

static size_t bound(const fl_codec *codec)
{
    size_t buckets = 0;
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        buckets += (run.count + BUCKET - 1) / BUCKET;
    }
    return buckets * sizeof(uint16_t) + 1 + plain_bytes(codec);
}

/* ---- rounding ---- */

static uint16_t norm_of(const float *x, size_t len)
{
    float most = 0.0F;
    for (size_t i = 0; i < len; i++) {
        most = fmaxf(most, fabsf(x[i]));
    }
    return fl_narrow_encode_top(most, FL_NARROW_ABOVE);
}

// x becomes multiples of norm / levels, up with a probability of what lies
// behind the point.
static void round_bucket(float *x, size_t len, float norm, uint32_t levels,
                         fl_random *rounding)
{
    for (size_t i = 0; i < len; i++) {
        const double exact = (double)fabsf(x[i]) * levels / (double)norm;
        const double below = floor(exact);
        const double chance = (exact - below) * 0x1p32;
        const double up = (double)fl_random_u32(rounding) < chance;
        x[i] = copysignf((float)(below + up), x[i]);
    }
}

static void round_all(fl_writer *norms, float *values, const fl_codec *codec,
                      fl_random *rounding)
{
    const uint32_t levels = levels_of(codec);
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        for (size_t at = 0; at < run.count; at += BUCKET) {
            float *x = values + run.first + at;
            const size_t len = bucket_len(&run, at);
            const uint16_t top = norm_of(x, len);
            fl_writer_u16(norms, top);
            if (top == 0) continue;
            round_bucket(x, len, fl_narrow_decode_top(top), levels, rounding);
        }
    }
}

static fl_err scale_all(float *values, fl_reader *norms, const fl_codec *codec,
                        fl_reason *why)
{
    const double levels = levels_of(codec);
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        for (size_t at = 0; at < run.count; at += BUCKET) {
            const uint16_t top = fl_reader_u16(norms);
            const double norm = (double)fl_narrow_decode_top(top);
            float *x = values + run.first + at;
            if (top >= FL_NARROW_TOP_INFINITY) {
                return fl_reason_set(why, FL_ERR_FORMAT,
                                     "a largest size of %g is none", norm);
            }
            for (size_t i = 0; i < bucket_len(&run, at); i++) {
                x[i] = (float)((double)x[i] * norm / levels);
            }
        }
    }
    return FL_OK;
}

/* ---- the multiples, plain ---- */

static void put_plain(fl_writer *out, const float *values,
                      const fl_codec *codec)
{
    const int32_t levels = (int32_t)levels_of(codec);
    fl_bits_writer bits = fl_bits_writer_over(out);
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        for (size_t i = run.first; i < run.first + run.count; i++) {
            const int32_t from_least = (int32_t)values[i] + levels;
            fl_bits_put(&bits, (uint32_t)from_least, codec->bits);
        }
    }
    fl_bits_end(&bits);
}

static void get_plain(float *values, fl_reader *in, const fl_codec *codec)
{
    const int32_t levels = (int32_t)levels_of(codec);
    fl_bits_reader bits = fl_bits_reader_over(in);
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        for (size_t i = run.first; i < run.first + run.count; i++) {
            const int32_t value =
                (int32_t)fl_bits_get(&bits, codec->bits) - levels;
            if (value > levels) in->failed = true;
            values[i] = (float)value;
        }
    }
    fl_bits_close(&bits);
}

/* ---- the multiples, coded ---- */

// Sizes are told apart by what came before: large ones stay together.
enum { CONTEXTS = 3 };

typedef struct {
    fl_number sizes[CONTEXTS];
    uint32_t before[2];  // the last two sizes
} model;

static void model_init(model *m)
{
    *m = (model){.before = {0, 0}};
    for (int i = 0; i < CONTEXTS; i++) {
        fl_number_init(&m->sizes[i]);
    }
}

// In either direction (fl_coder).
static int32_t code(fl_coder *coder, model *m, int32_t value)
{
    const uint32_t sum = m->before[0] + m->before[1];
    fl_number *number = &m->sizes[sum < CONTEXTS ? sum : CONTEXTS - 1];
    const uint32_t given = (uint32_t)(value < 0 ? -value : value);
    const int32_t size = (int32_t)fl_coder_number(coder, number, given);
    m->before[0] = m->before[1];
    m->before[1] = (uint32_t)size;
    if (size == 0) return 0;
    fl_chance even;
    fl_chance_init(&even, 1);
    return fl_coder_bit(coder, &even, value < 0) ? -size : size;
}

static fl_err code_all(fl_coder *coder, float *values, const fl_codec *codec)
{
    const int32_t levels = (int32_t)levels_of(codec);
    model m;
    model_init(&m);
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        for (size_t i = run.first; i < run.first + run.count; i++) {
            const int32_t given = coder->dst ? (int32_t)values[i] : 0;
            const int32_t value = code(coder, &m, given);
            if (value > levels || value < -levels) return FL_ERR_FORMAT;
            if (!coder->dst) values[i] = (float)value;
        }
    }
    return fl_coder_finish(coder);
}

// False: no smaller than plain.
static bool put_coded(fl_writer *out, float *values, const fl_codec *codec)
{
    fl_coder coder = fl_coder_encode(out->dst + out->len, plain_bytes(codec));
    if (code_all(&coder, values, codec)) return false;
    out->len += coder.len;
    return true;
}

static fl_err get_coded(float *values, fl_reader *in, const fl_codec *codec)
{
    const size_t len = in->left;
    fl_coder coder = fl_coder_decode(fl_reader_bytes(in, len), len);
    return code_all(&coder, values, codec);
}

/* ---- both ---- */

static void encode(fl_writer *out, float *values, const fl_codec *codec,
                   uint32_t place, fl_random *rounding, float *scratch)
{
    (void)place, (void)scratch;
    round_all(out, values, codec, rounding);
    fl_writer_u8(out, CODED);
    if (put_coded(out, values, codec)) return;
    out->dst[out->len - 1] = PLAIN;
    put_plain(out, values, codec);
}

static fl_err decode(float *values, fl_reader *in, const fl_codec *codec,
                     float *scratch, fl_reason *why)
{
    (void)scratch;
    size_t norm_bytes = bound(codec) - 1 - plain_bytes(codec);
    const uint8_t *norms = fl_reader_bytes(in, norm_bytes);
    const uint8_t how = fl_reader_u8(in);
    if (in->failed || how > CODED) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "the largest sizes are not all there, or what "
                             "follows is of an unknown kind");
    }
    if (how == PLAIN) {
        get_plain(values, in, codec);
    } else if (get_coded(values, in, codec)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "what was coded ends too early or too late, or "
                             "has more than %u levels",
                             levels_of(codec));
    }
    fl_reader sizes = fl_reader_over(norms, norm_bytes);
    return scale_all(values, &sizes, codec, why);
}

// The largest of a bucket is rounded up.
const fl_codec_row fl_codec_qsgd = {
    .name = "qsgd",
    .kind = FL_CODEC_QSGD,
    .bits = 4,
    .bits_min = 2,
    .bits_max = 8,
    .bound = bound,
    .encode = encode,
    .decode = decode,
    .reach = 1,
};
