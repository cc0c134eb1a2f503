/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/codec.h"
#include "compress/update/sparse.h"
#include "compress/update/support.h"
#include "compress/update/update.h"
#include "compress/update/words.h"

uint64_t fl_codec_radix(uint32_t per_word)
{
    return (uint64_t)fl_words_radix(per_word);
}

/* ---- support ---- */

// Numbers of one of LARGE and SMALL that are sent.
static size_t group_support(const fl_codec *codec, fl_group group)
{
    switch (codec->kind) {
    case FL_CODEC_SKETCH:
    case FL_CODEC_DENSE:
    case FL_CODEC_SKETCH1BIT:
        return fl_support_kept(fl_layout_count(&codec->layout, group),
                               fl_update_density(codec, group));
    case FL_CODEC_TOPK:
    case FL_CODEC_STC: return fl_sparse_kept(codec, group);
    case FL_CODEC_QSGD:
    case FL_CODEC_FP16:
    case FL_CODEC_NONE: break;
    }
    return fl_layout_count(&codec->layout, group);
}

static size_t sketched_support(const fl_codec *codec)
{
    return group_support(codec, FL_GROUP_LARGE) +
           group_support(codec, FL_GROUP_SMALL);
}

size_t fl_codec_support(const fl_codec *codec)
{
    return sketched_support(codec) +
           fl_layout_count(&codec->layout, FL_GROUP_EXACT);
}

/* ---- widths ---- */

// Bits that tell `count` values apart.
static uint64_t bits_of(uint64_t count)
{
    uint64_t bits = 0;
    while (UINT64_C(1) << bits < count) {
        bits++;
    }
    return bits;
}

// Of an integer as it is sent: modulo the radix, when that is less.
static uint64_t integer_bits(const fl_codec *codec)
{
    const uint64_t values = 2 * (uint64_t)codec->value_max + 1;
    const uint64_t radix = fl_codec_radix(codec->per_word);
    return bits_of(values < radix ? values : radix);
}

static uint64_t value_bits(const fl_codec *codec)
{
    enum { FLOAT = 32, HALF = 16, BYTE = 8, SIGN = 1 };
    switch (codec->kind) {
    case FL_CODEC_SKETCH:
    case FL_CODEC_DENSE: return integer_bits(codec);
    case FL_CODEC_SKETCH1BIT:
    case FL_CODEC_STC: return SIGN;
    case FL_CODEC_TOPK: return BYTE;
    case FL_CODEC_QSGD: return codec->bits;
    case FL_CODEC_FP16: return HALF;
    case FL_CODEC_NONE: break;
    }
    return FLOAT;
}

fl_codec_stages fl_codec_get_stages(const fl_codec *codec)
{
    const uint64_t exact = fl_layout_count(&codec->layout, FL_GROUP_EXACT);
    const uint64_t exact_bits =
        fl_codec_is_summable(codec->kind) ? FL_UPDATE_EXACT_BITS : 32;
    const uint64_t bits =
        exact * exact_bits + sketched_support(codec) * value_bits(codec);
    return (fl_codec_stages){
        .raw = codec->param_count * sizeof(float),
        .support = fl_codec_support(codec) * sizeof(float),
        .rounded = (bits + 7) / 8,
        .packed = fl_codec_bound(codec),
    };
}
