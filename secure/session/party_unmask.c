/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <string.h>

#include "secure/session/party_state.h"

/* ---- survivors ---- */

static bool is_subset(const uint8_t *part, const uint8_t *whole, size_t len)
{
    unsigned beyond = 0;
    for (size_t i = 0; i < len; i++) {
        beyond |= part[i] & ~(unsigned)whole[i];
    }
    return beyond == 0;
}

fl_err fl_party_take_survivors(fl_party *party, fl_reader *in)
{
    const uint8_t *survivors = fl_reader_bytes(in, party->bitmap_len);
    if (fl_reader_finish(in)) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    // It must not get the sum of a few, nor the mask of this client's vector
    // taken away while its own seed is rebuilt. Senders have no bits beyond n,
    // so a part of them has none.
    if (!is_subset(survivors, party->senders, party->bitmap_len) ||
        !fl_bitmap_has(survivors, party->slot) ||
        fl_bitmap_count(survivors, party->n) < party->session.client_min) {
        return fl_party_refuse(party, FL_FAULT_SURVIVORS, FL_ERR_RANGE);
    }
    memcpy(party->survivors, survivors, party->bitmap_len);
    FL_TRY(fl_party_out(party, FL_SIGNATURE_BYTES));
    fl_transcript_confirm(party->out, party->options.identity,
                          &party->transcript, survivors, party->bitmap_len);
    fl_party_answer(party, FL_STEP_CONFIRM, FL_STEP_CONFIRMATIONS);
    return FL_OK;
}

/* ---- confirmations ---- */

static const fl_party_peer *find_peer(const fl_party *party, uint32_t slot)
{
    uint32_t low = 0, high = party->peer_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (party->peers[middle].slot < slot) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const bool is_there =
        low < party->peer_count && party->peers[low].slot == slot;
    return is_there ? &party->peers[low] : NULL;
}

/* The device of a holder of this client's shares; NONE: it is not one. */
static uint32_t holder_device(const fl_party *party, uint32_t slot)
{
    if (slot == party->slot) {
        return fl_party_is_complete(party) ? party->device : FL_ENROLMENT_NONE;
    }
    const fl_party_peer *peer = find_peer(party, slot);
    return peer && peer->x > 0 ? peer->device : FL_ENROLMENT_NONE;
}

static fl_err check_confirmation(fl_party *party, uint32_t slot,
                                 const uint8_t *signature)
{
    const uint32_t device = holder_device(party, slot);
    if (device == FL_ENROLMENT_NONE || !fl_bitmap_has(party->survivors, slot)) {
        return fl_party_refuse(party, FL_FAULT_CONFIRMATIONS, FL_ERR_RANGE);
    }
    if (fl_transcript_confirm_check(
            signature, party->options.enrolment->devices[device].identity,
            &party->transcript, party->survivors, party->bitmap_len)) {
        return fl_party_refuse(party, FL_FAULT_SIGNATURE, FL_ERR_AUTH);
    }
    return FL_OK;
}

/*
 * It must not tell some that a client survived and others that it did not: it
 * would get shares of both its seeds, and so its vector. When t of the holders
 * have signed for one list, fewer than t are left for any other.
 */
static fl_err check_confirmations(fl_party *party, fl_reader *in)
{
    const uint32_t count = fl_reader_u16(in);
    const size_t row_bytes = 2 + FL_SIGNATURE_BYTES;
    if (in->failed || in->left != count * row_bytes) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    if (count < party->t) {
        return fl_party_refuse(party, FL_FAULT_CONFIRMATIONS, FL_ERR_RANGE);
    }
    for (uint32_t i = 0, least = 0; i < count; i++) {
        const uint32_t slot = fl_reader_u16(in);
        // Rising, so that no one's signature counts twice.
        if (slot < least || slot >= party->n) {
            return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
        }
        least = slot + 1;
        FL_TRY(check_confirmation(party, slot,
                                  fl_reader_bytes(in, FL_SIGNATURE_BYTES)));
    }
    return FL_OK;
}

/* ---- shares ---- */

/* Of a survivor the share of b, of another the share of s: never both. */
static void write_half(const fl_party *party, fl_writer *out, uint32_t slot,
                       const uint8_t share[FL_SHARE_BYTES])
{
    const bool is_survivor = fl_bitmap_has(party->survivors, slot);
    fl_writer_u16(out, (uint16_t)slot);
    fl_writer_bytes(out, is_survivor ? share : share + FL_HALF_BYTES,
                    FL_HALF_BYTES);
}

static uint32_t count_shares(const fl_party *party)
{
    uint32_t count = fl_party_is_complete(party);  // its own
    for (uint32_t i = 0; i < party->peer_count; i++) {
        count += party->peers[i].has_share;
    }
    return count;
}

static fl_err write_unmask(fl_party *party)
{
    const uint32_t count = count_shares(party);
    bool has_own = fl_party_is_complete(party);
    FL_TRY(fl_party_out(party, 2 + (size_t)count * (2 + FL_HALF_BYTES)));
    fl_writer out = fl_writer_over(party->out, party->out_len);
    fl_writer_u16(&out, (uint16_t)count);
    for (uint32_t i = 0; i < party->peer_count; i++) {
        const fl_party_peer *peer = &party->peers[i];
        if (has_own && party->slot < peer->slot) {
            write_half(party, &out, party->slot, party->secrets->own_share);
            has_own = false;
        }
        if (peer->has_share) {
            write_half(party, &out, peer->slot, party->pairs[i].share);
        }
    }
    if (has_own) {
        write_half(party, &out, party->slot, party->secrets->own_share);
    }
    assert(!out.failed && out.len == party->out_len);
    return FL_OK;
}

fl_err fl_party_take_confirmations(fl_party *party, fl_reader *in)
{
    FL_TRY(check_confirmations(party, in));
    FL_TRY(write_unmask(party));
    fl_party_wipe(party);
    party->state = FL_PARTY_DONE;
    fl_party_answer(party, FL_STEP_UNMASK, FL_STEP_UNMASK);
    return FL_OK;
}
