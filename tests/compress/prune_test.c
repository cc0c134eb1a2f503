/*
 * Which channels go: the choice against one made by trying everything, and
 * every promise about bundles, shares and costs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/model/prune.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/test.h"

typedef struct {
    fl_model *model;
    fl_channels *channels;
    double *scores;
    bool *keep;
    uint32_t *kept;  // by group, of `keep`
    fl_reason why;
} world;

// With scores drawn from the seed.
static world world_open(const char *name, uint32_t side, uint64_t seed)
{
    const fl_model_options options = {
        .name = name,
        .input = {side, side, 1},
        .class_count = 10,
        .seed = 1,
    };
    world w = {.why = {""}};
    fl_random random;
    assert_ok(fl_model_new(&w.model, &options, NULL));
    assert_ok(fl_channels_new(&w.channels, w.model, NULL));
    const size_t count = fl_channels_count(w.channels);
    w.scores = calloc(count, sizeof *w.scores);
    w.keep = calloc(count, sizeof *w.keep);
    w.kept = calloc(fl_channels_group_count(w.channels), sizeof *w.kept);
    assert_true(w.scores && w.keep && w.kept);
    fl_random_init(&random, seed, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < count; i++)
        w.scores[i] = fl_random_double(&random);
    return w;
}

static void world_close(world *w)
{
    free(w->scores);
    free(w->keep);
    free(w->kept);
    fl_channels_free(w->channels);
    fl_model_free(w->model);
}

static void count_kept(world *w)
{
    for (uint32_t i = 0; i < fl_channels_group_count(w->channels); i++) {
        const fl_channel_group group = fl_channels_group(w->channels, i);
        w->kept[i] = 0;
        for (uint32_t c = 0; c < group.count; c++)
            w->kept[i] += w->keep[group.first + c];
    }
}

static void choose(world *w, fl_prune_options options)
{
    assert_ok(
        fl_prune_choose(w->keep, w->channels, w->scores, &options, &w->why));
    count_kept(w);
}

static fl_model_cost whole_cost(const world *w)
{
    uint32_t all[64];
    const uint32_t groups = fl_channels_group_count(w->channels);
    assert_true(groups <= 64);
    for (uint32_t i = 0; i < groups; i++)
        all[i] = fl_channels_group(w->channels, i).count;
    return fl_channels_cost(w->channels, all);
}

/* ---- the choice, by trying everything ---- */

static double cost_of(const world *w, fl_prune_cost cost)
{
    const fl_model_cost c = fl_channels_cost(w->channels, w->kept);
    return cost == FL_PRUNE_MACS ? (double)c.mac_count : (double)c.param_count;
}

// The least important channel that is still there.
static uint32_t least_of(const world *w, fl_channel_group group)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t c = group.first; c < group.first + group.count; c++) {
        if (!w->keep[c]) continue;
        if (least == UINT32_MAX || w->scores[c] < w->scores[least]) least = c;
    }
    return least;
}

// One at a time, multiple 1: takes the channel with the least score / saving.
static bool remove_one(world *w, fl_prune_cost cost)
{
    const double now = cost_of(w, cost);
    double best = INFINITY;
    uint32_t channel = UINT32_MAX, from = 0;
    for (uint32_t i = 0; i < fl_channels_group_count(w->channels); i++) {
        if (w->kept[i] == 2) continue;
        const uint32_t least = least_of(w, fl_channels_group(w->channels, i));
        w->kept[i]--;
        const double price = w->scores[least] / (now - cost_of(w, cost));
        w->kept[i]++;
        if (price >= best) continue;
        best = price;
        channel = least;
        from = i;
    }
    if (channel == UINT32_MAX) return false;
    w->keep[channel] = false;
    w->kept[from]--;
    return true;
}

static void choose_slowly(world *w, fl_prune_cost cost, double remove)
{
    memset(w->keep, true, fl_channels_count(w->channels));
    count_kept(w);
    const double whole = cost_of(w, cost);
    while (cost_of(w, cost) > whole * (1.0 - remove) && remove_one(w, cost)) {
    }
}

TEST(prune_chooses_as_trying_everything_does)
{
    static const fl_prune_cost costs[] = {FL_PRUNE_PARAMS, FL_PRUNE_MACS};
    static const double shares[] = {0.0, 0.07, 0.4, 0.9, 0.999};
    for (uint64_t seed = 0; seed < 4; seed++) {
        for (size_t i = 0; i < 10; i++) {
            world a = world_open(seed % 2 ? "resnet8" : "lenet", 28, seed);
            world b = world_open(seed % 2 ? "resnet8" : "lenet", 28, seed);
            choose(&a, (fl_prune_options){.cost = costs[i % 2],
                                          .remove = shares[i / 2],
                                          .multiple = 1});
            choose_slowly(&b, costs[i % 2], shares[i / 2]);
            assert_memory_equal(a.keep, b.keep, fl_channels_count(a.channels));
            world_close(&a);
            world_close(&b);
        }
    }
}

/* ---- shares and costs ---- */

