/*
 * The enrolment lists of a simulation: each is in memory once, however many
 * boards fetch it, and as long as one of them has it.
 *
 * For a cohort of thousands a list is megabytes long, and every board fetches
 * the whole. What a board writes into the room that all share has been checked
 * against the list's name, so all write the same.
 *
 * One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_ROLLS_H
#define FL_SIM_ROLLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"

typedef struct fl_roll fl_roll;

typedef struct {
    fl_roll *first;
} fl_rolls;

/* What one board holds, and what it fetches; zeros: nothing. */
typedef struct {
    fl_roll *held, *coming;
} fl_rolls_share;

/*
 * The room for the list of this name and length, which the board fetches from
 * now on; given up by the next call for it, or taken over by fl_rolls_enrol.
 */
FL_CHECK fl_err fl_rolls_room(fl_rolls *rolls, fl_rolls_share *share,
                              uint8_t **room,
                              const uint8_t object[FL_HASH_BYTES], size_t len);

/*
 * What the board fetched is complete: decoded when it is the first to have it.
 * What it held before is given up. As fl_enrolment_decode; after an error the
 * board holds what it held.
 */
FL_CHECK fl_err fl_rolls_enrol(fl_rolls *rolls, fl_rolls_share *share,
                               const fl_enrolment **enrolment, fl_reason *why);

/* The board is gone. */
void fl_rolls_leave(fl_rolls *rolls, fl_rolls_share *share);

#endif
