/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/codec.h"
#include "compress/update/codec_table.h"
#include "compress/update/digits.h"
#include "compress/update/update.h"

uint64_t fl_codec_radix(uint32_t per_word)
{
    return (uint64_t)fl_digits_radix(per_word);
}

/* ---- support ---- */

// Numbers of one of LARGE and SMALL that are sent.
static size_t group_support(const fl_codec *codec, fl_group group)
{
    const fl_codec_row *row = fl_codec_find(codec->kind);
    if (!row->encode) return fl_update_form_of(codec).kept[group];
    return row->kept ? row->kept(codec, group)
                     : fl_layout_count(&codec->layout, group);
}

static size_t sketched_support(const fl_codec *codec)
{
    return group_support(codec, FL_GROUP_LARGE) +
           group_support(codec, FL_GROUP_SMALL);
}

size_t fl_codec_support(const fl_codec *codec)
{
    if (codec->kind == FL_CODEC_TALLY) return codec->param_count;
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
    const fl_codec_row *row = fl_codec_find(codec->kind);
    if (!row->encode) return integer_bits(codec);
    return row->value_bits ? row->value_bits : codec->bits;
}

// Bytes of all values at their width.
static uint64_t rounded_bytes(const fl_codec *codec)
{
    if (codec->kind == FL_CODEC_TALLY) {
        return codec->param_count * sizeof(uint32_t);
    }
    const uint64_t exact = fl_layout_count(&codec->layout, FL_GROUP_EXACT);
    const uint64_t exact_bits =
        fl_codec_is_summable(codec->kind) ? FL_UPDATE_EXACT_BITS : 32;
    const uint64_t bits =
        exact * exact_bits + sketched_support(codec) * value_bits(codec);
    return (bits + 7) / 8;
}

fl_codec_stages fl_codec_get_stages(const fl_codec *codec)
{
    return (fl_codec_stages){
        .raw = codec->param_count * sizeof(float),
        .support = fl_codec_support(codec) * sizeof(float),
        .rounded = rounded_bytes(codec),
        .packed = fl_codec_bound(codec),
    };
}
