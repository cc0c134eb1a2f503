/*
 * What a client does, and refuses, when its update is to go into a session of
 * secure aggregation: from the plan to the last share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client/client.h"

#include <stdlib.h>

#include "tests/support/chorus.h"
#include "tests/test.h"

enum { SERIAL = 5 };

/* ---- a client that was told to join sessions only ---- */

static fl_client_options secure_options(void)
{
    fl_client_options options = fl_host_options();
    options.allows_clear = false;
    options.client_min = 3;
    return options;
}

static fl_host *new_host_with(const fl_client_options *options)
{
    fl_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    fl_host_init(host, options);
    fl_host_enrol(host, FL_HOST_AUTHORITY, SERIAL, true);
    host->chunks = 1;
    fl_host_join(host);
    return host;
}

static fl_host *new_host(void)
{
    const fl_client_options options = secure_options();
    return new_host_with(&options);
}

static void free_host(fl_host *host)
{
    fl_host_fini(host);
    free(host);
}

// Answers every FETCH, until it says something else.
static void serve_all(fl_host *host)
{
    while (host->inbox_len > 0 && host->inbox[0].type == FL_MESSAGE_FETCH)
        fl_host_serve(host, fl_host_next(host));
}

static void plan(fl_host *host, uint32_t round, uint64_t number)
{
    fl_plan plan = fl_host_secure_plan(host, round);
    plan.number = number;
    fl_host_mail_plan(host, &plan);
    serve_all(host);
}

static const fl_message *take_step(fl_host *host, fl_step step)
{
    const fl_message *said = fl_host_take(host, FL_MESSAGE_STEP);
    if (!said) fail_msg("says no %s", fl_step_name(step));
    assert_int_equal(said->step.step, step);
    return said;
}

// From the plan to READY, acknowledged; host->plan is the plan.
static void get_ready(fl_host *host, uint32_t round, uint64_t number)
{
    plan(host, round, number);
    fl_host_trained(host, 1);
    fl_host_ack(host, take_step(host, FL_STEP_READY));
}

// A session for the plan that was trained last, up to this step.
static void play_to(fl_chorus *chorus, fl_host *host, fl_step step)
{
    fl_chorus_init(chorus, host, &host->plan);
    fl_chorus_open(chorus);
    fl_chorus_play_to(chorus, step);
}

static fl_client_status status_of(const fl_host *host)
{
    return fl_client_get_status(host->client);
}

static void assert_why(const fl_host *host, const char *word)
{
    if (!strstr(host->why, word)) fail_msg("%s: no %s", host->why, word);
}

// Says so, and has nothing left of a session.
static void assert_declined(fl_host *host, const char *word)
{
    assert_non_null(take_step(host, FL_STEP_DECLINE));
    assert_why(host, word);
    assert_string_equal(fl_client_activity(host->client), "idle");
    assert_false(fl_client_is_in_session(host->client));
    assert_null(fl_host_next(host));
}

static void assert_nothing_done(const fl_host *host)
{
    assert_int_equal(host->counts[FL_CLIENT_FIND], 0);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 0);
}

/* ---- plans ---- */

TEST(masking_declines_a_plan_in_the_clear_unless_its_owner_allows_it)
{
    fl_host *host = new_host();
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    assert_declined(host, "in the clear");
    assert_nothing_done(host);
    free_host(host);

    fl_client_options options = secure_options();
    options.allows_clear = true;
    host = new_host_with(&options);
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    serve_all(host);
    assert_true(host->is_training);
    free_host(host);
}

TEST(masking_declines_a_plan_with_fewer_clients_than_its_owner_wants)
{
    fl_host *host = new_host();
    fl_plan few = fl_host_secure_plan(host, 1);
    few.client_min = 2;
    fl_host_mail_plan(host, &few);
    assert_declined(host, "--min-survivors");
    assert_nothing_done(host);
    free_host(host);
}

