/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "aggregator/aggregator_core.h"
#include "tests/support/lab.h"
#include "tests/test.h"

enum { ROUND = 12 };

// An aggregator that has just published the second of two models, and a client
// that talks to it.
typedef struct {
    fl_lab lab;
    fl_aggregator *aggregator;
    fl_hand *hand;
    fl_grid *grid;
    uint8_t *base;  // the first one's file
    size_t base_len;
    uint8_t base_name[FL_HASH_BYTES];
    fl_arena arena;
} world;

static uint8_t *file_of(const fl_model *model, size_t *len)
{
    *len = fl_model_bytes(model);
    uint8_t *file = malloc(*len);
    assert_non_null(file);
    assert_ok(fl_model_encode(model, file, *len));
    return file;
}

// Moves every `stride`th parameter by a step, or all of them close to 0.
static void move(world *w, size_t stride)
{
    size_t step_count;
    const float *steps = fl_grid_steps(w->grid, &step_count);
    const fl_model *model = w->aggregator->model;
    float *params = fl_model_params(w->aggregator->model);
    fl_random random;
    fl_random_init(&random, 3, FL_RANDOM_TEST, stride);
    for (size_t t = 0; t < step_count; t++) {
        const fl_tensor_info tensor = fl_model_tensor(model, t);
        for (size_t i = 0; i < tensor.count; i += stride) {
            float *param = &params[tensor.offset + i];
            const int32_t multiple =
                stride == 1 ? (int32_t)fl_random_below(&random, 2)
                            : fl_grid_multiple(*param, steps[t]) + 1;
            *param = fl_grid_value(multiple, steps[t]);
        }
    }
}

static void publish(world *w, uint32_t round)
{
    size_t len;
    uint8_t *file = file_of(w->aggregator->model, &len);
    assert_ok(fl_object_publish(&w->aggregator->published, FL_OBJECT_MODEL,
                                round, file, len));
}

static void push(world *w, uint32_t round)
{
    fl_aggregator *aggregator = w->aggregator;
    assert_ok(fl_versions_push(
        &aggregator->versions, aggregator->published.name, aggregator->model,
        w->grid, fl_model_params(aggregator->model), round));
}

static void open_world(world *w, size_t stride)
{
    fl_aggregator_options options = fl_lab_options();
    *w = (world){.grid = NULL};
    fl_lab_init(&w->lab, &options);
    fl_arena_init(&w->arena, 1 << 20);
    w->aggregator = w->lab.aggregator;
    fl_model *model = w->aggregator->model;
    assert_ok(fl_grid_new(&w->grid, model, 1.0 / 16, NULL));
    fl_grid_snap(w->grid, fl_model_params(model));
    publish(w, ROUND - 1);
    push(w, ROUND - 1);
    w->base = file_of(model, &w->base_len);
    memcpy(w->base_name, w->aggregator->published.name, FL_HASH_BYTES);
    move(w, stride);
    publish(w, ROUND);
    push(w, ROUND);
    w->hand = fl_lab_join(&w->lab, 0, 1);
}

static void close_world(world *w)
{
    fl_versions_fini(&w->aggregator->versions);
    fl_lab_fini(&w->lab);
    fl_grid_free(w->grid);
    fl_arena_fini(&w->arena);
    free(w->base);
}

static fl_fetch ask(const world *w, const uint8_t *base, bool takes_packed)
{
    fl_fetch fetch = {.wants_manifest = true, .takes_packed = takes_packed};
    memcpy(fetch.object, w->aggregator->published.name, FL_HASH_BYTES);
    fetch.has_base = base != NULL;
    if (base) memcpy(fetch.base, base, FL_HASH_BYTES);
    return fetch;
}

static const fl_message *answer_to(world *w, const fl_fetch *fetch)
{
    fl_message request = {.type = FL_MESSAGE_FETCH, .fetch = *fetch};
    w->hand->inbox_len = 0;
    fl_hand_send(w->hand, &request);
    const fl_message *answer = fl_hand_next(w->hand);
    assert_non_null(answer);
    return answer;
}

