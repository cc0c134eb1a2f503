/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "secure/secure.h"

// libsodium's pair takes the same time for every value of a digit: seeds go
// through here too.

void fl_hex_encode(char *dst, size_t dst_cap, const uint8_t *src, size_t len)
{
    assert(len < SIZE_MAX / 2 && dst_cap >= 2 * len + 1);
    sodium_bin2hex(dst, dst_cap, src, len);
}

fl_err fl_hex_decode(uint8_t *dst, size_t len, const char *text)
{
    assert(len < SIZE_MAX / 2);
    const size_t digit_count = strlen(text);
    if (digit_count != 2 * len) return FL_ERR_FORMAT;

    size_t decoded_len;
    const int failed =
        sodium_hex2bin(dst, len, text, digit_count, NULL, &decoded_len, NULL);
    return failed || decoded_len != len ? FL_ERR_FORMAT : FL_OK;
}