TEST(masking_declines_a_number_that_does_not_grow_before_it_trains)
{
    fl_client_options options = secure_options();
    options.past.number = 7;
    for (uint64_t number = 6; number <= 8; number++) {
        fl_host *host = new_host_with(&options);
        plan(host, 1, number);
        if (number > 7) {
            assert_true(host->is_training);
        } else {
            assert_nothing_done(host);
        }
        free_host(host);
    }
    fl_host *host = new_host_with(&options);
    fl_plan old = fl_host_secure_plan(host, 1);
    old.number = 7;
    fl_host_mail_plan(host, &old);
    assert_declined(host, "not a new one");
    free_host(host);
}

// All rows, then all but one that is held out: the difference is that row.
TEST(masking_declines_every_holdout_but_the_first)
{
    fl_host *host = new_host();
    const uint32_t holdouts[] = {10, 0, 11, 10};
    for (uint32_t i = 0; i < 4; i++) {
        fl_plan survey = fl_host_secure_plan(host, i + 1);
        survey.holdout = holdouts[i];
        fl_host_mail_plan(host, &survey);
        serve_all(host);
        if (holdouts[i] == 10) {
            assert_string_equal(fl_client_activity(host->client), "training");
        } else {
            assert_declined(host, "holds for life");
            assert_string_equal(host->event, "plan_refused");
        }
    }
    free_host(host);
}

TEST(masking_keeps_the_holdout_with_the_number_and_over_a_restart)
{
    fl_chorus chorus;
    fl_host *host = new_host();
    get_ready(host, 1, 1);  // all rows
    play_to(&chorus, host, FL_STEP_MASKED);
    assert_int_equal(host->counts[FL_CLIENT_BURN], 1);
    assert_true(host->burns[0].has_holdout);
    assert_int_equal(host->burns[0].holdout, 0);
    fl_client_options options = secure_options();
    options.past = host->burns[0];
    fl_chorus_fini(&chorus);
    free_host(host);

    host = new_host_with(&options);
    fl_plan other = fl_host_secure_plan(host, 2);
    other.holdout = 10;
    fl_host_mail_plan(host, &other);
    assert_declined(host, "its holdout is 10, that of the first plan was 0");
    assert_nothing_done(host);
    free_host(host);
}

TEST(masking_drops_what_it_does_for_a_plan_that_it_declines)
{
    fl_host *host = new_host();
    get_ready(host, 1, 1);
    fl_host_mail(host, FL_MAIL_PLAN, 2);  // in the clear
    assert_declined(host, "in the clear");
    assert_null(host->disk);
    free_host(host);
}

/* ---- the enrolment list ---- */

TEST(masking_fetches_the_enrolment_list_before_the_model)
{
    fl_host *host = new_host();
    const fl_plan wanted = fl_host_secure_plan(host, 1);
    fl_host_mail_plan(host, &wanted);
    for (int i = 0; i < 2; i++) {  // manifest, chunk
        const fl_message *fetch = fl_host_take(host, FL_MESSAGE_FETCH);
        assert_non_null(fetch);
        assert_memory_equal(fetch->fetch.object, host->list.name,
                            FL_HASH_BYTES);
        assert_null(fl_host_next(host));
        fl_host_serve(host, fetch);
    }
    const fl_message *fetch = fl_host_take(host, FL_MESSAGE_FETCH);
    assert_non_null(fetch);
    assert_memory_equal(fetch->fetch.object, host->model.name, FL_HASH_BYTES);
    free_host(host);
}

TEST(masking_fetches_a_list_that_it_holds_only_once)
{
    fl_host *host = new_host();
    get_ready(host, 1, 1);
    const uint32_t end_count = host->counts[FL_CLIENT_END];
    get_ready(host, 2, 2);
    assert_int_equal(host->counts[FL_CLIENT_END], end_count + 1);  // the model
    fl_host_enrol(host, FL_HOST_AUTHORITY, SERIAL + 1, true);
    get_ready(host, 3, 3);
    assert_int_equal(host->counts[FL_CLIENT_END], end_count + 3);
    free_host(host);
}

