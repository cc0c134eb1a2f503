/*
 * Where the aggregator is: a text for people to read and write.
 *
 *   fedge address 1
 *   tcp://192.0.2.7:7443
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_ADDRESS_H
#define FL_CLIENT_STATE_ADDRESS_H

#include "base/err.h"
#include "base/reason.h"

enum { FL_ADDRESS_CAP = 320 };  // final 0 included

/*
 * Of a state folder, whether a client runs there or not. FL_ERR_NOT_FOUND: none
 * is known. FL_ERR_FORMAT: damaged; FL_ERR_UNSUPPORTED: written by a newer
 * version; it stays as it is.
 */
FL_CHECK fl_err fl_state_address_get(char url[FL_ADDRESS_CAP],
                                     const char *folder, fl_reason *why);

/* Makes it known; touches no disk that knows it. Errors of _set. */
FL_CHECK fl_err fl_state_address_keep(const char *folder, const char *url,
                                      fl_reason *why);

/* For the owner of the folder. FL_ERR_RANGE: too long. FL_ERR_SYSTEM. */
FL_CHECK fl_err fl_state_address_set(const char *folder, const char *url,
                                     fl_reason *why);

#endif
