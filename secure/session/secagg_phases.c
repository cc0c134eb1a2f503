/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>

#include "secure/session/secagg_state.h"

/* ---- the ends of phases: what must be allocated, then what changes ---- */

static uint32_t answered_count(const fl_secagg *secagg)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < secagg->client_count; i++) {
        count += secagg->clients[i].has_answered;
    }
    return count;
}

// Those who advertised move together: their places become their slots.
static void close_ranks(fl_secagg *secagg)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < secagg->client_count; i++) {
        fl_secagg_client *client = &secagg->clients[i];
        if (client->has_answered) secagg->clients[n++] = *client;
    }
    secagg->client_count = n;
}

static void plant_tree(fl_secagg *secagg)
{
    const uint32_t n = secagg->client_count;
    for (uint32_t i = 0; i < n; i++) {
        fl_roster_leaf(secagg->tree[i], i, secagg->clients[i].entry);
    }
    secagg->tree_len = fl_roster_tree(secagg->tree, n);
    fl_transcript_roster(secagg->transcript.rho, secagg->transcript.ctx, n,
                         secagg->tree[secagg->tree_len - 1]);
}

static fl_err end_advertise(fl_secagg *secagg)
{
    const uint32_t n = answered_count(secagg);
    assert(n > 0);
    secagg->threshold = fl_session_threshold(n);
    secagg->tree = calloc(2 * (size_t)n + FL_PROOF_CAP, FL_NODE_BYTES);
    secagg->senders = calloc(1, fl_bitmap_bytes(n));
    secagg->survivors = calloc(1, fl_bitmap_bytes(n));
    secagg->survivor_devices = calloc(n, sizeof *secagg->survivor_devices);
    if (!secagg->tree || !secagg->senders || !secagg->survivors ||
        !secagg->survivor_devices) {
        return FL_ERR_MEMORY;
    }
    FL_TRY(fl_secagg_graph_init(&secagg->graph, n, fl_session_neighbours(n)));
    close_ranks(secagg);
    plant_tree(secagg);
    secagg->phase = secagg->graph.k ? FL_SECAGG_CHOICE : FL_SECAGG_SHARES;
    return FL_OK;
}

// A slot that hundreds have chosen could not be told about all of them. Chance
// does not do that, clients that conspire do: they can take a client out of a
// session, not more.
static void drop_the_crowded(fl_secagg *secagg)
{
    for (uint32_t slot = 0; slot < secagg->client_count; slot++) {
        if (fl_secagg_neighbours_len(secagg, slot) > FL_SESSION_STEP_MAX) {
            secagg->clients[slot].has_answered = false;
        }
    }
}

static fl_err end_choice(fl_secagg *secagg)
{
    FL_TRY(fl_secagg_graph_close(&secagg->graph));
    drop_the_crowded(secagg);
    secagg->phase = FL_SECAGG_SHARES;
    return FL_OK;
}

static void note_answered(const fl_secagg *secagg, uint8_t *bitmap)
{
    for (uint32_t slot = 0; slot < secagg->client_count; slot++) {
        if (secagg->clients[slot].has_answered) fl_bitmap_add(bitmap, slot);
    }
}

static fl_err end_shares(fl_secagg *secagg)
{
    note_answered(secagg, secagg->senders);
    fl_transcript_senders(&secagg->transcript, secagg->senders,
                          fl_bitmap_bytes(secagg->client_count));
    secagg->phase = FL_SECAGG_MASKED;
    return FL_OK;
}

static fl_err end_masked(fl_secagg *secagg)
{
    note_answered(secagg, secagg->survivors);
    for (uint32_t slot = 0; slot < secagg->client_count; slot++) {
        if (!secagg->clients[slot].has_answered) continue;
        secagg->survivor_devices[secagg->survivor_count++] =
            secagg->clients[slot].device;
    }
    secagg->phase = FL_SECAGG_CONFIRM;
    return FL_OK;
}

