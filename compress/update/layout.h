/*
 * Walking over the coordinates of one group, in the order of the parameters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_LAYOUT_H
#define FL_COMPRESS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "compress/update/codec.h"

static inline size_t fl_layout_run_count(uint32_t run)
{
    return run / FL_LAYOUT_GROUPS;
}

static inline fl_group fl_layout_run_group(uint32_t run)
{
    return (fl_group)(run % FL_LAYOUT_GROUPS);
}

typedef struct {
    const fl_layout *layout;
    fl_group group;
    uint32_t run;  // the next one to look at
    size_t first;  // parameter
    size_t left;   // of the run that `first` is in
} fl_layout_walk;

fl_layout_walk fl_layout_walk_over(const fl_layout *layout, fl_group group);

/*
 * The next coordinates of the group that lie side by side: `*first` and
 * those behind it, at most `cap` (at least 1). Returns how many; 0: no more.
 */
size_t fl_layout_walk_next(fl_layout_walk *walk, size_t *first, size_t cap);

/*
 * The next `cap` coordinates of the group out of `src` (all parameters), or
 * into `dst`. Returns how many there were.
 */
size_t fl_layout_gather(fl_layout_walk *walk, float *dst, const float *src,
                        size_t cap);
size_t fl_layout_scatter(fl_layout_walk *walk, float *dst, const float *src,
                         size_t cap);

#endif
