/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/lab.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/frame.h"
#include "tests/support/packing.h"
#include "tests/test.h"

enum {
    ARENA_CAP = 64 << 20,
    FRAME_CAP = FL_PROTO_FRAME_MAX + 512,
    BODY_MAX = 4096,
};

static void draw_bytes(void *self, void *dst, size_t len)
{
    fl_lab *lab = self;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)dst)[i] = (uint8_t)(lab->random = lab->random * 69069 + 1);
}

static fl_hand *hand_of(fl_lab *lab, fl_conn conn)
{
    for (int i = 0; i < FL_LAB_HANDS; i++) {
        if (lab->hands[i].conn == conn) return &lab->hands[i];
    }
    return NULL;
}

static void deliver(fl_lab *lab, const fl_aggregator_effect *effect)
{
    fl_hand *hand = hand_of(lab, effect->conn);
    uint8_t *bytes = fl_arena_take(&lab->kept, effect->len);
    if (!hand || !bytes || hand->inbox_len == FL_LAB_INBOX) {
        fail_msg("nowhere to put a frame");
        return;
    }
    memcpy(bytes, effect->bytes, effect->len);
    hand->frame = bytes;
    hand->frame_len = effect->len;
    assert_ok(fl_line_receive(&hand->line, &hand->inbox[hand->inbox_len++],
                              &lab->kept, bytes, effect->len, NULL));
}

static void keep_model(fl_lab *lab, const uint8_t *bytes, size_t len)
{
    fl_model *model;
    assert_ok(fl_model_decode(&model, bytes, len, NULL));
    free(lab->params);
    lab->param_count = fl_model_param_count(model);
    lab->params = malloc(lab->param_count * sizeof *lab->params);
    assert_non_null(lab->params);
    memcpy(lab->params, fl_model_params(model),
           lab->param_count * sizeof *lab->params);
    fl_model_free(model);
}

static void keep_list(fl_lab *lab, const uint8_t *bytes, size_t len)
{
    free(lab->list);
    lab->list = malloc(len);
    assert_non_null(lab->list);
    memcpy(lab->list, bytes, len);
    lab->list_len = len;
}

static void do_effects(fl_lab *lab, const fl_aggregator_effect *effects,
                       size_t count)
{
    bool must_evaluate = false, must_save = false;
    for (size_t i = 0; i < count; i++) {
        const fl_aggregator_effect *effect = &effects[i];
        if (effect->kind == FL_AGGREGATOR_SEND) deliver(lab, effect);
        if (effect->kind == FL_AGGREGATOR_CLOSE) {
            fl_hand *hand = hand_of(lab, effect->conn);
            if (hand) hand->is_closed = true;
        }
        if (effect->kind == FL_AGGREGATOR_EVALUATE) must_evaluate = true;
        if (effect->kind == FL_AGGREGATOR_UNMASK) lab->secagg = effect->secagg;
        if (effect->kind == FL_AGGREGATOR_SAVE_LIST) {
            keep_list(lab, effect->bytes, effect->len);
            lab->list_count++;
        }
        if (effect->kind == FL_AGGREGATOR_JOIN) {
            lab->join_count++;
            lab->asking = effect->conn;
            lab->asking_device = *effect->device;
            lab->asked = *effect->join;
        }
        if (effect->kind == FL_AGGREGATOR_LEAVE) lab->has_left = true;
        if (effect->kind != FL_AGGREGATOR_SAVE_ROUND) continue;
        must_save = true;
        lab->tried_count++;
        if (lab->save_err) continue;
        lab->saved_count++;
        lab->round = *effect->round;
        keep_model(lab, effect->bytes, effect->len);
    }
    if (lab->secagg && !lab->keeps_unmask_waiting) fl_lab_unmask(lab);
    if (must_evaluate)
        fl_lab_tell(lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_EVALUATED,
                                               .metrics = lab->metrics});
    if (must_save)
        fl_lab_tell(lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_SAVED,
                                               .err = lab->save_err});
}

void fl_lab_tell(fl_lab *lab, fl_aggregator_event event)
{
    const fl_aggregator_effect *effects;
    size_t count;
    event.now_ms = lab->now_ms;
    fl_aggregator_step(lab->aggregator, &event, &effects, &count);
    do_effects(lab, effects, count);
}

