/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/host.h"
#include "tests/test.h"

static fl_host *new_host_with(const fl_client_options *options)
{
    fl_host *host = calloc(1, sizeof *host);
    assert_non_null(host);
    fl_host_init(host, options);
    return host;
}

static fl_host *new_host(void)
{
    const fl_client_options options = fl_host_options();
    return new_host_with(&options);
}

// One that has checked in.
static fl_host *new_joined_host(void)
{
    fl_host *host = new_host();
    fl_host_join(host);
    return host;
}

static void free_host(fl_host *host)
{
    fl_host_fini(host);
    free(host);
}

static void assert_hung_up(const fl_host *host, const char *word)
{
    assert_true(host->has_hung_up);
    if (!strstr(host->why, word)) fail_msg("%s", host->why);
}

static void tell(fl_host *host, fl_client_event_kind kind)
{
    fl_host_tell(host, (fl_client_event){.kind = kind});
}

static fl_client_status status_of(const fl_host *host)
{
    return fl_client_get_status(host->client);
}

static void assert_activity(const fl_host *host, const char *activity)
{
    assert_string_equal(fl_client_activity(host->client), activity);
}

// Acknowledges every CHUNK in the inbox; the COMMIT that follows, or NULL.
static const fl_message *take_chunks(fl_host *host, uint32_t *count)
{
    const fl_message *message;
    while ((message = fl_host_next(host))) {
        if (message->type == FL_MESSAGE_COMMIT) return message;
        if (message->type != FL_MESSAGE_CHUNK) continue;
        (*count)++;
        fl_host_ack(host, message);
    }
    return NULL;
}

/* ---- the link ---- */

TEST(client_waits_a_random_time_before_it_dials_that_grows_up_to_a_minute)
{
    enum { CLIENTS = 200, FAILURES = 20 };
    double sums[FAILURES] = {0};
    int64_t longest = 0;
    for (uint8_t i = 0; i < CLIENTS; i++) {
        fl_client_options options = fl_host_options();
        fl_identity_init(&options.identity, (const uint8_t[FL_SEED_BYTES]){i});
        fl_host *host = new_host_with(&options);
        fl_host_wait(host, 0);
        for (int n = 0; n < FAILURES; n++) {
            const int64_t begin_ms = host->now_ms;
            while (!host->is_dialling)
                fl_host_wait(host,
                             fl_client_deadline(host->client) - host->now_ms);
            const int64_t waited_ms = host->now_ms - begin_ms;
            const int64_t limit_ms = n < 9 ? 200 << n : 60000;
            assert_in_range(waited_ms, 0, limit_ms);
            if (waited_ms > longest) longest = waited_ms;
            sums[n] += (double)waited_ms / (double)limit_ms;
            fl_host_lose(host);
        }
        free_host(host);
    }
    // Uniform: the mean is a half, give or take four deviations of it.
    for (int n = 0; n < FAILURES; n++)
        assert_true(fabs(sums[n] / CLIENTS - 0.5) < 4.0 * 0.29 / 14.1);
    assert_in_range(longest, 55000, 60000);
}

TEST(client_dials_soon_again_after_a_connection_that_worked)
{
    fl_host *host = new_host();
    fl_host_wait(host, 0);
    for (int i = 0; i < 12; i++) {
        while (!host->is_dialling)
            fl_host_wait(host, fl_client_deadline(host->client) - host->now_ms);
        fl_host_lose(host);
    }
    fl_host_join(host);
    fl_host_send(host, &(fl_message){.type = FL_MESSAGE_PONG});
    fl_host_lose(host);
    assert_in_range(fl_client_deadline(host->client) - host->now_ms, 0, 400);
    free_host(host);
}

// Two boards with one key would throw each other out several times a second.
TEST(client_waits_longer_when_it_is_thrown_out_after_every_check_in)
{
    int64_t longest_ms = 0;
    fl_host *host = new_host();
    for (int i = 0; i < 30; i++) {
        fl_host_join(host);
        fl_host_lose(host);
        const int64_t wait_ms = fl_client_deadline(host->client) - host->now_ms;
        assert_in_range(wait_ms, 0, 60000);
        if (wait_ms > longest_ms) longest_ms = wait_ms;
    }
    assert_true(longest_ms > 30000);
    free_host(host);
}

TEST(client_hangs_up_when_there_is_no_handshake_in_time)
{
    for (int is_opened = 0; is_opened < 2; is_opened++) {
        fl_host *host = new_host();
        fl_host_open(host);
        if (!is_opened) {
            fl_host_lose(host);
            while (!host->is_dialling)
                fl_host_wait(host,
                             fl_client_deadline(host->client) - host->now_ms);
        }
        fl_host_wait(host, 24999);
        assert_false(host->has_hung_up);
        fl_host_wait(host, 1);
        assert_hung_up(host, "no handshake in time");
        assert_true(fl_client_deadline(host->client) == INT64_MAX);
        free_host(host);
    }
}

TEST(client_says_nothing_on_a_connection_that_opens_after_it_hung_up)
{
    fl_host *host = new_host();
    fl_host_wait(host, 0);
    while (!host->is_dialling)
        fl_host_wait(host, fl_client_deadline(host->client) - host->now_ms);
    fl_host_wait(host, 25000);
    assert_true(host->has_hung_up);
    host->is_dialling = false;
    host->is_open = true;
    tell(host, FL_CLIENT_OPENED);
    assert_null(fl_host_next(host));
    fl_host_lose(host);
    fl_host_join(host);
    assert_true(status_of(host).is_connected);
    free_host(host);
}

// WELCOME, as the test would have it.
static void send_welcome(fl_host *host, const fl_welcome *welcome)
{
    fl_host_send(
        host, &(fl_message){.type = FL_MESSAGE_WELCOME, .welcome = *welcome});
}

static fl_welcome honest_welcome(const fl_host *host)
{
    fl_device device;
    fl_welcome welcome = {.version = FL_PROTO_VERSION};
    fl_device_init(&device, &host->identity, "aggregator");
    memcpy(welcome.public_key, device.identity, FL_KEY_BYTES);
    memcpy(welcome.channel_key, device.channel, FL_KEY_BYTES);
    memcpy(welcome.card, device.card, FL_SIGNATURE_BYTES);
    return welcome;
}

TEST(client_hangs_up_on_a_welcome_that_its_key_has_not_signed)
{
    enum { CASES = 4 };
    for (int i = 0; i < CASES; i++) {
        fl_host *host = new_host();
        fl_host_open(host);
        fl_welcome welcome = honest_welcome(host);
        if (i == 0) welcome.card[3] ^= 1;
        if (i == 1) welcome.channel_key[0] ^= 1;
        if (i == 2) welcome.public_key[0] ^= 1;
        if (i == 3) welcome.version = 3;
        send_welcome(host, &welcome);
        assert_hung_up(host, i < 3 ? "not signed by its key" : "version");
        assert_int_equal(host->counts[FL_CLIENT_PIN], 0);
        assert_null(fl_host_take(host, FL_MESSAGE_NOISE));
        assert_false(host->has_left);
        free_host(host);
    }
}