TEST(masking_keeps_the_first_authority_that_it_sees)
{
    fl_host *host = new_host();
    fl_identity authority;
    fl_identity_init(&authority,
                     (const uint8_t[FL_SEED_BYTES]){FL_HOST_AUTHORITY});
    get_ready(host, 1, 1);
    assert_int_equal(host->counts[FL_CLIENT_PIN_AUTHORITY], 1);
    assert_memory_equal(host->authority, authority.public_key, FL_KEY_BYTES);
    fl_host_enrol(host, FL_HOST_AUTHORITY + 1, SERIAL + 1, true);
    plan(host, 2, 2);
    assert_declined(host, "another authority");
    assert_int_equal(host->counts[FL_CLIENT_PIN_AUTHORITY], 1);
    free_host(host);
}

// Nothing is trained for a list that is refused; the model is not even asked
// for.
static void try_list(const fl_client_options *options, uint8_t authority,
                     uint64_t serial, bool has_client, const char *word)
{
    fl_host *host = new_host_with(options);
    fl_host_enrol(host, authority, serial, has_client);
    plan(host, 1, 1);
    assert_declined(host, word);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 1);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 0);
    assert_int_equal(status_of(host).fault_count, 1);
    free_host(host);
}

TEST(masking_declines_with_a_list_that_it_cannot_trust)
{
    fl_identity authority;
    fl_client_options options = secure_options();
    fl_identity_init(&authority,
                     (const uint8_t[FL_SEED_BYTES]){FL_HOST_AUTHORITY});
    options.authority = authority.public_key;
    options.past.enrolment_serial = SERIAL;  // with another hash
    try_list(&options, FL_HOST_AUTHORITY + 1, SERIAL + 1, true,
             "another authority");
    try_list(&options, FL_HOST_AUTHORITY, SERIAL - 1, true, "serial 4");
    try_list(&options, FL_HOST_AUTHORITY, SERIAL, true, "serial 5");
    try_list(&options, FL_HOST_AUTHORITY, SERIAL + 1, false,
             "not in the enrolment list");
}

TEST(masking_takes_the_very_list_of_its_last_session_again)
{
    fl_client_options options = secure_options();
    fl_host *host = new_host_with(&options);
    options.past.enrolment_serial = SERIAL;
    fl_hash(options.past.enrolment_hash, host->list.bytes, host->list.len);
    free_host(host);
    host = new_host_with(&options);
    get_ready(host, 1, 1);
    free_host(host);
}

TEST(masking_declines_with_a_list_that_is_damaged)
{
    fl_host *host = new_host();
    fl_parcel bad = {.bytes = NULL};
    uint8_t *bytes = malloc(host->list.len);
    assert_non_null(bytes);
    memcpy(bytes, host->list.bytes, host->list.len);
    bytes[host->list.len - 2] ^= 1;  // the signature's last digit
    fl_parcel_wrap(&bad, FL_OBJECT_ENROLMENT, 0, bytes, host->list.len);
    fl_parcel_fini(&host->list);
    host->list = bad;
    plan(host, 1, 1);
    assert_declined(host, "signature");
    assert_int_equal(host->counts[FL_CLIENT_PIN_AUTHORITY], 0);
    free_host(host);
}

/* ---- READY ---- */

TEST(masking_says_it_is_ready_until_that_is_acknowledged)
{
    fl_host *host = new_host();
    plan(host, 1, 1);
    fl_host_trained(host, 1);
    const fl_message *first = take_step(host, FL_STEP_READY);
    for (int i = 0; i < 3; i++) {
        fl_host_lose(host);
        fl_host_join(host);
        const fl_message *again = take_step(host, FL_STEP_READY);
        assert_int_equal(again->operation, first->operation);
        assert_int_equal(again->round, 1);
        if (i == 2) fl_host_ack(host, again);
    }
    fl_host_lose(host);
    fl_host_join(host);
    assert_null(fl_host_next(host));
    free_host(host);
}

TEST(masking_says_it_is_ready_when_the_link_is_back)
{
    fl_host *host = new_host();
    plan(host, 1, 1);
    fl_host_lose(host);
    fl_host_trained(host, 1);
    fl_host_join(host);
    assert_non_null(take_step(host, FL_STEP_READY));
    free_host(host);
}

