/*
 * A file of devices' cards, a line each; empty lines between them are fine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_CARDS_H
#define FL_SECURE_CARDS_H

#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"
#include "secure/words.h"

typedef struct {
    const char *path;
    uint8_t *bytes;
    fl_words rest;
    uint32_t number;  // of the line read last, from 1
} fl_cards;

/*
 * Reads the file, "-" for standard input; `path` is borrowed until close.
 * Errors of fl_file_read.
 */
FL_CHECK fl_err fl_cards_open(fl_cards *cards, const char *path,
                              fl_reason *why);

/*
 * The next card, checked. FL_ERR_NOT_FOUND: there are no more; no reason is
 * given then. FL_ERR_FORMAT, FL_ERR_AUTH: *why names file, line and fault.
 */
FL_CHECK fl_err fl_cards_next(fl_device *card, fl_cards *cards, fl_reason *why);

/* Puts file and line in front of a reason; returns `err`. */
fl_err fl_cards_blame(const fl_cards *cards, fl_err err, fl_reason *why);

void fl_cards_close(fl_cards *cards);

#endif
