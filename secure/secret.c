/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>

#include "secure/secure.h"

void fl_secret_random(void *dst, size_t len)
{
    randombytes_buf(dst, len);
}

void fl_secret_draw(void *self, void *dst, size_t len)
{
    (void)self;
    fl_secret_random(dst, len);
}

void fl_secret_wipe(void *secret, size_t len)
{
    sodium_memzero(secret, len);
}

bool fl_secret_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}