// The card of a real aggregator is no secret: whoever shows it must also hold
// the key, or it is neither believed nor pinned.
TEST(client_hangs_up_on_an_aggregator_that_does_not_hold_its_key)
{
    for (int i = 0; i < 2; i++) {
        fl_host *host = new_host();
        fl_host_open(host);
        const fl_welcome welcome = honest_welcome(host);
        send_welcome(host, &welcome);
        assert_false(host->has_hung_up);
        const uint8_t noise[64] = {9};
        fl_host_send(host, &(fl_message){.type = FL_MESSAGE_NOISE,
                                         .noise = {noise, i == 0 ? 64 : 63}});
        assert_hung_up(host, "does not hold its key");
        assert_int_equal(host->counts[FL_CLIENT_PIN], 0);
        assert_null(fl_host_take(host, FL_MESSAGE_CHECK_IN));
        assert_false(host->has_left);
        free_host(host);
    }
}

TEST(client_hangs_up_on_a_channel_key_that_is_a_weak_point)
{
    fl_host *host = new_host();
    fl_host_open(host);
    memset(host->identity.channel_key, 0, FL_KEY_BYTES);
    const fl_welcome welcome = honest_welcome(host);
    send_welcome(host, &welcome);
    assert_hung_up(host, "useless channel key");
    free_host(host);
}

TEST(client_keeps_the_first_key_that_it_sees)
{
    fl_host *host = new_host();
    fl_host_join(host);
    assert_int_equal(host->counts[FL_CLIENT_PIN], 1);
    assert_memory_equal(host->pin, host->identity.public_key, FL_KEY_BYTES);
    fl_host_lose(host);
    fl_host_join(host);
    assert_int_equal(host->counts[FL_CLIENT_PIN], 1);
    free_host(host);
}

TEST(client_leaves_when_the_aggregators_key_is_another_one)
{
    for (int is_given = 0; is_given < 2; is_given++) {
        fl_client_options options = fl_host_options();
        const uint8_t pin[FL_KEY_BYTES] = {1};
        if (is_given) options.pin = pin;
        fl_host *host = new_host_with(&options);
        if (!is_given) {
            fl_host_join(host);
            fl_host_lose(host);
            fl_identity_init(&host->identity,
                             (const uint8_t[FL_SEED_BYTES]){98});
        }
        fl_host_open(host);
        fl_host_greet(host);
        assert_true(host->has_left);
        assert_true(host->has_hung_up);
        assert_int_equal(host->left_with, FL_ERR_AUTH);
        assert_non_null(strstr(host->why, "aggregator.pub"));
        assert_null(fl_host_take(host, FL_MESSAGE_NOISE));
        fl_host_lose(host);
        assert_true(fl_client_deadline(host->client) == INT64_MAX);
        free_host(host);
    }
}

TEST(client_takes_the_key_that_it_was_given)
{
    fl_identity aggregator;
    fl_client_options options = fl_host_options();
    fl_identity_init(&aggregator, (const uint8_t[FL_SEED_BYTES]){99});
    options.pin = aggregator.public_key;
    fl_host *host = new_host_with(&options);
    fl_host_join(host);
    assert_true(status_of(host).is_connected);
    assert_int_equal(host->counts[FL_CLIENT_PIN], 0);
    free_host(host);
}

TEST(client_proves_its_identity_and_checks_in)
{
    const fl_client_options options = fl_host_options();
    fl_host *host = new_host();
    fl_host_open(host);
    fl_host_welcome(host);
    assert_int_equal(host->inbox_len, 1);  // NOISE; no word more in clear
    fl_host_noise(host);
    assert_memory_equal(host->line.peer, options.identity.public_key,
                        FL_KEY_BYTES);
    const fl_message *check_in = fl_host_take(host, FL_MESSAGE_CHECK_IN);
    assert_non_null(check_in);
    assert_int_equal(check_in->check_in.mail_after, 0);
    assert_int_equal(check_in->counter, 1);
    assert_false(status_of(host).is_connected);
    assert_activity(host, "connecting");
    fl_host_ack(host, check_in);
    assert_true(status_of(host).is_connected);
    assert_activity(host, "idle");
    free_host(host);
}

TEST(client_uses_a_fresh_key_for_every_connection)
{
    uint8_t first[FL_KEY_BYTES];
    fl_host *host = new_host();
    for (int i = 0; i < 2; i++) {
        fl_host_open(host);
        fl_host_welcome(host);
        const fl_message *noise = fl_host_take(host, FL_MESSAGE_NOISE);
        assert_non_null(noise);
        if (i == 0) memcpy(first, noise->noise.bytes, sizeof first);
        if (i == 1)
            assert_memory_not_equal(first, noise->noise.bytes, sizeof first);
        fl_host_lose(host);
    }
    free_host(host);
}

TEST(client_hangs_up_on_frames_of_another_session)
{
    fl_host *host = new_joined_host();
    fl_host_send_body(
        host, &(fl_message){.type = FL_MESSAGE_PONG, .session = {1, 2, 3}},
        NULL, 0);
    assert_hung_up(host, "another session");
    free_host(host);
}

TEST(client_hangs_up_on_frames_that_are_not_the_next_ones)
{
    for (int i = 0; i < 4; i++) {
        fl_host *host = new_joined_host();
        fl_message pong = {.type = FL_MESSAGE_PONG};
        uint8_t frame[256];
        size_t len;
        fl_host_send(host, &pong);
        assert_false(host->has_hung_up);
        if (i < 2) {
            pong.counter += i == 0 ? 0 : 2;  // again; one is missing
            fl_host_send_body(host, &pong, NULL, 0);
            assert_hung_up(host, "not the next one");
        } else {
            assert_ok(
                fl_line_send(&host->line, frame, sizeof frame, &len, &pong));
            frame[i == 2 ? 41 : len - 1] ^= 1;  // the round; the seal
            fl_host_send_bytes(host, frame, len);
            assert_hung_up(host, "does not open");
        }
        free_host(host);
    }
}

TEST(client_hangs_up_on_frames_in_clear_once_the_channel_is_open)
{
    fl_host *host = new_joined_host();
    uint8_t frame[256];
    size_t len;
    fl_message refusal = {.type = FL_MESSAGE_REFUSAL,
                          .refusal = {.code = FL_ERR_AUTH, .text = "go"}};
    assert_ok(fl_message_encode(frame, sizeof frame, &len, &refusal));
    fl_host_send_bytes(host, frame, len);
    assert_true(host->has_hung_up);
    assert_false(host->has_left);
    free_host(host);
}

TEST(client_hangs_up_on_bytes_that_are_no_message)
{
    for (int is_joined = 0; is_joined < 2; is_joined++) {
        fl_host *host = new_host();
        if (is_joined)
            fl_host_join(host);
        else
            fl_host_open(host);
        fl_host_tell(host, (fl_client_event){
                               .kind = FL_CLIENT_FRAME,
                               .bytes = (const uint8_t *)"HTTP/1.1 400\r\n",
                               .len = 14});
        assert_true(host->has_hung_up);
        free_host(host);
    }
}

