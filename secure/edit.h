/*
 * An enrolment list while its authority changes it: read, changed in memory,
 * then signed with a higher serial and put in the place of the old one.
 *
 *   begin --> add, remove, ... --> finish --> fini
 *
 * LIST.lock is held meanwhile, so two changes at once cannot give two lists
 * the same serial. Before finish nothing on the disk has changed.
 *
 * One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_EDIT_H
#define FL_SECURE_EDIT_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"

typedef struct {
    fl_identity authority;  // set before fl_edit_begin
    const char *path;       // of the list
    uint64_t serial_min;
    fl_enrolment *old;  // NULL: there is no list yet
    fl_device *devices;
    uint32_t device_count;
    int lock;  // -1: not held
} fl_edit;

#define FL_EDIT_NONE ((fl_edit){.lock = -1})

/*
 * Locks and reads the list in `path`, which need not be there; `path` is
 * borrowed until fini. FL_ERR_STATE: somebody else changes it now.
 * FL_ERR_AUTH: it is another authority's, or not signed. FL_ERR_FORMAT,
 * FL_ERR_LIMIT, FL_ERR_MEMORY, FL_ERR_SYSTEM. *why names the list.
 */
FL_CHECK fl_err fl_edit_begin(fl_edit *edit, const char *path,
                              uint64_t serial_min, fl_reason *why);

/*
 * Enrols a device, or replaces the card and name of one that is. The card has
 * been checked. FL_ERR_RANGE: another device has its name. FL_ERR_LIMIT: the
 * list is full.
 */
FL_CHECK fl_err fl_edit_add(fl_edit *edit, const fl_device *card,
                            fl_reason *why);

/*
 * Revokes the device with this name, or with this identity in hexadecimal.
 * FL_ERR_NOT_FOUND: there is none. FL_ERR_RANGE: several have that name.
 */
FL_CHECK fl_err fl_edit_remove(fl_edit *edit, const char *who, fl_reason *why);

/*
 * Signs and writes the list, durably; prints what has changed. When nothing
 * has, nothing is written. After an error the old list is whole: FL_ERR_RANGE
 * (fl_enrolment_encode), FL_ERR_LIMIT (no serial is left), FL_ERR_SYSTEM,
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_edit_finish(fl_edit *edit, FILE *out, fl_reason *why);

/* Wipes the key, unlocks. Accepts FL_EDIT_NONE. */
void fl_edit_fini(fl_edit *edit);

#endif
