/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include "secure/session/transcript.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/bytes.h"

_Static_assert(FL_SEALED_SHARE_BYTES ==
                   64 + crypto_aead_chacha20poly1305_ietf_ABYTES,
               "ChaCha20-Poly1305");
_Static_assert(FL_KEY_BYTES == crypto_scalarmult_BYTES, "X25519");
_Static_assert(FL_SEED_BYTES == crypto_generichash_KEYBYTES, "keyed BLAKE2b");

enum {
    INVITE_SIGNED_BYTES = FL_INVITE_BYTES - FL_SIGNATURE_BYTES,
    ADVERTISE_SIGNED_BYTES = FL_ADVERTISE_BYTES - FL_SIGNATURE_BYTES,
};

/* ---- hashes of parts ---- */

typedef crypto_generichash_state hasher;

static void hash_add(hasher *hash, const void *src, size_t len)
{
    const int failed = crypto_generichash_update(hash, src, len);
    assert(!failed);
}

static void hash_add_u32(hasher *hash, uint32_t value)
{
    uint8_t bytes[4];
    fl_bytes_put_u32(bytes, value);
    hash_add(hash, bytes, sizeof bytes);
}

/* Begins with the label and its 0; `key` is NULL or 32 bytes. */
static void hash_begin(hasher *hash, const uint8_t *key, const char *label)
{
    const int failed = crypto_generichash_init(
        hash, key, key ? FL_SEED_BYTES : 0, FL_HASH_BYTES);
    assert(!failed);
    hash_add(hash, label, strlen(label) + 1);
}

/* What has been hashed may be secret, so the state is wiped. */
static void hash_finish(hasher *hash, uint8_t dst[FL_HASH_BYTES])
{
    const int failed = crypto_generichash_final(hash, dst, FL_HASH_BYTES);
    assert(!failed);
    fl_secret_wipe(hash, sizeof *hash);
}

static void hash_add_roster(hasher *hash, const fl_transcript *transcript)
{
    hash_add(hash, transcript->ctx, FL_HASH_BYTES);
    hash_add(hash, transcript->rho, FL_HASH_BYTES);
}

static void hash_add_senders(hasher *hash, const fl_transcript *transcript)
{
    hash_add_roster(hash, transcript);
    hash_add(hash, transcript->sigma, FL_HASH_BYTES);
}

/* What begins everything that is signed or authenticated: ctx || rho. */
static fl_writer join_roster(uint8_t *dst, size_t dst_cap,
                             const fl_transcript *transcript)
{
    fl_writer out = fl_writer_over(dst, dst_cap);
    fl_writer_bytes(&out, transcript->ctx, FL_HASH_BYTES);
    fl_writer_bytes(&out, transcript->rho, FL_HASH_BYTES);
    return out;
}

/* ---- until the roster ---- */

void fl_transcript_context(uint8_t ctx[FL_HASH_BYTES], const uint8_t *invite)
{
    hasher hash;
    hash_begin(&hash, NULL, "fedge session 1");
    hash_add(&hash, invite, INVITE_SIGNED_BYTES);
    hash_finish(&hash, ctx);
}

void fl_transcript_commitment(uint8_t dst[FL_HASH_BYTES],
                              const uint8_t ctx[FL_HASH_BYTES],
                              const uint8_t b[FL_SEED_BYTES])
{
    hasher hash;
    hash_begin(&hash, NULL, "fedge commitment");
    hash_add(&hash, ctx, FL_HASH_BYTES);
    hash_add(&hash, b, FL_SEED_BYTES);
    hash_finish(&hash, dst);
}

fl_advertise fl_advertise_at(const uint8_t bytes[FL_ADVERTISE_BYTES])
{
    return (fl_advertise){
        .cipher_key = bytes,
        .mask_key = bytes + FL_KEY_BYTES,
        .commitment = bytes + FL_KEY_BYTES + FL_KEY_BYTES,
        .signature = bytes + ADVERTISE_SIGNED_BYTES,
    };
}

static const char ADVERTISE_LABEL[] = "fedge advertise";

enum { ADVERTISE_JOINED_BYTES = FL_HASH_BYTES + ADVERTISE_SIGNED_BYTES };

static void join_advertise(uint8_t dst[ADVERTISE_JOINED_BYTES],
                           const uint8_t ctx[FL_HASH_BYTES],
                           const uint8_t bytes[FL_ADVERTISE_BYTES])
{
    memcpy(dst, ctx, FL_HASH_BYTES);
    memcpy(dst + FL_HASH_BYTES, bytes, ADVERTISE_SIGNED_BYTES);
}

void fl_advertise_sign(uint8_t bytes[FL_ADVERTISE_BYTES],
                       const fl_identity *identity,
                       const uint8_t ctx[FL_HASH_BYTES])
{
    uint8_t joined[ADVERTISE_JOINED_BYTES];
    join_advertise(joined, ctx, bytes);
    fl_identity_sign(bytes + ADVERTISE_SIGNED_BYTES, identity, ADVERTISE_LABEL,
                     joined, sizeof joined);
}