// The manifest that answers, and its hash.
static fl_manifest fetch_manifest(world *w, const fl_fetch *fetch,
                                  uint8_t name[FL_HASH_BYTES])
{
    fl_manifest manifest;
    const fl_message *answer = answer_to(w, fetch);
    assert_int_equal(answer->type, FL_MESSAGE_MANIFEST);
    fl_hash(name, answer->manifest.bytes, answer->manifest.len);
    assert_ok(fl_manifest_decode(&manifest, &w->arena, answer->manifest.bytes,
                                 answer->manifest.len, NULL));
    assert_int_equal(manifest.round, ROUND);
    return manifest;
}

static void assert_kind(world *w, const uint8_t *base, bool takes_packed,
                        fl_object_kind kind)
{
    uint8_t name[FL_HASH_BYTES];
    const fl_fetch fetch = ask(w, base, takes_packed);
    assert_int_equal(fetch_manifest(w, &fetch, name).kind, kind);
}

// All chunks of an object, by its own name.
static uint8_t *fetch_all(world *w, const fl_manifest *manifest,
                          const uint8_t name[FL_HASH_BYTES])
{
    uint8_t *bytes = malloc(manifest->size), hash[FL_HASH_BYTES];
    assert_non_null(bytes);
    size_t at = 0;
    for (uint32_t i = 0; i < manifest->chunk_count; i++) {
        fl_fetch fetch = {.index = i};
        memcpy(fetch.object, name, FL_HASH_BYTES);
        const fl_message *answer = answer_to(w, &fetch);
        assert_int_equal(answer->type, FL_MESSAGE_CHUNK);
        assert_memory_equal(answer->chunk.object, name, FL_HASH_BYTES);
        fl_hash(hash, answer->chunk.bytes, answer->chunk.len);
        assert_memory_equal(hash, manifest->chunk_hashes + i * FL_HASH_BYTES,
                            FL_HASH_BYTES);
        assert_true(at + answer->chunk.len <= manifest->size);
        memcpy(bytes + at, answer->chunk.bytes, answer->chunk.len);
        at += answer->chunk.len;
    }
    assert_int_equal(at, manifest->size);
    return bytes;
}

static void assert_newest(const world *w, const uint8_t *file, size_t len)
{
    assert_int_equal(len, w->aggregator->published.len);
    assert_memory_equal(file, w->aggregator->published.bytes, len);
}

TEST(object_of_one_who_holds_the_model_before_is_a_patch)
{
    world w;
    uint8_t name[FL_HASH_BYTES], *made = NULL;
    size_t made_len;
    open_world(&w, 50);
    const fl_fetch fetch = ask(&w, w.base_name, true);
    const fl_manifest manifest = fetch_manifest(&w, &fetch, name);
    assert_int_equal(manifest.kind, FL_OBJECT_PATCH);
    assert_true(manifest.size < w.base_len / 20);
    uint8_t *patch = fetch_all(&w, &manifest, name);
    assert_ok(fl_patch_apply(&made, &made_len, w.base, w.base_len, patch,
                             (size_t)manifest.size, NULL));
    assert_newest(&w, made, made_len);
    free(patch);
    free(made);
    assert_kind(&w, w.base_name, false, FL_OBJECT_PATCH);
    close_world(&w);
}

TEST(object_of_one_whose_model_is_unknown_is_packed)
{
    world w;
    uint8_t name[FL_HASH_BYTES], unknown[FL_HASH_BYTES] = {1}, *made = NULL;
    size_t made_len;
    open_world(&w, 50);
    const fl_fetch fetch = ask(&w, unknown, true);
    const fl_manifest manifest = fetch_manifest(&w, &fetch, name);
    assert_int_equal(manifest.kind, FL_OBJECT_PACKED);
    uint8_t *packed = fetch_all(&w, &manifest, name);
    assert_ok(fl_packed_decode(&made, &made_len, 2 * w.base_len, packed,
                               (size_t)manifest.size, NULL));
    assert_newest(&w, made, made_len);
    free(packed);
    free(made);
    assert_kind(&w, NULL, true, FL_OBJECT_PACKED);
    assert_kind(&w, w.aggregator->published.name, true, FL_OBJECT_PACKED);
    close_world(&w);
}

