/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/chorus.h"

#include <stdlib.h>

#include "tests/support/packing.h"
#include "tests/test.h"

static void draw_bytes(void *self, void *dst, size_t len)
{
    fl_chorus *chorus = self;
    for (size_t i = 0; i < len; i++) {
        chorus->host->random = chorus->host->random * 69069 + 1;
        ((uint8_t *)dst)[i] = (uint8_t)(chorus->host->random >> 11);
    }
}

/* ---- life ---- */

void fl_chorus_init(fl_chorus *chorus, fl_host *host, const fl_plan *plan)
{
    *chorus = (fl_chorus){
        .host = host,
        .session = {.client_min = plan->client_min,
                    .client_cap = plan->client_cap,
                    .phase_ms = FL_CHORUS_PHASE_MS,
                    .round = plan->round,
                    .number = plan->number},
        .message = malloc(FL_SESSION_STEP_MAX),
    };
    fl_session *session = &chorus->session;
    assert_non_null(chorus->message);
    assert_ok(fl_enrolment_decode(&chorus->enrolment, host->list.bytes,
                                  host->list.len, NULL));
    session->word_count = (uint32_t)fl_packing_words(plan);
    memcpy(session->model, plan->model, FL_HASH_BYTES);
    memcpy(session->enrolment, chorus->enrolment->hash, FL_HASH_BYTES);
    fl_packing_task(session->task, plan);
    draw_bytes(chorus, session->id, sizeof session->id);
}

void fl_chorus_fini(fl_chorus *chorus)
{
    for (size_t i = 0; i < FL_HOST_PEERS; i++)
        fl_party_free(chorus->peers[i]);
    fl_secagg_free(chorus->secagg);
    fl_enrolment_free(chorus->enrolment);
    free(chorus->message);
}

static uint32_t place_of(const fl_chorus *chorus, const uint8_t *identity)
{
    const uint32_t place = fl_enrolment_find(chorus->enrolment, identity);
    assert_true(place != FL_ENROLMENT_NONE);
    return place;
}

static void seat_peer(fl_chorus *chorus, uint8_t i)
{
    const fl_session *session = &chorus->session;
    fl_identity *identity = &chorus->identities[i];
    fl_identity_init(
        identity, (const uint8_t[FL_SEED_BYTES]){(uint8_t)(FL_HOST_PEER + i)});
    chorus->places[i] = place_of(chorus, identity->public_key);
    fl_party_options options = {
        .identity = identity,
        .enrolment = chorus->enrolment,
        .round = session->round,
        .word_count = session->word_count,
        .client_min = session->client_min,
        .number_after = session->number - 1,
        .random_bytes = draw_bytes,
        .random_self = chorus,
    };
    memcpy(options.federation, chorus->host->identity.public_key, FL_KEY_BYTES);
    memcpy(options.model, session->model, FL_HASH_BYTES);
    memcpy(options.task, session->task, FL_HASH_BYTES);
    assert_ok(fl_party_new(&chorus->peers[i], &options));
}

void fl_chorus_open(fl_chorus *chorus)
{
    uint32_t all[FL_HOST_PEERS + 1];
    fl_reason why = {""};
    chorus->place = place_of(chorus, chorus->host->card.identity);
    for (uint8_t i = 0; i < FL_HOST_PEERS; i++)
        seat_peer(chorus, i);
    for (uint32_t i = 0; i <= FL_HOST_PEERS; i++)
        all[i] = i;  // nobody else is enrolled
    if (fl_secagg_new(&chorus->secagg, &chorus->session,
                      &chorus->host->identity, chorus->enrolment, all,
                      FL_HOST_PEERS + 1, &why))
        fail_msg("%s", why.text);
}

/* ---- the client ---- */

void fl_chorus_tell(fl_chorus *chorus)
{
    fl_step step;
    size_t len;
    assert_ok(fl_secagg_message(chorus->secagg, chorus->place, &step,
                                chorus->message, FL_SESSION_STEP_MAX, &len));
    fl_host_mail_step(chorus->host, chorus->session.round, step,
                      chorus->message, len);
}

const fl_message *fl_chorus_hear(fl_chorus *chorus, fl_step step)
{
    fl_reason why = {""};
    const fl_message *said = fl_host_take(chorus->host, FL_MESSAGE_STEP);
    assert_non_null(said);
    assert_int_equal(said->step.step, step);
    if (fl_secagg_receive(chorus->secagg, chorus->place, step, said->step.bytes,
                          said->step.len, &why))
        fail_msg("%s", why.text);
    return said;
}

