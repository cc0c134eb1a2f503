/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/bytes.h"
#include "client/client_core.h"
#include "tests/support/host.h"
#include "tests/test.h"

enum { COUNT = 3, LEN = COUNT * 4 };

static const float LEFT[COUNT] = {0.5F, -2.0F, 1e-7F};
// LEFT as it is kept: the format does not depend on the machine.
static const uint8_t KEPT[LEN] = {0x00, 0x00, 0x00, 0x3f, 0x00, 0x00,
                                  0x00, 0xc0, 0x95, 0xbf, 0xd6, 0x33};

static fl_host *new_host(void)
{
    const fl_client_options options = fl_host_options();
    fl_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    fl_host_init(host, &options);
    return host;
}

static void free_host(fl_host *host)
{
    fl_host_fini(host);
    free(host);
}

static void restore(fl_host *host, size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    memcpy(bytes, KEPT, len);
    fl_client_restore_residual(host->client, bytes, len);
}

// What an update of ones becomes.
static void assert_added(fl_host *host, const float *residual)
{
    float update[COUNT] = {1.0F, 1.0F, 1.0F};
    fl_residual_add(host->client, update, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const float sum = 1.0F + residual[i];
        assert_memory_equal(&update[i], &sum, sizeof sum);
    }
}

static const float NONE[COUNT] = {0};

TEST(residual_is_added_once_its_update_is_committed)
{
    fl_host *host = new_host();
    assert_added(host, NONE);
    assert_ok(fl_residual_pend(host->client, LEFT, COUNT));
    assert_added(host, NONE);
    fl_residual_commit(host->client);
    assert_added(host, LEFT);
    assert_added(host, LEFT);  // until another one takes its place
    free_host(host);
}

TEST(residual_stays_when_the_next_update_is_lost)
{
    fl_host *host = new_host();
    assert_ok(fl_residual_pend(host->client, LEFT, COUNT));
    fl_residual_commit(host->client);
    assert_ok(fl_residual_pend(host->client, NONE, COUNT));
    fl_residual_forget_pending(host->client);
    fl_residual_commit(host->client);
    assert_added(host, LEFT);
    free_host(host);
}

TEST(residual_of_an_update_that_is_made_again_is_the_last_one)
{
    fl_host *host = new_host();
    assert_ok(fl_residual_pend(host->client, NONE, COUNT));
    assert_ok(fl_residual_pend(host->client, LEFT, COUNT));
    fl_residual_commit(host->client);
    assert_added(host, LEFT);
    free_host(host);
}

TEST(residual_goes_to_the_disk_when_it_is_committed)
{
    fl_host *host = new_host();
    fl_client *client = host->client;
    client->effect_count = 0;
    assert_ok(fl_residual_pend(client, LEFT, COUNT));
    assert_int_equal(client->effect_count, 0);
    fl_residual_commit(client);
    assert_int_equal(client->effect_count, 1);
    assert_int_equal(client->effects[0].kind, FL_CLIENT_SAVE_RESIDUAL);
    assert_int_equal(client->effects[0].len, LEN);
    assert_memory_equal(client->effects[0].bytes, KEPT, LEN);
    fl_residual_commit(client);  // of another codec: nothing was pending
    assert_int_equal(client->effect_count, 1);
    free_host(host);
}

static void commit_in_round(fl_client *client, const float *left,
                            uint32_t round)
{
    client->task.plan.round = round;
    assert_ok(fl_residual_pend(client, left, COUNT));
    fl_residual_commit(client);
}

TEST(residual_is_what_it_was_when_its_round_fails)
{
    fl_host *host = new_host();
    fl_client *client = host->client;
    commit_in_round(client, LEFT, 3);
    fl_residual_undo(client, 2);  // another round
    assert_added(host, LEFT);
    client->effect_count = 0;
    fl_residual_undo(client, 3);
    assert_added(host, NONE);  // there was none
    assert_int_equal(client->effect_count, 1);
    assert_int_equal(client->effects[0].kind, FL_CLIENT_SAVE_RESIDUAL);

    commit_in_round(client, LEFT, 3);
    fl_residual_settle(client);
    commit_in_round(client, NONE, 4);
    fl_residual_undo(client, 4);
    assert_added(host, LEFT);
    fl_residual_undo(client, 4);  // once
    fl_residual_undo(client, 0);
    assert_added(host, LEFT);
    free_host(host);
}

TEST(residual_that_is_in_a_model_cannot_be_undone)
{
    fl_host *host = new_host();
    commit_in_round(host->client, LEFT, 3);
    fl_residual_settle(host->client);
    fl_residual_undo(host->client, 3);
    assert_added(host, LEFT);
    free_host(host);
}

TEST(residual_is_committed_by_an_answer_that_comes_late)
{
    fl_host *host = new_host();
    fl_client *client = host->client;
    assert_ok(fl_residual_pend(client, LEFT, COUNT));
    fl_residual_answered(client, 0);
    fl_residual_await(client, 5);
    fl_residual_forget_pending(client);  // the next task has begun
    fl_residual_answered(client, 4);
    assert_added(host, NONE);
    fl_residual_answered(client, 5);
    assert_added(host, LEFT);
    fl_residual_undo(client, client->task.plan.round);
    assert_added(host, LEFT);

    assert_ok(fl_residual_pend(client, NONE, COUNT));
    fl_residual_await(client, 6);
    assert_ok(fl_residual_pend(client, NONE, COUNT));  // no answer came
    fl_residual_answered(client, 6);
    fl_residual_forget_pending(client);
    assert_added(host, LEFT);
    free_host(host);
}