void fl_lab_unmask(fl_lab *lab)
{
    fl_reason why = {"a share that nobody has dealt"};
    fl_secagg *secagg = lab->secagg;
    assert_non_null(secagg);
    lab->secagg = NULL;
    const fl_err err =
        lab->unmask_err ? lab->unmask_err : fl_secagg_unmask(secagg, 1, &why);
    fl_lab_tell(lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_UNMASKED,
                                           .err = err,
                                           .why = why.text});
}

fl_aggregator_options fl_lab_options(void)
{
    fl_aggregator_options options = {
        .round_count = 3,
        .norm_rounds = 1,
        .cohort = 2,
        .quorum = 1,
        .deadline_ms = 60000,
        .evaluate_every = 1,
        .training = {.local_epochs = 1, .batch = 32, .lr = 0.05F},
        .seed = 1,
        .start_count = 1,
        .client_cap = 16,
        .upload_bytes_cap = 1 << 24,
        .aggregation = FL_AGGREGATION_CLEAR,
        .codec = FL_CODEC_NONE,
        .density = 1.0,
        .density_small = 1.0,
        .release = 1.0,
        .lr_decay = 1.0,
        .value_clip = 1.0,
        .weight_max = 10,
        .phase_ms = 10000,
        .farewell_ms = 60000,
    };
    fl_identity_init(&options.identity, (const uint8_t[FL_SEED_BYTES]){99});
    return options;
}

fl_aggregator_options fl_lab_secure_options(uint32_t cohort)
{
    static fl_identity authority;
    fl_aggregator_options options = fl_lab_options();
    fl_identity_init(&authority, (const uint8_t[FL_SEED_BYTES]){98});
    options.aggregation = FL_AGGREGATION_SECURE;
    options.codec = FL_CODEC_DENSE;
    options.codec_bits = 20;
    options.is_overflow_free = true;
    options.cohort = cohort;
    options.min_survivors = 3;
    options.authority = &authority;
    return options;
}

void fl_lab_init(fl_lab *lab, const fl_aggregator_options *options)
{
    fl_aggregator_options mine = *options;
    *lab = (fl_lab){.metrics = {.sample_count = 100, .correct_count = 50}};
    fl_arena_init(&lab->scratch, ARENA_CAP);
    fl_arena_init(&lab->kept, ARENA_CAP);
    if (options->list) keep_list(lab, options->list, options->list_len);
    mine.scratch = &lab->scratch;
    mine.random_bytes = draw_bytes;
    mine.random_self = lab;
    fl_model *model;
    assert_ok(fl_secure_start());
    assert_ok(fl_model_new(&model,
                           &(fl_model_options){.name = "lenet",
                                               .input = {28, 28, 1},
                                               .class_count = 10},
                           NULL));
    assert_ok(fl_aggregator_new(&lab->aggregator, &mine, 0, model, NULL));
    size_t len;
    const uint8_t *bytes = fl_aggregator_model(lab->aggregator, &len);
    keep_model(lab, bytes, len);
    fl_lab_tell(lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_TICK});
}

void fl_lab_fini(fl_lab *lab)
{
    fl_aggregator_free(lab->aggregator);
    fl_arena_fini(&lab->scratch);
    fl_arena_fini(&lab->kept);
    free(lab->params);
    free(lab->list);
}

void fl_lab_wait(fl_lab *lab, int64_t ms)
{
    lab->now_ms += ms;
    fl_lab_tell(lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_TICK});
}

void fl_lab_stop(fl_lab *lab)
{
    fl_lab_tell(lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_STOP});
}

fl_hand *fl_lab_connect(fl_lab *lab, int i, uint8_t key)
{
    static fl_conn last_conn;
    fl_hand *hand = &lab->hands[i];
    *hand = (fl_hand){.lab = lab, .conn = ++last_conn};
    fl_identity_init(&hand->identity, (const uint8_t[FL_SEED_BYTES]){key});
    fl_lab_tell(lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_OPENED,
                                           .conn = hand->conn});
    return hand;
}

