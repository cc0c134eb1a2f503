/*
 * What a client has to believe in the same way as before its last stop: the
 * keys of its aggregator and of the authority, and what of sessions has been.
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRUST_H
#define FL_CLIENT_TRUST_H

#include "client/client.h"
#include "client/state/state.h"

/* Room for keys, which fl_client_options borrows. */
typedef struct {
    uint8_t pin[FL_KEY_BYTES], authority[FL_KEY_BYTES];
} fl_trust;

/* 64 hexadecimal digits each; NULL: what the folder says. */
typedef struct {
    const char *pin, *authority;
} fl_trust_options;

/*
 * Fills in pin, authority and past of *options. FL_ERR_RANGE: an option is no
 * key. FL_ERR_AUTH: it is another one than the folder's, which stays. Other
 * errors of fl_state_pin_get, fl_state_pin_set and fl_state_session_get.
 */
FL_CHECK fl_err fl_trust_load(fl_trust *trust, fl_client_options *options,
                              fl_state *state, const fl_trust_options *given,
                              fl_reason *why);

#endif
