/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "tests/support/gridded.h"
#include "tests/support/vector.h"
#include "tests/test.h"

enum { PARAMS_AT = 0, TENSORS_AT = 4, STEPS_AT = 8 };  // in a patch

static fl_err apply(fl_bytes *made, fl_bytes base, fl_bytes patch,
                    fl_reason *why)
{
    *made = (fl_bytes){NULL, 0};
    return fl_patch_apply(&made->at, &made->len, base.at, base.len, patch.at,
                          patch.len, why);
}

// The patch makes of the base the file of `to`. Returns its length.
static size_t assert_round_trip(fl_gridded *w)
{
    fl_bytes made;
    fl_reason why = {""};
    const fl_bytes patch = fl_gridded_patch(w);
    if (apply(&made, w->base, patch, &why)) fail_msg("%s", why.text);
    const fl_bytes expected = fl_gridded_file(w, w->to);
    assert_int_equal(made.len, expected.len);
    assert_memory_equal(made.at, expected.at, made.len);
    free(expected.at);
    free(made.at);
    free(patch.at);
    return patch.len;
}

static void assert_refused(const fl_gridded *w, fl_bytes patch,
                           const char *word)
{
    fl_bytes made;
    fl_reason why = {""};
    assert_err(apply(&made, w->base, patch, &why), FL_ERR_FORMAT);
    assert_null(made.at);
    assert_reason_names(why, word);
}

/* ---- round trips ---- */

// The largest ones say nothing that the others do not, and take seconds.
TEST(patch_takes_every_built_in_model_to_another)
{
    for (size_t k = 0; fl_model_name(k); k++) {
        if (strncmp(fl_model_name(k), "resnet", 6) == 0 &&
            strcmp(fl_model_name(k), "resnet8") != 0) {
            continue;  // seconds
        }
        fl_gridded w =
            fl_gridded_new(fl_gridded_zoo(fl_model_name(k), 3), NULL);
        fl_gridded_wander(&w, 0.05, k);
        (void)assert_round_trip(&w);
        fl_gridded_free(&w);
    }
}

static void check_imported(fl_model *model)
{
    fl_gridded w = fl_gridded_new(model, NULL);
    fl_gridded_wander(&w, 0.1, w.count);
    (void)assert_round_trip(&w);
    fl_gridded_free(&w);
}

TEST(patch_takes_imported_models_to_another)
{
    assert_true(fl_gridded_each_import(check_imported) > 20);
}

TEST(patch_of_nothing_is_small)
{
    fl_gridded w = fl_gridded_new(fl_gridded_zoo("lenet", 3), NULL);
    assert_in_range(assert_round_trip(&w), 44, 64);
    fl_gridded_free(&w);
}

TEST(patch_moves_the_first_and_the_last_parameter)
{
    fl_gridded w = fl_gridded_new(fl_gridded_zoo("lenet", 3), NULL);
    fl_gridded_move(&w, 0, 1);
    fl_gridded_move(&w, w.count - 1, -1);
    assert_in_range(assert_round_trip(&w), 44, 80);
    fl_gridded_free(&w);
}

TEST(patch_moves_everything_from_end_to_end)
{
    fl_gridded w = fl_gridded_new(fl_gridded_zoo("lenet", 3), NULL);
    float *params = fl_model_params(w.model);
    for (size_t i = 0; i < w.count; i++) {
        const int32_t end =
            i % 2 ? FL_GRID_MULTIPLE_MAX : -FL_GRID_MULTIPLE_MAX;
        params[i] = fl_grid_value(end, 0.001F);
        w.to[i] = -params[i];
    }
    // The grid has another step than 0.001 for each tensor: both clip there.
    fl_grid_snap(w.grid, params);
    fl_grid_snap(w.grid, w.to);
    free(w.base.at);
    w.base = fl_gridded_file(&w, params);
    assert_in_range(assert_round_trip(&w), 0, fl_patch_bound(w.model));
    fl_gridded_free(&w);
}

/* ---- size ---- */