fl_greeting fl_hand_hello(fl_hand *hand)
{
    uint8_t *hello = fl_arena_take(&hand->lab->kept, FL_LINE_GREETING_CAP);
    assert_non_null(hello);
    fl_greeting greeting = {.hello = hello};
    fl_line_hello(hello, &greeting.hello_len, "hand");
    fl_hand_send_bytes(hand, hello, greeting.hello_len);
    const fl_message *answer = fl_hand_take(hand, FL_MESSAGE_WELCOME);
    assert_non_null(answer);
    assert_ok(fl_line_check_welcome(&answer->welcome));
    greeting.words = &answer->welcome;
    greeting.welcome = hand->frame;
    greeting.welcome_len = hand->frame_len;
    return greeting;
}

void fl_hand_noise(fl_hand *hand, const fl_greeting *greeting)
{
    uint8_t frame[FL_LINE_GREETING_CAP], fresh[FL_LINE_FRESH_BYTES];
    size_t len;
    draw_bytes(hand->lab, fresh, sizeof fresh);
    assert_ok(fl_line_greet(&hand->line, frame, &len, &hand->identity, greeting,
                            fresh));
    fl_hand_send_bytes(hand, frame, len);
}

void fl_hand_join(fl_hand *hand)
{
    const fl_message *noise = fl_hand_take(hand, FL_MESSAGE_NOISE);
    assert_non_null(noise);
    assert_ok(fl_line_join(&hand->line, noise));
}

void fl_hand_greet(fl_hand *hand)
{
    const fl_greeting greeting = fl_hand_hello(hand);
    fl_hand_noise(hand, &greeting);
    fl_hand_join(hand);
}

fl_message fl_hand_check_in(void)
{
    return (fl_message){.type = FL_MESSAGE_CHECK_IN};
}

fl_hand *fl_lab_join(fl_lab *lab, int i, uint8_t key)
{
    fl_hand *hand = fl_lab_connect(lab, i, key);
    fl_hand_greet(hand);
    fl_message check_in = fl_hand_check_in();
    fl_hand_send(hand, &check_in);
    assert_non_null(fl_hand_take(hand, FL_MESSAGE_ACK));
    return hand;
}

void fl_hand_disconnect(fl_hand *hand)
{
    const fl_conn conn = hand->conn;
    hand->conn = 0;
    fl_lab_tell(hand->lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_CLOSED,
                                                 .conn = conn});
}

void fl_hand_send(fl_hand *hand, fl_message *message)
{
    static uint8_t bytes[FRAME_CAP];
    size_t len;
    if (message->operation == 0) message->operation = ++hand->operation;
    assert_ok(fl_line_send(&hand->line, bytes, sizeof bytes, &len, message));
    fl_hand_send_bytes(hand, bytes, len);
}

void fl_hand_send_body(fl_hand *hand, const fl_message *header,
                       const uint8_t *body, size_t len)
{
    uint8_t frame[BODY_MAX + FL_FRAME_REST_BYTES];
    fl_hand_send_bytes(hand, frame,
                       fl_frame_seal(frame, &hand->line, header, body, len));
}

void fl_hand_send_bytes(fl_hand *hand, const uint8_t *bytes, size_t len)
{
    fl_lab_tell(hand->lab, (fl_aggregator_event){.kind = FL_AGGREGATOR_FRAME,
                                                 .conn = hand->conn,
                                                 .bytes = bytes,
                                                 .len = len});
}

const fl_message *fl_hand_next(fl_hand *hand)
{
    if (hand->inbox_len == 0) return NULL;
    fl_message *copy = fl_arena_take(&hand->lab->kept, sizeof *copy);
    assert_non_null(copy);
    *copy = hand->inbox[0];
    hand->inbox_len--;
    memmove(hand->inbox, hand->inbox + 1,
            hand->inbox_len * sizeof *hand->inbox);
    return copy;
}

const fl_message *fl_hand_take(fl_hand *hand, fl_message_type type)
{
    const fl_message *message;
    while ((message = fl_hand_next(hand)) && message->type != type)
        continue;
    return message;
}

/* ---- updates ---- */

