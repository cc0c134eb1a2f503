/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <math.h>
#include <string.h>

void fl_uplink_hang_up_quietly(fl_client *client)
{
    if (client->uplink.is_hanging_up) return;
    client->uplink.is_hanging_up = true;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_HANG_UP});
}

void fl_uplink_hang_up(fl_client *client, const char *why)
{
    if (client->uplink.is_hanging_up) return;
    fl_emit_log(client, FL_LOG_WARN, "hang_up", "why=%s", why);
    fl_uplink_hang_up_quietly(client);
}

void fl_uplink_expect(fl_client *client, bool is_owed)
{
    if (!is_owed && !client->status.is_connected) return;
    client->uplink.answer_by_ms =
        is_owed ? client->now_ms + FL_CLIENT_ANSWER_MS : INT64_MAX;
}

// Full jitter: uniform in [0, min(60 s, 0.2 s * 2^failures)].
static int64_t backoff_ms(fl_client *client)
{
    const double limit =
        fmin(FL_CLIENT_BACKOFF_MAX_MS,
             ldexp(FL_CLIENT_BACKOFF_MS, (int)client->uplink.failure_count));
    return (int64_t)(limit * fl_random_double(&client->backoff));
}

void fl_uplink_start(fl_client *client)
{
    client->uplink.state = FL_UPLINK_DOWN;
    client->uplink.dial_at_ms = client->now_ms + backoff_ms(client);
}

void fl_uplink_fini(fl_client *client)
{
    fl_line_fini(&client->uplink.line);
}

void fl_uplink_lost(fl_client *client)
{
    fl_uplink *uplink = &client->uplink;
    const uint64_t mail_after = uplink->mail_after;
    const unsigned failure_count = uplink->failure_count;
    if (uplink->state == FL_UPLINK_UP) {
        fl_emit_log(client, FL_LOG_INFO, "disconnected", "round=%u",
                    client->status.round);
    }
    fl_uplink_fini(client);
    *uplink = (fl_uplink){
        .mail_after = mail_after,
        .failure_count = failure_count < 16 ? failure_count + 1 : 16,
    };
    client->status.is_connected = false;
    fl_task_suspend(client);
    fl_uplink_start(client);
}

static void dial(fl_client *client)
{
    client->uplink.state = FL_UPLINK_DIALING;
    client->uplink.greet_by_ms = client->now_ms + FL_CLIENT_GREET_MS;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_DIAL});
}

void fl_uplink_opened(fl_client *client)
{
    fl_uplink *uplink = &client->uplink;
    if (uplink->is_hanging_up) return;
    uplink->state = FL_UPLINK_GREETING;
    fl_line_hello(uplink->hello, &uplink->hello_len, "fedge " FL_VERSION);
    fl_emit_frame(client, uplink->hello, uplink->hello_len);
}

void fl_uplink_leave(fl_client *client, fl_err err)
{
    client->is_leaving = true;
    fl_uplink_hang_up_quietly(client);
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_LEAVE,
                                       .err = err,
                                       .text = client->why.text});
}

// Another key than the first one is an alarm, not a detail.
static bool is_pinned_key(const fl_client *client, const uint8_t *key)
{
    return !client->has_pin || fl_secret_equal(client->pin, key, FL_KEY_BYTES);
}

// The first key that has proved itself is kept.
static void pin(fl_client *client, const uint8_t *key)
{
    if (client->has_pin) return;
    memcpy(client->pin, key, FL_KEY_BYTES);
    client->has_pin = true;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_PIN,
                                       .bytes = client->pin,
                                       .len = FL_KEY_BYTES});
}

static void check_in(fl_client *client)
{
    fl_emit_message(
        client,
        &(fl_message){.type = FL_MESSAGE_CHECK_IN,
                      .operation = fl_emit_operation(client),
                      .check_in = {.mail_after = client->uplink.mail_after,
                                   .away = client->away}});
    fl_uplink_expect(client, true);
}

static void say_noise(fl_client *client, const fl_greeting *greeting)
{
    uint8_t fresh[FL_LINE_FRESH_BYTES];
    uint8_t *frame =
        fl_arena_take(client->options.scratch, FL_LINE_GREETING_CAP);
    size_t len;
    if (!frame) {
        fl_uplink_hang_up(client, "no memory for a frame");
        return;
    }
    client->options.random_bytes(client->options.random_self, fresh,
                                 sizeof fresh);
    const fl_err err =
        fl_line_greet(&client->uplink.line, frame, &len,
                      &client->options.identity, greeting, fresh);
    fl_secret_wipe(fresh, sizeof fresh);
    if (err) {
        fl_uplink_hang_up(client, "the welcome has a useless channel key");
        return;
    }
    client->uplink.state = FL_UPLINK_SEALING;
    fl_emit_frame(client, frame, len);
}

