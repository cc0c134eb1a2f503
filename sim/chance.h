/*
 * What a daemon takes from the system's generator, a simulation draws from
 * streams that its seed names: nonces and identities.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_CHANCE_H
#define FL_SIM_CHANCE_H

#include <stddef.h>
#include <stdint.h>

#include "secure/secure.h"

/* For the machines' random_bytes; `self` is an fl_random. */
void fl_chance_bytes(void *self, void *dst, size_t len);

/* The identity number `id` of this seed. */
void fl_chance_identity(fl_identity *identity, uint64_t seed, uint64_t id);

#endif
