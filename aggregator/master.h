/*
 * The aggregator's own model, the master: in float32 what all updates have
 * added up to. Clients never see it; they hold the published model, which
 * lives on a grid (compress/model/grid.h) and follows the master.
 *
 *   mean of a round --fl_master_add--> master
 *   master --fl_master_release--> published: the coordinates furthest away
 *
 * What separates the two is the aggregator's residual, so both are saved
 * together: the published model as an ONNX file, the master as a blob with all
 * else that the next round needs of this one: the grid's steps and what the
 * last sum has told about the size of sums. docs/format.md, "Master", has its
 * bytes.
 *
 * One owner, one thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_MASTER_H
#define FL_AGGREGATOR_MASTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "compress/compress.h"
#include "model/model.h"

typedef struct fl_master fl_master;

/* What the last sum has told. */
typedef struct {
    double rms[2];     // spread of the sum, LARGE and SMALL (fl_update_spread);
                       // 0: unknown
    uint32_t clients;  // of that sum; 0: there was none
} fl_master_scale;

/*
 * The master of a federation that begins, or of one that was saved without:
 * makes a grid for `model`, moves its parameters onto it in place, and starts
 * as these. The same model gives the same. With relative_step 0 there is no
 * grid: the model stays, and published will be the master itself. `release` is
 * the share of the coordinates that a round moves. The caller owns *master:
 * fl_master_free. FL_ERR_RANGE: relative_step is not within 0 and 1, or
 * release not above 0 and at most 1. FL_ERR_MEMORY. The model is unchanged
 * then.
 */
FL_CHECK fl_err fl_master_new(fl_master **master, fl_model *model,
                              double relative_step, double release,
                              fl_reason *why);

/*
 * Goes on from a blob, saved with round `round` of `model`, on the grid that
 * it was saved with. Safe on any bytes. FL_ERR_FORMAT: malformed, of another
 * round, or not of a model like this; *why says which. FL_ERR_UNSUPPORTED:
 * made by a newer version. FL_ERR_RANGE: release, as above. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_master_decode(fl_master **master, const fl_model *model,
                                 uint32_t round, double release,
                                 const uint8_t *src, size_t src_len,
                                 fl_reason *why);

/*
 * How many of these bytes are a master's that they begin with, as it says
 * itself; all, when they do not begin with one, or are cut.
 */
size_t fl_master_len(const uint8_t *src, size_t src_len);

/* Exactly what fl_master_encode writes. */
size_t fl_master_bytes(const fl_master *master);

/* FL_ERR_SPACE: dst_cap is below fl_master_bytes. */
FL_CHECK fl_err fl_master_encode(const fl_master *master, uint32_t round,
                                 uint8_t *dst, size_t dst_cap);

/* Accepts NULL. */
void fl_master_free(fl_master *master);

/* The master's parameters; they live in the master. */
float *fl_master_params(fl_master *master);

/* NULL: relative_step was 0. Lives as long as the master. */
const fl_grid *fl_master_grid(const fl_master *master);

/*
 * Adds the mean of a round's updates. Statistics come as what can be averaged,
 * see fl_model_variances_to_squares. Both fit `model`.
 */
void fl_master_add(fl_master *master, const fl_model *model, const float *mean);

/*
 * Moves `published`, which is on the grid, towards the master: the share of
 * coordinates that was asked for, at least one, of those furthest away, and
 * all statistics. Without a grid published becomes the master. Returns how
 * many coordinates have moved, with a grid without statistics. `scratch` has a
 * float a parameter.
 */
size_t fl_master_release(const fl_master *master, float *published,
                         float *scratch);

/*
 * The master of `smaller`, whose parameter i is the master's from[i]: on the
 * same steps, a tensor each; what sums were like is forgotten. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_master_shrink(fl_master **shrunk, const fl_master *master,
                                 const fl_model *smaller, const uint32_t *from,
                                 fl_reason *why);

fl_master_scale fl_master_get_scale(const fl_master *master);

/* An rms that is no finite number above 0 counts as unknown. */
void fl_master_set_scale(fl_master *master, const fl_master_scale *scale);

#endif
