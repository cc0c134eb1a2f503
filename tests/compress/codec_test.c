/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "compress/update/codec.h"
#include "tests/support/updates.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { COUNT = FL_UPDATES_COUNT, CLIENTS = 5 };

static const fl_codec_kind ALL[] = {
    FL_CODEC_SKETCH, FL_CODEC_DENSE, FL_CODEC_SKETCH1BIT, FL_CODEC_TOPK,
    FL_CODEC_STC,    FL_CODEC_QSGD,  FL_CODEC_FP16,       FL_CODEC_NONE,
};
enum { ALL_COUNT = sizeof ALL / sizeof *ALL, CLEAR = 2 };  // from there on

static const fl_update_metrics TEN = {10, 3, 12.5};

static uint64_t *new_sums(const fl_codec *codec)
{
    uint64_t *sums = calloc(fl_codec_sums(codec), sizeof *sums);
    assert_non_null(sums);
    return sums;
}

static fl_err decode(float *mean, fl_update_metrics *metrics,
                     const fl_codec *codec, const uint64_t *sums,
                     uint32_t client_count, fl_reason *why)
{
    fl_update_spread spread;
    float *scratch = malloc((fl_codec_scratch(codec) + 1) * sizeof *scratch);
    assert_non_null(scratch);
    const fl_err err = fl_codec_decode(mean, metrics, &spread, codec, sums,
                                       client_count, scratch, why);
    free(scratch);
    return err;
}

static fl_updates_coded encode_client(const fl_codec *codec, uint32_t client)
{
    float update[COUNT];
    const fl_update_metrics metrics = {100 + client * 7, client, client * 2.5};
    fl_updates_draw(update, COUNT, client);
    return fl_updates_encode(codec, update, &metrics, client);
}

/* ---- names ---- */

TEST(codec_names_are_read_back)
{
    static const char *const names[] = {
        "sketch", "dense", "sketch1bit", "topk", "stc", "qsgd", "fp16", "none"};
    static const uint32_t defaults[] = {0, 8, 0, 0, 0, 4, 0, 0};
    for (size_t i = 0; i < ALL_COUNT; i++) {
        fl_codec_kind kind = 0;
        uint32_t bits = 99;
        assert_string_equal(fl_codec_name(ALL[i]), names[i]);
        assert_ok(fl_codec_parse(&kind, &bits, names[i], NULL));
        assert_int_equal(kind, ALL[i]);
        assert_int_equal(bits, defaults[i]);
    }
    assert_null(fl_codec_name((fl_codec_kind)0));
    assert_null(fl_codec_name((fl_codec_kind)10));
}

TEST(codec_kinds_say_what_they_can)
{
    for (size_t i = 0; i < ALL_COUNT; i++) {
        const fl_codec_kind kind = ALL[i];
        assert_int_equal(fl_codec_is_summable(kind),
                         kind == FL_CODEC_SKETCH || kind == FL_CODEC_DENSE);
        assert_int_equal(fl_codec_has_residual(kind),
                         kind == FL_CODEC_TOPK || kind == FL_CODEC_STC);
    }
    assert_false(fl_codec_is_summable((fl_codec_kind)0));
    assert_false(fl_codec_has_residual((fl_codec_kind)0));
}

TEST(codec_bits_follow_a_colon)
{
    fl_codec_kind kind;
    uint32_t bits;
    assert_ok(fl_codec_parse(&kind, &bits, "dense:20", NULL));
    assert_int_equal(kind, FL_CODEC_DENSE);
    assert_int_equal(bits, 20);
    assert_ok(fl_codec_parse(&kind, &bits, "qsgd:2", NULL));
    assert_int_equal(kind, FL_CODEC_QSGD);
    assert_int_equal(bits, 2);
}

