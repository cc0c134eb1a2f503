/*
 * A line of an enrolment list, without the check of its card. Private to
 * secure/; fl_device_... for others are in secure/enrolment.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SECURE_DEVICE_H
#define FL_SECURE_DEVICE_H

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"
#include "secure/words.h"

/* The line has no line feed here. FL_ERR_FORMAT: *why says what differs. */
FL_CHECK fl_err fl_device_read(fl_device *device, fl_words line,
                               fl_reason *why);

#endif
