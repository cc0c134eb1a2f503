/*
 * A text as a QR code of block characters, for a terminal with a camera in
 * front of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_JOINING_QR_H
#define FL_AGGREGATOR_JOINING_QR_H

#include <stdio.h>

#include "base/err.h"

/*
 * Two rows of the code a line, dark on light whatever the terminal's colours.
 * FL_ERR_RANGE: too long for any code. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_qr_print(FILE *out, const char *text);

#endif
