/*
 * Models without some of their channels compute what the whole ones do with
 * these channels set to zero: every built-in architecture, and every way in
 * which channels are coupled.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "model/graph.h"
#include "model/model.h"
#include "tests/support/nets.h"
#include "tests/support/shrinking.h"
#include "tests/test.h"

enum { COUNT = 3 };  // examples

/* ---- comparing ---- */

// Equal as numbers: an exact sum of nothing may be 0 here and -0 there.
static void assert_same_outputs(const fl_model *a, const fl_model *b)
{
    float *expected = shrinking_logits(a, COUNT);
    float *got = shrinking_logits(b, COUNT);
    bool differ = false;
    for (size_t i = 0; i < COUNT * (size_t)fl_model_class_count(a); i++) {
        assert_true(isfinite(expected[i]));
        differ = differ || fabsf(expected[i] - expected[0]) > 1e-3F;
        if (got[i] == expected[i]) continue;
        print_error("output %zu is %.9g, not %.9g\n", i, (double)got[i],
                    (double)expected[i]);
        fail();
    }
    assert_true(differ);  // else this was no comparison
    free(expected);
    free(got);
}

static void assert_from(const fl_model *smaller, const uint32_t *from,
                        const fl_model *model)
{
    const float *part = fl_model_get_params(smaller);
    const float *all = fl_model_get_params(model);
    for (size_t j = 0; j < fl_model_param_count(smaller); j++) {
        assert_true(from[j] < fl_model_param_count(model));
        assert_memory_equal(&part[j], &all[from[j]], sizeof *part);
        if (j > 0) assert_true(from[j] > from[j - 1]);
    }
}

static void assert_cost(const fl_model *smaller, fl_model_cost cost)
{
    uint64_t macs = 0;
    for (uint32_t i = 0; i < fl_model_layer_count(smaller); i++)
        macs += fl_model_layer(smaller, i).mac_count;
    assert_int_equal(cost.param_count, fl_model_param_count(smaller));
    assert_int_equal(cost.mac_count, macs);
}

static void assert_same_groups(const fl_model *smaller,
                               const fl_channels *channels,
                               const uint32_t *kept)
{
    fl_channels *left = shrinking_channels(smaller);
    assert_int_equal(fl_channels_group_count(left),
                     fl_channels_group_count(channels));
    uint32_t first = 0;
    for (uint32_t i = 0; i < fl_channels_group_count(left); i++) {
        const fl_channel_group group = fl_channels_group(left, i);
        assert_string_equal(group.name, fl_channels_group(channels, i).name);
        assert_int_equal(group.first, first);
        assert_int_equal(group.count, kept[i]);
        first += kept[i];
    }
    assert_int_equal(fl_channels_count(left), first);
    fl_channels_free(left);
}

// Takes channels by the mask; the model is silenced.
static void check_mask(fl_model *model, const fl_channels *channels,
                       const bool *keep)
{
    uint32_t *from = NULL;
    uint32_t *kept = shrinking_kept(channels, keep);
    fl_model *smaller = shrinking_shrink(model, &from, keep);
    assert_from(smaller, from, model);
    assert_cost(smaller, fl_channels_cost(channels, kept));
    assert_same_groups(smaller, channels, kept);
    shrinking_silence(model, keep);
    assert_same_outputs(model, smaller);
    fl_model_free(smaller);
    free(from);
    free(kept);
}

// Fails when fewer than `channel_count` can be removed.
static void check(fl_model *model, uint64_t seed)
{
    fl_channels *channels = shrinking_channels(model);
    bool *keep = shrinking_mask(channels, 2, seed);
    check_mask(model, channels, keep);
    free(keep);
    fl_channels_free(channels);
    fl_model_free(model);
}

static void check_zoo(const char *name, uint32_t side)
{
    for (uint64_t seed = 1; seed <= 2; seed++)
        check(shrinking_zoo(name, side, seed), seed);
}

/* ---- architectures ---- */

TEST(shrink_takes_channels_from_plain_networks)
{
    check_zoo("mlp", 12);
    check_zoo("lenet", 28);
    check_zoo("siamese", 28);
}

TEST(shrink_takes_channels_from_residual_networks)
{
    check_zoo("resnet8", 16);
    check_zoo("resnet18", 32);
}

TEST(shrink_takes_channels_from_mobile_networks)
{
    check_zoo("mobilenetv2-tiny", 28);
    check_zoo("mobilenetv2", 32);
    check_zoo("mobilenetv3-small", 32);
}

TEST(shrink_takes_channels_from_shuffled_networks)
{
    check_zoo("shufflenetv2", 32);
}

RUN_TESTS(cmocka_unit_test(shrink_takes_channels_from_plain_networks),
          cmocka_unit_test(shrink_takes_channels_from_residual_networks),
          cmocka_unit_test(shrink_takes_channels_from_mobile_networks),
          cmocka_unit_test(shrink_takes_channels_from_shuffled_networks))
