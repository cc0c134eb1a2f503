/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/script.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "secure/shamir.h"
#include "tests/test.h"

/* ---- life ---- */

static void draw(void *self, void *dst, size_t len)
{
    uint8_t *bytes = dst;
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(fl_random_u32(self) >> 13);
    }
}

static void *zeros(size_t count, size_t len)
{
    void *made = calloc(count, len);
    assert_non_null(made);
    return made;
}

static int compare_identities(const void *a, const void *b)
{
    const fl_identity *left = a, *right = b;
    return memcmp(left->public_key, right->public_key, FL_KEY_BYTES);
}

static void enrol(fl_script *script)
{
    const uint32_t count = 2 * script->n + 1;
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, script->n);
    uint8_t seed[FL_SEED_BYTES];
    draw(&random, seed, sizeof seed);
    fl_identity_init(&script->aggregator, seed);

    script->identities = zeros(count, sizeof *script->identities);
    for (uint32_t i = 0; i < count; i++) {
        draw(&random, seed, sizeof seed);
        fl_identity_init(&script->identities[i], seed);
    }
    qsort(script->identities, count, sizeof *script->identities,
          compare_identities);
    fl_enrolment *list = &script->enrolment;
    list->device_count = count;
    list->devices = zeros(count, sizeof *list->devices);
    memset(list->hash, 0x55, sizeof list->hash);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(list->devices[i].identity, script->identities[i].public_key,
               FL_KEY_BYTES);
    }
}

static void make_session(fl_script *script)
{
    fl_session *session = &script->session;
    session->client_min = 2;
    session->client_cap = script->n;
    session->word_count = FL_SCRIPT_WORDS;
    session->phase_ms = 1000;
    session->round = 4;
    session->number = 100;
    memset(session->id, 0x11, sizeof session->id);
    memset(session->model, 0x22, sizeof session->model);
    memset(session->task, 0x33, sizeof session->task);
    memset(session->enrolment, 0x55, sizeof session->enrolment);
}

static void make_client(fl_script *script, uint32_t slot)
{
    fl_script_client *client = &script->clients[slot];
    fl_random_init(&client->random, 2, FL_RANDOM_TEST, slot);
    fl_party_options *options = &client->options;
    *options = (fl_party_options){
        .identity = &script->identities[2 * slot + 1],
        .enrolment = &script->enrolment,
        .round = 4,
        .word_count = FL_SCRIPT_WORDS,
        .client_min = 2,
        .number_after = 99,
        .random_bytes = draw,
        .random_self = &client->random,
    };
    memcpy(options->federation, script->aggregator.public_key, FL_KEY_BYTES);
    memset(options->model, 0x22, sizeof options->model);
    memset(options->task, 0x33, sizeof options->task);
    assert_ok(fl_party_new(&client->party, options));
    client->choice = zeros(1, script->bitmap_len);
    for (size_t i = 0; i < FL_SCRIPT_WORDS; i++) {
        client->plain[i] = (slot * 31 + i * 17 + 1) * 0x9e3779b97f4a7c15;
    }
}

fl_script *fl_script_new(uint32_t n)
{
    fl_script *script = zeros(1, sizeof *script);
    script->n = n;
    script->k = fl_session_neighbours(n);
    script->t = fl_session_threshold(n);
    script->bitmap_len = fl_bitmap_bytes(n);
    script->senders = zeros(1, script->bitmap_len);
    script->survivors = zeros(1, script->bitmap_len);
    script->tree = zeros(2 * (size_t)n + FL_PROOF_CAP, FL_NODE_BYTES);
    script->message = zeros(1, FL_SESSION_STEP_MAX + 1);
    script->clients = zeros(n, sizeof *script->clients);
    enrol(script);
    make_session(script);
    for (uint32_t slot = 0; slot < n; slot++) {
        make_client(script, slot);
    }
    return script;
}

