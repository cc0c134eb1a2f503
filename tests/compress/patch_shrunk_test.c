/*
 * Patches of models that have become smaller: they bring whoever holds the
 * larger one to the smaller, to the last byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "tests/support/gridded.h"
#include "tests/support/nets.h"
#include "tests/support/shrinking.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { SIDE = 32, MASK_AT = 4 };  // in a patch

// A model, and the one that it becomes.
typedef struct {
    fl_gridded base, smaller;
    bool *keep;
    size_t channels;
    uint32_t *from;
} world;

static float *steps_of(const fl_gridded *gridded)
{
    size_t count;
    const float *steps = fl_grid_steps(gridded->grid, &count);
    float *copy = malloc((count + 1) * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, steps, count * sizeof *steps);
    return copy;
}

// Takes the model and the mask. Only what is left moves.
static world world_over(fl_model *model, const float *steps, bool *keep)
{
    world w = {.base = fl_gridded_new(model, steps), .keep = keep};
    fl_channels *channels = shrinking_channels(model);
    w.channels = fl_channels_count(channels);
    fl_channels_free(channels);
    float *same_steps = steps_of(&w.base);
    w.smaller =
        fl_gridded_new(shrinking_shrink(model, &w.from, keep), same_steps);
    free(same_steps);
    return w;
}

static world world_of(fl_model *model, uint64_t seed)
{
    fl_channels *channels = shrinking_channels(model);
    bool *keep = shrinking_mask(channels, 1, seed);
    fl_channels_free(channels);
    world w = world_over(model, NULL, keep);
    fl_gridded_wander(&w.smaller, 0.05, seed);
    return w;
}

static void free_world(world *w)
{
    fl_gridded_free(&w->base);
    fl_gridded_free(&w->smaller);
    free(w->keep);
    free(w->from);
}

static fl_bytes patch_of(const world *w)
{
    fl_bytes made = {NULL, 0};
    const fl_patch_mask mask = {w->keep, w->channels};
    const size_t cap =
        fl_patch_bound(w->smaller.model) + fl_patch_mask_bytes(w->channels);
    made.at = malloc(cap);
    assert_non_null(made.at);
    assert_ok(fl_patch_encode_shrunk(
        made.at, cap, &made.len, &mask, w->smaller.model, w->smaller.grid,
        fl_model_params(w->smaller.model), w->smaller.to));
    return made;
}

static fl_err apply(fl_bytes *made, fl_patch_map *map, fl_bytes base,
                    fl_bytes patch, fl_reason *why)
{
    *made = (fl_bytes){NULL, 0};
    return fl_patch_apply_mapped(&made->at, &made->len, map, base.at, base.len,
                                 patch.at, patch.len, why);
}

static void assert_round_trip(world *w)
{
    fl_bytes made;
    fl_patch_map map;
    fl_reason why = {""};
    const fl_bytes patch = patch_of(w);
    if (apply(&made, &map, w->base.base, patch, &why)) fail_msg("%s", why.text);
    const fl_bytes expected = fl_gridded_file(&w->smaller, w->smaller.to);
    assert_int_equal(made.len, expected.len);
    assert_memory_equal(made.at, expected.at, made.len);
    assert_int_equal(map.count, w->smaller.count);
    assert_memory_equal(map.from, w->from, map.count * sizeof *map.from);
    free(map.from);
    free(made.at);
    free(expected.at);
    free(patch.at);
}

/* ---- round trips ---- */

TEST(patch_takes_every_built_in_model_to_a_smaller_one)
{
    for (size_t k = 0; fl_model_name(k); k++) {
        const char *name = fl_model_name(k);
        if (strcmp(name, "resnet18") == 0 || strcmp(name, "resnet50") == 0) {
            continue;  // seconds
        }
        for (uint64_t seed = 1; seed < 3; seed++) {
            world w = world_of(shrinking_zoo(name, SIDE, seed), seed);
            assert_round_trip(&w);
            free_world(&w);
        }
    }
}

