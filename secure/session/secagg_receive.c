/*
 * What devices say, checked before any of it is kept. Whoever is refused has
 * dropped out; what the others said is as good as before.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "secure/session/secagg_state.h"

static const uint8_t *identity_of(const fl_secagg *secagg,
                                  const fl_secagg_client *client)
{
    return secagg->enrolment->devices[client->device].identity;
}

static fl_err check_len(size_t len, size_t expected, fl_reason *why)
{
    if (len == expected) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT, "%zu bytes instead of %zu", len,
                         expected);
}

/* ---- ADVERTISE ---- */

// With such a key every client's agreement would fail, and with it the session.
static fl_err check_strength(const uint8_t key[FL_KEY_BYTES], fl_reason *why)
{
    static const uint8_t any_scalar[32] = {[0] = 8, [31] = 64};
    uint8_t shared[32];
    if (!fl_transcript_agree(shared, any_scalar, key)) return FL_OK;
    return fl_reason_set(why, FL_ERR_AUTH,
                         "a weak key, with which nothing is secret");
}

static uint64_t prefix_of(const uint8_t key[FL_KEY_BYTES])
{
    fl_reader in = fl_reader_over(key, 8);
    return fl_reader_u64(&in);
}

// Clients refuse a roster with a key in it twice: the second must not get in.
// Two that were drawn never agree in 8 bytes.
static fl_err note_key(fl_secagg *secagg, const fl_secagg_client *client,
                       const uint8_t *key, fl_reason *why)
{
    uint32_t other;
    if (fl_map_get(&secagg->keys, prefix_of(key), &other)) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "a key that %s has advertised before",
                             secagg->enrolment->devices[other].name);
    }
    return fl_map_set(&secagg->keys, prefix_of(key), client->device);
}

static fl_err note_keys(fl_secagg *secagg, const fl_secagg_client *client,
                        const fl_advertise *advertise, fl_reason *why)
{
    FL_TRY(note_key(secagg, client, advertise->cipher_key, why));
    const fl_err err = note_key(secagg, client, advertise->mask_key, why);
    if (err) fl_map_remove(&secagg->keys, prefix_of(advertise->cipher_key));
    return err;
}

static fl_err take_advertise(fl_secagg *secagg, fl_secagg_client *client,
                             const uint8_t *src, size_t len, fl_reason *why)
{
    FL_TRY(check_len(len, FL_ADVERTISE_BYTES, why));
    if (fl_advertise_check(src, identity_of(secagg, client),
                           secagg->transcript.ctx)) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "not signed by this device for this session");
    }
    const fl_advertise advertise = fl_advertise_at(src);
    FL_TRY(check_strength(advertise.cipher_key, why));
    FL_TRY(check_strength(advertise.mask_key, why));
    FL_TRY(note_keys(secagg, client, &advertise, why));

    fl_bytes_put_u32(client->entry, client->device);
    memcpy(client->entry + 4, src, FL_ADVERTISE_BYTES);
    return FL_OK;
}

/* ---- CHOICE ---- */

static fl_err take_choice(fl_secagg *secagg, fl_secagg_client *client,
                          const uint8_t *src, size_t len, fl_reason *why)
{
    const uint32_t slot = fl_secagg_slot(secagg, client);
    const fl_err err = fl_secagg_graph_choose(&secagg->graph, slot, src, len);
    if (err == FL_ERR_FORMAT) {
        return check_len(len, 2 * (size_t)secagg->graph.k, why);
    }
    if (!err) return FL_OK;
    return fl_reason_set(why, err,
                         "slots that do not rise, are its own (%u), or are "
                         "none of the %u",
                         slot, secagg->graph.n);
}

/* ---- SHARES: hashes of both halves, sealed shares, signature ---- */

static size_t hashes_len(const fl_secagg *secagg)
{
    return fl_secagg_graph_holder_count(&secagg->graph) * (size_t)2 *
           FL_SHARE_HASH_BYTES;
}

size_t fl_secagg_shares_len(const fl_secagg *secagg)
{
    // In the complete graph the owner keeps a share, above it chose others.
    const size_t sealed_count = fl_secagg_graph_holder_count(&secagg->graph) -
                                (secagg->graph.k ? 0U : 1U);
    return hashes_len(secagg) + sealed_count * FL_SEALED_SHARE_BYTES;
}

const uint8_t *fl_secagg_half_hash(const fl_secagg *secagg, uint32_t owner,
                                   uint32_t place, unsigned half)
{
    const uint8_t *shares = secagg->clients[owner].shares;
    assert(shares && place < fl_secagg_graph_holder_count(&secagg->graph));
    return shares + ((size_t)place * 2 + half) * FL_SHARE_HASH_BYTES;
}