TEST(codec_that_nobody_knows_is_refused_with_the_names)
{
    static const char *const unknown[] = {"",      "sketch2", "top",
                                          "topkk", "TOPK",    ":4"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        fl_codec_kind kind;
        uint32_t bits;
        fl_reason why = {""};
        assert_err(fl_codec_parse(&kind, &bits, unknown[i], &why),
                   FL_ERR_NOT_FOUND);
        assert_reason_names(why, unknown[i]);
        assert_reason_names(why, "sketch, dense, sketch1bit, topk, stc, qsgd, "
                                 "fp16, none");
    }
}

TEST(codec_bits_that_it_does_not_have_are_refused)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"dense:1", "from 2 to 20"},   {"dense:21", "from 2 to 20"},
        {"dense:", "from 2 to 20"},    {"dense:x", "from 2 to 20"},
        {"dense:8 ", "from 2 to 20"},  {"dense:-8", "from 2 to 20"},
        {"dense:008", "from 2 to 20"}, {"dense:4294967304", "from 2 to 20"},
        {"qsgd:9", "from 2 to 8"},     {"qsgd:1", "from 2 to 8"},
        {"topk:8", "no bits"},         {"none:", "no bits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_codec_kind kind;
        uint32_t bits;
        fl_reason why = {""};
        assert_err(fl_codec_parse(&kind, &bits, cases[i].text, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, cases[i].word);
        assert_reason_names(why, cases[i].text);
    }
}

/* ---- bytes ---- */

enum { EXAMPLE = 14 };

static fl_codec example_codec(fl_codec_kind kind)
{
    fl_codec codec = fl_updates_codec(kind);
    codec.param_count = EXAMPLE;
    codec.density = 0.5F;
    codec.density_small = 1.0F;
    codec.weight_max = 100;
    codec.client_cap = 3;
    codec.seed = 7;
    codec.layout =
        (fl_layout){4,
                    {4 * 4 + FL_GROUP_SMALL, 8 * 4 + FL_GROUP_LARGE,
                     1 * 4 + FL_GROUP_EXACT, 1 * 4 + FL_GROUP_SKIPPED}};
    return codec;
}

TEST(codec_in_the_clear_writes_the_documented_bytes)
{
    const fl_update_metrics metrics = {50, 40, 25.5};
    for (size_t k = CLEAR; k < ALL_COUNT; k++) {
        const fl_codec codec = example_codec(ALL[k]);
        float update[EXAMPLE] = {0.875F, -0.25F,  0,     0.125F, 0,
                                 -0.5F,  0.125F,  0,     0.875F, 0,
                                 -0.25F, -0.125F, 0.75F, 9.0F};
        char name[64];
        size_t len;
        (void)snprintf(name, sizeof name, "clear_%s", fl_codec_name(ALL[k]));
        uint8_t *expected = fl_vector_read(&len, "docs/format.md", name);
        const fl_updates_coded coded =
            fl_updates_encode(&codec, update, &metrics, 2);
        assert_non_null(expected);
        assert_int_equal(coded.len, len);
        assert_memory_equal(coded.bytes, expected, len);
        free(coded.bytes);
        free(expected);
    }
}

/* ---- what comes out ---- */

TEST(codec_sums_are_weighted_means)
{
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        uint64_t *sums = new_sums(&codec);
        static double expected[COUNT];
        double weights = 0.0;
        memset(expected, 0, sizeof expected);
        for (uint32_t c = 0; c < CLIENTS; c++) {
            float mean[COUNT];
            fl_update_metrics own;
            uint64_t *alone = new_sums(&codec);
            const fl_updates_coded coded = encode_client(&codec, c);
            assert_ok(
                fl_updates_add(sums, &codec, coded.bytes, coded.len, NULL));
            assert_ok(
                fl_updates_add(alone, &codec, coded.bytes, coded.len, NULL));
            assert_ok(decode(mean, &own, &codec, alone, 1, NULL));
            for (size_t i = 0; i < COUNT; i++) {
                expected[i] += (double)own.weight * (double)mean[i];
            }
            weights += (double)own.weight;
            free(coded.bytes);
            free(alone);
        }
        float mean[COUNT];
        fl_update_metrics all;
        assert_ok(decode(mean, &all, &codec, sums, CLIENTS, NULL));
        assert_int_equal(all.weight, 570);
        assert_int_equal(all.correct, 10);
        assert_true(all.loss_sum == 25.0);
        for (size_t i = 0; i < COUNT; i++) {
            const double off = (double)mean[i] - expected[i] / weights;
            assert_true(fabs(off) < 1e-5);
        }
        free(sums);
    }
}

