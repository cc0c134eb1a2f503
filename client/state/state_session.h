/*
 * The file that says how far a client has come in masked sessions: state.h
 * says what it means.
 *
 *   kind 8 | number u64 | enrolment serial u64 | enrolment hash 32 |
 *   has holdout u32 | holdout u32 | hash 32
 *
 * Files of the kind before it end behind the enrolment hash: no holdout then.
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_SESSION_H
#define FL_CLIENT_STATE_SESSION_H

#include "client/state/state.h"

/* Zeros when there is no file. Errors of fl_state_session_get. */
FL_CHECK fl_err fl_state_session_read(fl_state_session *session,
                                      const char *path, fl_reason *why);

/* Durably, whatever the file says now. FL_ERR_SYSTEM, FL_ERR_MEMORY. */
FL_CHECK fl_err fl_state_session_write(const char *path,
                                       const fl_state_session *session,
                                       fl_reason *why);

/* FL_ERR_STATE: `next` would forget something that `now` knows. */
FL_CHECK fl_err fl_state_session_check(const fl_state_session *now,
                                       const fl_state_session *next,
                                       const char *path, fl_reason *why);

#endif
