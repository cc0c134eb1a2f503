/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/versions.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/random.h"
#include "tests/test.h"

enum { ROUND = 40, FILE_MAX = 1 << 20 };

typedef struct {
    uint8_t *at;
    size_t len;
} bytes;

// Models that follow each other, and what is kept of them.
typedef struct {
    fl_model *model;
    fl_grid *grid;
    fl_versions versions;
    uint32_t number;  // of the newest version, from 1
} world;

static void name_version(uint8_t name[FL_HASH_BYTES], uint32_t number)
{
    fl_hash(name, &number, sizeof number);
}

static world open_world(const char *architecture, fl_shape input)
{
    world w = {.number = 0};
    assert_ok(fl_secure_start());
    assert_ok(fl_model_new(
        &w.model,
        &(fl_model_options){
            .name = architecture, .input = input, .class_count = 10, .seed = 1},
        NULL));
    assert_ok(fl_grid_new(&w.grid, w.model, 1.0 / 16, NULL));
    fl_grid_snap(w.grid, fl_model_params(w.model));
    return w;
}

static world open_small(void)
{
    return open_world("mlp", (fl_shape){4, 4, 1});
}

static void close_world(world *w)
{
    fl_versions_fini(&w->versions);
    fl_grid_free(w->grid);
    fl_model_free(w->model);
}

static void push(world *w)
{
    uint8_t name[FL_HASH_BYTES];
    name_version(name, ++w->number);
    assert_ok(fl_versions_push(&w->versions, name, w->model, w->grid,
                               fl_model_params(w->model), ROUND + w->number));
    assert_true(fl_versions_is_newest(&w->versions, name));
}

// Moves every `stride`th parameter by some multiples of its step.
static void move(world *w, size_t stride)
{
    size_t step_count;
    const float *steps = fl_grid_steps(w->grid, &step_count);
    float *params = fl_model_params(w->model);
    fl_random random;
    fl_random_init(&random, 2, FL_RANDOM_TEST, w->number);
    for (size_t t = 0; t < step_count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(w->model, t);
        for (size_t i = 0; i < tensor.count; i += stride) {
            float *param = &params[tensor.offset + i];
            const int32_t by = 1 + (int32_t)fl_random_below(&random, 3);
            *param = fl_grid_value(fl_grid_multiple(*param, steps[t]) + by,
                                   steps[t]);
        }
    }
}

static bytes file_of(const world *w)
{
    bytes made = {.len = fl_model_bytes(w->model)};
    made.at = malloc(made.len);
    assert_non_null(made.at);
    assert_ok(fl_model_encode(w->model, made.at, made.len));
    return made;
}

static void assert_same_bytes(bytes a, const uint8_t *b, size_t b_len)
{
    assert_int_equal(a.len, b_len);
    assert_memory_equal(a.at, b, b_len);
}

// The object is whole, and says what it is and of which round.
static void assert_object(const world *w, const fl_published *object,
                          fl_object_kind kind)
{
    fl_arena arena;
    fl_manifest manifest;
    uint8_t hash[FL_HASH_BYTES];
    fl_arena_init(&arena, 1 << 20);
    assert_ok(fl_manifest_decode(&manifest, &arena, object->manifest,
                                 object->manifest_len, NULL));
    assert_int_equal(manifest.kind, kind);
    assert_int_equal(manifest.round, ROUND + w->number);
    assert_int_equal(manifest.size, object->len);
    fl_hash(hash, object->manifest, object->manifest_len);
    assert_memory_equal(hash, object->name, sizeof hash);
    fl_hash(hash, object->bytes,
            object->len < FL_PROTO_CHUNK_BYTES ? object->len
                                               : FL_PROTO_CHUNK_BYTES);
    assert_memory_equal(hash, manifest.chunk_hashes, sizeof hash);
    fl_arena_fini(&arena);
}

static fl_err get_patch(world *w, uint32_t base, const fl_published **patch)
{
    uint8_t name[FL_HASH_BYTES];
    name_version(name, base);
    return fl_versions_patch(&w->versions, name, patch);
}