// A survey's, or one of an update that sends all: not the ACK that is awaited.
TEST(residual_is_not_committed_by_the_answer_to_another_upload)
{
    fl_host *host = new_host();
    fl_client *client = host->client;
    assert_ok(fl_residual_pend(client, LEFT, COUNT));
    fl_residual_await(client, 5);
    fl_residual_forget_pending(client);
    fl_residual_commit(client);  // the survey has been acknowledged
    assert_added(host, NONE);
    fl_residual_await(client, 6);  // or its answer is late, too
    fl_residual_answered(client, 6);
    assert_added(host, NONE);
    fl_residual_answered(client, 5);
    assert_added(host, LEFT);
    free_host(host);
}

TEST(residual_comes_back_from_the_disk)
{
    fl_host *host = new_host();
    restore(host, LEN);
    assert_added(host, LEFT);
    free_host(host);
}

TEST(residual_of_another_model_is_dropped)
{
    for (size_t len = LEN - 4; len < LEN; len++) {
        fl_host *host = new_host();
        restore(host, len);
        assert_added(host, NONE);
        assert_null(host->client->residual.bytes);
        free_host(host);
    }
}

/* ---- a model with fewer parameters ---- */

enum { WIDE = 200 };

// A residual whose value i says i, and what is left of the parameters.
static size_t narrow(uint32_t from[WIDE], fl_random *random)
{
    size_t count = 0;
    for (uint32_t i = 0; i < WIDE; i++) {
        if (count == 0 || fl_random_below(random, 3) > 0) from[count++] = i;
    }
    return count;
}

static void restore_wide(fl_client *client)
{
    uint8_t *bytes = malloc(4 * WIDE);
    assert_non_null(bytes);
    for (uint32_t i = 0; i < WIDE; i++) {
        const float value = (float)i;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        fl_bytes_put_u32(bytes + 4 * i, bits);
    }
    fl_client_restore_residual(client, bytes, 4 * WIDE);
}

TEST(residual_follows_the_parameters_that_are_left)
{
    fl_host *host = new_host();
    fl_client *client = host->client;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint32_t from[WIDE];
        float update[WIDE] = {0};
        fl_random random;
        fl_random_init(&random, seed, FL_RANDOM_TEST, 0);
        const size_t count = narrow(from, &random);
        restore_wide(client);
        client->effect_count = 0;
        fl_residual_follow(client, from, count);
        assert_int_equal(client->effect_count, 1);
        assert_int_equal(client->effects[0].kind, FL_CLIENT_SAVE_RESIDUAL);
        assert_int_equal(client->effects[0].len, 4 * count);
        fl_residual_add(client, update, count);
        for (size_t i = 0; i < count; i++)
            assert_true((uint32_t)update[i] == from[i]);
        // The model could not be kept: the same patch is applied again.
        fl_residual_follow(client, from, count);
        memset(update, 0, sizeof update);
        fl_residual_add(client, update, count);
        for (size_t i = 0; i < count; i++)
            assert_true((uint32_t)update[i] == from[i]);
    }
    free_host(host);
}

TEST(residual_stays_where_all_parameters_do)
{
    fl_host *host = new_host();
    restore(host, LEN);
    host->client->effect_count = 0;
    fl_residual_follow(host->client, NULL, 0);
    assert_int_equal(host->client->effect_count, 0);
    assert_added(host, LEFT);
    free_host(host);
}

TEST(residual_of_another_model_does_not_follow)
{
    fl_host *host = new_host();
    fl_client *client = host->client;
    const uint32_t from[2] = {0, COUNT};  // the last one is not there
    restore(host, LEN);
    client->effect_count = 0;
    fl_residual_follow(client, from, 2);
    assert_null(client->residual.bytes);
    assert_int_equal(client->effect_count, 1);
    assert_int_equal(client->effects[0].kind, FL_CLIENT_LOG);
    assert_string_equal(client->effects[0].event, "residual_dropped");
    free_host(host);
}

TEST(residual_whose_answer_is_late_follows_too)
{
    fl_host *host = new_host();
    fl_client *client = host->client;
    const uint32_t from[2] = {0, 2};
    float update[2] = {0};
    assert_ok(fl_residual_pend(client, LEFT, COUNT));
    fl_residual_await(client, 5);
    fl_residual_follow(client, from, 2);
    fl_residual_follow(client, from, 2);  // KEEP has failed: once more
    fl_residual_answered(client, 5);
    fl_residual_add(client, update, 2);
    assert_memory_equal(&update[0], &LEFT[0], sizeof(float));
    assert_memory_equal(&update[1], &LEFT[2], sizeof(float));
    free_host(host);
}

RUN_TESTS(
    cmocka_unit_test(residual_follows_the_parameters_that_are_left),
    cmocka_unit_test(residual_stays_where_all_parameters_do),
    cmocka_unit_test(residual_of_another_model_does_not_follow),
    cmocka_unit_test(residual_whose_answer_is_late_follows_too),
    cmocka_unit_test(residual_is_added_once_its_update_is_committed),
    cmocka_unit_test(residual_stays_when_the_next_update_is_lost),
    cmocka_unit_test(residual_of_an_update_that_is_made_again_is_the_last_one),
    cmocka_unit_test(residual_goes_to_the_disk_when_it_is_committed),
    cmocka_unit_test(residual_is_what_it_was_when_its_round_fails),
    cmocka_unit_test(residual_that_is_in_a_model_cannot_be_undone),
    cmocka_unit_test(residual_is_committed_by_an_answer_that_comes_late),
    cmocka_unit_test(residual_is_not_committed_by_the_answer_to_another_upload),
    cmocka_unit_test(residual_comes_back_from_the_disk),
    cmocka_unit_test(residual_of_another_model_is_dropped))
