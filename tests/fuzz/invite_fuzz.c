/* Any bytes as an invite: no crash, and what is taken has counts in their
 * ranges and one encoding. A signature is made for half of them, else none
 * would be taken. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "secure/secure.h"

enum { SIGNED_BYTES = FL_INVITE_BYTES - FL_SIGNATURE_BYTES, FEDERATION = 64 };

static fl_identity aggregator;

static void check_session(fl_session *session, const uint8_t *bytes)
{
    uint8_t again[FL_INVITE_BYTES];
    if (session->word_count < 1) abort();
    if (session->word_count > FL_SESSION_WORDS_MAX) abort();
    if (session->client_min < 2) abort();
    if (session->client_min > session->client_cap) abort();
    // Nobody else's signature can be made again.
    if (memcmp(bytes + FEDERATION, aggregator.public_key, FL_KEY_BYTES) == 0) {
        fl_session_encode(again, session, &aggregator);
        if (memcmp(again, bytes, FL_INVITE_BYTES) != 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static bool is_started;
    if (!is_started) {
        const uint8_t seed[FL_SEED_BYTES] = {2};
        if (fl_secure_start()) abort();
        fl_identity_init(&aggregator, seed);
        is_started = true;
    }
    fl_session session;
    if (!fl_session_decode(&session, data, len)) check_session(&session, data);
    if (len < SIGNED_BYTES) return 0;

    uint8_t bytes[FL_INVITE_BYTES];
    memcpy(bytes, data, SIGNED_BYTES);
    memcpy(bytes + FEDERATION, aggregator.public_key, FL_KEY_BYTES);
    fl_identity_sign(bytes + SIGNED_BYTES, &aggregator, "fedge invite", bytes,
                     SIGNED_BYTES);
    const fl_err err = fl_session_decode(&session, bytes, sizeof bytes);
    if (err == FL_ERR_AUTH) abort();
    if (!err) check_session(&session, bytes);
    return 0;
}