// As an aggregator does that has died and does not know of its round yet.
TEST(masking_keeps_an_update_that_it_came_too_early_or_too_late_with)
{
    fl_host *host = new_host();
    plan(host, 1, 1);
    fl_host_trained(host, 1);
    fl_host_refuse(host, take_step(host, FL_STEP_READY), FL_ERR_STALE);
    assert_string_equal(fl_client_activity(host->client), "idle");
    plan(host, 1, 2);
    assert_non_null(take_step(host, FL_STEP_READY));
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
    assert_non_null(host->disk);
    free_host(host);
}

/* ---- a session ---- */

TEST(masking_goes_through_a_session_and_gives_its_update_to_the_sum)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    get_ready(host, 1, 1);
    play_to(&chorus, host, FL_STEP_UNMASK);
    assert_string_equal(fl_client_activity(host->client), "idle");
    assert_int_equal(status_of(host).session_count, 1);
    assert_int_equal(status_of(host).update_count, 1);
    assert_int_equal(host->counts[FL_CLIENT_BURN], 1);
    assert_int_equal(host->burns[0].number, 1);
    assert_int_equal(host->burns[0].enrolment_serial, SERIAL);
    assert_memory_equal(host->burns[0].enrolment_hash, chorus.enrolment->hash,
                        FL_HASH_BYTES);

    const uint64_t *words = fl_secagg_sum(chorus.secagg);
    assert_non_null(words);
    assert_int_equal(words[0], 10);  // the weight
    assert_int_equal(words[1], 5);   // the correct count
    fl_chorus_fini(&chorus);
    free_host(host);
}

static const fl_step told[] = {FL_STEP_INVITE, FL_STEP_ROSTER, FL_STEP_INBOX,
                               FL_STEP_SURVIVORS, FL_STEP_CONFIRMATIONS};
enum { TOLD = sizeof told / sizeof *told };

TEST(masking_says_every_answer_again_after_a_lost_link)
{
    for (size_t i = 0; i < TOLD; i++) {
        fl_host *host = new_host();
        fl_chorus chorus;
        get_ready(host, 1, 1);
        play_to(&chorus, host, told[i]);
        fl_chorus_tell(&chorus);
        const fl_message *first = fl_host_next(host);
        assert_non_null(first);
        fl_host_lose(host);
        fl_host_join(host);
        const fl_message *again = fl_host_next(host);
        assert_non_null(again);
        assert_int_equal(again->type, first->type);
        if (told[i] != FL_STEP_INBOX) {
            assert_int_equal(again->operation, first->operation);
            assert_int_equal(again->step.step, first->step.step);
            assert_int_equal(again->step.len, first->step.len);
            assert_memory_equal(again->step.bytes, first->step.bytes,
                                first->step.len);
        }
        fl_chorus_fini(&chorus);
        free_host(host);
    }
}

typedef void change(fl_session *session);

static void change_round(fl_session *session)
{
    session->round++;
}

static void change_model(fl_session *session)
{
    session->model[0] ^= 1;
}

static void change_task(fl_session *session)
{
    session->task[0] ^= 1;
}

static void ask_for_few(fl_session *session)
{
    session->client_min = 2;
}

static void go_back(fl_session *session)
{
    session->number--;
}

static void go_ahead(fl_session *session)
{
    session->number++;
}