TEST(object_of_one_who_takes_nothing_else_is_the_model)
{
    world w;
    uint8_t name[FL_HASH_BYTES], unknown[FL_HASH_BYTES] = {1};
    open_world(&w, 50);
    const fl_fetch fetch = ask(&w, NULL, false);
    const fl_manifest manifest = fetch_manifest(&w, &fetch, name);
    assert_int_equal(manifest.kind, FL_OBJECT_MODEL);
    assert_memory_equal(name, w.aggregator->published.name, FL_HASH_BYTES);
    uint8_t *file = fetch_all(&w, &manifest, name);
    assert_newest(&w, file, (size_t)manifest.size);
    free(file);
    assert_kind(&w, unknown, false, FL_OBJECT_MODEL);
    close_world(&w);
}

// All has moved, and where to is simpler than the way.
TEST(object_is_the_smallest_that_leads_there)
{
    world w;
    open_world(&w, 1);
    const size_t patch = fl_versions_patch_bytes(&w.aggregator->versions, 1);
    const size_t packed = fl_versions_packed_bytes(&w.aggregator->versions);
    assert_true(packed < patch && patch < w.base_len);
    assert_kind(&w, w.base_name, true, FL_OBJECT_PACKED);
    assert_kind(&w, w.base_name, false, FL_OBJECT_PATCH);
    close_world(&w);
}

// What is pushed is not what is published, or nothing is.
TEST(object_without_its_version_is_the_model)
{
    world w;
    open_world(&w, 50);
    move(&w, 100);
    publish(&w, ROUND);
    assert_kind(&w, w.base_name, true, FL_OBJECT_MODEL);
    fl_versions_fini(&w.aggregator->versions);
    assert_kind(&w, w.base_name, true, FL_OBJECT_MODEL);
    close_world(&w);
}

static void assert_refused(world *w, const fl_fetch *fetch, fl_err code)
{
    const fl_message *answer = answer_to(w, fetch);
    assert_int_equal(answer->type, FL_MESSAGE_REFUSAL);
    assert_int_equal(answer->refusal.code, code);
}

TEST(object_has_no_chunk_beyond_its_last_and_none_when_it_is_stale)
{
    world w;
    uint8_t name[FL_HASH_BYTES];
    open_world(&w, 50);
    const fl_fetch fetch = ask(&w, w.base_name, false);
    const fl_manifest manifest = fetch_manifest(&w, &fetch, name);
    fl_fetch chunk = {.index = manifest.chunk_count};
    memcpy(chunk.object, name, FL_HASH_BYTES);
    assert_refused(&w, &chunk, FL_ERR_RANGE);
    chunk.index = 0;
    assert_int_equal(answer_to(&w, &chunk)->type, FL_MESSAGE_CHUNK);
    move(&w, 50);
    publish(&w, ROUND + 1);
    push(&w, ROUND + 1);
    assert_refused(&w, &chunk, FL_ERR_STALE);
    memcpy(chunk.object, w.base_name, FL_HASH_BYTES);  // an old model itself
    chunk.wants_manifest = true;
    assert_refused(&w, &chunk, FL_ERR_STALE);
    close_world(&w);
}

RUN_TESTS(cmocka_unit_test(object_of_one_who_holds_the_model_before_is_a_patch),
          cmocka_unit_test(object_of_one_whose_model_is_unknown_is_packed),
          cmocka_unit_test(object_of_one_who_takes_nothing_else_is_the_model),
          cmocka_unit_test(object_is_the_smallest_that_leads_there),
          cmocka_unit_test(object_without_its_version_is_the_model),
          cmocka_unit_test(
              object_has_no_chunk_beyond_its_last_and_none_when_it_is_stale))