static void check_imported(fl_model *model)
{
    fl_channels *channels = shrinking_channels(model);
    const bool has_some = fl_channels_count(channels) > 0;
    fl_channels_free(channels);
    if (!has_some) {
        fl_model_free(model);
        return;
    }
    world w = world_of(model, 7);
    assert_round_trip(&w);
    free_world(&w);
}

TEST(patch_takes_imported_models_to_smaller_ones)
{
    assert_true(fl_gridded_each_import(check_imported) > 20);
}

TEST(patch_may_keep_every_channel)
{
    world w = world_of(shrinking_zoo("lenet", 28, 1), 1);
    free_world(&w);
    fl_model *model = shrinking_zoo("lenet", 28, 1);
    fl_channels *channels = shrinking_channels(model);
    const size_t count = fl_channels_count(channels);
    bool *keep = malloc(count);
    assert_non_null(keep);
    memset(keep, true, count);
    fl_channels_free(channels);
    w = world_over(model, NULL, keep);
    fl_gridded_move(&w.smaller, 5, 3);
    assert_round_trip(&w);
    free_world(&w);
}

TEST(patch_of_the_same_shape_has_no_map)
{
    fl_bytes made;
    fl_patch_map map = {(uint32_t *)1, 9};
    fl_gridded w = fl_gridded_new(shrinking_zoo("lenet", 28, 1), NULL);
    const fl_bytes patch = fl_gridded_patch(&w);
    assert_ok(apply(&made, &map, w.base, patch, NULL));
    assert_null(map.from);
    assert_int_equal(map.count, 0);
    free(made.at);
    free(patch.at);
    fl_gridded_free(&w);
}

/* ---- refusals ---- */

static void assert_refused(const world *w, fl_bytes patch, const char *word)
{
    fl_bytes made;
    fl_patch_map map = {(uint32_t *)1, 9};
    fl_reason why = {""};
    assert_err(apply(&made, &map, w->base.base, patch, &why), FL_ERR_FORMAT);
    assert_null(made.at);
    assert_null(map.from);
    assert_reason_names(why, word);
}

static world small_world(void)
{
    return world_of(shrinking_zoo("lenet", 28, 3), 3);
}

TEST(patch_refuses_the_mask_of_another_model)
{
    world w = small_world();
    const fl_bytes patch = patch_of(&w);
    const uint32_t counts[] = {0, (uint32_t)w.channels - 1,
                               (uint32_t)w.channels + 1, UINT32_MAX >> 1};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        fl_bytes_put_u32(patch.at, UINT32_C(1) << 31 | counts[i]);
        assert_refused(&w, patch, "channels, this one has");
    }
    free(patch.at);
    free_world(&w);
}

TEST(patch_refuses_a_group_of_no_channels)
{
    world w = small_world();
    const fl_bytes patch = patch_of(&w);
    fl_channels *channels = shrinking_channels(w.base.model);
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        const fl_bytes bad = patch_of(&w);
        for (uint32_t c = group.first; c < group.first + group.count; c++) {
            bad.at[MASK_AT + c / 8] &= (uint8_t) ~(1U << c % 8);
        }
        assert_refused(&w, bad, "a patch: ");
        assert_refused(&w, bad, group.name);
        free(bad.at);
    }
    fl_channels_free(channels);
    free(patch.at);
    free_world(&w);
}

TEST(patch_refuses_channels_beyond_the_last)
{
    fl_graph net = net_over(1, 1, 4);
    (void)net_add_dense(&net, 11);
    (void)net_add_dense(&net, 2);
    world w = world_of(shrinking_net(net, 1), 3);
    assert_int_equal(w.channels, 11);
    const fl_bytes patch = patch_of(&w);
    for (unsigned bit = 3; bit < 8; bit++) {
        patch.at[MASK_AT + 1] ^= (uint8_t)(1U << bit);
        assert_refused(&w, patch, "beyond the last one");
        patch.at[MASK_AT + 1] ^= (uint8_t)(1U << bit);
    }
    free(patch.at);
    free_world(&w);
}

