/*
 * 64 bits of any bytes, the same on every machine of one byte order. Whoever
 * wants to can make two inputs meet: not for secrets, and not against anyone
 * who gains by that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_DIGEST_H
#define FL_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/* `key` gives another function for each of its values. */
uint64_t fl_digest(uint64_t key, const void *bytes, size_t len);

#endif
