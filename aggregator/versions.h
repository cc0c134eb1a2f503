/*
 * The models that were published in the last rounds, and what brings a client
 * from one of them to the newest.
 *
 *   version 7 --patch--+
 *   version 8 --patch--+--> version 9, the newest; also packed, for clients
 *                           that hold none of these
 *
 * The newest is kept whole, of each one before what to undo: a round moves few
 * coordinates, so that many versions take little memory. Where the model has
 * lost channels since a version, a mask says which of that version's are left,
 * and what there is to undo is of the parameters that are left alone.
 *
 * Patches and the packed model are made when first asked for, and dropped when
 * a newer version comes. Versions are kept in memory alone: after a start
 * clients that hold older ones take the packed model.
 *
 * Zeroed, it holds nothing, and everything below says so. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_VERSIONS_H
#define FL_AGGREGATOR_VERSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/object.h"
#include "base/err.h"
#include "compress/compress.h"
#include "model/model.h"

enum {
    FL_VERSIONS_MAX = 32,
    // Of what there is to undo, and of masks; older versions are forgotten. Two
    // stay always.
    FL_VERSIONS_BYTES_MAX = 64 << 20,
};

/* A parameter, and what it was in the version before. */
typedef struct {
    uint32_t index;
    float value;
} fl_version_change;

typedef struct {
    uint8_t name[FL_HASH_BYTES];  // of the model's object
    fl_version_change *undo;      // leads here from the next newer version;
    size_t undo_count;            // of the newest: none
    bool *keep;          // which of its channels the newest has; NULL: all
    size_t keep_count;   // of its channels; 0 with NULL
    fl_published patch;  // from here to the newest; zeroed: not made yet
} fl_version;

typedef struct {
    fl_version kept[FL_VERSIONS_MAX];  // the newest first
    size_t count;
    const fl_model *model;
    const fl_grid *grid;
    float *params;       // of the newest
    size_t param_count;  // of them
    uint32_t round;      // that made the newest
    fl_published packed;
} fl_versions;

/* Forgets all. */
void fl_versions_fini(fl_versions *versions);

/*
 * Adds the newest version: object `name`, made in round `round`, is `model`
 * with `params`, which are on the grid. The oldest ones make room. Model and
 * grid (not the model's own parameters) are borrowed until fl_versions_fini;
 * when they are others than before, the versions before are forgotten. Without
 * a grid (NULL) there are no patches: all is forgotten, this one included.
 * FL_ERR_MEMORY: likewise.
 */
FL_CHECK fl_err fl_versions_push(fl_versions *versions,
                                 const uint8_t name[FL_HASH_BYTES],
                                 const fl_model *model, const fl_grid *grid,
                                 const float *params, uint32_t round);

/* How a model has become one of fewer channels. */
typedef struct {
    fl_patch_mask mask;    // of the model before
    const uint32_t *from;  // as fl_model_shrink gives it
} fl_version_cut;

/*
 * The same where `model` is what is left of the newest version's model: the
 * versions before stay, but those whose channels are numbered in another way,
 * which are forgotten. Model and grid take the place of those from before,
 * which may be gone; the cut is borrowed for the call. Who goes back to a
 * larger model calls fl_versions_fini first.
 */
FL_CHECK fl_err fl_versions_push_shrunk(fl_versions *versions,
                                        const uint8_t name[FL_HASH_BYTES],
                                        const fl_model *model,
                                        const fl_grid *grid,
                                        const float *params, uint32_t round,
                                        const fl_version_cut *cut);

/* Whether this is the name of the newest version. */
bool fl_versions_is_newest(const fl_versions *versions,
                           const uint8_t name[FL_HASH_BYTES]);

/*
 * The patch from `base` to the newest version, a PATCH object of the newest's
 * round; valid until the next push. FL_ERR_NOT_FOUND: base is not among the
 * older versions that are kept. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_versions_patch(fl_versions *versions,
                                  const uint8_t base[FL_HASH_BYTES],
                                  const fl_published **published);

/*
 * The newest version packed, a PACKED object of its round; valid until the
 * next push. FL_ERR_NOT_FOUND: there is no version. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_versions_packed(fl_versions *versions,
                                   const fl_published **published);

/* The patch or packed model of this name, if it has been made; else NULL. */
const fl_published *fl_versions_find(const fl_versions *versions,
                                     const uint8_t name[FL_HASH_BYTES]);

/* Bytes of the patch from the version `behind` (from 1) pushes ago, and of the
 * packed model; 0: there is none, or no memory for it. */
size_t fl_versions_patch_bytes(fl_versions *versions, size_t behind);
size_t fl_versions_packed_bytes(fl_versions *versions);

#endif
