/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include "secure/words.h"

#include <assert.h>
#include <string.h>

enum { NO_DIGIT = 16 };

static void advance(fl_words *words, size_t len)
{
    assert(len <= words->left);
    words->at += len;
    words->left -= len;
}

bool fl_words_line(fl_words *line, fl_words *text)
{
    const char *end =
        text->left > 0 ? memchr(text->at, '\n', text->left) : NULL;
    if (!end) return false;
    *line = (fl_words){text->at, (size_t)(end - text->at)};
    advance(text, line->left + 1);
    return true;
}

bool fl_words_skip(fl_words *words, const char *expected)
{
    const size_t len = strlen(expected);
    if (words->left < len || memcmp(words->at, expected, len) != 0) {
        return false;
    }
    advance(words, len);
    return true;
}

static unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a') + 10;
    return NO_DIGIT;
}

bool fl_words_hex(fl_words *words, uint8_t *dst, size_t len)
{
    if (words->left / 2 < len) return false;
    for (size_t i = 0; i < len; i++) {
        const unsigned high = hex_digit(words->at[2 * i]);
        const unsigned low = hex_digit(words->at[2 * i + 1]);
        if (high == NO_DIGIT || low == NO_DIGIT) return false;
        dst[i] = (uint8_t)(high << 4 | low);
    }
    advance(words, 2 * len);
    return true;
}

bool fl_words_number(fl_words *words, uint64_t *number)
{
    uint64_t value = 0;
    size_t len = 0;
    for (; len < words->left; len++) {
        const char c = words->at[len];
        if (c < '0' || c > '9') break;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(c - '0'), &value)) {
            return false;
        }
        if (value == 0) return false;
    }
    if (len == 0) return false;
    *number = value;
    advance(words, len);
    return true;
}
