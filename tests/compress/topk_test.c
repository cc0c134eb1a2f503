/* The codecs that send the largest values: topk and stc.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "compress/update/sparse.h"
#include "tests/support/updates.h"
#include "tests/test.h"

enum { COUNT = FL_UPDATES_COUNT, SMALLEST = 8 };

static const fl_codec_kind KINDS[] = {FL_CODEC_TOPK, FL_CODEC_STC};

// Eight LARGE coordinates, a half of which is sent.
static fl_codec eight(fl_codec_kind kind)
{
    fl_codec codec = fl_updates_codec(kind);
    codec.param_count = SMALLEST;
    codec.density = 0.5F;
    fl_layout_init_plain(&codec.layout, SMALLEST);
    return codec;
}

static size_t count_kept(const float *x, size_t first, size_t count)
{
    size_t kept = 0;
    for (size_t i = first; i < first + count; i++) {
        kept += x[i] != 0.0F;
    }
    return kept;
}

TEST(topk_and_stc_send_their_share_of_each_group)
{
    for (int k = 0; k < 2; k++) {
        const fl_codec codec = fl_updates_codec(KINDS[k]);
        float update[COUNT], mean[COUNT];
        fl_updates_draw(update, COUNT, 1);
        fl_updates_pass(mean, &codec, update, 0);
        assert_int_equal(count_kept(mean, 200, 10000) +
                             count_kept(mean, 10291, 4500),
                         725);  // 5 % of 14,500
        assert_int_equal(count_kept(mean, 0, 200) +
                             count_kept(mean, 10219, 72) +
                             count_kept(mean, 14791, 10),
                         71);  // 25 % of 282: 70.5
    }
}

TEST(topk_and_stc_send_the_largest)
{
    for (int k = 0; k < 2; k++) {
        const fl_codec codec = fl_updates_codec(KINDS[k]);
        float before[COUNT], left[COUNT], mean[COUNT];
        float least_sent = INFINITY, largest_left = 0.0F;
        fl_updates_draw(before, COUNT, 1);
        memcpy(left, before, sizeof left);
        fl_updates_pass(mean, &codec, left, 0);
        for (size_t i = 200; i < 10200; i++) {
            const float size = fabsf(before[i]);
            if (mean[i] != 0.0F) {
                least_sent = fminf(least_sent, size);
                assert_true(signbit(mean[i]) == signbit(before[i]));
            } else {
                largest_left = fmaxf(largest_left, size);
            }
        }
        assert_true(least_sent >= largest_left);
    }
}

TEST(topk_and_stc_send_the_first_of_equal_ones)
{
    for (int k = 0; k < 2; k++) {
        const fl_codec codec = eight(KINDS[k]);
        float update[] = {0.5F, -0.25F, 0.25F, 0, 0.25F, -0.25F, 0.5F, 0.25F};
        float mean[SMALLEST];
        fl_updates_pass(mean, &codec, update, 0);
        assert_true(mean[0] != 0 && mean[1] != 0 && mean[2] != 0);
        assert_true(mean[6] != 0);
        assert_int_equal(count_kept(mean, 0, SMALLEST), 4);
    }
}

TEST(topk_and_stc_send_no_zeros)
{
    for (int k = 0; k < 2; k++) {
        const fl_codec codec = eight(KINDS[k]);
        float update[] = {0, 0, -0.5F, 0, -0.0F, 0, 0, 0}, mean[SMALLEST];
        fl_updates_pass(mean, &codec, update, 0);
        assert_true(mean[2] == -0.5F);
        assert_int_equal(count_kept(mean, 0, SMALLEST), 1);
    }
}

TEST(topk_and_stc_send_one_value_at_least)
{
    for (int k = 0; k < 2; k++) {
        fl_codec codec = eight(KINDS[k]);
        float update[] = {1, 2, 3, 4, 5, 6, 7, 0.5F}, mean[SMALLEST];
        codec.density = 1e-6F;
        codec.clip = 8.0F;
        fl_updates_pass(mean, &codec, update, 0);
        assert_true(mean[6] == 7.0F);
        assert_int_equal(count_kept(mean, 0, SMALLEST), 1);
    }
}

TEST(topk_is_within_half_a_step)
{
    const fl_codec codec = fl_updates_codec(FL_CODEC_TOPK);
    float update[COUNT], mean[COUNT], low = INFINITY, high = 0.0F;
    fl_updates_draw(update, COUNT, 1);
    float before[COUNT];
    memcpy(before, update, sizeof before);
    fl_updates_pass(mean, &codec, update, 0);
    for (size_t i = 200; i < 10200; i++) {
        if (mean[i] == 0.0F) continue;
        low = fminf(low, fabsf(before[i]));
        high = fmaxf(high, fabsf(before[i]));
    }
    // the ends are rounded outwards by 1/128 at most
    const double step = ((double)high - (double)low) * 1.02 / 127;
    for (size_t i = 200; i < 10200; i++) {
        if (mean[i] == 0.0F) continue;
        const double off = (double)mean[i] - (double)before[i];
        assert_true(fabs(off) <= step / 2 + 1e-9);
    }
}

TEST(topk_residuals_add_up_to_all_updates)
{
    enum { ROUNDS = 40 };
    const fl_codec codec = fl_updates_codec(FL_CODEC_TOPK);
    static double given[COUNT], sent[COUNT];
    float update[COUNT] = {0}, mean[COUNT], fresh[COUNT];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        fl_updates_draw(fresh, COUNT, round);
        for (size_t i = 0; i < COUNT; i++) {
            update[i] += fresh[i];
            given[i] += (double)fresh[i];
        }
        fl_updates_pass(mean, &codec, update, 0);
        for (size_t i = 0; i < COUNT; i++) {
            sent[i] += (double)mean[i];
        }
    }
    for (size_t i = 200; i < 10200; i++) {
        assert_true(fabs(given[i] - sent[i] - (double)update[i]) < 1e-5);
    }
}

TEST(stc_has_one_size_a_run_their_mean)
{
    const fl_codec codec = eight(FL_CODEC_STC);
    float update[] = {0.5F, 0.1F, -1.0F, 0.25F, 0, 0, 0.25F, -0.1F};
    const float left[] = {0, 0.1F, -0.5F, -0.25F, 0, 0, -0.25F, -0.1F};
    float mean[SMALLEST];
    fl_updates_pass(mean, &codec, update, 0);
    const float expected[] = {0.5F, 0, -0.5F, 0.5F, 0, 0, 0.5F, 0};
    assert_memory_equal(mean, expected, sizeof expected);
    assert_memory_equal(update, left, sizeof left);
}

/* ---- refusals ---- */