TEST(patch_refuses_a_mask_that_is_another)
{
    world w = small_world();
    const fl_bytes patch = patch_of(&w);
    size_t kept = 0;
    while (!w.keep[kept]) {
        kept++;
    }
    patch.at[MASK_AT + kept / 8] ^= (uint8_t)(1U << kept % 8);
    assert_refused(&w, patch, "a patch");  // its counts do not fit any more
    free(patch.at);
    free_world(&w);
}

TEST(patch_with_a_mask_is_refused_when_it_is_cut_off)
{
    fl_graph net = net_over(1, 1, 4);
    (void)net_add_dense(&net, 11);
    (void)net_add_dense(&net, 2);
    world w = world_of(shrinking_net(net, 1), 3);
    const fl_bytes patch = patch_of(&w);
    for (size_t len = 0; len < patch.len; len++) {
        assert_refused(&w, (fl_bytes){patch.at, len}, "cut off");
    }
    // No mask in front of a mask.
    const size_t head = fl_patch_mask_bytes(w.channels);
    fl_bytes twice = {malloc(head + patch.len), head + patch.len};
    assert_non_null(twice.at);
    memcpy(twice.at, patch.at, head);
    memcpy(twice.at + head, patch.at, patch.len);
    assert_refused(&w, twice, "a patch of a model of");
    free(twice.at);
    free(patch.at);
    free_world(&w);
}

TEST(patch_with_a_mask_needs_the_room_that_it_asks_for)
{
    size_t len;
    world w = small_world();
    const fl_patch_mask mask = {w.keep, w.channels};
    const size_t cap =
        fl_patch_bound(w.smaller.model) + fl_patch_mask_bytes(w.channels);
    uint8_t *dst = malloc(cap);
    assert_non_null(dst);
    for (size_t less = 1; less <= cap; less += cap - 1) {
        assert_err(fl_patch_encode_shrunk(dst, cap - less, &len, &mask,
                                          w.smaller.model, w.smaller.grid,
                                          fl_model_params(w.smaller.model),
                                          w.smaller.to),
                   FL_ERR_SPACE);
    }
    free(dst);
    free_world(&w);
}

/* ---- the document, executed ---- */

TEST(patch_with_a_mask_is_the_documented_one)
{
    static const float steps[] = {0.25F, 0.125F, 0.25F, 0.125F};
    fl_graph net = net_over(1, 1, 4);
    (void)net_add_dense(&net, 3);
    (void)net_add_dense(&net, 2);
    fl_model *model = shrinking_net(net, 1);
    memset(fl_model_params(model), 0,
           fl_model_param_count(model) * sizeof(float));
    bool *keep = malloc(3);
    assert_non_null(keep);
    keep[0] = keep[2] = true;
    keep[1] = false;
    world w = world_over(model, steps, keep);
    fl_gridded_move(&w.smaller, 1, 1);
    fl_gridded_move(&w.smaller, 5, 2);
    assert_round_trip(&w);

    size_t len;
    const fl_bytes patch = patch_of(&w);
    uint8_t *expected = fl_vector_read(&len, "docs/format.md", "patch_shrunk");
    if (!expected) fail_msg("docs/format.md has no hex block patch_shrunk");
    assert_int_equal(patch.len, len);
    assert_memory_equal(patch.at, expected, len);
    free(expected);
    free(patch.at);
    free_world(&w);
}

RUN_TESTS(cmocka_unit_test(patch_takes_every_built_in_model_to_a_smaller_one),
          cmocka_unit_test(patch_takes_imported_models_to_smaller_ones),
          cmocka_unit_test(patch_may_keep_every_channel),
          cmocka_unit_test(patch_of_the_same_shape_has_no_map),
          cmocka_unit_test(patch_refuses_the_mask_of_another_model),
          cmocka_unit_test(patch_refuses_a_group_of_no_channels),
          cmocka_unit_test(patch_refuses_channels_beyond_the_last),
          cmocka_unit_test(patch_refuses_a_mask_that_is_another),
          cmocka_unit_test(patch_with_a_mask_is_refused_when_it_is_cut_off),
          cmocka_unit_test(patch_with_a_mask_needs_the_room_that_it_asks_for),
          cmocka_unit_test(patch_with_a_mask_is_the_documented_one))
