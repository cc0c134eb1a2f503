/*
 * One chance made of several (logistic mixing, as in Mahoney's PAQ): each says
 * how likely a bit is, as the logarithm of its odds; their weighted sum is the
 * odds it is coded with. The weights follow the gradient of its cost, so that
 * who was right is heard more.
 *
 * Logarithms are of base 2, in 4096ths, made of integers alone; that they are
 * not exact does not matter, only that both sides have the same
 * (docs/format.md, "Coder").
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_MIXER_H
#define FL_COMPRESS_MIXER_H

#include <stdbool.h>
#include <stdint.h>

#include "compress/model/coder.h"

enum { FL_MIXER_INPUTS = 4, FL_MIXER_CLASSES = 4096 };

/* log2(chance / (1 - chance)) for chances in classes of 1/4096. */
typedef struct {
    int32_t logits[FL_MIXER_CLASSES];
} fl_mixer;

void fl_mixer_init(fl_mixer *mixer);

/* In 65536ths. */
typedef struct {
    int64_t of[FL_MIXER_INPUTS];
} fl_weights;

void fl_weights_init(fl_weights *weights);

/* Codes a bit. The weights learn from it, and so do all the chances. */
bool fl_mixer_bit(const fl_mixer *mixer, fl_weights *weights,
                  fl_chance *const inputs[FL_MIXER_INPUTS], fl_coder *coder,
                  bool bit);

#endif
