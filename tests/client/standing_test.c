/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <stdlib.h>

#include "tests/support/host.h"
#include "tests/test.h"

static const fl_join WORDS = {.has_token = true,
                              .token = {.id = 7, .secret = {1, 2, 3, 4}},
                              .name = "kitchen"};

// The key that hosts have.
static const uint8_t *host_key(void)
{
    static fl_identity identity;
    fl_host host;
    const fl_client_options options = fl_host_options();
    fl_host_init(&host, &options);
    identity = host.identity;
    fl_host_fini(&host);
    return identity.public_key;
}

static fl_host *new_joiner(const uint8_t *pin)
{
    fl_client_options options = fl_host_options();
    fl_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    options.pin = pin;
    options.join = &WORDS;
    fl_host_init(host, &options);
    return host;
}

static void free_host(fl_host *host)
{
    fl_host_fini(host);
    free(host);
}

static void ask(fl_host *host)
{
    fl_host_open(host);
    fl_host_greet(host);
    assert_null(fl_host_take(host, FL_MESSAGE_CHECK_IN));
}

static void tell(fl_host *host, fl_standing_state state, fl_cause cause)
{
    fl_host_send(host, &(fl_message){.type = FL_MESSAGE_STANDING,
                                     .standing = {.state = state,
                                                  .cause = cause,
                                                  .name = "kitchen",
                                                  .has_authority = true,
                                                  .authority = {5}}});
}

TEST(standing_is_asked_for_with_the_token_and_kept)
{
    fl_host *host = new_joiner(host_key());
    fl_host_open(host);
    fl_host_greet(host);
    const fl_message *join = fl_host_take(host, FL_MESSAGE_JOIN);
    assert_non_null(join);
    assert_memory_equal(&join->join, &WORDS, sizeof WORDS);
    assert_null(fl_client_standing(host->client));
    tell(host, FL_STANDING_ENROLLED, FL_CAUSE_NONE);
    assert_true(host->has_left);
    assert_int_equal(host->left_with, FL_OK);
    assert_int_equal(host->counts[FL_CLIENT_PIN_AUTHORITY], 1);
    const fl_standing *standing = fl_client_standing(host->client);
    assert_non_null(standing);
    assert_int_equal(standing->state, FL_STANDING_ENROLLED);
    assert_string_equal(standing->name, "kitchen");
    free_host(host);
}

TEST(standing_says_no_token_to_another_aggregator)
{
    const uint8_t other[FL_KEY_BYTES] = {1};
    fl_host *host = new_joiner(other);
    ask(host);
    assert_null(fl_host_take(host, FL_MESSAGE_NOISE));
    assert_int_equal(host->counts[FL_CLIENT_SEND], 1);  // HELLO
    assert_true(host->has_left);
    assert_int_equal(host->left_with, FL_ERR_AUTH);
    // The whole sentence, with both keys in it.
    assert_non_null(strstr(host->why, "0100000000"));
    assert_non_null(strstr(host->why, "join again with --pin"));
    free_host(host);
}

TEST(standing_needs_a_pin_for_a_token)
{
    fl_client *client = NULL;
    fl_client_options options = fl_host_options();
    options.join = &WORDS;
    options.pin = NULL;
    assert_err(fl_client_new(&client, &options), FL_ERR_RANGE);
}

TEST(standing_of_one_who_is_refused_says_why)
{
    const fl_cause causes[] = {FL_CAUSE_TOKEN_USED, FL_CAUSE_TOKEN_EXPIRED,
                               FL_CAUSE_TOKEN_WRONG, FL_CAUSE_REVOKED,
                               FL_CAUSE_OTHER};
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        fl_host *host = new_joiner(host_key());
        ask(host);
        tell(host, FL_STANDING_REFUSED, causes[i]);
        assert_true(host->has_left);
        assert_int_equal(host->left_with, FL_ERR_AUTH);
        assert_string_equal(host->why, fl_cause_text(causes[i]));
        free_host(host);
    }
}

// Nobody has approved it: it asks again, and goes on when somebody has.
TEST(standing_of_one_who_waits_is_asked_for_again)
{
    const fl_client_options options = fl_host_options();
    fl_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    fl_host_init(host, &options);
    fl_host_open(host);
    fl_host_greet(host);
    assert_non_null(fl_host_take(host, FL_MESSAGE_CHECK_IN));
    tell(host, FL_STANDING_PENDING, FL_CAUSE_NONE);
    assert_false(host->has_left);
    assert_true(host->has_hung_up);
    assert_string_equal(fl_client_activity(host->client),
                        "waiting for approval");
    fl_host_lose(host);
    fl_host_join(host);
    assert_string_equal(fl_client_activity(host->client), "idle");
    free_host(host);
}

TEST(standing_that_is_lost_at_run_time_ends_the_client)
{
    const fl_cause causes[] = {FL_CAUSE_REVOKED, FL_CAUSE_REPLACED};
    for (size_t i = 0; i < 2; i++) {
        const fl_client_options options = fl_host_options();
        fl_host *host = calloc(1, sizeof *host);
        assert_non_null(host);
        fl_host_init(host, &options);
        fl_host_join(host);
        tell(host, FL_STANDING_REFUSED, causes[i]);
        assert_true(host->has_left);
        assert_int_equal(host->left_with, FL_ERR_AUTH);
        assert_string_equal(host->why, fl_cause_text(causes[i]));
        free_host(host);
    }
}

RUN_TESTS(cmocka_unit_test(standing_is_asked_for_with_the_token_and_kept),
          cmocka_unit_test(standing_says_no_token_to_another_aggregator),
          cmocka_unit_test(standing_needs_a_pin_for_a_token),
          cmocka_unit_test(standing_of_one_who_is_refused_says_why),
          cmocka_unit_test(standing_of_one_who_waits_is_asked_for_again),
          cmocka_unit_test(standing_that_is_lost_at_run_time_ends_the_client))
