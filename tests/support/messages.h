/*
 * Messages for tests: random ones within every limit, and a comparison that
 * follows pointers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_MESSAGES_H
#define FL_TESTS_SUPPORT_MESSAGES_H

#include <stdbool.h>

#include "base/random.h"
#include "proto/proto.h"

/* What it borrows is a static buffer: valid until the next call. */
fl_message fl_message_random(fl_message_type type, fl_random *random);

/* The same values and the same borrowed bytes. */
bool fl_message_equal(const fl_message *a, const fl_message *b);

#endif
