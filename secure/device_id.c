/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/device_id.h"

#include "base/proquint.h"

enum { ID_BYTES = 6 };

_Static_assert((int)FL_PROQUINT_CAP(ID_BYTES) == FL_DEVICE_ID_CAP, "an id");

void fl_device_id(char dst[FL_DEVICE_ID_CAP],
                  const uint8_t identity[FL_KEY_BYTES])
{
    uint8_t hash[FL_HASH_BYTES];
    fl_hash(hash, identity, FL_KEY_BYTES);
    fl_proquint_encode(dst, hash, ID_BYTES);
}

bool fl_device_is_id(const char *text)
{
    uint8_t bytes[ID_BYTES];
    return fl_proquint_decode(bytes, sizeof bytes, text) == FL_OK;
}
