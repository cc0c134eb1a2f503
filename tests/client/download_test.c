/*
 * The model on its way down by a shortcut: a patch of an older one, or the
 * model packed; and by the plain way, wherever a shortcut leads nowhere.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "aggregator/versions.h"
#include "base/bytes.h"
#include "client/client_core.h"
#include "compress/compress.h"
#include "tests/support/host.h"
#include "tests/support/shrinking.h"
#include "tests/test.h"

enum { ROUND = 7 };

/* ---- two models, and what leads to the second ---- */

typedef struct {
    fl_model *model;
    fl_grid *grid;
    float *params;  // of the older one, on the grid
    fl_host host;   // serves the newer one
    fl_parcel base, patch, packed;
} scene;

static const float *older(scene *s)
{
    const size_t count = fl_model_param_count(s->model);
    s->params = malloc(count * sizeof *s->params);
    assert_non_null(s->params);
    fl_grid_snap(s->grid, fl_model_params(s->model));
    memcpy(s->params, fl_model_params(s->model), count * sizeof *s->params);
    return s->params;
}

static void wrap_model(fl_parcel *parcel, const fl_model *model, uint32_t round)
{
    const size_t len = fl_model_bytes(model);
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    assert_ok(fl_model_encode(model, bytes, len));
    fl_parcel_wrap(parcel, FL_OBJECT_MODEL, round, bytes, len);
}

static void wrap_patch(fl_parcel *parcel, const scene *s, uint32_t round)
{
    const size_t cap = fl_patch_bound(s->model);
    uint8_t *bytes = malloc(cap);
    size_t len;
    assert_non_null(bytes);
    assert_ok(fl_patch_encode(bytes, cap, &len, s->model, s->grid, s->params,
                              fl_model_params(s->model)));
    fl_parcel_wrap(parcel, FL_OBJECT_PATCH, round, bytes, len);
}

static void wrap_packed(fl_parcel *parcel, const scene *s)
{
    const size_t cap = fl_packed_bound(s->model);
    uint8_t *bytes = malloc(cap);
    size_t len;
    assert_non_null(bytes);
    assert_ok(fl_packed_encode(bytes, cap, &len, s->model, s->grid,
                               fl_model_params(s->model)));
    fl_parcel_wrap(parcel, FL_OBJECT_PACKED, ROUND, bytes, len);
}

// Moves every third parameter by a step or more.
static void make_newer(scene *s)
{
    float *params = fl_model_params(s->model);
    const size_t count = fl_model_param_count(s->model);
    for (size_t i = 0; i < count; i += 3)
        params[i] += 0.01F;
    fl_grid_snap(s->grid, params);
}

static void make_parcels(scene *s)
{
    const fl_model_options lenet = {
        .name = "lenet", .input = {28, 28, 1}, .class_count = 10, .seed = 1};
    assert_ok(fl_model_new(&s->model, &lenet, NULL));
    // So fine that the packed model takes more chunks than one window has.
    assert_ok(fl_grid_new(&s->grid, s->model, 0.001, NULL));
    assert_non_null(older(s));
    wrap_model(&s->base, s->model, ROUND - 3);
    make_newer(s);
    wrap_patch(&s->patch, s, ROUND);
    wrap_packed(&s->packed, s);
}

// The client holds the older model, if it holds one.
static void hold(fl_host *host, const fl_parcel *base)
{
    host->found_base = malloc(base->len);
    assert_non_null(host->found_base);
    memcpy(host->found_base, base->bytes, base->len);
    host->found_base_len = base->len;
    memcpy(host->base_name, base->name, FL_HASH_BYTES);
}

static scene *new_scene_with(const fl_client_options *options, bool has_base)
{
    scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    make_parcels(s);
    fl_host_init(&s->host, options);
    fl_parcel_fini(&s->host.model);
    wrap_model(&s->host.model, s->model, ROUND);
    fl_host_join(&s->host);
    if (has_base) hold(&s->host, &s->base);
    fl_host_mail(&s->host, FL_MAIL_PLAN, ROUND + 1);
    return s;
}

