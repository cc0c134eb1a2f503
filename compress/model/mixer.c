/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/mixer.h"

enum {
    LOG_ONE = 4096,
    LOGIT_MAX = 12 * LOG_ONE,  // of a sum: a chance of 1/4097
    WEIGHT_ONE = 65536,
    WEIGHT_FIRST = 22938,      // 0.35
    LEARNING_STEPS = 1 << 21,  // logits and chances are 2^28: 1/512 in a weight
};

/* ---- logarithms ---- */

// log2(x) for 1 <= x < 2^20: whole powers, and a parabola in between.
static int32_t log2_of(uint32_t x)
{
    const int32_t whole = 31 - __builtin_clz(x);
    const int32_t part = (int32_t)(x * LOG_ONE >> whole) - LOG_ONE;
    return whole * LOG_ONE + part + part * (LOG_ONE - part) / 11941;
}

// 65536 / (1 + 2^-logit), the same way: 2^-size is 2^part, shifted.
static uint32_t chance_of(int32_t logit)
{
    const int32_t size = logit < 0 ? -logit : logit;
    const int32_t part = LOG_ONE - size % LOG_ONE;
    const int32_t power = LOG_ONE + part - part * (LOG_ONE - part) / 12150;
    const uint32_t odds = (uint32_t)power * 16 >> (size / LOG_ONE + 1);
    const uint32_t likely = UINT32_MAX / (65536 + odds);
    return logit < 0 ? 65536 - likely : likely;
}

void fl_mixer_init(fl_mixer *mixer)
{
    for (uint32_t i = 0; i < FL_MIXER_CLASSES; i++) {
        const uint32_t one = 2 * i + 1;  // the middle of the class
        mixer->logits[i] = log2_of(one) - log2_of(2 * FL_MIXER_CLASSES - one);
    }
}

/* ---- weights ---- */

void fl_weights_init(fl_weights *weights)
{
    for (int i = 0; i < FL_MIXER_INPUTS; i++) {
        weights->of[i] = WEIGHT_FIRST;
    }
}

static int32_t limit(int64_t logit)
{
    if (logit > LOGIT_MAX) return LOGIT_MAX;
    return logit < -LOGIT_MAX ? -LOGIT_MAX : (int32_t)logit;
}

bool fl_mixer_bit(const fl_mixer *mixer, fl_weights *weights,
                  fl_chance *const inputs[FL_MIXER_INPUTS], fl_coder *coder,
                  bool bit)
{
    int32_t logits[FL_MIXER_INPUTS];
    int64_t sum = 0;
    for (int i = 0; i < FL_MIXER_INPUTS; i++) {
        logits[i] = mixer->logits[inputs[i]->one >> 12];
        sum += weights->of[i] * logits[i];
    }
    const uint32_t chance = chance_of(limit(sum / WEIGHT_ONE));
    bit = fl_coder_code(coder, chance << 8, bit);
    const int64_t error = (int64_t)bit * 65536 - chance;
    for (int i = 0; i < FL_MIXER_INPUTS; i++) {
        weights->of[i] += logits[i] * error / LEARNING_STEPS;
        fl_chance_learn(inputs[i], bit);
    }
    return bit;
}
