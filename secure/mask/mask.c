/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "secure/mask.h"

#include <assert.h>
#include <string.h>

#include "secure/mask/chacha.h"

_Static_assert((int)FL_MASK_KEY_BYTES == (int)FL_CHACHA_KEY_BYTES,
               "the key of a mask is one of ChaCha20");

enum { GROUP_WORDS_MAX = FL_CHACHA_BLOCK_WORDS * FL_CHACHA_LANES_MAX };

static const uint8_t public_key[FL_MASK_KEY_BYTES];

void fl_mask_add_from(uint64_t *words, size_t count, size_t first,
                      const uint8_t key[FL_MASK_KEY_BYTES], bool is_subtracted)
{
    assert(first % FL_CHACHA_BLOCK_WORDS == 0);
    const fl_chacha *chacha = fl_chacha_at(0);
    fl_chacha_run *const run = is_subtracted ? chacha->subtract : chacha->add;
    const size_t group_words = (size_t)FL_CHACHA_BLOCK_WORDS * chacha->lanes;
    const size_t left = count % group_words;
    const uint64_t block = first / FL_CHACHA_BLOCK_WORDS;

    // Whole groups in place; a last group that is not whole, in a copy.
    run(words, count / group_words, block, key);
    uint64_t last[GROUP_WORDS_MAX] = {0};
    if (left > 0) {
        words += count - left;
        memcpy(last, words, left * sizeof *last);
        run(last, 1, block + (count - left) / FL_CHACHA_BLOCK_WORDS, key);
        memcpy(words, last, left * sizeof *last);
    }

    // A kernel leaves parts of the stream's state, which give away the key, in
    // registers and in its frame. The same code, called from the same place
    // with a key that is no secret, overwrites just these.
    memset(last, 0, sizeof last);
    run(last, 1, 0, public_key);
}

void fl_mask_add(uint64_t *words, size_t count,
                 const uint8_t key[FL_MASK_KEY_BYTES], bool is_subtracted)
{
    fl_mask_add_from(words, count, 0, key, is_subtracted);
}
