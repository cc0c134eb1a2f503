/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "secure/key_file.h"
#include "secure/secure.h"

_Static_assert(FL_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(FL_SEED_BYTES == crypto_sign_SEEDBYTES, "Ed25519");
_Static_assert(FL_SIGNATURE_BYTES == crypto_sign_BYTES, "Ed25519");
_Static_assert(sizeof((fl_identity *)0)->secret_key ==
                   crypto_sign_SECRETKEYBYTES,
               "Ed25519");

void fl_identity_init(fl_identity *identity, const uint8_t seed[FL_SEED_BYTES])
{
    const int failed = crypto_sign_seed_keypair(identity->public_key,
                                                identity->secret_key, seed);
    assert(!failed);
    static const char label[] = "fedge channel key";
    crypto_generichash(identity->channel_secret,
                       sizeof identity->channel_secret, (const uint8_t *)label,
                       sizeof label, seed, FL_SEED_BYTES);
    const int weak =
        crypto_scalarmult_base(identity->channel_key, identity->channel_secret);
    assert(!weak);
}

fl_err fl_identity_open(fl_identity *identity, const char *path, fl_reason *why)
{
    uint8_t seed[FL_SEED_BYTES];
    const fl_err err = fl_key_file_open(seed, path, why);
    if (!err) fl_identity_init(identity, seed);
    fl_secret_wipe(seed, sizeof seed);
    return err;
}

void fl_identity_fini(fl_identity *identity)
{
    fl_secret_wipe(identity, sizeof *identity);
}

/*
 * dst = label || 0 || src. A label has no 0 inside, so no two pairs of label
 * and src give the same bytes. FL_ERR_LIMIT: they do not fit.
 */
static fl_err join_signed(uint8_t dst[FL_SIGNED_BYTES_MAX], size_t *len,
                          const char *label, const void *src, size_t src_len)
{
    const size_t label_len = strlen(label) + 1;
    if (label_len > FL_SIGNED_BYTES_MAX ||
        src_len > FL_SIGNED_BYTES_MAX - label_len) {
        return FL_ERR_LIMIT;
    }
    memcpy(dst, label, label_len);
    if (src_len > 0) memcpy(dst + label_len, src, src_len);
    *len = label_len + src_len;
    return FL_OK;
}

void fl_identity_sign(uint8_t signature[FL_SIGNATURE_BYTES],
                      const fl_identity *identity, const char *label,
                      const void *src, size_t src_len)
{
    uint8_t bytes[FL_SIGNED_BYTES_MAX];
    size_t len;
    const fl_err err = join_signed(bytes, &len, label, src, src_len);
    assert(!err);
    const int failed =
        crypto_sign_detached(signature, NULL, bytes, len, identity->secret_key);
    assert(!failed);
}

fl_err fl_signature_check(const uint8_t signature[FL_SIGNATURE_BYTES],
                          const uint8_t public_key[FL_KEY_BYTES],
                          const char *label, const void *src, size_t src_len)
{
    uint8_t bytes[FL_SIGNED_BYTES_MAX];
    size_t len;
    if (join_signed(bytes, &len, label, src, src_len)) return FL_ERR_AUTH;
    const int failed =
        crypto_sign_verify_detached(signature, bytes, len, public_key);
    return failed ? FL_ERR_AUTH : FL_OK;
}
