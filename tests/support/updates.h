/*
 * Updates to code: a layout with every group, made-up values and clients, and
 * the way of an update through a codec in the clear.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_UPDATES_H
#define FL_TESTS_SUPPORT_UPDATES_H

#include "compress/update/codec.h"

enum {
    FL_UPDATES_LARGE = 10000 + 4500,
    FL_UPDATES_SMALL = 200 + 72 + 10,
    FL_UPDATES_EXACT_FIRST = 10200,
    FL_UPDATES_EXACT = 12,
    FL_UPDATES_SKIPPED = 7,
    FL_UPDATES_SKIPPED_FIRST = FL_UPDATES_EXACT_FIRST + FL_UPDATES_EXACT,
    FL_UPDATES_COUNT = FL_UPDATES_LARGE + FL_UPDATES_SMALL + FL_UPDATES_EXACT +
                       FL_UPDATES_SKIPPED,
};

/* A codec with that layout that passes fl_codec_check; a clip of 1. */
fl_codec fl_updates_codec(fl_codec_kind kind);

/* Values of a client: few are large, as in training. */
void fl_updates_draw(float *update, size_t count, uint64_t client);

typedef struct {
    uint8_t *bytes;
    size_t len;
} fl_updates_coded;

/* One update, encoded; the caller frees the bytes. `update` is left as
 * fl_codec_encode leaves it. */
fl_updates_coded fl_updates_encode(const fl_codec *codec, float *update,
                                   const fl_update_metrics *metrics,
                                   uint32_t place);

/* Adds to sums of fl_codec_sums(codec). */
fl_err fl_updates_add(uint64_t *sums, const fl_codec *codec, const uint8_t *src,
                      size_t src_len, fl_reason *why);

/* What a single update of weight 10 is when it comes out. */
void fl_updates_pass(float *mean, const fl_codec *codec, float *update,
                     uint32_t place);

#endif