void fl_parcel_wrap(fl_parcel *parcel, fl_object_kind kind, uint32_t round,
                    uint8_t *bytes, size_t len)
{
    parcel->bytes = bytes;
    parcel->len = len;
    parcel->chunk_count = fl_manifest_chunk_count(parcel->len);
    uint8_t *hashes = malloc((size_t)parcel->chunk_count * FL_HASH_BYTES);
    const size_t cap = fl_manifest_bound(parcel->chunk_count);
    parcel->manifest = malloc(cap);
    assert_non_null(hashes);
    assert_non_null(parcel->manifest);
    fl_parts_hash_all(hashes, parcel->bytes, parcel->len, FL_PROTO_CHUNK_BYTES,
                      fl_hash);
    const fl_manifest manifest = {.kind = kind,
                                  .round = round,
                                  .size = parcel->len,
                                  .chunk_bytes = FL_PROTO_CHUNK_BYTES,
                                  .chunk_count = parcel->chunk_count,
                                  .chunk_hashes = hashes};
    assert_ok(fl_manifest_encode(parcel->manifest, cap, &parcel->manifest_len,
                                 &manifest));
    fl_hash(parcel->name, parcel->manifest, parcel->manifest_len);
    free(hashes);
}

// The plan, for an update of another length.
static fl_plan stretch(const fl_plan *plan, size_t param_count)
{
    fl_plan own = *plan;
    if (own.param_count == param_count) return own;
    own.param_count = param_count;
    own.run_count = 1;
    own.runs[0] = (uint32_t)param_count * 4 + FL_GROUP_LARGE;
    return own;
}

void fl_parcel_init(fl_parcel *parcel, const fl_plan *plan, size_t param_count,
                    float value)
{
    const bool is_honest = fabsf(value) <= plan->value_clip;
    const fl_plan own = stretch(plan, param_count);
    size_t len;
    uint8_t *bytes = fl_packing_bytes(&len, &own, is_honest ? value : 0.0F);
    if (!is_honest) memset(bytes, 0xff, len < 64 ? len : 64);
    fl_parcel_wrap(parcel, FL_OBJECT_UPDATE, plan->round, bytes, len);
}

void fl_parcel_fini(fl_parcel *parcel)
{
    free(parcel->bytes);
    free(parcel->manifest);
}

void fl_hand_open(fl_hand *hand, const fl_plan *plan, const fl_parcel *parcel)
{
    fl_message open = {.type = FL_MESSAGE_OPEN,
                       .round = plan->round,
                       .open = {.manifest = parcel->manifest,
                                .manifest_len = parcel->manifest_len}};
    memcpy(open.open.model, plan->model, FL_HASH_BYTES);
    fl_hand_send(hand, &open);
}

void fl_hand_put(fl_hand *hand, const fl_plan *plan, const fl_parcel *parcel,
                 uint32_t index)
{
    const size_t at = (size_t)index * FL_PROTO_CHUNK_BYTES;
    const size_t left = parcel->len - at;
    fl_message chunk = {.type = FL_MESSAGE_CHUNK,
                        .round = plan->round,
                        .chunk = {.index = index,
                                  .bytes = parcel->bytes + at,
                                  .len = left < FL_PROTO_CHUNK_BYTES
                                             ? left
                                             : FL_PROTO_CHUNK_BYTES}};
    memcpy(chunk.chunk.object, parcel->name, FL_HASH_BYTES);
    fl_hand_send(hand, &chunk);
}

void fl_hand_commit(fl_hand *hand, const fl_plan *plan, const fl_parcel *parcel)
{
    fl_message commit = {.type = FL_MESSAGE_COMMIT, .round = plan->round};
    memcpy(commit.commit.object, parcel->name, FL_HASH_BYTES);
    fl_hand_send(hand, &commit);
}

const fl_message *fl_hand_deliver(fl_hand *hand, const fl_plan *plan,
                                  const fl_parcel *parcel)
{
    fl_hand_open(hand, plan, parcel);
    for (uint32_t i = 0; i < parcel->chunk_count; i++)
        fl_hand_put(hand, plan, parcel, i);
    hand->inbox_len = 0;
    fl_hand_commit(hand, plan, parcel);
    return fl_hand_next(hand);
}
