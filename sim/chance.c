/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/chance.h"

#include <string.h>

#include "base/bytes.h"
#include "base/random.h"

void fl_chance_bytes(void *self, void *dst, size_t len)
{
    fl_random *random = self;
    uint8_t *bytes = dst;
    for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
        uint8_t word[sizeof(uint32_t)];
        fl_bytes_put_u32(word, fl_random_u32(random));
        memcpy(bytes + i, word, len - i < sizeof word ? len - i : sizeof word);
    }
}

void fl_chance_identity(fl_identity *identity, uint64_t seed, uint64_t id)
{
    fl_random random;
    uint8_t key_seed[FL_SEED_BYTES];
    fl_random_init(&random, seed, FL_RANDOM_NONCE, id);
    fl_chance_bytes(&random, key_seed, sizeof key_seed);
    fl_identity_init(identity, key_seed);
}