const fl_message *fl_chorus_hear_vector(fl_chorus *chorus)
{
    fl_host *host = chorus->host;
    const fl_message *open = fl_host_take(host, FL_MESSAGE_OPEN);
    assert_non_null(open);
    fl_host_grant(host, open, 8, 0);
    const fl_message *chunk = fl_host_take(host, FL_MESSAGE_CHUNK);
    assert_non_null(chunk);
    fl_host_ack(host, chunk);  // there is but one
    chorus->vector = chunk->chunk.bytes;
    chorus->vector_len = chunk->chunk.len;
    assert_ok(fl_secagg_add(chorus->secagg, chorus->place, chunk->chunk.bytes,
                            chunk->chunk.len, NULL));
    const fl_message *commit = fl_host_take(host, FL_MESSAGE_COMMIT);
    assert_non_null(commit);
    return commit;
}

/* ---- the others ---- */

// With words that are all zeros: the sum is the client's own.
static void add_vector(fl_chorus *chorus, size_t i)
{
    const size_t word_count = chorus->session.word_count;
    uint64_t *words = calloc(word_count, sizeof *words);
    const size_t len = word_count * sizeof *words;
    uint8_t *bytes = malloc(len);
    assert_true(words && bytes);
    assert_ok(fl_party_mask(chorus->peers[i], words, word_count));
    fl_addend_encode(bytes, words, word_count);
    assert_ok(
        fl_secagg_add(chorus->secagg, chorus->places[i], bytes, len, NULL));
    free(words);
    free(bytes);
}

static void ask(fl_chorus *chorus, size_t i)
{
    fl_step step, answer;
    const uint8_t *bytes;
    size_t len;
    assert_ok(fl_secagg_message(chorus->secagg, chorus->places[i], &step,
                                chorus->message, FL_SESSION_STEP_MAX, &len));
    assert_ok(fl_party_step(chorus->peers[i], step, chorus->message, len,
                            &answer, &bytes, &len));
    if (answer == FL_STEP_MASKED)
        add_vector(chorus, i);
    else
        assert_ok(fl_secagg_receive(chorus->secagg, chorus->places[i], answer,
                                    bytes, len, NULL));
}

void fl_chorus_sing(fl_chorus *chorus)
{
    fl_reason why = {""};
    for (size_t i = 0; i < FL_HOST_PEERS; i++)
        ask(chorus, i);
    if (fl_secagg_get_phase(chorus->secagg) == FL_SECAGG_UNMASK) {
        assert_ok(fl_secagg_unmask(chorus->secagg, 1, NULL));
    } else if (fl_secagg_advance(chorus->secagg, &why)) {
        fail_msg("%s", why.text);
    }
}

/* ---- all of it ---- */

void fl_chorus_play_to(fl_chorus *chorus, fl_step step)
{
    fl_host *host = chorus->host;
    for (;;) {
        switch (fl_secagg_get_phase(chorus->secagg)) {
        case FL_SECAGG_ADVERTISE:
            if (step == FL_STEP_INVITE) return;
            fl_chorus_tell(chorus);
            fl_host_ack(host, fl_chorus_hear(chorus, FL_STEP_ADVERTISE));
            break;
        case FL_SECAGG_SHARES:
            if (step == FL_STEP_ROSTER) return;
            fl_chorus_tell(chorus);
            fl_host_ack(host, fl_chorus_hear(chorus, FL_STEP_SHARES));
            break;
        case FL_SECAGG_MASKED:
            if (step == FL_STEP_INBOX) return;
            fl_chorus_tell(chorus);
            fl_host_ack(host, fl_chorus_hear_vector(chorus));
            break;
        case FL_SECAGG_CONFIRM:
            if (step == FL_STEP_SURVIVORS) return;
            fl_chorus_tell(chorus);
            fl_host_ack(host, fl_chorus_hear(chorus, FL_STEP_CONFIRM));
            break;
        case FL_SECAGG_UNMASK:
            if (step == FL_STEP_CONFIRMATIONS) return;
            fl_chorus_tell(chorus);
            fl_host_ack(host, fl_chorus_hear(chorus, FL_STEP_UNMASK));
            break;
        case FL_SECAGG_CHOICE:
        case FL_SECAGG_DONE:
        case FL_SECAGG_ABORTED: return;
        }
        fl_chorus_sing(chorus);
    }
}
