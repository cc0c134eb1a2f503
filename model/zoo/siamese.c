/*
 * A Siamese network (Bromley et al. 1993; Koch et al. 2015): one tower that
 * turns a picture into a point of the unit sphere. Both sides of a pair, all
 * three of a triplet, run through the same tower as rows of one batch.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/zoo/zoo.h"

uint32_t fl_siamese_build(fl_builder *b, uint32_t x)
{
    const char *name = b->options->tower ? b->options->tower : "lenet";
    fl_architecture *tower = fl_zoo_find(name);
    if (!tower || tower == fl_siamese_build) {
        b->err = fl_reason_set(b->why, FL_ERR_NOT_FOUND,
                               "a siamese network needs another built-in model "
                               "as its tower, not \"%s\"",
                               name);
        return 0;
    }
    b->outputs = b->options->embedding ? b->options->embedding : 64;
    x = tower(b, x);
    return fl_build_plain(b, "embedding", x, FL_OP_L2NORM);
}