static fl_err end_confirm(fl_secagg *secagg)
{
    const size_t half_cap = (size_t)secagg->client_count * secagg->threshold;
    assert(half_cap > 0);
    secagg->half_x = calloc(half_cap, 1);
    if (!secagg->half_x) return FL_ERR_MEMORY;
    FL_TRY(fl_vault_new(&secagg->vault, half_cap * FL_HALF_BYTES));
    secagg->halves = fl_vault_take(secagg->vault, half_cap * FL_HALF_BYTES);
    assert(secagg->halves);

    for (uint32_t slot = 0; slot < secagg->client_count; slot++) {
        fl_secagg_client *client = &secagg->clients[slot];
        client->has_confirmed = client->has_answered;
    }
    secagg->short_count =
        fl_bitmap_count(secagg->senders, secagg->client_count);
    secagg->phase = FL_SECAGG_UNMASK;
    return FL_OK;
}

static fl_err end_phase(fl_secagg *secagg)
{
    switch (secagg->phase) {
    case FL_SECAGG_ADVERTISE: return end_advertise(secagg);
    case FL_SECAGG_CHOICE: return end_choice(secagg);
    case FL_SECAGG_SHARES: return end_shares(secagg);
    case FL_SECAGG_MASKED: return end_masked(secagg);
    case FL_SECAGG_CONFIRM: return end_confirm(secagg);
    case FL_SECAGG_UNMASK:
    case FL_SECAGG_DONE:
    case FL_SECAGG_ABORTED: break;
    }
    assert(!"a phase that ends otherwise");
    return FL_ERR_STATE;
}

/* ---- advancing ---- */

// Fewer than t cannot rebuild anything in the complete graph, nor would
// anybody unmask for them. In the other one it depends on who they are.
static uint32_t fewest(const fl_secagg *secagg)
{
    const uint32_t client_min = secagg->session.client_min;
    if (secagg->phase == FL_SECAGG_ADVERTISE || secagg->graph.k > 0) {
        return client_min;
    }
    return secagg->threshold > client_min ? secagg->threshold : client_min;
}

static fl_err abort_too_few(fl_secagg *secagg, uint32_t count, fl_reason *why)
{
    const uint32_t needed = fewest(secagg);
    const uint32_t before = secagg->client_count;
    const fl_step due = fl_secagg_due(secagg);
    fl_secagg_abort(secagg);
    return fl_reason_set(why, FL_ERR_STATE,
                         "session %llu is aborted: %u of %u clients sent "
                         "\"%s\", at least %u are needed; the round can open "
                         "another session",
                         (unsigned long long)secagg->session.number, count,
                         before, fl_step_name(due), needed);
}

static fl_err end_unmask(fl_secagg *secagg, fl_reason *why)
{
    if (fl_secagg_can_unmask(secagg)) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "the shares are there: unmask first");
    }
    fl_secagg_abort(secagg);
    return fl_reason_set(why, FL_ERR_STATE,
                         "session %llu is aborted: of %u clients fewer than "
                         "%u shares came, so their masks stay; the round can "
                         "open another session",
                         (unsigned long long)secagg->session.number,
                         secagg->short_count, secagg->threshold);
}

// Who has not answered has dropped out; everybody else is awaited again.
static void turn_page(fl_secagg *secagg)
{
    secagg->awaited_count = 0;
    for (uint32_t i = 0; i < secagg->client_count; i++) {
        fl_secagg_client *client = &secagg->clients[i];
        client->is_there = client->has_answered;
        client->has_answered = false;
        secagg->awaited_count += client->is_there;
    }
}

fl_err fl_secagg_advance(fl_secagg *secagg, fl_reason *why)
{
    if (secagg->phase >= FL_SECAGG_DONE) {
        return fl_reason_set(why, FL_ERR_STATE, "the session is over");
    }
    if (secagg->phase == FL_SECAGG_UNMASK) return end_unmask(secagg, why);

    const uint32_t count = answered_count(secagg);
    if (count < fewest(secagg)) return abort_too_few(secagg, count, why);
    const fl_err err = end_phase(secagg);
    if (err) {
        fl_secagg_abort(secagg);
        return fl_reason_set(why, err, "no memory to go on with session %llu",
                             (unsigned long long)secagg->session.number);
    }
    turn_page(secagg);
    return FL_OK;
}
