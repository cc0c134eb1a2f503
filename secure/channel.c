/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include "secure/channel.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

_Static_assert(FL_KEY_BYTES == crypto_scalarmult_BYTES, "X25519");

enum { SEALED_KEY_BYTES = FL_KEY_BYTES + FL_CHANNEL_TAG_BYTES };

void fl_channel_init(fl_channel *channel, const fl_identity *identity,
                     const uint8_t peer[FL_KEY_BYTES], const void *prologue,
                     size_t prologue_len)
{
    *channel = (fl_channel){.is_client = peer != NULL};
    channel->state = peer ? FL_CHANNEL_WRITES : FL_CHANNEL_READS;
    memcpy(channel->own_public, identity->channel_key, FL_KEY_BYTES);
    memcpy(channel->own_secret, identity->channel_secret,
           sizeof channel->own_secret);
    if (peer) memcpy(channel->peer_public, peer, FL_KEY_BYTES);

    fl_noise_init(&channel->noise, "Noise_IK_25519_ChaChaPoly_BLAKE2b");
    fl_noise_mix_hash(&channel->noise, prologue, prologue_len);
    fl_noise_mix_hash(&channel->noise, peer ? peer : identity->channel_key,
                      FL_KEY_BYTES);
}

void fl_channel_fini(fl_channel *channel)
{
    fl_secret_wipe(channel, sizeof *channel);
}

static fl_err fail(fl_channel *channel, fl_err err)
{
    fl_channel_fini(channel);
    channel->state = FL_CHANNEL_FAILED;
    return err;
}

/* ---- handshake ---- */

// A shared secret that is all zeros means a peer's key that anybody can use.
static fl_err mix_dh(fl_channel *channel, const uint8_t own_secret[32],
                     const uint8_t peer_key[FL_KEY_BYTES])
{
    uint8_t shared[FL_KEY_BYTES];
    const int weak = crypto_scalarmult(shared, own_secret, peer_key);
    if (!weak) fl_noise_mix_key(&channel->noise, shared);
    fl_secret_wipe(shared, sizeof shared);
    return weak ? FL_ERR_AUTH : FL_OK;
}

static void split(fl_channel *channel)
{
    fl_channel_direction *first =
        channel->is_client ? &channel->out : &channel->in;
    fl_channel_direction *second =
        channel->is_client ? &channel->in : &channel->out;
    fl_noise_split(&channel->noise, first->key, second->key);
    fl_secret_wipe(channel->own_secret, sizeof channel->own_secret);
    fl_secret_wipe(channel->fresh_secret, sizeof channel->fresh_secret);
    fl_secret_wipe(channel->noise.chain, sizeof channel->noise.chain);
    fl_secret_wipe(channel->noise.key, sizeof channel->noise.key);
    channel->state = FL_CHANNEL_READY;
}

// e, es, s, ss: what stands in front of the first payload.
static fl_err write_1(fl_channel *channel, uint8_t *dst)
{
    FL_TRY(mix_dh(channel, channel->fresh_secret, channel->peer_public));
    memcpy(dst, channel->own_public, FL_KEY_BYTES);
    fl_noise_seal_and_hash(&channel->noise, dst, FL_KEY_BYTES);
    return mix_dh(channel, channel->own_secret, channel->peer_public);
}

static fl_err read_1(fl_channel *channel, uint8_t *src)
{
    FL_TRY(mix_dh(channel, channel->own_secret, channel->peer_fresh));
    FL_TRY(fl_noise_unseal_and_hash(&channel->noise, src, SEALED_KEY_BYTES));
    memcpy(channel->peer_public, src, FL_KEY_BYTES);
    return mix_dh(channel, channel->own_secret, channel->peer_public);
}

// ee, se.
static fl_err write_2(fl_channel *channel)
{
    FL_TRY(mix_dh(channel, channel->fresh_secret, channel->peer_fresh));
    return mix_dh(channel, channel->fresh_secret, channel->peer_public);
}

static fl_err read_2(fl_channel *channel)
{
    FL_TRY(mix_dh(channel, channel->fresh_secret, channel->peer_fresh));
    return mix_dh(channel, channel->own_secret, channel->peer_fresh);
}

