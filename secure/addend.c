/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/addend.h"

#include "base/bytes.h"

enum { WORD_BYTES = 8 };

void fl_addend_add(uint64_t *sum, const uint8_t *bytes, size_t word_count)
{
    for (size_t i = 0; i < word_count; i++) {
        sum[i] += fl_bytes_get_u64(bytes + i * WORD_BYTES);
    }
}

void fl_addend_encode(uint8_t *dst, const uint64_t *words, size_t word_count)
{
    for (size_t i = 0; i < word_count; i++) {
        fl_bytes_put_u32(dst + i * WORD_BYTES, (uint32_t)words[i]);
        fl_bytes_put_u32(dst + i * WORD_BYTES + 4, (uint32_t)(words[i] >> 32));
    }
}

void fl_addend_decode(uint64_t *words, const uint8_t *src, size_t word_count)
{
    for (size_t i = 0; i < word_count; i++) {
        words[i] = fl_bytes_get_u64(src + i * WORD_BYTES);
    }
}
