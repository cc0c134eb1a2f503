/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <sodium.h>

#include "secure/secure.h"

_Static_assert(FL_HASH_BYTES == crypto_generichash_BYTES, "BLAKE2b-256");

void fl_hash(uint8_t hash[FL_HASH_BYTES], const void *src, size_t src_len)
{
    const int failed =
        crypto_generichash(hash, FL_HASH_BYTES, src, src_len, NULL, 0);
    assert(!failed);
}
