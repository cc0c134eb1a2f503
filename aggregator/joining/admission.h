/*
 * Who is let in: the decision about one device that asks, as a pure function
 * of what is known of it, of its token and of the time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_ADMISSION_H
#define FL_AGGREGATOR_JOINING_ADMISSION_H

#include <stdbool.h>

#include "aggregator/joining/registration.h"
#include "proto/proto.h"

/* The ways into a federation. */
typedef enum {
    FL_JOIN_TOKEN,    // with a token, else not
    FL_JOIN_APPROVE,  // with a token, else when somebody approves it
    FL_JOIN_LIST,     // when an authority elsewhere has signed its card
    FL_JOIN_OPEN,     // anybody
} fl_join_mode;

/* "token", "approve", "list", "open". */
const char *fl_join_mode_name(fl_join_mode mode);

/*
 * Of an option's text; NULL: list with a list from elsewhere, token without.
 * FL_ERR_RANGE: no such way, or one that does not go with that list.
 */
FL_CHECK fl_err fl_join_mode_parse(fl_join_mode *mode, const char *text,
                                   bool has_list, fl_reason *why);

enum {
    FL_TOKEN_USES_MAX = 65535,
    FL_TOKEN_CLOCK_MS = 5 * 60 * 1000,  // that a clock may be set back
};

/* What is kept of a token. */
typedef struct {
    uint32_t id;
    uint8_t hash[FL_HASH_BYTES];
    char name[FL_ENROLMENT_NAME_CAP];  // of the device that uses it; "": any
    int64_t made_ms, expires_ms;       // this machine's clock
    uint32_t use_cap, use_count;
    bool is_revoked;
} fl_token_record;

/* FL_CAUSE_NONE: `token` is this one, and good at `now_ms`. Constant time. */
fl_cause fl_admission_token(const fl_token_record *record,
                            const fl_token *token, int64_t now_ms);

typedef struct {
    fl_join_mode mode;
    int64_t now_ms;
    const fl_join *join;
    const fl_registration *device;  // as it is known; NULL: not at all
    uint32_t device_token;          // it is known by; 0: by none
    const fl_token_record *token;   // of join's id; NULL: there is none
    bool is_name_taken;             // by another device
    bool is_key_taken;              // its channel key, likewise
    bool is_full;                   // no room for another device
} fl_admission_question;

typedef struct {
    fl_standing_state state;
    fl_cause cause;
    bool uses_token;  // it counts
    bool is_new;      // or another state: to be written
} fl_admission;

fl_admission fl_admission_decide(const fl_admission_question *question);

#endif
