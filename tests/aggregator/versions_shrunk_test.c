/*
 * Versions of a model that loses channels on the way: whoever holds one of
 * them, of whatever shape, gets to the newest.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "aggregator/versions.h"
#include "base/random.h"
#include "tests/support/shrinking.h"
#include "tests/test.h"

enum { ROUND = 40, SIDE = 8, VERSIONS_CAP = 64 };

typedef struct {
    uint8_t *at;
    size_t len;
} bytes;

// A model in its newest shape, and the file of every version from number 1.
typedef struct {
    fl_model *model;
    fl_grid *grid;
    fl_versions versions;
    uint32_t number;
    bytes files[VERSIONS_CAP];
    fl_random random;
} world;

static world open_world(const char *architecture, uint64_t seed)
{
    world w = {.number = 0};
    assert_ok(fl_secure_start());
    w.model = shrinking_zoo(architecture, SIDE, seed);
    assert_ok(fl_grid_new(&w.grid, w.model, 1.0 / 16, NULL));
    fl_grid_snap(w.grid, fl_model_params(w.model));
    fl_random_init(&w.random, seed, FL_RANDOM_TEST, 0);
    return w;
}

static void close_world(world *w)
{
    for (uint32_t i = 1; i <= w->number; i++)
        free(w->files[i].at);
    fl_versions_fini(&w->versions);
    fl_grid_free(w->grid);
    fl_model_free(w->model);
}

/* ---- what happens to a model ---- */

static void name_version(uint8_t name[FL_HASH_BYTES], uint32_t number)
{
    fl_hash(name, &number, sizeof number);
}

// The next version is there: its name and file.
static void count_version(world *w, uint8_t name[FL_HASH_BYTES])
{
    assert_in_range(w->number + 1, 1, VERSIONS_CAP - 1);
    name_version(name, ++w->number);
    bytes *file = &w->files[w->number];
    file->len = fl_model_bytes(w->model);
    file->at = malloc(file->len);
    assert_non_null(file->at);
    assert_ok(fl_model_encode(w->model, file->at, file->len));
}

static void push(world *w)
{
    uint8_t name[FL_HASH_BYTES];
    count_version(w, name);
    assert_ok(fl_versions_push(&w->versions, name, w->model, w->grid,
                               fl_model_params(w->model), ROUND + w->number));
    assert_true(fl_versions_is_newest(&w->versions, name));
}

// Some parameters move up, as a round moves them.
static void move(world *w)
{
    size_t step_count;
    const float *steps = fl_grid_steps(w->grid, &step_count);
    float *params = fl_model_params(w->model);
    for (size_t t = 0; t < step_count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(w->model, t);
        for (size_t i = tensor.offset; i < tensor.offset + tensor.count; i++) {
            if (fl_random_below(&w->random, 20)) continue;
            const int32_t by = 1 + (int32_t)fl_random_below(&w->random, 3);
            params[i] = fl_grid_value(
                fl_grid_multiple(params[i], steps[t]) + by, steps[t]);
        }
    }
}

// Channels to keep: all but one of about eight.
static bool *draw_mask(world *w, const fl_channels *channels)
{
    bool *keep = shrinking_mask(channels, 1, fl_random_u64(&w->random));
    for (size_t c = 0; c < fl_channels_count(channels); c++)
        keep[c] = keep[c] || fl_random_below(&w->random, 4);
    return keep;
}

static fl_grid *same_grid(const fl_grid *grid, const fl_model *model)
{
    size_t count;
    fl_grid *same = NULL;
    const float *steps = fl_grid_steps(grid, &count);
    assert_ok(fl_grid_restore(&same, model, steps, count, NULL));
    return same;
}

// The model loses these channels, and moves or not; the larger one goes before
// the smaller is pushed.
static void cut(world *w, const fl_channels *channels, const bool *keep,
                bool moves)
{
    uint32_t *from = NULL;
    fl_model *smaller = shrinking_shrink(w->model, &from, keep);
    fl_grid *grid = same_grid(w->grid, smaller);
    const fl_version_cut how = {{keep, fl_channels_count(channels)}, from};
    fl_grid_free(w->grid);
    fl_model_free(w->model);
    w->grid = grid;
    w->model = smaller;
    if (moves) move(w);
    uint8_t name[FL_HASH_BYTES];
    count_version(w, name);
    assert_ok(fl_versions_push_shrunk(&w->versions, name, smaller, grid,
                                      fl_model_params(smaller),
                                      ROUND + w->number, &how));
    assert_true(fl_versions_is_newest(&w->versions, name));
    free(from);
}

