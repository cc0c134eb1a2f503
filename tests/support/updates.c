/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/updates.h"

#include <math.h>
#include <stdlib.h>

#include "tests/test.h"

fl_codec fl_updates_codec(fl_codec_kind kind)
{
    fl_codec codec = {
        .kind = kind,
        .param_count = FL_UPDATES_COUNT,
        .bits = kind == FL_CODEC_DENSE  ? 8
                : kind == FL_CODEC_QSGD ? 4
                                        : 0,
        .density = 0.05F,
        .density_small = 0.25F,
        .clip = 1.0F,
        .weight_max = 1000,
        .client_cap = 16,
        .seed = 77,
        .layout = {7,
                   {200 * 4 + FL_GROUP_SMALL, 10000 * 4 + FL_GROUP_LARGE,
                    FL_UPDATES_EXACT * 4 + FL_GROUP_EXACT,
                    FL_UPDATES_SKIPPED * 4 + FL_GROUP_SKIPPED,
                    72 * 4 + FL_GROUP_SMALL, 4500 * 4 + FL_GROUP_LARGE,
                    10 * 4 + FL_GROUP_SMALL}},
    };
    if (fl_codec_is_summable(kind)) {
        codec.per_word = 4;
        codec.value_max = 1 << 11;
        codec.step_large = codec.step_small = 0x1p-11F;
    }
    return codec;
}

void fl_updates_draw(float *update, size_t count, uint64_t client)
{
    fl_random random;
    fl_random_init(&random, 9, FL_RANDOM_TEST, client);
    for (size_t i = 0; i < count; i++) {
        const double size = 0.002 * fl_random_exponential(&random);
        update[i] = (float)(size * fl_random_normal(&random));
    }
}

static float *floats(size_t count)
{
    float *x = malloc((count + 1) * sizeof *x);
    assert_non_null(x);
    return x;
}

fl_updates_coded fl_updates_encode(const fl_codec *codec, float *update,
                                   const fl_update_metrics *metrics,
                                   uint32_t place)
{
    fl_random rounding;
    fl_updates_coded coded;
    float *scratch = floats(fl_codec_scratch(codec));
    const size_t bound = fl_codec_bound(codec);
    fl_random_init(&rounding, 5, FL_RANDOM_ROUNDING, place);
    coded.bytes = malloc(bound);
    assert_non_null(coded.bytes);
    assert_ok(fl_codec_encode(coded.bytes, bound, &coded.len, codec, update,
                              metrics, place, &rounding, scratch, NULL));
    assert_true(coded.len <= bound);
    free(scratch);
    return coded;
}

fl_err fl_updates_add(uint64_t *sums, const fl_codec *codec, const uint8_t *src,
                      size_t src_len, fl_reason *why)
{
    float *scratch = floats(fl_codec_scratch(codec));
    const fl_err err = fl_codec_add(sums, codec, src, src_len, scratch, why);
    free(scratch);
    return err;
}

void fl_updates_pass(float *mean, const fl_codec *codec, float *update,
                     uint32_t place)
{
    const fl_update_metrics metrics = {10, 3, 12.5};
    fl_update_metrics back;
    fl_update_spread spread;
    uint64_t *sums = calloc(fl_codec_sums(codec), sizeof *sums);
    float *scratch = floats(fl_codec_scratch(codec));
    const fl_updates_coded coded =
        fl_updates_encode(codec, update, &metrics, place);
    assert_non_null(sums);
    assert_ok(fl_codec_add(sums, codec, coded.bytes, coded.len, scratch, NULL));
    assert_ok(
        fl_codec_decode(mean, &back, &spread, codec, sums, 1, scratch, NULL));
    assert_int_equal(back.weight, 10);
    assert_int_equal(back.correct, 3);
    assert_true(back.loss_sum == 12.5);
    free(coded.bytes);
    free(scratch);
    free(sums);
}
