/*
 * One step of an INT8 plan, and where values lie. Private to the plan
 * (qplan_core.h) and the files that prepare and run steps: qconv.c, qmove.c,
 * qpool.c, qpair.c, qfloat.c, qchain.c.
 *
 * A step is prepared twice: `prepare` works out what it needs and packs its
 * weights while values have no addresses yet, then `run` may use them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_INT8_QSTEP_H
#define FL_MODEL_INT8_QSTEP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/reason.h"
#include "model/int8/int8.h"
#include "model/int8/qkernels.h"
#include "model/plan.h"

/* Bytes (N, H, W, C) inside a border; steps between rows and examples. */
typedef struct {
    uint8_t *at;  // pixel (0, 0) of example 0
    fl_shape shape;
    fl_quant quant;                     // scale 0: it is in the logits
    uint32_t top, left, bottom, right;  // border, in pixels
    size_t row, image;                  // bytes
} fl_qvalue;

typedef struct fl_qstep fl_qstep;

/* What steps share while they are prepared and while they run. */
typedef struct {
    const fl_int8_model *model;  // only while steps are prepared
    const fl_qkernels *kernels;
    uint32_t batch_cap;
    fl_arena keep;  // packed weights, tables: as long as the plan
    float *logits;  // of this run
    const float *input;
    uint32_t count;
} fl_qcontext;

struct fl_qstep {
    void (*run)(const fl_qstep *step, const fl_qcontext *context);
    fl_node node;     // a copy
    uint32_t index;   // of the node
    uint32_t output;  // the last node fused into it
    fl_qvalue x[FL_NODE_INPUTS_MAX], y;
    float low, high;  // of a result, as in fl_qresult
    char op[64];      // "Conv+Relu"
    size_t param_count;
    uint64_t mac_count;
    fl_precision precision;

    size_t scratch_bytes;
    uint8_t *scratch;

    // CONV, DENSE
    bool has_pool;
    fl_window pool;  // fused
    fl_shape sums;   // the shape in front of it
    bool is_depthwise;
    uint32_t group_count, segment_count, segment_len;
    uint32_t *segments;
    uint8_t *packed;
    size_t group_bytes;  // packed bytes of one group
    bool has_frame;      // x is copied into a border of its own ...
    uint32_t repeat;     // ... and so many times each channel
    fl_qvalue frame;     // in scratch

    // ADD, MUL
    float a_factor, b_factor;
    // what is looked up
    uint8_t *table;
    // the first quantisation
    fl_qchange *changes;
    uint32_t change_count;
    // layers in float32, from `node` to `output`
    bool is_chain;
    fl_plan *chain;
};

/* ---- values ---- */

/* Gives v its steps; `at` is set later. FL_ERR_LIMIT. */
FL_CHECK fl_err fl_qvalue_lay_out(fl_qvalue *v);

/* Bytes with borders, of one example. */
size_t fl_qvalue_bytes(const fl_qvalue *v);

/* From the start of its memory to `at`. */
size_t fl_qvalue_origin(const fl_qvalue *v);

/* True: there is no border, so all rows of all examples are one. */
bool fl_qvalue_is_whole(const fl_qvalue *v);

uint8_t *fl_qvalue_row(const fl_qvalue *v, size_t example, size_t y);

/* Writes the zero point around `count` examples. */
void fl_qvalue_fill_border(const fl_qvalue *v, uint32_t count);

/* Floats (count, H, W, C) of the bytes, and back. */
void fl_qvalue_dequantize(float *dst, const fl_qvalue *x, uint32_t count);
void fl_qvalue_quantize(const fl_qvalue *y, const float *src, uint32_t count,
                        const fl_qkernels *kernels);

/* ---- steps, by operator ---- */

/*
 * Fill `run` and what it needs; x, y, low and high are there already.
 * FL_ERR_UNSUPPORTED, FL_ERR_RANGE, FL_ERR_MEMORY, FL_ERR_LIMIT, as
 * fl_qplan_new has them, the sentence without the node's name.
 */
FL_CHECK fl_err fl_qconv_prepare(fl_qstep *step, fl_qcontext *context,
                                 fl_reason *why);
FL_CHECK fl_err fl_qdense_prepare(fl_qstep *step, fl_qcontext *context,
                                  fl_reason *why);
FL_CHECK fl_err fl_qpool_prepare(fl_qstep *step, fl_qcontext *context,
                                 fl_reason *why);
FL_CHECK fl_err fl_qpair_prepare(fl_qstep *step, fl_qcontext *context,
                                 fl_reason *why);
FL_CHECK fl_err fl_qlookup_prepare(fl_qstep *step, fl_qcontext *context,
                                   fl_reason *why);
FL_CHECK fl_err fl_qmove_prepare(fl_qstep *step, fl_qcontext *context,
                                 fl_reason *why);
FL_CHECK fl_err fl_qinput_prepare(fl_qstep *step, fl_qcontext *context,
                                  fl_reason *why);
FL_CHECK fl_err fl_qoutput_prepare(fl_qstep *step, fl_qcontext *context,
                                   fl_reason *why);
FL_CHECK fl_err fl_qchain_prepare(fl_qstep *step, fl_qcontext *context,
                                  fl_reason *why);

#endif
