/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/session/secagg_state.h"

#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* ---- who is there ---- */

fl_secagg_client *fl_secagg_find(const fl_secagg *secagg, uint32_t device)
{
    uint32_t low = 0, high = secagg->client_count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (secagg->clients[middle].device < device) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == secagg->client_count) return NULL;
    fl_secagg_client *found = &secagg->clients[low];
    return found->device == device ? found : NULL;
}

uint32_t fl_secagg_slot(const fl_secagg *secagg, const fl_secagg_client *client)
{
    return (uint32_t)(client - secagg->clients);
}

const char *fl_secagg_name(const fl_secagg *secagg,
                           const fl_secagg_client *client)
{
    return secagg->enrolment->devices[client->device].name;
}

void fl_secagg_answered(fl_secagg *secagg, fl_secagg_client *client)
{
    assert(client->is_there && !client->has_answered);
    client->has_answered = true;
    secagg->awaited_count--;
}

void fl_secagg_leave(fl_secagg *secagg, fl_secagg_client *client)
{
    assert(client->is_there && !client->has_answered);
    client->is_there = false;
    secagg->awaited_count--;
}

void fl_secagg_drop(fl_secagg *secagg, uint32_t device)
{
    if (!fl_secagg_is_awaited(secagg, device)) return;
    fl_secagg_leave(secagg, fl_secagg_find(secagg, device));
}

uint32_t fl_secagg_awaited_count(const fl_secagg *secagg)
{
    return secagg->awaited_count;
}

bool fl_secagg_is_awaited(const fl_secagg *secagg, uint32_t device)
{
    const fl_secagg_client *client = fl_secagg_find(secagg, device);
    return secagg->phase < FL_SECAGG_DONE && client && client->is_there &&
           !client->has_answered;
}

fl_step fl_secagg_due(const fl_secagg *secagg)
{
    static const fl_step steps[] = {
        [FL_SECAGG_ADVERTISE] = FL_STEP_ADVERTISE,
        [FL_SECAGG_CHOICE] = FL_STEP_CHOICE,
        [FL_SECAGG_SHARES] = FL_STEP_SHARES,
        [FL_SECAGG_MASKED] = FL_STEP_MASKED,
        [FL_SECAGG_CONFIRM] = FL_STEP_CONFIRM,
        [FL_SECAGG_UNMASK] = FL_STEP_UNMASK,
        [FL_SECAGG_DONE] = 0,
        [FL_SECAGG_ABORTED] = 0,
    };
    return steps[secagg->phase];
}

/* ---- life ---- */

static fl_err check_devices(const fl_session *session,
                            const fl_enrolment *enrolment,
                            const uint32_t *devices, uint32_t count,
                            fl_reason *why)
{
    if (count < session->client_min || count > session->client_cap) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%u devices are invited, a session of %u to %u "
                             "clients was asked for",
                             count, session->client_min, session->client_cap);
    }
    if (memcmp(session->enrolment, enrolment->hash, FL_HASH_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the session names another enrolment list than "
                             "the one it is to use");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (devices[i] >= enrolment->device_count ||
            (i > 0 && devices[i] <= devices[i - 1])) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "device %u is not among the %u enrolled, or "
                                 "not in rising order: invite each once",
                                 devices[i], enrolment->device_count);
        }
    }
    return FL_OK;
}

// What clients would check: whatever they would refuse must not be signed.
static fl_err init_session(fl_secagg *secagg, const fl_session *session,
                           const fl_identity *aggregator, fl_reason *why)
{
    fl_session checked;
    secagg->session = *session;
    fl_session_encode(secagg->invite, &secagg->session, aggregator);
    if (fl_session_decode(&checked, secagg->invite, FL_INVITE_BYTES)) {
        return fl_reason_set(
            why, FL_ERR_RANGE,
            "no client would accept a session of %u to %u clients with %u "
            "words (%d at most), in phases of %u ms for round %u",
            session->client_min, session->client_cap, session->word_count,
            FL_SESSION_WORDS_MAX, session->phase_ms, session->round);
    }
    fl_transcript_context(secagg->transcript.ctx, secagg->invite);
    return FL_OK;
}

static fl_err init_clients(fl_secagg *secagg, const uint32_t *devices,
                           uint32_t count)
{
    secagg->clients = calloc(count, sizeof *secagg->clients);
    if (!secagg->clients) return FL_ERR_MEMORY;
    secagg->client_count = secagg->awaited_count = count;
    for (uint32_t i = 0; i < count; i++) {
        secagg->clients[i].device = devices[i];
        secagg->clients[i].is_there = true;
    }
    fl_map_init(&secagg->keys, 2 * (size_t)count);
    return FL_OK;
}

fl_err fl_secagg_new(fl_secagg **secagg, const fl_session *session,
                     const fl_identity *aggregator,
                     const fl_enrolment *enrolment, const uint32_t *devices,
                     uint32_t device_count, fl_reason *why)
{
    FL_TRY(check_devices(session, enrolment, devices, device_count, why));
    fl_secagg *made = calloc(1, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    made->enrolment = enrolment;
    fl_err err = init_session(made, session, aggregator, why);
    if (err) goto out;

    err = init_clients(made, devices, device_count);
    if (!err) {
        made->words = calloc(made->session.word_count, sizeof *made->words);
        if (!made->words) err = FL_ERR_MEMORY;
    }
    if (err) (void)!fl_reason_set(why, err, "no memory for a session");

out:
    if (err) {
        fl_secagg_free(made);
        return err;
    }
    *secagg = made;
    return FL_OK;
}

void fl_secagg_free(fl_secagg *secagg)
{
    if (!secagg) return;
    for (uint32_t i = 0; i < secagg->client_count; i++) {
        free(secagg->clients[i].shares);
    }
    fl_vault_free(secagg->vault);
    fl_map_fini(&secagg->keys);
    fl_secagg_graph_fini(&secagg->graph);
    free(secagg->clients);
    free(secagg->tree);
    free(secagg->senders);
    free(secagg->survivors);
    free(secagg->words);
    free(secagg->survivor_devices);
    free(secagg->half_x);
    free(secagg);
}

void fl_secagg_abort(fl_secagg *secagg)
{
    secagg->phase = FL_SECAGG_ABORTED;
    secagg->awaited_count = 0;
    fl_vault_free(secagg->vault);
    secagg->vault = NULL;
    secagg->halves = NULL;
}

/* ---- what the owner sees ---- */

fl_secagg_phase fl_secagg_get_phase(const fl_secagg *secagg)
{
    return secagg->phase;
}

const uint64_t *fl_secagg_sum(const fl_secagg *secagg)
{
    return secagg->phase == FL_SECAGG_DONE ? secagg->words : NULL;
}

uint32_t fl_secagg_survivors(const fl_secagg *secagg, const uint32_t **devices)
{
    *devices = secagg->survivor_devices;
    return secagg->survivor_count;
}

const fl_session *fl_secagg_session(const fl_secagg *secagg)
{
    return &secagg->session;
}