TEST(codec_sums_do_not_depend_on_the_order)
{
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        uint64_t *forth = new_sums(&codec), *back = new_sums(&codec);
        fl_updates_coded coded[CLIENTS];
        for (uint32_t c = 0; c < CLIENTS; c++) {
            coded[c] = encode_client(&codec, c);
            assert_ok(fl_updates_add(forth, &codec, coded[c].bytes,
                                     coded[c].len, NULL));
        }
        for (uint32_t c = CLIENTS; c-- > 0;) {
            assert_ok(fl_updates_add(back, &codec, coded[c].bytes, coded[c].len,
                                     NULL));
            free(coded[c].bytes);
        }
        assert_memory_equal(forth, back, fl_codec_sums(&codec) * 8);
        free(forth);
        free(back);
    }
}

TEST(codec_depends_on_nothing_but_its_arguments)
{
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        const fl_updates_coded a = encode_client(&codec, 1);
        const fl_updates_coded b = encode_client(&codec, 1);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.bytes, b.bytes, a.len);
        free(a.bytes);
        free(b.bytes);
    }
}

TEST(codec_in_the_clear_leaves_statistics_as_they_are)
{
    for (size_t k = CLEAR; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        float update[COUNT], mean[COUNT], exact[FL_UPDATES_EXACT];
        fl_updates_draw(update, COUNT, 0);
        for (size_t i = 0; i < FL_UPDATES_EXACT; i++) {
            // multiples that the fixed point of the sum can tell
            exact[i] = (float)i / 16.0F - 0.5F;
            update[FL_UPDATES_EXACT_FIRST + i] = exact[i];
        }
        fl_updates_pass(mean, &codec, update, 0);
        assert_memory_equal(mean + FL_UPDATES_EXACT_FIRST, exact, sizeof exact);
    }
}

TEST(codec_skips_what_does_not_change)
{
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        float update[COUNT], mean[COUNT];
        fl_updates_draw(update, COUNT, 0);
        fl_updates_pass(mean, &codec, update, 0);
        for (size_t i = 0; i < FL_UPDATES_SKIPPED; i++) {
            assert_true(mean[FL_UPDATES_SKIPPED_FIRST + i] == 0.0F);
        }
    }
}

TEST(codec_with_a_residual_leaves_what_was_not_sent)
{
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        if (!fl_codec_has_residual(codec.kind)) continue;
        float before[COUNT], left[COUNT], sent[COUNT];
        fl_updates_draw(before, COUNT, 0);
        before[300] = 3.0F;  // the clip is 1
        memcpy(left, before, sizeof left);
        fl_updates_pass(sent, &codec, left, 0);
        for (size_t i = 0; i < COUNT; i++) {
            const bool is_coded =
                i < FL_UPDATES_EXACT_FIRST ||
                i >= FL_UPDATES_SKIPPED_FIRST + FL_UPDATES_SKIPPED;
            const double whole = is_coded ? (double)before[i] : 0.0;
            const double parts =
                (double)left[i] + (is_coded ? (double)sent[i] : 0.0);
            assert_true(fabs(whole - parts) <= 1e-7 * (fabs(whole) + 1e-3));
        }
        assert_true(left[300] >= 1.9F);
    }
}

TEST(codec_without_a_residual_leaves_the_update)
{
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        if (fl_codec_has_residual(codec.kind)) continue;
        float before[COUNT], after[COUNT], mean[COUNT];
        fl_updates_draw(before, COUNT, 0);
        memcpy(after, before, sizeof after);
        fl_updates_pass(mean, &codec, after, 0);
        assert_memory_equal(after, before, sizeof before);
    }
}