fl_err fl_advertise_check(const uint8_t bytes[FL_ADVERTISE_BYTES],
                          const uint8_t identity[FL_KEY_BYTES],
                          const uint8_t ctx[FL_HASH_BYTES])
{
    uint8_t joined[ADVERTISE_JOINED_BYTES];
    join_advertise(joined, ctx, bytes);
    return fl_signature_check(bytes + ADVERTISE_SIGNED_BYTES, identity,
                              ADVERTISE_LABEL, joined, sizeof joined);
}

void fl_transcript_roster(uint8_t rho[FL_HASH_BYTES],
                          const uint8_t ctx[FL_HASH_BYTES], uint32_t count,
                          const uint8_t root[FL_NODE_BYTES])
{
    hasher hash;
    hash_begin(&hash, NULL, "fedge roster");
    hash_add(&hash, ctx, FL_HASH_BYTES);
    hash_add_u32(&hash, count);
    hash_add(&hash, root, FL_NODE_BYTES);
    hash_finish(&hash, rho);
}

/* ---- shares ---- */

void fl_transcript_share_hash(uint8_t dst[FL_SHARE_HASH_BYTES],
                              const fl_transcript *transcript, uint32_t owner,
                              uint8_t x, unsigned half,
                              const uint8_t bytes[FL_HALF_BYTES])
{
    assert(half < 2);
    uint8_t whole[FL_HASH_BYTES];
    hasher hash;
    // The half is not hashed: which one it is, is the place of the hash.
    hash_begin(&hash, NULL, "fedge share");
    hash_add(&hash, transcript->ctx, FL_HASH_BYTES);
    hash_add_u32(&hash, owner);
    hash_add(&hash, &x, sizeof x);
    hash_add(&hash, bytes, FL_HALF_BYTES);
    hash_finish(&hash, whole);
    memcpy(dst, whole, FL_SHARE_HASH_BYTES);
}

static const char SHARES_LABEL[] = "fedge shares";

enum { SHARES_JOINED_BYTES = 3 * FL_HASH_BYTES + 4 };

static void join_shares(uint8_t dst[SHARES_JOINED_BYTES],
                        const fl_transcript *transcript, uint32_t slot,
                        const uint8_t *body, size_t body_len)
{
    uint8_t hash[FL_HASH_BYTES];
    fl_hash(hash, body, body_len);
    fl_writer out = join_roster(dst, SHARES_JOINED_BYTES, transcript);
    fl_writer_u32(&out, slot);
    fl_writer_bytes(&out, hash, sizeof hash);
    assert(out.len == SHARES_JOINED_BYTES);
}

void fl_transcript_shares_sign(uint8_t signature[FL_SIGNATURE_BYTES],
                               const fl_identity *identity,
                               const fl_transcript *transcript, uint32_t slot,
                               const uint8_t *body, size_t body_len)
{
    uint8_t joined[SHARES_JOINED_BYTES];
    join_shares(joined, transcript, slot, body, body_len);
    fl_identity_sign(signature, identity, SHARES_LABEL, joined, sizeof joined);
}

fl_err fl_transcript_shares_check(const uint8_t signature[FL_SIGNATURE_BYTES],
                                  const uint8_t identity[FL_KEY_BYTES],
                                  const fl_transcript *transcript,
                                  uint32_t slot, const uint8_t *body,
                                  size_t body_len)
{
    uint8_t joined[SHARES_JOINED_BYTES];
    join_shares(joined, transcript, slot, body, body_len);
    return fl_signature_check(signature, identity, SHARES_LABEL, joined,
                              sizeof joined);
}

fl_err fl_transcript_agree(uint8_t shared[32], const uint8_t secret[32],
                           const uint8_t peer[FL_KEY_BYTES])
{
    return crypto_scalarmult(shared, secret, peer) ? FL_ERR_AUTH : FL_OK;
}

void fl_transcript_public(uint8_t public_key[FL_KEY_BYTES],
                          const uint8_t secret[32])
{
    const int failed = crypto_scalarmult_base(public_key, secret);
    assert(!failed);
}

static void derive_share_key(uint8_t key[32], const fl_transcript *transcript,
                             const fl_share_route *route,
                             const uint8_t shared[32])
{
    hasher hash;
    hash_begin(&hash, shared, "fedge share key");
    hash_add_roster(&hash, transcript);
    hash_add_u32(&hash, route->from);
    hash_add_u32(&hash, route->to);
    hash_add(&hash, route->from_key, FL_KEY_BYTES);
    hash_add(&hash, route->to_key, FL_KEY_BYTES);
    hash_finish(&hash, key);
}