TEST(prune_removes_nothing_when_nothing_is_asked)
{
    world w = world_open("lenet", 28, 1);
    choose(&w, (fl_prune_options){0});
    assert_null(memchr(w.keep, false, fl_channels_count(w.channels)));
    world_close(&w);
}

TEST(prune_removes_at_least_the_share)
{
    for (unsigned percent = 5; percent <= 80; percent += 25) {
        world w = world_open("resnet8", 28, percent);
        const double remove = percent / 100.0;
        choose(&w, (fl_prune_options){.remove = remove, .multiple = 4});
        const double whole = (double)whole_cost(&w).param_count;
        const double left =
            (double)fl_channels_cost(w.channels, w.kept).param_count;
        assert_true(left <= whole * (1.0 - remove));
        assert_true(left >= whole * (1.0 - remove - 0.15));  // one bundle over
        world_close(&w);
    }
}

TEST(prune_weighs_by_what_it_is_told)
{
    world w = world_open("lenet", 28, 5);
    uint64_t macs[2];
    static const fl_prune_cost costs[] = {FL_PRUNE_PARAMS, FL_PRUNE_MACS};
    for (size_t i = 0; i < 2; i++) {
        choose(&w, (fl_prune_options){.cost = costs[i], .remove = 0.3});
        macs[i] = fl_channels_cost(w.channels, w.kept).mac_count;
    }
    // Most parameters are in fc1, most multiplications in the convolutions.
    assert_true(macs[1] <= whole_cost(&w).mac_count * 7 / 10);
    assert_true(macs[0] > macs[1]);
    world_close(&w);
}

TEST(prune_by_latency_leaves_what_takes_no_time)
{
    world w = world_open("lenet", 28, 5);
    const double latency[] = {0.0, 30.0, 0.0};
    assert_int_equal(fl_channels_group_count(w.channels), 3);
    choose(&w, (fl_prune_options){.cost = FL_PRUNE_LATENCY,
                                  .remove = 0.5,
                                  .latency = latency});
    assert_int_equal(w.kept[0], fl_channels_group(w.channels, 0).count);
    assert_true(w.kept[1] < fl_channels_group(w.channels, 1).count);
    assert_int_equal(w.kept[2], fl_channels_group(w.channels, 2).count);
    world_close(&w);
}

// Twice the time of everything is the same share of it.
TEST(prune_by_latency_knows_no_unit)
{
    world w = world_open("lenet", 28, 6);
    const double once[] = {3.0, 7.0, 0.5}, thousandfold[] = {3e3, 7e3, 5e2};
    bool first[16 + 32 + 128];
    fl_prune_options options = {
        .cost = FL_PRUNE_LATENCY, .remove = 0.4, .latency = once};
    choose(&w, options);
    memcpy(first, w.keep, sizeof first);
    assert_non_null(memchr(first, false, sizeof first));
    options.latency = thousandfold;
    choose(&w, options);
    assert_memory_equal(first, w.keep, sizeof first);
    world_close(&w);
}

/* ---- bundles ---- */

TEST(prune_leaves_multiples)
{
    world w = world_open("mobilenetv2-tiny", 28, 3);
    choose(&w, (fl_prune_options){.remove = 0.6});
    bool is_smaller = false;
    for (uint32_t i = 0; i < fl_channels_group_count(w.channels); i++) {
        const uint32_t count = fl_channels_group(w.channels, i).count;
        is_smaller = is_smaller || w.kept[i] < count;
        assert_true(w.kept[i] == count || w.kept[i] % 8 == 0);
        assert_true(w.kept[i] > 0);
    }
    assert_true(is_smaller);
    world_close(&w);
}

TEST(prune_leaves_small_groups_alone)
{
    world w = world_open("lenet", 28, 3);  // 16, 32 and 128 channels
    choose(&w, (fl_prune_options){.remove = 0.99, .multiple = 9});
    assert_int_equal(w.kept[0], 16);
    assert_int_equal(w.kept[1], 9);
    assert_int_equal(w.kept[2], 9);
    world_close(&w);
}

TEST(prune_keeps_the_share_it_must)
{
    world w = world_open("lenet", 28, 3);
    choose(&w, (fl_prune_options){.remove = 0.99, .keep_min = 0.6});
    assert_int_equal(w.kept[0], 16);  // 9.6: the next bundle is all
    assert_int_equal(w.kept[1], 24);
    assert_int_equal(w.kept[2], 80);
    choose(&w,
           (fl_prune_options){.remove = 0.99, .keep_min = 0.1, .multiple = 1});
    assert_int_equal(w.kept[0], 2);
    assert_int_equal(w.kept[1], 4);
    assert_int_equal(w.kept[2], 13);
    choose(&w, (fl_prune_options){.remove = 0.99, .keep_min = 1.0});
    assert_null(memchr(w.keep, false, fl_channels_count(w.channels)));
    world_close(&w);
}

