/*
 * Where clients meet the aggregator: what a join line tells them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_MEETING_H
#define FL_AGGREGATOR_JOINING_MEETING_H

#include "aggregator/joining/registry.h"

enum { FL_MEETING_CAP = 320 };

typedef struct {
    const char *address;  // said by a person, taken as it is; or NULL
    const char *listen;   // tcp://ADDRESS:PORT
    uint16_t port;        // that it has got; 0: as in `listen`
} fl_meeting_place;

/*
 * The address for a join line: what a person has said, else where it listens,
 * for "any address" that of the interface that leads to other networks, else
 * this machine's name. FL_ERR_RANGE: too long, or what a person has said is no
 * address.
 */
FL_CHECK fl_err fl_meeting_find(char url[FL_MEETING_CAP],
                                const fl_meeting_place *place, fl_reason *why);

/* Whether other machines cannot reach it. */
bool fl_meeting_is_local(const char *url);

#endif