const uint8_t *fl_secagg_sealed_share(const fl_secagg *secagg, uint32_t owner,
                                      uint32_t place)
{
    const uint8_t *shares = secagg->clients[owner].shares;
    const bool is_complete = secagg->graph.k == 0;
    assert(shares && place < fl_secagg_graph_holder_count(&secagg->graph));
    assert(!is_complete || place != owner);
    const uint32_t at = is_complete && place > owner ? place - 1 : place;
    return shares + hashes_len(secagg) + (size_t)at * FL_SEALED_SHARE_BYTES;
}

static fl_err take_shares(fl_secagg *secagg, fl_secagg_client *client,
                          const uint8_t *src, size_t len, fl_reason *why)
{
    const size_t body_len = fl_secagg_shares_len(secagg);
    FL_TRY(check_len(len, body_len + FL_SIGNATURE_BYTES, why));
    if (fl_transcript_shares_check(
            src + body_len, identity_of(secagg, client), &secagg->transcript,
            fl_secagg_slot(secagg, client), src, body_len)) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "not signed by this device for this roster");
    }
    client->shares = malloc(body_len);
    if (!client->shares) return FL_ERR_MEMORY;
    memcpy(client->shares, src, body_len);
    return FL_OK;
}

/* ---- CONFIRM ---- */

static fl_err take_confirm(fl_secagg *secagg, fl_secagg_client *client,
                           const uint8_t *src, size_t len, fl_reason *why)
{
    FL_TRY(check_len(len, FL_SIGNATURE_BYTES, why));
    if (fl_transcript_confirm_check(src, identity_of(secagg, client),
                                    &secagg->transcript, secagg->survivors,
                                    fl_bitmap_bytes(secagg->client_count))) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "not this device's signature of the survivors");
    }
    memcpy(client->confirm, src, FL_SIGNATURE_BYTES);
    return FL_OK;
}

/* ---- UNMASK: halves of shares ---- */

typedef struct {
    uint32_t owner, place;
    const uint8_t *bytes;
} half;

// The next half of a message; `least` is the lowest slot that may come.
static fl_err read_half(fl_reader *in, half *read, const fl_secagg *secagg,
                        uint32_t holder, uint32_t least, fl_reason *why)
{
    read->owner = fl_reader_u16(in);
    read->bytes = fl_reader_bytes(in, FL_HALF_BYTES);
    if (!read->bytes) return fl_reason_set(why, FL_ERR_FORMAT, "cut short");
    if (read->owner < least || read->owner >= secagg->client_count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "slot %u, which does not rise or is none of "
                             "the %u",
                             read->owner, secagg->client_count);
    }
    if (!fl_bitmap_has(secagg->senders, read->owner) ||
        !fl_secagg_graph_find_holder(&secagg->graph, read->owner, holder,
                                     &read->place)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a share of slot %u, which gave it none",
                             read->owner);
    }
    return FL_OK;
}

static fl_err check_halves(const fl_secagg *secagg, uint32_t holder,
                           const uint8_t *src, size_t len, fl_reason *why)
{
    fl_reader in = fl_reader_over(src, len);
    const uint32_t count = fl_reader_u16(&in);
    uint32_t least = 0;
    for (uint32_t i = 0; i < count; i++) {
        half read = {0};
        FL_TRY(read_half(&in, &read, secagg, holder, least, why));
        least = read.owner + 1;
    }
    if (!fl_reader_finish(&in)) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%zu bytes, which %u halves do not take", len, count);
}

// The hash that the owner signed is that of this half, of the right kind.
static bool is_as_dealt(const fl_secagg *secagg, const half *given)
{
    uint8_t hash[FL_SHARE_HASH_BYTES];
    const unsigned kind =
        fl_bitmap_has(secagg->survivors, given->owner) ? 0 : 1;
    fl_transcript_share_hash(hash, &secagg->transcript, given->owner,
                             (uint8_t)(given->place + 1), kind, given->bytes);
    return memcmp(hash,
                  fl_secagg_half_hash(secagg, given->owner, given->place, kind),
                  sizeof hash) == 0;
}

static void keep_half(fl_secagg *secagg, const half *given)
{
    fl_secagg_client *owner = &secagg->clients[given->owner];
    const uint32_t t = secagg->threshold;
    if (owner->half_count == t) return;
    const size_t at = (size_t)given->owner * t + owner->half_count;
    memcpy(secagg->halves[at], given->bytes, FL_HALF_BYTES);
    secagg->half_x[at] = (uint8_t)(given->place + 1);
    if (++owner->half_count == t) secagg->short_count--;
}

