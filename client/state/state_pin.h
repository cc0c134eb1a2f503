/*
 * Public keys that a client trusts for life, one a file: 64 hexadecimal
 * digits and a line feed, for people to read, compare and write.
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_PIN_H
#define FL_CLIENT_STATE_PIN_H

#include <limits.h>

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"

typedef struct {
    char path[PATH_MAX];
    const char *owner;  // "aggregator"
} fl_state_pin;

/* Errors of fl_state_pin_get. */
FL_CHECK fl_err fl_state_pin_read(uint8_t public_key[FL_KEY_BYTES],
                                  const fl_state_pin *pin, fl_reason *why);

/*
 * FL_OK: it is the key that is pinned. FL_ERR_NOT_FOUND: none is. FL_ERR_STATE:
 * another one is. FL_ERR_FORMAT: the file is damaged.
 */
FL_CHECK fl_err fl_state_pin_compare(const fl_state_pin *pin,
                                     const uint8_t public_key[FL_KEY_BYTES],
                                     fl_reason *why);

/* Durably. FL_ERR_SYSTEM: nothing has changed. */
FL_CHECK fl_err fl_state_pin_write(const fl_state_pin *pin,
                                   const uint8_t public_key[FL_KEY_BYTES],
                                   fl_reason *why);

#endif