static scene *new_scene(bool has_base)
{
    const fl_client_options options = fl_host_options();
    return new_scene_with(&options, has_base);
}

static void free_scene(scene *s)
{
    fl_host_fini(&s->host);
    fl_parcel_fini(&s->base);
    fl_parcel_fini(&s->patch);
    fl_parcel_fini(&s->packed);
    fl_grid_free(s->grid);
    fl_model_free(s->model);
    free(s->params);
    free(s);
}

/* ---- how it goes on ---- */

// The request for the manifest.
static const fl_message *take_fetch(scene *s)
{
    const fl_message *fetch = fl_host_take(&s->host, FL_MESSAGE_FETCH);
    assert_non_null(fetch);
    assert_true(fetch->fetch.wants_manifest);
    assert_memory_equal(fetch->fetch.object, s->host.model.name, FL_HASH_BYTES);
    return fetch;
}

// Answers all requests for chunks of this.
static uint32_t serve_chunks(scene *s, const fl_parcel *parcel)
{
    uint32_t count = 0;
    while (s->host.inbox_len > 0 && !s->host.inbox[0].fetch.wants_manifest) {
        const fl_message *fetch = fl_host_next(&s->host);
        assert_memory_equal(fetch->fetch.object, parcel->name, FL_HASH_BYTES);
        fl_host_serve_as(&s->host, fetch, parcel);
        count++;
    }
    return count;
}

static void serve_all(scene *s, const fl_parcel *parcel)
{
    fl_host_serve_as(&s->host, take_fetch(s), parcel);
    assert_int_equal(serve_chunks(s, parcel), parcel->chunk_count);
}

static void assert_training(const scene *s)
{
    const fl_host *host = &s->host;
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
    assert_int_equal(host->job_len, host->model.len);
    assert_memory_equal(host->job, host->model.bytes, host->model.len);
    assert_int_equal(host->counts[FL_CLIENT_BEGIN], 1);
    assert_false(host->is_downloading);  // it is on the disk
    assert_false(host->has_hung_up);
}

// By what came, at once, and no chunk of it.
static void assert_kept(const scene *s)
{
    assert_training(s);
    assert_int_equal(s->host.counts[FL_CLIENT_KEEP], 1);
    assert_int_equal(s->host.counts[FL_CLIENT_PUT], 0);
    assert_int_equal(s->host.counts[FL_CLIENT_END], 0);
}

// The shortcut led nowhere: the plain way is asked for, and leads there.
static void assert_plain_way(scene *s, const char *word)
{
    if (!strstr(s->host.why, word)) fail_msg("%s", s->host.why);
    assert_int_equal(s->host.counts[FL_CLIENT_BEGIN], 0);
    const fl_message *fetch = take_fetch(s);
    assert_false(fetch->fetch.has_base);
    assert_false(fetch->fetch.takes_packed);
    fl_host_serve(&s->host, fetch);
    serve_chunks(s, &s->host.model);
    assert_training(s);
    assert_int_equal(s->host.counts[FL_CLIENT_KEEP], 0);
    assert_int_equal(s->host.counts[FL_CLIENT_END], 1);
}

/* ---- shortcuts ---- */

TEST(download_asks_for_what_has_changed_since_the_model_it_holds)
{
    scene *s = new_scene(true);
    assert_true(s->host.takes_base);
    const fl_message *fetch = take_fetch(s);
    assert_true(fetch->fetch.has_base);
    assert_memory_equal(fetch->fetch.base, s->base.name, FL_HASH_BYTES);
    assert_true(fetch->fetch.takes_packed);
    free_scene(s);
}

TEST(download_asks_for_a_packed_model_when_it_holds_none)
{
    scene *s = new_scene(false);
    const fl_message *fetch = take_fetch(s);
    assert_false(fetch->fetch.has_base);
    assert_true(fetch->fetch.takes_packed);
    free_scene(s);
}

TEST(download_makes_the_model_of_a_patch)
{
    scene *s = new_scene(true);
    serve_all(s, &s->patch);
    assert_kept(s);
    free_scene(s);
}

