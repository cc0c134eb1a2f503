/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/secure.h"

#include <sodium.h>
#include <sys/prctl.h>
#include <sys/resource.h>

fl_err fl_secure_start(void)
{
    return sodium_init() < 0 ? FL_ERR_SYSTEM : FL_OK;
}

fl_err fl_secure_hide(void)
{
    // Linux takes no limit, not even 0, from a program that cores are piped to,
    // but for 1, which also is too short for any file: core(5).
    const struct rlimit one = {1, 1};
    if (setrlimit(RLIMIT_CORE, &one) == 0) return FL_OK;
    // Where the hard limit is 0 already; debuggers are kept out by this, too.
    return prctl(PR_SET_DUMPABLE, 0) == 0 ? FL_OK : FL_ERR_SYSTEM;
}
