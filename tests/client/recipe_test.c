/*
 * An update is what the model and the way to train made of some rows. An
 * aggregator that tells each client another way must not get a sum of what
 * they make: with a tiny learning rate for all but one, it would be the update
 * of that one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "tests/support/host.h"
#include "tests/support/packing.h"
#include "tests/test.h"

enum { ROUND = 3 };

// The client, and the list that it is enrolled in.
typedef struct {
    fl_host host;
    fl_parcel list;
    fl_enrolment *enrolment;
} bench;

static void *new_byte(void)
{
    void *byte = calloc(1, 1);
    assert_non_null(byte);
    return byte;
}

// The list has been read: what is looked for next is the model.
static fl_err enrol(void *self, const fl_enrolment **enrolment,
                    const uint8_t *bytes, size_t len, fl_reason *why)
{
    bench *b = self;
    fl_enrolment_free(b->enrolment);
    FL_TRY(fl_enrolment_decode(&b->enrolment, bytes, len, why));
    *enrolment = b->enrolment;
    b->host.found_model = new_byte();
    b->host.found_model_len = 1;
    return FL_OK;
}

static void write_list(bench *b, const fl_identity *client)
{
    fl_device device = {.name = "board-1"};
    fl_identity authority;
    uint8_t *bytes;
    size_t len;
    fl_identity_init(&authority, (const uint8_t[FL_SEED_BYTES]){7});
    memcpy(device.identity, client->public_key, FL_KEY_BYTES);
    memcpy(device.channel, client->channel_key, FL_KEY_BYTES);
    fl_identity_sign(device.card, client, "fedge card", device.channel,
                     FL_KEY_BYTES);
    assert_ok(
        fl_enrolment_encode(&bytes, &len, &authority, 1, &device, 1, NULL));
    fl_parcel_wrap(&b->list, FL_OBJECT_ENROLMENT, 0, bytes, len);
}

static bench *new_bench(void)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    assert_ok(fl_secure_start());
    fl_client_options options = fl_host_options();
    options.enrol = enrol;
    options.enrol_self = b;
    write_list(b, &options.identity);
    fl_host_init(&b->host, &options);
    fl_host_join(&b->host);
    return b;
}

static void free_bench(bench *b)
{
    fl_host_fini(&b->host);
    fl_enrolment_free(b->enrolment);
    fl_parcel_fini(&b->list);
    free(b);
}

static fl_plan secure_plan(const bench *b)
{
    fl_plan plan = fl_host_secure_plan(&b->host, ROUND);
    memcpy(plan.enrolment, b->list.name, FL_HASH_BYTES);
    return plan;
}

static void mail_plan(fl_host *host, const fl_plan *plan)
{
    fl_host_send(host, &(fl_message){.type = FL_MESSAGE_MAIL,
                                     .round = plan->round,
                                     .mail = {.sequence = ++host->mail,
                                              .kind = FL_MAIL_PLAN,
                                              .round = plan->round,
                                              .plan = *plan}});
}

// The ways to train that an aggregator could tell: each differs in one thing.
enum { RECIPES = 12 };

static fl_plan other_recipe(fl_plan plan, int i)
{
    switch (i) {
    case 0: plan.model[31] ^= 1; break;
    case 1: plan.local_epochs++; break;
    case 2: plan.batch++; break;
    case 3: plan.lr = 1e-30F; break;
    case 4: plan.momentum = 0.5F; break;
    case 5: plan.weight_decay = 1e-3F; break;
    case 6: plan.clip_norm = 1e-30F; break;
    case 7: plan.schedule = 1; break;
    case 8: plan.schedule_steps++; break;
    case 9: plan.schedule_factor = 0.25F; break;
    case 10: plan.norm = 1; break;
    case 11: plan.seed++; break;
    default: fail();
    }
    return plan;
}

TEST(recipe_names_all_that_decides_what_an_update_becomes)
{
    const fl_plan plan = {.round = 1, .lr = 0.1F};
    uint8_t recipe[FL_HASH_BYTES], other[FL_HASH_BYTES];
    fl_plan_recipe(recipe, &plan);
    for (int i = 0; i < RECIPES; i++) {
        const fl_plan changed = other_recipe(plan, i);
        fl_plan_recipe(other, &changed);
        assert_memory_not_equal(recipe, other, sizeof recipe);
    }
    // When, with whom, and how it travels do not matter.
    fl_plan same = plan;
    same.round = same.deadline_ms = same.client_cap = same.client_min = 9;
    same.number = same.codec = same.weight_max = 9;
    same.aggregation = FL_AGGREGATION_CLEAR;
    fl_plan_recipe(other, &same);
    assert_memory_equal(recipe, other, sizeof recipe);
}

// An invite to a session of those whose plan is this one.
static void invite(bench *b, const fl_plan *plan)
{
    fl_host *host = &b->host;
    fl_session session = {
        .client_min = plan->client_min,
        .client_cap = plan->client_cap,
        .word_count = (uint32_t)fl_packing_words(plan),
        .phase_ms = 1000,
        .round = plan->round,
        .number = plan->number,
    };
    uint8_t bytes[FL_INVITE_BYTES];
    fl_packing_task(session.task, plan);
    // The same model, or the test is about that hash alone.
    memcpy(session.model, host->model.name, FL_HASH_BYTES);
    memcpy(session.enrolment, b->enrolment->hash, FL_HASH_BYTES);
    fl_session_encode(bytes, &session, &host->identity);
    fl_host_send(host, &(fl_message){.type = FL_MESSAGE_MAIL,
                                     .round = ROUND,
                                     .mail = {.sequence = ++host->mail,
                                              .kind = FL_MAIL_STEP,
                                              .round = ROUND,
                                              .step = {.step = FL_STEP_INVITE,
                                                       .bytes = bytes,
                                                       .len = sizeof bytes}}});
}

// From the plan to READY.
static void train(bench *b)
{
    fl_host *host = &b->host;
    const fl_plan plan = secure_plan(b);
    host->found_model = malloc(b->list.len);
    assert_non_null(host->found_model);
    memcpy(host->found_model, b->list.bytes, b->list.len);
    host->found_model_len = b->list.len;
    mail_plan(host, &plan);
    fl_host_trained(host, 1);
    const fl_message *ready = fl_host_take(host, FL_MESSAGE_STEP);
    assert_non_null(ready);
    assert_int_equal(ready->step.step, FL_STEP_READY);
    fl_host_ack(host, ready);
}

static void assert_says(bench *b, fl_step step, uint32_t fault_count)
{
    const fl_message *said = fl_host_take(&b->host, FL_MESSAGE_STEP);
    assert_non_null(said);
    assert_int_equal(said->step.step, step);
    assert_int_equal(fl_client_get_status(b->host.client).fault_count,
                     fault_count);
}

TEST(recipe_of_a_session_is_the_one_that_was_trained_with)
{
    bench *b = new_bench();
    train(b);
    const fl_plan plan = secure_plan(b);
    invite(b, &plan);
    assert_says(b, FL_STEP_ADVERTISE, 0);
    free_bench(b);
}

TEST(recipe_that_others_got_is_refused)
{
    for (int i = 0; i < RECIPES; i++) {
        bench *b = new_bench();
        train(b);
        const fl_plan plan = other_recipe(secure_plan(b), i);
        invite(b, &plan);
        assert_says(b, FL_STEP_DECLINE, 1);
        if (!strstr(b->host.why, "other_model")) fail_msg("%s", b->host.why);
        free_bench(b);
    }
}

// The codecs that an aggregator could tell, each other in one thing; some make
// other numbers of words, too.
enum { CODECS = 13 };

static fl_plan other_codec(fl_plan plan, int i)
{
    switch (i) {
    case 0: plan.codec = FL_CODEC_SKETCH; break;
    case 1: plan.codec_bits++; break;
    case 2: plan.density = 0.5F; break;
    case 3: plan.density_small = 0.5F; break;
    case 4: plan.value_clip = 1e-30F; break;
    case 5: plan.weight_max--; break;
    case 6: plan.client_cap++; break;
    case 7: plan.number++; break;  // the seed follows from it
    case 8: plan.per_word++; break;
    case 9: plan.value_max--; break;
    case 10: plan.step_large *= 2; break;
    case 11: plan.step_small *= 2; break;
    case 12: plan.runs[0] ^= FL_GROUP_LARGE ^ FL_GROUP_SKIPPED; break;
    default: fail();
    }
    return plan;
}

TEST(recipe_goes_with_one_codec_and_others_are_refused)
{
    for (int i = 0; i < CODECS; i++) {
        bench *b = new_bench();
        train(b);
        const fl_plan plan = secure_plan(b);
        fl_plan other = other_codec(plan, i);
        uint8_t task[FL_HASH_BYTES], other_task[FL_HASH_BYTES];
        fl_packing_task(task, &plan);
        fl_packing_task(other_task, &other);
        assert_memory_not_equal(task, other_task, sizeof task);
        invite(b, &other);
        assert_says(b, FL_STEP_DECLINE, 1);
        if (!strstr(b->host.why, "other_model"))
            fail_msg("%d: %s", i, b->host.why);
        free_bench(b);
    }
}

// The training that goes on is of the first plan: it must not count for the
// second one.
TEST(recipe_that_changes_while_training_begins_it_anew)
{
    for (int i = 1; i < RECIPES; i++) {
        bench *b = new_bench();
        fl_host *host = &b->host;
        fl_plan first = fl_host_plan(host, ROUND);
        first.schedule_steps = 1;  // so that it can have any schedule
        fl_plan second = other_recipe(first, i);
        second.number++;
        host->found_model = new_byte();
        host->found_model_len = 1;
        mail_plan(host, &first);
        host->found_model = new_byte();
        mail_plan(host, &second);
        assert_int_equal(host->counts[FL_CLIENT_CANCEL], 1);
        fl_host_trained(host, 1);  // the cancelled one
        assert_int_equal(host->counts[FL_CLIENT_SAVE_UPDATE], 0);
        assert_int_equal(host->counts[FL_CLIENT_TRAIN], 2);
        assert_true(host->is_training);
        free_bench(b);
    }
}

TEST(recipe_of_an_update_on_disk_is_that_of_the_plan_or_it_is_of_no_use)
{
    for (int i = 1; i < RECIPES; i++) {
        bench *b = new_bench();
        fl_host *host = &b->host;
        fl_result result = fl_host_result(1);
        uint8_t recipe[FL_HASH_BYTES];
        const fl_plan plan = fl_host_plan(host, ROUND);
        const fl_plan other = other_recipe(plan, i);
        fl_plan_recipe(recipe, &other);
        fl_client_restore(host->client, ROUND, recipe, &result);
        host->disk = new_byte();
        mail_plan(host, &plan);
        assert_null(host->disk);
        assert_int_equal(host->counts[FL_CLIENT_FIND], 1);
        free_bench(b);
    }
}

RUN_TESTS(
    cmocka_unit_test(recipe_names_all_that_decides_what_an_update_becomes),
    cmocka_unit_test(recipe_of_a_session_is_the_one_that_was_trained_with),
    cmocka_unit_test(recipe_that_others_got_is_refused),
    cmocka_unit_test(recipe_goes_with_one_codec_and_others_are_refused),
    cmocka_unit_test(recipe_that_changes_while_training_begins_it_anew),
    cmocka_unit_test(
        recipe_of_an_update_on_disk_is_that_of_the_plan_or_it_is_of_no_use))
