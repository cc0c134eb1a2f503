/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>

#include "compress/update/codec.h"
#include "tests/test.h"

enum { PARAMS = 10000 };

static fl_codec codec_of(fl_codec_kind kind)
{
    fl_codec codec = {
        .kind = kind,
        .param_count = PARAMS,
        .bits = 4,
        .density = 0.05F,
        .density_small = 0.25F,
        .clip = 1.0F,
        .weight_max = 1000,
        .client_cap = 10,
        .per_word = 12,
        .value_max = 1 << 30,
        .step_large = 1e-3F,
        .step_small = 1e-3F,
    };
    codec.layout =
        (fl_layout){3,
                    {8000 * 4 + FL_GROUP_LARGE, 1800 * 4 + FL_GROUP_SMALL,
                     200 * 4 + FL_GROUP_EXACT}};
    return codec;
}

static void assert_refused(const fl_codec *codec, const char *word)
{
    fl_reason why = {""};
    assert_err(fl_codec_check(codec, &why), FL_ERR_RANGE);
    assert_reason_names(why, word);
}

// A member of a good codec gets a value and is refused, naming `word`.
#define REFUSES(codec_kind, member, value, word)  \
    do {                                          \
        fl_codec refused_ = codec_of(codec_kind); \
        refused_.member = (value);                \
        assert_refused(&refused_, (word));        \
    } while (0)

#define ACCEPTS(codec_kind, member, value)           \
    do {                                             \
        fl_codec accepted_ = codec_of(codec_kind);   \
        accepted_.member = (value);                  \
        assert_ok(fl_codec_check(&accepted_, NULL)); \
    } while (0)

TEST(codec_check_takes_every_kind)
{
    for (fl_codec_kind k = FL_CODEC_SKETCH; k <= FL_CODEC_NONE; k++) {
        const fl_codec codec = codec_of(k);
        assert_ok(fl_codec_check(&codec, NULL));
    }
    REFUSES(0, clip, 1.0F, "kind 0");
    REFUSES(10, clip, 1.0F, "kind 10");
}

TEST(codec_check_takes_bits_that_the_codec_has)
{
    ACCEPTS(FL_CODEC_DENSE, bits, 2);
    ACCEPTS(FL_CODEC_DENSE, bits, 20);
    ACCEPTS(FL_CODEC_QSGD, bits, 8);
    ACCEPTS(FL_CODEC_SKETCH, bits, 99);  // has none
    REFUSES(FL_CODEC_DENSE, bits, 1, "bits 1");
    REFUSES(FL_CODEC_DENSE, bits, 21, "bits 21");
    REFUSES(FL_CODEC_QSGD, bits, 1, "bits 1");
    REFUSES(FL_CODEC_QSGD, bits, 9, "bits 9");
}

TEST(codec_check_takes_densities_of_codecs_that_have_them)
{
    const fl_codec_kind kinds[] = {FL_CODEC_SKETCH, FL_CODEC_SKETCH1BIT,
                                   FL_CODEC_TOPK, FL_CODEC_STC};
    for (size_t i = 0; i < 4; i++) {
        ACCEPTS(kinds[i], density, 1.0F);
        ACCEPTS(kinds[i], density_small, FLT_MIN);
        REFUSES(kinds[i], density, 0.0F, "density of 0");
        REFUSES(kinds[i], density, 1.5F, "density of 1.5");
        REFUSES(kinds[i], density, NAN, "density of");
        REFUSES(kinds[i], density_small, 0.0F, "SMALL of 0");
        REFUSES(kinds[i], density_small, 2.0F, "SMALL of 2");
    }
    ACCEPTS(FL_CODEC_DENSE, density, 0.0F);
    ACCEPTS(FL_CODEC_NONE, density_small, NAN);
}

TEST(codec_check_takes_numbers_within_their_range)
{
    for (fl_codec_kind k = FL_CODEC_SKETCH; k <= FL_CODEC_NONE; k++) {
        ACCEPTS(k, clip, 0x1p20F);
        REFUSES(k, clip, 0.0F, "clip of 0");
        REFUSES(k, clip, -1.0F, "clip of -1");
        REFUSES(k, clip, 0x1p21F, "clip of 2.09715e+06");
        REFUSES(k, clip, NAN, "clip of");
        ACCEPTS(k, weight_max, 1);
        ACCEPTS(k, weight_max, 1 << 20);
        REFUSES(k, weight_max, 0, "weight of 0");
        REFUSES(k, weight_max, (1 << 20) + 1, "weight of 1048577");
        ACCEPTS(k, client_cap, 1);
        ACCEPTS(k, client_cap, 1 << 14);
        REFUSES(k, client_cap, 0, "clients: 0");
        REFUSES(k, client_cap, (1 << 14) + 1, "clients: 16385");
    }
}

