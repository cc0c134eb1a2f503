/*
 * What an aggregator knows of who may take part: a registration a device.
 *
 *            join, with a token            revoke
 *   nothing ----------------------> ENROLLED ----> REVOKED
 *      |                              ^   ^           |
 *      +--- join ---> PENDING --------+   +--approve--+
 *                            approve
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_REGISTRATION_H
#define FL_AGGREGATOR_JOINING_REGISTRATION_H

#include <stddef.h>
#include <stdint.h>

#include "secure/secure.h"

typedef enum {
    FL_REGISTRATION_PENDING = 1,
    FL_REGISTRATION_ENROLLED = 2,
    FL_REGISTRATION_REVOKED = 3,
} fl_registration_state;

typedef struct {
    fl_device device;
    fl_registration_state state;
} fl_registration;

typedef struct {
    const fl_registration *items;  // in rising order of identities
    uint32_t count;
    const uint8_t *list;  // of an authority elsewhere; NULL: the one before
    size_t list_len;
} fl_registry;

#endif
