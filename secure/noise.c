/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include "secure/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "secure/secure.h"

enum { BLOCK_BYTES = 128 };  // BLAKE2b's, for HMAC

_Static_assert(FL_NOISE_HASH_BYTES == crypto_generichash_BYTES_MAX, "HASHLEN");
_Static_assert(FL_NOISE_KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES,
               "ChaChaPoly");
_Static_assert(FL_NOISE_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES,
               "ChaChaPoly");

/* ---- CipherState ---- */

typedef uint8_t nonce_bytes[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

// Section 12.3: 32 zero bits, then the number, little-endian.
static void encode_nonce(nonce_bytes dst, uint64_t nonce)
{
    memset(dst, 0, 4);
    for (int i = 0; i < 8; i++) {
        dst[4 + i] = (uint8_t)(nonce >> 8 * i);
    }
}

void fl_noise_seal(const uint8_t key[FL_NOISE_KEY_BYTES], uint64_t nonce,
                   const void *head, size_t head_len, uint8_t *bytes,
                   size_t len)
{
    nonce_bytes number;
    encode_nonce(number, nonce);
    const int failed = crypto_aead_chacha20poly1305_ietf_encrypt_detached(
        bytes, bytes + len, NULL, bytes, len, head, head_len, NULL, number,
        key);
    assert(!failed);
}

fl_err fl_noise_unseal(const uint8_t key[FL_NOISE_KEY_BYTES], uint64_t nonce,
                       const void *head, size_t head_len, uint8_t *bytes,
                       size_t len)
{
    if (len < FL_NOISE_TAG_BYTES) return FL_ERR_AUTH;
    const size_t text_len = len - FL_NOISE_TAG_BYTES;
    nonce_bytes number;
    encode_nonce(number, nonce);
    const int failed = crypto_aead_chacha20poly1305_ietf_decrypt_detached(
        bytes, NULL, bytes, text_len, bytes + text_len, head, head_len, number,
        key);
    return failed ? FL_ERR_AUTH : FL_OK;
}

void fl_noise_rekey(uint8_t key[FL_NOISE_KEY_BYTES])
{
    uint8_t next[FL_NOISE_KEY_BYTES + FL_NOISE_TAG_BYTES] = {0};
    fl_noise_seal(key, UINT64_MAX, NULL, 0, next, FL_NOISE_KEY_BYTES);
    memcpy(key, next, FL_NOISE_KEY_BYTES);
    fl_secret_wipe(next, sizeof next);
}

/* ---- HMAC and HKDF ---- */

typedef struct {
    const void *bytes;
    size_t len;
} part;

static void hash_parts(uint8_t dst[FL_NOISE_HASH_BYTES], const part *parts,
                       size_t count)
{
    crypto_generichash_state state;
    int failed = crypto_generichash_init(&state, NULL, 0, FL_NOISE_HASH_BYTES);
    for (size_t i = 0; i < count; i++) {
        failed |=
            crypto_generichash_update(&state, parts[i].bytes, parts[i].len);
    }
    failed |= crypto_generichash_final(&state, dst, FL_NOISE_HASH_BYTES);
    assert(!failed);
    fl_secret_wipe(&state, sizeof state);
}

static void pad_key(uint8_t dst[BLOCK_BYTES],
                    const uint8_t key[FL_NOISE_HASH_BYTES], uint8_t pad)
{
    memset(dst, pad, BLOCK_BYTES);
    for (size_t i = 0; i < FL_NOISE_HASH_BYTES; i++) {
        dst[i] ^= key[i];
    }
}

// RFC 2104, of first || second. dst may be one of them.
static void hmac(uint8_t dst[FL_NOISE_HASH_BYTES],
                 const uint8_t key[FL_NOISE_HASH_BYTES], part first,
                 part second)
{
    uint8_t padded[BLOCK_BYTES], inner[FL_NOISE_HASH_BYTES];
    pad_key(padded, key, 0x36);
    hash_parts(inner, (part[]){{padded, sizeof padded}, first, second}, 3);
    pad_key(padded, key, 0x5c);
    hash_parts(dst, (part[]){{padded, sizeof padded}, {inner, sizeof inner}},
               2);
    fl_secret_wipe(padded, sizeof padded);
    fl_secret_wipe(inner, sizeof inner);
}

// Section 4.3, with two outputs. `first` may be `chain`.
static void hkdf(uint8_t first[FL_NOISE_HASH_BYTES],
                 uint8_t second[FL_NOISE_HASH_BYTES],
                 const uint8_t chain[FL_NOISE_HASH_BYTES], part secret)
{
    static const uint8_t one = 1, two = 2;
    const part none = {&one, 0};
    uint8_t key[FL_NOISE_HASH_BYTES];
    hmac(key, chain, secret, none);
    hmac(first, key, (part){&one, 1}, none);
    hmac(second, key, (part){first, FL_NOISE_HASH_BYTES}, (part){&two, 1});
    fl_secret_wipe(key, sizeof key);
}

/* ---- SymmetricState ---- */

void fl_noise_init(fl_noise *noise, const char *name)
{
    const size_t len = strlen(name);
    assert(len <= FL_NOISE_HASH_BYTES);
    *noise = (fl_noise){0};
    memcpy(noise->hash, name, len);
    memcpy(noise->chain, noise->hash, sizeof noise->chain);
}

void fl_noise_mix_hash(fl_noise *noise, const void *src, size_t src_len)
{
    hash_parts(noise->hash,
               (part[]){{noise->hash, sizeof noise->hash}, {src, src_len}}, 2);
}

void fl_noise_mix_key(fl_noise *noise, const uint8_t secret[32])
{
    uint8_t key[FL_NOISE_HASH_BYTES];
    hkdf(noise->chain, key, noise->chain, (part){secret, 32});
    memcpy(noise->key, key, sizeof noise->key);
    fl_secret_wipe(key, sizeof key);
}

void fl_noise_seal_and_hash(fl_noise *noise, uint8_t *bytes, size_t len)
{
    fl_noise_seal(noise->key, 0, noise->hash, sizeof noise->hash, bytes, len);
    fl_noise_mix_hash(noise, bytes, len + FL_NOISE_TAG_BYTES);
}

fl_err fl_noise_unseal_and_hash(fl_noise *noise, uint8_t *bytes, size_t len)
{
    // The hash is of what travelled, which is gone once it is opened.
    fl_noise next = *noise;
    fl_noise_mix_hash(&next, bytes, len);
    const fl_err err = fl_noise_unseal(noise->key, 0, noise->hash,
                                       sizeof noise->hash, bytes, len);
    memcpy(noise->hash, next.hash, sizeof noise->hash);
    fl_secret_wipe(&next, sizeof next);
    return err;
}

void fl_noise_split(const fl_noise *noise, uint8_t first[FL_NOISE_KEY_BYTES],
                    uint8_t second[FL_NOISE_KEY_BYTES])
{
    uint8_t a[FL_NOISE_HASH_BYTES], b[FL_NOISE_HASH_BYTES];
    hkdf(a, b, noise->chain, (part){"", 0});
    memcpy(first, a, FL_NOISE_KEY_BYTES);
    memcpy(second, b, FL_NOISE_KEY_BYTES);
    fl_secret_wipe(a, sizeof a);
    fl_secret_wipe(b, sizeof b);
}
