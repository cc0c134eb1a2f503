/*
 * The sealed channel under every connection: Noise_IK_25519_ChaChaPoly_BLAKE2b
 * (The Noise Protocol Framework, revision 34), by the book.
 *
 *   client                                      aggregator
 *   knows the aggregator's channel key
 *   write: e, es, s, ss, payload   ---------->  read
 *   read                           <----------  write: e, ee, se, payload
 *   seal, unseal                                seal, unseal
 *
 * The client's first sealed frame proves that it is there now: what the first
 * message says can be a replay, so nothing may depend on it before.
 *
 * Frames are numbered from 1 in each direction and the number is the nonce:
 * nothing can be repeated, left out or put in another order. The key of a
 * direction is replaced (Noise's REKEY) after every FL_CHANNEL_REKEY frames.
 *
 * One owner, one thread. Wiped by fini. Whoever moves a channel wipes the
 * place where it was.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_CHANNEL_H
#define FL_SECURE_CHANNEL_H

#include "secure/noise.h"
#include "secure/secure.h"

enum {
    FL_CHANNEL_TAG_BYTES = FL_NOISE_TAG_BYTES,
    FL_CHANNEL_WRITE_1_BYTES = 32 + 48 + 16,  // without the payload
    FL_CHANNEL_WRITE_2_BYTES = 32 + 16,
    FL_CHANNEL_PAYLOAD_MAX = 512,
    FL_CHANNEL_REKEY = 1 << 8,  // frames
};

typedef enum {
    FL_CHANNEL_NONE,    // all zeros, or after fini: not begun
    FL_CHANNEL_WRITES,  // the next handshake message is ours
    FL_CHANNEL_READS,
    FL_CHANNEL_READY,  // seal and unseal
    FL_CHANNEL_FAILED,
} fl_channel_state;

typedef struct {
    uint8_t key[32];
    uint64_t count;  // frames so far
} fl_channel_direction;

typedef struct {
    fl_channel_state state;
    bool is_client;
    // Of the handshake: secrets are wiped when it is over, noise.hash and
    // peer_public stay. The aggregator knows peer_public once it has read.
    uint8_t own_public[FL_KEY_BYTES], own_secret[32];
    uint8_t fresh_public[FL_KEY_BYTES], fresh_secret[32];
    uint8_t peer_public[FL_KEY_BYTES], peer_fresh[FL_KEY_BYTES];
    fl_noise noise;
    // Of a channel that is READY.
    fl_channel_direction out, in;
} fl_channel;

/*
 * Begins a handshake. `prologue` is what has been said in clear before: a
 * change of it on the way makes the handshake fail. `peer` is the aggregator's
 * channel key for a client; NULL for the aggregator, who learns the client's.
 */
void fl_channel_init(fl_channel *channel, const fl_identity *identity,
                     const uint8_t peer[FL_KEY_BYTES], const void *prologue,
                     size_t prologue_len);

/* Wipes. Accepts one that is all zeros. */
void fl_channel_fini(fl_channel *channel);

/*
 * Our handshake message; `random` gives the fresh key's 32 secret bytes, which
 * the caller wipes. Writes FL_CHANNEL_WRITE_n_BYTES + payload_len bytes; needs
 * payload_len <= FL_CHANNEL_PAYLOAD_MAX. FL_ERR_STATE: it is not our turn.
 * FL_ERR_AUTH: the peer's key is a weak point; the channel has FAILED then.
 */
FL_CHECK fl_err fl_channel_write(fl_channel *channel, uint8_t *dst, size_t *len,
                                 const uint8_t random[32], const void *payload,
                                 size_t payload_len);

/*
 * The peer's handshake message. FL_ERR_AUTH: it is not made with the keys it
 * should be, whatever the cause. FL_ERR_STATE: not its turn. FL_ERR_FORMAT:
 * too short, or the payload is longer than FL_CHANNEL_PAYLOAD_MAX. Unless it
 * was not its turn, the channel has FAILED then.
 */
FL_CHECK fl_err fl_channel_read(fl_channel *channel,
                                uint8_t payload[FL_CHANNEL_PAYLOAD_MAX],
                                size_t *payload_len, const uint8_t *src,
                                size_t src_len);

/*
 * Seals the next frame: bytes[0..head_len) stay readable and are
 * authenticated, the rest up to len is encrypted in place, and
 * FL_CHANNEL_TAG_BYTES are appended (the caller has room).
 * FL_ERR_STATE: the channel is not READY.
 */
FL_CHECK fl_err fl_channel_seal(fl_channel *channel, uint8_t *bytes,
                                size_t head_len, size_t len);

/*
 * Opens the next frame in place; *len becomes the length without the tag.
 * FL_ERR_AUTH: not the next frame of this channel, or changed on the way; the
 * channel has FAILED then. FL_ERR_STATE: the channel is not READY.
 */
FL_CHECK fl_err fl_channel_unseal(fl_channel *channel, uint8_t *bytes,
                                  size_t head_len, size_t *len);

/* The numbers of the frames that are sealed and opened next, from 1. */
uint64_t fl_channel_next_out(const fl_channel *channel);
uint64_t fl_channel_next_in(const fl_channel *channel);

#endif
