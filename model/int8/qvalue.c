/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/bytes.h"
#include "model/int8/qstep.h"

fl_err fl_qvalue_lay_out(fl_qvalue *v)
{
    const size_t width = (size_t)v->shape.width + v->left + v->right;
    const size_t height = (size_t)v->shape.height + v->top + v->bottom;
    FL_TRY(fl_size_mul(&v->row, width, v->shape.channels));
    return fl_size_mul(&v->image, height, v->row);
}

size_t fl_qvalue_bytes(const fl_qvalue *v)
{
    return v->image;
}

size_t fl_qvalue_origin(const fl_qvalue *v)
{
    return v->top * v->row + (size_t)v->left * v->shape.channels;
}

bool fl_qvalue_is_whole(const fl_qvalue *v)
{
    return v->top + v->left + v->bottom + v->right == 0;
}

uint8_t *fl_qvalue_row(const fl_qvalue *v, size_t example, size_t y)
{
    return v->at + example * v->image + y * v->row;
}

// The right border of a row and the left one of the next lie side by side.
static void fill_example(const fl_qvalue *v, uint8_t *start)
{
    const uint8_t zero = v->quant.zero_point;
    const size_t inside = (size_t)v->shape.width * v->shape.channels;
    const size_t left = (size_t)v->left * v->shape.channels;
    const size_t between = v->row - inside;
    uint8_t *at = start;
    size_t len = v->top * v->row + left;
    for (uint32_t y = 0; y < v->shape.height; y++) {
        memset(at, zero, len);
        at += len + inside;
        len = between;
    }
    memset(at, zero, (size_t)(start + v->image - at));
}

void fl_qvalue_fill_border(const fl_qvalue *v, uint32_t count)
{
    if (fl_qvalue_is_whole(v)) return;
    for (uint32_t i = 0; i < count; i++) {
        fill_example(v, v->at - fl_qvalue_origin(v) + i * v->image);
    }
}
