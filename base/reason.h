/*
 * The sentence behind an error code: which file, which byte, what to do.
 *
 * A function that reads what a person wrote or a peer sent takes a last
 * parameter `fl_reason *why` beside returning fl_err. It fills the sentence
 * exactly when it fails; whoever stops passing the error on prints it, once.
 * NULL is accepted everywhere: then only the code is reported.
 *
 *   return fl_reason_set(why, FL_ERR_FORMAT,
 *                        "%s: byte %zu: the header announces %u images, "
 *                        "the file holds %u", path, at, announced, held);
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_REASON_H
#define FL_BASE_REASON_H

#include "base/err.h"

#define FL_REASON_CAP 400

typedef struct {
    char text[FL_REASON_CAP];  // no newline at the end; "" before a failure
} fl_reason;

/*
 * Writes the sentence (cut at the capacity, control characters replaced by
 * '?', since peers and files choose part of the text) and returns `err`.
 */
fl_err fl_reason_set(fl_reason *why, fl_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The sentence for a call of the system that failed: the path, "cannot" and
 * what it was `doing`, a word like "open"; errno says the rest. FL_ERR_SYSTEM.
 */
fl_err fl_reason_system(fl_reason *why, const char *path, const char *doing);

/* Puts "context: " in front of what is there; returns `err`. */
fl_err fl_reason_prefix(fl_reason *why, fl_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
