/*
 * Identities, hashes and secret randomness: what the rest of fedge may see of
 * cryptography. libsodium is known only behind this header.
 *
 * Thread-safe after fl_secure_start.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_SECURE_H
#define FL_SECURE_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

enum {
    FL_HASH_BYTES = 32,
    FL_KEY_BYTES = 32,
    FL_SIGNATURE_BYTES = 64,
    FL_SEED_BYTES = 32,
    FL_HEX_CAP = 2 * 32 + 1,
    FL_SIGNED_BYTES_MAX = 4096,  // label, 0 and bytes; hash what is longer
};

/* Call once, before anything else here and before there are threads. */
FL_CHECK fl_err fl_secure_start(void);

/*
 * No core file of this process from here on, nor of those that it starts, and
 * nothing for a program that collects them: secrets do not only live in vaults.
 * For daemons and whatever else reads keys. FL_ERR_SYSTEM: the system refuses.
 */
FL_CHECK fl_err fl_secure_hide(void);

/* BLAKE2b-256 (RFC 7693). */
void fl_hash(uint8_t hash[FL_HASH_BYTES], const void *src, size_t src_len);

/* Bytes from the operating system's generator. */
void fl_secret_random(void *dst, size_t len);

/* The same where a source of randomness can be chosen; `self` is not used. */
void fl_secret_draw(void *self, void *dst, size_t len);

/* Overwrites; never optimised away. */
void fl_secret_wipe(void *secret, size_t len);

/* Equal in constant time. */
bool fl_secret_equal(const void *a, const void *b, size_t len);

/* Lower-case hexadecimal and a final 0. Needs dst_cap >= 2 * len + 1. */
void fl_hex_encode(char *dst, size_t dst_cap, const uint8_t *src, size_t len);

/* FL_ERR_FORMAT: not exactly 2 * len lower- or upper-case digits. */
FL_CHECK fl_err fl_hex_decode(uint8_t *dst, size_t len, const char *text);

/*
 * A device's or an aggregator's keys: Ed25519 (RFC 8032) for its signatures
 * and X25519 (RFC 7748) for its channels, both from one seed, neither from the
 * other.
 */
typedef struct {
    uint8_t public_key[FL_KEY_BYTES];
    uint8_t secret_key[64];
    uint8_t channel_key[FL_KEY_BYTES];  // public
    uint8_t channel_secret[32];
} fl_identity;

/* A key pair that `seed` names: the same seed, the same keys. */
void fl_identity_init(fl_identity *identity, const uint8_t seed[FL_SEED_BYTES]);

/*
 * Reads the key pair in `path`, or makes one there when the file does not
 * exist (mode 0600, written to a temporary name, fsynced, renamed).
 * FL_ERR_FORMAT: not a key file. FL_ERR_AUTH: others may read the file.
 * FL_ERR_SYSTEM: cannot be read or written. *why names the path and remedy.
 */
FL_CHECK fl_err fl_identity_open(fl_identity *identity, const char *path,
                                 fl_reason *why);

/* Wipes. */
void fl_identity_fini(fl_identity *identity);

/*
 * Signs label || 0 || src (FL_SIGNED_BYTES_MAX at most), so that a signature
 * made for one purpose is never valid for another.
 */
void fl_identity_sign(uint8_t signature[FL_SIGNATURE_BYTES],
                      const fl_identity *identity, const char *label,
                      const void *src, size_t src_len);

/*
 * FL_ERR_AUTH: not that key's signature of these bytes for this purpose, or
 * more bytes than anybody signs.
 */
FL_CHECK fl_err fl_signature_check(const uint8_t signature[FL_SIGNATURE_BYTES],
                                   const uint8_t public_key[FL_KEY_BYTES],
                                   const char *label, const void *src,
                                   size_t src_len);

#include "secure/addend.h"
#include "secure/channel.h"
#include "secure/device_id.h"
#include "secure/enrolment.h"
#include "secure/mask.h"
#include "secure/party.h"
#include "secure/secagg.h"
#include "secure/session.h"

#endif
