/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rolls.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct fl_roll {
    uint8_t object[FL_HASH_BYTES];  // its name
    uint8_t *bytes;
    size_t len;
    fl_enrolment *enrolment;  // NULL: nobody has all of it yet
    uint32_t holder_count;
    fl_roll *next;
};

static void give_up(fl_rolls *rolls, fl_roll **held)
{
    fl_roll *roll = *held;
    *held = NULL;
    if (!roll || --roll->holder_count > 0) return;
    fl_roll **link = &rolls->first;
    while (*link != roll) {
        link = &(*link)->next;
    }
    *link = roll->next;
    fl_enrolment_free(roll->enrolment);
    free(roll->bytes);
    free(roll);
}

static fl_err add(fl_rolls *rolls, const uint8_t object[FL_HASH_BYTES],
                  size_t len)
{
    fl_roll *roll = calloc(1, sizeof *roll);
    if (!roll) return FL_ERR_MEMORY;
    roll->bytes = malloc(len);
    if (!roll->bytes) {
        free(roll);
        return FL_ERR_MEMORY;
    }
    memcpy(roll->object, object, FL_HASH_BYTES);
    roll->len = len;
    roll->next = rolls->first;
    rolls->first = roll;
    return FL_OK;
}

fl_err fl_rolls_room(fl_rolls *rolls, fl_rolls_share *share, uint8_t **room,
                     const uint8_t object[FL_HASH_BYTES], size_t len)
{
    fl_roll *roll = rolls->first;
    while (roll && memcmp(roll->object, object, FL_HASH_BYTES) != 0) {
        roll = roll->next;
    }
    if (!roll) {
        FL_TRY(add(rolls, object, len));
        roll = rolls->first;
    }
    assert(roll->len == len);  // the name says how long it is
    roll->holder_count++;
    give_up(rolls, &share->coming);
    share->coming = roll;
    *room = roll->bytes;
    return FL_OK;
}

fl_err fl_rolls_enrol(fl_rolls *rolls, fl_rolls_share *share,
                      const fl_enrolment **enrolment, fl_reason *why)
{
    fl_roll *roll = share->coming;
    if (!roll->enrolment) {
        FL_TRY(
            fl_enrolment_decode(&roll->enrolment, roll->bytes, roll->len, why));
    }
    give_up(rolls, &share->held);
    share->held = roll;
    share->coming = NULL;
    *enrolment = roll->enrolment;
    return FL_OK;
}

void fl_rolls_leave(fl_rolls *rolls, fl_rolls_share *share)
{
    give_up(rolls, &share->held);
    give_up(rolls, &share->coming);
}
