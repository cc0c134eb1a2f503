/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "secure/session/party_state.h"

/* ---- how many ---- */

/* Needs n within the invite's limits. */
static bool threshold_ok(const fl_party *party)
{
    const uint32_t n = party->n, k = party->k, t = party->t;
    if (fl_party_is_complete(party)) {
        return t >= fl_session_threshold(n) && t <= n;
    }
    return k >= fl_session_neighbours(n) && k < n && k < FL_SHARES_MAX &&
           t >= 7 * k / 10 && t <= k;
}

static fl_err check_counts(fl_party *party)
{
    // It must not single out a few, nor have room for a sum that overflows.
    if (party->n < party->session.client_min) {
        return fl_party_refuse(party, FL_FAULT_ROSTER_SMALL, FL_ERR_RANGE);
    }
    if (party->n > party->session.client_cap) {
        return fl_party_refuse(party, FL_FAULT_ROSTER_LARGE, FL_ERR_RANGE);
    }
    if (party->slot >= party->n) {
        return fl_party_refuse(party, FL_FAULT_SELF, FL_ERR_RANGE);
    }
    const bool is_small = party->n <= FL_SESSION_COMPLETE_MAX;
    if (is_small != fl_party_is_complete(party)) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    // With a lower threshold a few clients that work for the aggregator, or two
    // halves of the others that it tells different things, give it everything.
    if (!threshold_ok(party)) {
        return fl_party_refuse(party, FL_FAULT_THRESHOLD, FL_ERR_RANGE);
    }
    return FL_OK;
}

/* ---- entries ---- */

/* Later slots have later devices; so no device is there twice. */
static bool is_in_order(const fl_party *party, uint32_t slot, uint32_t device)
{
    if (device == party->device) return false;
    if ((slot < party->slot) != (device < party->device)) return false;
    return party->peer_count == 0 ||
           party->peers[party->peer_count - 1].device < device;
}

/* Checks another's entry and adds it to the peers, who have room. */
static fl_err add_peer(fl_party *party, uint32_t slot, const uint8_t *entry)
{
    const fl_enrolment *enrolment = party->options.enrolment;
    const uint32_t device = fl_bytes_get_u32(entry);
    // It must not put in devices of its own making: with enough of them it
    // would hold enough shares,
    if (device >= enrolment->device_count) {
        return fl_party_refuse(party, FL_FAULT_UNENROLLED, FL_ERR_AUTH);
    }
    // nor one twice, which would be as good,
    if (!is_in_order(party, slot, device)) {
        return fl_party_refuse(party, FL_FAULT_DUPLICATE, FL_ERR_FORMAT);
    }
    // nor stand between two clients with keys of its own.
    if (fl_advertise_check(entry + 4, enrolment->devices[device].identity,
                           party->transcript.ctx)) {
        return fl_party_refuse(party, FL_FAULT_SIGNATURE, FL_ERR_AUTH);
    }
    fl_party_peer *peer = &party->peers[party->peer_count++];
    const fl_advertise advertise = fl_advertise_at(entry + 4);
    peer->slot = slot;
    peer->device = device;
    memcpy(peer->cipher_key, advertise.cipher_key, FL_KEY_BYTES);
    memcpy(peer->mask_key, advertise.mask_key, FL_KEY_BYTES);
    return FL_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const uint8_t *const *left = a, *const *right = b;
    return memcmp(*left, *right, FL_KEY_BYTES);
}

/*
 * A device that works for the aggregator must not repeat another's key: the
 * same mask on two vectors, or a share that can be passed on as its own.
 */
static fl_err check_keys(fl_party *party)
{
    const size_t count = 2 * ((size_t)party->peer_count + 1);
    const uint8_t **keys = calloc(count, sizeof *keys);
    if (!keys) return FL_ERR_MEMORY;
    size_t len = 0;
    for (uint32_t i = 0; i < party->peer_count; i++) {
        keys[len++] = party->peers[i].cipher_key;
        keys[len++] = party->peers[i].mask_key;
    }
    const fl_advertise own = fl_advertise_at(party->entry + 4);
    keys[len++] = own.cipher_key;
    keys[len++] = own.mask_key;
    assert(len == count);

    qsort(keys, count, sizeof *keys, compare_keys);
    bool is_double = false;
    for (size_t i = 1; i < count; i++) {
        is_double |= compare_keys(&keys[i - 1], &keys[i]) == 0;
    }
    free(keys);
    if (!is_double) return FL_OK;
    return fl_party_refuse(party, FL_FAULT_DUPLICATE, FL_ERR_FORMAT);
}

