/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include "proto/line.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static const char LABEL[] = "fedge channel 2";

_Static_assert((int)FL_PROTO_SEAL_BYTES == FL_CHANNEL_TAG_BYTES, "the seal");
_Static_assert((int)FL_PROTO_KEY_BYTES == FL_KEY_BYTES, "keys");
_Static_assert((int)FL_PROTO_SIGNATURE_BYTES == FL_SIGNATURE_BYTES, "cards");

enum {
    CARD_BYTES = FL_KEY_BYTES + FL_SIGNATURE_BYTES,  // identity, card
    PROLOGUE_CAP = sizeof LABEL + FL_LINE_GREETING_CAP + FL_LINE_GREETING_CAP,
};

_Static_assert((int)FL_CHANNEL_WRITE_1_BYTES + CARD_BYTES <=
                   FL_PROTO_GREETING_MAX,
               "a handshake message is a greeting");

void fl_line_fini(fl_line *line)
{
    fl_secret_wipe(line, sizeof *line);
}

bool fl_line_is_sealed(const fl_line *line)
{
    return line->channel.state == FL_CHANNEL_READY;
}

/* ---- frames ---- */

static bool travels_in_clear(fl_message_type type)
{
    return type == FL_MESSAGE_HELLO || type == FL_MESSAGE_WELCOME ||
           type == FL_MESSAGE_NOISE || type == FL_MESSAGE_REFUSAL;
}

static fl_err send_clear(const fl_line *line, uint8_t *dst, size_t dst_cap,
                         size_t *len, fl_message *message)
{
    if (line->channel.state == FL_CHANNEL_FAILED) return FL_ERR_STATE;
    if (!travels_in_clear(message->type)) return FL_ERR_STATE;
    memset(message->session, 0, sizeof message->session);
    message->counter = 0;
    return fl_message_encode(dst, dst_cap, len, message);
}

fl_err fl_line_send(fl_line *line, uint8_t *dst, size_t dst_cap, size_t *len,
                    fl_message *message)
{
    if (!fl_line_is_sealed(line)) {
        return send_clear(line, dst, dst_cap, len, message);
    }
    if (dst_cap < FL_PROTO_SEAL_BYTES) return FL_ERR_SPACE;
    memcpy(message->session, line->session, sizeof message->session);
    message->counter = fl_channel_next_out(&line->channel);
    FL_TRY(fl_message_encode(dst, dst_cap - FL_PROTO_SEAL_BYTES, len, message));
    FL_TRY(fl_channel_seal(&line->channel, dst, FL_PROTO_HEADER_BYTES, *len));
    *len += FL_PROTO_SEAL_BYTES;
    return FL_OK;
}

static fl_err receive_clear(const fl_line *line, fl_message *message,
                            fl_arena *arena, const uint8_t *src, size_t src_len,
                            fl_reason *why)
{
    static const uint8_t none[FL_PROTO_SESSION_BYTES];
    if (line->channel.state == FL_CHANNEL_FAILED) {
        return fl_reason_set(why, FL_ERR_AUTH, "the channel has failed");
    }
    FL_TRY(fl_message_decode(message, arena, src, src_len, why));
    if (!travels_in_clear(message->type) || message->counter != 0 ||
        memcmp(message->session, none, sizeof none) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "%s: not to be said before the channel is open",
                             fl_message_type_name(message->type));
    }
    return FL_OK;
}

fl_err fl_line_receive(fl_line *line, fl_message *message, fl_arena *arena,
                       const uint8_t *src, size_t src_len, fl_reason *why)
{
    if (!fl_line_is_sealed(line)) {
        return receive_clear(line, message, arena, src, src_len, why);
    }
    FL_TRY(fl_message_decode_head(message, src, src_len, why));
    if (message->counter != fl_channel_next_in(&line->channel) ||
        memcmp(message->session, line->session, sizeof line->session) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "a frame of another session, or not the next one");
    }
    uint8_t *bytes = fl_arena_take(arena, src_len);
    if (!bytes) return fl_reason_set(why, FL_ERR_MEMORY, "frame too long");
    memcpy(bytes, src, src_len);
    if (fl_channel_unseal(&line->channel, bytes, FL_PROTO_HEADER_BYTES,
                          &src_len)) {
        return fl_reason_set(why, FL_ERR_AUTH, "a frame that does not open");
    }
    const fl_err err = fl_message_decode(message, arena, bytes, src_len, why);
    // It borrows nothing, and what it brings is a secret.
    if (message->type == FL_MESSAGE_JOIN) fl_secret_wipe(bytes, src_len);
    return err;
}

/* ---- greeting ---- */

static void write_greeting(uint8_t dst[FL_LINE_GREETING_CAP], size_t *len,
                           const fl_message *message)
{
    const fl_err err =
        fl_message_encode(dst, FL_LINE_GREETING_CAP, len, message);
    assert(!err);
}

// peer NULL: we are the aggregator.
static void begin(fl_line *line, const fl_identity *identity,
                  const uint8_t *peer, const fl_greeting *greeting)
{
    uint8_t prologue[PROLOGUE_CAP];
    fl_writer out = fl_writer_over(prologue, sizeof prologue);
    fl_writer_bytes(&out, LABEL, sizeof LABEL);  // with its final 0
    fl_writer_bytes(&out, greeting->hello, greeting->hello_len);
    fl_writer_bytes(&out, greeting->welcome, greeting->welcome_len);
    assert(!out.failed);
    fl_channel_init(&line->channel, identity, peer, prologue, out.len);
}

