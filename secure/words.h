/*
 * Text that has exactly one encoding, read word by word: lines end with a line
 * feed, words stand one space apart, digits are lower case.
 *
 *   fl_words line;
 *   fl_words_line(&line, &text) && fl_words_skip(&line, "serial ") &&
 *       fl_words_number(&line, &serial) && line.left == 0
 *
 * For public text: the time taken depends on it. Safe on any bytes. What
 * returns false has skipped nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_WORDS_H
#define FL_SECURE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *at;
    size_t left;
} fl_words;

/* Takes the next line; its line feed is not in it. false: none in the rest. */
bool fl_words_line(fl_words *line, fl_words *text);

/* Whether the rest begins with `expected`; it is skipped then. */
bool fl_words_skip(fl_words *words, const char *expected);

/* The next 2 * len lower-case hexadecimal digits. */
bool fl_words_hex(fl_words *words, uint8_t *dst, size_t len);

/* The next decimal digits, without leading zeros: at least 1. */
bool fl_words_number(fl_words *words, uint64_t *number);

#endif
