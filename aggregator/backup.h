/*
 * A copy of an aggregator's state folder, made beside the one that runs there
 * or without one, from which it can be started anew:
 *
 *   OUT/fedge.sqlite     as after its last finished round
 *   OUT/models/          the models and masters that belong to it
 *   OUT/identity.key, OUT/authority.key, OUT/enrolment.list
 *
 * Clients refuse to hear a number twice: of mail, of a session. Those that the
 * original has used since the copy was made are unknown, so an aggregator that
 * starts from a copy counts ten starts for every second since its last round.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_BACKUP_H
#define FL_AGGREGATOR_BACKUP_H

#include "base/err.h"
#include "base/reason.h"

/*
 * Makes the folder `path` (0700), which must not exist; until it is whole it is
 * called PATH.part, of which an error leaves nothing. FL_ERR_RANGE: it exists.
 * FL_ERR_STATE: rounds finish faster than they can be copied. FL_ERR_SYSTEM:
 * not writable, disk full. Errors of fl_store_open.
 */
FL_CHECK fl_err fl_backup_write(const char *folder, const char *path,
                                fl_reason *why);

#endif