// A depthwise convolution of one channel would be none any more.
TEST(prune_leaves_two_channels_of_every_group)
{
    const fl_model_options options = {.name = "mobilenetv2-tiny",
                                      .input = {28, 28, 1},
                                      .class_count = 10,
                                      .width = 0.25};
    fl_model *model = NULL;
    fl_channels *channels = NULL;
    assert_ok(fl_model_new(&model, &options, NULL));
    assert_ok(fl_channels_new(&channels, model, NULL));
    const size_t count = fl_channels_count(channels);
    double *scores = calloc(count, sizeof *scores);
    bool *keep = calloc(count, sizeof *keep);
    assert_true(scores && keep);
    const fl_prune_options all = {.remove = 0.99, .multiple = 1};
    assert_ok(fl_prune_choose(keep, channels, scores, &all, NULL));
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        uint32_t kept = 0;
        for (uint32_t c = 0; c < group.count; c++)
            kept += keep[group.first + c];
        assert_int_equal(kept, group.count < 2 ? group.count : 2);
    }
    free(scores);
    free(keep);
    fl_channels_free(channels);
    fl_model_free(model);
}

TEST(prune_takes_channels_without_importance_first)
{
    world w = world_open("lenet", 28, 3);
    for (uint32_t c = 0; c < 8; c++)
        w.scores[16 + 4 * c] = 0.0;  // of conv2
    choose(&w, (fl_prune_options){.remove = 0.01});
    for (uint32_t c = 0; c < fl_channels_count(w.channels); c++)
        assert_int_equal(w.keep[c], !(c >= 16 && c < 48 && c % 4 == 0));
    world_close(&w);
}

TEST(prune_takes_what_saves_most_when_nothing_matters)
{
    world w = world_open("lenet", 28, 3);
    memset(w.scores, 0, fl_channels_count(w.channels) * sizeof *w.scores);
    choose(&w, (fl_prune_options){.remove = 0.01});
    assert_int_equal(w.kept[0], 16);
    assert_int_equal(w.kept[1], 24);  // each feeds all of fc1
    assert_int_equal(w.kept[2], 128);
    // Of equals the first ones.
    assert_null(memchr(w.keep + 16, true, 8));
    world_close(&w);
}

TEST(prune_is_quick_on_a_large_network)
{
    world w = world_open("resnet18", 32, 1);
    const int64_t start_ns = fl_clock_thread_ns();
    choose(&w, (fl_prune_options){.remove = 0.8});
    const double seconds = (double)(fl_clock_thread_ns() - start_ns) / 1e9;
    assert_true(seconds < 1.0);
    world_close(&w);
}

/* ---- refusals ---- */

static void assert_refused(world *w, fl_prune_options options, const char *word)
{
    assert_err(
        fl_prune_choose(w->keep, w->channels, w->scores, &options, &w->why),
        FL_ERR_RANGE);
    assert_reason_names(w->why, word);
}

TEST(prune_refuses_what_makes_no_sense)
{
    world w = world_open("lenet", 28, 3);
    const double bad[] = {1.0, -1.0, 1.0};
    assert_refused(&w, (fl_prune_options){.remove = 1.0}, "remove is 1");
    assert_refused(&w, (fl_prune_options){.remove = -0.1}, "remove");
    assert_refused(&w, (fl_prune_options){.remove = NAN}, "remove");
    assert_refused(&w, (fl_prune_options){.keep_min = 1.1}, "keep_min is 1.1");
    assert_refused(&w, (fl_prune_options){.keep_min = -1}, "keep_min");
    assert_refused(&w, (fl_prune_options){.cost = (fl_prune_cost)3}, "cost");
    assert_refused(&w, (fl_prune_options){.cost = FL_PRUNE_LATENCY},
                   "measured");
    assert_refused(&w,
                   (fl_prune_options){.cost = FL_PRUNE_LATENCY, .latency = bad},
                   "conv2");
    w.scores[7] = NAN;
    assert_refused(&w, (fl_prune_options){0}, "channel 7");
    w.scores[7] = INFINITY;
    assert_refused(&w, (fl_prune_options){0}, "channel 7");
    w.scores[7] = -1.0;
    assert_refused(&w, (fl_prune_options){0}, "channel 7 is -1");
    world_close(&w);
}

RUN_TESTS(cmocka_unit_test(prune_chooses_as_trying_everything_does),
          cmocka_unit_test(prune_removes_nothing_when_nothing_is_asked),
          cmocka_unit_test(prune_removes_at_least_the_share),
          cmocka_unit_test(prune_weighs_by_what_it_is_told),
          cmocka_unit_test(prune_by_latency_leaves_what_takes_no_time),
          cmocka_unit_test(prune_by_latency_knows_no_unit),
          cmocka_unit_test(prune_leaves_multiples),
          cmocka_unit_test(prune_leaves_small_groups_alone),
          cmocka_unit_test(prune_keeps_the_share_it_must),
          cmocka_unit_test(prune_leaves_two_channels_of_every_group),
          cmocka_unit_test(prune_takes_channels_without_importance_first),
          cmocka_unit_test(prune_takes_what_saves_most_when_nothing_matters),
          cmocka_unit_test(prune_is_quick_on_a_large_network),
          cmocka_unit_test(prune_refuses_what_makes_no_sense))
