/*
 * The dashboard's files (aggregator/web/), which are part of the program.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_HTTP_PAGE_H
#define FL_AGGREGATOR_HTTP_PAGE_H

#include <stddef.h>

typedef struct {
    const char *path, *type;
    const unsigned char *bytes, *end;
} fl_page_file;

/* All files, *count of them. */
const fl_page_file *fl_page_files(size_t *count);

#endif
