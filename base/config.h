/*
 * Private to options.c: the INI files behind a program's options.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_CONFIG_H
#define FL_BASE_CONFIG_H

#include "base/options.h"

/*
 * Applies `path`, which may be missing if so told, and then path.d/NAME.conf
 * in the order of their names. FL_ERR_FORMAT: *why names file and line, or
 * says that it is no plain file.
 */
FL_CHECK fl_err fl_config_read(fl_options *options, const char *path,
                               bool may_be_missing, fl_reason *why);

#endif
