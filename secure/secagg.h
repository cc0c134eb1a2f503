/*
 * The aggregator's side of one session: who is still there, what each is told,
 * and the sum.
 *
 *   ADVERTISE -> [CHOICE] -> SHARES -> MASKED -> CONFIRM -> UNMASK -> DONE
 *        \__________\__________\__________\_________\_________\---> ABORTED
 *
 * The phase is named by what clients send in it. Who does not send in it drops
 * out, and that is no error as long as enough are left. The owner says when a
 * phase ends: when nobody is awaited any more, or at its deadline.
 *
 * A device is named by its place in the enrolment list. No clock, no network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_SECAGG_H
#define FL_SECURE_SECAGG_H

#include "secure/enrolment.h"
#include "secure/session.h"

typedef struct fl_secagg fl_secagg;

typedef enum {
    FL_SECAGG_ADVERTISE,
    FL_SECAGG_CHOICE,
    FL_SECAGG_SHARES,
    FL_SECAGG_MASKED,
    FL_SECAGG_CONFIRM,
    FL_SECAGG_UNMASK,
    FL_SECAGG_DONE,  // what is left is fl_secagg_sum
    FL_SECAGG_ABORTED,
} fl_secagg_phase;

/*
 * Opens a session with the invited devices (borrowed for the call; places in
 * the enrolment list, rising). `enrolment` is borrowed for the session's life.
 * Signs the invite. The caller owns *secagg: fl_secagg_free.
 * FL_ERR_RANGE: numbers that no client would accept. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_secagg_new(fl_secagg **secagg, const fl_session *session,
                              const fl_identity *aggregator,
                              const fl_enrolment *enrolment,
                              const uint32_t *devices, uint32_t device_count,
                              fl_reason *why);

/* Wipes. Accepts NULL. */
void fl_secagg_free(fl_secagg *secagg);

fl_secagg_phase fl_secagg_get_phase(const fl_secagg *secagg);

/*
 * What a device is to be told now, if anything: INVITE in ADVERTISE, ROSTER in
 * CHOICE or SHARES, NEIGHBOURS in SHARES (above 128 clients; ROSTER was in
 * CHOICE), INBOX in MASKED, SURVIVORS in CONFIRM, CONFIRMATIONS in UNMASK.
 * Writes at most FL_SESSION_STEP_MAX bytes; the same every time it is asked.
 * FL_ERR_NOT_FOUND: nothing, the device has dropped out, or answered already.
 * FL_ERR_SPACE.
 */
FL_CHECK fl_err fl_secagg_message(const fl_secagg *secagg, uint32_t device,
                                  fl_step *step, uint8_t *dst, size_t dst_cap,
                                  size_t *len);

/*
 * Takes a device's step (ADVERTISE, CHOICE, SHARES, CONFIRM, UNMASK). The same
 * bytes again are FL_OK and change nothing.
 * FL_ERR_STALE: not due: another phase, or the device dropped out.
 * FL_ERR_FORMAT, FL_ERR_AUTH, FL_ERR_RANGE: *why; the device has dropped out.
 * In UNMASK, FL_ERR_AUTH: some shares are not those that were dealt; the others
 * are kept. FL_ERR_MEMORY: nothing changed.
 */
FL_CHECK fl_err fl_secagg_receive(fl_secagg *secagg, uint32_t device,
                                  fl_step step, const uint8_t *src,
                                  size_t src_len, fl_reason *why);

/* Whether a masked vector of this device is awaited. */
bool fl_secagg_is_masked_due(const fl_secagg *secagg, uint32_t device);

/*
 * Adds a device's masked vector to the sum, once. FL_ERR_STALE: not due, or
 * added already. FL_ERR_FORMAT: not word_count words; dropped out.
 */
FL_CHECK fl_err fl_secagg_add(fl_secagg *secagg, uint32_t device,
                              const uint8_t *bytes, size_t len, fl_reason *why);

/*
 * The device is gone: it has dropped out if this phase awaits it. What it has
 * answered counts; when it is still gone in the next phase, say so again.
 */
void fl_secagg_drop(fl_secagg *secagg, uint32_t device);

/* Devices that the phase still waits for; and whether this is one of them. */
uint32_t fl_secagg_awaited_count(const fl_secagg *secagg);
bool fl_secagg_is_awaited(const fl_secagg *secagg, uint32_t device);

/*
 * Ends the phase with those who have answered; on to the next one. Too few:
 * FL_ERR_STATE, *why, and the session is ABORTED. Ending UNMASK needs
 * fl_secagg_unmask first (FL_ERR_STATE, nothing changed, where it could be
 * done). FL_ERR_MEMORY: ABORTED.
 */
FL_CHECK fl_err fl_secagg_advance(fl_secagg *secagg, fl_reason *why);

/* In UNMASK: whether the shares that are in are enough already. */
bool fl_secagg_can_unmask(const fl_secagg *secagg);

/*
 * Rebuilds the seeds and takes the masks away: the session's heavy work, a pure
 * function of what has come, for a worker; nothing else may be called on this
 * session until it has returned. So many threads share it; the result is the
 * same with any number. On success the session is DONE.
 * FL_ERR_STATE: too few shares; FL_ERR_MEMORY, FL_ERR_SYSTEM (threads): nothing
 * changed. FL_ERR_AUTH: *why names clients whose shares give no seed of theirs;
 * ABORTED then.
 */
FL_CHECK fl_err fl_secagg_unmask(fl_secagg *secagg, unsigned thread_count,
                                 fl_reason *why);

/*
 * DONE: the sum, word_count words; otherwise NULL. The session's.
 * Any words add up to some sum: whether this one is of updates (a client can
 * have sent anything) only those can tell who know what words hold. The owner
 * must refuse a sum that fl_secagg_survivors many clients cannot have made.
 */
const uint64_t *fl_secagg_sum(const fl_secagg *secagg);

/* Survivors (from MASKED's end on): their devices, rising; returns how many. */
uint32_t fl_secagg_survivors(const fl_secagg *secagg, const uint32_t **devices);

const fl_session *fl_secagg_session(const fl_secagg *secagg);

#endif