TEST(patch_is_smaller_than_the_entropy_of_what_moved)
{
    fl_gridded w = fl_gridded_new(fl_gridded_zoo("lenet", 3), NULL);
    fl_gridded_wander(&w, 0.046, 1);
    size_t moved = 0;
    for (size_t i = 0; i < w.count; i++) {
        moved += w.to[i] != fl_model_params(w.model)[i];
    }
    const double len = (double)assert_round_trip(&w);
    const double bound = fl_gridded_entropy(&w);
    if (len > 0.96 * bound) {
        fail_msg("%zu moved: %g bytes, not 0.96 of %g", moved, len, bound);
    }
    assert_in_range(moved, 3900, 4200);
    if (len > 3400.0) fail_msg("%zu moved in %g bytes", moved, len);
    fl_gridded_free(&w);
}

/* ---- refusals ---- */

TEST(patch_needs_the_room_that_it_asks_for)
{
    size_t len;
    fl_gridded w = fl_gridded_new(fl_gridded_tiny(), NULL);
    const size_t cap = fl_patch_bound(w.model);
    uint8_t *dst = malloc(cap);
    assert_non_null(dst);
    assert_err(fl_patch_encode(dst, cap - 1, &len, w.model, w.grid,
                               fl_model_params(w.model), w.to),
               FL_ERR_SPACE);
    free(dst);
    fl_gridded_free(&w);
}

static fl_gridded lenet_that_moved(void)
{
    fl_gridded w = fl_gridded_new(fl_gridded_zoo("lenet", 3), NULL);
    fl_gridded_wander(&w, 0.001, 1);
    return w;
}

TEST(patch_refuses_what_is_cut_off_or_too_long)
{
    fl_gridded w = fl_gridded_new(fl_gridded_tiny(), NULL);
    for (size_t i = 0; i < w.count; i += 2) {
        fl_gridded_move(&w, i, (int32_t)i - 5);
    }
    const fl_bytes patch = fl_gridded_patch(&w);
    for (size_t len = 0; len < patch.len; len++) {
        assert_refused(&w, (fl_bytes){patch.at, len}, "cut off");
    }
    fl_bytes longer = {calloc(patch.len + 1, 1), patch.len + 1};
    assert_non_null(longer.at);
    memcpy(longer.at, patch.at, patch.len);
    assert_refused(&w, longer, "too long");
    free(longer.at);
    free(patch.at);
    fl_gridded_free(&w);
}

TEST(patch_refuses_steps_that_are_none)
{
    static const float steps[] = {NAN,   INFINITY,  0.0F,
                                  -1.0F, 0x1p-101F, 0x1p101F};
    fl_gridded w = lenet_that_moved();
    const fl_bytes patch = fl_gridded_patch(&w);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        memcpy(patch.at + STEPS_AT + 4, &steps[i], 4);
        assert_refused(&w, patch, "patch: tensor 1: a step of");
    }
    free(patch.at);
    fl_gridded_free(&w);
}

TEST(patch_refuses_counts_that_lie)
{
    fl_gridded w = lenet_that_moved();
    const fl_bytes patch = fl_gridded_patch(&w);
    fl_bytes_put_u32(patch.at + PARAMS_AT, UINT32_MAX >> 1);
    assert_refused(&w, patch, "2147483647 parameters");
    fl_bytes_put_u32(patch.at + PARAMS_AT, (uint32_t)w.count);
    fl_bytes_put_u32(patch.at + TENSORS_AT, UINT32_MAX);
    assert_refused(&w, patch, "4294967295 tensors");
    fl_bytes_put_u32(patch.at + TENSORS_AT, 7);
    assert_refused(&w, patch, "7 tensors, this one has 8");
    free(patch.at);
    fl_gridded_free(&w);
}

TEST(patch_of_another_model_is_refused)
{
    fl_gridded w = lenet_that_moved();
    fl_gridded other = fl_gridded_new(fl_gridded_zoo("mlp", 3), NULL);
    const fl_bytes patch = fl_gridded_patch(&w);
    assert_refused(&other, patch, "80202 parameters");
    free(patch.at);
    fl_gridded_free(&other);
    fl_gridded_free(&w);
}