// Halves that are as dealt are kept whatever the others are: somebody who
// deals wrong hashes on purpose must not make honest holders worthless.
static fl_err take_unmask(fl_secagg *secagg, fl_secagg_client *client,
                          const uint8_t *src, size_t len, fl_reason *why)
{
    const uint32_t holder = fl_secagg_slot(secagg, client);
    FL_TRY(check_halves(secagg, holder, src, len, why));
    fl_reader in = fl_reader_over(src, len);
    const uint32_t count = fl_reader_u16(&in);
    const fl_secagg_client *tampered = NULL;
    uint32_t tampered_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        half given = {0};
        FL_TRY(read_half(&in, &given, secagg, holder, 0, why));
        if (is_as_dealt(secagg, &given)) {
            keep_half(secagg, &given);
        } else if (tampered_count++ == 0) {
            tampered = &secagg->clients[given.owner];
        }
    }
    if (!tampered) return FL_OK;
    return fl_reason_set(why, FL_ERR_AUTH,
                         "%u of its shares, the first that of %s, are not "
                         "what was dealt: one of the two lies; the others are "
                         "kept",
                         tampered_count, fl_secagg_name(secagg, tampered));
}

/* ---- whatever comes ---- */

static fl_err take(fl_secagg *secagg, fl_secagg_client *client,
                   const uint8_t *src, size_t len, fl_reason *why)
{
    switch (secagg->phase) {
    case FL_SECAGG_ADVERTISE:
        return take_advertise(secagg, client, src, len, why);
    case FL_SECAGG_CHOICE: return take_choice(secagg, client, src, len, why);
    case FL_SECAGG_SHARES: return take_shares(secagg, client, src, len, why);
    case FL_SECAGG_CONFIRM: return take_confirm(secagg, client, src, len, why);
    case FL_SECAGG_UNMASK: return take_unmask(secagg, client, src, len, why);
    case FL_SECAGG_MASKED:
    case FL_SECAGG_DONE:
    case FL_SECAGG_ABORTED: break;
    }
    assert(!"no step is due then");
    return FL_ERR_STALE;
}

static fl_err refuse_stale(const fl_secagg *secagg, uint32_t device,
                           fl_step step, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_STALE,
                         "device %u: \"%s\" is not due from it in session "
                         "%llu: it came too late or twice",
                         device, fl_step_name(step),
                         (unsigned long long)secagg->session.number);
}

// After a lack of memory nothing has changed: the same bytes may come again.
static fl_err refuse(fl_secagg *secagg, fl_secagg_client *client, fl_step step,
                     fl_err err, fl_reason *why)
{
    const char *name = fl_secagg_name(secagg, client);
    if (err == FL_ERR_MEMORY) {
        return fl_reason_set(why, err, "%s: no memory for its \"%s\"", name,
                             fl_step_name(step));
    }
    fl_secagg_leave(secagg, client);
    return fl_reason_prefix(why, err, "%s drops out, its \"%s\" is wrong", name,
                            fl_step_name(step));
}

static bool is_retry(const fl_secagg_client *client, fl_step step,
                     const uint8_t hash[FL_HASH_BYTES])
{
    return client->said == step &&
           memcmp(client->said_hash, hash, FL_HASH_BYTES) == 0;
}

fl_err fl_secagg_receive(fl_secagg *secagg, uint32_t device, fl_step step,
                         const uint8_t *src, size_t src_len, fl_reason *why)
{
    uint8_t hash[FL_HASH_BYTES];
    fl_secagg_client *client = fl_secagg_find(secagg, device);
    if (!client || !client->is_there) {
        return refuse_stale(secagg, device, step, why);
    }
    fl_hash(hash, src, src_len);
    if (is_retry(client, step, hash)) return FL_OK;
    if (!fl_secagg_is_awaited(secagg, device) || step == FL_STEP_MASKED ||
        step != fl_secagg_due(secagg)) {
        return refuse_stale(secagg, device, step, why);
    }
    const fl_err err = take(secagg, client, src, src_len, why);
    if (err) return refuse(secagg, client, step, err, why);
    client->said = step;
    memcpy(client->said_hash, hash, sizeof hash);
    fl_secagg_answered(secagg, client);
    return FL_OK;
}

/* ---- MASKED ---- */

bool fl_secagg_is_masked_due(const fl_secagg *secagg, uint32_t device)
{
    return secagg->phase == FL_SECAGG_MASKED &&
           fl_secagg_is_awaited(secagg, device);
}

fl_err fl_secagg_add(fl_secagg *secagg, uint32_t device, const uint8_t *bytes,
                     size_t len, fl_reason *why)
{
    if (!fl_secagg_is_masked_due(secagg, device)) {
        return refuse_stale(secagg, device, FL_STEP_MASKED, why);
    }
    fl_secagg_client *client = fl_secagg_find(secagg, device);
    const size_t word_count = secagg->session.word_count;
    const fl_err err = check_len(len, word_count * sizeof(uint64_t), why);
    if (err) return refuse(secagg, client, FL_STEP_MASKED, err, why);
    fl_addend_add(secagg->words, bytes, word_count);
    fl_secagg_answered(secagg, client);
    return FL_OK;
}