TEST(client_hangs_up_on_messages_that_aggregators_do_not_send)
{
    const fl_message_type types[] = {FL_MESSAGE_FETCH, FL_MESSAGE_COMMIT,
                                     FL_MESSAGE_PING};
    for (size_t i = 0; i < 3; i++) {
        fl_host *host = new_joined_host();
        fl_host_send(host, &(fl_message){.type = types[i]});
        assert_hung_up(host, "do not send");
        free_host(host);
    }
    fl_host *host = new_host();
    fl_host_open(host);
    fl_host_send_body(host, &(fl_message){.type = FL_MESSAGE_PONG}, NULL, 0);
    assert_hung_up(host, "before the channel is open");
    free_host(host);
}

TEST(client_hangs_up_on_greetings_that_are_not_due)
{
    for (int i = 0; i < 3; i++) {
        fl_host *host = new_host();
        fl_host_open(host);
        const fl_welcome welcome = honest_welcome(host);
        if (i == 0) send_welcome(host, &welcome);
        if (i == 0) send_welcome(host, &welcome);
        if (i == 1)
            fl_host_send(host, &(fl_message){.type = FL_MESSAGE_NOISE,
                                             .noise = {(uint8_t[]){1}, 1}});
        if (i == 2)
            fl_host_send(host, &(fl_message){.type = FL_MESSAGE_HELLO,
                                             .hello = {2, 2, ""}});
        assert_hung_up(host, "not due");
        free_host(host);
    }
}

TEST(client_leaves_when_the_aggregator_does_not_want_it_at_all)
{
    const fl_err codes[] = {FL_ERR_AUTH, FL_ERR_UNSUPPORTED};
    for (size_t i = 0; i < 2; i++) {
        fl_host *host = new_host();
        fl_host_open(host);
        fl_host_greet(host);
        fl_host_refuse(host, fl_host_take(host, FL_MESSAGE_CHECK_IN), codes[i]);
        assert_true(host->has_left);
        assert_true(host->has_hung_up);
        assert_int_equal(host->left_with, codes[i]);
        free_host(host);
    }
}

// Anybody on the path could say that.
TEST(client_does_not_leave_for_a_refusal_in_clear)
{
    const fl_err codes[] = {FL_ERR_AUTH, FL_ERR_UNSUPPORTED};
    for (size_t i = 0; i < 4; i++) {
        fl_host *host = new_host();
        fl_host_open(host);
        const fl_welcome welcome = honest_welcome(host);
        if (i >= 2) send_welcome(host, &welcome);
        fl_host_refuse(host, fl_host_next(host), codes[i % 2]);
        assert_true(host->has_hung_up);
        assert_false(host->has_left);
        fl_host_lose(host);
        fl_host_join(host);
        assert_true(status_of(host).is_connected);
        free_host(host);
    }
}

TEST(client_tries_again_when_the_aggregator_has_no_room)
{
    fl_host *host = new_host();
    fl_host_open(host);
    fl_host_greet(host);
    fl_host_refuse(host, fl_host_take(host, FL_MESSAGE_CHECK_IN), FL_ERR_LIMIT);
    assert_true(host->has_hung_up);
    assert_false(host->has_left);
    fl_host_lose(host);
    fl_host_join(host);
    assert_true(status_of(host).is_connected);
    free_host(host);
}

TEST(client_hangs_up_when_its_check_in_is_not_answered)
{
    fl_host *host = new_host();
    fl_host_open(host);
    fl_host_greet(host);
    fl_host_wait(host, 29999);
    assert_false(host->has_hung_up);
    fl_host_wait(host, 1);
    assert_hung_up(host, "no answer in time");
    free_host(host);
}

TEST(client_still_waits_for_its_check_in_when_its_task_goes_on)
{
    fl_host *host = new_joined_host();
    free(host->found_model);
    host->found_model = calloc(1, 1);
    host->found_model_len = 1;
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    fl_host_lose(host);
    fl_host_open(host);
    fl_host_greet(host);
    fl_host_failed(host, FL_ERR_RANGE);
    fl_host_wait(host, 20000);
    fl_host_send(host, &(fl_message){.type = FL_MESSAGE_PONG});
    fl_host_wait(host, 10000);
    assert_hung_up(host, "no answer in time");
    free_host(host);
}

TEST(client_pings_about_every_25_s_and_hangs_up_after_90_s_of_silence)
{
    fl_host *host = new_joined_host();
    const int64_t begin_ms = host->now_ms;
    int64_t last_ms = begin_ms;
    int ping_count = 0;
    while (!host->has_hung_up) {
        fl_host_wait(host, fl_client_deadline(host->client) - host->now_ms);
        const fl_message *ping = fl_host_next(host);
        if (!ping) continue;
        assert_int_equal(ping->type, FL_MESSAGE_PING);
        assert_in_range(host->now_ms - last_ms, 21000, 29000);
        last_ms = host->now_ms;
        ping_count++;
    }
    assert_int_equal(host->now_ms - begin_ms, 90000);
    assert_int_equal(ping_count, 3);
    assert_hung_up(host, "silent");
    free_host(host);
}

TEST(client_stays_while_its_pings_are_answered)
{
    fl_host *host = new_joined_host();
    fl_host_mail(host, FL_MAIL_CLOSED, 1);
    for (int i = 0; i < 100; i++) {
        fl_host_wait(host, fl_client_deadline(host->client) - host->now_ms);
        const fl_message *ping = fl_host_take(host, FL_MESSAGE_PING);
        assert_non_null(ping);
        assert_int_equal(ping->ping.mail_after, 1);
        fl_host_answer(host, ping, &(fl_message){.type = FL_MESSAGE_PONG});
    }
    assert_false(host->has_hung_up);
    assert_in_range(host->now_ms, 2200000, 2800000);
    free_host(host);
}

/* ---- the task, when all goes well ---- */

TEST(client_fetches_trains_and_uploads_what_a_plan_asks_for)
{
    fl_host *host = new_joined_host();
    host->chunks = 5;
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 1);
    assert_activity(host, "downloading");
    const fl_message *fetch = fl_host_next(host);
    assert_int_equal(fetch->type, FL_MESSAGE_FETCH);
    assert_true(fetch->fetch.wants_manifest);
    fl_host_serve(host, fetch);
    assert_int_equal(host->counts[FL_CLIENT_BEGIN], 1);
    bool is_asked[FL_HOST_CHUNKS] = {0};
    while ((fetch = fl_host_next(host))) {
        assert_int_equal(fetch->type, FL_MESSAGE_FETCH);
        assert_false(is_asked[fetch->fetch.index]);
        is_asked[fetch->fetch.index] = true;
        assert_true(host->inbox_len < 8);  // the window
        fl_host_serve(host, fetch);
    }
    assert_int_equal(host->counts[FL_CLIENT_PUT], FL_HOST_CHUNKS);
    assert_int_equal(host->counts[FL_CLIENT_END], 1);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
    assert_int_equal(host->plan.round, 1);
    assert_int_equal(host->job_len, host->model.len);
    assert_memory_equal(host->job, host->model.bytes, host->model.len);
    assert_activity(host, "training");

    fl_host_trained(host, 5);
    assert_int_equal(host->counts[FL_CLIENT_SAVE_UPDATE], 1);
    const fl_message *open = fl_host_next(host);
    assert_int_equal(open->type, FL_MESSAGE_OPEN);
    assert_memory_equal(open->open.model, host->model.name, FL_HASH_BYTES);
    assert_activity(host, "uploading");
    fl_host_grant(host, open, 3, 0);
    assert_int_equal(host->inbox_len, 3);
    uint32_t chunk_count = 0;
    const fl_message *commit = take_chunks(host, &chunk_count);
    assert_int_equal(chunk_count, 5);
    assert_non_null(commit);
    fl_host_ack(host, commit);
    assert_int_equal(host->counts[FL_CLIENT_DROP_UPDATE], 1);
    assert_int_equal(status_of(host).update_count, 1);
    assert_int_equal(status_of(host).round, 1);
    assert_activity(host, "idle");
    assert_null(fl_host_next(host));
    free_host(host);
}

