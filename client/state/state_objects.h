/*
 * The folder of objects of a client: state.h says what is in it.
 *
 * A .map also holds a serial number, one higher for every object begun: it
 * tells which objects are the newest. Dates do not, on boards without a clock.
 *
 * Private to client/. One thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_OBJECTS_H
#define FL_CLIENT_STATE_OBJECTS_H

#include <limits.h>

#include "client/state/state.h"
#include "client/state/state_table.h"

/* The object being downloaded. */
typedef struct {
    int file;  // -1: none
    uint8_t name[FL_HASH_BYTES];
    uint64_t size;
    uint32_t chunk_count, missing_count;
    uint8_t bitmap[FL_PROTO_CHUNKS_MAX / 8];
} fl_state_download;

typedef struct {
    char folder[PATH_MAX];
    fl_state_table table;
    fl_state_download download;
} fl_state_objects;

/*
 * Makes the folder and deletes what a crash has left, or what is damaged:
 * *warning says so then, and is untouched otherwise.
 */
FL_CHECK fl_err fl_state_objects_open(fl_state_objects *objects,
                                      const char *folder, fl_reason *warning,
                                      fl_reason *why);

/* Deletes all of them. */
void fl_state_objects_clear(fl_state_objects *objects);

/* Accepts one that is closed already. */
void fl_state_objects_close(fl_state_objects *objects);

/* As their namesakes in state.h. */
FL_CHECK fl_err fl_state_objects_load(fl_state_objects *objects,
                                      fl_state_object *object,
                                      const uint8_t name[FL_HASH_BYTES],
                                      fl_reason *why);
FL_CHECK fl_err fl_state_objects_load_model(fl_state_objects *objects,
                                            fl_state_object *object,
                                            uint8_t name[FL_HASH_BYTES],
                                            fl_reason *why);
FL_CHECK fl_err fl_state_objects_begin(fl_state_objects *objects,
                                       const uint8_t name[FL_HASH_BYTES],
                                       const uint8_t *manifest,
                                       size_t manifest_len, fl_reason *why);
FL_CHECK fl_err fl_state_objects_put(fl_state_objects *objects,
                                     const uint8_t name[FL_HASH_BYTES],
                                     uint32_t index, const uint8_t *bytes,
                                     size_t len, fl_reason *why);
FL_CHECK fl_err fl_state_objects_finish(fl_state_objects *objects,
                                        const uint8_t name[FL_HASH_BYTES],
                                        fl_reason *why);

#endif