// The number is the plan's, and no other: what is drawn for an update follows
// from it, so that one of two sessions could else bring the same update.
TEST(masking_refuses_an_invite_to_anything_but_its_plan)
{
    const struct {
        change *happens;
        const char *fault;
    } cases[] = {
        {change_round, "other_model"},     {change_model, "other_model"},
        {change_task, "other_model"},      {ask_for_few, "outside_policy"},
        {go_back, "number_does_not_grow"}, {go_ahead, "number_does_not_grow"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_host *host = new_host();
        fl_chorus chorus;
        get_ready(host, 3, 9);
        fl_chorus_init(&chorus, host, &host->plan);
        cases[i].happens(&chorus.session);
        fl_chorus_open(&chorus);
        fl_step step;
        size_t len;
        assert_ok(fl_secagg_message(chorus.secagg, chorus.place, &step,
                                    chorus.message, FL_SESSION_STEP_MAX, &len));
        fl_host_mail_step(host, 3, step, chorus.message, len);
        assert_declined(host, cases[i].fault);
        assert_int_equal(status_of(host).fault_count, 1);
        assert_string_not_equal(status_of(host).declined.text, "");
        fl_chorus_fini(&chorus);
        free_host(host);
    }
}

static void assert_logged(const fl_host *host, const char *event,
                          const char *pairs)
{
    assert_string_equal(host->session, event);
    if (strncmp(host->session_pairs, pairs, strlen(pairs)) != 0)
        fail_msg("%s", host->session_pairs);
}

// Also of one that the aggregator ends later, and says nothing about.
TEST(masking_logs_every_session_with_its_number)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    get_ready(host, 3, 9);
    play_to(&chorus, host, FL_STEP_SURVIVORS);
    assert_logged(host, "session_masked", "round=3 session=9");
    fl_chorus_play_to(&chorus, FL_STEP_UNMASK);
    assert_logged(host, "session_finished", "round=3 session=9");
    fl_chorus_fini(&chorus);

    get_ready(host, 4, 11);
    play_to(&chorus, host, FL_STEP_ROSTER);
    fl_host_mail_step(host, 4, FL_STEP_INBOX, (const uint8_t *)"", 0);
    assert_declined(host, "fault=out_of_order");
    assert_logged(host, "session_refused", "round=4 session=11");
    fl_chorus_fini(&chorus);
    free_host(host);
}

/* ---- the burn rule ---- */

TEST(masking_sends_nothing_masked_before_its_number_is_on_the_disk)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    host->keeps_burn_waiting = true;
    get_ready(host, 1, 1);
    play_to(&chorus, host, FL_STEP_INBOX);
    fl_chorus_tell(&chorus);
    assert_true(host->is_burning);
    assert_null(fl_host_next(host));
    fl_host_lose(host);  // nor on a new link
    fl_host_join(host);
    assert_null(fl_host_take(host, FL_MESSAGE_OPEN));
    fl_host_burned(host, FL_OK);
    fl_host_ack(host, fl_chorus_hear_vector(&chorus));
    fl_chorus_sing(&chorus);
    fl_chorus_fini(&chorus);
    free_host(host);
}

TEST(masking_sends_nothing_masked_when_the_disk_is_full)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    host->burn_err = FL_ERR_SYSTEM;
    get_ready(host, 1, 1);
    play_to(&chorus, host, FL_STEP_INBOX);
    fl_chorus_tell(&chorus);
    assert_int_equal(host->counts[FL_CLIENT_BURN], 1);
    assert_declined(host, "no space left");  // and no OPEN
    fl_host_lose(host);
    fl_host_join(host);
    assert_null(fl_host_next(host));
    fl_chorus_fini(&chorus);

    host->burn_err = FL_OK;
    get_ready(host, 1, 2);
    play_to(&chorus, host, FL_STEP_UNMASK);
    assert_int_equal(status_of(host).session_count, 1);
    fl_chorus_fini(&chorus);
    free_host(host);
}

TEST(masking_never_takes_the_word_of_a_disk_for_a_task_that_is_gone)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    host->keeps_burn_waiting = true;
    get_ready(host, 1, 1);
    play_to(&chorus, host, FL_STEP_INBOX);
    fl_chorus_tell(&chorus);
    fl_host_mail(host, FL_MAIL_CLOSED, 1);
    fl_host_burned(host, FL_OK);
    assert_null(fl_host_next(host));
    assert_string_equal(fl_client_activity(host->client), "idle");
    fl_chorus_fini(&chorus);
    free_host(host);
}

// Ends the session of round 1 after it was told this step, and tries again.
static void assert_trained_anew(fl_step last)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    get_ready(host, 1, 1);
    const uint64_t seed = fl_local_seed(&host->plan);
    play_to(&chorus, host, last);
    fl_chorus_tell(&chorus);
    assert_null(host->disk);  // gone with the number
    fl_host_mail(host, FL_MAIL_CLOSED, 1);
    while (fl_host_next(host))
        continue;
    plan(host, 1, 2);
    assert_null(fl_host_take(host, FL_MESSAGE_STEP));
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 2);
    assert_true(host->is_training);
    assert_true(fl_local_seed(&host->plan) != seed);
    fl_chorus_fini(&chorus);
    free_host(host);
}

