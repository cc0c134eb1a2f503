/*
 * Inside the folder of objects: the words its parts share.
 *
 *   state_objects.c   the folder: names of files, what a crash has left
 *   state_table.c     which objects are there
 *   state_load.c      an object, back from its files
 *   state_download.c  the object being downloaded, on its way into them
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_OBJECTS_CORE_H
#define FL_CLIENT_STATE_OBJECTS_CORE_H

#include "client/state/state_map.h"
#include "client/state/state_objects.h"

/* How the names of an object's files end. */
#define FL_STATE_COMPLETE ""
#define FL_STATE_PART     ".part"
#define FL_STATE_MAP      ".map"

/* ---- files ---- */

/* Where an object's file with this ending is. FL_ERR_SPACE: too long. */
FL_CHECK fl_err fl_state_objects_path(char path[PATH_MAX],
                                      const fl_state_objects *objects,
                                      const uint8_t name[FL_HASH_BYTES],
                                      const char *ending);

/* FL_ERR_SYSTEM: what could not be done with the file, by errno. */
fl_err fl_state_objects_failure(fl_reason *why, const char *path,
                                const char *doing);

/* Errors of fl_state_map_read; fl_state_map_fini also after one. */
FL_CHECK fl_err fl_state_objects_read_map(fl_state_map *map,
                                          const fl_state_objects *objects,
                                          const uint8_t name[FL_HASH_BYTES],
                                          fl_reason *why);

/* Deletes the files, ends the download of it, takes it out of the table. */
void fl_state_objects_forget(fl_state_objects *objects, fl_state_entry *entry);

/* ---- chunks ---- */

/* Of chunk `index` of an object of `size` bytes. */
static inline size_t fl_state_chunk_len(uint64_t size, uint32_t index)
{
    const uint64_t left = size - (uint64_t)index * FL_PROTO_CHUNK_BYTES;
    return left < FL_PROTO_CHUNK_BYTES ? (size_t)left : FL_PROTO_CHUNK_BYTES;
}

static inline void fl_state_chunk_add(uint8_t *bitmap, uint32_t index)
{
    bitmap[index / 8] |= (uint8_t)(1u << index % 8);
}

/* ---- the download ---- */

bool fl_state_download_is_of(const fl_state_download *download,
                             const uint8_t name[FL_HASH_BYTES]);

/* Accepts one that has ended. */
void fl_state_download_end(fl_state_download *download);

/*
 * Goes on with an object of which chunks are missing, or which only lacks its
 * finish; takes `file`. FL_ERR_SYSTEM: disk full, ...
 */
FL_CHECK fl_err fl_state_download_resume(fl_state_objects *objects,
                                         fl_state_entry *entry, int file,
                                         const fl_state_object *object,
                                         fl_reason *why);

#endif