// Whoever applies it sees that by the hash of what comes out.
TEST(patch_of_another_version_makes_something_else)
{
    fl_bytes made;
    fl_gridded w = lenet_that_moved();
    fl_gridded other = fl_gridded_new(fl_gridded_zoo("lenet", 4), NULL);
    const fl_bytes patch = fl_gridded_patch(&w);
    const fl_bytes expected = fl_gridded_file(&w, w.to);
    assert_ok(apply(&made, other.base, patch, NULL));
    assert_int_equal(made.len, expected.len);
    assert_memory_not_equal(made.at, expected.at, made.len);
    free(made.at);
    free(expected.at);
    free(patch.at);
    fl_gridded_free(&other);
    fl_gridded_free(&w);
}

TEST(patch_refuses_to_leave_the_grid)
{
    static const float steps[] = {0.25F, 0.125F};
    fl_gridded w = fl_gridded_new(fl_gridded_tiny(), steps);
    fl_gridded_move(&w, 5, FL_GRID_MULTIPLE_MAX);
    const fl_bytes patch = fl_gridded_patch(&w);
    memcpy(fl_model_params(w.model), w.to, w.count * sizeof *w.to);
    free(w.base.at);
    w.base = fl_gridded_file(&w, w.to);
    assert_refused(&w, patch, "parameter 5 out of the grid");
    free(patch.at);
    fl_gridded_free(&w);
}

TEST(patch_passes_on_what_is_wrong_with_its_base)
{
    fl_bytes made;
    fl_reason why = {""};
    fl_gridded w = lenet_that_moved();
    const fl_bytes patch = fl_gridded_patch(&w);
    assert_err(apply(&made, (fl_bytes){w.base.at, 100}, patch, &why),
               FL_ERR_FORMAT);
    assert_true(why.text[0] != '\0');
    free(patch.at);
    fl_gridded_free(&w);
}

/* ---- the document, executed ---- */

TEST(patch_is_the_documented_one)
{
    static const float steps[] = {0.25F, 0.125F};
    fl_gridded w = fl_gridded_new(fl_gridded_tiny(), steps);
    fl_gridded_move(&w, 1, 1);
    fl_gridded_move(&w, 5, 2);
    fl_gridded_move(&w, 9, -1);
    fl_gridded_move(&w, 11, 40);
    fl_gridded_move(&w, 14, -3);
    (void)assert_round_trip(&w);
    const fl_bytes patch = fl_gridded_patch(&w);
    size_t len;
    uint8_t *expected = fl_vector_read(&len, "docs/format.md", "patch");
    if (!expected) fail_msg("docs/format.md has no hex block patch");
    assert_int_equal(patch.len, len);
    assert_memory_equal(patch.at, expected, len);
    free(expected);
    free(patch.at);
    fl_gridded_free(&w);
}

RUN_TESTS(cmocka_unit_test(patch_takes_every_built_in_model_to_another),
          cmocka_unit_test(patch_takes_imported_models_to_another),
          cmocka_unit_test(patch_of_nothing_is_small),
          cmocka_unit_test(patch_moves_the_first_and_the_last_parameter),
          cmocka_unit_test(patch_moves_everything_from_end_to_end),
          cmocka_unit_test(patch_is_smaller_than_the_entropy_of_what_moved),
          cmocka_unit_test(patch_needs_the_room_that_it_asks_for),
          cmocka_unit_test(patch_refuses_what_is_cut_off_or_too_long),
          cmocka_unit_test(patch_refuses_steps_that_are_none),
          cmocka_unit_test(patch_refuses_counts_that_lie),
          cmocka_unit_test(patch_of_another_model_is_refused),
          cmocka_unit_test(patch_of_another_version_makes_something_else),
          cmocka_unit_test(patch_refuses_to_leave_the_grid),
          cmocka_unit_test(patch_passes_on_what_is_wrong_with_its_base),
          cmocka_unit_test(patch_is_the_documented_one))
