/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "data/picture.h"

// For texts and colour profiles, which nobody looks at.
enum { CHUNK_LEN_MAX = 1 << 20 };

typedef struct {
    const uint8_t *at;
    size_t left;
    uint8_t *pixels;
    fl_shape *shape;
    fl_reason *why;
    jmp_buf give_up;
} png_job;

static void on_error(png_structp png, png_const_charp message)
{
    png_job *job = png_get_error_ptr(png);
    fl_reason_set(job->why, FL_ERR_FORMAT, "damaged PNG: %s", message);
    longjmp(job->give_up, 1);
}

// Oddities in what nobody looks at.
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep dst, size_t len)
{
    png_job *job = png_get_io_ptr(png);
    if (len > job->left) png_error(png, "ends too early");
    memcpy(dst, job->at, len);
    job->at += len;
    job->left -= len;
}

// Asks libpng for 8-bit samples, 1 or 3 a pixel; returns how many.
static uint32_t set_conversions(png_structp png, png_infop info)
{
    const int colour = png_get_color_type(png, info);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (colour == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
    png_set_scale_16(png);
    png_set_strip_alpha(png);
    return (colour & PNG_COLOR_MASK_COLOR) ? 3 : 1;
}

static fl_err read_picture(png_job *job, png_structp png, png_infop info)
{
    png_set_read_fn(png, job, on_read);
    png_set_user_limits(png, FL_DATA_VALUES_MAX, FL_DATA_VALUES_MAX);
    png_set_chunk_malloc_max(png, CHUNK_LEN_MAX);
    png_read_info(png, info);
    const fl_shape shape = {
        .height = png_get_image_height(png, info),
        .width = png_get_image_width(png, info),
        .channels = set_conversions(png, info),
    };
    FL_TRY(fl_picture_check(job->shape, !job->pixels, shape, job->why));
    if (!job->pixels) return FL_OK;

    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    const size_t row_len = (size_t)shape.width * shape.channels;
    if (png_get_rowbytes(png, info) != row_len) {
        png_error(png, "unexpected sample size");
    }
    for (int pass = 0; pass < passes; pass++) {
        for (uint32_t y = 0; y < shape.height; y++) {
            png_read_row(png, job->pixels + y * row_len, NULL);
        }
    }
    png_read_end(png, NULL);
    return FL_OK;
}

fl_err fl_png_decode(uint8_t *pixels, fl_shape *shape, const uint8_t *src,
                     size_t src_len, fl_reason *why)
{
    png_job job = {.at = src,
                   .left = src_len,
                   .pixels = pixels,
                   .shape = shape,
                   .why = why};
    fl_err err = FL_ERR_FORMAT;
    png_infop info = NULL;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &job,
                                             on_error, on_warning);
    if (png) info = png_create_info_struct(png);
    if (!png || !info) {
        err = fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    } else if (setjmp(job.give_up) == 0) {
        err = read_picture(&job, png, info);
    } else {
        err = FL_ERR_FORMAT;  // on_error has said why
    }
    png_destroy_read_struct(&png, &info, NULL);
    return err;
}