static fl_err write_noise(fl_line *line, uint8_t dst[FL_LINE_GREETING_CAP],
                          size_t *len, const uint8_t *fresh,
                          const void *payload, size_t payload_len)
{
    uint8_t bytes[FL_PROTO_GREETING_MAX];
    fl_message message = {.type = FL_MESSAGE_NOISE, .noise = {.bytes = bytes}};
    FL_TRY(fl_channel_write(&line->channel, bytes, &message.noise.len, fresh,
                            payload, payload_len));
    write_greeting(dst, len, &message);
    return FL_OK;
}

void fl_line_hello(uint8_t dst[FL_LINE_GREETING_CAP], size_t *len,
                   const char *build)
{
    fl_message message = {.type = FL_MESSAGE_HELLO,
                          .hello = {.version_min = FL_PROTO_VERSION,
                                    .version_max = FL_PROTO_VERSION}};
    snprintf(message.hello.build, sizeof message.hello.build, "%s", build);
    write_greeting(dst, len, &message);
}

void fl_line_welcome(fl_line *line, uint8_t dst[FL_LINE_GREETING_CAP],
                     size_t *len, const fl_identity *identity,
                     const uint8_t *hello, size_t hello_len)
{
    fl_device own;
    fl_device_init(&own, identity, "aggregator");
    fl_message message = {.type = FL_MESSAGE_WELCOME,
                          .welcome = {.version = FL_PROTO_VERSION}};
    memcpy(message.welcome.public_key, own.identity, FL_KEY_BYTES);
    memcpy(message.welcome.channel_key, own.channel, FL_KEY_BYTES);
    memcpy(message.welcome.card, own.card, FL_SIGNATURE_BYTES);
    write_greeting(dst, len, &message);
    begin(line, identity, NULL,
          &(fl_greeting){.hello = hello,
                         .hello_len = hello_len,
                         .welcome = dst,
                         .welcome_len = *len});
}

fl_err fl_line_check_welcome(const fl_welcome *welcome)
{
    if (welcome->version != FL_PROTO_VERSION) return FL_ERR_UNSUPPORTED;
    fl_device peer = {.name = ""};
    memcpy(peer.identity, welcome->public_key, FL_KEY_BYTES);
    memcpy(peer.channel, welcome->channel_key, FL_KEY_BYTES);
    memcpy(peer.card, welcome->card, FL_SIGNATURE_BYTES);
    return fl_device_check(&peer);
}

fl_err fl_line_greet(fl_line *line, uint8_t dst[FL_LINE_GREETING_CAP],
                     size_t *len, const fl_identity *identity,
                     const fl_greeting *greeting,
                     const uint8_t fresh[FL_LINE_FRESH_BYTES])
{
    fl_device own;
    uint8_t card[CARD_BYTES];
    fl_device_init(&own, identity, "client");
    memcpy(card, own.identity, FL_KEY_BYTES);
    memcpy(card + FL_KEY_BYTES, own.card, FL_SIGNATURE_BYTES);
    memcpy(line->peer, greeting->words->public_key, FL_KEY_BYTES);
    begin(line, identity, greeting->words->channel_key, greeting);
    return write_noise(line, dst, len, fresh, card, sizeof card);
}

// Whether the identity in the client's payload stands for the key it proved.
static fl_err check_client(fl_line *line, const uint8_t *payload, size_t len)
{
    fl_device client = {.name = ""};
    if (len != CARD_BYTES) return FL_ERR_FORMAT;
    memcpy(client.identity, payload, FL_KEY_BYTES);
    memcpy(client.card, payload + FL_KEY_BYTES, FL_SIGNATURE_BYTES);
    memcpy(client.channel, line->channel.peer_public, FL_KEY_BYTES);
    FL_TRY(fl_device_check(&client));
    memcpy(line->peer, client.identity, FL_KEY_BYTES);
    line->device = client;
    return FL_OK;
}

fl_err fl_line_admit(fl_line *line, uint8_t dst[FL_LINE_GREETING_CAP],
                     size_t *len, const fl_message *noise,
                     const uint8_t session[FL_PROTO_SESSION_BYTES],
                     const uint8_t fresh[FL_LINE_FRESH_BYTES])
{
    uint8_t payload[FL_CHANNEL_PAYLOAD_MAX];
    size_t payload_len;
    FL_TRY(fl_channel_read(&line->channel, payload, &payload_len,
                           noise->noise.bytes, noise->noise.len));
    FL_TRY(check_client(line, payload, payload_len));
    memcpy(line->session, session, sizeof line->session);
    return write_noise(line, dst, len, fresh, session, FL_PROTO_SESSION_BYTES);
}

fl_err fl_line_join(fl_line *line, const fl_message *noise)
{
    uint8_t payload[FL_CHANNEL_PAYLOAD_MAX];
    size_t payload_len;
    FL_TRY(fl_channel_read(&line->channel, payload, &payload_len,
                           noise->noise.bytes, noise->noise.len));
    if (payload_len != sizeof line->session) return FL_ERR_FORMAT;
    memcpy(line->session, payload, sizeof line->session);
    return FL_OK;
}
