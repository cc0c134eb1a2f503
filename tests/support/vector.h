/*
 * Known answers, written in Markdown so that a document can be executed:
 *
 *   ```hex ping
 *   d6 fe 01 0e      # two digits a byte, blanks between, remarks after a #
 *   ```
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_VECTOR_H
#define FL_TESTS_SUPPORT_VECTOR_H

#include <stddef.h>
#include <stdint.h>

/*
 * The bytes of block `name` of the file; the caller frees them. NULL: no such
 * file or block, or something else than hexadecimal in it.
 */
uint8_t *fl_vector_read(size_t *len, const char *path, const char *name);

#endif