static fl_err new_peers(fl_party *party, uint32_t cap)
{
    party->peers = calloc(cap, sizeof *party->peers);
    return party->peers ? FL_OK : FL_ERR_MEMORY;
}

/* ---- the complete graph ---- */

static fl_err take_entry(fl_party *party, uint32_t slot, const uint8_t *entry)
{
    if (slot != party->slot) {
        FL_TRY(add_peer(party, slot, entry));
        fl_party_peer *peer = &party->peers[party->peer_count - 1];
        peer->x = slot + 1;
        peer->is_owner = true;
        return FL_OK;
    }
    // It must not give the others other keys of this client.
    if (memcmp(entry, party->entry, FL_ENTRY_BYTES) != 0) {
        return fl_party_refuse(party, FL_FAULT_SELF, FL_ERR_AUTH);
    }
    return FL_OK;
}

static fl_err take_everybody(fl_party *party, fl_reader *in)
{
    uint8_t leaves[FL_SESSION_COMPLETE_MAX][FL_NODE_BYTES];
    if (in->left != (size_t)party->n * FL_ENTRY_BYTES) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    FL_TRY(new_peers(party, party->n - 1));
    for (uint32_t slot = 0; slot < party->n; slot++) {
        const uint8_t *entry = fl_reader_bytes(in, FL_ENTRY_BYTES);
        FL_TRY(take_entry(party, slot, entry));
        fl_roster_leaf(leaves[slot], slot, entry);
    }
    FL_TRY(check_keys(party));
    fl_roster_root(party->root, leaves, party->n);
    fl_transcript_roster(party->transcript.rho, party->transcript.ctx, party->n,
                         party->root);
    return fl_party_deal(party);
}

/* ---- above: neighbours that this client chooses ---- */

/* Numbers below 2^16, a few at a time: a draw may be a system call. */
typedef struct {
    const fl_party_options *options;
    uint16_t numbers[64];
    size_t used;
} dice;

static uint16_t roll(dice *from)
{
    const size_t count = sizeof from->numbers / sizeof *from->numbers;
    if (from->used == count) {
        from->options->random_bytes(from->options->random_self, from->numbers,
                                    sizeof from->numbers);
        from->used = 0;
    }
    return from->numbers[from->used++];
}

/*
 * k different slots of others. What falls outside, or on one chosen before, is
 * thrown away, so every set of k is as likely as any other. The aggregator must
 * not have a say in it: it would choose its own for neighbours.
 */
static void choose(fl_party *party)
{
    uint32_t mask = 1;
    while (mask < party->n - 1) {
        mask = 2 * mask + 1;
    }
    dice from = {.options = &party->options};
    from.used = sizeof from.numbers / sizeof *from.numbers;
    for (uint32_t left = party->k; left > 0;) {
        const uint32_t slot = roll(&from) & mask;
        if (slot >= party->n || slot == party->slot) continue;
        if (fl_bitmap_has(party->chosen, slot)) continue;
        fl_bitmap_add(party->chosen, slot);
        left--;
    }
}

static fl_err answer_choice(fl_party *party)
{
    choose(party);
    FL_TRY(fl_party_out(party, 2 * (size_t)party->k));
    fl_writer out = fl_writer_over(party->out, party->out_len);
    for (uint32_t slot = 0; slot < party->n; slot++) {
        if (fl_bitmap_has(party->chosen, slot)) {
            fl_writer_u16(&out, (uint16_t)slot);
        }
    }
    assert(out.len == party->out_len);
    fl_party_answer(party, FL_STEP_CHOICE, FL_STEP_NEIGHBOURS);
    return FL_OK;
}

static fl_err take_root(fl_party *party, fl_reader *in)
{
    const size_t proof_len = fl_roster_proof_len(party->n, party->slot);
    const uint8_t *root = fl_reader_bytes(in, FL_NODE_BYTES);
    const uint8_t *proof = fl_reader_bytes(in, proof_len * FL_NODE_BYTES);
    if (fl_reader_finish(in)) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    // It must not leave this client out, or give the others other keys of it,
    const bool is_rising = fl_roster_climb(party->root, party->entry, party->n,
                                           party->slot, proof);
    if (memcmp(party->root, root, FL_NODE_BYTES) != 0) {
        return fl_party_refuse(party, FL_FAULT_SELF, FL_ERR_AUTH);
    }
    // nor have a few devices stand for many.
    if (!is_rising) {
        return fl_party_refuse(party, FL_FAULT_DUPLICATE, FL_ERR_FORMAT);
    }
    fl_transcript_roster(party->transcript.rho, party->transcript.ctx, party->n,
                         party->root);
    return answer_choice(party);
}