// 64 chunks at once are more than the network's send queue takes.
TEST(client_sends_no_more_at_once_than_its_network_takes)
{
    fl_host *host = new_joined_host();
    const fl_message *open = fl_host_bring_to_open(host, 1, 20);
    size_t queued = 0;
    fl_host_grant(host, open, FL_PROTO_WINDOW_MAX, 0);
    for (const fl_message *m; (m = fl_host_next(host));)
        queued += m->chunk.len;
    assert_in_range(queued, 1, 16 * FL_PROTO_CHUNK_BYTES);
    free_host(host);
}

TEST(client_sends_the_bytes_that_its_manifest_promises)
{
    fl_host *host = new_joined_host();
    const fl_message *open = fl_host_bring_to_open(host, 1, 5);
    fl_manifest manifest;
    uint8_t hash[FL_HASH_BYTES];
    assert_ok(fl_manifest_decode(&manifest, &host->kept, open->open.manifest,
                                 open->open.manifest_len, NULL));
    assert_int_equal(manifest.kind, FL_OBJECT_UPDATE);
    assert_int_equal(manifest.round, 1);
    fl_host_grant(host, open, 8, 0);
    for (uint32_t i = 0; i < 5; i++) {
        const fl_message *chunk = fl_host_next(host);
        assert_int_equal(chunk->type, FL_MESSAGE_CHUNK);
        fl_hash(hash, chunk->chunk.bytes, chunk->chunk.len);
        assert_memory_equal(hash,
                            manifest.chunk_hashes +
                                (size_t)chunk->chunk.index * FL_HASH_BYTES,
                            FL_HASH_BYTES);
    }
    free_host(host);
}

TEST(client_does_not_fetch_a_model_that_is_on_its_disk)
{
    fl_host *host = new_joined_host();
    fl_host_bring_to_open(host, 1, 1);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 1);
    assert_int_equal(host->counts[FL_CLIENT_BEGIN], 0);
    free_host(host);
}

static fl_parts *parts_of(const fl_host *host, uint32_t from)
{
    fl_manifest manifest;
    fl_arena arena;
    fl_parts *parts;
    fl_arena_init(&arena, 1 << 20);
    assert_ok(fl_manifest_decode(&manifest, &arena, host->model.manifest,
                                 host->model.manifest_len, NULL));
    assert_ok(fl_parts_new(&parts, manifest.size, FL_PROTO_CHUNK_BYTES,
                           manifest.chunk_hashes, 1 << 24));
    for (uint32_t i = from; i < FL_HOST_CHUNKS; i++)
        assert_ok(fl_parts_put(
            parts, i, host->model.bytes + (size_t)i * FL_PROTO_CHUNK_BYTES,
            fl_parts_chunk_len(parts, i), fl_hash));
    fl_arena_fini(&arena);
    return parts;
}

TEST(client_asks_only_for_the_chunks_that_its_disk_lacks)
{
    for (uint32_t missing = 0; missing <= 3; missing++) {
        fl_host *host = new_joined_host();
        host->found_parts = parts_of(host, missing);
        fl_host_mail(host, FL_MAIL_PLAN, 1);
        assert_int_equal(host->inbox_len, missing);
        for (uint32_t i = 0; i < missing; i++) {
            const fl_message *fetch = fl_host_next(host);
            assert_false(fetch->fetch.wants_manifest);
            assert_int_equal(fetch->fetch.index, i);
            fl_host_serve(host, fetch);
        }
        assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
        assert_memory_equal(host->job, host->model.bytes, host->model.len);
        free_host(host);
    }
}

TEST(client_goes_on_with_a_download_after_the_link_was_lost)
{
    fl_host *host = new_joined_host();
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    fl_host_serve(host, fl_host_next(host));
    for (int i = 0; i < 7; i++)
        fl_host_serve(host, fl_host_next(host));
    fl_host_lose(host);
    fl_host_join(host);
    const fl_message *fetch;
    int count = 0;
    while ((fetch = fl_host_next(host))) {
        count++;
        fl_host_serve(host, fetch);
    }
    assert_int_equal(count, FL_HOST_CHUNKS - 7);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
    assert_int_equal(host->counts[FL_CLIENT_BEGIN], 1);
    free_host(host);
}

TEST(client_sends_only_the_chunks_that_the_aggregator_lacks)
{
    fl_host *host = new_joined_host();
    fl_host_grant(host, fl_host_bring_to_open(host, 1, 20), 8, 0);
    for (int i = 0; i < 3; i++)
        fl_host_ack(host, fl_host_next(host));
    fl_host_lose(host);
    fl_host_join(host);
    const fl_message *open = fl_host_take(host, FL_MESSAGE_OPEN);
    assert_non_null(open);
    fl_host_grant(host, open, 8, 0x00f0f);
    const fl_message *message;
    uint32_t sent = 0;
    while ((message = fl_host_next(host)) &&
           message->type == FL_MESSAGE_CHUNK) {
        assert_false(sent >> message->chunk.index & 1);
        sent |= 1U << message->chunk.index;
        fl_host_ack(host, message);
    }
    assert_int_equal(sent, 0xff0f0);
    assert_non_null(message);
    assert_int_equal(message->type, FL_MESSAGE_COMMIT);
    free_host(host);
}

TEST(client_commits_at_once_when_the_aggregator_has_all_chunks)
{
    fl_host *host = new_joined_host();
    fl_host_grant(host, fl_host_bring_to_open(host, 1, 20), 8, 0xfffff);
    const fl_message *commit = fl_host_next(host);
    assert_non_null(commit);
    assert_int_equal(commit->type, FL_MESSAGE_COMMIT);
    free_host(host);
}

TEST(client_repeats_a_commit_under_the_same_operation)
{
    fl_host *host = new_joined_host();
    fl_host_grant(host, fl_host_bring_to_open(host, 1, 20), 8, 0xfffff);
    const fl_message *first = fl_host_take(host, FL_MESSAGE_COMMIT);
    fl_host_wait(host, 30000);  // no answer
    assert_hung_up(host, "no answer in time");
    fl_host_lose(host);
    fl_host_join(host);
    const fl_message *second = fl_host_next(host);
    assert_non_null(second);
    assert_int_equal(second->type, FL_MESSAGE_COMMIT);
    assert_int_equal(second->operation, first->operation);
    assert_memory_equal(second->commit.object, first->commit.object,
                        FL_HASH_BYTES);
    fl_host_ack(host, second);
    assert_int_equal(status_of(host).update_count, 1);
    free_host(host);
}