static const fl_published *patch_of(world *w, uint32_t base)
{
    const fl_published *patch = NULL;
    assert_ok(get_patch(w, base, &patch));
    assert_object(w, patch, FL_OBJECT_PATCH);
    return patch;
}

static void assert_no_patch(world *w, uint32_t base)
{
    const fl_published *patch = NULL;
    assert_err(get_patch(w, base, &patch), FL_ERR_NOT_FOUND);
    assert_null(patch);
}

/* ---- what leads to the newest ---- */

TEST(versions_patch_every_kept_one_to_the_newest)
{
    enum { COUNT = 4 };
    world w = open_small();
    bytes files[COUNT + 1] = {{NULL, 0}};
    for (uint32_t number = 1; number <= COUNT; number++) {
        if (number > 1) move(&w, 10 + number);
        push(&w);
        files[number] = file_of(&w);
        for (uint32_t base = 1; base < number; base++) {
            bytes made;
            const fl_published *patch = patch_of(&w, base);
            assert_ok(fl_patch_apply(&made.at, &made.len, files[base].at,
                                     files[base].len, patch->bytes, patch->len,
                                     NULL));
            assert_same_bytes(made, files[number].at, files[number].len);
            assert_int_equal(
                fl_versions_patch_bytes(&w.versions, number - base),
                patch->len);
            free(made.at);
        }
    }
    for (uint32_t number = 1; number <= COUNT; number++)
        free(files[number].at);
    close_world(&w);
}

TEST(versions_pack_the_newest)
{
    world w = open_small();
    for (int i = 0; i < 2; i++) {
        bytes made;
        const fl_published *packed = NULL;
        push(&w);
        assert_ok(fl_versions_packed(&w.versions, &packed));
        assert_object(&w, packed, FL_OBJECT_PACKED);
        assert_int_equal(fl_versions_packed_bytes(&w.versions), packed->len);
        assert_ok(fl_packed_decode(&made.at, &made.len, FILE_MAX, packed->bytes,
                                   packed->len, NULL));
        const bytes file = file_of(&w);
        assert_same_bytes(made, file.at, file.len);
        free(file.at);
        free(made.at);
        move(&w, 3);
    }
    close_world(&w);
}

// Not the model that comes next, whose parameters may be there already.
TEST(versions_pack_what_was_pushed_whatever_the_model_has_become)
{
    world w = open_small();
    push(&w);
    const bytes file = file_of(&w);
    move(&w, 2);
    const fl_published *packed;
    bytes made;
    assert_ok(fl_versions_packed(&w.versions, &packed));
    assert_ok(fl_packed_decode(&made.at, &made.len, FILE_MAX, packed->bytes,
                               packed->len, NULL));
    assert_same_bytes(made, file.at, file.len);
    free(file.at);
    free(made.at);
    close_world(&w);
}

TEST(versions_know_no_patch_from_where_nobody_is)
{
    world w = open_small();
    const fl_published *packed = NULL;
    assert_no_patch(&w, 1);  // nothing is kept
    assert_err(fl_versions_packed(&w.versions, &packed), FL_ERR_NOT_FOUND);
    assert_null(packed);
    assert_int_equal(fl_versions_patch_bytes(&w.versions, 1), 0);
    assert_int_equal(fl_versions_packed_bytes(&w.versions), 0);
    push(&w);
    assert_no_patch(&w, 1);  // the newest itself
    assert_no_patch(&w, 9);
    assert_int_equal(fl_versions_patch_bytes(&w.versions, 0), 0);
    assert_int_equal(fl_versions_patch_bytes(&w.versions, 1), 0);
    close_world(&w);
}

TEST(versions_make_an_object_once_and_find_it_by_its_name)
{
    world w = open_small();
    push(&w);
    move(&w, 10);
    push(&w);
    const fl_published *patch = patch_of(&w, 1), *packed = NULL;
    assert_ptr_equal(patch_of(&w, 1), patch);
    assert_ok(fl_versions_packed(&w.versions, &packed));
    uint8_t names[2][FL_HASH_BYTES], unknown[FL_HASH_BYTES] = {0};
    memcpy(names[0], patch->name, FL_HASH_BYTES);
    memcpy(names[1], packed->name, FL_HASH_BYTES);
    const uint8_t *bytes_before = packed->bytes;
    assert_ok(fl_versions_packed(&w.versions, &packed));
    assert_ptr_equal(packed->bytes, bytes_before);
    assert_ptr_equal(fl_versions_find(&w.versions, names[0]), patch);
    assert_ptr_equal(fl_versions_find(&w.versions, names[1]), packed);
    assert_null(fl_versions_find(&w.versions, unknown));

    move(&w, 10);
    push(&w);  // now they lead nowhere
    assert_null(fl_versions_find(&w.versions, names[0]));
    assert_null(fl_versions_find(&w.versions, names[1]));
    close_world(&w);
}