static void explain_changed_key(fl_client *client,
                                const uint8_t key[FL_KEY_BYTES])
{
    char expected[FL_HEX_CAP], came[FL_HEX_CAP];
    fl_hex_encode(expected, sizeof expected, client->pin, FL_KEY_BYTES);
    fl_hex_encode(came, sizeof came, key, FL_KEY_BYTES);
    fl_emit_log(client, FL_LOG_ERROR, "aggregator_key_changed",
                "expected=%s came=%s", expected, came);
    (void)!fl_reason_set(
        &client->why, FL_ERR_AUTH,
        "the aggregator's key is %s, pinned is %s: somebody else answers at "
        "this address, or it was set up anew. Nothing was sent. If its "
        "operator "
        "says that the new key is right, delete aggregator.pub and "
        "authority.pub from the state directory and join again with --pin",
        came, expected);
}

static void welcome(fl_client *client, const fl_welcome *words,
                    const uint8_t *frame, size_t frame_len)
{
    const fl_err err = fl_line_check_welcome(words);
    if (err) {
        fl_uplink_hang_up(client, err == FL_ERR_UNSUPPORTED
                                      ? "the welcome is of another version"
                                      : "the welcome is not signed by its key");
        return;
    }
    if (!is_pinned_key(client, words->public_key)) {
        explain_changed_key(client, words->public_key);
        fl_uplink_leave(client, FL_ERR_AUTH);
        return;
    }
    say_noise(client, &(fl_greeting){.hello = client->uplink.hello,
                                     .hello_len = client->uplink.hello_len,
                                     .welcome = frame,
                                     .welcome_len = frame_len,
                                     .words = words});
}

static void join(fl_client *client, const fl_message *noise)
{
    fl_uplink *uplink = &client->uplink;
    if (fl_line_join(&uplink->line, noise)) {
        fl_uplink_hang_up(client, "the aggregator does not hold its key");
        return;
    }
    pin(client, uplink->line.peer);
    uplink->state = FL_UPLINK_UP;
    uplink->ping_at_ms = client->now_ms + FL_CLIENT_PING_MS;
    if (client->is_joining) {
        fl_standing_ask(client);
    } else {
        check_in(client);
    }
}

static void checked_in(fl_client *client)
{
    client->status.is_connected = true;
    client->is_pending = false;
    fl_uplink_expect(client, false);
    fl_emit_log(client, FL_LOG_INFO, "connected", "round=%u",
                client->status.round);
    fl_task_resume(client);
}

// What the aggregator says about us, not about an update.
static void refused(fl_client *client, const fl_refusal *refusal)
{
    fl_emit_log(client, FL_LOG_WARN, "refused", "code=%u text=%s",
                refusal->code, refusal->text);
    if (refusal->code == FL_ERR_AUTH || refusal->code == FL_ERR_UNSUPPORTED) {
        (void)!fl_reason_set(&client->why, (fl_err)refusal->code, "%s",
                             refusal->text);
        fl_uplink_leave(client, (fl_err)refusal->code);
    } else {
        fl_uplink_hang_up_quietly(client);
    }
}

static void read_mail(fl_client *client, const fl_mail *mail)
{
    if (mail->sequence <= client->uplink.mail_after) return;  // seen before
    client->uplink.mail_after = mail->sequence;
    fl_task_mail(client, mail);
}

// The link carries more than check-ins: the next one may be dialled soon.
static void take_answer(fl_client *client, const fl_message *message)
{
    client->uplink.failure_count = 0;
    if (message->type != FL_MESSAGE_PONG) fl_task_answer(client, message);
}

static void dispatch(fl_client *client, const fl_message *message)
{
    switch (message->type) {
    case FL_MESSAGE_MAIL: read_mail(client, &message->mail); break;
    case FL_MESSAGE_STANDING:
        fl_standing_told(client, &message->standing);
        break;
    case FL_MESSAGE_ACK:
    case FL_MESSAGE_REFUSAL:
        if (!client->status.is_connected) {
            if (message->type == FL_MESSAGE_ACK) {
                checked_in(client);
            } else {
                refused(client, &message->refusal);
            }
            break;
        }
        take_answer(client, message);
        break;
    case FL_MESSAGE_PONG:
    case FL_MESSAGE_MANIFEST:
    case FL_MESSAGE_CHUNK:
    case FL_MESSAGE_GRANT: take_answer(client, message); break;
    case FL_MESSAGE_HELLO:
    case FL_MESSAGE_WELCOME:
    case FL_MESSAGE_NOISE:
    case FL_MESSAGE_CHECK_IN:
    case FL_MESSAGE_FETCH:
    case FL_MESSAGE_OPEN:
    case FL_MESSAGE_COMMIT:
    case FL_MESSAGE_PING:
    case FL_MESSAGE_STEP:
    case FL_MESSAGE_JOIN:
        fl_uplink_hang_up(client, "a message that aggregators do not send");
        break;
    }
}

