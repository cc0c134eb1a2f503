/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/sparse.h"

#include <math.h>
#include <string.h>

#include "compress/update/rice.h"
#include "compress/update/update.h"

enum {
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS,
    // Of a run: how many are kept, k, and bits that fill up the last byte.
    RUN_BYTES_MAX = 5 + 1 + 1,
};

static const uint32_t MAGNITUDE = 0x7fffffff;

/* ---- sizes ---- */

size_t fl_sparse_kept(const fl_codec *codec, fl_group group)
{
    const size_t count = fl_layout_count(&codec->layout, group);
    const double density = (double)fl_update_density(codec, group);
    const size_t kept = (size_t)llround(density * (double)count);
    return kept < 1 && count > 0 ? 1 : kept;
}

size_t fl_sparse_bound(const fl_codec *codec, size_t value_bits,
                       size_t run_bytes)
{
    uint64_t bits = 0;
    for (fl_group group = FL_GROUP_LARGE; group <= FL_GROUP_SMALL; group++) {
        const size_t kept = fl_sparse_kept(codec, group);
        bits += kept * value_bits;
        bits += fl_rice_bound(kept, fl_layout_count(&codec->layout, group));
    }
    return bits / 8 + 1 + codec->layout.run_count * (RUN_BYTES_MAX + run_bytes);
}

/* ---- which ---- */

// Larger magnitudes have larger ones.
static uint32_t magnitude(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits & MAGNITUDE;
}

// The magnitude of the value of that rank (1: the largest), digit by digit;
// *ties of those that have it are to be kept.
static uint32_t find_rank(size_t *ties, const float *values,
                          const fl_layout *layout, fl_group group, size_t rank)
{
    uint32_t found = 0;
    for (unsigned shift = 32; shift > 0;) {
        size_t counts[DIGITS] = {0};
        const uint64_t above = (uint64_t)found >> shift;
        shift -= DIGIT_BITS;
        fl_run run = fl_run_over(layout, 1U << group);
        while (fl_run_next(&run)) {
            for (size_t i = 0; i < run.count; i++) {
                const uint64_t size = magnitude(values[run.first + i]);
                const uint64_t digits = size >> shift;
                counts[digits % DIGITS] += digits >> DIGIT_BITS == above;
            }
        }
        uint32_t digit = DIGITS - 1;
        for (; counts[digit] < rank; digit--) {
            rank -= counts[digit];
        }
        found |= digit << shift;
    }
    *ties = rank;
    return found;
}

static void select_group(float *values, const fl_codec *codec, fl_group group)
{
    size_t ties = 0;
    const size_t kept = fl_sparse_kept(codec, group);
    if (kept == 0) return;
    const uint32_t least =
        find_rank(&ties, values, &codec->layout, group, kept);
    fl_run run = fl_run_over(&codec->layout, 1U << group);
    while (fl_run_next(&run)) {
        for (size_t i = run.first; i < run.first + run.count; i++) {
            const uint32_t size = magnitude(values[i]);
            if (size < least || (size == least && ties == 0)) {
                values[i] = 0.0F;
            } else if (size == least) {
                ties--;
            }
        }
    }
}

/* ---- where ---- */

// Returns how many values the run has.
static size_t encode_places(fl_writer *out, const float *x, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        kept += x[i] != 0.0F;
    }
    fl_bits_put_varint(out, kept);
    if (kept == 0) return 0;

    const unsigned k = fl_rice_fit(x, len);
    fl_writer_u8(out, (uint8_t)k);
    fl_bits_writer bits = fl_bits_writer_over(out);
    fl_rice_encode(&bits, x, len, k);
    fl_bits_end(&bits);
    return kept;
}

void fl_sparse_encode(fl_writer *out, float *values, const fl_codec *codec,
                      fl_sparse_write *write_run)
{
    select_group(values, codec, FL_GROUP_LARGE);
    select_group(values, codec, FL_GROUP_SMALL);
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        float *x = values + run.first;
        if (encode_places(out, x, run.count) > 0) write_run(out, x, run.count);
    }
}

static fl_err refuse(const fl_run *run, const char *what, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "the run of coordinates from %zu on has %s",
                         run->first, what);
}

// 1 where the run has one of *count values; `left` is what its group may keep.
static fl_err decode_places(float *x, size_t *count, size_t *left,
                            fl_reader *in, const fl_run *run, fl_reason *why)
{
    *count = fl_bits_get_varint(in);
    if (*count > *left || *count > run->count) {
        return refuse(run, "more values than its group may send", why);
    }
    *left -= *count;
    if (*count == 0) {
        memset(x, 0, run->count * sizeof *x);
        return FL_OK;
    }
    const unsigned k = fl_reader_u8(in);
    if (k > FL_RICE_K_MAX) {
        return refuse(run, "gaps of too many bits", why);
    }
    fl_bits_reader bits = fl_bits_reader_over(in);
    fl_rice_decode(x, run->count, *count, &bits, k);
    fl_bits_close(&bits);
    if (in->failed) return refuse(run, "positions beyond its end", why);
    // One set of positions has one encoding.
    if (fl_rice_fit(x, run->count) != k) {
        return refuse(run, "gaps of a width that does not fit them", why);
    }
    return FL_OK;
}

fl_err fl_sparse_decode(float *values, fl_reader *in, const fl_codec *codec,
                        fl_sparse_read *read_run, fl_reason *why)
{
    size_t left[FL_LAYOUT_GROUPS] = {
        [FL_GROUP_LARGE] = fl_sparse_kept(codec, FL_GROUP_LARGE),
        [FL_GROUP_SMALL] = fl_sparse_kept(codec, FL_GROUP_SMALL),
    };
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        float *x = values + run.first;
        size_t count;
        FL_TRY(decode_places(x, &count, &left[run.group], in, &run, why));
        if (count > 0) FL_TRY(read_run(x, run.count, in, why));
    }
    return FL_OK;
}