TEST(codec_check_takes_integers_of_codecs_that_have_them)
{
    for (fl_codec_kind k = FL_CODEC_SKETCH; k <= FL_CODEC_DENSE; k++) {
        ACCEPTS(k, per_word, 2);
        ACCEPTS(k, per_word, 16);
        REFUSES(k, per_word, 1, "word: 1,");
        REFUSES(k, per_word, 17, "word: 17,");
        ACCEPTS(k, value_max, 1);
        REFUSES(k, value_max, 0, "integer of 0");
        REFUSES(k, value_max, (1 << 30) + 1, "integer of 1073741825");
        ACCEPTS(k, step_large, FLT_TRUE_MIN);
        REFUSES(k, step_large, 0.0F, "step of LARGE of 0");
        REFUSES(k, step_large, INFINITY, "step of LARGE of inf");
        REFUSES(k, step_small, -1.0F, "step of SMALL of -1");
        REFUSES(k, step_small, NAN, "step of SMALL of");
    }
    ACCEPTS(FL_CODEC_SKETCH1BIT, per_word, 0);
    ACCEPTS(FL_CODEC_TOPK, step_large, 0.0F);
}

TEST(codec_check_takes_a_layout_of_all_its_coordinates)
{
    REFUSES(FL_CODEC_SKETCH, param_count, PARAMS + 1, "10001");
    REFUSES(FL_CODEC_SKETCH, param_count, 0, "coordinates: 0");
    REFUSES(FL_CODEC_NONE, param_count, FL_MODEL_PARAMS_MAX + 1, "67108865");
    REFUSES(FL_CODEC_SKETCH, layout.run_count, 0, "runs: 0");
    REFUSES(FL_CODEC_SKETCH, layout.run_count, 513, "runs: 513");
    REFUSES(FL_CODEC_SKETCH, layout.run_count, 2, "9800");
    REFUSES(FL_CODEC_SKETCH, layout.runs[1], FL_GROUP_SMALL, "run 1 ");
    fl_codec codec = codec_of(FL_CODEC_SKETCH);
    codec.param_count = FL_MODEL_PARAMS_MAX;
    fl_layout_init_plain(&codec.layout, codec.param_count);
    assert_ok(fl_codec_check(&codec, NULL));
}

/* ---- sizes ---- */

static void assert_stages(const fl_codec *codec, uint64_t support,
                          uint64_t rounded)
{
    const fl_codec_stages stages = fl_codec_get_stages(codec);
    assert_int_equal(stages.raw, PARAMS * 4);
    assert_int_equal(stages.support, support * 4);
    assert_int_equal(fl_codec_support(codec), support);
    assert_int_equal(stages.rounded, rounded);
    assert_int_equal(stages.packed, fl_codec_bound(codec));
}

TEST(codec_stages_are_those_of_its_numbers)
{
    enum { LARGE = 400, SMALL = 448, EXACT = 200 };  // of 450, in sixteens
    fl_codec codec = codec_of(FL_CODEC_SKETCH);
    assert_int_equal(fl_codec_radix(12), 38);
    assert_stages(&codec, LARGE + SMALL + EXACT,
                  EXACT * 2 + (LARGE + SMALL) * 6 / 8);
    assert_int_equal(fl_codec_get_stages(&codec).packed,
                     8 * (3 + (EXACT + 2) / 3 + (LARGE + SMALL + 11) / 12));
    codec.value_max = 3;
    assert_stages(&codec, LARGE + SMALL + EXACT,
                  EXACT * 2 + (LARGE + SMALL) * 3 / 8);
    codec = codec_of(FL_CODEC_DENSE);
    assert_stages(&codec, 8192 + 2048 + EXACT,
                  EXACT * 2 + (8192 + 2048) * 6 / 8);
    codec = codec_of(FL_CODEC_SKETCH1BIT);
    assert_stages(&codec, LARGE + SMALL + EXACT,
                  EXACT * 4 + (LARGE + SMALL) / 8);
    codec = codec_of(FL_CODEC_TOPK);
    assert_stages(&codec, 400 + 450 + EXACT, EXACT * 4 + 850);
    codec = codec_of(FL_CODEC_STC);
    assert_stages(&codec, 400 + 450 + EXACT, EXACT * 4 + 107);
    codec = codec_of(FL_CODEC_QSGD);
    assert_stages(&codec, PARAMS, EXACT * 4 + 9800 / 2);
    codec = codec_of(FL_CODEC_FP16);
    assert_stages(&codec, PARAMS, EXACT * 4 + 9800 * 2);
    codec = codec_of(FL_CODEC_NONE);
    assert_stages(&codec, PARAMS, PARAMS * 4);
}

RUN_TESTS(
    cmocka_unit_test(codec_check_takes_every_kind),
    cmocka_unit_test(codec_check_takes_bits_that_the_codec_has),
    cmocka_unit_test(codec_check_takes_densities_of_codecs_that_have_them),
    cmocka_unit_test(codec_check_takes_numbers_within_their_range),
    cmocka_unit_test(codec_check_takes_integers_of_codecs_that_have_them),
    cmocka_unit_test(codec_check_takes_a_layout_of_all_its_coordinates),
    cmocka_unit_test(codec_stages_are_those_of_its_numbers))