TEST(codec_limits_values_to_the_clip)
{
    static const fl_codec_kind plain[] = {FL_CODEC_NONE, FL_CODEC_FP16,
                                          FL_CODEC_TOPK};
    for (size_t k = 0; k < 3; k++) {
        fl_codec codec = fl_updates_codec(plain[k]);
        float update[COUNT] = {0}, mean[COUNT];
        codec.clip = 0.25F;
        update[5000] = FLT_MAX;
        update[5001] = -FLT_MAX;
        update[FL_UPDATES_EXACT_FIRST] = 7.0F;
        fl_updates_pass(mean, &codec, update, 0);
        assert_true(mean[5000] == 0.25F);
        assert_true(mean[5001] == -0.25F);
        assert_true(mean[FL_UPDATES_EXACT_FIRST] == 0.25F);
    }
}

/* ---- sums in fixed point ---- */

// The fixed point has to hold what is largest, with whatever clip.
TEST(codec_sums_hold_the_largest_updates_of_all_clients)
{
    static const float clips[] = {0x1p20F, 3.7F, 1e-6F};
    for (size_t k = CLEAR; k < ALL_COUNT; k++) {
        for (size_t j = 0; j < 3; j++) {
            fl_codec codec = fl_updates_codec(ALL[k]);
            codec.clip = clips[j];
            codec.weight_max = FL_CODEC_WEIGHT_MAX;
            codec.client_cap = FL_CODEC_CLIENTS_MAX;
            float update[COUNT], one[COUNT], all[COUNT];
            uint64_t *sums = new_sums(&codec);
            fl_update_metrics metrics = {FL_CODEC_WEIGHT_MAX, 0, 0.0};
            for (size_t i = 0; i < COUNT; i++) {
                update[i] = i % 2 ? codec.clip : -codec.clip;
            }
            const fl_updates_coded coded =
                fl_updates_encode(&codec, update, &metrics, 0);
            assert_ok(
                fl_updates_add(sums, &codec, coded.bytes, coded.len, NULL));
            assert_ok(decode(one, &metrics, &codec, sums, 1, NULL));
            for (size_t i = 0; i < fl_codec_sums(&codec); i++) {
                sums[i] *= FL_CODEC_CLIENTS_MAX;
            }
            assert_ok(decode(all, &metrics, &codec, sums, FL_CODEC_CLIENTS_MAX,
                             NULL));
            assert_memory_equal(all, one, sizeof all);
            free(coded.bytes);
            free(sums);
        }
    }
}

/* ---- refusals ---- */

static fl_err try_encode(const fl_codec *codec, float *update,
                         const fl_update_metrics *metrics, size_t less,
                         fl_reason *why)
{
    fl_random rounding;
    size_t len;
    const size_t bound = fl_codec_bound(codec);
    float *scratch = malloc((fl_codec_scratch(codec) + 1) * sizeof *scratch);
    uint8_t *dst = malloc(bound);
    assert_non_null(scratch);
    assert_non_null(dst);
    fl_random_init(&rounding, 5, FL_RANDOM_ROUNDING, 0);
    const fl_err err = fl_codec_encode(dst, bound - less, &len, codec, update,
                                       metrics, 0, &rounding, scratch, why);
    free(scratch);
    free(dst);
    return err;
}

TEST(codec_names_the_coordinate_that_is_no_number)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        float update[COUNT] = {0};
        fl_reason why = {""};
        update[9876] = bad[k % 3];
        assert_err(try_encode(&codec, update, &TEN, 0, &why), FL_ERR_RANGE);
        assert_reason_names(why, "coordinate 9876");
    }
}

TEST(codec_refuses_metrics_that_no_training_gives)
{
    static const fl_update_metrics bad[] = {
        {0, 0, 0.0},
        {10, 11, 0.0},
        {10, 1, NAN},
        {FL_UPDATE_EXAMPLES_MAX + 1, 0, 0.0}};
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            float update[COUNT] = {0};
            fl_reason why = {""};
            assert_err(try_encode(&codec, update, &bad[i], 0, &why),
                       FL_ERR_RANGE);
            assert_true(why.text[0] != 0);
        }
    }
}

