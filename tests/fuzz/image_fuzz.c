/* What a header promises is what decoding gives, without a byte beyond it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "data/picture.h"

// Larger ones are legal, but would spend the time on filling memory.
enum { PIXELS_MAX = 1 << 16 };

static uint32_t get_u32(const uint8_t *src)
{
    return (uint32_t)src[0] << 24 | (uint32_t)src[1] << 16 |
           (uint32_t)src[2] << 8 | src[3];
}

// Chance would hardly ever hit a checksum: puts the right ones into a PNG.
static void mend_checksums(uint8_t *png, size_t len)
{
    enum { SIGNATURE = 8, FRAME = 12 };  // length, type, checksum
    size_t at = SIGNATURE;
    while (at < len && len - at >= FRAME) {
        const size_t content = get_u32(png + at);
        if (content > len - at - FRAME) return;
        const uint32_t sum =
            (uint32_t)crc32(0, png + at + 4, (unsigned)content + 4);
        at += content + FRAME;
        for (int i = 1; i <= 4; i++) {
            png[at - i] = (uint8_t)(sum >> (8 * (i - 1)));
        }
    }
}

static void decode(const uint8_t *data, size_t len)
{
    fl_shape shape = {0};
    fl_reason why = {""};
    if (fl_picture_decode(NULL, &shape, data, len, &why)) {
        if (!why.text[0]) abort();
        return;
    }
    const size_t size = fl_shape_size(shape);
    if (size == 0 || size > FL_DATA_VALUES_MAX) abort();
    if (size > PIXELS_MAX) return;
    uint8_t *pixels = malloc(size);
    if (!pixels) return;
    if (fl_picture_decode(pixels, &shape, data, len, &why) && !why.text[0]) {
        abort();
    }
    free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len + 1);
    if (!copy) return 0;
    if (len > 0) memcpy(copy, data, len);
    mend_checksums(copy, len);
    decode(copy, len);
    free(copy);
    return 0;
}
