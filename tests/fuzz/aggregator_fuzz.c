/* Whatever clients say after the handshake: the aggregator does not crash or
 * spin, and answers what can be decoded (tests/support/lab.c looks).
 *
 * An input is a script: one byte says what happens and to which of the hands,
 * the next ones how. Frames are sealed as they should be, so that their bodies
 * matter; honest steps are among them, so that rounds get far.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/support/lab.h"

enum { KEPT_MAX = 16 << 20, HANDS = 4 };

typedef struct {
    const uint8_t *at, *end;
} script;

static uint8_t next_byte(script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static bool is_there(const fl_hand *hand)
{
    return hand->conn != 0 && !hand->is_closed;
}

static void say_anything(fl_hand *hand, script *s)
{
    fl_message header = {.type = (fl_message_type)(next_byte(s) & 0x1f),
                         .operation = ++hand->operation};
    header.round = next_byte(s);
    const size_t wanted = (size_t)next_byte(s) * 4;
    const size_t left = (size_t)(s->end - s->at);
    const size_t len = wanted < left ? wanted : left;
    const uint8_t *body = s->at;
    s->at += len;
    fl_hand_send_body(hand, &header, body, len);
}

static void fetch(fl_hand *hand, const fl_plan *plan, uint8_t how)
{
    fl_message message = {.type = FL_MESSAGE_FETCH,
                          .fetch = {.wants_manifest = how == 0}};
    if (how > 0) message.fetch.index = how - 1U;
    memcpy(message.fetch.object, plan->model, FL_HASH_BYTES);
    fl_hand_send(hand, &message);
}

// A step of an upload that is right, or nearly.
static void upload(fl_lab *lab, fl_hand *hand, fl_plan *plan, uint8_t how)
{
    fl_parcel parcel;
    const size_t count = lab->param_count - (how & 0x40 ? 1 : 0);
    const float value = how & 0x20 ? 1e9F : 0.25F;
    fl_parcel_init(&parcel, plan, count, value);
    const uint8_t step = how & 0xf;
    if (how & 0x80) parcel.bytes[0] ^= 1;
    if (step == 0) fl_hand_open(hand, plan, &parcel);
    if (step == 1) fl_hand_commit(hand, plan, &parcel);
    if (step == 2 && is_there(hand)) fl_hand_deliver(hand, plan, &parcel);
    if (step > 2 && step - 3U < parcel.chunk_count) {
        fl_hand_put(hand, plan, &parcel, step - 3U);
    }
    fl_parcel_fini(&parcel);
}

static void join(fl_lab *lab, int i, uint8_t how)
{
    fl_hand *hand = &lab->hands[i];
    if (hand->conn) fl_hand_disconnect(hand);
    // Fewer keys than hands: the newest connection of a key wins.
    const uint8_t key = (uint8_t)(1 + how % 3);
    if (how < 0xe0) {
        fl_lab_join(lab, i, key);
    } else {
        fl_lab_connect(lab, i, key);
    }
}

static void play(fl_lab *lab, script *s)
{
    fl_plan plan = {.round = 1};
    while (s->at < s->end) {
        const uint8_t what = next_byte(s);
        const int i = what >> 3 & (HANDS - 1);
        fl_hand *hand = &lab->hands[i];
        if (hand->is_closed) fl_hand_disconnect(hand);
        hand->is_closed = false;
        for (int h = 0; h < HANDS; h++) {
            const fl_message *mail =
                fl_hand_take(&lab->hands[h], FL_MESSAGE_MAIL);
            if (mail && mail->mail.kind == FL_MAIL_PLAN) plan = mail->mail.plan;
            lab->hands[h].inbox_len = 0;
        }
        if (lab->kept.used > KEPT_MAX) fl_arena_reset(&lab->kept);
        if (what % 8 == 6) {
            fl_lab_wait(lab, next_byte(s) * 512);
            if (fl_aggregator_deadline(lab->aggregator) <= lab->now_ms) {
                abort();
            }
        } else if (what % 8 == 5) {
            join(lab, i, next_byte(s));
        } else if (what == 7) {
            lab->save_err = next_byte(s) % 2 ? FL_ERR_SYSTEM : FL_OK;
        } else if (what == 255) {
            fl_lab_stop(lab);
        } else if (!is_there(hand)) {
            continue;
        } else if (what % 8 < 2) {
            say_anything(hand, s);
        } else if (!fl_line_is_sealed(&hand->line)) {
            continue;  // only connected: it cannot say what follows
        } else if (what % 8 == 2) {
            fetch(hand, &plan, next_byte(s));
        } else {
            upload(lab, hand, &plan, next_byte(s));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_lab *lab = calloc(1, sizeof *lab);
    fl_aggregator_options options = fl_lab_options();
    script s = {data, data + len};
    if (!lab) abort();
    options.upload_bytes_cap = 400000;  // one update, not two
    fl_lab_init(lab, &options);
    for (int i = 0; i < 2; i++)
        fl_lab_join(lab, i, (uint8_t)(i + 1));
    play(lab, &s);
    fl_lab_fini(lab);
    free(lab);
    return 0;
}