TEST(codec_refuses_a_small_buffer)
{
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        float update[COUNT] = {0};
        assert_err(try_encode(&codec, update, &TEN, 1, NULL), FL_ERR_SPACE);
    }
}

TEST(codec_has_no_bound_beyond_an_object)
{
    fl_codec codec = fl_updates_codec(FL_CODEC_NONE);
    codec.param_count = (size_t)81 * 1024 * 1024;
    fl_layout_init_plain(&codec.layout, codec.param_count);
    assert_int_equal(fl_codec_bound(&codec), 0);
    codec.kind = FL_CODEC_FP16;
    assert_true(fl_codec_bound(&codec) > 0);
}

static void assert_refused(const fl_codec *codec, const uint8_t *src,
                           size_t len)
{
    fl_reason why = {""};
    uint64_t *sums = new_sums(codec), *before = new_sums(codec);
    const size_t count = fl_codec_sums(codec);
    for (size_t i = 0; i < count; i++) {
        before[i] = sums[i] = i * 3;
    }
    assert_true(fl_updates_add(sums, codec, src, len, &why) != FL_OK);
    assert_memory_equal(sums, before, count * sizeof *sums);
    assert_true(why.text[0] != 0);
    free(sums);
    free(before);
}

TEST(codec_refuses_updates_that_are_cut_or_have_more)
{
    for (size_t k = 0; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        const fl_updates_coded coded = encode_client(&codec, 2);
        uint8_t *longer = calloc(coded.len + 1, 1);
        assert_non_null(longer);
        memcpy(longer, coded.bytes, coded.len);
        assert_refused(&codec, longer, coded.len + 1);
        for (size_t cut = 1; cut <= 9; cut++) {
            assert_refused(&codec, longer, coded.len - cut);
            assert_refused(&codec, longer, coded.len * (cut - 1) / 9);
        }
        free(coded.bytes);
        free(longer);
    }
}

// An update of `none` that a test writes by hand.
static size_t write_none(uint8_t *dst, const uint8_t *head, size_t head_len,
                         size_t at, float value)
{
    const size_t floats =
        FL_UPDATES_LARGE + FL_UPDATES_SMALL + FL_UPDATES_EXACT;
    memset(dst, 0, head_len + floats * sizeof value);
    memcpy(dst, head, head_len);
    memcpy(dst + head_len + at * sizeof value, &value, sizeof value);
    return head_len + floats * sizeof value;
}

TEST(codec_refuses_values_beyond_the_clip)
{
    static const float bad[] = {1.0001F, -1.0001F, NAN, INFINITY, FLT_MAX};
    static const uint8_t head[] = {10, 3, 0};
    static uint8_t bytes[COUNT * sizeof(float)];
    const fl_codec codec = fl_updates_codec(FL_CODEC_NONE);
    uint64_t *sums = new_sums(&codec);
    // EXACT ones come first; then 200 SMALL and 10,000 LARGE
    size_t len = write_none(bytes, head, sizeof head, FL_UPDATES_EXACT + 5, 1);
    assert_ok(fl_updates_add(sums, &codec, bytes, len, NULL));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fl_reason why = {""};
        len =
            write_none(bytes, head, sizeof head, FL_UPDATES_EXACT + 5, bad[i]);
        assert_refused(&codec, bytes, len);
        assert_err(fl_updates_add(sums, &codec, bytes, len, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "coordinate 5 ");
        len = write_none(bytes, head, sizeof head, 0, bad[i]);
        assert_refused(&codec, bytes, len);
    }
    free(sums);
}

