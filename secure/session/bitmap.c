/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/session/transcript.h"

size_t fl_bitmap_bytes(uint32_t count)
{
    return (size_t)count / 8 + (count % 8 > 0);
}

bool fl_bitmap_has(const uint8_t *bitmap, uint32_t slot)
{
    return (bitmap[slot / 8] >> slot % 8 & 1) != 0;
}

void fl_bitmap_add(uint8_t *bitmap, uint32_t slot)
{
    bitmap[slot / 8] |= (uint8_t)(1u << slot % 8);
}

uint32_t fl_bitmap_count(const uint8_t *bitmap, uint32_t count)
{
    uint32_t total = 0;
    for (uint32_t slot = 0; slot < count; slot++) {
        total += fl_bitmap_has(bitmap, slot);
    }
    return total;
}

bool fl_bitmap_is_clean(const uint8_t *bitmap, uint32_t count)
{
    return count % 8 == 0 || bitmap[count / 8] >> count % 8 == 0;
}
