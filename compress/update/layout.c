/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/layout.h"

#include <assert.h>
#include <string.h>

/* ---- making one ---- */

enum { RUN_COORDINATES_MAX = UINT32_MAX / FL_LAYOUT_GROUPS };

_Static_assert(FL_MODEL_PARAMS_MAX <= RUN_COORDINATES_MAX,
               "one run can hold a model");

// The last run is for all that comes when there is no other left.
static fl_group room_for(const fl_layout *layout, fl_group group)
{
    const uint32_t used = layout->run_count;
    if (used < FL_LAYOUT_RUNS_MAX - 1) return group;
    const bool joins = fl_layout_run_group(layout->runs[used - 1]) == group;
    return used < FL_LAYOUT_RUNS_MAX && joins ? group : FL_GROUP_SMALL;
}

static void add_run(fl_layout *layout, fl_group group, size_t count)
{
    if (count == 0) return;
    group = room_for(layout, group);
    uint32_t *last = &layout->runs[layout->run_count];
    if (layout->run_count > 0 && fl_layout_run_group(last[-1]) == group) {
        last[-1] += (uint32_t)count * FL_LAYOUT_GROUPS;
        return;
    }
    *last = (uint32_t)count * FL_LAYOUT_GROUPS + (uint32_t)group;
    layout->run_count++;
}

static fl_group group_of(const fl_tensor_info *tensor, bool has_frozen_norms)
{
    switch (tensor->role) {
    case FL_TENSOR_WEIGHT:
        return tensor->count >= FL_LAYOUT_LARGE_MIN ? FL_GROUP_LARGE
                                                    : FL_GROUP_SMALL;
    case FL_TENSOR_STATISTIC:
        return has_frozen_norms ? FL_GROUP_SKIPPED : FL_GROUP_EXACT;
    case FL_TENSOR_BIAS:
    case FL_TENSOR_NORM: break;
    }
    return FL_GROUP_SMALL;
}

void fl_layout_init(fl_layout *layout, const fl_model *model,
                    bool has_frozen_norms)
{
    *layout = (fl_layout){0};
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        add_run(layout, group_of(&tensor, has_frozen_norms), tensor.count);
    }
}

void fl_layout_init_plain(fl_layout *layout, size_t param_count)
{
    assert(param_count <= RUN_COORDINATES_MAX);
    *layout = (fl_layout){0};
    add_run(layout, FL_GROUP_LARGE, param_count);
}

size_t fl_layout_count(const fl_layout *layout, fl_group group)
{
    size_t count = 0;
    for (uint32_t i = 0; i < layout->run_count; i++) {
        const uint32_t run = layout->runs[i];
        if (fl_layout_run_group(run) != group) continue;
        count += fl_layout_run_count(run);
    }
    return count;
}

/* ---- walking ---- */

fl_layout_walk fl_layout_walk_over(const fl_layout *layout, fl_group group)
{
    return (fl_layout_walk){.layout = layout, .group = group};
}

size_t fl_layout_walk_next(fl_layout_walk *walk, size_t *first, size_t cap)
{
    while (walk->left == 0) {
        if (walk->run == walk->layout->run_count) return 0;
        const uint32_t run = walk->layout->runs[walk->run++];
        if (fl_layout_run_group(run) == walk->group) {
            walk->left = fl_layout_run_count(run);
        } else {
            walk->first += fl_layout_run_count(run);
        }
    }
    const size_t count = walk->left < cap ? walk->left : cap;
    *first = walk->first;
    walk->first += count;
    walk->left -= count;
    return count;
}

size_t fl_layout_gather(fl_layout_walk *walk, float *dst, const float *src,
                        size_t cap)
{
    size_t len = 0, first, count;
    while (len < cap &&
           (count = fl_layout_walk_next(walk, &first, cap - len)) > 0) {
        memcpy(dst + len, src + first, count * sizeof *dst);
        len += count;
    }
    return len;
}

size_t fl_layout_scatter(fl_layout_walk *walk, float *dst, const float *src,
                         size_t cap)
{
    size_t len = 0, first, count;
    while (len < cap &&
           (count = fl_layout_walk_next(walk, &first, cap - len)) > 0) {
        memcpy(dst + first, src + len, count * sizeof *dst);
        len += count;
    }
    return len;
}
