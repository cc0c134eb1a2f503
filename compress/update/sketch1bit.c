/*
 * The sketch with one bit a value: each client has a rotation and a sample of
 * its own, and sends the signs of the sample and one scale for each block
 * (EDEN, Vargaftik et al. 2022). With scale = |y|^2 / |y|_1 the update that is
 * decoded is exact on average over rotations.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <string.h>

#include "compress/update/bits.h"
#include "compress/update/codec_table.h"
#include "compress/update/narrow.h"
#include "compress/update/support.h"
#include "compress/update/update.h"

enum {
    SCALE_BITS = 16,
    PLACE_BYTES_MAX = 3,
    // Decoded values are at most block + padded / kept times the clip; what is
    // beyond this, with less than one of 2^13 sent, is limited.
    REACH = 14,
};

// A block of values within the clip has no larger values when it is rotated:
// the square root of FL_ROTATION_BLOCK, and the scale's rounding.
static const float SCALE_MAX = 92.0F;

/* ---- groups ---- */

// A walk over the blocks of a group.
typedef struct {
    fl_layout_walk walk;
    fl_rotation rotation;
    fl_support support;
    uint32_t index;
    size_t at, size;  // of the block, rotated
    size_t count;     // of its sample
    uint16_t picks[FL_ROTATION_BLOCK];
} blocks;

// Clients differ, so that their errors do.
static uint64_t seed_of(const fl_codec *codec, uint32_t place)
{
    fl_random random;
    fl_random_init(&random, codec->seed, FL_RANDOM_SKETCH, place);
    return fl_random_u64(&random);
}

static void blocks_init(blocks *b, const fl_codec *codec, fl_group group,
                        uint64_t seed)
{
    b->walk = fl_layout_walk_over(&codec->layout, group);
    b->rotation = (fl_rotation){seed, FL_RANDOM_SIGNS, (uint32_t)group};
    fl_support_init(&b->support, seed, (uint32_t)group,
                    fl_layout_count(&codec->layout, group),
                    fl_update_density(codec, group));
    b->index = 0;
    b->at = b->size = 0;
}

static bool blocks_next(blocks *b)
{
    if (b->size > 0) b->index++;
    b->at += b->size;
    if (b->at == b->support.padded) return false;
    b->size = fl_rotation_block(b->support.padded - b->at);
    b->count = fl_support_draw(&b->support, b->picks, b->index, b->at, b->size);
    return true;
}

static size_t kept(const fl_codec *codec, fl_group group)
{
    return fl_support_kept(fl_layout_count(&codec->layout, group),
                           fl_update_density(codec, group));
}

static size_t bound(const fl_codec *codec)
{
    uint64_t bits = 0;
    for (fl_group group = FL_GROUP_LARGE; group <= FL_GROUP_SMALL; group++) {
        const size_t count = fl_layout_count(&codec->layout, group);
        const size_t padded = fl_rotation_padded(count);
        bits += kept(codec, group);
        for (size_t at = 0; at < padded; at += fl_rotation_block(padded - at)) {
            bits += SCALE_BITS;
        }
    }
    return PLACE_BYTES_MAX + (bits + 7) / 8;
}

static size_t scratch_floats(const fl_codec *codec)
{
    (void)codec;
    return FL_ROTATION_BLOCK;
}

/* ---- encode ---- */

static void put_block(fl_bits_writer *out, const blocks *b, const float *block,
                      fl_random *rounding)
{
    double squares = 0.0, sizes = 0.0;
    for (size_t i = 0; i < b->count; i++) {
        const double y = (double)block[b->picks[i]];
        squares += y * y;
        sizes += fabs(y);
    }
    const float scale = sizes > 0.0 ? (float)(squares / sizes) : 0.0F;
    const uint16_t more = (uint16_t)fl_random_u32(rounding);
    fl_bits_put(out, fl_narrow_encode_top(scale, more), SCALE_BITS);
    for (size_t i = 0; i < b->count; i++) {
        fl_bits_put(out, block[b->picks[i]] < 0.0F, 1);
    }
}