TEST(client_numbers_its_operations_anew_after_every_start)
{
    uint64_t last = 0;
    for (uint64_t start = 1; start <= 3; start++) {
        fl_client_options options = fl_host_options();
        options.start_count = start;
        fl_host *host = new_host_with(&options);
        fl_host_open(host);
        fl_host_greet(host);
        const fl_message *check_in = fl_host_take(host, FL_MESSAGE_CHECK_IN);
        assert_true(check_in->operation > last);
        last = check_in->operation;
        free_host(host);
    }
}

/* ---- the task, when the aggregator misbehaves ---- */

TEST(client_refuses_a_manifest_that_does_not_have_the_plans_hash)
{
    fl_host *host = new_joined_host();
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    host->model.manifest[host->model.manifest_len - 1] ^= 1;
    fl_host_serve(host, fl_host_next(host));  // no patch either
    fl_host_serve(host, fl_host_next(host));
    assert_non_null(strstr(host->why, "hash"));
    assert_int_equal(host->counts[FL_CLIENT_BEGIN], 0);
    assert_activity(host, "idle");
    free_host(host);
}

TEST(client_refuses_a_model_above_its_maximum)
{
    fl_client_options options = fl_host_options();
    options.model_cap = FL_HOST_CHUNKS * 65536 / 2;
    fl_host *host = new_host_with(&options);
    fl_host_join(host);
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    fl_host_serve(host, fl_host_next(host));
    assert_non_null(strstr(host->why, "maximum"));
    assert_activity(host, "idle");
    free_host(host);
}

TEST(client_refuses_an_object_that_is_no_model)
{
    fl_host *host = new_joined_host();
    fl_parcel update;
    const fl_plan plan = fl_host_plan(host, 1);
    fl_parcel_init(&update, &plan, 1000, 0.5F);
    memcpy(host->model.name, update.name, FL_HASH_BYTES);
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    const fl_message *fetch = fl_host_next(host);
    fl_host_answer(host, fetch,
                   &(fl_message){.type = FL_MESSAGE_MANIFEST,
                                 .manifest = {.bytes = update.manifest,
                                              .len = update.manifest_len}});
    assert_non_null(strstr(host->why, "no model"));
    assert_activity(host, "idle");
    fl_parcel_fini(&update);
    free_host(host);
}

TEST(client_hangs_up_on_a_chunk_that_is_not_of_the_model)
{
    fl_host *host = new_joined_host();
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    fl_host_serve(host, fl_host_next(host));
    host->model.bytes[100] ^= 1;
    fl_host_serve(host, fl_host_next(host));
    assert_hung_up(host, "a chunk that is not of");
    assert_int_equal(host->counts[FL_CLIENT_PUT], 0);
    host->model.bytes[100] ^= 1;
    fl_host_lose(host);
    fl_host_join(host);
    const fl_message *fetch;
    while ((fetch = fl_host_next(host)))
        fl_host_serve(host, fetch);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
    free_host(host);
}

TEST(client_ignores_chunks_that_it_has_not_asked_for)
{
    fl_host *host = new_joined_host();
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    const fl_message *manifest = fl_host_next(host);
    fl_message early = *manifest;
    early.fetch.wants_manifest = false;
    fl_host_serve(host, &early);
    assert_int_equal(host->counts[FL_CLIENT_PUT], 0);
    fl_host_serve(host, manifest);
    fl_host_serve(host, manifest);
    assert_int_equal(host->counts[FL_CLIENT_BEGIN], 1);
    free_host(host);
}

TEST(client_survives_an_aggregator_that_answers_everything_twice)
{
    fl_host *host = new_joined_host();
    host->chunks = 20;
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    for (int i = 0; !host->is_training && i < 20; i++) {
        const fl_message *fetch;
        while ((fetch = fl_host_next(host))) {
            fl_host_serve(host, fetch);
            fl_host_serve(host, fetch);
        }
        if (host->is_training) break;
        fl_host_wait(host, 30000);  // lost count: starts over
        fl_host_lose(host);
        fl_host_join(host);
    }
    fl_host_trained(host, 20);
    const fl_message *message = fl_host_take(host, FL_MESSAGE_OPEN);
    fl_host_grant(host, message, 8, 0);
    fl_host_grant(host, message, 8, 0);
    while ((message = fl_host_next(host)) &&
           message->type == FL_MESSAGE_CHUNK) {
        fl_host_ack(host, message);
        fl_host_ack(host, message);
    }
    assert_int_equal(message->type, FL_MESSAGE_COMMIT);
    fl_host_ack(host, message);
    fl_host_ack(host, message);
    assert_int_equal(status_of(host).update_count, 1);
    free_host(host);
}

TEST(client_hangs_up_on_a_grant_with_a_malformed_bitmap)
{
    fl_host *host = new_joined_host();
    const fl_message *open = fl_host_bring_to_open(host, 1, 20);
    fl_host_grant(host, open, 8, 0xf00000);  // chunks 20 to 23
    assert_hung_up(host, "bitmap");
    free_host(host);
}

TEST(client_offers_again_when_the_aggregator_says_later)
{
    fl_host *host = new_joined_host();
    const fl_message *open = fl_host_bring_to_open(host, 1, 20);
    fl_message later = {.type = FL_MESSAGE_GRANT, .grant = {.later_ms = 700}};
    fl_hash(later.grant.object, open->open.manifest, open->open.manifest_len);
    fl_host_answer(host, open, &later);
    assert_int_equal(fl_client_deadline(host->client), host->now_ms + 700);
    fl_host_wait(host, 699);
    assert_null(fl_host_next(host));
    fl_host_wait(host, 1);
    open = fl_host_next(host);
    assert_non_null(open);
    assert_int_equal(open->type, FL_MESSAGE_OPEN);
    later.grant.later_ms = 0;
    fl_host_answer(host, open, &later);
    fl_host_wait(host, 0);
    assert_non_null(fl_host_take(host, FL_MESSAGE_OPEN));
    free_host(host);
}

TEST(client_offers_again_when_chunks_are_missing)
{
    fl_host *host = new_joined_host();
    const fl_message *open = fl_host_bring_to_open(host, 1, 20);
    fl_host_grant(host, open, 8, 0xfffff);
    fl_host_refuse(host, fl_host_next(host), FL_ERR_NOT_FOUND);
    assert_activity(host, "uploading");
    fl_host_wait(host, 2000);
    open = fl_host_next(host);
    assert_non_null(open);
    assert_int_equal(open->type, FL_MESSAGE_OPEN);
    assert_int_equal(status_of(host).refused_count, 0);
    free_host(host);
}

TEST(client_gives_up_an_update_that_is_refused)
{
    const fl_err codes[] = {FL_ERR_RANGE, FL_ERR_STALE, FL_ERR_STATE,
                            FL_ERR_AUTH,  FL_ERR_LIMIT, FL_ERR_FORMAT};
    for (size_t i = 0; i < 6; i++) {
        for (int step = 0; step < 3; step++) {
            fl_host *host = new_joined_host();
            const fl_message *last = fl_host_bring_to_open(host, 1, 20);
            if (step > 0) {
                fl_host_grant(host, last, 8, step == 1 ? 0 : 0xfffff);
                last = fl_host_next(host);
            }
            fl_host_refuse(host, last, codes[i]);
            assert_activity(host, "idle");
            assert_null(host->disk);
            assert_false(host->has_left);
            assert_int_equal(status_of(host).refused_count,
                             codes[i] == FL_ERR_STALE ? 0 : 1);
            free_host(host);
        }
    }
}

