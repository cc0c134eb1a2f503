/*
 * What people call a device by when it has no name: three words that can be
 * read aloud, of the first 48 bits of the hash of its public key.
 *
 *   lusab-babad-gutih
 *
 * It is for telling the devices of one federation apart, not for proving who
 * one is: whoever tries 2^48 keys finds a second one with the same id.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_DEVICE_ID_H
#define FL_SECURE_DEVICE_ID_H

#include "secure/secure.h"

enum { FL_DEVICE_ID_CAP = 18 };  // final 0 included

void fl_device_id(char dst[FL_DEVICE_ID_CAP],
                  const uint8_t identity[FL_KEY_BYTES]);

/* Whether it reads like the id of some device, in small or capital letters. */
bool fl_device_is_id(const char *text);

#endif