void fl_script_free(fl_script *script)
{
    for (uint32_t slot = 0; slot < script->n; slot++) {
        fl_script_client *client = &script->clients[slot];
        fl_party_free(client->party);
        free(client->choice);
        free(client->shares);
        free(client->unmask);
    }
    free(script->clients);
    free(script->message);
    free(script->tree);
    free(script->survivors);
    free(script->senders);
    free(script->enrolment.devices);
    free(script->identities);
    free(script);
}

/* ---- the graph ---- */

/* Whether v gets a share of u. */
static bool is_holder(const fl_script *script, uint32_t v, uint32_t u)
{
    return script->k == 0 || fl_bitmap_has(script->clients[u].choice, v);
}

/* The place of v among the holders of u, from 0. */
static uint32_t holder_place(const fl_script *script, uint32_t v, uint32_t u)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i < v; i++) {
        place += is_holder(script, i, u);
    }
    return place;
}

static bool are_partners(const fl_script *script, uint32_t u, uint32_t v)
{
    return u != v && (is_holder(script, u, v) || is_holder(script, v, u));
}

/* ---- messages ---- */

size_t fl_script_invite(fl_script *script)
{
    fl_session_encode(script->message, &script->session, &script->aggregator);
    return FL_INVITE_BYTES;
}

static void put_proof(const fl_script *script, fl_writer *out, uint32_t slot)
{
    uint8_t proof[FL_PROOF_CAP][FL_NODE_BYTES];
    const size_t len = fl_roster_proof(
        proof, (const uint8_t(*)[FL_NODE_BYTES])script->tree, script->n, slot);
    fl_writer_bytes(out, proof, len * FL_NODE_BYTES);
}

static void close_roster(fl_script *script)
{
    if (script->is_closed) return;
    for (uint32_t slot = 0; slot < script->n; slot++) {
        fl_roster_leaf(script->tree[slot], slot, script->clients[slot].entry);
    }
    script->tree_len = fl_roster_tree(script->tree, script->n);
    fl_transcript_roster(script->transcript.rho, script->transcript.ctx,
                         script->n, script->tree[script->tree_len - 1]);
}

static void put_roster(fl_script *script, fl_writer *out, uint32_t slot)
{
    close_roster(script);
    fl_writer_u32(out, script->n);
    fl_writer_u32(out, slot);
    fl_writer_u16(out, (uint16_t)script->k);
    fl_writer_u16(out, (uint16_t)script->t);
    if (script->k > 0) {
        fl_writer_bytes(out, script->tree[script->tree_len - 1], FL_NODE_BYTES);
        put_proof(script, out, slot);
        return;
    }
    for (uint32_t i = 0; i < script->n; i++) {
        fl_writer_bytes(out, script->clients[i].entry, FL_ENTRY_BYTES);
    }
}

static void put_neighbours(fl_script *script, fl_writer *out, uint32_t slot)
{
    uint32_t count = 0;
    for (uint32_t v = 0; v < script->n; v++) {
        count += are_partners(script, slot, v);
    }
    fl_writer_u32(out, count);
    for (uint32_t v = 0; v < script->n; v++) {
        if (!are_partners(script, slot, v)) continue;
        fl_writer_u16(out, (uint16_t)v);
        fl_writer_u8(out, is_holder(script, slot, v));
        fl_writer_bytes(out, script->clients[v].entry, FL_ENTRY_BYTES);
        put_proof(script, out, v);
    }
}

static size_t holder_count(const fl_script *script)
{
    return script->k > 0 ? script->k : script->n;
}

/* The share of u that is sealed for v. */
static const uint8_t *sealed_share(const fl_script *script, uint32_t u,
                                   uint32_t v)
{
    uint32_t place = holder_place(script, v, u);
    if (script->k == 0 && v > u) place--;  // none for itself
    return script->clients[u].shares + holder_count(script) * 16 +
           (size_t)place * FL_SEALED_SHARE_BYTES;
}

static void put_inbox(fl_script *script, fl_writer *out, uint32_t slot)
{
    fl_transcript_senders(&script->transcript, script->senders,
                          script->bitmap_len);
    fl_writer_bytes(out, script->senders, script->bitmap_len);
    for (uint32_t u = 0; u < script->n; u++) {
        if (u == slot || !fl_bitmap_has(script->senders, u)) continue;
        if (!is_holder(script, slot, u)) continue;
        fl_writer_bytes(out, sealed_share(script, u, slot),
                        FL_SEALED_SHARE_BYTES);
    }
}