TEST(client_gives_up_a_model_that_it_cannot_have)
{
    fl_host *host = new_joined_host();
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    fl_host_refuse(host, fl_host_next(host), FL_ERR_STALE);
    assert_activity(host, "idle");
    fl_host_mail(host, FL_MAIL_PLAN, 2);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 2);
    free_host(host);
}

// The aggregator says CLOSED and PLAN, then reads the chunks that were on
// their way: their refusals come when the new task has begun.
TEST(client_is_not_troubled_by_answers_to_a_task_that_is_over)
{
    fl_host *host = new_joined_host();
    fl_host_grant(host, fl_host_bring_to_open(host, 1, 20), 8, 0);
    const fl_message *chunks[8];
    for (int i = 0; i < 8; i++)
        chunks[i] = fl_host_next(host);
    fl_host_mail(host, FL_MAIL_CLOSED, 1);
    fl_host_mail(host, FL_MAIL_PLAN, 2);
    for (int i = 0; i < 8; i++)
        fl_host_refuse(host, chunks[i], FL_ERR_STALE);
    assert_activity(host, "downloading");
    fl_host_serve(host, fl_host_take(host, FL_MESSAGE_FETCH));
    assert_int_equal(host->counts[FL_CLIENT_BEGIN], 1);
    free_host(host);
}

TEST(client_is_not_troubled_by_the_manifest_of_a_task_that_is_over)
{
    fl_host *host = new_joined_host();
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    const fl_message *old = fl_host_next(host);
    fl_parcel next;
    const fl_plan plan = fl_host_plan(host, 1);
    fl_parcel_init(&next, &plan, 1000, 0.5F);
    fl_parcel first = host->model;
    memcpy(host->model.name, next.name, FL_HASH_BYTES);
    fl_host_mail(host, FL_MAIL_PLAN, 2);  // of another model
    host->model = first;
    fl_host_serve(host, old);
    assert_activity(host, "downloading");
    fl_parcel_fini(&next);
    free_host(host);
}

TEST(client_hangs_up_when_an_answer_is_missing)
{
    for (int step = 0; step < 4; step++) {
        fl_host *host = new_joined_host();
        if (step < 2) {
            fl_host_mail(host, FL_MAIL_PLAN, 1);
            if (step == 1) fl_host_serve(host, fl_host_next(host));
        } else {
            const fl_message *open = fl_host_bring_to_open(host, 1, 20);
            if (step == 3) fl_host_grant(host, open, 8, 0);
        }
        fl_host_wait(host, 29999);
        assert_false(host->has_hung_up);
        fl_host_wait(host, 1);
        assert_hung_up(host, "no answer in time");
        free_host(host);
    }
}

TEST(client_waits_for_answers_as_long_as_there_is_progress)
{
    fl_host *host = new_joined_host();
    fl_host_grant(host, fl_host_bring_to_open(host, 1, 20), 1, 0);
    const fl_message *message;
    while ((message = fl_host_next(host)) &&
           message->type != FL_MESSAGE_COMMIT) {
        if (message->type != FL_MESSAGE_CHUNK) continue;  // a ping
        fl_host_wait(host, 20000);
        fl_host_ack(host, message);
    }
    assert_false(host->has_hung_up);
    assert_non_null(message);
    free_host(host);
}

/* ---- mail ---- */

TEST(client_does_not_begin_again_when_a_plan_is_repeated)
{
    fl_host *host = new_joined_host();
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    host->mail--;
    fl_host_mail(host, FL_MAIL_PLAN, 2);  // a number that it has read before
    assert_int_equal(host->counts[FL_CLIENT_FIND], 1);
    assert_int_equal(status_of(host).round, 1);
    free_host(host);
}

TEST(client_tells_at_check_in_which_mail_it_has_read)
{
    fl_host *host = new_joined_host();
    host->mail = 41;
    fl_host_mail(host, FL_MAIL_CLOSED, 1);
    fl_host_lose(host);
    fl_host_open(host);
    fl_host_greet(host);
    const fl_message *check_in = fl_host_take(host, FL_MESSAGE_CHECK_IN);
    assert_int_equal(check_in->check_in.mail_after, 42);
    free_host(host);
}

TEST(client_cancels_its_training_when_another_round_is_planned)
{
    const fl_err ends[] = {FL_OK, FL_ERR_CANCELLED};
    for (int i = 0; i < 2; i++) {
        fl_host *host = new_joined_host();
        host->found_model = calloc(1, 1);
        host->found_model_len = 1;
        fl_host_mail(host, FL_MAIL_PLAN, 1);
        host->found_model = calloc(2, 1);
        host->found_model_len = 2;
        fl_host_mail(host, FL_MAIL_PLAN, 2);
        assert_int_equal(host->counts[FL_CLIENT_CANCEL], 1);
        assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
        if (ends[i])
            fl_host_failed(host, ends[i]);
        else
            fl_host_trained(host, 1);
        assert_int_equal(host->counts[FL_CLIENT_TRAIN], 2);
        assert_int_equal(host->plan.round, 2);
        assert_int_equal(host->job_len, 2);
        assert_int_equal(host->counts[FL_CLIENT_SAVE_UPDATE], 0);
        fl_host_trained(host, 1);
        const fl_message *open = fl_host_take(host, FL_MESSAGE_OPEN);
        assert_non_null(open);
        assert_int_equal(open->round, 2);
        free_host(host);
    }
}

TEST(client_drops_what_it_does_for_a_round_that_is_closed)
{
    for (int step = 0; step < 5; step++) {
        fl_host *host = new_joined_host();
        if (step < 2) {
            fl_host_mail(host, FL_MAIL_PLAN, 1);
            if (step == 1) fl_host_serve(host, fl_host_next(host));
        } else if (step == 2) {
            host->found_model = calloc(1, 1);
            host->found_model_len = 1;
            fl_host_mail(host, FL_MAIL_PLAN, 1);
        } else {
            const fl_message *open = fl_host_bring_to_open(host, 1, 20);
            fl_host_grant(host, open, 8, step == 3 ? 0 : 0xfffff);
        }
        fl_host_mail(host, FL_MAIL_CLOSED, 1);
        assert_activity(host, "idle");
        assert_int_equal(host->counts[FL_CLIENT_CANCEL], step == 2 ? 1 : 0);
        // Its round may be tried again: what was trained is kept for that.
        assert_int_equal(host->disk != NULL, step >= 3);
        if (step == 2) fl_host_trained(host, 1);
        assert_int_equal(host->counts[FL_CLIENT_SAVE_UPDATE],
                         step >= 3 ? 1 : 0);
        host->inbox_len = 0;
        fl_host_wait(host, 20000);  // nothing is owed to it any more
        fl_host_send(host, &(fl_message){.type = FL_MESSAGE_PONG});
        fl_host_wait(host, 20000);
        assert_false(host->has_hung_up);
        free_host(host);
    }
}

TEST(client_goes_on_when_an_older_round_is_closed)
{
    fl_host *host = new_joined_host();
    fl_host_bring_to_open(host, 5, 1);
    fl_host_mail(host, FL_MAIL_CLOSED, 4);
    assert_activity(host, "uploading");
    free_host(host);
}

