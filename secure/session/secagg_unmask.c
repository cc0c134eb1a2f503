/*
 * The end of a session: seeds rebuilt from shares, masks taken away.
 *
 * A session of n clients has n to 30 n streams to take away, each as long as
 * the vector, so the vector goes by in blocks that stay in a core's cache while
 * all streams pass over them. Threads share the keys to be derived, then the
 * vector: no word is ever written by two of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/team.h"
#include "secure/mask.h"
#include "secure/session/secagg_state.h"
#include "secure/shamir.h"

enum {
    BATCH = 1024,        // streams whose keys are there at a time
    BLOCK_WORDS = 4096,  // 32 KiB
    NAMES_MAX = 4,       // in a sentence
};

/* A mask in the sum: the owner's own when both slots are the same. */
typedef struct {
    uint16_t owner, partner;
} stream;

typedef struct {
    fl_secagg *secagg;
    fl_team *team;
    fl_vault *vault;
    uint8_t (*seeds)[FL_SEED_BYTES];     // of each slot: b or s, or nothing
    uint8_t (*keys)[FL_MASK_KEY_BYTES];  // of a batch
    bool *is_wrong;                      // of each slot: its seed
    stream *streams;
    size_t stream_count;
} unmasking;

static bool is_survivor(const fl_secagg *secagg, uint32_t slot)
{
    return fl_bitmap_has(secagg->survivors, slot);
}

static fl_advertise advertise_of(const fl_secagg *secagg, uint32_t slot)
{
    return fl_advertise_at(secagg->clients[slot].entry + 4);
}

/* ---- seeds ---- */

// b has to be what was committed to, s the secret of the key M.
static bool is_seed(const fl_secagg *secagg, uint32_t slot,
                    const uint8_t seed[FL_SEED_BYTES])
{
    uint8_t shown[FL_HASH_BYTES];
    const fl_advertise advertise = advertise_of(secagg, slot);
    if (is_survivor(secagg, slot)) {
        fl_transcript_commitment(shown, secagg->transcript.ctx, seed);
        return memcmp(shown, advertise.commitment, sizeof shown) == 0;
    }
    fl_transcript_public(shown, seed);
    return memcmp(shown, advertise.mask_key, sizeof shown) == 0;
}

static void rebuild_seed(unmasking *u, uint32_t slot)
{
    const fl_secagg *secagg = u->secagg;
    const uint32_t t = secagg->threshold;
    const uint8_t *shares[FL_SHARES_MAX];
    assert(t <= FL_SHARES_MAX);
    for (uint32_t i = 0; i < t; i++) {
        shares[i] = secagg->halves[(size_t)slot * t + i];
    }
    const fl_err err = fl_shamir_join(u->seeds[slot], FL_SEED_BYTES, shares,
                                      secagg->half_x + (size_t)slot * t, t);
    u->is_wrong[slot] = err || !is_seed(secagg, slot, u->seeds[slot]);
}

static void rebuild_seeds(unsigned member, void *context)
{
    unmasking *u = context;
    const unsigned size = fl_team_size(u->team);
    for (uint32_t i = member; i < u->secagg->client_count; i += size) {
        if (fl_bitmap_has(u->secagg->senders, i)) rebuild_seed(u, i);
    }
}

static fl_err check_seeds(const unmasking *u, fl_reason *why)
{
    char names[NAMES_MAX * (FL_ENROLMENT_NAME_CAP + 2)] = "";
    size_t len = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < u->secagg->client_count; i++) {
        if (!u->is_wrong[i] || count++ >= NAMES_MAX) continue;
        const char *name = fl_secagg_name(u->secagg, &u->secagg->clients[i]);
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s",
                                len ? ", " : "", name);
    }
    if (count == 0) return FL_OK;
    return fl_reason_set(why, FL_ERR_AUTH,
                         "the shares of %u clients do not give what they "
                         "committed to (%s%s): they dealt wrong ones",
                         count, names, count > NAMES_MAX ? ", ..." : "");
}

/* ---- streams ---- */

static void note_stream(unmasking *u, uint32_t owner, uint32_t partner)
{
    if (u->streams) {
        u->streams[u->stream_count] =
            (stream){(uint16_t)owner, (uint16_t)partner};
    }
    u->stream_count++;
}

// Every mask that is left in the sum: each survivor's own, and those that
// survivors share with somebody who sent shares and dropped out. Only counts
// while there is no room for them.
static void list_streams(unmasking *u)
{
    const fl_secagg *secagg = u->secagg;
    u->stream_count = 0;
    for (uint32_t i = 0; i < secagg->client_count; i++) {
        if (!fl_bitmap_has(secagg->senders, i)) continue;
        if (is_survivor(secagg, i)) {
            note_stream(u, i, i);
            continue;
        }
        uint32_t partner;
        fl_secagg_graph_walk walk = fl_secagg_graph_partners(&secagg->graph, i);
        while (fl_secagg_graph_next(&walk, &partner)) {
            if (is_survivor(secagg, partner)) note_stream(u, i, partner);
        }
    }
}