// Before the channel is open anybody may have said this: no reason to leave.
static void refused_in_clear(fl_client *client, const fl_refusal *refusal)
{
    fl_emit_log(client, FL_LOG_WARN, "refused", "code=%u text=%s",
                refusal->code, refusal->text);
    fl_uplink_hang_up_quietly(client);
}

static void greet(fl_client *client, const fl_message *message,
                  const uint8_t *frame, size_t frame_len)
{
    const fl_message_type due = client->uplink.state == FL_UPLINK_GREETING
                                    ? FL_MESSAGE_WELCOME
                                    : FL_MESSAGE_NOISE;
    if (message->type == FL_MESSAGE_REFUSAL) {
        refused_in_clear(client, &message->refusal);
    } else if (message->type != due) {
        fl_uplink_hang_up(client, "a greeting that is not due");
    } else if (due == FL_MESSAGE_WELCOME) {
        welcome(client, &message->welcome, frame, frame_len);
    } else {
        join(client, message);
    }
}

void fl_uplink_frame(fl_client *client, const uint8_t *bytes, size_t len)
{
    fl_uplink *uplink = &client->uplink;
    fl_message message;
    fl_reason why;
    client->status.bytes_down += len + FL_NET_LENGTH_BYTES;
    if (uplink->is_hanging_up || uplink->state < FL_UPLINK_GREETING) return;

    if (fl_line_receive(&uplink->line, &message, client->options.scratch, bytes,
                        len, &why)) {
        fl_uplink_hang_up(client, why.text);
        return;
    }
    uplink->heard_ms = client->now_ms;
    if (uplink->state == FL_UPLINK_UP) {
        dispatch(client, &message);
    } else {
        greet(client, &message, bytes, len);
    }
}

static void ping(fl_client *client)
{
    fl_emit_message(client, &(fl_message){.type = FL_MESSAGE_PING,
                                          .ping = {client->uplink.mail_after,
                                                   client->away}});
}

void fl_uplink_tell_away(fl_client *client)
{
    if (client->uplink.state == FL_UPLINK_UP) {
        ping(client);
    } else if (client->uplink.state == FL_UPLINK_DOWN && !client->away) {
        client->uplink.failure_count = 0;
        fl_uplink_start(client);
    }
}

static bool may_dial(const fl_client *client)
{
    return !client->is_leaving && !fl_absence_is_of_link(client);
}

void fl_uplink_tick(fl_client *client)
{
    fl_uplink *uplink = &client->uplink;
    const int64_t now_ms = client->now_ms;
    switch (uplink->state) {
    case FL_UPLINK_DOWN:
        if (now_ms >= uplink->dial_at_ms && may_dial(client)) dial(client);
        break;
    case FL_UPLINK_DIALING:
    case FL_UPLINK_GREETING:
    case FL_UPLINK_SEALING:
        if (now_ms >= uplink->greet_by_ms) {
            fl_uplink_hang_up(client, "no handshake in time");
        }
        break;
    case FL_UPLINK_UP:
        if (now_ms >= uplink->answer_by_ms) {
            fl_uplink_hang_up(client, "no answer in time");
        } else if (now_ms >= uplink->heard_ms + FL_CLIENT_SILENCE_MS) {
            fl_uplink_hang_up(client, "the aggregator is silent");
        } else if (now_ms >= uplink->ping_at_ms) {
            const double jitter = fl_random_double(&client->backoff) - 0.5;
            uplink->ping_at_ms = now_ms + FL_CLIENT_PING_MS +
                                 (int64_t)(jitter * FL_CLIENT_PING_MS / 4.0);
            ping(client);
        }
        break;
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t fl_uplink_deadline(const fl_client *client)
{
    const fl_uplink *uplink = &client->uplink;
    if (uplink->is_hanging_up) return INT64_MAX;  // LOST is what comes next
    switch (uplink->state) {
    case FL_UPLINK_DOWN:
        return may_dial(client) ? uplink->dial_at_ms : INT64_MAX;
    case FL_UPLINK_DIALING:
    case FL_UPLINK_GREETING:
    case FL_UPLINK_SEALING: return uplink->greet_by_ms;
    case FL_UPLINK_UP:
        return earlier(uplink->answer_by_ms,
                       earlier(uplink->heard_ms + FL_CLIENT_SILENCE_MS,
                               uplink->ping_at_ms));
    }
    return INT64_MAX;
}