TEST(masking_never_brings_an_update_to_a_second_session)
{
    assert_trained_anew(FL_STEP_INBOX);
    assert_trained_anew(FL_STEP_SURVIVORS);
    assert_trained_anew(FL_STEP_CONFIRMATIONS);
}

TEST(masking_declines_a_plan_with_the_number_that_it_has_burned)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    get_ready(host, 1, 4);
    play_to(&chorus, host, FL_STEP_SURVIVORS);
    fl_host_mail(host, FL_MAIL_CLOSED, 1);
    plan(host, 1, 4);
    assert_declined(host, "not a new one");
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
    fl_chorus_fini(&chorus);
    free_host(host);
}

TEST(masking_keeps_an_update_of_a_session_that_ends_before_it_was_masked)
{
    const fl_step steps[] = {FL_STEP_INVITE, FL_STEP_ROSTER, FL_STEP_INBOX};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        fl_host *host = new_host();
        fl_chorus chorus;
        get_ready(host, 1, 1);
        play_to(&chorus, host, steps[i]);
        fl_host_mail(host, FL_MAIL_CLOSED, 1);
        fl_chorus_fini(&chorus);
        assert_non_null(host->disk);
        plan(host, 1, 2);
        fl_host_ack(host, take_step(host, FL_STEP_READY));
        assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
        fl_plan second = host->plan;  // TRAIN came with the first
        second.number = 2;
        fl_chorus_init(&chorus, host, &second);
        fl_chorus_open(&chorus);
        fl_chorus_play_to(&chorus, FL_STEP_UNMASK);
        assert_int_equal(status_of(host).session_count, 1);
        fl_chorus_fini(&chorus);
        free_host(host);
    }
}

/* ---- links, time, restarts ---- */

TEST(masking_takes_survivors_for_the_lost_answer_to_its_commit)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    get_ready(host, 1, 1);
    play_to(&chorus, host, FL_STEP_INBOX);
    fl_chorus_tell(&chorus);
    fl_chorus_hear_vector(&chorus);
    fl_chorus_sing(&chorus);
    fl_host_lose(host);
    fl_host_join(host);
    const fl_message *commit = fl_host_take(host, FL_MESSAGE_COMMIT);
    assert_non_null(commit);
    fl_chorus_tell(&chorus);
    fl_host_ack(host, commit);  // late, and void
    fl_chorus_hear(&chorus, FL_STEP_CONFIRM);
    assert_int_equal(status_of(host).update_count, 1);
    fl_chorus_fini(&chorus);
    free_host(host);
}

TEST(masking_gives_up_a_session_that_stalls_and_joins_the_next)
{
    for (size_t i = 1; i < TOLD; i++) {
        fl_host *host = new_host();
        fl_chorus chorus;
        get_ready(host, 1, 1);
        play_to(&chorus, host, told[i]);
        assert_true(fl_client_is_in_session(host->client));
        // What the party was told last was told at this moment.
        const int64_t left_ms = fl_client_deadline(host->client) - host->now_ms;
        assert_int_equal(left_ms, 10000 + 3 * FL_CHORUS_PHASE_MS);
        fl_host_wait(host, left_ms - 1);
        assert_true(fl_client_is_in_session(host->client));
        fl_host_wait(host, 1);
        assert_declined(host, "fault=stalled");
        fl_chorus_fini(&chorus);
        plan(host, 1, 2);
        if (host->is_training) fl_host_trained(host, 1);
        assert_non_null(take_step(host, FL_STEP_READY));
        free_host(host);
    }
}

TEST(masking_waits_for_an_invite_as_long_as_others_train)
{
    fl_host *host = new_host();
    get_ready(host, 1, 1);
    for (int i = 0; i < 60; i++) {
        fl_host_wait(host, 20 * 1000);
        const fl_message *ping = fl_host_take(host, FL_MESSAGE_PING);
        if (ping)
            fl_host_answer(host, ping, &(fl_message){.type = FL_MESSAGE_PONG});
    }
    assert_string_equal(fl_client_activity(host->client), "aggregating");
    fl_chorus chorus;
    play_to(&chorus, host, FL_STEP_UNMASK);
    assert_int_equal(status_of(host).session_count, 1);
    fl_chorus_fini(&chorus);
    free_host(host);
}