static fl_err new_bitmaps(fl_party *party)
{
    party->bitmap_len = fl_bitmap_bytes(party->n);
    party->chosen = calloc(3, party->bitmap_len);
    if (!party->chosen) return FL_ERR_MEMORY;
    party->senders = party->chosen + party->bitmap_len;
    party->survivors = party->senders + party->bitmap_len;
    return FL_OK;
}

fl_err fl_party_take_roster(fl_party *party, fl_reader *in)
{
    party->n = fl_reader_u32(in);
    party->slot = fl_reader_u32(in);
    party->k = fl_reader_u16(in);
    party->t = fl_reader_u16(in);
    if (in->failed) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    FL_TRY(check_counts(party));
    FL_TRY(new_bitmaps(party));
    return fl_party_is_complete(party) ? take_everybody(party, in)
                                       : take_root(party, in);
}

static fl_err add_proven_peer(fl_party *party, uint32_t slot,
                              const uint8_t *entry, const uint8_t *proof)
{
    // It must not show different rosters to different clients,
    uint8_t root[FL_NODE_BYTES];
    const bool is_rising = fl_roster_climb(root, entry, party->n, slot, proof);
    if (memcmp(root, party->root, FL_NODE_BYTES) != 0) {
        return fl_party_refuse(party, FL_FAULT_PROOF, FL_ERR_AUTH);
    }
    FL_TRY(add_peer(party, slot, entry));
    // nor one device in many slots, of which each client sees a few only.
    if (!is_rising) {
        return fl_party_refuse(party, FL_FAULT_DUPLICATE, FL_ERR_FORMAT);
    }
    return FL_OK;
}

static fl_err take_neighbour(fl_party *party, fl_reader *in, uint32_t *x)
{
    const uint32_t slot = fl_reader_u16(in);
    const uint8_t chose = fl_reader_u8(in);
    if (in->failed || slot >= party->n || chose > 1) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    // It must not add neighbours that nobody chose, or change the order, by
    // which holders have their x.
    const bool is_chosen = fl_bitmap_has(party->chosen, slot);
    const uint32_t count = party->peer_count;
    if ((!is_chosen && !chose) || slot == party->slot ||
        (count > 0 && party->peers[count - 1].slot >= slot)) {
        return fl_party_refuse(party, FL_FAULT_NEIGHBOURS, FL_ERR_FORMAT);
    }
    const size_t proof_len = fl_roster_proof_len(party->n, slot);
    const uint8_t *entry = fl_reader_bytes(in, FL_ENTRY_BYTES);
    const uint8_t *proof = fl_reader_bytes(in, proof_len * FL_NODE_BYTES);
    if (in->failed) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    FL_TRY(add_proven_peer(party, slot, entry, proof));
    fl_party_peer *peer = &party->peers[count];
    peer->is_owner = chose == 1;
    if (is_chosen) peer->x = ++*x;
    return FL_OK;
}

fl_err fl_party_take_neighbours(fl_party *party, fl_reader *in)
{
    const uint32_t count = fl_reader_u32(in);
    // No more than the bytes hold: they bound what is allocated.
    if (in->failed || count > in->left / (3 + FL_ENTRY_BYTES)) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    // None of those chosen may be missing, else the aggregator chooses.
    if (count < party->k) {
        return fl_party_refuse(party, FL_FAULT_NEIGHBOURS, FL_ERR_FORMAT);
    }
    FL_TRY(new_peers(party, count));
    uint32_t x = 0;
    for (uint32_t i = 0; i < count; i++) {
        FL_TRY(take_neighbour(party, in, &x));
    }
    if (fl_reader_finish(in)) {
        return fl_party_refuse(party, FL_FAULT_FORMAT, FL_ERR_FORMAT);
    }
    if (x != party->k) {
        return fl_party_refuse(party, FL_FAULT_NEIGHBOURS, FL_ERR_FORMAT);
    }
    FL_TRY(check_keys(party));
    return fl_party_deal(party);
}