static void prune(world *w, bool moves)
{
    fl_channels *channels = shrinking_channels(w->model);
    bool *keep = draw_mask(w, channels);
    cut(w, channels, keep, moves);
    fl_channels_free(channels);
    free(keep);
}

// The first `left` channels of each group are what is left of it.
static void prune_to(world *w, uint32_t left)
{
    fl_channels *channels = shrinking_channels(w->model);
    bool *keep = calloc(fl_channels_count(channels), sizeof *keep);
    assert_non_null(keep);
    for (uint32_t i = 0; i < fl_channels_group_count(channels); i++) {
        const fl_channel_group group = fl_channels_group(channels, i);
        for (uint32_t c = 0; c < group.count && c < left; c++)
            keep[group.first + c] = true;
    }
    cut(w, channels, keep, false);
    fl_channels_free(channels);
    free(keep);
}

/* ---- who holds one of them ---- */

static fl_err get_patch(world *w, uint32_t base, const fl_published **patch)
{
    uint8_t name[FL_HASH_BYTES];
    name_version(name, base);
    return fl_versions_patch(&w->versions, name, patch);
}

static void assert_catches_up(world *w, uint32_t base)
{
    bytes made;
    fl_reason why = {""};
    const fl_published *patch = NULL;
    const bytes *newest = &w->files[w->number];
    assert_ok(get_patch(w, base, &patch));
    if (fl_patch_apply(&made.at, &made.len, w->files[base].at,
                       w->files[base].len, patch->bytes, patch->len, &why)) {
        fail_msg("from %u to %u: %s", base, w->number, why.text);
    }
    assert_int_equal(made.len, newest->len);
    assert_memory_equal(made.at, newest->at, made.len);
    free(made.at);
}

static uint32_t oldest(const world *w)
{
    return w->number + 1 - (uint32_t)w->versions.count;
}

static void assert_all_catch_up(world *w)
{
    for (uint32_t base = oldest(w); base < w->number; base++) {
        assert_catches_up(w, base);
    }
}

/* ---- tests ---- */

static void assert_any_history_works(const char *architecture, uint64_t seed)
{
    world w = open_world(architecture, seed);
    push(&w);
    for (int i = 0; i < 8; i++) {
        if (fl_random_below(&w.random, 3)) {
            move(&w);
            push(&w);
        } else {
            prune(&w, fl_random_below(&w.random, 2));
        }
        assert_int_equal(w.versions.count, w.number);
        assert_all_catch_up(&w);
    }
    close_world(&w);
}

TEST(versions_of_any_shape_lead_to_the_newest)
{
    for (uint64_t seed = 1; seed < 4; seed++) {
        assert_any_history_works("mlp", seed);
    }
    assert_any_history_works("resnet8", 5);
}

TEST(versions_bring_an_old_shape_up_to_date_in_one_step_or_in_several)
{
    world w = open_world("resnet8", 1);
    push(&w);
    prune(&w, false);
    assert_catches_up(&w, 1);
    prune(&w, true);
    move(&w);
    push(&w);
    prune(&w, false);
    assert_catches_up(&w, 1);  // three prunings at once
    assert_catches_up(&w, 2);
    assert_catches_up(&w, 4);
    close_world(&w);
}

TEST(versions_of_a_smaller_model_are_packed_small)
{
    world w = open_world("resnet8", 1);
    push(&w);
    const size_t before = fl_versions_packed_bytes(&w.versions);
    prune(&w, false);
    const fl_published *packed = NULL;
    bytes made;
    assert_ok(fl_versions_packed(&w.versions, &packed));
    assert_true(packed->len < before);
    assert_ok(fl_packed_decode(&made.at, &made.len, 1 << 24, packed->bytes,
                               packed->len, NULL));
    assert_int_equal(made.len, w.files[2].len);
    assert_memory_equal(made.at, w.files[2].at, made.len);
    free(made.at);
    // What is only left out is told in few bytes.
    assert_true(fl_versions_patch_bytes(&w.versions, 1) < before / 20);
    close_world(&w);
}

