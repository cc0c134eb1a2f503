/*
 * Joining: a device that is not enrolled asks to be, and hears how it stands.
 *
 *   client                          aggregator
 *   JOIN  token or none, name  -------->
 *                              <--------  STANDING  enrolled, pending, refused
 *
 * Both travel sealed, and a client says JOIN only to an aggregator that has
 * proved its key. STANDING also comes unasked: in answer to a CHECK_IN of a
 * device that may not take part, or when that has just become so.
 *
 * A token is an id, which people may read aloud, and a secret:
 *
 *   lusab-babad.00112233445566778899aabbccddeeff
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_PROTO_JOIN_H
#define FL_PROTO_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"

enum {
    FL_TOKEN_SECRET_BYTES = 16,
    FL_TOKEN_ID_CAP = 12,  // final 0 included
    FL_TOKEN_CAP = FL_TOKEN_ID_CAP + 1 + 2 * FL_TOKEN_SECRET_BYTES,  // as well
};

/* ---- tokens ---- */

/* Secret: whoever handles one wipes it. */
typedef struct {
    uint32_t id;
    uint8_t secret[FL_TOKEN_SECRET_BYTES];
} fl_token;

void fl_token_encode(char dst[FL_TOKEN_CAP], const fl_token *token);

/*
 * The inverse. FL_ERR_FORMAT: not a token; *why does not repeat it. What has
 * been read of it is wiped then.
 */
FL_CHECK fl_err fl_token_decode(fl_token *token, const char *text,
                                fl_reason *why);

void fl_token_id_encode(char dst[FL_TOKEN_ID_CAP], uint32_t id);

/* FL_ERR_FORMAT: not an id. */
FL_CHECK fl_err fl_token_id_decode(uint32_t *id, const char *text);

/* What an aggregator keeps instead of the secret. */
void fl_token_hash(uint8_t hash[FL_HASH_BYTES], const fl_token *token);

/* ---- messages ---- */

typedef struct {
    bool has_token;
    fl_token token;
    char name[FL_ENROLMENT_NAME_CAP];  // that it wants; "": any
} fl_join;

typedef enum {
    FL_STANDING_ENROLLED = 1,
    FL_STANDING_PENDING = 2,  // somebody has to approve it
    FL_STANDING_REFUSED = 3,
} fl_standing_state;

/*
 * Why a device may not take part: name, value on the wire, word for logs and
 * JSON, sentence for the person at the device. Values are never used again.
 */
#define FL_CAUSE_LIST(X)                                                      \
    X(FL_CAUSE_NONE, 0, "none", "nothing is wrong")                           \
    X(FL_CAUSE_NOT_ENROLLED, 1, "not_enrolled",                               \
      "this device is not enrolled: on the aggregator, fedge-aggregator "     \
      "token "                                                                \
      "prints the fedge-client join line that enrols it")                     \
    X(FL_CAUSE_REVOKED, 2, "revoked",                                         \
      "this device has been revoked: fedge-aggregator clients approve lets "  \
      "it "                                                                   \
      "in again, if that is meant")                                           \
    X(FL_CAUSE_TOKEN_WRONG, 3, "token_wrong",                                 \
      "the aggregator knows no such token: copy the whole line that "         \
      "fedge-aggregator token has printed, or ask for a new one")             \
    X(FL_CAUSE_TOKEN_EXPIRED, 4, "token_expired",                             \
      "the token's time is over, by the aggregator's clock: ask for a new "   \
      "one, "                                                                 \
      "with a longer --ttl if need be")                                       \
    X(FL_CAUSE_TOKEN_USED, 5, "token_used",                                   \
      "the token has been used as often as it may be: ask for a new one; if " \
      "nobody should have used it, see fedge-aggregator clients list")        \
    X(FL_CAUSE_TOKEN_REVOKED, 6, "token_revoked",                             \
      "the token has been revoked: ask for a new one")                        \
    X(FL_CAUSE_TOKEN_NEEDED, 7, "token_needed",                               \
      "this aggregator lets nobody in without a token: ask for one, which "   \
      "fedge-aggregator token prints")                                        \
    X(FL_CAUSE_NAME_TAKEN, 8, "name_taken",                                   \
      "another device has that name: choose another one with --name")         \
    X(FL_CAUSE_KEY_TAKEN, 9, "key_taken",                                     \
      "another device is enrolled with this one's channel key: delete "       \
      "identity.key from the state folder, then join again")                  \
    X(FL_CAUSE_FULL, 10, "full",                                              \
      "the aggregator has as many devices as it can take: revoke some")       \
    X(FL_CAUSE_REPLACED, 11, "replaced",                                      \
      "another client has connected with this device's key, and took its "    \
      "place: a key belongs to one board. If the state folder was copied, "   \
      "delete it on the copy and join again there; if it was not, somebody "  \
      "has stolen it: revoke this device")                                    \
    X(FL_CAUSE_BUSY, 12, "busy",                                              \
      "the aggregator could not write that down just now: try again")         \
    X(FL_CAUSE_OTHER, 255, "other",                                           \
      "the aggregator refuses this device for a reason that this version "    \
      "does "                                                                 \
      "not know: update fedge-client")

typedef enum {
#define FL_CAUSE_ENUM(name, value, word, text) name = (value),
    FL_CAUSE_LIST(FL_CAUSE_ENUM)
#undef FL_CAUSE_ENUM
} fl_cause;

typedef struct {
    fl_standing_state state;
    fl_cause cause;                    // REFUSED: not NONE; else NONE
    char name[FL_ENROLMENT_NAME_CAP];  // what the device is called; "": unsaid
    bool has_authority;                // who signs the enrolment list
    uint8_t authority[FL_KEY_BYTES];
} fl_standing;

/* The one that this version knows, or OTHER. */
fl_cause fl_cause_of(uint32_t value);

/* Static strings, never NULL. */
const char *fl_cause_word(fl_cause cause);
const char *fl_cause_text(fl_cause cause);

/* Whether trying again later can help without anybody doing anything. */
bool fl_cause_is_temporary(fl_cause cause);

#endif
