/*
 * For fuzzers of file formats: one file, written anew for every input.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_DATA_FUZZ_H
#define FL_TESTS_SUPPORT_DATA_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "data/data.h"
#include "tests/support/data_files.h"

/* The folder of this process, made at the first call and gone at its end. */
data_files *data_fuzz_files(void);

/*
 * Opens what `options` say, in both parts. What opens must hold together:
 * labels below the class count, finite values, halves that can be kept.
 * Aborts when it does not.
 */
void data_fuzz_open(const fl_data_options *options);

#endif
