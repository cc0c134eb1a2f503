/*
 * A folder of pictures while it is being read: first what there is, then the
 * size of all pictures, then the pictures.
 *
 *   list, or list_folder --> choose_shape --> read
 *
 * Where bad files are passed over, the size is that of most of the first
 * pictures; else that of the first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_ALBUM_H
#define FL_DATA_ALBUM_H

#include "data/loader.h"

typedef struct {
    fl_dataset *dataset;
    const fl_source *source;
    const char *root;
    fl_names files;  // "CLASS/NAME", or "NAME"; the number is the record
    uint32_t *rows;  // which of them each row is, once they are read
    fl_reason *why;
} fl_album;

/* ROOT/CLASS/NAME: classes, labels and files, in byte order. FL_ERR_FORMAT:
 * there are no pictures. FL_ERR_NOT_FOUND, FL_ERR_RANGE, FL_ERR_SYSTEM. */
FL_CHECK fl_err fl_album_list(fl_album *album);

/* ROOT/NAME: files alone. */
FL_CHECK fl_err fl_album_list_folder(fl_album *album);

/* Needs at least one file. FL_ERR_FORMAT: none can be read. */
FL_CHECK fl_err fl_album_choose_shape(fl_album *album);

/* Fills in values, and leaves the labels of those that are read. */
FL_CHECK fl_err fl_album_read(fl_album *album);

void fl_album_fini(fl_album *album);

bool fl_album_is_folder(const char *path);
bool fl_album_has_ending(const char *name);

fl_err fl_album_say_too_long(const char *folder, const char *name,
                             fl_reason *why);

#endif
