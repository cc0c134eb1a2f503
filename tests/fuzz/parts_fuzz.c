/* Any bytes as a peer's bitmap and as chunks: no crash, a bitmap that is taken
 * comes back as it was, and no object is complete without its own bytes.
 *
 *   chunk_count | bitmap_len | bitmap | (index | chunk of up to 4 bytes)*
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "net/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The chunk itself is its hash. */
static void toy_hash(uint8_t hash[FL_PARTS_HASH_BYTES], const void *src,
                     size_t src_len)
{
    memset(hash, 0, FL_PARTS_HASH_BYTES);
    memcpy(hash, src, src_len);
}

static void check_bitmap(uint32_t chunk_count, const uint8_t *src,
                         size_t src_len)
{
    uint8_t bitmap[32];
    if (fl_parts_bitmap_decode(bitmap, chunk_count, src, src_len)) return;
    uint32_t missing = 0, i = 0;
    while ((i = fl_parts_bitmap_next_zero(bitmap, chunk_count, i)) <
           chunk_count) {
        if (fl_parts_bitmap_has(bitmap, i)) abort();
        missing++;
        i++;
    }
    uint32_t set = 0;
    for (size_t bit = 0; bit < src_len * 8; bit++)
        set += src[bit / 8] >> bit % 8 & 1;
    if (set + missing != chunk_count) abort();
}

static void check_chunks(uint32_t size, const uint8_t *src, size_t src_len)
{
    uint8_t hashes[64 * FL_PARTS_HASH_BYTES] = {0};
    fl_parts *parts;
    for (uint32_t i = 0; i < size; i++)
        hashes[i / 4 * FL_PARTS_HASH_BYTES + i % 4] = (uint8_t)(i * 5);
    if (fl_parts_new(&parts, size, 4, hashes, 255)) return;
    while (src_len > 0) {
        const size_t chunk_len = src_len - 1 < 4 ? src_len - 1 : 4;
        (void)!fl_parts_put(parts, src[0], src + 1, chunk_len, toy_hash);
        src += 1 + chunk_len;
        src_len -= 1 + chunk_len;
    }
    uint8_t *bytes;
    size_t len;
    if (fl_parts_take(parts, &bytes, &len) == FL_OK) {
        if (len != size) abort();
        for (size_t i = 0; i < len; i++) {
            if (bytes[i] != (uint8_t)(i * 5)) abort();
        }
        free(bytes);
    } else if (fl_parts_next_missing(parts, 0) == parts->chunk_count) {
        abort();
    }
    fl_parts_free(parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 2 || len - 2 < data[1]) return 0;
    check_bitmap(data[0], data + 2, data[1]);
    check_chunks(data[0], data + 2 + data[1], len - 2 - data[1]);
    return 0;
}