static void derive_key(unmasking *u, uint8_t key[FL_MASK_KEY_BYTES],
                       stream mask)
{
    const fl_secagg *secagg = u->secagg;
    const uint8_t *seed = u->seeds[mask.owner];
    if (mask.owner == mask.partner) {
        fl_transcript_self_mask(key, &secagg->transcript, mask.owner, seed);
        return;
    }
    uint8_t shared[32];
    const uint8_t *owner_key = advertise_of(secagg, mask.owner).mask_key;
    const uint8_t *partner_key = advertise_of(secagg, mask.partner).mask_key;
    const fl_err err = fl_transcript_agree(shared, seed, partner_key);
    assert(!err);  // weak keys were refused when they were advertised
    fl_transcript_pair_mask(key, &secagg->transcript, mask.owner, owner_key,
                            mask.partner, partner_key, shared);
    fl_secret_wipe(shared, sizeof shared);
}

// What the survivor of a pair added is subtracted, and the other way round.
static bool is_subtracted(stream mask)
{
    return mask.partner <= mask.owner;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

// This member's part of the vector, block by block under all of the batch.
static void pass_over(unmasking *u, unsigned member, const stream *batch,
                      size_t batch_len)
{
    const size_t word_count = u->secagg->session.word_count;
    const size_t part = word_count / fl_team_size(u->team) / 8 * 8 + 8;
    const size_t end = smaller(word_count, (member + 1) * part);
    for (size_t at = member * part; at < end; at += BLOCK_WORDS) {
        const size_t count = smaller(BLOCK_WORDS, end - at);
        for (size_t i = 0; i < batch_len; i++) {
            fl_mask_add_from(u->secagg->words + at, count, at, u->keys[i],
                             is_subtracted(batch[i]));
        }
    }
}

static void take_masks_away(unsigned member, void *context)
{
    unmasking *u = context;
    for (size_t first = 0; first < u->stream_count; first += BATCH) {
        const stream *batch = u->streams + first;
        const size_t len = smaller(BATCH, u->stream_count - first);
        for (size_t i = member; i < len; i += fl_team_size(u->team)) {
            derive_key(u, u->keys[i], batch[i]);
        }
        fl_team_wait(u->team);  // the keys are there
        pass_over(u, member, batch, len);
        fl_team_wait(u->team);  // nobody needs them any more
    }
}

/* ---- all of it ---- */

static fl_err init_memory(unmasking *u)
{
    const fl_secagg *secagg = u->secagg;
    const size_t n = secagg->client_count;
    const size_t seeds_len = n * FL_SEED_BYTES;
    const size_t keys_len = (size_t)BATCH * FL_MASK_KEY_BYTES;
    FL_TRY(fl_vault_new(&u->vault, seeds_len + keys_len));
    u->seeds = fl_vault_take(u->vault, seeds_len);
    u->keys = fl_vault_take(u->vault, keys_len);
    assert(u->seeds && u->keys);

    list_streams(u);
    assert(u->stream_count > 0);
    u->streams = malloc(u->stream_count * sizeof *u->streams);
    u->is_wrong = calloc(n, sizeof *u->is_wrong);
    if (!u->streams || !u->is_wrong) return FL_ERR_MEMORY;
    list_streams(u);
    return FL_OK;
}

static fl_err init(unmasking *u, unsigned thread_count, fl_reason *why)
{
    unsigned size = thread_count;
    if (size < 1) size = 1;
    if (size > FL_TEAM_MAX) size = FL_TEAM_MAX;
    fl_err err = fl_team_new(&u->team, size);
    if (err) {
        return fl_reason_set(why, err, "cannot start %u threads to unmask",
                             size);
    }
    err = init_memory(u);
    if (!err) return FL_OK;
    return fl_reason_set(why, err, "no memory to unmask");
}

static void fini(unmasking *u)
{
    fl_team_free(u->team);
    fl_vault_free(u->vault);
    free(u->streams);
    free(u->is_wrong);
}

static void finish(fl_secagg *secagg)
{
    secagg->phase = FL_SECAGG_DONE;
    secagg->awaited_count = 0;
    fl_vault_free(secagg->vault);
    secagg->vault = NULL;
    secagg->halves = NULL;
}

static fl_err unmask(unmasking *u, fl_reason *why)
{
    fl_team_run(u->team, rebuild_seeds, u);
    FL_TRY(check_seeds(u, why));
    fl_team_run(u->team, take_masks_away, u);
    return FL_OK;
}

bool fl_secagg_can_unmask(const fl_secagg *secagg)
{
    return secagg->phase == FL_SECAGG_UNMASK && secagg->short_count == 0;
}

fl_err fl_secagg_unmask(fl_secagg *secagg, unsigned thread_count,
                        fl_reason *why)
{
    if (!fl_secagg_can_unmask(secagg)) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "too few shares have come to unmask");
    }
    unmasking u = {.secagg = secagg};
    fl_err err = init(&u, thread_count, why);
    if (err) goto out;
    err = unmask(&u, why);
    if (err) {
        fl_secagg_abort(secagg);  // no other shares could change it
    } else {
        finish(secagg);
    }

out:
    fini(&u);
    return err;
}