static bool has_confirmed(const fl_script *script, uint32_t slot)
{
    static const uint8_t nothing[FL_SIGNATURE_BYTES];
    return memcmp(script->clients[slot].confirm, nothing, sizeof nothing) != 0;
}

static void put_confirmations(fl_script *script, fl_writer *out, uint32_t slot)
{
    uint32_t count = 0;
    for (uint32_t v = 0; v < script->n; v++) {
        count += is_holder(script, v, slot) && has_confirmed(script, v);
    }
    fl_writer_u16(out, (uint16_t)count);
    for (uint32_t v = 0; v < script->n; v++) {
        if (!is_holder(script, v, slot) || !has_confirmed(script, v)) continue;
        fl_writer_u16(out, (uint16_t)v);
        fl_writer_bytes(out, script->clients[v].confirm, FL_SIGNATURE_BYTES);
    }
}

size_t fl_script_message(fl_script *script, fl_step step, uint32_t slot)
{
    fl_writer out = fl_writer_over(script->message, FL_SESSION_STEP_MAX);
    if (step == FL_STEP_INVITE) return fl_script_invite(script);
    if (step == FL_STEP_ROSTER) put_roster(script, &out, slot);
    if (step == FL_STEP_NEIGHBOURS) put_neighbours(script, &out, slot);
    if (step == FL_STEP_INBOX) put_inbox(script, &out, slot);
    if (step == FL_STEP_SURVIVORS) {
        fl_writer_bytes(&out, script->survivors, script->bitmap_len);
    }
    if (step == FL_STEP_CONFIRMATIONS) put_confirmations(script, &out, slot);
    assert_ok(fl_writer_finish(&out));
    assert_true(out.len > 0);
    return out.len;
}

/* ---- answers ---- */

static void keep_choice(fl_script *script, fl_script_client *client,
                        const uint8_t *bytes, size_t len)
{
    assert_int_equal(len, 2 * script->k);
    fl_reader in = fl_reader_over(bytes, len);
    uint32_t least = 0;
    for (uint32_t i = 0; i < script->k; i++) {
        const uint32_t slot = fl_reader_u16(&in);
        assert_true(slot >= least && slot < script->n);
        assert_ptr_not_equal(&script->clients[slot], client);
        fl_bitmap_add(client->choice, slot);
        least = slot + 1;
    }
}

static uint8_t *copy_of(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = zeros(1, len);
    memcpy(copy, bytes, len);
    return copy;
}

static void keep_shares(fl_script *script, uint32_t slot, const uint8_t *bytes,
                        size_t len)
{
    const size_t holders = holder_count(script);
    const size_t body_len = holders * 16 + (holders - (script->k == 0)) * 80;
    assert_int_equal(len, body_len + FL_SIGNATURE_BYTES);
    assert_ok(fl_transcript_shares_check(
        bytes + body_len, script->identities[2 * slot + 1].public_key,
        &script->transcript, slot, bytes, body_len));
    script->clients[slot].shares = copy_of(bytes, len);
    fl_bitmap_add(script->senders, slot);
}

static void keep_answer(fl_script *script, uint32_t slot, fl_step answer,
                        const uint8_t *bytes, size_t len)
{
    fl_script_client *client = &script->clients[slot];
    if (answer == FL_STEP_ADVERTISE) {
        assert_int_equal(len, FL_ADVERTISE_BYTES);
        fl_bytes_put_u32(client->entry, 2 * slot + 1);
        memcpy(client->entry + 4, bytes, len);
        fl_transcript_context(script->transcript.ctx, script->message);
    } else if (answer == FL_STEP_CHOICE) {
        keep_choice(script, client, bytes, len);
    } else if (answer == FL_STEP_SHARES) {
        keep_shares(script, slot, bytes, len);
    } else if (answer == FL_STEP_MASKED) {
        assert_int_equal(len, 0);
        if (client->leaves_at == FL_STEP_MASKED) return;
        memcpy(client->words, client->plain, sizeof client->words);
        assert_ok(fl_party_mask(client->party, client->words, FL_SCRIPT_WORDS));
        fl_bitmap_add(script->survivors, slot);
    } else if (answer == FL_STEP_CONFIRM) {
        assert_int_equal(len, FL_SIGNATURE_BYTES);
        memcpy(client->confirm, bytes, len);
    } else {
        assert_int_equal(answer, FL_STEP_UNMASK);
        client->unmask = copy_of(bytes, len);
        client->unmask_len = len;
    }
}

