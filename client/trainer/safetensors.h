/*
 * safetensors: named arrays of numbers in one file, as machine learning
 * libraries exchange them (docs/trainer.md, "The files").
 *
 *   8 bytes       length of the header, little-endian
 *   header        JSON: {"NAME": {"dtype": "F32", "shape": [16, 1, 5, 5],
 *                                 "data_offsets": [0, 1600]}, ...}
 *   data          the arrays, one behind the other, little-endian, without gaps
 *
 * Private to client/. Safe on bytes of strangers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_SAFETENSORS_H
#define FL_CLIENT_TRAINER_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"

enum {
    FL_SAFETENSORS_LENGTH_BYTES = 8,
    FL_SAFETENSORS_HEADER_MAX = 1 << 20,
    FL_SAFETENSORS_COUNT_MAX = 8192,  // tensors
    FL_SAFETENSORS_DIMS_MAX = 8,
    FL_SAFETENSORS_NAME_CAP = 128,
};

/* Name in the file, bytes of a number. */
#define FL_SAFETENSORS_TYPE_LIST(X) \
    X(BOOL, 1)                      \
    X(U8, 1)                        \
    X(I8, 1)                        \
    X(U16, 2)                       \
    X(I16, 2)                       \
    X(F16, 2)                       \
    X(BF16, 2)                      \
    X(U32, 4)                       \
    X(I32, 4)                       \
    X(F32, 4)                       \
    X(U64, 8)                       \
    X(I64, 8)                       \
    X(F64, 8)

typedef enum {
#define FL_SAFETENSORS_ENUM(name, bytes) FL_SAFETENSORS_##name,
    FL_SAFETENSORS_TYPE_LIST(FL_SAFETENSORS_ENUM)
#undef FL_SAFETENSORS_ENUM
        FL_SAFETENSORS_TYPE_COUNT
} fl_safetensors_type;

/* "F32"; never NULL. */
const char *fl_safetensors_word(fl_safetensors_type type);

typedef struct {
    char name[FL_SAFETENSORS_NAME_CAP];
    fl_safetensors_type type;
    uint64_t dims[FL_SAFETENSORS_DIMS_MAX];
    size_t dim_count;
    size_t at, len;  // bytes, in the data
} fl_safetensor;

/*
 * The bytes in front of the data of these tensors, which follow in their order;
 * sets their `at` and `len`. The caller frees *bytes. FL_ERR_LIMIT: more, or
 * longer, than a file may have. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_safetensors_encode(uint8_t **bytes, size_t *len,
                                      fl_safetensor *tensors, size_t count,
                                      fl_reason *why);

typedef struct {
    fl_safetensor *tensors;  // in the order of their data
    size_t count;
    const uint8_t *data;  // borrowed from the file
    size_t data_len;
} fl_safetensors;

/*
 * Reads a file; `src` must outlive it. The caller owns what is in *file:
 * fl_safetensors_fini. FL_ERR_FORMAT: cut off, not JSON, a tensor outside of
 * the data, bytes that belong to none or to two. FL_ERR_LIMIT: beyond the
 * maxima. FL_ERR_UNSUPPORTED: a kind of number that is none of the list.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_safetensors_decode(fl_safetensors *file, const uint8_t *src,
                                      size_t src_len, fl_reason *why);

/* Accepts one that is all zeros. */
void fl_safetensors_fini(fl_safetensors *file);

/* NULL: there is none of that name. */
const fl_safetensor *fl_safetensors_find(const fl_safetensors *file,
                                         const char *name);

#endif