static void assert_refused(const fl_codec *codec, const uint8_t *bytes,
                           size_t len, const char *word)
{
    uint64_t sums[3 + SMALLEST] = {0};
    const uint64_t zeros[3 + SMALLEST] = {0};
    fl_reason why = {""};
    assert_err(fl_updates_add(sums, codec, bytes, len, &why), FL_ERR_FORMAT);
    assert_reason_names(why, word);
    assert_memory_equal(sums, zeros, sizeof sums);
}

// weight 10, correct 3, loss 0; then the run
#define HEAD 10, 3, 0
#define REFUSED(codec, word, ...)                                  \
    assert_refused(&(codec), (const uint8_t[]){HEAD, __VA_ARGS__}, \
                   sizeof((const uint8_t[]){HEAD, __VA_ARGS__}), word)

TEST(topk_and_stc_refuse_positions_that_no_encoder_writes)
{
    for (int k = 0; k < 2; k++) {
        const fl_codec codec = eight(KINDS[k]);
        // five of eight, half of which is sent
        REFUSED(codec, "more values", 5, 0, 0x00, 0, 0x3f, 0, 0x3f, 1);
        REFUSED(codec, "more values", 0xff, 0xff, 0xff, 0xff, 0x0f);
        REFUSED(codec, "too many bits", 1, 31, 0, 0, 0x3f, 0, 0x3f, 1);
        REFUSED(codec, "beyond its end", 1, 0, 0xff, 0x00, 0, 0x3f, 0, 0x3f);
        REFUSED(codec, "beyond its end", 2, 0);
        // a gap of 0 with k = 1
        REFUSED(codec, "does not fit", 1, 1, 0x00, 0, 0x3f, 0, 0x3f, 1);
        // bits behind the one gap that are not 0
        REFUSED(codec, "beyond its end", 1, 0, 0x02, 0, 0x3f, 0, 0x3f, 1);
        REFUSED(codec, "length", 0, 0);
    }
}

TEST(topk_refuses_sizes_that_are_none)
{
    const fl_codec codec = eight(FL_CODEC_TOPK);
    REFUSED(codec, "between", 1, 0, 0x00, 1, 0x3f, 0, 0x3f, 0);  // low > high
    REFUSED(codec, "between", 1, 0, 0x00, 0, 0x3f, 0x80, 0x7f, 0);  // infinity
    REFUSED(codec, "between", 1, 0, 0x00, 0, 0x80, 0, 0x80, 0);     // negative
    REFUSED(codec, "length", 1, 0, 0x00, 0, 0x3f, 0, 0x3f);         // no value
}

TEST(stc_refuses_a_mean_that_is_none)
{
    const fl_codec codec = eight(FL_CODEC_STC);
    REFUSED(codec, "mean", 1, 0, 0x00, 0x80, 0x7f, 0);
    REFUSED(codec, "mean", 1, 0, 0x00, 0x00, 0xbf, 0);
    REFUSED(codec, "length", 1, 0, 0x00, 0x00, 0x3f, 2);  // padding
    REFUSED(codec, "length", 1, 0, 0x00, 0x00, 0x3f);     // no sign
}

RUN_TESTS(
    cmocka_unit_test(topk_and_stc_send_their_share_of_each_group),
    cmocka_unit_test(topk_and_stc_send_the_largest),
    cmocka_unit_test(topk_and_stc_send_the_first_of_equal_ones),
    cmocka_unit_test(topk_and_stc_send_no_zeros),
    cmocka_unit_test(topk_and_stc_send_one_value_at_least),
    cmocka_unit_test(topk_is_within_half_a_step),
    cmocka_unit_test(topk_residuals_add_up_to_all_updates),
    cmocka_unit_test(stc_has_one_size_a_run_their_mean),
    cmocka_unit_test(topk_and_stc_refuse_positions_that_no_encoder_writes),
    cmocka_unit_test(topk_refuses_sizes_that_are_none),
    cmocka_unit_test(stc_refuses_a_mean_that_is_none))
