/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/mixer.h"

#include <math.h>

#include "base/random.h"
#include "tests/test.h"

enum { COUNT = 20000, CAP = 1 << 16 };

static fl_mixer mixer;
static uint8_t bytes[CAP];

TEST(mixer_knows_the_logarithm_of_odds)
{
    fl_mixer_init(&mixer);
    for (int i = 0; i < FL_MIXER_CLASSES; i++) {
        const double one = (i + 0.5) / FL_MIXER_CLASSES;
        const double expected = 4096.0 * log2(one / (1.0 - one));
        if (fabs(mixer.logits[i] - expected) > 80.0) {
            fail_msg("class %d: %d, not %g", i, mixer.logits[i], expected);
        }
        assert_int_equal(mixer.logits[i],
                         -mixer.logits[FL_MIXER_CLASSES - 1 - i]);
    }
}

// Bits that one input knows to 1 in 20 and the others nothing about.
static size_t code(fl_coder *coder, const bool *bits, bool *decoded)
{
    fl_weights weights;
    fl_random random;
    fl_weights_init(&weights);
    fl_random_init(&random, 1, FL_RANDOM_TEST, 9);
    for (int i = 0; i < COUNT; i++) {
        const bool hint = fl_random_below(&random, 2);
        fl_chance inputs[FL_MIXER_INPUTS];
        fl_chance_init(inputs, FL_MIXER_INPUTS);
        inputs[1].one = hint ? FL_CHANCE_ONE / 20 * 19 : FL_CHANCE_ONE / 20;
        inputs[2].one = fl_random_u32(&random) % (FL_CHANCE_ONE - 1) + 1;
        fl_chance *const all[FL_MIXER_INPUTS] = {&inputs[0], &inputs[1],
                                                 &inputs[2], &inputs[3]};
        const bool is_odd = fl_random_below(&random, 20) == 0;
        const bool bit = bits ? bits[i] : hint != is_odd;
        decoded[i] = fl_mixer_bit(&mixer, &weights, all, coder, bit);
    }
    return coder->len;
}

TEST(mixer_hears_who_is_right)
{
    static bool told[COUNT], heard[COUNT];
    static const bool nothing[COUNT];
    fl_mixer_init(&mixer);
    fl_coder coder = fl_coder_encode(bytes, CAP);
    (void)code(&coder, NULL, told);
    assert_ok(fl_coder_finish(&coder));
    const double ideal = COUNT / 8.0 * 0.2864;  // the entropy of 1/20
    if ((double)coder.len > 1.1 * ideal) {
        fail_msg("%zu bytes, not %g", coder.len, ideal);
    }
    fl_coder back = fl_coder_decode(bytes, coder.len);
    (void)code(&back, nothing, heard);
    assert_ok(fl_coder_finish(&back));
    assert_memory_equal(heard, told, sizeof told);
}

RUN_TESTS(cmocka_unit_test(mixer_knows_the_logarithm_of_odds),
          cmocka_unit_test(mixer_hears_who_is_right))
