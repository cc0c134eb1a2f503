/* SPDX-License-Identifier: Apache-2.0 */
#include "base/proquint.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

// A word of 16 bits is consonant, vowel, consonant, vowel, consonant.
static const char CONSONANTS[] = "bdfghjklmnprstvz";  // 4 bits each
static const char VOWELS[] = "aiou";                  // 2 bits each

enum { LETTERS = 5 };

static bool is_vowel_place(unsigned place)
{
    return place % 2 == 1;
}

static void write_word(char *dst, unsigned word)
{
    for (unsigned i = LETTERS; i-- > 0;) {
        if (is_vowel_place(i)) {
            dst[i] = VOWELS[word & 3];
            word >>= 2;
        } else {
            dst[i] = CONSONANTS[word & 15];
            word >>= 4;
        }
    }
}

// Where a letter stands among these, -1: nowhere.
static int index_in(const char *letters, char letter)
{
    const bool is_large = letter >= 'A' && letter <= 'Z';
    const int small = is_large ? letter - 'A' + 'a' : letter;
    const char *found = small ? strchr(letters, small) : NULL;
    return found ? (int)(found - letters) : -1;
}

static fl_err read_word(unsigned *word, const char *text)
{
    *word = 0;
    for (unsigned i = 0; i < LETTERS; i++) {
        const bool is_vowel = is_vowel_place(i);
        const int bits = index_in(is_vowel ? VOWELS : CONSONANTS, text[i]);
        if (bits < 0) return FL_ERR_FORMAT;  // also at the final 0
        *word = *word << (is_vowel ? 2 : 4) | (unsigned)bits;
    }
    return FL_OK;
}

void fl_proquint_encode(char *dst, const uint8_t *src, size_t len)
{
    assert(len > 0 && len % 2 == 0);
    for (size_t i = 0; i < len; i += 2) {
        write_word(dst, (unsigned)src[i] << 8 | src[i + 1]);
        dst[LETTERS] = i + 2 < len ? '-' : 0;
        dst += LETTERS + 1;
    }
}

fl_err fl_proquint_decode(uint8_t *dst, size_t len, const char *text)
{
    assert(len > 0 && len % 2 == 0);
    for (size_t i = 0; i < len; i += 2) {
        unsigned word;
        FL_TRY(read_word(&word, text));
        const char behind = text[LETTERS];
        if (behind != (i + 2 < len ? '-' : 0)) return FL_ERR_FORMAT;
        dst[i] = (uint8_t)(word >> 8);
        dst[i + 1] = (uint8_t)word;
        text += LETTERS + 1;
    }
    return FL_OK;
}