TEST(download_makes_the_model_of_a_packed_one)
{
    for (int has_base = 0; has_base < 2; has_base++) {
        scene *s = new_scene(has_base);
        serve_all(s, &s->packed);
        assert_kept(s);
        free_scene(s);
    }
}

TEST(download_takes_the_plain_model_where_a_shortcut_would_do)
{
    scene *s = new_scene(true);
    serve_all(s, &s->host.model);
    assert_training(s);
    assert_int_equal(s->host.counts[FL_CLIENT_PUT], s->host.model.chunk_count);
    free_scene(s);
}

TEST(download_needs_no_shortcut_to_a_model_that_is_on_its_way)
{
    scene *s = new_scene(false);
    fl_host_serve(&s->host, take_fetch(s));
    fl_host_lose(&s->host);
    fl_host_join(&s->host);
    assert_int_equal(serve_chunks(s, &s->host.model),
                     s->host.model.chunk_count);
    assert_training(s);
    free_scene(s);
}

/* ---- a model with fewer channels ---- */

// What a client that holds the scene's base gets: half the channels are gone.
static fl_model *make_smaller(scene *s, fl_parcel *patch, uint32_t **from)
{
    fl_channels *channels = shrinking_channels(s->model);
    bool *keep = shrinking_mask(channels, 1, 5);
    const fl_patch_mask mask = {keep, fl_channels_count(channels)};
    fl_model *smaller = shrinking_shrink(s->model, from, keep);
    size_t steps_count, len;
    const float *steps = fl_grid_steps(s->grid, &steps_count);
    fl_grid *grid;
    assert_ok(fl_grid_restore(&grid, smaller, steps, steps_count, NULL));
    const size_t cap =
        fl_patch_bound(smaller) + fl_patch_mask_bytes(mask.count);
    uint8_t *bytes = malloc(cap);
    assert_non_null(bytes);
    assert_ok(fl_patch_encode_shrunk(bytes, cap, &len, &mask, smaller, grid,
                                     fl_model_params(smaller),
                                     fl_model_params(smaller)));
    fl_parcel_wrap(patch, FL_OBJECT_PATCH, ROUND, bytes, len);
    fl_grid_free(grid);
    fl_channels_free(channels);
    free(keep);
    return smaller;
}

// Value i of the residual says i.
static void restore_residual(fl_host *host, size_t count)
{
    uint8_t *bytes = malloc(4 * count);
    assert_non_null(bytes);
    for (uint32_t i = 0; i < count; i++) {
        const float value = (float)i;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        fl_bytes_put_u32(bytes + (size_t)4 * i, bits);
    }
    fl_client_restore_residual(host->client, bytes, 4 * count);
}

TEST(download_of_a_smaller_model_takes_along_what_was_not_sent)
{
    for (int has_base = 0; has_base < 2; has_base++) {
        const fl_client_options options = fl_host_options();
        scene *s = calloc(1, sizeof *s);
        fl_parcel patch = {.bytes = NULL};
        uint32_t *from;
        assert_non_null(s);
        make_parcels(s);
        fl_parcel base = {.bytes = NULL};
        wrap_model(&base, s->model, ROUND - 1);
        fl_model *smaller = make_smaller(s, &patch, &from);
        const size_t count = fl_model_param_count(smaller);
        fl_host_init(&s->host, &options);
        fl_parcel_fini(&s->host.model);
        wrap_model(&s->host.model, smaller, ROUND);
        restore_residual(&s->host, fl_model_param_count(s->model));
        fl_host_join(&s->host);
        if (has_base) hold(&s->host, &base);
        fl_host_mail(&s->host, FL_MAIL_PLAN, ROUND + 1);
        serve_all(s, has_base ? &patch : &s->host.model);
        assert_training(s);
        float *update = calloc(count, sizeof *update);
        assert_non_null(update);
        fl_residual_add(s->host.client, update, count);
        for (size_t i = 0; i < count; i++)
            assert_true((uint32_t)update[i] == (has_base ? from[i] : 0));
        assert_int_equal(s->host.counts[FL_CLIENT_SAVE_RESIDUAL], has_base);
        free(update);
        free(from);
        fl_model_free(smaller);
        fl_parcel_fini(&base);
        fl_parcel_fini(&patch);
        free_scene(s);
    }
}

