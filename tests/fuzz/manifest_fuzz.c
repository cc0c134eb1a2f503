/* Whatever is taken as a manifest encodes to the same bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "proto/proto.h"

enum { ARENA_CAP = 1 << 20 };

static void check(const fl_manifest *manifest, const uint8_t *data, size_t len)
{
    const size_t cap = fl_manifest_bound(manifest->chunk_count);
    uint8_t *encoded = malloc(cap);
    size_t encoded_len;
    if (!encoded) abort();
    if (fl_manifest_encode(encoded, cap, &encoded_len, manifest)) abort();
    if (encoded_len != len || memcmp(encoded, data, len) != 0) abort();
    free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_arena arena;
    fl_manifest manifest;
    fl_reason why = {""};
    fl_arena_init(&arena, ARENA_CAP);
    if (fl_manifest_decode(&manifest, &arena, data, len, &why)) {
        if (why.text[0] == 0) abort();
    } else {
        check(&manifest, data, len);
    }
    fl_arena_fini(&arena);
    return 0;
}