fl_err fl_script_send(fl_script *script, fl_step step, uint32_t slot,
                      size_t len)
{
    fl_step answer;
    const uint8_t *bytes;
    size_t answer_len;
    // Exactly as long as it is, so that asan sees a read beyond it.
    uint8_t *copy = copy_of(script->message, len);
    const fl_err err = fl_party_step(script->clients[slot].party, step, copy,
                                     len, &answer, &bytes, &answer_len);
    if (!err) keep_answer(script, slot, answer, bytes, answer_len);
    free(copy);
    return err;
}

static fl_step answer_to(const fl_script *script, fl_step step)
{
    if (step == FL_STEP_ROSTER && script->k == 0) return FL_STEP_SHARES;
    return (fl_step)(step + 1);
}

static const fl_step STEPS[] = {
    FL_STEP_INVITE, FL_STEP_ROSTER,    FL_STEP_NEIGHBOURS,
    FL_STEP_INBOX,  FL_STEP_SURVIVORS, FL_STEP_CONFIRMATIONS,
};

enum { STEP_COUNT = sizeof STEPS / sizeof *STEPS };

/* Who sends no vector has still got the inbox. */
static bool is_there(const fl_script *script, fl_step step, uint32_t slot)
{
    const fl_step leaves_at = script->clients[slot].leaves_at;
    const fl_step answer = answer_to(script, step);
    return !leaves_at || leaves_at > answer ||
           (leaves_at == answer && answer == FL_STEP_MASKED);
}

static void run_step(fl_script *script, fl_step step)
{
    for (uint32_t slot = 0; slot < script->n; slot++) {
        if (!is_there(script, step, slot)) continue;
        const size_t len = fl_script_message(script, step, slot);
        assert_ok(fl_script_send(script, step, slot, len));
        script->is_closed = step > FL_STEP_INVITE;
    }
    script->is_closed = false;  // a test may change entries now
}

void fl_script_run(fl_script *script, fl_step before)
{
    for (size_t i = 0; i < STEP_COUNT && STEPS[i] != before; i++) {
        if (STEPS[i] == FL_STEP_NEIGHBOURS && script->k == 0) continue;
        run_step(script, STEPS[i]);
    }
}

fl_script *fl_script_at(uint32_t n, fl_step before)
{
    fl_script *script = fl_script_new(n);
    fl_script_run(script, before);
    return script;
}

/* ---- lies ---- */

void fl_script_sign(fl_script *script, uint32_t slot, uint32_t device)
{
    uint8_t *entry = script->clients[slot].entry;
    fl_bytes_put_u32(entry, device);
    fl_advertise_sign(entry + 4, &script->identities[device],
                      script->transcript.ctx);
}

static void assert_silent(fl_script *script)
{
    for (size_t i = 0; i < STEP_COUNT; i++) {
        const size_t len = fl_script_message(script, STEPS[i], 1);
        assert_err(fl_script_send(script, STEPS[i], 1, len), FL_ERR_STATE);
    }
    uint64_t words[FL_SCRIPT_WORDS] = {0};
    assert_err(fl_party_mask(script->clients[1].party, words, FL_SCRIPT_WORDS),
               FL_ERR_STATE);
}

void fl_script_refused(fl_script *script, fl_step step, size_t len, fl_err err,
                       fl_fault fault)
{
    const fl_party *party = script->clients[1].party;
    assert_err(fl_script_send(script, step, 1, len), err);
    assert_string_equal(fl_fault_name(fl_party_fault(party)),
                        fl_fault_name(fault));
    assert_int_equal(fl_party_get_state(party), FL_PARTY_ABORTED);
    assert_silent(script);
    assert_int_equal(fl_party_fault(party), fault);
    fl_script_free(script);
}