TEST(masking_forgets_a_session_that_is_closed_at_any_step)
{
    for (size_t i = 0; i < TOLD; i++) {
        fl_host *host = new_host();
        fl_chorus chorus;
        get_ready(host, 1, 1);
        play_to(&chorus, host, told[i]);
        fl_chorus_tell(&chorus);
        fl_host_mail(host, FL_MAIL_CLOSED, 1);
        assert_false(fl_client_is_in_session(host->client));
        assert_string_equal(fl_client_activity(host->client), "idle");
        fl_chorus_fini(&chorus);
        free_host(host);
    }
}

TEST(masking_declines_a_step_of_a_session_from_before_its_restart)
{
    fl_host *host = new_host();
    fl_chorus chorus;
    const fl_plan planned = fl_host_secure_plan(host, 1);
    fl_chorus_init(&chorus, host, &planned);
    fl_chorus_open(&chorus);
    fl_chorus_tell(&chorus);
    assert_declined(host, "");
    fl_chorus_fini(&chorus);
    free_host(host);
}

RUN_TESTS(
    cmocka_unit_test(
        masking_declines_a_plan_in_the_clear_unless_its_owner_allows_it),
    cmocka_unit_test(
        masking_declines_a_plan_with_fewer_clients_than_its_owner_wants),
    cmocka_unit_test(
        masking_declines_a_number_that_does_not_grow_before_it_trains),
    cmocka_unit_test(masking_declines_every_holdout_but_the_first),
    cmocka_unit_test(
        masking_keeps_the_holdout_with_the_number_and_over_a_restart),
    cmocka_unit_test(masking_drops_what_it_does_for_a_plan_that_it_declines),
    cmocka_unit_test(masking_fetches_the_enrolment_list_before_the_model),
    cmocka_unit_test(masking_fetches_a_list_that_it_holds_only_once),
    cmocka_unit_test(masking_keeps_the_first_authority_that_it_sees),
    cmocka_unit_test(masking_declines_with_a_list_that_it_cannot_trust),
    cmocka_unit_test(masking_takes_the_very_list_of_its_last_session_again),
    cmocka_unit_test(masking_declines_with_a_list_that_is_damaged),
    cmocka_unit_test(masking_says_it_is_ready_until_that_is_acknowledged),
    cmocka_unit_test(masking_says_it_is_ready_when_the_link_is_back),
    cmocka_unit_test(
        masking_keeps_an_update_that_it_came_too_early_or_too_late_with),
    cmocka_unit_test(
        masking_goes_through_a_session_and_gives_its_update_to_the_sum),
    cmocka_unit_test(masking_says_every_answer_again_after_a_lost_link),
    cmocka_unit_test(masking_refuses_an_invite_to_anything_but_its_plan),
    cmocka_unit_test(masking_logs_every_session_with_its_number),
    cmocka_unit_test(
        masking_sends_nothing_masked_before_its_number_is_on_the_disk),
    cmocka_unit_test(masking_sends_nothing_masked_when_the_disk_is_full),
    cmocka_unit_test(
        masking_never_takes_the_word_of_a_disk_for_a_task_that_is_gone),
    cmocka_unit_test(masking_never_brings_an_update_to_a_second_session),
    cmocka_unit_test(
        masking_declines_a_plan_with_the_number_that_it_has_burned),
    cmocka_unit_test(
        masking_keeps_an_update_of_a_session_that_ends_before_it_was_masked),
    cmocka_unit_test(masking_takes_survivors_for_the_lost_answer_to_its_commit),
    cmocka_unit_test(masking_gives_up_a_session_that_stalls_and_joins_the_next),
    cmocka_unit_test(masking_waits_for_an_invite_as_long_as_others_train),
    cmocka_unit_test(masking_forgets_a_session_that_is_closed_at_any_step),
    cmocka_unit_test(
        masking_declines_a_step_of_a_session_from_before_its_restart))
