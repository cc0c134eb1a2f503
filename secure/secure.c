/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/secure.h"

#include <sodium.h>

fl_err fl_secure_start(void)
{
    return sodium_init() < 0 ? FL_ERR_SYSTEM : FL_OK;
}
