/*
 * What a codec for the clear is: a file with a fl_codec_row, and a line in the
 * table of codec.c. docs/compression.md, "Adding a codec", goes through one.
 *
 * A codec codes the values of LARGE and SMALL coordinates. All the rest is
 * done around it, for all codecs alike (clear.c): metrics, EXACT coordinates,
 * limits, residuals, sums.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_CODEC_TABLE_H
#define FL_COMPRESS_CODEC_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/random.h"
#include "base/reason.h"
#include "compress/update/codec.h"
#include "compress/update/layout.h"

/* A codec. The functions are NULL when it is summable: those of update.c, or of
 * tally.c. */
typedef struct {
    const char *name;
    fl_codec_kind kind;
    uint32_t bits, bits_min, bits_max;  // what "name" means; 0: it has none
    bool has_density;
    bool has_residual;
    bool is_tally;  // counts, not updates: nobody asks for it by name

    // Numbers of a group that are sent, at most; NULL: all.
    size_t (*kept)(const fl_codec *codec, fl_group group);

    // Of such a number, when it is rounded; 0: those of the codec.
    uint32_t value_bits;

    // Bytes of LARGE and SMALL coordinates at most.
    size_t (*bound)(const fl_codec *codec);

    // Floats of scratch that the two functions below need; NULL: none.
    size_t (*scratch)(const fl_codec *codec);

    // `values` (param_count) are within +-clip. With a residual they are on
    // return what the decoder will give. Needs `bound` bytes in `out`.
    void (*encode)(fl_writer *out, float *values, const fl_codec *codec,
                   uint32_t place, fl_random *rounding, float *scratch);

    // The inverse; safe on any bytes. It reads all that `in` holds, and writes
    // LARGE and SMALL values only. What is NaN or too large is found by the
    // caller. FL_ERR_FORMAT: *why; a cursor that has failed is enough, too.
    fl_err (*decode)(float *values, fl_reader *in, const fl_codec *codec,
                     float *scratch, fl_reason *why);

    // Decoded values are at most clip * 2^reach.
    unsigned reach;
} fl_codec_row;

/* NULL for what is none. */
const fl_codec_row *fl_codec_find(fl_codec_kind kind);

extern const fl_codec_row fl_codec_sketch1bit;
extern const fl_codec_row fl_codec_topk;
extern const fl_codec_row fl_codec_stc;
extern const fl_codec_row fl_codec_qsgd;
extern const fl_codec_row fl_codec_fp16;
extern const fl_codec_row fl_codec_none;

/* ---- the coordinates that a codec codes ---- */

/* Groups as bits of a set. */
enum {
    FL_RUN_CODED = 1 << FL_GROUP_LARGE | 1 << FL_GROUP_SMALL,
    FL_RUN_EXACT = 1 << FL_GROUP_EXACT,
    FL_RUN_SKIPPED = 1 << FL_GROUP_SKIPPED,
};

/*
 * A walk over the runs of some groups, in the order of the parameters.
 *
 *   fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
 *   while (fl_run_next(&run)) ... run.first, run.count, run.group
 */
typedef struct {
    const fl_layout *layout;
    unsigned groups;
    uint32_t next;  // run of the layout
    size_t first;   // coordinate
    size_t count;   // of coordinates
    fl_group group;
} fl_run;

static inline fl_run fl_run_over(const fl_layout *layout, unsigned groups)
{
    return (fl_run){.layout = layout, .groups = groups};
}

static inline bool fl_run_next(fl_run *run)
{
    while (run->next < run->layout->run_count) {
        const uint32_t word = run->layout->runs[run->next++];
        run->first += run->count;
        run->count = fl_layout_run_count(word);
        run->group = fl_layout_run_group(word);
        if (run->groups & 1U << run->group) return true;
    }
    return false;
}

/* Coordinates of both groups. */
static inline size_t fl_run_total(const fl_layout *layout)
{
    return fl_layout_count(layout, FL_GROUP_LARGE) +
           fl_layout_count(layout, FL_GROUP_SMALL);
}

#endif
