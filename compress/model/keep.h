/*
 * Lists of channels to keep, as a person writes them:
 *
 *   conv1:0-7,12;layer1.conv2:3,5
 *
 * A group's name, a colon, numbers or ranges that rise. Groups that are not
 * named keep all. Of groups of one name the second is NAME#2, and so on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_KEEP_H
#define FL_COMPRESS_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

/* What group i is called here. */
enum { FL_KEEP_NAME_CAP = 96 };
void fl_keep_name(char dst[FL_KEEP_NAME_CAP], const fl_channels *channels,
                  uint32_t i);

/*
 * keep[0..fl_channels_count). FL_ERR_RANGE: something else is written there, a
 * group that the model does not have, one twice, or a list that
 * fl_channels_keep refuses (*why names the group). FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_keep_read(bool *keep, const fl_channels *channels,
                             const char *text, fl_reason *why);

#endif
