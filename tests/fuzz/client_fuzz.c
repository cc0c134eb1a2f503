/* Whatever an aggregator says after the handshake: the client does not crash,
 * spin, or ask its host for nonsense (tests/support/host.c looks).
 *
 * An input is a script: one byte says what happens, the next ones how. Frames
 * are sealed as they should be, so that their bodies matter; honest
 * answers are among the things that can happen, so that tasks get far.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/host.h"

enum { KEPT_MAX = 16 << 20, INBOX_MAX = 64 };

typedef struct {
    const uint8_t *at, *end;
} script;

static uint8_t next_byte(script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

// A frame whose head is right but for its type, operation and round.
static void say_anything(fl_host *host, script *s)
{
    const uint8_t type = next_byte(s);
    fl_message header = {.type = (fl_message_type)(type & 0x1f)};
    header.operation = host->inbox_len > 0 && type & 0x80
                           ? host->inbox[0].operation
                           : UINT64_C(1) << 32 | next_byte(s);
    header.round = next_byte(s);
    const size_t wanted = (size_t)next_byte(s) * 4;
    const size_t left = (size_t)(s->end - s->at);
    const size_t len = wanted < left ? wanted : left;
    const uint8_t *body = s->at;
    s->at += len;
    fl_host_send_body(host, &header, body, len);
}

// A patch or a packed model that leads nowhere, of two chunks.
static void make_shortcut(fl_parcel *shortcut, fl_object_kind kind)
{
    const size_t len = FL_PROTO_CHUNK_BYTES + 1;
    uint8_t *bytes = calloc(1, len);
    if (!bytes) abort();
    fl_parcel_wrap(shortcut, kind, 0, bytes, len);
}

// The one that is asked for by its own name, or one instead of the model.
static bool serve_shortcut(fl_host *host, const fl_message *fetch, uint8_t how)
{
    static const fl_object_kind kinds[] = {FL_OBJECT_PATCH, FL_OBJECT_PACKED};
    static fl_parcel shortcuts[2];  // made once
    const uint8_t *wanted = fetch->fetch.object;
    for (size_t i = 0; i < 2; i++) {
        fl_parcel *shortcut = &shortcuts[i];
        if (!shortcut->bytes) make_shortcut(shortcut, kinds[i]);
        const bool is_asked_for =
            memcmp(wanted, shortcut->name, FL_HASH_BYTES) == 0;
        const bool is_offered =
            fetch->fetch.wants_manifest && (how & 0xf0) == 0xe0;
        if (is_asked_for || (is_offered && how % 2 == i)) {
            fl_host_serve_as(host, fetch, shortcut);
            return true;
        }
    }
    return false;
}

static void answer_honestly(fl_host *host, script *s)
{
    const fl_message *message = fl_host_next(host);
    if (!message) return;
    const uint8_t how = next_byte(s);
    if (how >= 0xf0) {
        fl_host_refuse(host, message, 1 + how % 8);
    } else if (message->type == FL_MESSAGE_FETCH) {
        if (!serve_shortcut(host, message, how)) fl_host_serve(host, message);
    } else if (message->type == FL_MESSAGE_OPEN) {
        fl_host_grant(host, message, how % 9, how >> 4);
    } else if (message->type == FL_MESSAGE_CHUNK ||
               message->type == FL_MESSAGE_COMMIT) {
        fl_host_ack(host, message);
    }
}

static void end_training(fl_host *host, uint8_t how)
{
    if (!host->is_training) return;
    if (how % 4 == 0) {
        fl_host_failed(host, FL_ERR_RANGE);
    } else {
        fl_host_trained(host, host->chunks);
    }
}

static void send_mail(fl_host *host, uint8_t how)
{
    free(host->found_model);
    host->found_model = how & 0x80 ? calloc(1, 1) : NULL;
    host->found_model_len = 1;
    free(host->found_base);
    host->found_base = how & 0x40 ? calloc(1, 1) : NULL;
    host->found_base_len = 1;
    fl_host_mail(host, (fl_mail_kind)(1 + how % 3), 1 + (how >> 2 & 7));
}

static void join(fl_host *host)
{
    if (host->is_open || host->is_dialling) fl_host_lose(host);
    if (!host->has_left) fl_host_join(host);
}

static void play(fl_host *host, script *s)
{
    join(host);
    while (s->at < s->end) {
        if (host->kept.used > KEPT_MAX || host->inbox_len > INBOX_MAX) {
            host->inbox_len = 0;
            fl_arena_reset(&host->kept);
        }
        if (host->has_hung_up && !host->has_left) join(host);
        if (!host->is_open) return;
        switch (next_byte(s) % 8) {
        case 0:
        case 1: say_anything(host, s); break;
        case 2:
        case 3: answer_honestly(host, s); break;
        case 4: send_mail(host, next_byte(s)); break;
        case 5: end_training(host, next_byte(s)); break;
        case 6: fl_host_wait(host, next_byte(s) * 256); break;
        case 7: {
            const uint8_t how = next_byte(s);
            if (how < 0xf0) {
                join(host);
            } else {
                fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_STOP});
            }
            break;
        }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_host *host = calloc(1, sizeof *host);
    const fl_client_options options = fl_host_options();
    script s = {data, data + len};
    if (!host) abort();
    fl_host_init(host, &options);
    host->chunks = 3;
    play(host, &s);
    fl_host_fini(host);
    free(host);
    return 0;
}
