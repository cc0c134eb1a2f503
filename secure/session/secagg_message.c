/*
 * What each device is told, written from the state whenever it is asked for.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#undef NDEBUG
#include <assert.h>

#include "base/bytes.h"
#include "secure/session/secagg_state.h"

typedef const uint8_t (*nodes)[FL_NODE_BYTES];

static size_t bitmap_len(const fl_secagg *secagg)
{
    return fl_bitmap_bytes(secagg->client_count);
}

static void write_proof(fl_writer *out, const fl_secagg *secagg, uint32_t slot)
{
    uint8_t proof[FL_PROOF_CAP][FL_NODE_BYTES];
    const size_t len =
        fl_roster_proof(proof, (nodes)secagg->tree, secagg->client_count, slot);
    fl_writer_bytes(out, proof, len * FL_NODE_BYTES);
}

static void write_roster(fl_writer *out, const fl_secagg *secagg, uint32_t slot)
{
    const uint32_t n = secagg->client_count;
    fl_writer_u32(out, n);
    fl_writer_u32(out, slot);
    fl_writer_u16(out, (uint16_t)secagg->graph.k);
    fl_writer_u16(out, (uint16_t)secagg->threshold);
    if (secagg->graph.k > 0) {
        fl_writer_bytes(out, secagg->tree[secagg->tree_len - 1], FL_NODE_BYTES);
        write_proof(out, secagg, slot);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        fl_writer_bytes(out, secagg->clients[i].entry, FL_ENTRY_BYTES);
    }
}

/* ---- neighbours ---- */

static size_t neighbour_len(const fl_secagg *secagg, uint32_t partner)
{
    return 2 + 1 + FL_ENTRY_BYTES +
           fl_roster_proof_len(secagg->client_count, partner) * FL_NODE_BYTES;
}

size_t fl_secagg_neighbours_len(const fl_secagg *secagg, uint32_t slot)
{
    size_t len = 4;
    uint32_t partner;
    fl_secagg_graph_walk walk = fl_secagg_graph_partners(&secagg->graph, slot);
    while (fl_secagg_graph_next(&walk, &partner)) {
        len += neighbour_len(secagg, partner);
    }
    return len;
}

static uint32_t partner_count(const fl_secagg *secagg, uint32_t slot)
{
    uint32_t count = 0, partner;
    fl_secagg_graph_walk walk = fl_secagg_graph_partners(&secagg->graph, slot);
    while (fl_secagg_graph_next(&walk, &partner)) {
        count++;
    }
    return count;
}

static void write_neighbours(fl_writer *out, const fl_secagg *secagg,
                             uint32_t slot)
{
    uint32_t partner, place;
    fl_secagg_graph_walk walk = fl_secagg_graph_partners(&secagg->graph, slot);
    fl_writer_u32(out, partner_count(secagg, slot));
    while (fl_secagg_graph_next(&walk, &partner)) {
        fl_writer_u16(out, (uint16_t)partner);
        fl_writer_u8(out, fl_secagg_graph_find_holder(&secagg->graph, partner,
                                                      slot, &place));
        fl_writer_bytes(out, secagg->clients[partner].entry, FL_ENTRY_BYTES);
        write_proof(out, secagg, partner);
    }
}

/* ---- what came from others ---- */

static void write_inbox(fl_writer *out, const fl_secagg *secagg, uint32_t slot)
{
    uint32_t partner, place;
    fl_secagg_graph_walk walk = fl_secagg_graph_partners(&secagg->graph, slot);
    fl_writer_bytes(out, secagg->senders, bitmap_len(secagg));
    while (fl_secagg_graph_next(&walk, &partner)) {
        if (fl_bitmap_has(secagg->senders, partner) &&
            fl_secagg_graph_find_holder(&secagg->graph, partner, slot,
                                        &place)) {
            fl_writer_bytes(out, fl_secagg_sealed_share(secagg, partner, place),
                            FL_SEALED_SHARE_BYTES);
        }
    }
}

// The first t that the reader wants: more would tell it nothing.
static void write_confirmations(fl_writer *out, const fl_secagg *secagg,
                                uint32_t slot)
{
    fl_writer count = *out;
    uint16_t written = 0;
    fl_writer_u16(out, 0);
    for (uint32_t i = 0; i < fl_secagg_graph_holder_count(&secagg->graph);
         i++) {
        const uint32_t holder = fl_secagg_graph_holder(&secagg->graph, slot, i);
        const fl_secagg_client *client = &secagg->clients[holder];
        if (!client->has_confirmed || written == secagg->threshold) continue;
        fl_writer_u16(out, (uint16_t)holder);
        fl_writer_bytes(out, client->confirm, FL_SIGNATURE_BYTES);
        written++;
    }
    fl_writer_u16(&count, written);
}

/* ---- who is told what ---- */

static fl_step step_to_tell(const fl_secagg *secagg)
{
    switch (secagg->phase) {
    case FL_SECAGG_ADVERTISE: return FL_STEP_INVITE;
    case FL_SECAGG_CHOICE: return FL_STEP_ROSTER;
    case FL_SECAGG_SHARES:
        return secagg->graph.k ? FL_STEP_NEIGHBOURS : FL_STEP_ROSTER;
    case FL_SECAGG_MASKED: return FL_STEP_INBOX;
    case FL_SECAGG_CONFIRM: return FL_STEP_SURVIVORS;
    case FL_SECAGG_UNMASK: return FL_STEP_CONFIRMATIONS;
    case FL_SECAGG_DONE:
    case FL_SECAGG_ABORTED: break;
    }
    assert(!"nobody is awaited then");
    return 0;
}

fl_err fl_secagg_message(const fl_secagg *secagg, uint32_t device,
                         fl_step *step, uint8_t *dst, size_t dst_cap,
                         size_t *len)
{
    if (!fl_secagg_is_awaited(secagg, device)) return FL_ERR_NOT_FOUND;
    const uint32_t slot =
        fl_secagg_slot(secagg, fl_secagg_find(secagg, device));
    fl_writer out = fl_writer_over(dst, dst_cap);
    *step = step_to_tell(secagg);
    if (*step == FL_STEP_INVITE) {
        fl_writer_bytes(&out, secagg->invite, FL_INVITE_BYTES);
    } else if (*step == FL_STEP_ROSTER) {
        write_roster(&out, secagg, slot);
    } else if (*step == FL_STEP_NEIGHBOURS) {
        write_neighbours(&out, secagg, slot);
    } else if (*step == FL_STEP_INBOX) {
        write_inbox(&out, secagg, slot);
    } else if (*step == FL_STEP_SURVIVORS) {
        fl_writer_bytes(&out, secagg->survivors, bitmap_len(secagg));
    } else {
        write_confirmations(&out, secagg, slot);
    }
    *len = out.len;
    return fl_writer_finish(&out);
}
