/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/joining/admission.h"

#include <string.h>

/* ---- ways in ---- */

static const char *const MODES[] = {
    [FL_JOIN_TOKEN] = "token",
    [FL_JOIN_APPROVE] = "approve",
    [FL_JOIN_LIST] = "list",
    [FL_JOIN_OPEN] = "open",
};

const char *fl_join_mode_name(fl_join_mode mode)
{
    return MODES[mode];
}

fl_err fl_join_mode_parse(fl_join_mode *mode, const char *text, bool has_list,
                          fl_reason *why)
{
    if (!text) {
        *mode = has_list ? FL_JOIN_LIST : FL_JOIN_TOKEN;
        return FL_OK;
    }
    unsigned found = 0;
    const unsigned count = sizeof MODES / sizeof *MODES;
    while (found < count && strcmp(text, MODES[found]) != 0) {
        found++;
    }
    if (found == count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "--join %s: not token, approve, list or open",
                             text);
    }
    *mode = (fl_join_mode)found;
    if (has_list == (*mode == FL_JOIN_LIST)) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         has_list ? "--join %s: with --enrolment it is the "
                                    "authority elsewhere that lets devices in; "
                                    "leave one of the two out"
                                  : "--join %s needs --enrolment FILE, the "
                                    "list that an authority has signed",
                         text);
}

/* ---- tokens ---- */

fl_cause fl_admission_token(const fl_token_record *record,
                            const fl_token *token, int64_t now_ms)
{
    static const fl_token_record none;
    uint8_t hash[FL_HASH_BYTES];
    fl_token_hash(hash, token);
    // The same work for a token that nobody has made.
    const bool is_right =
        fl_secret_equal(record ? record->hash : none.hash, hash, sizeof hash);
    if (!record || !is_right) return FL_CAUSE_TOKEN_WRONG;
    if (record->is_revoked) return FL_CAUSE_TOKEN_REVOKED;
    // A clock that was set back must not make it live longer.
    if (now_ms >= record->expires_ms ||
        now_ms < record->made_ms - FL_TOKEN_CLOCK_MS) {
        return FL_CAUSE_TOKEN_EXPIRED;
    }
    return record->use_count < record->use_cap ? FL_CAUSE_NONE
                                               : FL_CAUSE_TOKEN_USED;
}

/* ---- the decision ---- */

static fl_admission refuse(fl_cause cause)
{
    return (fl_admission){.state = FL_STANDING_REFUSED, .cause = cause};
}

// Where a token leads, or its absence.
static fl_standing_state way_in(const fl_admission_question *question)
{
    switch (question->mode) {
    case FL_JOIN_OPEN: return FL_STANDING_ENROLLED;
    case FL_JOIN_LIST: return FL_STANDING_PENDING;
    case FL_JOIN_TOKEN:
    case FL_JOIN_APPROVE: break;
    }
    return question->join->has_token ? FL_STANDING_ENROLLED
                                     : FL_STANDING_PENDING;
}

// Whether the token has let this device in already: an answer that got lost is
// asked for again.
static bool has_used_it(const fl_admission_question *question)
{
    return question->device && question->join->has_token &&
           question->device_token == question->join->token.id;
}

static fl_cause check_token(const fl_admission_question *question)
{
    if (!question->join->has_token) {
        const bool is_needed =
            question->mode == FL_JOIN_TOKEN && !question->device;
        return is_needed ? FL_CAUSE_TOKEN_NEEDED : FL_CAUSE_NONE;
    }
    const fl_cause cause = fl_admission_token(
        question->token, &question->join->token, question->now_ms);
    return cause == FL_CAUSE_TOKEN_USED && has_used_it(question) ? FL_CAUSE_NONE
                                                                 : cause;
}

fl_admission fl_admission_decide(const fl_admission_question *question)
{
    const fl_registration *device = question->device;
    if (device && device->state == FL_REGISTRATION_REVOKED) {
        return refuse(FL_CAUSE_REVOKED);
    }
    if (device && device->state == FL_REGISTRATION_ENROLLED) {
        return (fl_admission){.state = FL_STANDING_ENROLLED};
    }
    const fl_cause cause = check_token(question);
    if (cause != FL_CAUSE_NONE) return refuse(cause);
    if (!device && question->is_key_taken) return refuse(FL_CAUSE_KEY_TAKEN);
    if (!device && question->is_name_taken) return refuse(FL_CAUSE_NAME_TAKEN);
    if (!device && question->is_full) return refuse(FL_CAUSE_FULL);
    const fl_standing_state state = way_in(question);
    const bool is_step = !device || state == FL_STANDING_ENROLLED;
    return (fl_admission){.state = state,
                          .uses_token = question->join->has_token &&
                                        !has_used_it(question),
                          .is_new = is_step || question->join->has_token};
}