static fl_parcel parcel_of(const fl_published *published)
{
    fl_parcel parcel = {
        .bytes = published->bytes,
        .len = published->len,
        .manifest = published->manifest,
        .manifest_len = published->manifest_len,
        .chunk_count = fl_manifest_chunk_count(published->len),
    };
    memcpy(parcel.name, published->name, FL_HASH_BYTES);
    return parcel;
}

TEST(download_takes_the_shortcuts_that_aggregators_make)
{
    for (int has_base = 0; has_base < 2; has_base++) {
        scene *s = new_scene(has_base);
        fl_versions versions = {.count = 0};
        const fl_published *published = NULL;
        assert_ok(fl_versions_push(&versions, s->base.name, s->model, s->grid,
                                   s->params, ROUND - 3));
        assert_ok(fl_versions_push(&versions, s->host.model.name, s->model,
                                   s->grid, fl_model_params(s->model), ROUND));
        assert_ok(has_base
                      ? fl_versions_patch(&versions, s->base.name, &published)
                      : fl_versions_packed(&versions, &published));
        const fl_parcel shortcut = parcel_of(published);
        serve_all(s, &shortcut);
        assert_kept(s);
        fl_versions_fini(&versions);
        free_scene(s);
    }
}

/* ---- lost links ---- */

TEST(download_goes_on_with_a_shortcut_after_the_link_was_lost)
{
    scene *s = new_scene(false);
    assert_in_range(s->packed.chunk_count, 2, 8);
    fl_host_serve_as(&s->host, take_fetch(s), &s->packed);
    fl_host_serve_as(&s->host, fl_host_next(&s->host), &s->packed);
    fl_host_lose(&s->host);
    fl_host_join(&s->host);
    fl_host_serve_as(&s->host, take_fetch(s), &s->packed);
    assert_int_equal(serve_chunks(s, &s->packed), s->packed.chunk_count - 1);
    assert_kept(s);
    free_scene(s);
}

TEST(download_takes_another_shortcut_after_the_link_was_lost)
{
    scene *s = new_scene(true);
    fl_host_serve_as(&s->host, take_fetch(s), &s->packed);
    fl_host_serve_as(&s->host, fl_host_next(&s->host), &s->packed);
    fl_host_lose(&s->host);
    fl_host_join(&s->host);
    serve_all(s, &s->patch);
    assert_kept(s);
    free_scene(s);
}

TEST(download_takes_the_plain_way_after_the_link_was_lost)
{
    scene *s = new_scene(true);
    fl_host_serve_as(&s->host, take_fetch(s), &s->packed);
    fl_host_lose(&s->host);
    fl_host_join(&s->host);
    serve_all(s, &s->host.model);
    assert_training(s);
    free_scene(s);
}

/* ---- shortcuts that lead nowhere ---- */

TEST(download_refuses_a_patch_of_a_model_that_it_does_not_hold)
{
    scene *s = new_scene(false);
    fl_host_serve_as(&s->host, take_fetch(s), &s->patch);
    assert_plain_way(s, "asked for");
    free_scene(s);
}

TEST(download_refuses_a_shortcut_that_is_none)
{
    scene *s = new_scene(true);
    fl_host_serve_as(&s->host, take_fetch(s), &s->base);
    assert_plain_way(s, "hash");
    free_scene(s);
}

TEST(download_refuses_a_manifest_that_is_none)
{
    scene *s = new_scene(true);
    s->patch.manifest_len--;
    fl_host_serve_as(&s->host, take_fetch(s), &s->patch);
    assert_plain_way(s, "why=");
    free_scene(s);
}