// A key seals one share, so the nonce need not vary.
static const uint8_t NONCE[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

enum { ROUTE_BYTES = 2 * FL_HASH_BYTES + 2 * 4 };

static void join_route(uint8_t dst[ROUTE_BYTES],
                       const fl_transcript *transcript,
                       const fl_share_route *route)
{
    fl_writer out = join_roster(dst, ROUTE_BYTES, transcript);
    fl_writer_u32(&out, route->from);
    fl_writer_u32(&out, route->to);
    assert(out.len == ROUTE_BYTES);
}

void fl_transcript_share_seal(uint8_t dst[FL_SEALED_SHARE_BYTES],
                              const fl_transcript *transcript,
                              const fl_share_route *route,
                              const uint8_t shared[32], const uint8_t share[64])
{
    uint8_t key[32], joined[ROUTE_BYTES];
    join_route(joined, transcript, route);
    derive_share_key(key, transcript, route, shared);
    const int failed = crypto_aead_chacha20poly1305_ietf_encrypt(
        dst, NULL, share, 64, joined, sizeof joined, NULL, NONCE, key);
    fl_secret_wipe(key, sizeof key);
    assert(!failed);
}

fl_err fl_transcript_share_unseal(uint8_t share[64],
                                  const fl_transcript *transcript,
                                  const fl_share_route *route,
                                  const uint8_t shared[32],
                                  const uint8_t src[FL_SEALED_SHARE_BYTES])
{
    uint8_t key[32], joined[ROUTE_BYTES];
    join_route(joined, transcript, route);
    derive_share_key(key, transcript, route, shared);
    const int failed = crypto_aead_chacha20poly1305_ietf_decrypt(
        share, NULL, NULL, src, FL_SEALED_SHARE_BYTES, joined, sizeof joined,
        NONCE, key);
    fl_secret_wipe(key, sizeof key);
    return failed ? FL_ERR_AUTH : FL_OK;
}

/* ---- masks ---- */

void fl_transcript_senders(fl_transcript *transcript, const uint8_t *bitmap,
                           size_t bitmap_len)
{
    hasher hash;
    hash_begin(&hash, NULL, "fedge senders");
    hash_add_roster(&hash, transcript);
    hash_add(&hash, bitmap, bitmap_len);
    hash_finish(&hash, transcript->sigma);
}

void fl_transcript_self_mask(uint8_t key[32], const fl_transcript *transcript,
                             uint32_t slot, const uint8_t b[FL_SEED_BYTES])
{
    hasher hash;
    hash_begin(&hash, b, "fedge self mask");
    hash_add_senders(&hash, transcript);
    hash_add_u32(&hash, slot);
    hash_finish(&hash, key);
}

void fl_transcript_pair_mask(uint8_t key[32], const fl_transcript *transcript,
                             uint32_t a, const uint8_t *a_key, uint32_t b,
                             const uint8_t *b_key, const uint8_t shared[32])
{
    assert(a != b);
    hasher hash;
    hash_begin(&hash, shared, "fedge pair mask");
    hash_add_senders(&hash, transcript);
    hash_add_u32(&hash, a < b ? a : b);
    hash_add_u32(&hash, a < b ? b : a);
    hash_add(&hash, a < b ? a_key : b_key, FL_KEY_BYTES);
    hash_add(&hash, a < b ? b_key : a_key, FL_KEY_BYTES);
    hash_finish(&hash, key);
}

/* ---- survivors ---- */

static const char SURVIVORS_LABEL[] = "fedge survivors";

enum { CONFIRM_JOINED_BYTES = 4 * FL_HASH_BYTES };

static void join_confirm(uint8_t dst[CONFIRM_JOINED_BYTES],
                         const fl_transcript *transcript, const uint8_t *bitmap,
                         size_t bitmap_len)
{
    uint8_t hash[FL_HASH_BYTES];
    fl_hash(hash, bitmap, bitmap_len);
    fl_writer out = join_roster(dst, CONFIRM_JOINED_BYTES, transcript);
    fl_writer_bytes(&out, transcript->sigma, FL_HASH_BYTES);
    fl_writer_bytes(&out, hash, sizeof hash);
    assert(out.len == CONFIRM_JOINED_BYTES);
}

void fl_transcript_confirm(uint8_t signature[FL_SIGNATURE_BYTES],
                           const fl_identity *identity,
                           const fl_transcript *transcript,
                           const uint8_t *bitmap, size_t bitmap_len)
{
    uint8_t joined[CONFIRM_JOINED_BYTES];
    join_confirm(joined, transcript, bitmap, bitmap_len);
    fl_identity_sign(signature, identity, SURVIVORS_LABEL, joined,
                     sizeof joined);
}

fl_err fl_transcript_confirm_check(const uint8_t signature[FL_SIGNATURE_BYTES],
                                   const uint8_t identity[FL_KEY_BYTES],
                                   const fl_transcript *transcript,
                                   const uint8_t *bitmap, size_t bitmap_len)
{
    uint8_t joined[CONFIRM_JOINED_BYTES];
    join_confirm(joined, transcript, bitmap, bitmap_len);
    return fl_signature_check(signature, identity, SURVIVORS_LABEL, joined,
                              sizeof joined);
}
