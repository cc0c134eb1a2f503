/*
 * The aggregator's key in its state folder, STATE/identity.key, which clients
 * pin.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_OWN_KEY_H
#define FL_AGGREGATOR_OWN_KEY_H

#include "aggregator/store.h"
#include "secure/secure.h"

/*
 * Reads it, or makes it when there is none and no client has been here.
 * fl_identity_fini. FL_ERR_FORMAT: it is missing, but clients trust it;
 * FL_ERR_RANGE: too long a path; errors of fl_identity_open.
 */
FL_CHECK fl_err fl_own_key_open(fl_identity *identity, fl_store *store,
                                const char *folder, fl_reason *why);

#endif
