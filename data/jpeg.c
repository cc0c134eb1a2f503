/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "data/picture.h"

// A progressive picture has about ten; thousands are there to waste time.
enum { SCANS_MAX = 100 };

typedef struct {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    uint8_t *pixels;
    fl_shape *shape;
    fl_reason *why;
    jmp_buf give_up;
} jpeg_job;

static void on_error(j_common_ptr info)
{
    jpeg_job *job = info->client_data;
    char message[JMSG_LENGTH_MAX];
    info->err->format_message(info, message);
    fl_reason_set(job->why, FL_ERR_FORMAT, "damaged JPEG: %s", message);
    longjmp(job->give_up, 1);
}

// libjpeg paints missing data grey and goes on; we do not learn from grey.
static void on_message(j_common_ptr info, int level)
{
    const bool is_warning = level < 0;
    // Bytes between two markers lose nothing, and some cameras write them.
    if (is_warning && info->err->msg_code != JWRN_EXTRANEOUS_DATA) {
        on_error(info);
    }
}

static void on_progress(j_common_ptr info)
{
    jpeg_job *job = info->client_data;
    if (job->info.input_scan_number > SCANS_MAX) {
        fl_reason_set(job->why, FL_ERR_FORMAT,
                      "damaged JPEG: more than %d scans", SCANS_MAX);
        longjmp(job->give_up, 1);
    }
}

static void start_job(jpeg_job *job, const uint8_t *src, size_t src_len)
{
    jpeg_create_decompress(&job->info);
    job->info.client_data = job;
    job->progress.progress_monitor = on_progress;
    job->info.progress = &job->progress;
    jpeg_mem_src(&job->info, src, src_len);
}

static fl_err read_picture(jpeg_job *job)
{
    struct jpeg_decompress_struct *info = &job->info;
    jpeg_read_header(info, TRUE);
    const bool is_grey = info->num_components == 1;
    if (!is_grey && info->num_components != 3) {
        return fl_reason_set(job->why, FL_ERR_FORMAT,
                             "is a JPEG of %d colours (CMYK?); convert it to "
                             "RGB or grey",
                             info->num_components);
    }
    const fl_shape shape = {.height = info->image_height,
                            .width = info->image_width,
                            .channels = is_grey ? 1 : 3};
    FL_TRY(fl_picture_check(job->shape, !job->pixels, shape, job->why));
    if (!job->pixels) return FL_OK;

    info->out_color_space = is_grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(info);
    const size_t row_len = (size_t)shape.width * shape.channels;
    while (info->output_scanline < info->output_height) {
        JSAMPROW row = job->pixels + info->output_scanline * row_len;
        jpeg_read_scanlines(info, &row, 1);
    }
    jpeg_finish_decompress(info);
    return FL_OK;
}

fl_err fl_jpeg_decode(uint8_t *pixels, fl_shape *shape, const uint8_t *src,
                      size_t src_len, fl_reason *why)
{
    fl_err err = FL_ERR_FORMAT;
    jpeg_job job = {.pixels = pixels, .shape = shape, .why = why};
    job.info.err = jpeg_std_error(&job.errors);
    job.errors.error_exit = on_error;
    job.errors.emit_message = on_message;
    job.info.client_data = &job;  // for an error while creating
    if (setjmp(job.give_up) == 0) {
        start_job(&job, src, src_len);
        err = read_picture(&job);
    } else {
        err = FL_ERR_FORMAT;  // the callback has said why
    }
    jpeg_destroy_decompress(&job.info);
    return err;
}