TEST(download_refuses_a_shortcut_above_its_maximum)
{
    fl_client_options options = fl_host_options();
    options.model_cap = 400000;  // the model has less
    scene *s = new_scene_with(&options, true);
    fl_parcel_fini(&s->patch);
    uint8_t *bytes = calloc(1, options.model_cap + 1);
    assert_non_null(bytes);
    fl_parcel_wrap(&s->patch, FL_OBJECT_PATCH, ROUND, bytes,
                   options.model_cap + 1);
    fl_host_serve_as(&s->host, take_fetch(s), &s->patch);
    assert_plain_way(s, "maximum");
    free_scene(s);
}

TEST(download_refuses_a_malformed_shortcut)
{
    for (int kind = FL_OBJECT_PATCH; kind <= FL_OBJECT_PACKED; kind++) {
        scene *s = new_scene(true);
        fl_parcel bad;
        uint8_t *bytes = calloc(1, 1000);
        assert_non_null(bytes);
        fl_parcel_wrap(&bad, (fl_object_kind)kind, ROUND, bytes, 1000);
        serve_all(s, &bad);
        assert_plain_way(s, "why=");
        fl_parcel_fini(&bad);
        free_scene(s);
    }
}

// A base that is not the one that the aggregator knows by this name.
TEST(download_refuses_a_patch_that_makes_another_model)
{
    scene *s = new_scene(true);
    fl_parcel other;
    make_newer(s);
    wrap_patch(&other, s, ROUND);
    serve_all(s, &other);
    assert_plain_way(s, "plan's hash");
    fl_parcel_fini(&other);
    free_scene(s);
}

// The round is a part of the model's name.
TEST(download_refuses_a_patch_of_another_round)
{
    scene *s = new_scene(true);
    fl_parcel other;
    wrap_patch(&other, s, ROUND + 1);
    serve_all(s, &other);
    assert_plain_way(s, "plan's hash");
    fl_parcel_fini(&other);
    free_scene(s);
}

TEST(download_refuses_a_patch_of_a_base_that_is_no_model)
{
    const fl_client_options options = fl_host_options();
    scene *s = new_scene_with(&options, false);
    fl_host_mail(&s->host, FL_MAIL_CLOSED, ROUND + 1);
    s->base.bytes[10] ^= 1;
    hold(&s->host, &s->base);
    fl_host_take(&s->host, FL_MESSAGE_FETCH);
    fl_host_mail(&s->host, FL_MAIL_PLAN, ROUND + 2);
    serve_all(s, &s->patch);
    assert_plain_way(s, "why=");
    free_scene(s);
}

TEST(download_refuses_a_chunk_that_is_not_of_the_shortcut)
{
    scene *s = new_scene(true);
    fl_host_serve_as(&s->host, take_fetch(s), &s->patch);
    s->patch.bytes[0] ^= 1;
    fl_host_serve_as(&s->host, fl_host_next(&s->host), &s->patch);
    assert_plain_way(s, "a chunk that is not of");
    free_scene(s);
}

// The aggregator went on to another version in between, and refuses the chunks
// one by one.
TEST(download_takes_the_plain_way_when_a_shortcut_is_withdrawn)
{
    scene *s = new_scene(true);
    fl_host_serve_as(&s->host, take_fetch(s), &s->packed);
    const fl_message *fetches[8];
    const uint32_t count = s->packed.chunk_count;
    assert_in_range(count, 2, 8);
    for (uint32_t i = 0; i < count; i++)
        fetches[i] = fl_host_next(&s->host);
    for (uint32_t i = 0; i < count; i++)
        fl_host_refuse(&s->host, fetches[i], FL_ERR_STALE);
    assert_plain_way(s, "no");
    free_scene(s);
}

TEST(download_gives_up_when_the_plain_way_is_refused_too)
{
    scene *s = new_scene(true);
    fl_host_serve_as(&s->host, take_fetch(s), &s->base);
    fl_host_refuse(&s->host, take_fetch(s), FL_ERR_STALE);
    assert_string_equal(fl_client_activity(s->host.client), "idle");
    free_scene(s);
}