static void encode(fl_writer *out, float *values, const fl_codec *codec,
                   uint32_t place, fl_random *rounding, float *block)
{
    const uint64_t seed = seed_of(codec, place);
    fl_bits_put_varint(out, place);
    fl_bits_writer bits = fl_bits_writer_over(out);
    for (fl_group group = FL_GROUP_LARGE; group <= FL_GROUP_SMALL; group++) {
        blocks b;
        blocks_init(&b, codec, group, seed);
        while (blocks_next(&b)) {
            const size_t len = fl_layout_gather(&b.walk, block, values, b.size);
            memset(block + len, 0, (b.size - len) * sizeof *block);
            fl_rotation_apply(&b.rotation, b.index, block, b.size);
            if (b.count > 0) put_block(&bits, &b, block, rounding);
        }
    }
    fl_bits_end(&bits);
}

/* ---- decode ---- */

static fl_err get_block(float *block, fl_bits_reader *in, const blocks *b,
                        const fl_codec *codec, fl_reason *why)
{
    const uint16_t top = (uint16_t)fl_bits_get(in, SCALE_BITS);
    const float scale = fl_narrow_decode_top(top);
    if (!(scale >= 0.0F && scale <= SCALE_MAX * codec->clip)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "block %u has a scale of %g; values within +-%g "
                             "give at most %g",
                             b->index, (double)scale, (double)codec->clip,
                             (double)(SCALE_MAX * codec->clip));
    }
    const double share = (double)b->support.kept / (double)b->support.padded;
    const float value = (float)((double)scale / share);
    for (size_t i = 0; i < b->count; i++) {
        block[b->picks[i]] = fl_bits_get(in, 1) ? -value : value;
    }
    return FL_OK;
}

static void limit(float *block, size_t size, float most)
{
    for (size_t i = 0; i < size; i++) {
        block[i] = fminf(fmaxf(block[i], -most), most);
    }
}

static fl_err decode_group(float *values, fl_bits_reader *in,
                           const fl_codec *codec, fl_group group, uint64_t seed,
                           float *block, fl_reason *why)
{
    const float most = ldexpf(codec->clip, REACH);
    blocks b;
    blocks_init(&b, codec, group, seed);
    while (blocks_next(&b)) {
        memset(block, 0, b.size * sizeof *block);
        if (b.count > 0) FL_TRY(get_block(block, in, &b, codec, why));
        fl_rotation_undo(&b.rotation, b.index, block, b.size);
        limit(block, b.size, most);
        (void)fl_layout_scatter(&b.walk, values, block, b.size);
    }
    return FL_OK;
}

static fl_err decode(float *values, fl_reader *in, const fl_codec *codec,
                     float *block, fl_reason *why)
{
    const uint64_t place = fl_bits_get_varint(in);
    if (place >= codec->client_cap) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "place %llu of %u clients: places are numbered "
                             "from 0",
                             (unsigned long long)place, codec->client_cap);
    }
    const uint64_t seed = seed_of(codec, (uint32_t)place);
    fl_bits_reader bits = fl_bits_reader_over(in);
    for (fl_group group = FL_GROUP_LARGE; group <= FL_GROUP_SMALL; group++) {
        FL_TRY(decode_group(values, &bits, codec, group, seed, block, why));
    }
    fl_bits_close(&bits);
    return FL_OK;
}

const fl_codec_row fl_codec_sketch1bit = {
    .name = "sketch1bit",
    .kind = FL_CODEC_SKETCH1BIT,
    .has_density = true,
    .kept = kept,
    .value_bits = 1,
    .bound = bound,
    .scratch = scratch_floats,
    .encode = encode,
    .decode = decode,
    .reach = REACH,
};
