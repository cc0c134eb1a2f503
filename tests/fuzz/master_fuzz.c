/* Whatever is taken as a master encodes to the same bytes.
 *
 * A master is long, so an input says where in a good one (u16) its bytes lie,
 * and by how many bytes that one is cut (u8).
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "aggregator/master.h"

enum { ROUND = 7, HEAD = 3 };

static fl_model *model;
static uint8_t *good;
static size_t good_len;

static void make_good(void)
{
    const fl_model_options options = {
        .name = "mlp", .input = {1, 1, 1}, .class_count = 2};
    fl_master *master = NULL;
    if (fl_model_new(&model, &options, NULL)) abort();
    if (fl_master_new(&master, model, 0.0625, 0.05, NULL)) abort();
    good_len = fl_master_bytes(master);
    good = malloc(good_len);
    if (!good || fl_master_encode(master, ROUND, good, good_len)) abort();
    fl_master_free(master);
}

static void check(const fl_master *master, const uint8_t *src, size_t len)
{
    uint8_t *encoded = malloc(len);
    if (!encoded || fl_master_bytes(master) != len) abort();
    if (fl_master_encode(master, ROUND, encoded, len)) abort();
    if (memcmp(encoded, src, len) != 0) abort();
    free(encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!good) make_good();
    if (len < HEAD) return 0;
    const size_t src_len = good_len - data[2];
    const size_t at = ((size_t)data[0] << 8 | data[1]) % src_len;
    const size_t room = src_len - at;
    uint8_t *src = malloc(src_len);
    if (!src) abort();
    memcpy(src, good, src_len);
    memcpy(src + at, data + HEAD, len - HEAD < room ? len - HEAD : room);

    fl_master *master = NULL;
    fl_reason why = {""};
    if (fl_master_decode(&master, model, ROUND, 0.05, src, src_len, &why)) {
        if (why.text[0] == 0) abort();
    } else {
        check(master, src, src_len);
    }
    fl_master_free(master);
    free(src);
    return 0;
}