TEST(client_stays_or_leaves_when_the_federation_is_finished)
{
    for (int leaves = 0; leaves < 2; leaves++) {
        fl_client_options options = fl_host_options();
        options.leave_when_finished = leaves;
        fl_host *host = new_host_with(&options);
        fl_host_join(host);
        fl_host_bring_to_open(host, 3, 1);
        fl_host_mail(host, FL_MAIL_FINISHED, 3);
        assert_null(host->disk);
        assert_int_equal(host->has_left, leaves);
        assert_int_equal(host->has_hung_up, leaves);
        assert_int_equal(host->left_with, FL_OK);
        free_host(host);
    }
}

/* ---- training and what was saved ---- */

TEST(client_reports_a_training_that_failed_and_takes_the_next_plan)
{
    fl_host *host = new_joined_host();
    host->found_model = calloc(1, 1);
    host->found_model_len = 1;
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    fl_host_failed(host, FL_ERR_RANGE);
    assert_non_null(strstr(host->why, "a reason"));
    assert_activity(host, "idle");
    const fl_message *said = fl_host_next(host);  // nobody waits for it
    assert_int_equal(said->type, FL_MESSAGE_STEP);
    assert_int_equal(said->step.step, FL_STEP_DECLINE);
    assert_string_equal(status_of(host).declined.text, "a reason");
    fl_host_grant(host, fl_host_bring_to_open(host, 2, 1), 1, 1);
    fl_host_ack(host, fl_host_take(host, FL_MESSAGE_COMMIT));
    assert_int_equal(status_of(host).update_count, 1);
    assert_string_equal(status_of(host).declined.text, "");
    free_host(host);
}

TEST(client_trains_on_without_a_link_and_offers_when_it_is_back)
{
    fl_host *host = new_joined_host();
    host->found_model = calloc(1, 1);
    host->found_model_len = 1;
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    fl_host_lose(host);
    assert_activity(host, "training");
    fl_host_trained(host, 1);
    assert_non_null(host->disk);
    fl_host_join(host);
    assert_non_null(fl_host_take(host, FL_MESSAGE_OPEN));
    free_host(host);
}

// Takes *result: the update of a round comes back from disk.
static void restore(fl_host *host, uint32_t round, fl_result *result)
{
    uint8_t recipe[FL_HASH_BYTES];
    const fl_plan plan = fl_host_plan(host, round);
    fl_plan_recipe(recipe, &plan);
    fl_client_restore(host->client, round, recipe, result);
}

// As after a restart.
static fl_host *new_restored_host(uint32_t round)
{
    fl_host *host = new_host();
    fl_result result = fl_host_result(1);
    host->disk = calloc(1, 1);
    restore(host, round, &result);
    assert_null(result.update);
    fl_host_join(host);
    return host;
}

TEST(client_offers_a_restored_update_instead_of_training_again)
{
    fl_host *host = new_restored_host(3);
    fl_host_mail(host, FL_MAIL_PLAN, 3);
    assert_int_equal(host->counts[FL_CLIENT_FIND], 0);
    const fl_message *open = fl_host_next(host);
    assert_non_null(open);
    assert_int_equal(open->type, FL_MESSAGE_OPEN);
    assert_int_equal(host->counts[FL_CLIENT_SAVE_UPDATE], 0);
    fl_host_grant(host, open, 8, 1);
    fl_host_ack(host, fl_host_next(host));
    assert_int_equal(status_of(host).update_count, 1);
    assert_null(host->disk);
    free_host(host);
}

TEST(client_drops_a_restored_update_that_is_of_no_use)
{
    for (int i = 0; i < 4; i++) {
        fl_host *host = new_restored_host(3);
        if (i == 1) host->model.name[0] ^= 1;
        if (i == 2) {  // of another length than the plan's model
            fl_result result = fl_host_result(1);
            result.update_len -= sizeof(float);
            restore(host, 4, &result);
        }
        if (i < 3)
            fl_host_mail(host, FL_MAIL_PLAN, i == 1 ? 3 : 4);
        else
            fl_host_mail(host, FL_MAIL_FINISHED, 4);
        assert_null(host->disk);
        assert_int_equal(host->counts[FL_CLIENT_FIND], i < 3 ? 1 : 0);
        free_host(host);
    }
}

TEST(client_drops_a_restored_update_when_it_leaves_after_the_last_round)
{
    fl_client_options options = fl_host_options();
    options.leave_when_finished = true;
    fl_host *host = new_host_with(&options);
    fl_result result = fl_host_result(1);
    host->disk = calloc(1, 1);
    fl_client_restore(host->client, 3, host->model.name, &result);
    fl_host_join(host);
    fl_host_mail(host, FL_MAIL_FINISHED, 3);
    assert_true(host->has_left);
    assert_null(host->disk);
    free_host(host);
}

TEST(client_frees_a_restored_update_that_nobody_asked_for)
{
    fl_host *host = new_restored_host(3);
    fl_result again = fl_host_result(1);
    fl_client_restore(host->client, 4, host->model.name, &again);
    free_host(host);
}

/* ---- stop ---- */

TEST(client_leaves_from_every_state_when_it_is_stopped)
{
    enum { STATES = 9 };
    for (int at = 0; at < STATES; at++) {
        fl_host *host = new_host();
        if (at == 1) fl_host_wait(host, 0);
        if (at == 2) fl_host_open(host);
        if (at == 3) {
            fl_host_open(host);
            fl_host_greet(host);
        }
        if (at >= 4) fl_host_join(host);
        if (at == 5) fl_host_mail(host, FL_MAIL_PLAN, 1);
        if (at == 6) {
            host->found_model = calloc(1, 1);
            host->found_model_len = 1;
            fl_host_mail(host, FL_MAIL_PLAN, 1);
        }
        if (at == 7) fl_host_bring_to_open(host, 1, 1);
        if (at == 8)
            fl_host_grant(host, fl_host_bring_to_open(host, 1, 20), 8, 0);
        tell(host, FL_CLIENT_STOP);
        assert_true(host->has_left);
        assert_int_equal(host->left_with, FL_OK);
        assert_int_equal(host->has_hung_up, at >= 2);
        assert_int_equal(host->counts[FL_CLIENT_CANCEL], at == 6);
        assert_true((host->disk != NULL) == (at >= 7));  // for next time
        if (host->is_training) fl_host_trained(host, 1);
        if (host->has_hung_up) fl_host_lose(host);
        const uint32_t dial_count = host->counts[FL_CLIENT_DIAL];
        fl_host_wait(host, 1000000);
        assert_int_equal(host->counts[FL_CLIENT_DIAL], dial_count);
        assert_true(fl_client_deadline(host->client) == INT64_MAX);
        free_host(host);
    }
}

TEST(client_begins_no_training_after_it_was_stopped)
{
    fl_host *host = new_joined_host();
    host->found_model = calloc(1, 1);
    host->found_model_len = 1;
    fl_host_mail(host, FL_MAIL_PLAN, 1);
    host->found_model = calloc(1, 1);
    fl_host_mail(host, FL_MAIL_PLAN, 2);  // waits for the cancelled one
    tell(host, FL_CLIENT_STOP);
    fl_host_failed(host, FL_ERR_CANCELLED);
    assert_int_equal(host->counts[FL_CLIENT_TRAIN], 1);
    free_host(host);
}

