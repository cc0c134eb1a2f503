/*
 * What the machine asks of the disk, carried out in the state folder.
 *
 *   effects --fl_disk_do--> state folder
 *   machine <--fl_disk_answer-- FOUND, BURNED
 *
 * A disk that fails is a warning in the log and in the status: the client goes
 * on, and has less to use after the next start. Only BURN waits for it.
 *
 * Private to client/. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_DISK_H
#define FL_CLIENT_DISK_H

#include "client/client.h"
#include "client/state/state.h"

typedef struct {
    fl_state *state;  // borrowed
    // Answers owed to the machine when its effects are done.
    bool is_asked_to_find, takes_base, has_burned;
    uint8_t sought[FL_HASH_BYTES];
    uint8_t base_name[FL_HASH_BYTES];  // what FOUND borrows
    fl_err burn_err;
    fl_reason burn_why;
    fl_reason trouble;  // what could not be kept last; "" once it could be
} fl_disk;

/* Carries out one of the effects that concern the disk; no other. */
void fl_disk_do(fl_disk *disk, const fl_client_effect *effect);

/*
 * The answer that is owed to the machine, but for its time; its step comes
 * before the next call. False: none is owed.
 */
bool fl_disk_answer(fl_disk *disk, fl_client_event *event);

/* Gives the machine back what was kept, before its first event. */
void fl_disk_restore(const fl_disk *disk, fl_client *client);

/* Logs an error, if it is one; `what` could not be saved or read. */
void fl_disk_report(fl_err err, const char *what, const fl_reason *why);

#endif