/* ---- the sum ---- */

/* The half of the share of u in what v said at last; NULL: none. */
static const uint8_t *said_half(const fl_script *script, uint32_t v, uint32_t u)
{
    const fl_script_client *client = &script->clients[v];
    if (!client->unmask) return NULL;
    fl_reader in = fl_reader_over(client->unmask, client->unmask_len);
    const uint32_t count = fl_reader_u16(&in);
    const uint8_t *found = NULL;
    for (uint32_t i = 0, least = 0; i < count; i++) {
        const uint32_t slot = fl_reader_u16(&in);
        const uint8_t *half = fl_reader_bytes(&in, FL_HALF_BYTES);
        assert_true(slot >= least);
        if (slot == u) found = half;
        least = slot + 1;
    }
    assert_ok(fl_reader_finish(&in));
    return found;
}

/* b of a survivor, s of another sender. */
static void join_seed(const fl_script *script, uint32_t u,
                      uint8_t seed[FL_SEED_BYTES])
{
    const uint8_t *halves[FL_SHARES_MAX];
    uint8_t x[FL_SHARES_MAX];
    unsigned count = 0;
    for (uint32_t v = 0; v < script->n && count < script->t; v++) {
        if (!is_holder(script, v, u)) continue;
        const uint8_t *half = said_half(script, v, u);
        if (!half) continue;
        halves[count] = half;
        x[count++] = (uint8_t)(holder_place(script, v, u) + 1);
    }
    assert_int_equal(count, script->t);
    assert_ok(fl_shamir_join(seed, FL_SEED_BYTES, halves, x, count));
}

static void subtract_self(const fl_script *script, uint64_t *sum, uint32_t u)
{
    uint8_t b[FL_SEED_BYTES], check[FL_HASH_BYTES], key[32];
    join_seed(script, u, b);
    fl_transcript_commitment(check, script->transcript.ctx, b);
    assert_memory_equal(
        check, fl_advertise_at(script->clients[u].entry + 4).commitment,
        FL_HASH_BYTES);
    fl_transcript_self_mask(key, &script->transcript, u, b);
    fl_mask_add(sum, FL_SCRIPT_WORDS, key, true);
}

/* Takes away what the survivors share with u, who dropped out. */
static void subtract_pairs(const fl_script *script, uint64_t *sum, uint32_t u)
{
    uint8_t s[FL_SEED_BYTES], check[FL_KEY_BYTES], shared[32], key[32];
    const uint8_t *u_key =
        fl_advertise_at(script->clients[u].entry + 4).mask_key;
    join_seed(script, u, s);
    fl_transcript_public(check, s);
    assert_memory_equal(check, u_key, FL_KEY_BYTES);
    for (uint32_t v = 0; v < script->n; v++) {
        if (!fl_bitmap_has(script->survivors, v)) continue;
        if (!are_partners(script, u, v)) continue;
        const uint8_t *v_key =
            fl_advertise_at(script->clients[v].entry + 4).mask_key;
        assert_ok(fl_transcript_agree(shared, s, v_key));
        fl_transcript_pair_mask(key, &script->transcript, u, u_key, v, v_key,
                                shared);
        fl_mask_add(sum, FL_SCRIPT_WORDS, key, v < u);
    }
}

void fl_script_sum(fl_script *script, uint64_t sum[FL_SCRIPT_WORDS])
{
    memset(sum, 0, FL_SCRIPT_WORDS * sizeof *sum);
    for (uint32_t u = 0; u < script->n; u++) {
        if (fl_bitmap_has(script->survivors, u)) {
            for (size_t i = 0; i < FL_SCRIPT_WORDS; i++) {
                sum[i] += script->clients[u].words[i];
            }
            subtract_self(script, sum, u);
        } else if (fl_bitmap_has(script->senders, u)) {
            subtract_pairs(script, sum, u);
        }
    }
}