/* ---- memory ---- */

TEST(client_gives_up_the_link_and_nothing_else_without_memory)
{
    for (size_t cap = 0; cap < 1 << 17; cap += cap < 8192 ? 64 : 8192) {
        fl_client_options options = fl_host_options();
        fl_arena small;
        fl_arena_init(&small, cap);
        options.scratch = &small;
        fl_host *host = new_host_with(&options);
        fl_host_open(host);
        fl_host_welcome(host);
        if (host->inbox_len > 0) fl_host_noise(host);
        const fl_message *message = fl_host_take(host, FL_MESSAGE_CHECK_IN);
        if (message) {
            fl_host_ack(host, message);
            host->chunks = 5;
            fl_host_mail(host, FL_MAIL_PLAN, 1);
            while ((message = fl_host_take(host, FL_MESSAGE_FETCH)))
                fl_host_serve(host, message);
        }
        if (host->is_training) {
            fl_host_trained(host, 5);
            message = fl_host_next(host);
            if (message) fl_host_grant(host, message, 64, 0);
        }
        if (host->has_hung_up) fl_host_lose(host);
        assert_false(host->has_left);
        free_host(host);
        fl_arena_fini(&small);
    }
}

RUN_TESTS(
    cmocka_unit_test(
        client_waits_a_random_time_before_it_dials_that_grows_up_to_a_minute),
    cmocka_unit_test(client_dials_soon_again_after_a_connection_that_worked),
    cmocka_unit_test(
        client_waits_longer_when_it_is_thrown_out_after_every_check_in),
    cmocka_unit_test(client_hangs_up_when_there_is_no_handshake_in_time),
    cmocka_unit_test(
        client_says_nothing_on_a_connection_that_opens_after_it_hung_up),
    cmocka_unit_test(client_hangs_up_on_a_welcome_that_its_key_has_not_signed),
    cmocka_unit_test(
        client_hangs_up_on_an_aggregator_that_does_not_hold_its_key),
    cmocka_unit_test(client_hangs_up_on_a_channel_key_that_is_a_weak_point),
    cmocka_unit_test(client_keeps_the_first_key_that_it_sees),
    cmocka_unit_test(client_leaves_when_the_aggregators_key_is_another_one),
    cmocka_unit_test(client_takes_the_key_that_it_was_given),
    cmocka_unit_test(client_proves_its_identity_and_checks_in),
    cmocka_unit_test(client_uses_a_fresh_key_for_every_connection),
    cmocka_unit_test(client_hangs_up_on_frames_of_another_session),
    cmocka_unit_test(client_hangs_up_on_frames_that_are_not_the_next_ones),
    cmocka_unit_test(
        client_hangs_up_on_frames_in_clear_once_the_channel_is_open),
    cmocka_unit_test(client_hangs_up_on_bytes_that_are_no_message),
    cmocka_unit_test(client_hangs_up_on_messages_that_aggregators_do_not_send),
    cmocka_unit_test(client_hangs_up_on_greetings_that_are_not_due),
    cmocka_unit_test(client_leaves_when_the_aggregator_does_not_want_it_at_all),
    cmocka_unit_test(client_does_not_leave_for_a_refusal_in_clear),
    cmocka_unit_test(client_tries_again_when_the_aggregator_has_no_room),
    cmocka_unit_test(client_hangs_up_when_its_check_in_is_not_answered),
    cmocka_unit_test(client_still_waits_for_its_check_in_when_its_task_goes_on),
    cmocka_unit_test(
        client_pings_about_every_25_s_and_hangs_up_after_90_s_of_silence),
    cmocka_unit_test(client_stays_while_its_pings_are_answered),
    cmocka_unit_test(client_fetches_trains_and_uploads_what_a_plan_asks_for),
    cmocka_unit_test(client_sends_no_more_at_once_than_its_network_takes),
    cmocka_unit_test(client_sends_the_bytes_that_its_manifest_promises),
    cmocka_unit_test(client_does_not_fetch_a_model_that_is_on_its_disk),
    cmocka_unit_test(client_asks_only_for_the_chunks_that_its_disk_lacks),
    cmocka_unit_test(client_goes_on_with_a_download_after_the_link_was_lost),
    cmocka_unit_test(client_sends_only_the_chunks_that_the_aggregator_lacks),
    cmocka_unit_test(client_commits_at_once_when_the_aggregator_has_all_chunks),
    cmocka_unit_test(client_repeats_a_commit_under_the_same_operation),
    cmocka_unit_test(client_numbers_its_operations_anew_after_every_start),
    cmocka_unit_test(
        client_refuses_a_manifest_that_does_not_have_the_plans_hash),
    cmocka_unit_test(client_refuses_a_model_above_its_maximum),
    cmocka_unit_test(client_refuses_an_object_that_is_no_model),
    cmocka_unit_test(client_hangs_up_on_a_chunk_that_is_not_of_the_model),
    cmocka_unit_test(client_ignores_chunks_that_it_has_not_asked_for),
    cmocka_unit_test(
        client_survives_an_aggregator_that_answers_everything_twice),
    cmocka_unit_test(client_hangs_up_on_a_grant_with_a_malformed_bitmap),
    cmocka_unit_test(client_offers_again_when_the_aggregator_says_later),
    cmocka_unit_test(client_offers_again_when_chunks_are_missing),
    cmocka_unit_test(client_gives_up_an_update_that_is_refused),
    cmocka_unit_test(client_gives_up_a_model_that_it_cannot_have),
    cmocka_unit_test(client_is_not_troubled_by_answers_to_a_task_that_is_over),
    cmocka_unit_test(
        client_is_not_troubled_by_the_manifest_of_a_task_that_is_over),
    cmocka_unit_test(client_hangs_up_when_an_answer_is_missing),
    cmocka_unit_test(client_waits_for_answers_as_long_as_there_is_progress),
    cmocka_unit_test(client_does_not_begin_again_when_a_plan_is_repeated),
    cmocka_unit_test(client_tells_at_check_in_which_mail_it_has_read),
    cmocka_unit_test(client_cancels_its_training_when_another_round_is_planned),
    cmocka_unit_test(client_drops_what_it_does_for_a_round_that_is_closed),
    cmocka_unit_test(client_goes_on_when_an_older_round_is_closed),
    cmocka_unit_test(client_stays_or_leaves_when_the_federation_is_finished),
    cmocka_unit_test(
        client_reports_a_training_that_failed_and_takes_the_next_plan),
    cmocka_unit_test(
        client_trains_on_without_a_link_and_offers_when_it_is_back),
    cmocka_unit_test(client_offers_a_restored_update_instead_of_training_again),
    cmocka_unit_test(client_drops_a_restored_update_that_is_of_no_use),
    cmocka_unit_test(
        client_drops_a_restored_update_when_it_leaves_after_the_last_round),
    cmocka_unit_test(client_frees_a_restored_update_that_nobody_asked_for),
    cmocka_unit_test(client_leaves_from_every_state_when_it_is_stopped),
    cmocka_unit_test(client_begins_no_training_after_it_was_stopped),
    cmocka_unit_test(client_gives_up_the_link_and_nothing_else_without_memory))