TEST(codec_refuses_metrics_that_one_client_cannot_have)
{
    static const struct {
        size_t len;
        uint8_t head[12];
    } bad[] = {
        {3, {0, 0, 0}},                       // no example
        {4, {0xe9, 0x07, 0, 0}},              // 1001 of at most 1000
        {3, {10, 11, 0}},                     // 11 correct of 10
        {6, {1, 0, 0x81, 0x80, 0x80, 0x20}},  // a loss above 64
        {4, {0x8a, 0x00, 3, 0}},              // a varint too long
    };
    static uint8_t bytes[COUNT * sizeof(float)];
    const fl_codec codec = fl_updates_codec(FL_CODEC_NONE);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const size_t len = write_none(bytes, bad[i].head, bad[i].len, 0, 0.0F);
        assert_refused(&codec, bytes, len);
    }
}

TEST(codec_refuses_sums_that_so_many_clients_cannot_have_made)
{
    for (size_t k = CLEAR; k < ALL_COUNT; k++) {
        const fl_codec codec = fl_updates_codec(ALL[k]);
        uint64_t *sums = new_sums(&codec);
        float mean[COUNT];
        fl_update_metrics metrics;
        fl_reason why = {""};
        sums[0] = 20;
        assert_ok(decode(mean, &metrics, &codec, sums, 2, NULL));
        assert_err(decode(mean, &metrics, &codec, sums, 0, &why), FL_ERR_RANGE);
        assert_reason_names(why, "0 clients");
        assert_err(decode(mean, &metrics, &codec, sums, 17, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "17 clients");
        sums[0] = 1;
        assert_err(decode(mean, &metrics, &codec, sums, 2, NULL), FL_ERR_RANGE);
        sums[0] = 2001;
        assert_err(decode(mean, &metrics, &codec, sums, 2, NULL), FL_ERR_RANGE);
        sums[0] = 20;
        sums[1] = 21;
        assert_err(decode(mean, &metrics, &codec, sums, 2, NULL), FL_ERR_RANGE);
        sums[1] = 0;
        sums[2] = (UINT64_C(20) << 26) + 1;
        assert_err(decode(mean, &metrics, &codec, sums, 2, NULL), FL_ERR_RANGE);
        sums[2] = 0;
        sums[3 + 77] = UINT64_C(1) << 63;
        assert_err(decode(mean, &metrics, &codec, sums, 2, &why), FL_ERR_RANGE);
        assert_reason_names(why, "coordinate 77");
        free(sums);
    }
}

RUN_TESTS(
    cmocka_unit_test(codec_names_are_read_back),
    cmocka_unit_test(codec_kinds_say_what_they_can),
    cmocka_unit_test(codec_bits_follow_a_colon),
    cmocka_unit_test(codec_that_nobody_knows_is_refused_with_the_names),
    cmocka_unit_test(codec_bits_that_it_does_not_have_are_refused),
    cmocka_unit_test(codec_in_the_clear_writes_the_documented_bytes),
    cmocka_unit_test(codec_sums_are_weighted_means),
    cmocka_unit_test(codec_sums_do_not_depend_on_the_order),
    cmocka_unit_test(codec_depends_on_nothing_but_its_arguments),
    cmocka_unit_test(codec_in_the_clear_leaves_statistics_as_they_are),
    cmocka_unit_test(codec_skips_what_does_not_change),
    cmocka_unit_test(codec_with_a_residual_leaves_what_was_not_sent),
    cmocka_unit_test(codec_without_a_residual_leaves_the_update),
    cmocka_unit_test(codec_limits_values_to_the_clip),
    cmocka_unit_test(codec_sums_hold_the_largest_updates_of_all_clients),
    cmocka_unit_test(codec_names_the_coordinate_that_is_no_number),
    cmocka_unit_test(codec_refuses_metrics_that_no_training_gives),
    cmocka_unit_test(codec_refuses_a_small_buffer),
    cmocka_unit_test(codec_has_no_bound_beyond_an_object),
    cmocka_unit_test(codec_refuses_updates_that_are_cut_or_have_more),
    cmocka_unit_test(codec_refuses_values_beyond_the_clip),
    cmocka_unit_test(codec_refuses_metrics_that_one_client_cannot_have),
    cmocka_unit_test(codec_refuses_sums_that_so_many_clients_cannot_have_made))