/* ---- how much is kept ---- */

TEST(versions_before_the_maximum_are_forgotten)
{
    world w = open_small();
    for (uint32_t i = 0; i < FL_VERSIONS_MAX + 5; i++) {
        move(&w, 50);
        push(&w);
    }
    assert_int_equal(w.versions.count, FL_VERSIONS_MAX);
    assert_no_patch(&w, w.number - FL_VERSIONS_MAX);
    (void)patch_of(&w, w.number - FL_VERSIONS_MAX + 1);
    assert_true(fl_versions_patch_bytes(&w.versions, FL_VERSIONS_MAX - 1) > 0);
    assert_int_equal(fl_versions_patch_bytes(&w.versions, FL_VERSIONS_MAX), 0);
    close_world(&w);
}

TEST(versions_take_no_more_memory_than_the_maximum)
{
    world w = open_world("mobilenetv2", (fl_shape){32, 32, 3});
    const size_t change_bytes =
        fl_model_param_count(w.model) * sizeof(fl_version_change);
    const size_t most = FL_VERSIONS_BYTES_MAX / change_bytes;
    assert_true(most > 1 && most < 10);
    for (size_t i = 0; i < most + 2; i++) {
        push(&w);
        move(&w, 1);
    }
    assert_int_equal(w.versions.count, 1 + most);
    close_world(&w);
}

TEST(versions_keep_two_however_large)
{
    world w = open_world("resnet18", (fl_shape){32, 32, 3});
    const size_t change_bytes =
        fl_model_param_count(w.model) * sizeof(fl_version_change);
    assert_true(change_bytes > FL_VERSIONS_BYTES_MAX);
    for (int i = 0; i < 3; i++) {
        push(&w);
        move(&w, 1);
    }
    assert_int_equal(w.versions.count, 2);
    close_world(&w);
}

TEST(versions_of_another_model_or_grid_are_forgotten)
{
    world w = open_small();
    uint8_t name[FL_HASH_BYTES];
    push(&w);
    push(&w);
    assert_int_equal(w.versions.count, 2);
    fl_grid *other = NULL;
    assert_ok(fl_grid_new(&other, w.model, 1.0 / 8, NULL));
    fl_grid_free(w.grid);
    w.grid = other;
    fl_grid_snap(w.grid, fl_model_params(w.model));
    push(&w);
    assert_int_equal(w.versions.count, 1);
    assert_no_patch(&w, 2);

    name_version(name, 3);
    assert_true(fl_versions_is_newest(&w.versions, name));
    assert_ok(fl_versions_push(&w.versions, name, w.model, NULL,
                               fl_model_params(w.model), 9));
    assert_int_equal(w.versions.count, 0);
    assert_false(fl_versions_is_newest(&w.versions, name));
    assert_int_equal(fl_versions_packed_bytes(&w.versions), 0);
    close_world(&w);
}

RUN_TESTS(
    cmocka_unit_test(versions_patch_every_kept_one_to_the_newest),
    cmocka_unit_test(versions_pack_the_newest),
    cmocka_unit_test(
        versions_pack_what_was_pushed_whatever_the_model_has_become),
    cmocka_unit_test(versions_know_no_patch_from_where_nobody_is),
    cmocka_unit_test(versions_make_an_object_once_and_find_it_by_its_name),
    cmocka_unit_test(versions_before_the_maximum_are_forgotten),
    cmocka_unit_test(versions_take_no_more_memory_than_the_maximum),
    cmocka_unit_test(versions_keep_two_however_large),
    cmocka_unit_test(versions_of_another_model_or_grid_are_forgotten))