fl_err fl_channel_write(fl_channel *channel, uint8_t *dst, size_t *len,
                        const uint8_t random[32], const void *payload,
                        size_t payload_len)
{
    if (channel->state != FL_CHANNEL_WRITES) return FL_ERR_STATE;
    assert(payload_len <= FL_CHANNEL_PAYLOAD_MAX);

    memcpy(channel->fresh_secret, random, sizeof channel->fresh_secret);
    const int weak =
        crypto_scalarmult_base(channel->fresh_public, channel->fresh_secret);
    assert(!weak);
    uint8_t *at = dst;
    memcpy(at, channel->fresh_public, FL_KEY_BYTES);
    fl_noise_mix_hash(&channel->noise, at, FL_KEY_BYTES);
    at += FL_KEY_BYTES;

    const fl_err err =
        channel->is_client ? write_1(channel, at) : write_2(channel);
    if (err) return fail(channel, err);
    if (channel->is_client) at += SEALED_KEY_BYTES;

    if (payload_len > 0) memcpy(at, payload, payload_len);
    fl_noise_seal_and_hash(&channel->noise, at, payload_len);
    *len = (size_t)(at - dst) + payload_len + FL_CHANNEL_TAG_BYTES;
    channel->state = FL_CHANNEL_READS;
    if (!channel->is_client) split(channel);
    return FL_OK;
}

fl_err fl_channel_read(fl_channel *channel,
                       uint8_t payload[FL_CHANNEL_PAYLOAD_MAX],
                       size_t *payload_len, const uint8_t *src, size_t src_len)
{
    if (channel->state != FL_CHANNEL_READS) return FL_ERR_STATE;
    const size_t fixed = channel->is_client ? FL_CHANNEL_WRITE_2_BYTES
                                            : FL_CHANNEL_WRITE_1_BYTES;
    if (src_len < fixed || src_len - fixed > FL_CHANNEL_PAYLOAD_MAX) {
        return fail(channel, FL_ERR_FORMAT);
    }

    uint8_t copy[FL_CHANNEL_WRITE_1_BYTES + FL_CHANNEL_PAYLOAD_MAX];
    memcpy(copy, src, src_len);
    uint8_t *at = copy;
    memcpy(channel->peer_fresh, at, FL_KEY_BYTES);
    fl_noise_mix_hash(&channel->noise, at, FL_KEY_BYTES);
    at += FL_KEY_BYTES;

    fl_err err = channel->is_client ? read_2(channel) : read_1(channel, at);
    if (err) return fail(channel, err);
    if (!channel->is_client) at += SEALED_KEY_BYTES;

    const size_t left = src_len - (size_t)(at - copy);
    err = fl_noise_unseal_and_hash(&channel->noise, at, left);
    if (err) return fail(channel, err);
    *payload_len = src_len - fixed;
    memcpy(payload, at, *payload_len);
    channel->state = FL_CHANNEL_WRITES;
    if (channel->is_client) split(channel);
    return FL_OK;
}

/* ---- frames ---- */

uint64_t fl_channel_next_out(const fl_channel *channel)
{
    return channel->out.count + 1;
}

uint64_t fl_channel_next_in(const fl_channel *channel)
{
    return channel->in.count + 1;
}

static void advance(fl_channel_direction *direction)
{
    direction->count++;
    if (direction->count % FL_CHANNEL_REKEY == 0) {
        fl_noise_rekey(direction->key);
    }
}

fl_err fl_channel_seal(fl_channel *channel, uint8_t *bytes, size_t head_len,
                       size_t len)
{
    if (channel->state != FL_CHANNEL_READY) return FL_ERR_STATE;
    assert(head_len <= len);
    fl_noise_seal(channel->out.key, channel->out.count, bytes, head_len,
                  bytes + head_len, len - head_len);
    advance(&channel->out);
    return FL_OK;
}

fl_err fl_channel_unseal(fl_channel *channel, uint8_t *bytes, size_t head_len,
                         size_t *len)
{
    if (channel->state != FL_CHANNEL_READY) return FL_ERR_STATE;
    if (*len < head_len) return fail(channel, FL_ERR_AUTH);
    const fl_err err =
        fl_noise_unseal(channel->in.key, channel->in.count, bytes, head_len,
                        bytes + head_len, *len - head_len);
    if (err) return fail(channel, err);
    advance(&channel->in);
    *len -= FL_CHANNEL_TAG_BYTES;
    return FL_OK;
}