TEST(download_refuses_a_shortcut_where_none_was_asked_for)
{
    scene *s = new_scene(true);
    fl_host_serve_as(&s->host, take_fetch(s), &s->base);
    fl_host_serve_as(&s->host, take_fetch(s), &s->packed);
    if (!strstr(s->host.why, "hash")) fail_msg("%s", s->host.why);
    assert_string_equal(fl_client_activity(s->host.client), "idle");
    free_scene(s);
}

TEST(download_takes_shortcuts_again_in_the_next_round)
{
    scene *s = new_scene(true);
    fl_host_serve_as(&s->host, take_fetch(s), &s->base);
    fl_host_mail(&s->host, FL_MAIL_CLOSED, ROUND + 1);
    s->host.inbox_len = 0;
    hold(&s->host, &s->base);
    fl_host_mail(&s->host, FL_MAIL_PLAN, ROUND + 2);
    serve_all(s, &s->patch);
    assert_kept(s);
    free_scene(s);
}

/* ---- enrolment lists ---- */

TEST(download_takes_no_shortcut_to_an_enrolment_list)
{
    scene *s = new_scene(true);
    fl_host *host = &s->host;
    fl_host_enrol(host, FL_HOST_AUTHORITY, 1, true);
    const fl_plan plan = fl_host_secure_plan(host, ROUND + 2);
    host->inbox_len = 0;
    fl_host_mail_plan(host, &plan);
    assert_false(host->takes_base);
    const fl_message *fetch = fl_host_take(host, FL_MESSAGE_FETCH);
    assert_memory_equal(fetch->fetch.object, host->list.name, FL_HASH_BYTES);
    assert_false(fetch->fetch.has_base);
    assert_false(fetch->fetch.takes_packed);
    fl_host_serve_as(host, fetch, &s->packed);
    if (!strstr(host->why, "hash")) fail_msg("%s", host->why);
    assert_string_equal(fl_client_activity(host->client), "idle");
    free_scene(s);
}

RUN_TESTS(
    cmocka_unit_test(
        download_asks_for_what_has_changed_since_the_model_it_holds),
    cmocka_unit_test(download_asks_for_a_packed_model_when_it_holds_none),
    cmocka_unit_test(download_makes_the_model_of_a_patch),
    cmocka_unit_test(download_of_a_smaller_model_takes_along_what_was_not_sent),
    cmocka_unit_test(download_makes_the_model_of_a_packed_one),
    cmocka_unit_test(download_takes_the_plain_model_where_a_shortcut_would_do),
    cmocka_unit_test(download_needs_no_shortcut_to_a_model_that_is_on_its_way),
    cmocka_unit_test(download_takes_the_shortcuts_that_aggregators_make),
    cmocka_unit_test(download_goes_on_with_a_shortcut_after_the_link_was_lost),
    cmocka_unit_test(download_takes_another_shortcut_after_the_link_was_lost),
    cmocka_unit_test(download_takes_the_plain_way_after_the_link_was_lost),
    cmocka_unit_test(download_refuses_a_patch_of_a_model_that_it_does_not_hold),
    cmocka_unit_test(download_refuses_a_shortcut_that_is_none),
    cmocka_unit_test(download_refuses_a_manifest_that_is_none),
    cmocka_unit_test(download_refuses_a_shortcut_above_its_maximum),
    cmocka_unit_test(download_refuses_a_malformed_shortcut),
    cmocka_unit_test(download_refuses_a_patch_that_makes_another_model),
    cmocka_unit_test(download_refuses_a_patch_of_another_round),
    cmocka_unit_test(download_refuses_a_patch_of_a_base_that_is_no_model),
    cmocka_unit_test(download_refuses_a_chunk_that_is_not_of_the_shortcut),
    cmocka_unit_test(download_takes_the_plain_way_when_a_shortcut_is_withdrawn),
    cmocka_unit_test(download_gives_up_when_the_plain_way_is_refused_too),
    cmocka_unit_test(download_refuses_a_shortcut_where_none_was_asked_for),
    cmocka_unit_test(download_takes_shortcuts_again_in_the_next_round),
    cmocka_unit_test(download_takes_no_shortcut_to_an_enrolment_list))