TEST(versions_may_begin_with_a_smaller_model)
{
    world w = open_world("mlp", 1);
    prune(&w, false);  // as after a start: nothing is kept
    assert_int_equal(w.versions.count, 1);
    move(&w);
    push(&w);
    assert_all_catch_up(&w);
    close_world(&w);
}

TEST(versions_of_many_shapes_have_the_same_maximum)
{
    world w = open_world("mlp", 2);
    push(&w);
    for (uint32_t i = 0; i < FL_VERSIONS_MAX + 8; i++) {
        if (i % 9 == 4) {
            prune(&w, true);
        } else {
            move(&w);
            push(&w);
        }
    }
    const fl_published *patch = NULL;
    assert_int_equal(w.versions.count, FL_VERSIONS_MAX);
    assert_err(get_patch(&w, oldest(&w) - 1, &patch), FL_ERR_NOT_FOUND);
    assert_all_catch_up(&w);
    close_world(&w);
}

TEST(versions_forget_what_was_removed)
{
    world w = open_world("mlp", 3);
    push(&w);
    move(&w);
    push(&w);
    const size_t before = w.versions.kept[1].undo_count;
    prune(&w, false);
    assert_true(w.versions.kept[2].undo_count < before);
    assert_int_equal(w.versions.param_count, fl_model_param_count(w.model));
    assert_null(w.versions.kept[0].keep);
    assert_non_null(w.versions.kept[1].keep);
    assert_int_equal(w.versions.kept[1].undo_count, 0);
    close_world(&w);
}

TEST(versions_without_a_grid_are_forgotten_when_they_shrink)
{
    world w = open_world("mlp", 4);
    uint8_t name[FL_HASH_BYTES] = {1};
    push(&w);
    uint32_t *from = NULL;
    fl_channels *channels = shrinking_channels(w.model);
    bool *keep = draw_mask(&w, channels);
    fl_model *smaller = shrinking_shrink(w.model, &from, keep);
    const fl_version_cut cut = {{keep, fl_channels_count(channels)}, from};
    assert_ok(fl_versions_push_shrunk(&w.versions, name, smaller, NULL,
                                      fl_model_params(smaller), ROUND, &cut));
    assert_int_equal(w.versions.count, 0);
    assert_false(fl_versions_is_newest(&w.versions, name));
    fl_channels_free(channels);
    fl_model_free(smaller);
    free(from);
    free(keep);
    close_world(&w);
}

// A depthwise convolution of one channel is none: other channels are coupled.
TEST(versions_are_forgotten_when_channels_are_numbered_in_another_way)
{
    world w = open_world("mobilenetv2-tiny", 6);
    push(&w);
    prune_to(&w, 2);
    prune_to(&w, 1);
    assert_int_equal(w.versions.count, 3);
    prune_to(&w, 1);
    assert_int_equal(w.versions.count, 2);  // the newest and the one before
    assert_all_catch_up(&w);
    close_world(&w);
}

// Back to a larger model: nobody has a way there but the packed model.
TEST(versions_begin_anew_when_a_pruning_is_taken_back)
{
    world w = open_world("mlp", 5);
    push(&w);
    prune(&w, false);
    fl_versions_fini(&w.versions);
    fl_grid_free(w.grid);
    fl_model_free(w.model);
    w.model = NULL;
    assert_ok(fl_model_decode(&w.model, w.files[1].at, w.files[1].len, NULL));
    assert_ok(fl_grid_new(&w.grid, w.model, 1.0 / 16, NULL));
    fl_grid_snap(w.grid, fl_model_params(w.model));
    push(&w);
    assert_int_equal(w.versions.count, 1);
    move(&w);
    push(&w);
    assert_all_catch_up(&w);
    close_world(&w);
}

RUN_TESTS(
    cmocka_unit_test(versions_of_any_shape_lead_to_the_newest),
    cmocka_unit_test(
        versions_bring_an_old_shape_up_to_date_in_one_step_or_in_several),
    cmocka_unit_test(versions_of_a_smaller_model_are_packed_small),
    cmocka_unit_test(versions_may_begin_with_a_smaller_model),
    cmocka_unit_test(versions_of_many_shapes_have_the_same_maximum),
    cmocka_unit_test(versions_forget_what_was_removed),
    cmocka_unit_test(versions_without_a_grid_are_forgotten_when_they_shrink),
    cmocka_unit_test(
        versions_are_forgotten_when_channels_are_numbered_in_another_way),
    cmocka_unit_test(versions_begin_anew_when_a_pruning_is_taken_back))
